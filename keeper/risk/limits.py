"""RiskEngine's checks of a trade in Python integers: would it stand, and how far is each limit exceeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment, Limits
from keeper.domain.units import WAD
from keeper.pricing.fixed_point import tdiv

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
    before: Assessment, after: Assessment, book: Sequence[Position], series: Series, is_sale: bool, limits: Limits
) -> Verdict:
    """``RiskEngine.check_fill``: ``book`` is the one after the fill of ``series``, ``is_sale`` when the vault sold."""
    verdict, _ = _no_worse(before, after, limits.delta_hard, limits)
    if not verdict.stands or not is_sale:
        return verdict
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
    return Verdict(verdict.excess_before, verdict.excess_after, reason)


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
