"""What the journal holds, as values, and their exact text form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from eth_utils.crypto import keccak
from pydantic import TypeAdapter

from keeper.domain.decision import Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot

T = TypeVar("T")


class Kind(StrEnum):
    """What a decision is about."""

    HEDGE = "hedge"
    SETTLE = "settle"
    FUND = "fund"
    REDEEM = "redeem"
    HEARTBEAT = "heartbeat"
    LEND = "lend"


class Result(StrEnum):
    """How an intent ended.

    CONFIRMED, FAILED: mined, and did or did not succeed. REFUSED: the simulation or the node said no, nothing was
    sent. SUPERSEDED: another transaction used the nonce. ABANDONED: never reached a node, and would not succeed now.
    """

    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Record:
    """A decision as recorded. ``snapshot`` is None when the chain could not be read."""

    id: int
    kind: Kind
    block_number: int
    block_hash: str
    timestamp: int
    decision: Decision
    policy: Policy
    snapshot: Snapshot | None
    decision_hash: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction; fees in wei per gas."""

    nonce: int
    tx_hash: str
    raw: bytes
    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a contract: `purpose` is for people."""

    purpose: str
    target: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Intent:
    """A call to make once, with the transactions that were signed for it so far, oldest first."""

    id: int
    decision_id: int
    call: Call
    attempts: tuple[Attempt, ...] = ()


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


_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {kind: TypeAdapter(kind) for kind in (Decision, Policy, Snapshot)}


def to_text(value: Any) -> str:
    """Canonical JSON of a Decision, Policy or Snapshot: integers of any size, exact floats, infinities."""
    plain = _ADAPTERS[type(value)].dump_python(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def from_text(kind: type[T], text: str | bytes) -> T:
    """Inverse of ``to_text``.

    Raises:
        ValueError: not the text of such a value.
    """
    value: T = _ADAPTERS[kind].validate_python(json.loads(text))
    return value


def decision_hash(decision: Decision, policy: Policy, snapshot: Snapshot | None) -> str:
    """keccak256 of what was decided, by which policy and on what: `rebalance` logs it on chain."""
    parts = [to_text(decision), to_text(policy), to_text(snapshot) if snapshot is not None else ""]
    return "0x" + keccak(text="\n".join(parts)).hex()
