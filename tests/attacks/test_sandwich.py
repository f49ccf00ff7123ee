"""A16: whoever trades before and after a leg of a rebalance earns at most what its limit price allows him."""

import pytest

from keeper.simulation.driver import ARBITRAGEUR
from tests.contracts.chain import WAD, reverts
from tests.contracts.protocol import SHORT, SPOT

SLIPPAGE = 0.0075  # of a leg, whatever its limit price
LEGS = [(SPOT, 2.0), (SPOT, -2.0), (SHORT, -2.0), (SHORT, 1.5)]
NAMES = ["spot bought", "spot sold", "short opened", "short closed"]


@pytest.fixture
def loose(hedged):
    """No bands: what is tested is the price."""
    hedged.loosen()
    return hedged


def purse(p):
    """What the sandwicher has, USDC in WAD."""
    usdc, weth = p.market.usdc.balanceOf(ARBITRAGEUR), p.market.weth.balanceOf(ARBITRAGEUR)
    return usdc * 10**12 + weth * 3_000


def sandwiched(p, leg, push):
    """Push the pool against a leg, let it trade, and push the pool back. Returns what the vault lost and he gained."""
    nav, had = p.vault.assessment().nav_mid, purse(p)
    p.market.push_pool(3_000 * push)
    p.rebalance(leg)
    p.market.push_pool(3_000)
    return nav - p.vault.assessment().nav_mid, purse(p) - had


@pytest.mark.parametrize(("venue", "units"), LEGS, ids=NAMES)
@pytest.mark.parametrize("push", [0.0005, 0.002, 0.004])
def test_a16_a_sandwich_within_the_limit_price_costs_at_most_the_limit(loose, venue, units, push):
    """Attack A16: the vault loses at most what its limit price is away from the oracle; who does it earns no more."""
    p, direction = loose, 1 if units > 0 else -1
    leg = p.leg(venue, units)  # half a per cent from the oracle price

    lost, gained = sandwiched(p, leg, 1 + direction * push)

    most = abs(units) * 3_000 * 0.005 * WAD
    assert lost <= most + 10**13
    assert gained <= max(lost, 0)


@pytest.mark.parametrize(("venue", "units"), LEGS, ids=NAMES)
def test_a16_a_sandwich_beyond_the_limit_price_is_refused(loose, venue, units):
    """Attack A16: the leg reverts, and the sandwicher has paid two fees of the pool for nothing."""
    p, direction = loose, 1 if units > 0 else -1
    had, nav = purse(p), p.vault.assessment().nav_mid
    leg = p.leg(venue, units)
    p.market.push_pool(3_000 * (1 + direction * 0.006))

    with reverts("venue: limit price"):
        p.rebalance(leg)

    p.market.push_pool(3_000)
    assert purse(p) < had
    assert p.vault.assessment().nav_mid == nav


@pytest.mark.parametrize(("venue", "units"), LEGS, ids=NAMES)
def test_a16_a_keeper_without_a_limit_price_loses_no_more_than_the_slippage(loose, venue, units):
    """Attack A16: a keeper in league with the sandwicher, with a limit price of its own choice."""
    p, direction = loose, 1 if units > 0 else -1
    careless = p.leg(venue, units, limit=3_000 * (1 + direction * 0.2))
    p.market.push_pool(3_000 * (1 + direction * 0.012))

    with reverts("hedge: slippage"):
        p.rebalance(careless)

    p.market.push_pool(3_000)
    lost, gained = sandwiched(p, careless, 1 + direction * 0.006)
    assert lost <= abs(units) * 3_000 * SLIPPAGE * WAD + 10**13
    assert gained <= max(lost, 0)
