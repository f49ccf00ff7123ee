"""Makers' options as the hedge problem sees them: per unit, signed by what the vault would do.

A perpetual needs nothing of this: it is linear, so an `Instrument` with funding as its carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

import numpy as np

from keeper.domain.offer import Offer
from keeper.domain.series import Position
from keeper.domain.snapshot import Mode, Snapshot
from keeper.domain.units import DAY, HOUR, WAD, YEAR
from keeper.domain.valuation import FloatArray
from keeper.risk import mirror
from keeper.risk.grid import SPOT_SHOCKS, VOLS
from keeper.risk.valuation import columns_of

# OptionBook's.
LAST_FILL: Final = HOUR
MIN_TENOR: Final = DAY
MAX_SURFACE_AGE: Final = 2 * HOUR
MAX_DEVIATIONS: Final = 25 * 10**17
VEGA_AT_THE_MONEY: Final = 0.4  # of spot·√T


@dataclass(frozen=True, slots=True, eq=False)
class OptionInstrument:
    """A part of an offer that closes a position of the vault's, or one that opens one; USDC per unit where not named.

    Attributes:
        offer: Index of the offer: its parts together have at least its smallest fill, or nothing.
        capacity: Units.
        delta, gamma, vega: What a fill adds: units, units per USDC, USDC per 1.0 of volatility.
        vol, years: Of the series.
        cells: What it adds to the margin's P&L, (3, 12), cells as in keeper/risk/grid.py.
        closes_short: Whether it takes a short option off the book, and with it the contingency of its notional.
        cash: What idle cash pays, negative when it receives.
        cost: Price against what the option is worth.
        nav_loss: What it takes off ``nav_bid``.
        booked_loss: What the loss bucket pays: of a purchase, the price above the bid mark.
        vega_traded: What it takes of OptionBook's budget.
        must_reduce: Whether OptionBook takes it only where it makes |gamma| or |vega| of the underlying less.
    """

    offer: int
    underlying: int
    expiry: int
    capacity: float
    delta: float
    gamma: float
    vega: float
    vol: float
    years: float
    cells: FloatArray
    closes_short: bool
    cash: float
    cost: float
    nav_loss: float
    booked_loss: float
    vega_traded: float
    must_reduce: bool


def option_instruments(snapshot: Snapshot, offers: Sequence[Offer]) -> tuple[OptionInstrument, ...]:
    """Of the offers, in their order, whose series is live and whose price and time OptionBook accepts now.

    Where the vault is short of a series, what is bought first closes and then opens: it counts at the ask mark, takes
    notional off, and costs NAV less than the rest, so that the order needs no rule.
    """
    sizes = {position.series: position.size_wad for position in snapshot.book}
    now, is_normal = snapshot.timestamp, snapshot.vault.mode is Mode.NORMAL
    below_initial = snapshot.assessment.nav_bid < snapshot.assessment.initial
    found: list[OptionInstrument] = []
    for k, offer in enumerate(offers):
        series = offer.series
        u, size = series.underlying, sizes.get(series)
        posted = next((v for at, e, v in snapshot.surface.slices if (at, e) == (u, series.expiry)), None)
        if size is None or posted is None or snapshot.readings[u].price_wad == 0 or series.expiry <= now + LAST_FILL:
            continue
        reading = snapshot.readings[u]
        marks = mirror.marks(series, reading, posted, now)
        if now - marks.posted_at > MAX_SURFACE_AGE or marks.deviations > MAX_DEVIATIONS:
            continue
        if offer.vault_sells:
            refused = offer.price_wad < marks.ask or series.expiry - now < MIN_TENOR or not is_normal
            refused = refused or below_initial or snapshot.assessment.gap_headroom < 0
            capacities = {True: min(max(size, 0), offer.size_wad)}
        else:
            refused = offer.price_wad > max(marks.bid, marks.mid)
            closing = min(max(-size, 0), offer.size_wad)
            capacities = {True: closing, False: offer.size_wad - closing}
        if refused or sum(capacities.values()) < offer.min_fill_wad:
            continue
        unit = mirror.unit_risk(series, reading, posted, now)
        column = columns_of(replace(snapshot, venues=()), (Position(series, WAD),))
        sign = -1.0 if offer.vault_sells else 1.0
        years, price = (series.expiry - now) / YEAR, offer.price_wad / WAD
        above_bid = 0.0 if offer.vault_sells else max(offer.price_wad - marks.bid, 0) / WAD
        for closes, capacity in capacities.items():
            if capacity <= 0:
                continue
            counted = (unit.highest if closes and not offer.vault_sells else unit.lowest) / WAD
            found.append(
                OptionInstrument(
                    offer=k,
                    underlying=u,
                    expiry=series.expiry,
                    capacity=capacity / WAD,
                    delta=sign * unit.delta / WAD,
                    gamma=sign * unit.gamma / WAD,
                    vega=sign * unit.vega / WAD,
                    vol=float(column.vol[0]),
                    years=years,
                    cells=sign * np.array(unit.cells, dtype=np.float64).reshape(VOLS, SPOT_SHOCKS) / WAD,
                    closes_short=closes and not offer.vault_sells,
                    cash=sign * price,
                    cost=sign * (offer.price_wad - offer.worth_wad) / WAD,
                    nav_loss=sign * (price - counted),
                    booked_loss=above_bid,
                    vega_traded=VEGA_AT_THE_MONEY * reading.price_wad / WAD * sqrt(years),
                    must_reduce=not offer.vault_sells and (above_bid > 0 or not is_normal or below_initial),
                )
            )
    return tuple(found)
