"""Multicall3 and Safe 1.4.1."""

from ape_ethereum.multicall.constants import MULTICALL3_CODE

from keeper.simulation.chain.addresses import CREATE2_FACTORY, MULTICALL3, SAFE_CONTRACTS, SAFE_SINGLETON_FACTORY
from keeper.simulation.chain.placement import LocalChain, published

_SAFE = "@safe-global/safe-contracts@1.4.1"
_SAFE_FOLDERS = {
    "Safe": "Safe.sol",
    "SafeL2": "SafeL2.sol",
    "SafeProxyFactory": "proxies/SafeProxyFactory.sol",
    "CompatibilityFallbackHandler": "handler/CompatibilityFallbackHandler.sol",
    "MultiSend": "libraries/MultiSend.sol",
    "MultiSendCallOnly": "libraries/MultiSendCallOnly.sol",
}


def install(chain: LocalChain) -> None:
    """Place Multicall3, and deploy Safe through its own CREATE2 factory: the addresses prove the bytecode."""
    chain.set_code(MULTICALL3, MULTICALL3_CODE.hex())
    # Both factories are the same 69 bytes; anvil comes with the first.
    chain.set_code(SAFE_SINGLETON_FACTORY, chain.rpc.call("eth_getCode", CREATE2_FACTORY, "latest"))
    for name, folder in _SAFE_FOLDERS.items():
        code = published(_SAFE, f"build/artifacts/contracts/{folder}/{name}.json").creation_code()
        chain.send(chain.deployer, SAFE_SINGLETON_FACTORY, bytes(32) + code)
        if chain.rpc.call("eth_getCode", SAFE_CONTRACTS[name], "latest") == "0x":
            raise RuntimeError(f"{name} of {_SAFE} did not land at its mainnet address: not the published bytecode")
