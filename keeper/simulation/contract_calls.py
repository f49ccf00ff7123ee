"""Contract calls by signature, without ABI files: `call_data("submit(uint256,int256)", 7, 3_000)`."""

from typing import Any

from keeper.chain.abi import signature
from keeper.simulation.rpc import Rpc


def call_data(text: str, *args: Any) -> str:
    """Hex of the encoded call."""
    return "0x" + signature(f"{text}()").encode(*args).hex()


def read(rpc: Rpc, to: str, text: str, returns: str, *args: Any) -> Any:
    """Call a view at the latest block. `returns` is one type, or several in parentheses (then a tuple).

    Raises AnvilRpcError when the call reverts, and eth_abi's DecodingError when there is no such contract.
    """
    function = signature(f"{text}{returns}" if returns.startswith("(") else f"{text}({returns})")
    answer = rpc.call("eth_call", {"to": to, "data": "0x" + function.encode(*args).hex()}, "latest")
    return function.decode(bytes.fromhex(answer[2:]))
