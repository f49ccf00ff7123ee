"""The Governance: which calls of the vault's contracts wait, and how its owner announces, makes and drops them.

An owner that is a Safe signs elsewhere: every action here can be had as the transaction that its owners sign.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError, EncodingError
from web3.exceptions import Web3RPCError

from keeper.chain.abi import Function, function
from keeper.chain.artifacts import artifact
from keeper.chain.deployments import checked_address
from keeper.domain.times import utc_second
from keeper.errors import ConfigError, KeelError
from keeper.operations.contracts import bind
from keeper.operations.roles import Role, governed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from web3 import Web3
    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender

WINDOW: Final = 14 * 86_400  # seconds for which a call that has waited can be made; timelocked.vy's
_NOTHING: Final = "Nothing was sent."
_SHOWN: Final = 200  # characters of a call that nobody can read


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction: to whom, and its data."""

    to: str
    data: bytes

    def to_json(self) -> dict[str, Any]:
        """As a Safe takes it."""
        return {"to": self.to, "value": "0", "data": "0x" + self.data.hex()}


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits, has waited, or can never be made.

    Attributes:
        what: The call in words: contract, function, arguments.
        state: `waits`, `ready`, `expired`, or `void` where its contract was tightened since.
    """

    id: str
    call: Call
    what: str
    ready_at: int
    state: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"call": self.call.to_json()}


# ---------------------------------------------------------------- what is to be called


def call_of(deployment: Deployment, contract: str, name: str, args: Sequence[str]) -> Call:
    """A call of one of the deployment's contracts, from what a person has typed.

    Args:
        contract: Its name in the manifest.
        args: One text per parameter. Numbers may be written 0.12e18, addresses as names of contracts or roles, a role
            as KEEPER, a struct as a JSON list.

    Raises:
        ConfigError: there is no such function, or an argument is not one.
    """
    address = deployment.address(contract)
    entry = _entry(contract, name)
    inputs = entry["inputs"]
    if len(args) != len(inputs):
        wanted = ", ".join(f"{parameter['name']} ({_kind(parameter)})" for parameter in inputs) or "none"
        raise ConfigError(f"{contract}.{name} takes {len(inputs)} arguments: {wanted}.", kept=_NOTHING)
    values = [_value(deployment, parameter, _parsed(arg)) for parameter, arg in zip(inputs, args, strict=True)]
    try:
        return Call(address, function(contract.partition("-")[0], name).encode(*values))
    except (EncodingError, TypeError, ValueError) as error:
        raise ConfigError(f"{contract}.{name} does not take {', '.join(args)}: {error}.", kept=_NOTHING) from None


def abdication(deployment: Deployment, contract: str, name: str) -> Call:
    """The call by which the Governance gives up a function for good."""
    address = deployment.address(contract)
    _entry(contract, name)
    selector = function(contract.partition("-")[0], name).selector
    return Call(deployment.address("Governance"), function("Governance", "abdicate").encode(address, selector))


def wrapped(deployment: Deployment, action: str, call: Call) -> Call:
    """The Governance's `submit` or `accept` of a call: what its owner sends."""
    return Call(deployment.address("Governance"), function("Governance", action).encode(call.to, call.data))


def revocation(deployment: Deployment, id: str) -> Call:
    """The Governance's `revoke` of a pending call: what its owner or a guardian sends."""
    return Call(deployment.address("Governance"), function("Governance", "revoke").encode(bytes.fromhex(id[2:])))


def in_words(deployment: Deployment, call: Call) -> str:
    """A call as `RiskEngine.set_limits((..))`, as far as its contract and function are known."""
    names = [name for name, record in deployment.contracts.items() if record.address == call.to]
    for name in names:
        for known in _functions(name):
            if known.selector == call.data[:4]:
                return f"{name}.{known.name}({', '.join(_shown(value) for value in _arguments(known, call.data))})"
    return f"{names[0] if names else call.to}: 0x{call.data.hex()}"[:_SHOWN]


# ---------------------------------------------------------------- what waits


def delay_of(w3: Web3, deployment: Deployment, call: Call) -> int:
    """How long a call waits, seconds."""
    return int(bind(w3, deployment, "Governance").functions.delay_of(call.data[:4]).call())


def pending(w3: Web3, deployment: Deployment) -> list[Pending]:
    """Every call that was announced and is neither made nor dropped, the first to be ready first."""
    governance = bind(w3, deployment, "Governance")
    now = w3.eth.get_block("latest")["timestamp"]
    found = {}
    for log in _logs(governance.events.Submitted(), deployment.block, w3.eth.block_number):
        ready_at = governance.functions.ready_at(log["args"]["id"]).call()
        if ready_at == log["args"]["ready_at"]:
            call = Call(log["args"]["target"], bytes(log["args"]["data"]))
            id = "0x" + log["args"]["id"].hex()
            state = _state(w3, deployment, call, ready_at, now)
            found[id] = Pending(id, call, in_words(deployment, call), ready_at, state)
    return sorted(found.values(), key=lambda one: one.ready_at)


def require_pending(w3: Web3, deployment: Deployment, id: str) -> Pending:
    """The pending call with this id, or whose id begins with it.

    Raises:
        ConfigError: none, or several.
    """
    calls = pending(w3, deployment)
    matching = [one for one in calls if id.startswith("0x") and one.id.startswith(id.lower())]
    if len(matching) != 1:
        known = ", ".join(one.id[:10] for one in calls) or "none"
        number = "no" if not matching else "more than one"
        raise ConfigError(
            f"{id!r} is the beginning of {number} pending call's id (there are: {known}).",
            kept=_NOTHING,
            todo="See `keel governance pending`.",
        )
    return matching[0]


def require_ready(call: Pending) -> None:
    """Raises KeelError for a call that cannot be made now, with the reason."""
    if call.state == "ready":
        return
    why = {
        "waits": f"it waits until {utc_second(call.ready_at)}",
        "expired": f"it has expired at {utc_second(call.ready_at + WINDOW)}",
        "void": "its contract was tightened after it was announced",
    }[call.state]
    todo = "Try again then." if call.state == "waits" else "Revoke it and submit it anew."
    raise KeelError(f"{call.what} cannot be made: {why}.", kept=_NOTHING, todo=todo)


# ---------------------------------------------------------------- who does it


def send(sender: Sender, deployment: Deployment, call: Call, action: str) -> TxReceipt:
    """Send a call of the Governance from its owner; revoking, from a guardian too.

    Raises:
        KeelError: the sender may not, or the Governance refuses.
    """
    governance = bind(sender.w3, deployment, "Governance")
    owner = governance.functions.owner().call()
    is_guardian = action == "revoke" and governance.functions.is_guardian(sender.address).call()
    if sender.address != owner and not is_guardian:
        raise KeelError(
            f"The owner of the Governance is {owner}, not {sender.address}.",
            kept=_NOTHING,
            todo="Sign with that account; if it is a Safe, print the transaction for it with `--for-safe`.",
        )
    _, arguments = governance.decode_function_input("0x" + call.data.hex())
    return sender.send(governance.functions[action](*arguments.values()), f"Governance.{action}")


# ---------------------------------------------------------------- internals


def _entry(contract: str, name: str) -> Mapping[str, Any]:
    entries = [entry for entry in artifact(contract.partition("-")[0]).abi if entry["type"] == "function"]
    for entry in entries:
        if entry["name"] == name:
            return entry
    changing = sorted(entry["name"] for entry in entries if entry["stateMutability"] == "nonpayable")
    raise ConfigError(f"{contract} has no function {name!r} (it has: {', '.join(changing)}).", kept=_NOTHING)


def _functions(contract: str) -> list[Function]:
    """Of a contract by its name in the manifest; none of a pool, which is not ours."""
    kind = contract.partition("-")[0]
    if kind == "UniswapV3Pool":
        return []
    return [function(kind, entry["name"]) for entry in artifact(kind).abi if entry["type"] == "function"]


def _kind(parameter: Mapping[str, Any]) -> str:
    """A parameter's type for people: structs by their fields."""
    if not parameter["type"].startswith("tuple"):
        return str(parameter["type"])
    return "[" + ", ".join(field["name"] for field in parameter["components"]) + "]"


def _parsed(text: str) -> Any:
    """JSON where it is a list, else the text itself."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{text} is not a JSON list: {error}.", kept=_NOTHING) from None


def _value(deployment: Deployment, parameter: Mapping[str, Any], given: Any) -> Any:
    """An argument as eth_abi takes it."""
    kind, name = parameter["type"], parameter["name"]
    problem = f"{name or 'an argument'} is {given!r}, not a value of type {_kind(parameter)}"
    if kind == "tuple":
        components = parameter["components"]
        if not isinstance(given, list) or len(given) != len(components):
            raise ConfigError(f"{problem}.", kept=_NOTHING)
        return tuple(_value(deployment, field, value) for field, value in zip(components, given, strict=True))
    if kind.endswith("]"):
        if not isinstance(given, list):
            raise ConfigError(f"{problem}.", kept=_NOTHING)
        element = {**parameter, "type": kind[: kind.rindex("[")]}
        return [_value(deployment, element, value) for value in given]
    try:
        return _plain(deployment, kind, name, given)
    except (InvalidOperation, ValueError, KeyError):
        raise ConfigError(f"{problem}.", kept=_NOTHING) from None


def _plain(deployment: Deployment, kind: str, name: str, given: Any) -> Any:
    text = str(given)
    if kind == "address":
        if text in deployment.contracts:
            return deployment.contracts[text].address
        return deployment.roles[text] if text in deployment.roles else checked_address(text)
    if kind == "bool":
        return {"true": True, "false": False}[text.lower()]
    if kind.startswith("bytes"):
        return bytes.fromhex(text.removeprefix("0x"))
    if name == "role" and not text.isdecimal():
        return int(Role[text.upper()])
    number = Decimal(text)
    if number != int(number):
        raise ValueError
    return int(number)


def _arguments(known: Function, data: bytes) -> tuple[Any, ...]:
    """What a call says; its bytes where they are not of the function's types."""
    try:
        return decode(known.inputs, data[4:])
    except DecodingError:
        return (data[4:],)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return "(" + ", ".join(_shown(one) for one in value) + ")"
    return str(value)


def _state(w3: Web3, deployment: Deployment, call: Call, ready_at: int, now: int) -> str:
    if now < ready_at:
        return "waits"
    if now > ready_at + WINDOW:
        return "expired"
    submitted_at = ready_at - delay_of(w3, deployment, call)
    return "void" if _tightened_at(w3, deployment, call.to) > submitted_at else "ready"


def _tightened_at(w3: Web3, deployment: Deployment, target: str) -> int:
    """When something of a contract was last tightened at once; 0 for those without a governor."""
    names = [name for name in governed() if deployment.address(name) == target]
    return max((int(bind(w3, deployment, name).functions.tightened_at().call()) for name in names), default=0)


def _logs(event: Any, first: int, last: int) -> list[Any]:
    """An event's logs from block to block; in parts where a node refuses so many at once."""
    try:
        return list(event.get_logs(from_block=first, to_block=last))
    except Web3RPCError:
        if first == last:
            raise
    middle = (first + last) // 2
    return [*_logs(event, first, middle), *_logs(event, middle + 1, last)]
