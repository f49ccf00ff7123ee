"""OptionPricer and RiskEngine mirrored in Python integers, equal to the contracts to the last unit.

The names are the contracts'. Where a contract reverts, these raise PricingError, a missing slice is a KeyError, and
the checks of a trade give a Verdict with the reason of the revert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt

from keeper.domain.option_risk import Marks, OptionRisk
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Reading, Surface, VenueState, VolSlice
from keeper.domain.units import DAY, HOUR, WAD, YEAR
from keeper.pricing import fixed_point as fp
from keeper.pricing.errors import PricingError
from keeper.pricing.fixed_point import tdiv
from keeper.risk.grid import (
    CELLS,
    DOUBLE,
    HALF,
    LN_MULTIPLIER_Q64,
    MULTIPLIER_WAD,
    ONE_AND_A_HALF,
    SPOT_SHOCKS,
    VOLS,
)

_MIN_SIGMA = 10**16
_MAX_FORWARD = 2**128
_MARK_SHIFT = 5 * 10**15
_FRESH = 2 * HOUR
_CONTINGENCY = 2 * 10**16
_INITIAL = 125 * 10**16
_DOUBT = 150 * 10**16
_DUST = 10**12


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all series of one expiry share, WAD; the worst surface of the window is ``above`` or ``below`` the present
    one in volatility, half-spread included, and its forwards are ``over`` or ``under`` the present ones in logarithms.
    """

    posted: VolSlice
    above: int
    below: int
    over: int = 0
    under: int = 0
    growth: int = WAD
    ln_growth: int = 0
    sqrt_tenor: int = 0
    up: int = WAD
    down: int = WAD


@dataclass(frozen=True, slots=True)
class _Point:
    """One series at a spot: WAD but for ``x`` = ln(F/K) in Q64."""

    forward: int
    strike: int
    x: int
    sigma: int
    sqrt_tenor: int


@dataclass(frozen=True, slots=True)
class UnitRisk:
    """One unit of a series, WAD: prices on the dearest, cheapest and present surface, Greeks, P&L by cell (36)."""

    highest: int
    lowest: int
    mid: int
    delta: int
    gamma: int
    vega: int
    cells: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OptionSums:
    """Options of one underlying added up in the contract's order of rounding: ``scalars`` are bid, mid, ask, delta,
    gamma, vega and short notional, ``cells`` the 36 of P&L, still multiplied by 1e18."""

    scalars: tuple[int, ...] = (0,) * 7
    cells: tuple[int, ...] = (0,) * CELLS

    def plus(self, unit: UnitRisk, size: int, spot: int) -> OptionSums:
        """With ``size`` more units of a series that is not among them yet, + = long."""
        against, in_favour = (unit.highest, unit.lowest) if size < 0 else (unit.lowest, unit.highest)
        per_unit = (against, unit.mid, in_favour, unit.delta, unit.gamma, unit.vega)
        added = [tdiv(size * value, WAD) for value in per_unit]
        added.append(-tdiv(size * spot, WAD) if size < 0 else 0)
        return OptionSums(
            tuple(a + b for a, b in zip(self.scalars, added, strict=True)),
            tuple(a + size * b for a, b in zip(self.cells, unit.cells, strict=True)),
        )

    def risk(self, reading: Reading, *, unfixed: bool = False, stale: bool = False) -> OptionRisk:
        """As the contract returns it."""
        bid, mid, ask, delta, gamma, vega, short_notional = self.scalars
        return OptionRisk(
            spot=reading.price_wad,
            twap=reading.twap_wad,
            doubt=reading.doubt,
            unfixed=unfixed,
            stale=stale,
            bid=bid,
            mid=mid,
            ask=ask,
            delta=delta,
            gamma=gamma,
            vega=vega,
            short_notional=short_notional,
            pnl=tuple(tdiv(c, WAD) for c in self.cells),
        )


def option_risk(
    book: Sequence[Position],
    readings: Sequence[Reading],
    surface: Surface,
    timestamp: int,
    units: Mapping[Series, UnitRisk] | None = None,
) -> tuple[OptionRisk, ...]:
    """``OptionPricer.option_risk``: one entry per reading.

    Args:
        timestamp: Of the block, seconds.
        units: Of series that were valued at this block before, which saves most of the time.
    """
    known = units or {}
    sums = [OptionSums() for _ in readings]
    unfixed, stale = [False for _ in readings], [False for _ in readings]
    for position in book:
        if position.size_wad == 0:
            continue
        series = position.series
        u = series.underlying
        if series.expiry <= timestamp and readings[u].updated_at >= series.expiry:
            unfixed[u] = True
        if readings[u].price_wad == 0:
            raise PricingError("pricer: no price")
        posted = surface.slice_of(u, series.expiry)
        if series.expiry > timestamp and timestamp - posted.posted_at > _FRESH:
            stale[u] = True
        unit = known.get(series) or unit_risk(series, readings[u], posted, timestamp)
        sums[u] = sums[u].plus(unit, position.size_wad, readings[u].price_wad)
    totals = zip(sums, readings, unfixed, stale, strict=True)
    return tuple(s.risk(reading, unfixed=late, stale=old) for s, reading, late, old in totals)


def unit_risk(series: Series, reading: Reading, posted: VolSlice, timestamp: int) -> UnitRisk:
    """What `option_risk` multiplies by a position's size."""
    spot = reading.price_wad
    terms = _terms(posted, series.expiry, timestamp)
    return _one_unit(_point(series, spot, fp.wad_ln(spot), terms), terms, spot, series.is_call)


def marks(series: Series, reading: Reading, posted: VolSlice, timestamp: int) -> Marks:
    """``OptionPricer.marks`` of a series with or without a position."""
    spot = reading.price_wad
    terms = _terms(posted, series.expiry, timestamp)
    at_spot = _point(series, spot, fp.wad_ln(spot), terms)
    shift = spot * _MARK_SHIFT // WAD
    bids, asks = [], []
    for shifted in (spot - shift, spot + shift):
        p = replace(_point(series, shifted, fp.wad_ln(shifted), terms), sigma=at_spot.sigma)
        bids.append(_lowest(p, terms, series.is_call))
        asks.append(_highest(p, terms, series.is_call))
    deviation = at_spot.sigma * at_spot.sqrt_tenor // WAD
    return Marks(
        bid=min(bids),
        mid=_value(at_spot, at_spot.sigma, series.is_call),
        ask=max(asks),
        spot=spot,
        posted_at=posted.posted_at,
        deviations=(abs(at_spot.x) * WAD >> 64) * WAD // max(deviation, 1),
    )


def assess(options: Sequence[OptionRisk], venues: Sequence[VenueState], cash: int) -> Assessment:
    """``RiskEngine.assess``: options, venues at the oracle price, and cash (WAD, liabilities deducted) together."""
    count = len(options)
    units, gap_down, gap_up = [0] * count, [0] * count, [0] * count
    equity = cash
    gross = 0
    for venue in venues:
        u = venue.underlying
        if options[u].spot == 0 and abs(venue.exposure) > _DUST:
            raise PricingError("risk: no price")
        equity += venue.equity
        units[u] += venue.exposure
        gap_down[u] += venue.stressed_down - venue.equity
        gap_up[u] += venue.stressed_up - venue.equity
        gross += abs(venue.exposure) * options[u].spot // WAD

    maintenance = initial = gap_loss = 0
    doubt = False
    for u, o in enumerate(options):
        own = tdiv(o.short_notional * _CONTINGENCY, WAD) - _worst(o, units[u])
        maintenance += own
        needed = tdiv(own * _INITIAL, WAD)
        if o.doubt and own > 0:
            doubt = True
            needed = tdiv(needed * _DOUBT, WAD)
        initial += needed
        gap_loss -= min(
            0,
            *(o.pnl[v * SPOT_SHOCKS + HALF] + gap_down[u] for v in range(VOLS)),
            *(o.pnl[v * SPOT_SHOCKS + ONE_AND_A_HALF] + gap_up[u] for v in range(VOLS)),
        )
    nav_bid = equity + sum(o.bid for o in options)
    return Assessment(
        nav_bid=nav_bid,
        nav_mid=equity + sum(o.mid for o in options),
        nav_ask=equity + sum(o.ask for o in options),
        maintenance=maintenance,
        initial=initial,
        gap_headroom=nav_bid - gap_loss,
        gross=gross,
        short_notional=sum(o.short_notional for o in options),
        spot=_pair([o.spot for o in options]),
        twap=_pair([o.twap for o in options]),
        delta=_pair([o.delta + x for o, x in zip(options, units, strict=True)]),
        gamma=_pair([o.gamma for o in options]),
        vega=_pair([o.vega for o in options]),
        doubt=doubt,
        unfixed=any(o.unfixed for o in options),
        stale=any(o.stale for o in options),
        venue_failed=False,  # a snapshot has every venue's answer
    )


def _terms(posted: VolSlice, expiry: int, timestamp: int) -> _Terms:
    window = posted.window
    above, below = posted.half_spread + window.down, posted.half_spread + window.up
    if expiry <= timestamp:
        return _Terms(posted, above, below)
    to_expiry = expiry - timestamp
    tenor = to_expiry * WAD // YEAR
    ln_growth = tdiv(posted.carry * tenor, WAD)
    power = 3 * 10**17 if to_expiry <= 30 * DAY else 13 * 10**16
    ratio = 30 * DAY * WAD // max(to_expiry, DAY)
    m = fp.wad_exp(tdiv(power * fp.wad_ln(ratio), WAD))
    return _Terms(
        posted=posted,
        above=above,
        below=below,
        over=window.carry_down * tenor // WAD,
        under=window.carry_up * tenor // WAD,
        growth=fp.wad_exp(ln_growth),
        ln_growth=ln_growth,
        sqrt_tenor=isqrt(to_expiry * WAD * WAD // YEAR),
        up=WAD + 6 * m // 10,
        down=WAD - 3 * m // 10,
    )


def _point(series: Series, spot: int, ln_spot: int, terms: _Terms) -> _Point:
    x = ln_spot + terms.ln_growth - series.ln_strike_wad
    forward = spot * terms.growth // WAD
    if forward >= _MAX_FORWARD:
        raise PricingError("pricer: forward too large")
    sigma = fp.essvi_vol(terms.posted, series.expiry, -x)
    return _Point(forward, series.strike_wad, tdiv(x << 64, WAD), sigma, terms.sqrt_tenor)


def _value(p: _Point, sigma: int, is_call: bool) -> int:
    s = (max(sigma, _MIN_SIGMA) * p.sqrt_tenor << 64) // (WAD * WAD)
    call = fp.call(p.forward, p.strike, p.x, s)
    return call if is_call else call - p.forward + p.strike


def _highest(p: _Point, terms: _Terms, is_call: bool) -> int:
    return _value(_drifted(p, terms.over if is_call else -terms.under), p.sigma + terms.above, is_call)


def _lowest(p: _Point, terms: _Terms, is_call: bool) -> int:
    return _value(_drifted(p, -terms.under if is_call else terms.over), p.sigma - terms.below, is_call)


def _drifted(p: _Point, rise: int) -> _Point:
    share = rise + rise * rise // (2 * WAD)
    return replace(p, forward=p.forward + tdiv(p.forward * share, WAD), x=p.x + tdiv(rise << 64, WAD))


def _one_unit(p: _Point, terms: _Terms, spot: int, is_call: bool) -> UnitRisk:
    s = (p.sigma * p.sqrt_tenor << 64) // (WAD * WAD)
    mid_call = fp.call(p.forward, p.strike, p.x, s)
    d1 = fp.d1(p.x, s)
    gamma = vega = 0
    if s > 0:
        pdf = fp.pdf(d1)
        gamma = terms.growth * pdf // spot * 2**64 // s
        vega = p.forward * pdf // WAD * p.sqrt_tenor // WAD
    cells = []
    for shock in (terms.down, WAD, terms.up):
        shocked = max(s * shock // WAD, fp.MIN_S)
        inverse = 2**128 // shocked
        for multiplier, ln_multiplier in zip(MULTIPLIER_WAD, LN_MULTIPLIER_Q64, strict=True):
            forward = p.forward * multiplier // WAD
            before = mid_call if is_call else mid_call + forward - p.forward
            call = fp.call_at(forward, p.strike, (p.x + ln_multiplier) * inverse >> 64, shocked >> 1)
            cells.append(call - before)
    return UnitRisk(
        highest=_highest(p, terms, is_call),
        lowest=_lowest(p, terms, is_call),
        mid=mid_call if is_call else mid_call - p.forward + p.strike,
        delta=terms.growth * (fp.cdf(d1) if is_call else fp.cdf(d1) - 2**80) >> 80,
        gamma=gamma,
        vega=vega,
        cells=tuple(cells),
    )


def _worst(o: OptionRisk, units: int) -> int:
    """The worst P&L of options and venues over the 33 cells of the margin, never above zero."""
    unit_value = tdiv(units * o.spot, WAD)
    worst = 0
    for v in range(VOLS):
        for j in range(ONE_AND_A_HALF):
            pnl = o.pnl[v * SPOT_SHOCKS + j] + tdiv(unit_value * (MULTIPLIER_WAD[j] - WAD), WAD)
            if j == HALF:
                pnl = tdiv(pnl, 2)
            elif j == DOUBLE:
                pnl = tdiv(pnl * 35, 100)
            worst = min(worst, pnl)
    return worst


def _pair(values: Sequence[int]) -> tuple[int, int]:
    """The contract's arrays have two entries, whatever the number of underlyings."""
    first, second = (*values, 0)[:2]
    return first, second
