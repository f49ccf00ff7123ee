"""Whoever bids or de-risks, however much and whenever: what the contracts let stand improves health, and costs no
more than its budget.

Rows 33, 36, 37 and 43 of the reliability table, and attack A25.
"""

import pytest
from boa.contracts.base_evm_contract import BoaError
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import USDC, WAD
from tests.contracts.protocol import LOOSE, SHORT, SPOT, wad

MINUTE = 60
SHORT_OF = 30 * WAD


@pytest.fixture
def crashed(funded):
    """The keeper dies in a crash: thirty puts and thirty calls, half hedged, then ETH gaps by 40 % down."""
    funded.loosen()
    calls, puts = funded.open_series(3_100), funded.open_series(2_900, is_call=False)
    funded.sell(calls, SHORT_OF)
    funded.sell(puts, SHORT_OF)
    funded.rebalance(funded.leg(SHORT, -2))
    funded.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=funded.governor)
    funded.market.move(1_800)
    a = funded.vault.assessment()
    funded.overwrite("idle", funded.vault.idle() - int((a.nav_mid - a.maintenance * 9 // 10) // 10**12))
    funded.books = (calls, puts)
    return funded


def margins(protocol):
    a = protocol.vault.assessment()
    return a, protocol.risk.breaches(a, max(a.nav_mid, a.maintenance))


def attempt(act):
    """Whether it stands."""
    try:
        act()
    except BoaError:
        return False
    return True


LEGS = st.lists(st.tuples(st.sampled_from([SHORT, SHORT, SPOT]), st.integers(-8_000, 1_000)), min_size=1, max_size=2)
STEPS = st.lists(st.tuples(LEGS, st.integers(1, 9)), min_size=3, max_size=6)


@given(steps=STEPS)
def test_whatever_strangers_trade_brings_every_limit_closer(crashed, steps):
    """Invariants 33, 36 and 43. Steps of any legs, right and wrong, after ten minutes of distress."""
    crashed.last(10 * MINUTE)
    capacity = wad(0.001) + wad(0.01) // 24
    lost = 0
    for legs, minutes in steps:
        before, was = margins(crashed)
        base = max(before.nav_mid, before.maintenance)
        trades = [crashed.leg(venue, milli / 1_000) for venue, milli in legs]
        if attempt(lambda trades=trades: crashed.de_risk(*trades)):
            after = crashed.vault.assessment()
            now = crashed.risk.breaches(after, base)
            assert all(n <= w for n, w in zip(now, was, strict=True))
            assert after.nav_mid - after.maintenance > before.nav_mid - before.maintenance
            assert abs(after.delta[0]) < abs(before.delta[0])
            lost += max(before.nav_mid - after.nav_mid, 0)
        assert lost <= 1.01 * base * capacity // WAD
        crashed.market.wait(minutes * MINUTE)
        attempt(lambda: crashed.hedger.record_breach(sender=crashed.stranger))
    assert crashed.ledger_problems([crashed.depositor]) == []


BIDS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 12_000), st.integers(-3_000, 300), st.integers(0, 20)),
    min_size=3,
    max_size=6,
)


@given(bids=BIDS)
def test_whatever_is_bid_raises_health_and_is_paid_no_more_than_the_published_premium(crashed, bids):
    """Invariant 33, attack A25. Any series, size, hedge and moment, in any order."""
    crashed.last(5 * MINUTE)
    crashed.auction.open(sender=crashed.stranger)
    cost, capacity = 0, wad(0.1) * 11 // 10
    base = crashed.vault.assessment().maintenance
    for number, milli, hedge, minutes in bids:
        before, was = margins(crashed)
        size = milli * WAD // 1_000
        mark = crashed.pricer.lowest(crashed.books[number])
        legs = [crashed.leg(SHORT if before.delta[0] > 0 else SPOT, hedge / 1_000)] if hedge else []
        usdc = crashed.market.usdc.balanceOf(crashed.taker)
        if attempt(lambda n=number, s=size, ls=legs: crashed.bid(crashed.books[n], s, *ls)):
            paid = crashed.market.usdc.balanceOf(crashed.taker) - usdc
            after = crashed.vault.assessment()
            now = crashed.risk.breaches(after, max(before.nav_mid, before.maintenance))
            assert after.nav_mid * before.maintenance > before.nav_mid * after.maintenance
            assert all(n <= w for n, w in zip(now, was, strict=True))
            assert paid <= mark * size // WAD * 115 // 100 // 10**12
            cost += max(before.nav_mid - after.nav_mid, 0)
        assert cost <= base * capacity // WAD
        crashed.market.wait(minutes * MINUTE)
    assert crashed.ledger_problems([crashed.depositor]) == []


def test_a_gap_of_forty_per_cent_with_a_dead_keeper_is_brought_back_by_strangers(crashed):
    """Invariant 43. de_risk trades delta away until its bucket is empty, and the auction does the rest."""
    crashed.last(10 * MINUTE)
    a = crashed.vault.assessment()
    steps = 0
    for _ in range(8):
        delta = crashed.vault.assessment().delta[0] / WAD
        steps += attempt(lambda d=delta: crashed.de_risk(crashed.leg(SHORT, -d * 0.2)))
        crashed.market.wait(MINUTE)
        attempt(lambda: crashed.hedger.record_breach(sender=crashed.stranger))
    after = crashed.vault.assessment()

    assert steps >= 1
    assert after.nav_mid / after.maintenance > a.nav_mid / a.maintenance + 0.05
    assert crashed.market.usdc.balanceOf(crashed.stranger) > USDC
    assert crashed.ledger_problems([crashed.depositor]) == []
