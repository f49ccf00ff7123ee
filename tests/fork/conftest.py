"""Mainnet's protocols as the fork tests call them, through the ABIs that the protocols publish."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from keeper.simulation.chain import addresses
from keeper.simulation.chain.placement import LocalChain, published
from keeper.simulation.chain.protocols.uniswap import CORE, PERIPHERY, ROUTERS, artifact

Send = Callable[[ContractFunction, str], TxReceipt]


@dataclass(frozen=True)
class Protocols:
    usdc: Contract
    weth: Contract
    pool: Contract
    router: Contract
    quoter: Contract
    aave: Contract
    aave_oracle: Contract


def _aave(path: str) -> list:
    return published("@aave/core-v3@1.19.3", f"artifacts/contracts/{path}.json").abi


@pytest.fixture
def protocols(fork) -> Protocols:
    def at(address: str, abi: list) -> Contract:
        return fork.w3.eth.contract(address=Web3.to_checksum_address(address), abi=abi)

    erc20 = artifact(CORE, "interfaces/IERC20Minimal").abi
    return Protocols(
        usdc=at(addresses.USDC, erc20),
        weth=at(addresses.WETH, erc20),
        pool=at(addresses.POOL_USDC_WETH_500, artifact(CORE, "UniswapV3Pool").abi),
        router=at(addresses.SWAP_ROUTER, artifact(PERIPHERY, "SwapRouter").abi),
        quoter=at(addresses.QUOTER_V2, artifact(ROUTERS, "lens/QuoterV2").abi),
        aave=at(addresses.AAVE_POOL, _aave("protocol/pool/Pool.sol/Pool")),
        aave_oracle=at(addresses.AAVE_ORACLE, _aave("misc/AaveOracle.sol/AaveOracle")),
    )


@pytest.fixture
def send(fork) -> Send:
    """`send(call, account)`: mined, or an error with the reason."""
    chain = LocalChain(fork.rpc)

    def transact(call: ContractFunction, account: str) -> TxReceipt:
        return chain.transact(call, account)

    return transact
