"""What the loop tells the outside: metrics, whether it lives, and which conditions somebody should hear of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.safety import Order, Vitals, WatchLevels
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.execution.orders import Entry
from keeper.execution.records import Intent, Record, Result
from keeper.runtime.alerts import Alerter, Condition, Severity
from keeper.runtime.metrics import Metrics
from keeper.runtime.supervisor import Supervisor

_LONGEST: Final = 500  # characters of an alert
EVENT_SECONDS: Final = 600.0  # for which something that has happened, and is over, counts as holding


@dataclass(frozen=True, slots=True)
class Health:
    """``alive`` is whether the loop comes round; the rest is for people. Ages in seconds.

    ``role`` is `active`, or `standby`, while ``leader`` keeps the vault.
    """

    alive: bool
    role: str
    leader: str
    loop_age: float
    block: int | None
    block_age: float | None
    orders: tuple[str, ...]
    conditions: tuple[str, ...]


class Watch:
    """One keeper's. The loop calls it; web server and alerter read it from their threads.

    Args:
        connection: Asked whether a block that was dealt with is still canonical.
        clock: Goes forward only: a host that sleeps or sets its clock does not look like a stall, or hide one.
        supervisor: systemd's, which restarts a process whose loop stalls.
        world: This machine's clock, seconds since 1970, by which the newest block should be young: a single node that
            follows from afar looks well otherwise. None on a chain with a time of its own.
    """

    def __init__(
        self,
        connection: Connection,
        levels: WatchLevels,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        supervisor: Supervisor | None = None,
        world: Callable[[], float] | None = None,
    ) -> None:
        self._connection, self._levels, self.metrics, self._clock = connection, levels, metrics, clock
        self._supervisor, self._world = supervisor or Supervisor(""), world
        self._alerter: Alerter | None = None
        self._started = self._came_round = clock()
        self._block: Header | None = None
        self._done_at = self._started
        self._began_at: float | None = None
        self._outside_since: int | None = None
        self._unread_since: float | None = None
        self._refused_since: float | None = None
        self._blind_since: float | None = None
        self._blind = ""
        self._in_flight: dict[int, float] = {}
        self._lock = threading.Lock()  # of the events
        self._events: dict[str, tuple[float, Condition]] = {}
        self._conditions: tuple[Condition, ...] = ()
        self._standing: tuple[Entry, ...] = ()
        self._unread = ""
        self._leader: str | None = None  # another machine, while this one stands by
        metrics.leader.set(1)
        metrics.polled.set_to_current_time()

    def tell(self, alerter: Alerter) -> None:
        """Whom to tell."""
        self._alerter = alerter

    # ------------------------------------------------------------------ what the loop says

    def came_round(self) -> None:
        """The loop is alive, whether or not there is a new block."""
        self._came_round = self._clock()
        self.metrics.polled.set_to_current_time()
        self._supervisor.still_alive()

    def begins(self, block: Header) -> None:
        """A new block is being dealt with."""
        self.now_at(block)
        if self._leader is not None:
            what = f"This machine keeps the vault now. Before it was {self._leader}: see why it went silent."
            self._event("took-over", Severity.WARNING, what)
            self._leader = None
            self.metrics.leader.set(1)
        self._began_at = self._clock()

    def now_at(self, block: Header) -> None:
        """Log lines carry this block's number from here on: a duty that was done has brought a newer one."""
        structlog.contextvars.bind_contextvars(block=block.number)

    def stands_by(self, block: Header, leader: str) -> None:
        """Another machine keeps the vault; what is wrong with that is its to tell. This one could read this block."""
        self.now_at(block)
        self._block, self._done_at, self._unread = block, self._clock(), ""
        self._leader = leader
        self.metrics.block.set(block.number)
        self.metrics.block_time.set(block.timestamp)
        self.metrics.stand_by()
        self._began_at = self._outside_since = self._unread_since = self._refused_since = self._blind_since = None
        self._in_flight, self._standing, self._conditions = {}, (), ()
        self._publish()

    def node_failed(self, what: str) -> None:
        """A node did not answer."""
        self.metrics.node_errors.inc()
        self._unread = what
        self._publish()

    def signer_failed(self, what: str) -> None:
        """Who holds a key signs nothing. Safe from other threads than the loop's."""
        self._event("signer-down", Severity.CRITICAL, what)

    def counted_error(self) -> None:
        """An unexpected error, or a transaction that failed."""
        self.metrics.errors.inc()

    def ended(self, intent: Intent, result: Result, detail: str) -> None:
        """A call has ended."""
        self.metrics.transactions.labels(result).inc()
        if result is Result.FAILED:
            self._event("transaction-failed", Severity.WARNING, f"{intent.call.purpose} was mined and failed: {detail}")
        if result is Result.UNSIGNED:
            self._event("signer-down", Severity.CRITICAL, f"{intent.call.purpose} could not be signed: {detail}")

    def done(
        self,
        block: Header,
        record: Record,
        snapshot: Snapshot | None,
        vitals: Vitals | None,
        standing: Sequence[Entry],
        in_flight: Sequence[Intent],
        blind: str = "",
    ) -> None:
        """A block has been dealt with; ``blind`` is why the kill switch could not compute."""
        metrics, now = self.metrics, self._clock()
        self._see_reorg(block)
        self._block, self._done_at, self._standing = block, now, tuple(standing)
        metrics.block.set(block.number)
        metrics.block_time.set(block.timestamp)
        metrics.decisions.labels(record.decision.action).inc()
        if self._began_at is not None:
            metrics.seconds.observe(now - self._began_at)
        if snapshot is not None:
            metrics.see_snapshot(snapshot)
            self._see_delta(snapshot)
        is_unread = snapshot is None and not in_flight
        refuses = record.decision.action is Action.REFUSE and snapshot is not None and not (standing or blind)
        metrics.unreadable.set(is_unread)
        self._unread = record.decision.reason if is_unread else ""
        self._unread_since = _since(self._unread_since, is_unread, now)
        self._refused_since = _since(self._refused_since, refuses, now)
        self._blind_since, self._blind = _since(self._blind_since, bool(blind), now), blind
        metrics.blind.set(bool(blind))
        if vitals is not None:
            metrics.see_vitals(vitals)
        for order in Order:
            metrics.orders.labels(order).set(any(one.order is order for one in standing))
        self._in_flight = {one.id: self._in_flight.get(one.id, now) for one in in_flight}
        metrics.in_flight.set(max((now - since for since in self._in_flight.values()), default=0.0))
        self._publish(snapshot, record)

    # ------------------------------------------------------------------ what others read

    def health(self) -> Health:
        """Now."""
        now, block = self._clock(), self._block
        return Health(
            alive=now - self._came_round < self._levels.stall_seconds,
            role="active" if self._leader is None else "standby",
            leader=self._leader or "",
            loop_age=round(now - self._came_round, 1),
            block=None if block is None else block.number,
            block_age=None if block is None else round(now - self._done_at, 1),
            orders=tuple(f"{one.order}: {one.reason}" for one in self._standing),
            conditions=tuple(one.key for one in self._conditions),
        )

    def stalled(self) -> Iterable[Condition]:
        """For the alerter's own thread: the loop cannot say that it has stalled, or that no block comes."""
        now = self._clock()
        if now - self._came_round >= self._levels.stall_seconds:
            what = f"The loop has not come round for {now - self._came_round:.0f} s. Restart the keeper."
            yield Condition("stalled", Severity.CRITICAL, what)
        elif now - self._done_at >= self._levels.node_seconds:
            last = "none yet" if self._block is None else str(self._block.number)
            what = f"No block was dealt with for {now - self._done_at:.0f} s; the last one is {last}. {self._unread}"
            yield Condition("no-blocks", Severity.CRITICAL, what.strip())

    # ------------------------------------------------------------------ internals

    def _see_reorg(self, block: Header) -> None:
        """Whether the block that was dealt with last is still there."""
        last = self._block
        if last is None or last.hash == block.hash:
            return
        if block.number > last.number and self._is_canonical(last):
            return
        self.metrics.reorgs.inc()
        what = f"Block {last.number} ({last.hash[:18]}...) was dealt with and is not canonical any more."
        self._event("reorg", Severity.WARNING, what)

    def _is_canonical(self, block: Header) -> bool:
        """Taken to be where the node cannot say: the next block asks again for its own predecessor."""
        try:
            there = self._connection.request("eth_getBlockByNumber", hex(block.number), False)
        except KeelError:
            return True
        return there is not None and there["hash"] == block.hash

    def _see_delta(self, snapshot: Snapshot) -> None:
        chain = snapshot.assessment
        outside = []
        for u, symbol in enumerate(UNDERLYINGS[: len(snapshot.readings)]):
            worth = abs(chain.delta[u]) * chain.spot[u]
            if worth > max(chain.nav_bid, 0) * snapshot.limits.delta_target:
                outside.append(symbol)
        if not outside:
            self._outside_since = None
        elif self._outside_since is None:
            self._outside_since = snapshot.timestamp
        since = self._outside_since
        self.metrics.outside.set(0 if since is None else snapshot.timestamp - since)

    def _event(self, key: str, severity: Severity, text: str) -> None:
        with self._lock:
            self._events[key] = (self._clock() + EVENT_SECONDS, Condition(key, severity, text))

    def _publish(self, snapshot: Snapshot | None = None, record: Record | None = None) -> None:
        now = self._clock()
        with self._lock:
            self._events = {key: event for key, event in self._events.items() if event[0] > now}
            found = [event for _, event in self._events.values()]
        found += [_stands(one) for one in self._standing if one.cause != "operator"]
        found += self._of_head()
        for since in self._in_flight.values():
            if now - since >= self._levels.stuck_seconds:
                what = f"A transaction has had no end for {now - since:.0f} s; nothing else is sent meanwhile."
                found.append(Condition("stuck-transaction", Severity.CRITICAL, what))
        if self._unread_since is not None and self._has_lasted(self._unread_since):
            what = f"The vault cannot be read and nothing is sent for {now - self._unread_since:.0f} s. {self._unread}"
            found.append(Condition("unreadable", Severity.CRITICAL, what[:_LONGEST]))
        if snapshot is not None and record is not None:
            found += self._of_vault(snapshot, record)
        else:  # what could not be looked at has not ended
            found += [one for one in self._conditions if one.key in _OF_VAULT]
        self._conditions = tuple({one.key: one for one in found}.values())
        if self._alerter is not None:
            self._alerter.update(self._conditions)

    def _of_head(self) -> list[Condition]:
        """A node that goes on to bring blocks, but old ones: nobody else compares it with anything."""
        if self._world is None or self._block is None:
            return []
        age = self._world() - self._block.timestamp
        self.metrics.head_age.set(age)
        if age < self._levels.head_seconds:
            return []
        what = (
            f"Block {self._block.number} is the newest that the node has, and {age:.0f} s old by this machine's clock."
        )
        return [Condition("old-head", Severity.CRITICAL, what)]

    def _of_vault(self, snapshot: Snapshot, record: Record) -> list[Condition]:
        levels, chain, found = self._levels, snapshot.assessment, []
        ether = snapshot.keeper_balance_wei / WAD
        if not ether >= levels.low_gas:
            what = f"The keeper has {ether:.4f} ether left; below {levels.low_gas:g} it should be sent some."
            empty = Severity.CRITICAL if ether < levels.low_gas / 4 else Severity.WARNING
            found.append(Condition("low-gas", empty, what))
        use = chain.initial / chain.nav_bid if chain.nav_bid > 0 else float("inf")
        if not use <= levels.margin_use:
            what = f"Initial margin is {use:.1%} of NAV at bid, gap headroom {chain.gap_headroom / WAD:,.0f} USDC."
            found.append(Condition("margin-headroom", Severity.CRITICAL if use > 1 else Severity.WARNING, what))
        since = self._outside_since
        if since is not None and snapshot.timestamp - since >= levels.missed_hedge_seconds:
            deltas = ", ".join(f"{UNDERLYINGS[u]} {chain.delta[u] / WAD:+.3f}" for u in range(len(snapshot.readings)))
            what = (
                f"Delta has been outside its band for {snapshot.timestamp - since} s ({deltas}). Last decision:"
                f" {record.decision.action}: {record.decision.reason}"
            )
            found.append(Condition("missed-hedge", Severity.CRITICAL, what[:_LONGEST]))
        if self._has_lasted(self._refused_since):
            what = f"The keeper refuses to act: {record.decision.reason}"
            found.append(Condition("refusing", Severity.WARNING, what[:_LONGEST]))
        if self._has_lasted(self._blind_since):
            what = f"Nothing is sent and no quote is signed: {self._blind}"
            found.append(Condition("kill-switch-blind", Severity.CRITICAL, what[:_LONGEST]))
        return found

    def _has_lasted(self, since: float | None) -> bool:
        """For longer than a block or two."""
        return since is not None and self._clock() - since >= self._levels.refused_seconds


def _since(since: float | None, holds: bool, now: float) -> float | None:
    if not holds:
        return None
    return now if since is None else since


_OF_VAULT: Final = ("low-gas", "margin-headroom", "missed-hedge", "refusing", "kill-switch-blind")


def _stands(entry: Entry) -> Condition:
    what = f"The kill switch says {entry.order}: {entry.reason}. It stays until `keel resume`."
    return Condition(f"kill-switch-{entry.cause}", Severity.CRITICAL, what)
