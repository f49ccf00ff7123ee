"""A quote, as a pure function of the request, the snapshot, the view of its block and the policy.

Per unit, for a vault's change of position q = -1 (it sells) or +1 (it buys) times the size s:

    mid      Black-76 at the market's volatility σ and the posted forward
    spread   what σ may be wrong by, u = width · √(h² + e² + (σ·a)²):  price(σ + u) - mid, or price(σ - u) - mid.
             h: half of the market's spread at the tenor; e: the fit's error; a: what volatility of this tenor moves by
             in the time since the surface was seen, by the scenarios
    lean     price(σ·√(1 - share·excess/σ_atm²)) - mid, excess = max(0, σ_atm² - forecast² - floor): the part of the
             premium that selling has been paid for
    skew     -q · (cost(p + q·s) - cost(p)) / s, p the vault's position and
             cost = risk_aversion · (T / horizon) · variance / (2·NAV) + tail_aversion · √(T / horizon) · CVaR
                  + capital_charge · T · initial margin² / (2·NAV),
             all of the options with every delta hedged, as the keeper does: the hedge program's own objective, held
             until expiry. Margin costs the capital charge where it binds all of NAV, and in proportion before that
    bound    up to the ask mark in a sale; down to the bid mark in a purchase, or to the middle in one that reduces
             |gamma| or |vega|, while the loss bucket pays the difference; of the marks now and when the quote ends

The skew is that of the size asked for, even where less can be sold: cost is convex in the position, so that more of the
same is never cheaper, and who asks for too much pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot, sqrt

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import SIZE_UNIT, WAD, YEAR
from keeper.pricing.black76 import price
from keeper.quoting.terms import Parts, Quote, Reason, Refusal, Request
from keeper.quoting.trial import Trial
from keeper.quoting.view import Book, Line, MarketSurface, OptionBookState, View, hedged_margin
from keeper.risk.revaluation import tenor_power
from keeper.risk.tail import tail_weights
from keeper.risk.valuation import MIN_VOL

_OF_LIMIT = 99  # per cent


def quote(
    request: Request,
    snapshot: Snapshot,
    view: View,
    policy: Policy,
    beside: Sequence[Book] = (),
) -> Quote | Refusal:
    """What the vault offers for a request, inside what the contracts let stand.

    The size is the largest, up to the one asked for, that may stand at any price between the contracts' bounds, so that
    it needs no second look when the price is known.

    Args:
        beside: Other books of the block in which it must stand as well (`keeper.quoting.outstanding`).
    """
    books = (Book(snapshot, view), *beside)
    reason = _why_not(request, books)
    if reason is not None:
        return Refusal(reason)
    series = request.series
    market = view.market[series.underlying]
    if market is None:
        return Refusal(Reason.NO_MARKET)
    forecast = view.forecasts.get((series.underlying, series.expiry))
    if forecast is None:
        return Refusal(Reason.NO_FORECAST)

    trials = [_trial(request, book) for book in books]
    found = _most(request, trials)
    if isinstance(found, Refusal):
        return found
    offered, limit = found
    mid, spread, lean = _value(request, snapshot, view, policy, view.lines[series], market, forecast)
    skew = _skew(trials[0], request.size_wad // SIZE_UNIT * SIZE_UNIT, policy)
    unbound = mid + spread + lean + skew
    bound = _bound(trials, offered, unbound)
    parts = Parts(mid, spread, lean, skew, bound - unbound)
    if parts.price <= 0:
        return Refusal(Reason.WORTHLESS)
    return Quote(series, request.vault_sells, offered, parts, limit)


def at_price(request: Request, price_wad: int, books: Sequence[Book]) -> Quote | Refusal:
    """A maker's price, where the contracts let it stand in all ``books``, for as much as they do; that it is worth it
    has been decided elsewhere (`keeper.hedging.fills`). Parts: the middle mark, and what the maker asks beside it."""
    reason = _why_not(request, books)
    if reason is not None:
        return Refusal(reason)
    trials = [_trial(request, book) for book in books]
    found = _most(request, trials)
    if isinstance(found, Refusal):
        return found
    size, limit = found
    if price_wad <= 0 or _bound(trials, size, price_wad) != price_wad:
        return Refusal(Reason.PRICE)
    mid = trials[0].line.marks.mid
    return Quote(request.series, request.vault_sells, size, Parts(mid, price_wad - mid, 0, 0, 0), limit)


def _why_not(request: Request, books: Sequence[Book]) -> Reason | None:
    """Why nothing can be said of the series on this block; of ``books`` the first is the block's."""
    snapshot, view = books[0].snapshot, books[0].view
    if view.block_hash != snapshot.block_hash:
        return Reason.OTHER_BLOCK
    if request.size_wad < SIZE_UNIT:
        return Reason.BAD_SIZE
    series = request.series
    if all(p.series != series for p in snapshot.book):
        return Reason.NOT_LISTED
    if series.expiry <= snapshot.timestamp:
        return Reason.LAST_HOUR
    if series not in view.lines:
        return Reason.NO_SURFACE
    if any(book.view.assessment != book.snapshot.assessment for book in books):
        return Reason.DIFFERS
    return None


def _most(request: Request, trials: Sequence[Trial]) -> tuple[int, Reason | None] | Refusal:
    """The largest size up to the request's that may stand everywhere, and why it is no more."""
    least = trials[0].view.option_book.min_fill[request.series.underlying]
    offered: int = request.size_wad // SIZE_UNIT * SIZE_UNIT
    if offered < least:
        return Refusal(trials[0].market_reason() or Reason.MIN_FILL)
    limit: Reason | None = None
    for each in trials:
        refused = each.market_reason()
        if refused is not None:
            return Refusal(refused)
        reason = each.size_reason(offered)
        if reason is not None:
            refused = each.size_reason(least)
            if refused is not None:
                return Refusal(refused)
            offered, limit = each.largest(least, offered, reason)
    return offered, limit


def inside(made: Quote, option_book: OptionBookState) -> Quote:
    """A quote that a limit cut, a little smaller than that: Greeks and prices move until the fill."""
    if made.limit is None:
        return made
    least = option_book.min_fill[made.series.underlying]
    return replace(made, size_wad=max(least, made.size_wad * _OF_LIMIT // 100 // SIZE_UNIT * SIZE_UNIT))


def _value(
    request: Request,
    snapshot: Snapshot,
    view: View,
    policy: Policy,
    line: Line,
    market: MarketSurface,
    forecast: float,
) -> tuple[int, int, int]:
    """Mid, spread and lean."""
    series = request.series
    years = (series.expiry - snapshot.timestamp) / YEAR
    forward = line.marks.spot / WAD * float(np.exp(line.posted.carry / WAD * years))
    vol = float(market.surface.vol(np.log(series.strike / forward), years))
    at_the_money = float(market.surface.atm_vol(years))

    age = snapshot.timestamp - market.as_of
    moved = view.expected_move(series.underlying, age) * float(tenor_power(np.array(years)))
    half = float(np.interp(years, market.surface.years, market.half_spread))
    unsure = policy.uncertainty_width * hypot(half, market.fit_error, vol * moved)

    earned = max(0.0, at_the_money**2 - forecast**2 - policy.premium_floor)
    kept = max(0.0, 1.0 - policy.premium_share * earned / at_the_money**2)
    shifted = vol + unsure if request.vault_sells else vol - unsure
    vols = np.maximum([vol, shifted, vol * sqrt(kept)], MIN_VOL)
    mid, edge, leant = (int(value * WAD) for value in price(forward, series.strike, vols, years, series.is_call))
    return mid, edge - mid, leant - mid


def _skew(trial: Trial, size: int, policy: Policy) -> int:
    """What ``size`` costs the book, per unit: added to a sale's price, taken off a purchase's."""
    sign = -1 if trial.vault_sells else 1
    position = trial.line.position.size_wad
    change = _cost(trial, position + sign * size, policy) - _cost(trial, position, policy)
    return int(-sign * change * WAD / size * WAD)


def _cost(trial: Trial, position: int, policy: Policy) -> float:
    """Of holding the options until the series expires, were the vault's position in it ``position``: USDC."""
    view, line, snapshot = trial.view, trial.line, trial.snapshot
    series = line.position.series
    years = (series.expiry - snapshot.timestamp) / YEAR
    pnl = view.pnl + (position - line.position.size_wad) / WAD * line.hedged
    cvar = -float(tail_weights(pnl, policy.tail_level) @ pnl)
    reading = snapshot.readings[series.underlying]
    risk = trial.others.plus(line.unit, position, reading.price_wad).risk(reading)
    margin = sum(view.margins) - view.margins[series.underlying] + hedged_margin(risk)
    periods = max(years / view.horizon, 1.0)
    squares = policy.risk_aversion * periods * float(pnl.var()) + policy.capital_charge * years * margin**2
    return squares / (2.0 * snapshot.assessment.nav_bid / WAD) + policy.tail_aversion * sqrt(periods) * cvar


def _trial(request: Request, book: Book) -> Trial:
    line = book.view.lines[request.series]
    return Trial(book.snapshot, book.view, line, request.vault_sells, book.view.others(line, line.marks.spot))


def _bound(trials: Sequence[Trial], size: int, unbound: int) -> int:
    """The price inside what OptionBook accepts for ``size`` as long as the quote lives."""
    marks, last = trials[0].line.marks, trials[0].line.last
    if trials[0].vault_sells:
        return max(unbound, marks.ask, last.ask)
    bid, mid = min(marks.bid, last.bid), min(marks.mid, last.mid)
    if mid > bid and unbound > bid and all(trial.may_pay_the_middle(size) for trial in trials):
        return min(unbound, mid)
    return min(unbound, bid)
