"""What a quote needs beside the snapshot, and all that does not depend on who asks for what, computed once a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from keeper.domain.option_risk import Marks, OptionRisk
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Snapshot, VenueKind, VenueState, VolSlice
from keeper.domain.units import MAX_UINT256, WAD, WAD_PER_USDC_UNIT, YEAR
from keeper.domain.valuation import FloatArray
from keeper.pricing.calibration import Calibration
from keeper.pricing.surface import EssviSurface
from keeper.quoting.terms import LIFE
from keeper.risk import mirror
from keeper.risk.errors import RiskError
from keeper.risk.mirror import OptionSums, UnitRisk
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios

_BASIS = 10_000
_FLAT = 1e-9  # φ of a slice without a smile: EssviSurface divides by ψ


@dataclass(frozen=True, slots=True, eq=False)
class MarketSurface:
    """One underlying's surface as the market had it ``as_of`` (seconds): half of the market's spread per slice (n,) and
    the fit's root mean square error, both in volatility."""

    surface: EssviSurface
    half_spread: FloatArray
    fit_error: float
    as_of: int

    @classmethod
    def of_calibration(cls, found: Calibration, as_of: int) -> MarketSurface:
        """Of quotes that were read at a time."""
        return cls(found.surface, found.half_spread, found.rmse, as_of)

    @classmethod
    def of_posted(cls, snapshot: Snapshot, underlying: int) -> MarketSurface | None:
        """The contracts' own slices, for who has no market to look at; None where none is in force."""
        now = snapshot.timestamp
        posted = sorted((e, v) for u, e, v in snapshot.surface.slices if u == underlying and v.posted_at <= now < e)
        spot = snapshot.readings[underlying].price_wad / WAD
        if not posted or spot == 0.0:
            return None
        years = np.array([(e - now) / YEAR for e, _ in posted])
        kept = np.array([(e - now) / (e - v.posted_at) for e, v in posted])
        theta, rho, phi, carry, half = (
            np.array([getattr(v, name) / WAD for _, v in posted])
            for name in ("theta", "rho", "phi", "carry", "half_spread")
        )
        psi = theta * kept * np.maximum(phi, _FLAT)
        surface = EssviSurface(years, spot * np.exp(carry * years), theta * kept, rho, psi)
        return cls(surface, half, 0.0, min(v.posted_at for _, v in posted))


@dataclass(frozen=True, slots=True)
class OptionBookState:
    """OptionBook: smallest fill of each underlying, units in WAD, and the vega that may be traded, WAD share of NAV."""

    min_fill: tuple[int, ...]
    vega_budget: int


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A live series. ``last`` are its marks when a quote ends, were spot to stay; ``hedged`` is the P&L of a unit less
    its delta's by scenario, USDC, (S,)."""

    position: Position
    posted: VolSlice
    unit: UnitRisk
    marks: Marks
    last: Marks
    hedged: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Of one block.

    Attributes:
        market: By underlying.
        forecasts: (underlying, expiry) to the forecast of annual volatility until then.
        lines: The series that can be valued and have not expired.
        expired: Others with a position, which count in the margin.
        pnl: P&L of the options with every delta hedged, by scenario, USDC, (S,).
        horizon: Of the scenarios, years.
        log_vol: Deviation of the 30-day volatility's logarithm over the horizon, by underlying.
        options: By underlying, all of them.
        margins: Initial margin by underlying with every delta hedged, USDC.
        assessment: The keeper's own of the book.
        short_margins: Own funds that a short of 1 USDC ties up, by underlying, WAD.
        caveat: What it lacks, in words.
    """

    block_hash: str
    market: tuple[MarketSurface | None, ...]
    forecasts: dict[tuple[int, int], float]
    option_book: OptionBookState
    lines: dict[Series, Line]
    expired: tuple[tuple[Position, UnitRisk], ...]
    pnl: FloatArray
    horizon: float
    log_vol: tuple[float, ...]
    options: tuple[OptionRisk, ...]
    margins: tuple[float, ...]
    assessment: Assessment
    short_margins: tuple[int, int]
    caveat: str

    def expected_move(self, underlying: int, seconds: int) -> float:
        """Deviation of the 30-day volatility's logarithm in the time since a surface was seen."""
        return self.log_vol[underlying] * sqrt(max(seconds, 0) / YEAR / self.horizon)

    def others(self, line: Line, spot: int) -> OptionSums:
        """The options of a line's underlying without the line."""
        sums = OptionSums()
        own = line.position.series
        for position, unit in (*((at.position, at.unit) for at in self.lines.values()), *self.expired):
            if position.series.underlying == own.underlying and position.series != own and position.size_wad:
                sums = sums.plus(unit, position.size_wad, spot)
        return sums


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """A snapshot and its view, as they are or after fills."""

    snapshot: Snapshot
    view: View


def prepare(
    snapshot: Snapshot,
    market: Sequence[MarketSurface | None],
    forecasts: dict[tuple[int, int], float],
    option_book: OptionBookState,
    scenarios: Scenarios,
    caveat: str = "",
) -> View:
    """Value every live series, a unit of each, in integers as the contracts and by scenario.

    Raises:
        RiskError: scenarios without a horizon, or of other underlyings.
        KeyError: a position without a slice.
        PricingError: a position without a price.
    """
    if scenarios.horizon <= 0.0:
        raise RiskError(
            "Scenarios over no time are no measure of what a position costs while it is held.",
            kept="Nothing was quoted.",
            todo="Give scenarios of a day.",
        )
    now, readings = snapshot.timestamp, snapshot.readings
    units: dict[Series, tuple[Position, VolSlice, UnitRisk]] = {}
    expired = []
    for position in snapshot.book:
        series = position.series
        is_known = any((u, e) == (series.underlying, series.expiry) for u, e, _ in snapshot.surface.slices)
        if position.size_wad == 0 and not (is_known and readings[series.underlying].price_wad):
            continue
        posted = snapshot.surface.slice_of(series.underlying, series.expiry)
        unit = mirror.unit_risk(series, readings[series.underlying], posted, now)
        if series.expiry > now:
            units[series] = (position, posted, unit)
        elif position.size_wad:
            expired.append((position, unit))
    known = {series: unit for series, (_, _, unit) in units.items()}
    hedged = _hedged_units(snapshot, known, scenarios)
    lines = {
        series: Line(position, posted, unit, *_marks(snapshot, series, posted), pnl)
        for (series, (position, posted, unit)), pnl in zip(units.items(), hedged.T, strict=True)
    }
    risk = mirror.option_risk(snapshot.book, readings, snapshot.surface, now, known)
    venues = [venue.state for venue in snapshot.venues]
    cash = (snapshot.vault.idle - snapshot.vault.owed) * WAD_PER_USDC_UNIT
    deviations = np.broadcast_to(scenarios.log_vol.std(axis=0), len(readings))
    return View(
        block_hash=snapshot.block_hash,
        market=tuple(market),
        forecasts=forecasts,
        option_book=option_book,
        lines=lines,
        expired=tuple(expired),
        pnl=hedged @ np.array([line.position.size_wad / WAD for line in lines.values()]),
        horizon=scenarios.horizon,
        log_vol=tuple(deviations.tolist()),
        options=risk,
        margins=tuple(hedged_margin(own) for own in risk),
        assessment=mirror.assess(risk, venues, cash),
        short_margins=_short_margins(snapshot),
        caveat=caveat,
    )


def hedged_margin(risk: OptionRisk) -> float:
    """Initial margin of one underlying's options and the opposite of their delta, USDC."""
    return mirror.assess((risk,), (VenueState(0, -risk.delta, 0, 0, 0, 0),), 0).initial / WAD


def _marks(snapshot: Snapshot, series: Series, posted: VolSlice) -> tuple[Marks, Marks]:
    """Now, and when a quote of now ends."""
    now, reading = snapshot.timestamp, snapshot.readings[series.underlying]
    first, last = (mirror.marks(series, reading, posted, t) for t in (now, min(now + LIFE, series.expiry - 1)))
    return first, last


def _hedged_units(snapshot: Snapshot, units: Mapping[Series, UnitRisk], scenarios: Scenarios) -> FloatArray:
    """P&L of a unit of each series and the opposite of its delta, USDC, (S, n)."""
    one_each = replace(snapshot, book=tuple(Position(series, WAD) for series in units), venues=())
    pnl = revalue(one_each, scenarios).options
    moves = np.expm1(scenarios.log_return)
    for i, (series, unit) in enumerate(units.items()):
        value = unit.delta / WAD * snapshot.readings[series.underlying].price_wad / WAD
        pnl[:, i] -= value * moves[:, series.underlying]
    return pnl


def _short_margins(snapshot: Snapshot) -> tuple[int, int]:
    """``AaveV3Short.short_margin`` of the venue that asks for the least."""
    least = [MAX_UINT256, MAX_UINT256]
    for venue in snapshot.venues:
        if venue.kind is VenueKind.AAVE_V3_SHORT and venue.lending is not None:
            threshold = round(venue.lending.liquidation_threshold * _BASIS)
            margin = round(venue.lending.health_floor * WAD) * _BASIS // threshold - WAD
            u = venue.state.underlying
            least[u] = min(least[u], margin)
    return least[0], least[1]
