"""`keel replay`: a recorded decision made again from what is stored, and compared field by field."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper.config import Settings
from keeper.domain.decision import Brief, Decision
from keeper.domain.times import utc_second
from keeper.execution.environment import differences, environment
from keeper.execution.journal import Journal
from keeper.execution.records import Record, to_text
from keeper.hedging.brief import answer, failed
from keeper.operations.explain import journal_of, nothing_at

TOLERANCE: Final = 1e-9  # relative, and absolute where numbers are below 1: what other versions may differ by
_ABSENT: Final = "nothing"
_NUMBER: Final = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that came out otherwise than it was recorded, as JSON."""

    field: str
    recorded: str
    again: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Attributes:
        action: As recorded, with its ``reason``.
        withheld: Whether an order or the kill switch kept what was decided from being done.
        computed: False where there is nothing to compute again: ``reason`` says why.
        intact: Whether the record has the hash that was recorded with it, and that its transaction has.
        elsewhere: What is other than where it was recorded; empty where each bit must be the same.
        off_by: Largest difference of a number, as ``TOLERANCE`` counts it.
        differences: Fields that differ by more than is allowed.
    """

    block_number: int
    timestamp: int
    action: str
    reason: str
    withheld: bool
    computed: bool
    intact: bool
    elsewhere: tuple[str, ...] = ()
    off_by: float = 0.0
    differences: tuple[Difference, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the record is what its inputs give."""
        return self.intact and not self.differences

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"holds": self.holds}


def replay_block(settings: Settings, block_number: int, *, dry_run: bool = False) -> Replay:
    """Make the newest hedging decision on a block again. Needs the journal, not the node.

    Raises:
        KeelError: nothing was recorded there; says which blocks are near.
    """
    with journal_of(settings, dry_run=dry_run) as journal:
        record = journal.decision_at(block_number)
        if record is None:
            raise nothing_at(journal, block_number)
        return replay(record, intact=_is_intact(journal, record))


def replay(record: Record, *, intact: bool = True) -> Replay:
    """Make a recorded decision again, from the record alone."""
    decision, snapshot = record.decision, record.snapshot
    found = Replay(
        decision.block_number,
        record.timestamp,
        decision.action,
        decision.reason,
        withheld=record.wanted is not None,
        computed=snapshot is not None,
        intact=intact,
    )
    if snapshot is None:
        return found
    try:
        again = answer(snapshot, record.policy, record.brief or Brief())
    except Exception as error:  # as the loop does
        again = failed(snapshot, error)
    elsewhere = differences(record.environment, environment())
    off_by, fields = compare(record.wanted or decision, again, exactly=not elsewhere)
    return dataclasses.replace(found, elsewhere=elsewhere, off_by=off_by, differences=fields)


def compare(recorded: Decision, again: Decision, *, exactly: bool) -> tuple[float, tuple[Difference, ...]]:
    """The largest difference of two numbers, and the fields that differ: at all, or by more than ``TOLERANCE``.

    Numbers in a text may then differ in their last digit.
    """
    then, now = (dict(_leaves(json.loads(to_text(decision)))) for decision in (recorded, again))
    off_by, found = 0.0, []
    for name in sorted(then.keys() | now.keys()):
        old, new = then.get(name, _ABSENT), now.get(name, _ABSENT)
        if (texts := (json.dumps(old), json.dumps(new)))[0] == texts[1]:
            continue
        is_near = False
        if _is_number(old) and _is_number(new):
            off_by = max(off_by, distance := _distance(old, new))
            is_near = distance <= TOLERANCE
        elif isinstance(old, str) and isinstance(new, str):
            is_near = _reads_the_same(old, new)
        if exactly or not is_near:
            found.append(Difference(name, *texts))
    return off_by, tuple(found)


def render(found: Replay) -> Group:
    """For a terminal."""
    when = utc_second(found.timestamp)
    parts: list[RenderableType] = [
        Text(f"Block {found.block_number}, {when}: {found.action}", style="bold"),
        Text(f"{found.reason}\n"),
    ]
    if not found.intact:
        parts.append(Text("The record was changed after it was written: it has not the hash that it was given then."))
    if not found.computed:
        parts.append(Text("There is nothing to make again: nothing was computed, the reason above says why."))
        return Group(*parts)
    if found.withheld:
        parts.append(Text("It was not carried out, as the reason says; what was decided before that is made again."))
    if found.elsewhere:
        parts.append(Text(f"Not as where it was recorded, so compared to {TOLERANCE:g}: {'; '.join(found.elsewhere)}."))
    if found.differences:
        table = Table("field", "recorded", "made again", title="What differs", title_justify="left")
        for one in found.differences:
            table.add_row(one.field, one.recorded, one.again)
        parts.append(table)
    parts.append(Text(_verdict(found), style="bold"))
    return Group(*parts)


def _verdict(found: Replay) -> str:
    if found.differences:
        return "DIFFERENT: this is not what the stored inputs give."
    same = f"the same to {found.off_by:.0e}" if found.off_by else "the same, bit for bit"
    return f"What the stored inputs give is {same}{'.' if found.intact else ', but the record was changed: DAMAGED.'}"


def _is_intact(journal: Journal, record: Record) -> bool:
    """Its hash is that of what is stored, and is in the call that was made: a rebalance ends with it."""
    digest = bytes.fromhex(record.decision_hash.removeprefix("0x"))
    calls = [intent.call for intent, _ in journal.transactions_of(record.id)]
    return journal.is_intact(record) and all(digest in call.data for call in calls)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each plain value with its name, as in `legs.0.limit_price`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield name, value
        return
    for key, inner in items:
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _distance(old: float, new: float) -> float:
    if not (math.isfinite(old) and math.isfinite(new)):
        return math.inf
    return float(abs(old - new) / max(1, abs(old), abs(new)))


def _reads_the_same(old: str, new: str) -> bool:
    """Whether two texts are the same but for the last digit of a number."""
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return False
    pairs = zip_longest(_NUMBER.findall(old), _NUMBER.findall(new))
    return all(_value(a) == _value(b) or abs(_value(a) - _value(b)) <= 1.01 * _last_digit(a) for a, b in pairs)


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _last_digit(number: str) -> float:
    digits, _, exponent = number.partition("e")
    decimals = len(digits.partition(".")[2])
    return float(10.0 ** (int(exponent or 0) - decimals))
