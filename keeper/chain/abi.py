"""Encoding and decoding of calls, by the ABI of our contracts or by a signature; reverts as sentences."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import encode
from eth_abi.codec import ABICodec
from eth_abi.decoding import UnsignedIntegerDecoder
from eth_abi.encoding import UnsignedIntegerEncoder
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import TupleType, parse
from eth_abi.registry import ABIRegistry, BaseEquals, registry
from eth_utils.crypto import keccak

from keeper.chain.artifacts import artifact

_ERROR: Final = keccak(text="Error(string)")[:4]
_PANIC: Final = keccak(text="Panic(uint256)")[:4]
_LONGEST_REASON: Final = 200


def _strict_registry() -> ABIRegistry:
    """eth_abi's, with integers of too few bytes an error: once ape is imported, it reads an empty answer as zero."""
    strict: ABIRegistry = registry.copy()  # type: ignore[no-untyped-call]
    strict.unregister("uint")
    uint = BaseEquals("uint")  # type: ignore[no-untyped-call]
    strict.register(uint, UnsignedIntegerEncoder, UnsignedIntegerDecoder, label="uint")
    return strict


_CODEC: Final = ABICodec(_strict_registry())


@dataclass(frozen=True, slots=True)
class Function:
    """A contract function: name, and canonical types of arguments and results."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def selector(self) -> bytes:
        """First four bytes of its calls."""
        return _selector(self.name, self.inputs)

    def encode(self, *args: Any) -> bytes:
        """Call data. Raises eth_abi's EncodingError for arguments of other types."""
        return self.selector + (encode(self.inputs, args) if self.inputs or args else b"")

    def decode(self, data: bytes) -> Any:
        """The result: one value, or a tuple of several; structs are tuples. Further data is ignored.

        Raises:
            DecodingError: too short, as from an address without code.
        """
        values = _CODEC.decode(self.outputs, data)
        return values[0] if len(values) == 1 else values


@functools.cache
def _selector(name: str, inputs: tuple[str, ...]) -> bytes:
    return keccak(text=f"{name}({','.join(inputs)})")[:4]


@functools.cache
def function(contract: str, name: str) -> Function:
    """A function of one of our compiled contracts.

    Raises:
        ArtifactError: not compiled.
        KeyError: no such function.
    """
    for entry in artifact(contract).abi:
        if entry["type"] == "function" and entry["name"] == name:
            return Function(name, _types(entry["inputs"]), _types(entry["outputs"]))
    raise KeyError(f"{contract} has no function {name}")


@functools.cache
def signature(text: str) -> Function:
    """A function by `"name(inputs)(outputs)"`, as in `"decimals()(uint8)"`."""
    name, _, rest = text.partition("(")
    depth = 1
    for position, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return Function(name, _components(rest[:position]), _components(rest[position + 2 : -1]))
    raise ValueError(f"not a signature: {text}")


def revert_reason(data: bytes) -> str:
    """What a revert says, bounded and printable: whoever reverts chooses the bytes."""
    try:
        if data[:4] == _ERROR:
            reason: str = _CODEC.decode(["string"], data[4:])[0]
            clean = "".join(letter if letter.isprintable() else "?" for letter in reason[: _LONGEST_REASON + 1])
            return clean if len(reason) <= _LONGEST_REASON else clean[:_LONGEST_REASON] + "..."
        if data[:4] == _PANIC:
            return f"panic 0x{_CODEC.decode(['uint256'], data[4:])[0]:02x}"
    except (DecodingError, UnicodeDecodeError):
        pass
    if not data:
        return "reverted without a reason"
    return f"reverted with 0x{data[:36].hex()}{'...' if len(data) > 36 else ''}"


def _types(parameters: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(parameter) for parameter in parameters)


def _type(parameter: Mapping[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(parameter['components']))}){kind.removeprefix('tuple')}"


def _components(types: str) -> tuple[str, ...]:
    parsed = parse(f"({types})") if types else None
    return tuple(part.to_type_str() for part in parsed.components) if isinstance(parsed, TupleType) else ()
