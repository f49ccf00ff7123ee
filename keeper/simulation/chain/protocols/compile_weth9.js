// node compile_weth9.js PACKAGES OUTPUT
// WETH9 with the compiler that it was deployed with: 0.4.19, no optimizer.
const fs = require('fs')
const path = require('path')

const [, , packages, output] = process.argv
const solc = require(path.join(packages, 'solc-0.4.19/soljson.js'))
const compile = solc.cwrap('compileJSON', 'string', ['string', 'number'])
const source = fs.readFileSync(path.join(packages, 'canonical-weth-1.0.0/contracts/WETH9.sol'), 'utf8')
const contract = JSON.parse(compile(source, 0)).contracts[':WETH9']
fs.writeFileSync(output, JSON.stringify({ abi: JSON.parse(contract.interface), bytecode: contract.bytecode }))
process.exit(0)
