"""A14 and A15: whoever comes just before a gain that he knows of, or leaves just before a loss."""

import boa
import pytest

from tests.attacks.wealth import wealth
from tests.contracts.chain import HOUR, USDC, WAD, reverts
from tests.contracts.protocol import ETH, Budgets, Limits, fault, replace_code, wad

STAKE = 70_000 * USDC  # of the 80,000 that may come or go in a day


@pytest.fixture
def short(funded, series):
    """Forty calls sold, their delta hedged: a point of volatility is worth some 70 USDC."""
    p = funded
    p.loosen(loss_capacity=WAD, loss_per_day=WAD)
    p.sell(series, 40 * WAD)
    p.rebalance(p.leg(0, -p.vault.assessment().delta[ETH] / WAD))
    p.risk.set_limits(Limits(), sender=p.governor)
    p.hedger.set_budgets(Budgets(), sender=p.governor)
    return p


@pytest.fixture
def thief(short):
    """Somebody with 70,000 USDC, approved to the Vault."""
    short.fund(short.stranger, STAKE)
    return short.stranger


def holder(p):
    """Gives the thief shares of the depositor's, and returns what he owns then."""
    p.vault.transfer(p.stranger, STAKE * 10**12, sender=p.depositor)
    return wealth(p, p.stranger)


# ---------------------------------------------------------------- A14


def test_a14_a_surface_that_falls_pays_nobody_who_came_just_before_it(short, thief):
    """Attack A14: five points less volatility, the most that an hour allows, are a gain of those who are in. Who leaves
    within a day is paid at the worst surface of it: no more than if it had not fallen, and he has lost the spread.
    """
    p, start = short, wealth(short, thief)
    p.vault.deposit(STAKE, thief, sender=thief)
    mid = p.vault.assessment().nav_mid

    def leaves_after(hours):
        with boa.env.anchor():
            p.market.wait(hours * HOUR)
            p.vault.redeem(p.vault.maxRedeem(thief), thief, thief, sender=thief)
            return wealth(p, thief)

    without = leaves_after(12)
    p.post_slice(vol=0.55)

    assert p.vault.assessment().nav_mid > mid + 300 * WAD
    assert leaves_after(0) <= start
    assert leaves_after(12) <= without


def test_a14_nobody_has_the_surface_raised_to_buy_shares_cheaper(short, thief):
    """Attack A14: with the poster in league volatility goes up before the deposit and down after it."""
    before = short.vault.previewDeposit(STAKE)

    short.post_slice(vol=0.649)

    assert short.vault.previewDeposit(STAKE) <= before


@pytest.mark.parametrize("price", [2_985, 3_015])
def test_a14_a_round_that_everybody_sees_coming_brings_less_than_the_spread(short, thief, price):
    """Attack A14: Chainlink follows a market that is up to half a per cent away. Delta is hedged, gamma is short."""
    start = wealth(short, thief)
    short.vault.deposit(STAKE, thief, sender=thief)

    short.market.submit(price)
    short.vault.redeem(short.vault.maxRedeem(thief), thief, thief, sender=thief)

    assert wealth(short, thief) <= start


def test_a14_nobody_comes_while_a_venue_counts_for_nothing(short, thief):
    """Attack A14: a venue that does not answer is worth nothing in NAV until it does; that gain is of who was there."""
    worth = short.vault.assessment().nav_bid
    with boa.env.anchor():
        replace_code(short.spot.address, "HostileReceiver")

        a = short.vault.assessment()
        assert a.venue_failed
        assert a.nav_bid < worth * 95 // 100
        assert short.vault.maxDeposit(thief) == 0
        with reverts("vault: reduce-only"):
            short.vault.deposit(STAKE, thief, sender=thief)

    assert short.vault.assessment().nav_bid == worth


# ---------------------------------------------------------------- A15


def test_a15_who_leaves_just_before_the_surface_rises_takes_his_part_of_a_day_and_no_more(short):
    """Attack A15: he is paid at volatility plus the half-spread, two of the five points; and only so much can leave."""
    p = short
    start = holder(p)
    stays = p.vault.convertToAssets(p.vault.balanceOf(p.depositor))

    with reverts("breaker: exits of a day"):
        p.vault.redeem(p.vault.balanceOf(p.depositor), p.depositor, p.depositor, sender=p.depositor)
    p.vault.redeem(p.vault.maxRedeem(p.stranger), p.stranger, p.stranger, sender=p.stranger)
    p.post_slice(vol=0.649)

    assert wealth(p, p.stranger) <= start
    lost = stays - p.vault.convertToAssets(p.vault.balanceOf(p.depositor))
    vega = -p.vault.assessment().vega[ETH] * 10**6 // WAD
    assert 0 < lost <= vega * 5 // 100 * 102 // 100


def test_a15_nobody_has_the_surface_lowered_to_leave_at_a_better_price(short):
    """Attack A15: with the poster in league volatility goes down before the exit and up after it."""
    holder(short)
    shares = short.vault.balanceOf(short.stranger)
    before = short.vault.previewRedeem(shares)

    short.post_slice(vol=0.55)

    assert short.vault.previewRedeem(shares) <= before


def test_a15_who_queues_up_just_before_a_loss_bears_it(short):
    """Attack A15: the queue has no limit, and pays at the first round after its epoch has closed."""
    p = short
    holder(p)
    shares = int(p.vault.balanceOf(p.stranger))
    worth, epoch = p.vault.previewRedeem(shares), p.queue.epoch()
    p.market.wait(p.queue.epoch_closes_at(epoch) - 60 - p.market.now)
    p.request(shares, p.stranger)
    p.market.pass_time(120)

    with reverts("queue: no oracle round since the close"):
        p.settle_epoch()
    p.market.move(2_700)
    due = p.vault.previewRedeem(shares)
    p.settle_epoch()

    assert p.queue.maxWithdraw(p.stranger) <= due
    assert due < worth * 998 // 1000


def test_a15_who_leaves_while_a_venue_counts_for_nothing_bears_all_of_it(short):
    """Attack A15: he may leave, at a NAV without that venue: those who stay lose nothing by it."""
    p = short
    holder(p)
    stays = p.vault.convertToAssets(p.vault.balanceOf(p.depositor))
    venue = fault("LyingVenue")
    venue.hold(0, 100_000 * WAD)
    p.vault.list_venue(venue, ETH, sender=p.governor)
    gift = p.vault.convertToAssets(p.vault.balanceOf(p.depositor)) - stays
    assert gift > 80_000 * USDC
    venue.break_down()

    p.vault.redeem(p.vault.maxRedeem(p.stranger), p.stranger, p.stranger, sender=p.stranger)

    assert p.vault.convertToAssets(p.vault.balanceOf(p.depositor)) >= stays
    assert wad(0.9) * p.vault.balanceOf(p.depositor) // WAD // 10**12 <= stays
