"""titanoboa's environment executed by revm instead of py-evm: a hundred times faster.

Everything that tests do with `boa.env` works, but for what needs a trace of opcodes (coverage, gas profiles, the Python
stack trace of a revert): with `--cov` or `--gas-profile` the suites run on py-evm.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest.mock import patch

import boa
from boa.contracts.call_trace import TraceFrame
from boa.contracts.vyper.vyper_contract import VyperContract
from boa.environment import Env
from boa.util.abi import Address
from boa.vm.gas_meters import NoGasMeter
from eth.vm.message import Message
from eth_abi import decode
from eth_utils.crypto import keccak
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv
from pyrevm import Env as RevmConfig
from web3 import Web3

_GAS = 100_000_000
_ERROR = keccak(text="Error(string)")[:4]
_DRIVER, _COPY = Address("0x" + "d0" * 20), Address("0x" + "c0" * 20)
_FORWARDER = bytes.fromhex(
    f"3373{'d0' * 20}14604857"  # caller == _DRIVER: jump to the last part
    f"365f5f375f5f365f73{'c0' * 20}5af4"  # else delegate the call to _COPY
    "5b3d5f5f3e6044573d5ffd5b3d5ff3"  # return or revert with what came back
    "5b6014360360145f375f5f60143603"
    "5f5f5f3560601c5af1603956"  # call the first 20 bytes with the rest
)


class CallFailed(Exception):
    """A call reverted or ran out of gas; the message is revm's."""


@dataclass(frozen=True)
class _Code:
    """Stands for the code that py-evm would have traced."""

    _trace: tuple[int, ...] = ()


@dataclass
class Call:
    """What titanoboa asks of a py-evm computation, for one call that revm has made."""

    msg: Message
    output: bytes
    error: CallFailed | None
    gas_used: int
    logs: list[Any]
    code: _Code = field(default_factory=_Code)
    children: tuple[Any, ...] = ()
    beneficiaries: tuple[Any, ...] = ()
    _gas_meter_class = NoGasMeter
    _contract_repr_before_revert = "(its storage is not shown)"

    @property
    def is_error(self) -> bool:
        return self.error is not None

    @property
    def net_gas_used(self) -> int:
        return self.gas_used

    @cached_property
    def call_trace(self) -> TraceFrame:
        return TraceFrame(self, None, 0, [])

    @property
    def _log_entries(self) -> list[tuple[int, bytes, tuple[int, ...], bytes]]:
        return list(self.get_raw_log_entries())

    def get_raw_log_entries(self) -> Iterator[tuple[int, bytes, tuple[int, ...], bytes]]:
        """The logs in the order of their emission, as py-evm gives them."""
        for number, log in enumerate(self.logs):
            topics = tuple(int(topic, 16) for topic in log.topics)
            yield number, Address(log.address).canonical_address, topics, bytes(log.data[1])


@dataclass
class _Block:
    """The block that the next call runs in."""

    timestamp: int
    block_number: int
    chain_id: int

    @contextlib.contextmanager
    def anchor(self) -> Iterator[None]:
        kept = (self.timestamp, self.block_number)
        try:
            yield
        finally:
            self.timestamp, self.block_number = kept


class Revm:
    """The state of a fork, with the names that `boa.environment.Env` uses."""

    _fast_mode_enabled = False

    def __init__(self, url: str) -> None:
        w3 = Web3(Web3.HTTPProvider(url))
        head = w3.eth.get_block("latest")
        self.patch = _Block(head["timestamp"], head["number"], w3.eth.chain_id)
        config = RevmConfig(cfg=CfgEnv(chain_id=self.patch.chain_id))
        self._replaced: list[tuple[Address, bytes]] = []  # codes before they were set: revm's journal does not know
        self.evm = EVM(env=config, fork_url=url, fork_block="0x" + bytes(head["hash"]).hex())

    def call(self, sender: Address, to: Address, data: bytes, value: int, gas: int | None, is_static: bool) -> Call:
        self._enter_block()
        output, error = b"", None
        with self._sending(sender, to, data) as (origin, first, sent):
            try:
                output = bytes(
                    self.evm.message_call(
                        origin, first, calldata=sent, value=value, gas=gas or _GAS, is_static=is_static
                    )
                )
            except RuntimeError as failure:
                output, error = _revert_data(str(failure)), CallFailed(_readable(str(failure)))
        message = Message(
            sender=sender.canonical_address,
            to=to.canonical_address,
            gas=gas or _GAS,
            value=value,
            data=data,
            code=b"",
            is_static=is_static,
        )
        return self._done(message, output, error)

    def create(self, sender: Address, code: bytes, value: int) -> tuple[Address, Call]:
        self._enter_block()
        address, error, output = Address("0x" + "00" * 20), None, b""
        try:
            address = Address(self.evm.deploy(sender, code, value=value))
            output = self.get_code(address)
        except RuntimeError as failure:
            output, error = _revert_data(str(failure)), CallFailed(_readable(str(failure)))
        message = Message(
            sender=sender.canonical_address,
            to=b"",
            gas=_GAS,
            value=value,
            data=b"",
            code=code,
            create_address=address.canonical_address,
        )
        return address, self._done(message, output, error)

    @contextlib.contextmanager
    def _sending(self, sender: Address, to: Address, data: bytes) -> Iterator[tuple[Address, Address, bytes]]:
        """Sender, receiver and data of the transaction in which `sender` calls `to`. An account with code cannot send
        (EIP-3607): meanwhile it forwards what _DRIVER sends it, and delegates everything else to a copy of its code.
        """
        code = self.get_code(sender)
        if not code:
            yield sender, to, data
            return
        self.set_code(_COPY, code)
        self.set_code(sender, _FORWARDER)
        try:
            yield _DRIVER, sender, to.canonical_address + data
        finally:
            self.set_code(sender, code)

    def _enter_block(self) -> None:
        self.evm.set_block_env(BlockEnv(number=self.patch.block_number, timestamp=self.patch.timestamp, gas_limit=_GAS))

    def _done(self, message: Message, output: bytes, error: CallFailed | None) -> Call:
        result = self.evm.result
        return Call(message, output, error, int(result.gas_used), [] if error else list(result.logs))

    def get_gas_meter_class(self) -> type:
        return NoGasMeter

    def snapshot(self) -> tuple[Any, int]:
        return self.evm.snapshot(), len(self._replaced)

    def revert(self, snapshot: tuple[Any, int]) -> None:
        checkpoint, replaced = snapshot
        while len(self._replaced) > replaced:
            self.put_code(*self._replaced.pop())
        self.evm.revert(checkpoint)

    def get_balance(self, address: Address) -> int:
        return int(self.evm.get_balance(address))

    def set_balance(self, address: Address, value: int) -> None:
        self.evm.set_balance(address, value)

    def get_code(self, address: Address) -> bytes:
        return bytes(self.evm.get_code(address) or b"")

    def set_code(self, address: Address, code: bytes) -> None:
        self._replaced.append((address, self.get_code(address)))
        self.put_code(address, code)

    def put_code(self, address: Address, code: bytes) -> None:
        was = self.evm.basic(address)
        self.evm.insert_account_info(address, AccountInfo(nonce=was.nonce, balance=was.balance, code=code))

    def get_storage(self, address: Address, slot: int) -> int:
        return int(self.evm.storage(address, slot))

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self.evm.insert_account_storage(address, slot, value)


class RevmEnv(Env):
    """`boa.env` for a fork served at `url`."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.nickname = "revm"
        self.evm: Any = Revm(url)

    def execute_code(
        self,
        to_address: Any = b"",
        sender: Any = None,
        gas: int | None = None,
        value: int = 0,
        data: bytes = b"",
        override_bytecode: bytes | None = None,
        is_modifying: bool = True,
        simulate: bool = False,
        **unused: Any,
    ) -> Call:
        """A call; see titanoboa's. What is unused concerns traces."""
        origin, to = self._get_sender(sender), Address(to_address)
        kept = self.evm.get_code(to)
        with self._anchor() if simulate else contextlib.nullcontext():
            if override_bytecode is not None:
                self.evm.set_code(to, override_bytecode)
            done: Call = self.evm.call(origin, to, data, value, gas, not is_modifying)
            if override_bytecode is not None:
                self.evm.set_code(to, kept)
            return done

    def deploy(
        self, sender: Any = None, gas: int | None = None, value: int = 0, bytecode: bytes = b"", **unused: Any
    ) -> tuple[Address, Call]:
        """A creation; see titanoboa's."""
        return self.evm.create(self._get_sender(sender), bytecode, value)


def _revert_data(failure: str) -> bytes:
    """The return data that revm prints in its message."""
    _, found, shown = failure.partition("output: 0x")
    digits = shown[: len(shown) - len(shown.lstrip("0123456789abcdef"))]
    return bytes.fromhex(digits) if found else b""


def _readable(failure: str) -> str:
    """The contract's reason where it gave one."""
    data = _revert_data(failure)
    return str(decode(["string"], data[4:])[0]) if data[:4] == _ERROR else failure


@contextlib.contextmanager
def fork(url: str) -> Iterator[RevmEnv]:
    """Inside this block `boa.env` is a fork of `url` in revm. Constructors get no source maps: only traces use them."""
    with boa.swap_env(RevmEnv(url)), patch.object(VyperContract, "_deployment_source_map", None):
        yield boa.env
