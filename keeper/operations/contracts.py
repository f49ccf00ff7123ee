"""A deployment's contracts as web3 objects."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from keeper.chain.artifacts import artifact
from keeper.domain.series import UNDERLYINGS

if TYPE_CHECKING:
    from web3 import Web3
    from web3.contract import Contract

    from keeper.chain.deployments import Deployment

ERC20_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": name,
        "stateMutability": mutability,
        "inputs": [{"name": f"arg{i}", "type": kind} for i, kind in enumerate(inputs)],
        "outputs": [{"name": "", "type": output}],
    }
    for name, mutability, inputs, output in (
        ("balanceOf", "view", ("address",), "uint256"),
        ("allowance", "view", ("address", "address"), "uint256"),
        ("approve", "nonpayable", ("address", "uint256"), "bool"),
    )
]


def bind(w3: Web3, deployment: Deployment, name: str) -> Contract:
    """The deployed contract called ``name``."""
    return _bound(w3, deployment.address(name), name.partition("-")[0])


@functools.lru_cache(maxsize=64)
def _bound(w3: Web3, address: str, name: str) -> Contract:
    """web3 makes a class for every contract, which takes longer than a call."""
    return w3.eth.contract(address=to_checksum_address(address), abi=artifact(name).abi)


def usdc_of(w3: Web3, deployment: Deployment) -> Contract:
    """The vault's USDC."""
    return _asset_of(w3, deployment.address("Vault"))


@functools.lru_cache(maxsize=8)
def _asset_of(w3: Web3, vault: str) -> Contract:
    asset = _bound(w3, vault, "Vault").functions.asset().call()
    return w3.eth.contract(address=to_checksum_address(asset), abi=ERC20_ABI)


def missing_prices(w3: Web3, deployment: Deployment) -> str:
    """What the oracle refuses to price and why, for people: while that lasts nothing that needs a NAV works.

    Empty when every underlying has a price.
    """
    from web3.exceptions import ContractLogicError

    oracle = bind(w3, deployment, "PriceOracle").functions
    refused = []
    for underlying in range(oracle.count().call()):
        try:
            oracle.read(underlying).call()
        except ContractLogicError as error:
            refused.append(f"{UNDERLYINGS[underlying]} ({error.message or error})")
    return ", ".join(refused)
