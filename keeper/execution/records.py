"""What the journal holds, as values, and their exact text form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from eth_utils.crypto import keccak
from pydantic import TypeAdapter

from keeper.domain.decision import Brief, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.execution.states import State

FEE_FLOOR: Final = 5 * 10**16  # wei: what any transaction may cost; it may cost more where more is at risk

T = TypeVar("T")


class Kind(StrEnum):
    """What a decision is about."""

    HEDGE = "hedge"
    SETTLE = "settle"
    FUND = "fund"
    REDEEM = "redeem"
    HEARTBEAT = "heartbeat"
    LEND = "lend"
    POST = "post"
    STOP = "stop"


BESIDE: Final = frozenset({Kind.POST, Kind.STOP})  # done with keys of their own: the hedge does not wait for them


class Result(StrEnum):
    """How an intent ended.

    CONFIRMED, FAILED: mined, and did or did not succeed. CANCELLED: an empty transaction took its nonce.
    REFUSED: the simulation or the node said no, nothing was sent. SUPERSEDED: another transaction used the nonce.
    ABANDONED: no node has it, and it would not succeed now. UNSIGNED: the signer did not sign.
    """

    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"
    UNSIGNED = "unsigned"


MINED_RESULTS: Final = frozenset({Result.CONFIRMED, Result.FAILED, Result.CANCELLED})


@dataclass(frozen=True, slots=True)
class Record:
    """A decision as recorded, with all that it was made from.

    ``snapshot`` and ``brief`` are None where nothing was computed: for a duty, while a transaction was in flight, or
    when the chain could not be read. ``wanted`` is what was decided where an order or the kill switch withheld it, else
    None. ``environment`` tells what computed it, as `keeper.execution.environment` does; empty where that is unknown.
    """

    id: int
    kind: Kind
    block_number: int
    block_hash: str
    timestamp: int
    decision: Decision
    policy: Policy
    snapshot: Snapshot | None
    decision_hash: str
    brief: Brief | None = None
    wanted: Decision | None = None
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction; fees in wei per gas.

    ``block_number`` is the newest block when it was signed. One that ``is_empty`` calls nothing: it takes a nonce, so
    that what has it cannot be mined any more, or that what comes after it can.
    """

    nonce: int
    tx_hash: str
    raw: bytes
    max_fee: int
    priority_fee: int
    block_number: int = 0
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a contract: `purpose` is for people."""

    purpose: str
    target: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Intent:
    """A call to make once, with the transactions that were signed for it so far, oldest first.

    ``fee_ceiling`` is what one of them may cost, wei. ``account`` is whose nonces they use.
    """

    id: int
    decision_id: int
    call: Call
    attempts: tuple[Attempt, ...] = ()
    state: State = State.PLANNED
    fee_ceiling: int = FEE_FLOOR
    account: str = ""

    @property
    def nonce(self) -> int:
        """Of its own transactions; an empty one may have a lower nonce, to fill a gap before them.

        Raises:
            IndexError: nothing is signed.
        """
        return self.attempts[0].nonce

    @property
    def own_attempts(self) -> tuple[Attempt, ...]:
        """Without those that fill a gap of nonces before them."""
        return tuple(one for one in self.attempts if one.nonce == self.nonce)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an intent ended; the block's fields are there when it was mined. ``gas_price`` in wei."""

    result: Result
    detail: str = ""
    tx_hash: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    gas_used: int | None = None
    gas_price: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an intent from state to state."""

    state: State
    detail: str = ""
    outcome: Outcome | None = None


_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {
    kind: TypeAdapter(kind) for kind in (Brief, Decision, Policy, Snapshot)
}


def to_text(value: Any) -> str:
    """Canonical JSON of a Brief, Decision, Policy or Snapshot: integers of any size, exact floats, infinities."""
    plain = _ADAPTERS[type(value)].dump_python(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def from_text(kind: type[T], text: str | bytes) -> T:
    """Inverse of ``to_text``.

    Raises:
        ValueError: not the text of such a value.
    """
    value: T = _ADAPTERS[kind].validate_python(json.loads(text))
    return value


def decision_hash(decision: Decision, policy: Policy, snapshot: Snapshot | None, brief: Brief | None = None) -> str:
    """keccak256 of what was decided, by which policy and on what: `rebalance` logs it on chain."""
    return hash_of_texts(*("" if part is None else to_text(part) for part in (decision, policy, snapshot, brief)))


def hash_of_texts(decision: str, policy: str, snapshot: str, brief: str) -> str:
    """The same of the canonical texts; of what is None the text is empty."""
    parts = [decision, policy, snapshot, *([brief] if brief else [])]  # there was none in the first versions
    return "0x" + keccak(text="\n".join(parts)).hex()
