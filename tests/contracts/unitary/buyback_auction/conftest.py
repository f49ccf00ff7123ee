"""Vaults at 0.9 of maintenance margin: short puts, short calls, or both, hedged, and a keeper that is dead.

A book is brought there by its account of idle cash (`Protocol.overwrite`), so that figures are round; how a market
brings it there is the business of properties/test_liquidation.py.
"""

import pytest

from tests.contracts.chain import WAD
from tests.contracts.protocol import LOOSE, SHORT, SPOT, Leg, wad

MINUTE = 60
UNITS = 60 * WAD
HEDGED = {"puts": 0.4, "calls": 0.5, "mixed": 1.0}  # of delta: what cash would still be there for


@pytest.fixture(params=["puts", "calls", "mixed"])
def book(request):
    return request.param


@pytest.fixture
def distressed(funded, book):
    """Sixty options short, hedged, equity at 0.9 of maintenance margin."""
    return brought_to(funded, book, 0.9)


@pytest.fixture
def mixed(funded):
    """The mixed book, whose hedge is complete."""
    return brought_to(funded, "mixed", 0.9)


def brought_to(protocol, book, health, hedged=None):
    """The vault sells its book, hedges a part, and its cash shrinks until equity is `health` of maintenance margin."""
    protocol.loosen()
    protocol.series = []
    if book in ("calls", "mixed"):
        protocol.series.append(protocol.open_series(3_000, is_call=True))
    if book in ("puts", "mixed"):
        protocol.series.append(protocol.open_series(2_900, is_call=False))
    for id in protocol.series:
        protocol.sell(id, UNITS // len(protocol.series))
    delta = protocol.vault.assessment().delta[0] / WAD * (HEDGED[book] if hedged is None else hedged)
    if delta:
        protocol.rebalance(protocol.leg(SPOT if delta < 0 else SHORT, -delta))
    protocol.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=protocol.governor)
    protocol.overwrite("idle", idle_for(protocol, health))
    return protocol


def health(protocol):
    a = protocol.vault.assessment()
    return a.nav_mid / a.maintenance


def idle_for(protocol, health):
    """Idle cash, USDC, at which equity would be `health` of maintenance margin."""
    a = protocol.vault.assessment()
    return protocol.vault.idle() - int((a.nav_mid - a.maintenance * health) // 10**12)


def open_auction(protocol):
    """Five minutes of distress, and open."""
    protocol.last(5 * MINUTE)
    protocol.auction.open(sender=protocol.stranger)


def unwinding(protocol, id, size) -> list[Leg]:
    """The leg that trades away what buying back `size` of a series adds to delta beyond bringing it to neutral."""
    before = protocol.vault.assessment().delta[0]
    unit = protocol.pricer.option_risk([(id >> 87 << 87) | 10**9])[0].delta
    change = unit * size // WAD
    closer = min(abs(change), abs(before)) if before * change < 0 else 0
    excess = change - closer * (1 if change > 0 else -1)
    if abs(excess) < 10**12:
        return []
    if excess > 0:  # sell
        venue = SPOT if protocol.spot.held() >= excess else SHORT
    else:  # buy
        venue = SHORT if -protocol.short.state(WAD).exposure >= -excess else SPOT
    return [protocol.leg(venue, -excess / WAD)]
