"""Vyper contracts in a fast EVM: compiled by titanoboa, executed by revm, for tests with thousands of calls."""

import re
from pathlib import Path
from typing import Any

import boa
from eth_abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak
from pyrevm import EVM, BlockEnv
from vyper.compiler.output import build_abi_output

PROJECT = Path(__file__).resolve().parents[2]
DEPLOYER = "0x" + "11" * 20
_ERROR = keccak(text="Error(string)")[:4]
_GAS = 100_000_000


class Reverted(AssertionError):
    """A call reverted; the message is the contract's reason."""


class FastEvm:
    """One chain whose block time a test sets."""

    def __init__(self) -> None:
        self.evm = EVM()
        self.evm.set_balance(DEPLOYER, 10**20)
        self.number = 1

    def at(self, timestamp: int) -> None:
        """Later calls run in a block of this time."""
        self.number += 1
        self.evm.set_block_env(BlockEnv(number=self.number, timestamp=timestamp, gas_limit=_GAS))

    def deploy(self, source: str, *args: Any) -> "Deployed":
        """Compile a file of this project and deploy it."""
        compiled = boa.load_partial(str(PROJECT / source))
        data = compiled.compiler_data
        abi = build_abi_output(data)
        constructor = next((f for f in abi if f["type"] == "constructor"), {"inputs": []})
        code = data.bytecode + encode(_types(constructor["inputs"]), args)
        return Deployed(self.evm, self.evm.deploy(DEPLOYER, code), abi)


class Deployed:
    """A contract; its functions are called by name with tuples for structs."""

    def __init__(self, evm: EVM, address: str, abi: list[dict[str, Any]]) -> None:
        self._evm = evm
        self.address = address
        self._functions = {f["name"]: f for f in abi if f["type"] == "function"}

    def __call__(self, name: str, *args: Any) -> Any:
        """Call and commit; returns the decoded result, alone if it is one.

        Raises:
            Reverted: with the contract's reason.
        """
        function = self._functions[name]
        inputs, outputs = _types(function["inputs"]), _types(function["outputs"])
        selector = keccak(text=f"{name}({','.join(inputs)})")[:4]
        try:
            result = self._evm.message_call(DEPLOYER, self.address, selector + encode(inputs, args), gas=_GAS)
        except RuntimeError as error:
            raise Reverted(_reason(str(error))) from error
        decoded = decode(outputs, bytes(result))
        return decoded[0] if len(decoded) == 1 else decoded

    @property
    def gas_used(self) -> int:
        """By the last call, the transaction's own costs included."""
        return int(self._evm.result.gas_used)


def _types(parameters: list[dict[str, Any]]) -> list[str]:
    return [collapse_if_tuple(p) for p in parameters]


def _reason(error: str) -> str:
    """The reason in revm's message, which shows a revert's return data as hex."""
    shown = re.search(r"output: 0x([0-9a-f]*)", error)
    output = bytes.fromhex(shown[1]) if shown else b""
    return str(decode(["string"], output[4:])[0]) if output[:4] == _ERROR else error
