"""What the keeper asks before it acts: do orders stand, does the kill switch trip? Whatever cannot be told means no."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, Protocol

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.safety import Cause, KillLevels, Order, Trip, Vitals
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import DAY, HOUR, WAD
from keeper.errors import JournalError, RpcUnavailableError
from keeper.execution.orders import Entry, Orders
from keeper.risk.kill_switch import ON_CHAIN, trips
from keeper.risk.valuation import margin_mismatch, value

_VIRTUAL: Final = 10**12  # shares, and their first worth in WAD of USDC, that the contracts add
_LOG = logging.getLogger(__name__)


class Twin(Protocol):
    """The kill switch on chain."""

    def follow(self, *, stops: bool, block: Header) -> None:
        """See to what it has sent; with `stops`, stop new business on chain unless it is stopped. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be done: ``refusal`` says why nothing is sent, empty where the keeper may act; ``trips`` are new."""

    refusal: str
    trips: tuple[Trip, ...] = ()


class Guard:
    """Asked at each block; its orders are read from the database every time, since people give them from outside.

    Args:
        margin_tolerance: Largest difference of the keeper's margin from the chain's, per unit of notional.
        twin: None without a guardian's key.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        orders: Orders,
        levels: KillLevels,
        margin_tolerance: float,
        twin: Twin | None = None,
    ) -> None:
        self._connection, self._deployment, self._orders = connection, deployment, orders
        self._levels, self._margin_tolerance, self._twin = levels, margin_tolerance, twin
        self.vitals: Vitals | None = None  # of the last review
        self.blind = ""  # why that could not compute

    # ------------------------------------------------------------------ orders

    def standing(self) -> tuple[Entry, ...]:
        """Orders that stand. Raises JournalError."""
        return self._orders.standing()

    def paused(self) -> str:
        """Why nothing may be sent or signed, empty where something may. Raises JournalError."""
        return "; ".join(f"{_who(one)}: {one.reason}" for one in self.standing() if one.order is Order.PAUSE)

    def unwinding(self) -> bool:
        """Whether the vault is to be brought to rest. Raises JournalError."""
        return any(one.order is Order.UNWIND for one in self.standing())

    def quotes_stopped(self) -> str:
        """Why no quote may be signed: any order says so. Empty where quotes may be. Raises JournalError."""
        return "; ".join(f"{_who(one)}: {one.reason}" for one in self.standing())

    # ------------------------------------------------------------------ the kill switch

    def count_error(self, block: Header) -> None:
        """An unexpected error, or a transaction that failed, at this block. Raises JournalError."""
        self._orders.count_error(block.timestamp)

    def tell_twin(self, block: Header) -> None:
        """At each block, reviewed or not: what it has sent must get there. Raises JournalError."""
        if self._twin is not None:
            self._twin.follow(stops=any(entry.cause in ON_CHAIN for entry in self.standing()), block=block)

    def review(self, block: Header, snapshot: Snapshot) -> Verdict:
        """Look at the vault after a block, before anything is sent; trips that last are written as orders first.

        Raises:
            JournalError: orders cannot be read or written.
            RpcUnavailableError: the node has gone.
        """
        self.vitals, self.blind = None, ""
        try:
            self.vitals = self._vitals(block, snapshot)
            tripped = trips(self.vitals, self._levels, self._margin_tolerance)
        except (JournalError, RpcUnavailableError):
            raise
        except Exception as error:  # whatever it is: a switch that cannot compute counts as tripped
            _LOG.exception("block %d: the kill switch cannot compute", block.number)
            self.blind = f"the kill switch cannot compute: {type(error).__name__}: {error}"
            tripped = (Trip(Cause.BLIND, Order.PAUSE, self.blind, lasts=False),)
        known = {entry.cause for entry in self.standing()}
        fresh = tuple(trip for trip in tripped if trip.cause not in known)
        for trip in fresh:
            _LOG.error("block %d: kill switch (%s): %s: %s", block.number, trip.cause, trip.order, trip.reason)
            if trip.lasts:
                self._orders.give(trip.order, trip.reason, trip.cause)
        if fresh:
            self.tell_twin(block)
        now = [f"kill switch ({trip.cause}): {trip.reason}" for trip in fresh if trip.order is Order.PAUSE]
        paused = self.paused()
        return Verdict(paused or "; ".join(now), fresh)

    def _vitals(self, block: Header, snapshot: Snapshot) -> Vitals:
        mismatch = margin_mismatch(value(snapshot), snapshot)
        chain, vault = snapshot.assessment, snapshot.vault
        disagrees = not mismatch <= self._margin_tolerance  # a NaN does
        now = block.timestamp
        return Vitals(
            drawdown=None if chain.unfixed or chain.venue_failed else self._drawdown(block, snapshot),
            margin_use=chain.initial / chain.nav_bid if chain.nav_bid > 0 else float("inf"),
            doubt_seconds=self._orders.lasts("doubt", chain.doubt, now),
            mismatch=mismatch,
            mismatch_seconds=self._orders.lasts("mismatch", disagrees, now),
            loss_budget=vault.loss_budget / vault.budgets.loss_capacity,
            gas_a_day=self._orders.see_balance(now, snapshot.keeper_balance_wei, now - DAY) / WAD,
            errors=self._orders.errors(now - HOUR),
        )

    def _drawdown(self, block: Header, snapshot: Snapshot) -> float:
        """Fall of the share price at bid from the highest that the contracts know, as CircuitBreaker measures it."""
        batch = Batch()
        breaker = self._deployment.address("CircuitBreaker")
        highest = batch.add("CircuitBreaker", breaker, function("CircuitBreaker", "high_water"))
        batch.run(self._connection, block)
        if highest.value == 0:
            return 0.0  # the governor has just unlatched it
        price = (max(snapshot.assessment.nav_bid, 0) + _VIRTUAL) * WAD // (snapshot.vault.effective_supply + _VIRTUAL)
        return max(0.0, 1.0 - price / int(highest.value))


def _who(entry: Entry) -> str:
    return f"{entry.order} by the {entry.cause}" if entry.cause == "operator" else f"kill switch ({entry.cause})"
