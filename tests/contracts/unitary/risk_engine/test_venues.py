"""RiskEngine: venues that do not answer count nothing and stop nobody from leaving."""

import pytest
from boa.contracts.base_evm_contract import BoaError

from tests.contracts.chain import USDC, WAD, reason, reverts
from tests.contracts.protocol import ETH, fault

HELD = 10_000 * WAD
VENUE = 2


@pytest.fixture
def venue(hedged):
    """A third venue with 3 ETH, said to be worth 10,000 USDC."""
    listed = fault("LyingVenue")
    listed.hold(3 * WAD, HELD)
    hedged.vault.list_venue(listed, ETH, sender=hedged.governor)
    return listed


@pytest.fixture
def silenced(hedged, venue):
    """It reverts."""
    venue.break_down()
    return hedged


def test_a_venue_that_does_not_answer_counts_nothing_and_is_flagged(hedged, venue):
    before = hedged.vault.assessment()

    venue.break_down()

    after = hedged.vault.assessment()
    assert (before.venue_failed, after.venue_failed) == (False, True)
    assert before.nav_bid - after.nav_bid == HELD
    assert before.delta[ETH] - after.delta[ETH] == 3 * WAD


def test_an_address_without_code_is_no_answer(hedged):
    listed = [*hedged.vault.all_venues(), (hedged.stranger, ETH)]

    assert hedged.risk.assess([], listed, 0).venue_failed


def test_exits_go_on_at_what_is_left(silenced):
    vault, who = silenced.vault, silenced.depositor
    worth = vault.assessment().nav_bid * 10_000 * WAD // vault.effective_supply()

    vault.redeem(10_000 * WAD, who, who, sender=who)

    assert silenced.market.usdc.balanceOf(who) * 10**12 == pytest.approx(worth, rel=1e-6)


def test_settlement_and_payouts_go_on(silenced):
    series = silenced.book.live_book()[0] >> 87 << 87
    silenced.settle(silenced.expiry(), 3_500)
    silenced.clearing.fund(sender=silenced.stranger)

    silenced.clearing.claim(series, sender=silenced.taker)

    assert silenced.market.usdc.balanceOf(silenced.taker) == 5_000 * USDC


def test_nothing_is_minted_or_sold(silenced):
    silenced.fund(silenced.stranger, 1_000 * USDC)

    with reverts("vault: reduce-only"):
        silenced.vault.deposit(1_000 * USDC, silenced.stranger, sender=silenced.stranger)
    with reverts("vault: reduce-only"):
        silenced.sell(silenced.book.live_book()[0] >> 87 << 87)


def test_options_are_bought_back(silenced):
    silenced.buy_back(silenced.book.live_book()[0] >> 87 << 87)

    assert silenced.vault.assessment().venue_failed


def test_nothing_is_traded_in_it(silenced):
    with reverts("venue: broken"):
        silenced.rebalance(silenced.leg(VENUE, -1))


def test_a_rebalance_may_not_silence_a_venue(hedged):
    calm = hedged.vault.assessment()

    with reverts("risk: a venue does not answer"):
        hedged.risk.check_rebalance(calm, calm._replace(venue_failed=True))


def test_the_drawdown_of_a_silent_venue_is_not_latched(hedged, venue):
    hedged.open_gates(kill_drawdown=WAD // 1000)
    hedged.vault.checkpoint()
    venue.break_down()

    hedged.vault.checkpoint(sender=hedged.stranger)

    assert not hedged.breaker.latched()


def test_no_caller_silences_a_venue_by_starving_it(hedged):
    """Attack A28: an exit at a price without the venue. With too little gas there is no answer, never another one."""
    book, venues, cash = hedged.book.live_book(), hedged.vault.all_venues(), hedged.vault.cash()
    whole = hedged.risk.assess(book, venues, cash)
    refused = set()

    for gas in range(100_000, 2_000_000, 50_000):
        try:
            assert hedged.risk.assess(book, venues, cash, gas=gas) == whole
        except BoaError as error:
            refused.add(reason(error))

    assert "risk: too little gas" in refused
