"""From trades to legs as `Hedger.rebalance` takes them: limit prices, and legs of zero that restore collateral."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.domain.decision import Leg
from keeper.domain.policy import Policy
from keeper.domain.snapshot import PoolState, Snapshot
from keeper.domain.units import USDC, WAD
from keeper.venues.aave_v3 import needs_restoring, spare_collateral
from keeper.venues.instrument import Instrument, VenueError
from keeper.venues.uniswap_v3 import average_price

MAX_LEGS = 8  # of Hedger.rebalance
_UNIT_WAD = 10**12  # trades are rounded to 1e-6 units
SMALLEST = _UNIT_WAD / WAD  # trade, units
_CLOSING = 1.001  # a buy-back of almost the whole debt asks for more than it, and the venue takes what there is


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade through an instrument: ``units`` bought, negative when sold."""

    instrument: Instrument
    units: float

    @property
    def cash(self) -> float:
        """What the vault's idle cash pays, USDC."""
        side = self.instrument.buy if self.units > 0 else self.instrument.sell
        return side.cash * abs(self.units)


def executable(trades: Sequence[Trade], snapshot: Snapshot) -> tuple[Trade, ...]:
    """Without those that the vault would refuse for their price, because others go through their pool before them."""
    slippage = snapshot.vault.budgets.leg_slippage / WAD
    flows: dict[tuple[str, bool], float] = {}
    kept = []
    for trade in trades:
        flow = (trade.instrument.pool_address, trade.units > 0)
        before = flows.get(flow, 0.0)
        spot = snapshot.readings[trade.instrument.underlying].price_wad / WAD
        try:
            edge = _average_price_after(_pool_of(trade, snapshot), before, trade.units) / spot - 1
        except VenueError:
            continue  # beyond the ticks that were read, which is beyond what the vault accepts
        if before == 0 or (edge if trade.units > 0 else -edge) <= slippage:
            flows[flow] = before + trade.units
            kept.append(trade)
    return tuple(kept)


def legs_of(trades: Sequence[Trade], snapshot: Snapshot, policy: Policy) -> tuple[Leg, ...]:
    """The trades in their order; of two that go the same way through one pool the second meets the price that the
    first has moved."""
    flows: dict[tuple[str, bool], float] = {}
    legs = []
    for trade in trades:
        flow = (trade.instrument.pool_address, trade.units > 0)
        legs.append(_leg(trade, flows.get(flow, 0.0), snapshot, policy))
        flows[flow] = flows.get(flow, 0.0) + trade.units
    return tuple(legs)


def _leg(trade: Trade, before: float, snapshot: Snapshot, policy: Policy) -> Leg:
    instrument, units = trade.instrument, trade.units
    venue = snapshot.venue(instrument.venue)
    spot = snapshot.readings[instrument.underlying].price_wad / WAD
    slippage = snapshot.vault.budgets.leg_slippage / WAD
    expected = _average_price_after(_pool_of(trade, snapshot), before, units)
    if units > 0:
        limit = min(expected * (1 + policy.limit_slippage), spot * (1 + slippage))
        if venue.lending is not None:
            owed = venue.lending.debt_wad / WAD
            units = owed * _CLOSING if units > owed * (2 - _CLOSING) else units
    else:
        limit = max(expected * (1 - policy.limit_slippage), spot * (1 - slippage))
    delta_change = int(units * WAD / _UNIT_WAD) * _UNIT_WAD
    return Leg(instrument.venue, instrument.pool, delta_change, int(limit * WAD))


def _pool_of(trade: Trade, snapshot: Snapshot) -> PoolState:
    return snapshot.venue(trade.instrument.venue).pools[trade.instrument.pool]


def _average_price_after(pool: PoolState, before: float, units: float) -> float:
    """Average price of ``units`` when ``before``, of the same sign, have gone through the pool already."""
    total = before + units
    return (average_price(pool, total) * total - average_price(pool, before) * before) / units


def restoring_legs(snapshot: Snapshot, traded: Sequence[Trade]) -> tuple[Leg, ...]:
    """Legs of zero for the Aave venues that are not traded and whose collateral is too little or far too much.

    What frees cash comes first; what the free cash cannot pay for is left out.
    """
    venues = {trade.instrument.venue for trade in traded}
    due = []
    for venue in snapshot.venues:
        spot = snapshot.readings[venue.state.underlying].price_wad / WAD
        if venue.lending is not None and venue.index not in venues and needs_restoring(venue.lending, spot):
            due.append((-spare_collateral(venue.lending, spot), Leg(venue.index, 0, 0, int(spot * WAD))))
    free = snapshot.vault.free / USDC
    legs = []
    for missing, leg in sorted(due, key=lambda entry: entry[0]):
        if missing <= max(free, 0.0):
            free -= missing
            legs.append(leg)
    return tuple(legs)
