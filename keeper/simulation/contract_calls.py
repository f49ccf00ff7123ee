"""Contract calls by signature, without ABI files: `call_data("submit(uint256,int256)", 7, 3_000)`."""

import functools
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from keeper.simulation.rpc import Rpc


@functools.cache
def _parsed(signature: str) -> tuple[bytes, tuple[str, ...]]:
    """Selector and argument types; commas inside tuples don't separate arguments."""
    inside = signature[signature.index("(") + 1 : -1]
    types, depth, start = [], 0, 0
    for position, letter in enumerate(inside + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            types.append(inside[start:position])
            start = position + 1
    return keccak(text=signature)[:4], tuple(kind for kind in types if kind)


def call_data(signature: str, *args: Any) -> str:
    """Hex of the encoded call."""
    selector, types = _parsed(signature)
    return "0x" + (selector + encode(types, args)).hex()


def read(rpc: Rpc, to: str, signature: str, returns: str, *args: Any) -> Any:
    """Call a view at the latest block. `returns` is one type, or several in parentheses (then a tuple).

    Raises RpcError when the call reverts, and eth_abi's DecodingError when there is no such contract.
    """
    answer = rpc.call("eth_call", {"to": to, "data": call_data(signature, *args)}, "latest")
    _, types = _parsed(returns if returns.startswith("(") else f"({returns})")
    values = decode(types, bytes.fromhex(answer[2:]))
    return values if returns.startswith("(") else values[0]
