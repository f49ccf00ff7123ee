"""The keeper's fast valuation of a snapshot, in floats: what OptionPricer and RiskEngine compute on chain.

Every convention is the contracts': σ of each series from its slice and kept when spot moves, a floor of 1 % under
volatilities less half-spread and of 1e-6 under σ√T, an expired series at its intrinsic value until its fixing.
``keeper/risk/mirror`` is the same in integers, exact to the last unit; this one is within 1e-9 of notional of it and
fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from keeper.domain.series import Position
from keeper.domain.snapshot import Reading, Snapshot, Venue
from keeper.domain.units import USDC, WAD, YEAR
from keeper.domain.valuation import FloatArray, OptionTotals, PositionValue, Valuation, VenueTotals
from keeper.pricing.black76 import d1_of, normal_pdf, time_value
from keeper.pricing.essvi import total_variance
from keeper.risk.grid import CELLS, LN_MULTIPLIERS, MULTIPLIERS
from keeper.risk.margin import margins

MIN_VOL = 0.01
MIN_S = 1e-6


class ValuationError(ValueError):
    """The snapshot cannot be valued: a price or a slice is missing or has no meaning."""


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Positions as columns, shape (n,) each; ``x`` = ln(F/K).

    The worst surfaces of the window are ``above`` and ``below`` the present one in volatility, half-spread included;
    logarithms of their forwards are ``over`` and ``under`` the present ones. ``theta``, ``rho`` and ``phi`` are the
    slices', of total variance over ``posted_years``.
    """

    is_call: FloatArray
    size: FloatArray
    spot: FloatArray
    strike: FloatArray
    carry: FloatArray
    above: FloatArray
    below: FloatArray
    over: FloatArray
    under: FloatArray
    years: FloatArray
    forward: FloatArray
    x: FloatArray
    vol: FloatArray
    theta: FloatArray
    rho: FloatArray
    phi: FloatArray
    posted_years: FloatArray


def value(snapshot: Snapshot) -> Valuation:
    """Value the book of a snapshot.

    Positions of size zero are left out, as on chain: they need no slice.

    Raises:
        ValuationError: a position without a slice or a price.
    """
    positions = tuple(p for p in snapshot.book if p.size_wad != 0)
    book = columns_of(snapshot, positions)
    lines = _lines(book, positions)
    pnl = _scenarios(book)
    options = tuple(_totals(u, r, positions, lines, pnl) for u, r in enumerate(snapshot.readings))
    venues = tuple(venue_totals(snapshot.venues, u) for u in range(len(snapshot.readings)))
    cash = (snapshot.vault.idle - snapshot.vault.owed) / USDC
    return Valuation(
        timestamp=snapshot.timestamp,
        positions=lines,
        options=options,
        venues=venues,
        cash=cash,
        unfixed=any(_is_unfixed(p, snapshot) for p in positions),
        margins=margins(options, venues, cash),
    )


def margin_mismatch(valuation: Valuation, snapshot: Snapshot) -> float:
    """Largest difference of the valuation from the chain's own assessment in the snapshot, per unit of notional.

    Compares maintenance and initial margin, ``nav_bid``, gap headroom and each delta times spot. The unit is the
    options' gross notional at spot, at least a thousandth of NAV and of the venues' gross exposure and at least 1 USDC:
    below that only the rounding of floats would be measured.
    """
    chain, own = snapshot.assessment, valuation.margins
    differences = [
        own.maintenance - chain.maintenance / WAD,
        own.initial - chain.initial / WAD,
        own.nav_bid - chain.nav_bid / WAD,
        own.gap_headroom - chain.gap_headroom / WAD,
    ]
    for u, (delta, options) in enumerate(zip(valuation.deltas, valuation.options, strict=True)):
        differences.append((delta - chain.delta[u] / WAD) * options.spot)
    unit = max(valuation.gross_notional, 1e-3 * max(abs(own.nav_mid), own.gross), 1.0)
    return float(np.max(np.abs(differences))) / unit  # Python's max would pass over a NaN


def venue_totals(venues: Sequence[Venue], underlying: int) -> VenueTotals:
    """The venues of one underlying added up, in floats."""
    states = [v.state for v in venues if v.state.underlying == underlying]
    return VenueTotals(
        units=sum(s.exposure for s in states) / WAD,
        gross_units=sum(abs(s.exposure) for s in states) / WAD,
        equity=sum(s.equity for s in states) / WAD,
        stressed_down=sum(s.stressed_down for s in states) / WAD,
        stressed_up=sum(s.stressed_up for s in states) / WAD,
    )


def _is_unfixed(position: Position, snapshot: Snapshot) -> bool:
    """Its expiry's round exists, yet the series is still in the book."""
    expiry = position.series.expiry
    return expiry <= snapshot.timestamp and snapshot.readings[position.series.underlying].updated_at >= expiry


def columns_of(snapshot: Snapshot, positions: Sequence[Position]) -> Book:
    """Positions with what the snapshot says of their series.

    Raises:
        ValuationError: a position without a slice or a price.
    """
    try:
        slices = [snapshot.surface.slice_of(p.series.underlying, p.series.expiry) for p in positions]
    except KeyError as error:
        raise ValuationError(f"{error.args[0]}: post one, or wait until the vol poster has") from error
    underlying = np.array([p.series.underlying for p in positions], dtype=np.intp)
    if any(u >= len(snapshot.readings) or snapshot.readings[u].price_wad <= 0 for u in underlying.tolist()):
        raise ValuationError("a position's underlying has no price: check the price oracle's feeds")
    for p, posted in zip(positions, slices, strict=True):
        if posted.posted_at >= p.series.expiry:
            raise ValuationError(f"the slice of {p.series.label} was posted after its expiry")

    def column(numbers: Sequence[float]) -> FloatArray:
        return np.array(numbers, dtype=np.float64)

    spot = column([r.price_wad / WAD for r in snapshot.readings])[underlying]
    strike = column([p.series.strike for p in positions])
    carry = column([v.carry / WAD for v in slices])
    years = column([max(p.series.expiry - snapshot.timestamp, 0) / YEAR for p in positions])
    forward = spot * np.exp(carry * years)
    # Not log(forward / strike): the slot's logarithm of the strike is the one that the chain uses.
    x = np.log(spot) + carry * years - column([p.series.ln_strike_wad / WAD for p in positions])
    theta, rho, phi = (column([getattr(v, name) / WAD for v in slices]) for name in ("theta", "rho", "phi"))
    posted_years = column([(p.series.expiry - v.posted_at) / YEAR for p, v in zip(positions, slices, strict=True)])
    return Book(
        is_call=np.array([p.series.is_call for p in positions], dtype=bool),
        size=column([p.size_wad / WAD for p in positions]),
        spot=spot,
        strike=strike,
        carry=carry,
        above=column([(v.half_spread + v.window.down) / WAD for v in slices]),
        below=column([(v.half_spread + v.window.up) / WAD for v in slices]),
        over=column([v.window.carry_down / WAD for v in slices]) * years,
        under=column([v.window.carry_up / WAD for v in slices]) * years,
        years=years,
        forward=forward,
        x=x,
        vol=np.sqrt(total_variance(theta, rho, phi, -x) / posted_years),
        theta=theta,
        rho=rho,
        phi=phi,
        posted_years=posted_years,
    )


def _prices(
    book: Book, s: FloatArray, call_drift: FloatArray | float = 0.0, put_drift: FloatArray | float = 0.0
) -> FloatArray:
    """Undiscounted prices with the contracts' floor under ``s``, at forwards whose logarithms are higher by a drift."""
    drift = np.where(book.is_call, call_drift, put_drift)
    forward, x = book.forward * (1.0 + drift + np.square(drift) / 2), book.x + drift
    value = time_value(forward, book.strike, x, np.maximum(s, MIN_S))
    intrinsic = np.where(book.is_call, forward - book.strike, book.strike - forward)
    return np.asarray(value + np.maximum(intrinsic, 0.0))


def _lines(book: Book, positions: Sequence[Position]) -> tuple[PositionValue, ...]:
    root_t = np.sqrt(book.years)
    s = book.vol * root_t
    bid = _prices(book, np.maximum(book.vol - book.below, MIN_VOL) * root_t, -book.under, book.over)
    ask = _prices(book, np.maximum(book.vol + book.above, MIN_VOL) * root_t, book.over, -book.under)
    mid = _prices(book, s)

    d1 = d1_of(book.x, np.maximum(s, MIN_S))
    pdf = normal_pdf(d1)
    growth = book.forward / book.spot
    forward_delta = np.where(book.is_call, ndtr(d1), -ndtr(-d1))
    live = s > 0.0
    vega = np.where(live, book.forward * pdf * root_t, 0.0)
    gamma = np.where(live, growth * pdf / (book.spot * np.where(live, s, 1.0)), 0.0)
    decay = np.where(live, vega * book.vol / (2.0 * np.where(live, book.years, 1.0)), 0.0)
    expired = book.years == 0.0
    theta = np.where(expired, 0.0, -decay - book.carry * book.forward * forward_delta)
    columns = zip(
        positions,
        book.size.tolist(),
        book.forward.tolist(),
        book.vol.tolist(),
        bid.tolist(),
        mid.tolist(),
        ask.tolist(),
        (book.size * growth * forward_delta).tolist(),
        (book.size * gamma).tolist(),
        (book.size * vega).tolist(),
        (book.size * theta).tolist(),
        strict=True,
    )
    return tuple(PositionValue(position.series, *numbers) for position, *numbers in columns)


def vol_shocks(years: FloatArray) -> FloatArray:
    """Volatility multipliers down, flat, up of Derive's PMRM, shape (n, 3); 1 for expired series."""
    days = years * 365.0
    power = np.where(days <= 30.0, 0.3, 0.13)
    m = np.where(days > 0.0, (30.0 / np.maximum(days, 1.0)) ** power, 0.0)
    return np.stack([1.0 - 0.3 * m, np.ones_like(m), 1.0 + 0.6 * m], axis=1)


def _scenarios(book: Book) -> FloatArray:
    """P&L of every position in every cell, USDC, shape (n, 36)."""
    base = np.maximum(book.vol * np.sqrt(book.years), MIN_S)
    s = np.maximum((book.vol * np.sqrt(book.years))[:, None] * vol_shocks(book.years), MIN_S)[:, :, None]
    strike = book.strike[:, None, None]
    forward = (book.forward[:, None] * MULTIPLIERS)[:, None, :]
    x = (book.x[:, None] + LN_MULTIPLIERS)[:, None, :]
    calls = time_value(forward, strike, x, s) + np.maximum(forward - strike, 0.0)
    before = time_value(book.forward, book.strike, book.x, base) + np.maximum(book.forward - book.strike, 0.0)
    change = calls - before[:, None, None]
    change = np.where(book.is_call[:, None, None], change, change - (forward - book.forward[:, None, None]))
    return np.asarray((book.size[:, None, None] * change).reshape(len(book.size), CELLS))


def _totals(
    underlying: int, reading: Reading, positions: Sequence[Position], lines: Sequence[PositionValue], pnl: FloatArray
) -> OptionTotals:
    spot = reading.price_wad / WAD
    rows = [i for i, p in enumerate(positions) if p.series.underlying == underlying]
    own = [lines[i] for i in rows]
    total = pnl[rows].sum(axis=0)
    total.setflags(write=False)
    return OptionTotals(
        spot=spot,
        doubt=reading.doubt,
        bid=sum(v.value_against for v in own),
        mid=sum(v.value for v in own),
        ask=sum(v.size * (v.ask if v.size > 0 else v.bid) for v in own),
        delta=sum(v.delta for v in own),
        gamma=sum(v.gamma for v in own),
        vega=sum(v.vega for v in own),
        theta=sum(v.theta for v in own),
        short_notional=sum(max(-v.size, 0.0) for v in own) * spot,
        gross_notional=sum(abs(v.size) for v in own) * spot,
        pnl=total,
    )
