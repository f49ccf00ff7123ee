// node compile_aave.js PACKAGES OUTPUT
// Aave v3.6.0 from its published source, with the settings of its foundry.toml.
const fs = require('fs')
const path = require('path')

const [, , packages, output] = process.argv
const solc = require(path.join(packages, 'solc-0.8.27/soljson.js'))
const compile = solc.cwrap('solidity_compile', 'string', ['string', 'number', 'number'])

const origin = 'aave-dao-aave-v3-origin-3.6.0/src/'
const remappings = [
  ['openzeppelin-contracts-upgradeable/contracts/', 'openzeppelin-contracts-upgradeable-5.1.0/'],
  ['@openzeppelin/contracts/', 'openzeppelin-contracts-5.1.0/'],
  ['openzeppelin-contracts/contracts/', 'openzeppelin-contracts-5.1.0/'],
  ['solidity-utils/', 'bgd-labs-solidity-utils-1.1.2/src/'],
  ['src/', origin],
]
const targets = {
  PoolInstance: 'instances',
  PoolConfiguratorInstance: 'instances',
  ATokenInstance: 'instances',
  VariableDebtTokenInstance: 'instances',
  DefaultReserveInterestRateStrategyV2: 'misc',
  AaveProtocolDataProvider: 'helpers',
}
const logic = 'protocol/libraries/logic'
for (const file of fs.readdirSync(path.join(packages, origin, 'contracts', logic))) {
  targets[path.basename(file, '.sol')] = logic
}
const unit = (name) => `src/contracts/${targets[name]}/${name}.sol`

const sources = {}
function add(name) {
  if (sources[name]) return
  const mapping = remappings.find(([prefix]) => name.startsWith(prefix))
  if (!mapping) throw new Error(`no remapping for ${name}`)
  const content = fs.readFileSync(path.join(packages, mapping[1], name.slice(mapping[0].length)), 'utf8')
  sources[name] = { content }
  for (const [, imported] of content.matchAll(/import[^'"]*['"]([^'"]+)['"]/g)) {
    add(imported.startsWith('.') ? path.posix.join(path.posix.dirname(name), imported) : imported)
  }
}
for (const name in targets) add(unit(name))

const result = JSON.parse(compile(JSON.stringify({
  language: 'Solidity',
  sources,
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: 'shanghai',
    metadata: { bytecodeHash: 'none' },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode'] } },
  },
}), 0, 0))
const errors = (result.errors || []).filter((error) => error.severity === 'error')
if (errors.length) {
  console.error(errors.slice(0, 5).map((error) => error.formattedMessage).join('\n'))
  process.exit(1)
}
const contracts = {}
for (const name in targets) {
  const { abi, evm } = result.contracts[unit(name)][name]
  contracts[name] = { abi, bytecode: evm.bytecode.object, linkReferences: evm.bytecode.linkReferences }
}
fs.writeFileSync(output, JSON.stringify(contracts))
process.exit(0)
