"""What anyone may trade in the keeper's place: the legs of a step of `Hedger.de_risk`, and those that unwind a bid."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from keeper.domain.decision import Leg
from keeper.domain.snapshot import Snapshot, VenueKind
from keeper.domain.units import WAD
from keeper.risk.limits import excesses

DE_RISK_HEALTH: Final = 13 * WAD // 10  # of a venue: below it anyone may restore its collateral
_INITIAL: Final = 125  # per cent of maintenance margin, without oracle doubt
_STEPS, _LEAST = 4, 200  # a step is at most a quarter of the excess, or half a per cent of NAV
_SHY: Final = 999  # per mille of what is allowed: prices move before a transaction is mined
_START, _GROWTH, _TIME = 5 * 10**15, 25 * 10**15, 1_800
_UNIT: Final = 10**12  # trades are rounded to 1e-6 units


def slippage(elapsed: int) -> int:
    """What a leg may lose of its notional, WAD, `elapsed` seconds after others than the keeper may act."""
    return _START + _GROWTH * min(elapsed, _TIME) // _TIME


def step(snapshot: Snapshot, allowed_slippage: int, parts: int = 1) -> tuple[Leg, ...]:
    """The largest step that `Hedger.de_risk` takes now: collateral for ill venues, then delta towards neutral, in the
    underlying where most is in excess. Empty when nothing can be done with legs.

    Args:
        allowed_slippage: Of a leg against the oracle price, WAD.
        parts: Trade only this part of delta, where the whole would lose more than the emergency budget has.
    """
    a = snapshot.assessment
    at_mid = replace(
        a,
        nav_bid=a.nav_mid,
        initial=a.maintenance * _INITIAL // 100,
        gap_headroom=a.gap_headroom + a.nav_mid - a.nav_bid,
    )
    found = excesses(at_mid, max(a.nav_mid, a.maintenance), snapshot.limits.delta_target, snapshot.limits)
    legs = [
        Leg(venue.index, 0, 0, a.spot[venue.state.underlying])
        for venue in snapshot.venues
        if venue.state.health < DE_RISK_HEALTH
    ]
    by_margin = found[0] > 0 or found[1] > 0
    notional = [abs(delta) * spot // WAD for delta, spot in zip(a.delta, a.spot, strict=True)]
    in_excess = [max(found[3 + 3 * u], notional[u] if by_margin else 0) for u in range(len(notional))]
    u = max(range(len(notional)), key=in_excess.__getitem__)
    if in_excess[u] > 0:
        allowed = max(max(in_excess[u], found[2]) // _STEPS, max(a.nav_bid, a.maintenance) // _LEAST)
        size = min(notional[u], allowed) * _SHY // 1000 // parts * WAD // a.spot[u]
        legs += towards(snapshot, u, -size if a.delta[u] > 0 else size, allowed_slippage)
    return tuple(legs)


def towards(snapshot: Snapshot, underlying: int, units: int, allowed_slippage: int) -> list[Leg]:
    """Legs that buy `units` (WAD, negative: sell): from positions that this shrinks, the rest in a venue that can.

    Args:
        allowed_slippage: Of the limit price against the oracle price, WAD.
    """
    spot = snapshot.assessment.spot[underlying]
    limit = spot * (WAD + allowed_slippage if units > 0 else WAD - allowed_slippage) // WAD
    grows = VenueKind.UNISWAP_V3_SPOT if units > 0 else VenueKind.AAVE_V3_SHORT
    legs, left = [], abs(units)
    venues = [v for v in snapshot.venues if v.state.underlying == underlying and v.pools]
    for venue in sorted(venues, key=lambda venue: venue.kind is grows):  # those that it shrinks come first
        part = left if venue.kind is grows else min(left, abs(venue.state.exposure))
        part = part // _UNIT * _UNIT
        if part > 0:
            legs.append(Leg(venue.index, 0, part if units > 0 else -part, limit))
            left -= part
    return legs
