"""The demo's book on every recorded day: what the vault would have held, hedged, and what the day then brought.

A day is from 08:00 UTC, when options expire, to the next; where a price or the volatility index is missing at either
end it is left out. Every day begins with the demo's sales, at that day's prices, and a hedge that makes delta zero. The
index is ETH's; BTC's volatility is the demo's share of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from keeper.domain.series import EXPIRY_HOUR, UNDERLYINGS, next_expiry
from keeper.domain.snapshot import Snapshot, Venue, VenueKind, VolSlice
from keeper.domain.units import DAY, HOUR
from keeper.domain.valuation import FloatArray
from keeper.operations.options import Smile
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios
from keeper.risk.tail import tail_risk
from keeper.risk.valuation import value
from keeper.simulation.demo.cast import EXPIRIES, PURCHASES, affordable
from keeper.simulation.demo.path import START_VOLS
from keeper.simulation.paths import data_dir
from tests.keeper.risk.books import hedge, option, reading, snapshot_of

ONE_DAY = 1.0 / 365.0
A_YEAR = 365
Model = Callable[[Scenarios], Scenarios]
_FIRST_EXPIRY = 31 * HOUR  # at least so far ahead when the demo sells
_SHARE = tuple(vol / START_VOLS[0] for vol in START_VOLS)


@dataclass(frozen=True)
class Days:
    """Recorded days, oldest first: when each begins (seconds), prices (n, 2) and index (n,) then, and the moves to its
    end."""

    begins: tuple[int, ...]
    prices: FloatArray
    index: FloatArray
    moves: Scenarios

    def before(self, day: int) -> Scenarios:
        """What was known when the day began: the moves of all days that had ended."""
        return Scenarios(ONE_DAY, self.moves.log_return[:day], self.moves.log_vol[:day])

    def move(self, day: int) -> Scenarios:
        """The day's own move."""
        return Scenarios(ONE_DAY, self.moves.log_return[day : day + 1], self.moves.log_vol[day : day + 1])


@cache
def recorded_days() -> Days | None:
    """June 2022, when the index begins, to March 2026; None where there is no recorded data."""
    folder = data_dir()
    if folder is None:
        return None
    files = {"eth": "prices/eth_1h", "btc": "prices/btc_1h", "vol": "vol/eth_dvol_1h"}
    columns = {}
    for name, file in files.items():
        candles = pd.read_parquet(folder / f"{file}.parquet", columns=["time", "close"])
        ends = candles.time + pd.Timedelta(hours=1)
        at_eight = ends.dt.hour == EXPIRY_HOUR
        columns[name] = pd.Series(candles.close[at_eight].to_numpy(), index=ends[at_eight])
    table = pd.DataFrame(columns).dropna()
    seconds = (table.index - pd.Timestamp(0, tz="UTC")).total_seconds().to_numpy().astype(int)
    whole = np.diff(seconds) == DAY
    moves = np.diff(np.log(table.to_numpy()), axis=0)[whole]
    levels = table.to_numpy()[:-1][whole]
    return Days(
        begins=tuple(seconds[:-1][whole].tolist()),
        prices=levels[:, :2],
        index=levels[:, 2] / 100.0,
        moves=Scenarios(ONE_DAY, moves[:, :2], moves[:, 2:]),
    )


def demo_book(begin: int, prices: FloatArray, index: float, *, hedged: bool = True) -> Snapshot:
    """What the demo's vault holds right after its sales and its first hedge."""
    expiries = [next_expiry(begin + _FIRST_EXPIRY)]
    while len(expiries) < EXPIRIES:
        expiries.append(next_expiry(expiries[-1]))
    tenors = [expiry - begin for expiry in expiries]
    vols = [index * share for share in _SHARE]
    part = affordable(vols, tenors)
    book = []
    for purchase in PURCHASES:
        u, tenor = purchase.underlying, tenors[purchase.expiry]
        price, vol = float(prices[u]), vols[u]
        strike = max(purchase.strike(price, vol, tenor), 1.0)
        size = purchase.size(price, vol, part)
        book.append(option(u, purchase.is_call, expiries[purchase.expiry], strike, -size))
    surface = [(u, expiry, _slice(vols[u], expiry, begin)) for u in range(len(UNDERLYINGS)) for expiry in expiries]
    readings = [reading(float(p), updated_at=begin) for p in prices]
    bare = snapshot_of(book, surface, readings, timestamp=begin)
    if not hedged:
        return bare
    hedges = (hedge(u, -delta, float(prices[u])) for u, delta in enumerate(value(bare).deltas))
    venues = (Venue(i, VenueKind.UNISWAP_V3_SPOT, f"0x{i:040x}", state, ()) for i, state in enumerate(hedges))
    return replace(bare, venues=tuple(venues))  # the assessment stays that of the options alone


@dataclass(frozen=True)
class WalkForward:
    """Of every day from the 366th on: what the book won or lost, and value at risk as each model knew it when the day
    began, (n,)."""

    pnl: FloatArray
    var: dict[str, FloatArray]


def walk_forward(days: Days, models: Mapping[str, Model], level: float, *, hedged: bool = True) -> WalkForward:
    """A model makes a day's scenarios from the moves of the days before, of which there is a year at least."""
    pnl: list[float] = []
    var: dict[str, list[float]] = {name: [] for name in models}
    for day in range(A_YEAR, len(days.begins)):
        snapshot = demo_book(days.begins[day], days.prices[day], float(days.index[day]), hedged=hedged)
        for name, model in models.items():
            var[name].append(tail_risk(revalue(snapshot, model(days.before(day))).total, level).var)
        pnl.append(float(revalue(snapshot, days.move(day)).total[0]))
    return WalkForward(np.array(pnl), {name: np.array(values) for name, values in var.items()})


def _slice(vol: float, expiry: int, begin: int) -> VolSlice:
    theta, rho, phi, carry, half_spread = Smile().shape(vol, expiry - begin)
    return VolSlice(theta, rho, phi, carry, half_spread, begin)
