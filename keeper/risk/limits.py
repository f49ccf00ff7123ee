"""RiskEngine's checks of a trade in Python integers: would it stand, and how far is each limit exceeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Limits
from keeper.domain.units import HOUR, WAD
from keeper.pricing.fixed_point import tdiv

_NO_SHORT = 10**24
_SOON = 48 * HOUR

REASONS = (
    "margin: below initial",
    "margin: gap insolvent",
    "risk: gross leverage",
    *("risk: delta band", "risk: gamma band", "risk: vega band") * 2,
)
"""Of the entries of an excess vector: margin, gap, leverage, then delta, gamma and vega per underlying."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Excess over each limit at the NAV before the trade (WAD, entries as in REASONS), and why it would revert, if it
    would."""

    excess_before: tuple[int, ...]
    excess_after: tuple[int, ...]
    reason: str | None

    @property
    def stands(self) -> bool:
        """True when the contract would let the trade stand."""
        return self.reason is None


def excesses(a: Assessment, nav: int, delta_band: int, limits: Limits) -> tuple[int, ...]:
    """``RiskEngine._excesses``: zero inside a limit. ``nav`` in WAD is what the bands are shares of."""
    found = [
        max(a.initial - a.nav_bid, 0),
        max(-a.gap_headroom, 0),
        max(a.gross - _share(limits.gross_leverage, nav), 0),
    ]
    for spot, delta, gamma, vega in zip(a.spot, a.delta, a.gamma, a.vega, strict=True):
        per_percent = abs(gamma) * spot // WAD * spot // WAD // 100
        found.append(max(abs(delta) * spot // WAD - _share(delta_band, nav), 0))
        found.append(max(per_percent - _share(limits.gamma_band, nav), 0))
        found.append(max(abs(vega) - _share(limits.vega_band, nav), 0))
    return tuple(found)


def check_rebalance(before: Assessment, after: Assessment, limits: Limits) -> Verdict:
    """``RiskEngine.check_rebalance``: no excess grows, and of a book in breach one shrinks by a tenth."""
    verdict, improved = _no_worse(before, after, limits.delta_target, limits)
    if verdict.stands and not improved:
        return Verdict(verdict.excess_before, verdict.excess_after, "risk: no breach improves")
    return verdict


def check_fill(
    before: Assessment,
    after: Assessment,
    book: Sequence[Position],
    series: Series,
    is_sale: bool,
    limits: Limits,
    *,
    short_margins: tuple[int, int],
    timestamp: int,
) -> Verdict:
    """``RiskEngine.check_fill``.

    Args:
        book: After the fill of ``series``.
        is_sale: True when the vault sold.
        short_margins: Per underlying, of the venue that asks for the least (IVenue.short_margin, WAD).
        timestamp: Of the block, seconds.
    """
    verdict, _ = _no_worse(before, after, limits.delta_hard, limits)
    if not verdict.stands:
        return verdict
    if not is_sale:
        reduced = after.venue_failed or after.nav_bid < after.initial
        refused = reduced and not _reduces(before, after, series.underlying)
        return Verdict(verdict.excess_before, verdict.excess_after, "risk: reduces nothing" if refused else None)
    spot = after.spot[series.underlying]
    of_expiry = of_series = 0
    for position in book:
        other = position.series
        if (other.underlying, other.expiry) == (series.underlying, series.expiry):
            notional = max(-position.size_wad, 0) * spot // WAD
            of_expiry += notional
            if other == series:
                of_series = notional
    nav = before.nav_bid
    rules = (
        (after.nav_bid >= after.initial, "margin: below initial"),
        (after.gap_headroom >= 0, "margin: gap insolvent"),
        (after.short_notional <= _share(limits.notional_total, nav), "risk: total notional"),
        (of_expiry <= _share(limits.notional_expiry, nav), "risk: expiry notional"),
        (of_series <= _share(limits.notional_series, nav), "risk: series notional"),
    )
    reason = next((why for kept, why in rules if not kept), None)
    if reason is None and not series.is_call:
        spare = after.nav_bid - _buffer(book, after, limits, timestamp)
        if _short_capital(book, after, short_margins) > spare:
            reason = "risk: hedge capacity"
    return Verdict(verdict.excess_before, verdict.excess_after, reason)


def _reduces(before: Assessment, after: Assessment, underlying: int) -> bool:
    """Whether |gamma| or |vega| of an underlying is smaller."""
    pairs = ((before.gamma, after.gamma), (before.vega, after.vega))
    return any(abs(now[underlying]) < abs(was[underlying]) for was, now in pairs)


def _short_capital(book: Sequence[Position], a: Assessment, short_margins: tuple[int, int]) -> int:
    capital = 0
    for position in book:
        u = position.series.underlying
        if not position.series.is_call:
            notional = max(-position.size_wad, 0) * a.spot[u] // WAD
            capital += notional * min(short_margins[u], _NO_SHORT) // WAD
    return capital


def _buffer(book: Sequence[Position], a: Assessment, limits: Limits, timestamp: int) -> int:
    buffer = _share(limits.liquidity_buffer, a.nav_bid)
    for position in book:
        series = position.series
        if position.size_wad < 0 and series.expiry <= timestamp + _SOON:
            above = a.spot[series.underlying] - series.strike_wad
            buffer += -position.size_wad * max(above if series.is_call else -above, 0) // WAD
    return buffer


def _no_worse(before: Assessment, after: Assessment, delta_band: int, limits: Limits) -> tuple[Verdict, bool]:
    """The verdict, and True when nothing was in breach or one breach shrank by a tenth of its excess."""
    was = excesses(before, before.nav_bid, delta_band, limits)
    now = excesses(after, before.nav_bid, delta_band, limits)
    reason = next((why for w, n, why in zip(was, now, REASONS, strict=True) if n > w), None)
    breached = [(w, n) for w, n in zip(was, now, strict=True) if w > 0]
    improved = not breached or any(n * 10 <= w * 9 for w, n in breached)
    return Verdict(was, now, reason), improved


def _share(limit: int, nav: int) -> int:
    return tdiv(limit * max(nav, 0), WAD)
