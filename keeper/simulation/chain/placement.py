"""Putting published contracts at given addresses of a local chain."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.abi import get_abi_input_types
from eth_utils.address import to_checksum_address
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from keeper.simulation.chain.packages import package_path
from keeper.simulation.rpc import AnvilRpcError, Rpc

CALL_GAS = 16_000_000  # under the cap of 2**24 on one transaction
_CONSTRUCTOR_GAS = 30_000_000  # an eth_call has no such cap
_BALANCE = 10**24  # wei, given to every account that sends


@dataclass(frozen=True)
class PublishedContract:
    """ABI and creation code as a package publishes them; `links` in the compiler's own form."""

    abi: Sequence[Mapping[str, Any]]
    bytecode: str
    links: Mapping[str, Mapping[str, Sequence[Mapping[str, int]]]] = field(default_factory=dict)

    @property
    def libraries(self) -> set[str]:
        """Names of the libraries that it must be linked with."""
        return {name for per_file in self.links.values() for name in per_file}

    def creation_code(self, args: Sequence[Any] = (), libraries: Mapping[str, str] | None = None) -> bytes:
        """Linked creation code followed by the encoded constructor arguments."""
        code = self.bytecode.removeprefix("0x")
        for per_file in self.links.values():
            for name, places in per_file.items():
                address = (libraries or {})[name].removeprefix("0x").lower()
                for place in places:
                    start = 2 * place["start"]
                    code = code[:start] + address + code[start + 2 * place["length"] :]
        constructor = next((entry for entry in self.abi if entry["type"] == "constructor"), None)
        types = get_abi_input_types(constructor) if constructor else []  # type: ignore[arg-type]
        return bytes.fromhex(code) + encode(types, list(args))


@cache
def published(package: str, path: str) -> PublishedContract:
    """Read a build artifact of hardhat, truffle or @chainlink/contracts inside a fetched package."""
    return parse_artifact(package_path(package) / path)


def parse_artifact(path: Path) -> PublishedContract:
    content = json.loads(path.read_text())
    if "compilerOutput" in content:
        content = content["compilerOutput"]
        bytecode = content["evm"]["bytecode"]
        return PublishedContract(content["abi"], bytecode["object"], bytecode.get("linkReferences") or {})
    return PublishedContract(content["abi"], content["bytecode"], content.get("linkReferences") or {})


class LocalChain:
    """An anvil under construction: every account can be impersonated, every transaction must succeed."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.w3 = Web3(Web3.HTTPProvider(rpc.url))
        self.deployer: str = self.w3.eth.accounts[0]
        self._unlocked = set(self.w3.eth.accounts)

    def impersonate(self, account: str) -> str:
        """Let `account` send transactions, with enough ether for them. Returns its checksum address."""
        account = to_checksum_address(account)
        if account not in self._unlocked:
            self.rpc.call("anvil_impersonateAccount", account)
            self.rpc.call("anvil_setBalance", account, hex(_BALANCE))
            self._unlocked.add(account)
        return account

    def send(self, sender: str, to: str | None, data: bytes | str, value: int = 0) -> Mapping[str, Any]:
        """Send a transaction and return its receipt. Raises AnvilRpcError with the reason when it reverts."""
        transaction = {
            "from": self.impersonate(sender),
            "data": data if isinstance(data, str) else "0x" + data.hex(),
            "value": hex(value),
            "gas": hex(CALL_GAS),
        }
        if to is not None:
            transaction["to"] = to
        receipt: Mapping[str, Any] = self.rpc.call("eth_sendTransactionSync", transaction)
        if receipt["status"] != "0x1":
            self.rpc.call("eth_call", transaction, "latest")  # raises with the reason
            raise AnvilRpcError("eth_sendTransactionSync", {"message": f"reverted without a reason: {receipt}"})
        return receipt

    def transact(self, call: ContractFunction, sender: str | None = None, value: int = 0) -> Mapping[str, Any]:
        """Send a contract call, from the deployer unless told otherwise."""
        return self.send(sender or self.deployer, call.address, call._encode_transaction_data(), value)

    def contract(self, abi: Sequence[Mapping[str, Any]], address: str) -> Contract:
        return self.w3.eth.contract(address=to_checksum_address(address), abi=abi)

    def deploy(
        self,
        source: PublishedContract,
        args: Sequence[Any] = (),
        libraries: Mapping[str, str] | None = None,
        sender: str | None = None,
    ) -> Contract:
        """An ordinary deployment, at whatever address it gets."""
        receipt = self.send(sender or self.deployer, None, source.creation_code(args, libraries))
        return self.contract(source.abi, receipt["contractAddress"])

    def place(
        self,
        source: PublishedContract,
        address: str,
        args: Sequence[Any] = (),
        libraries: Mapping[str, str] | None = None,
        sender: str | None = None,
    ) -> Contract:
        """Run the real constructor in place: at `address`, with its immutables and storage.

        The address first gets the creation code as its code. A call then runs the constructor with
        address(this) right and storage written where it belongs; what it returns becomes the code.
        The nonce is 1, as after any creation, so what `address` creates later lands where it does on mainnet.
        """
        code = source.creation_code(args, libraries)
        self.rpc.call("anvil_setNonce", address, "0x1")
        self.rpc.call("anvil_setCode", address, "0x" + code.hex())
        sender = self.impersonate(sender or self.deployer)
        runtime = self.rpc.call("eth_call", {"from": sender, "to": address, "gas": hex(_CONSTRUCTOR_GAS)}, "latest")
        self.send(sender, address, b"")
        self.rpc.call("anvil_setCode", address, runtime)
        return self.contract(source.abi, address)

    def set_code(self, address: str, runtime: str) -> None:
        """Give `address` a code without a constructor."""
        self.rpc.call("anvil_setCode", address, runtime)
        self.rpc.call("anvil_setNonce", address, "0x1")

    @property
    def time(self) -> int:
        """Timestamp of the latest block."""
        return int(self.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def mine_at(self, timestamp: int) -> None:
        """Mine a block at `timestamp`. (`evm_increaseTime` is ignored while a block interval is set.)"""
        self.rpc.call("evm_setNextBlockTimestamp", timestamp)
        self.rpc.call("evm_mine")
