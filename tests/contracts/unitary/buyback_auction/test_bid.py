"""BuybackAuction.bid: short options are bought back, and what hedged them is unwound in the same call."""

import boa
import pytest

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import BTC_SPOT, SHORT, wad
from tests.contracts.unitary.buyback_auction.conftest import (
    MINUTE,
    brought_to,
    health,
    idle_for,
    open_auction,
    unwinding,
)

CALLS, PUTS = 0, 1


def bid(protocol, number=CALLS, size=3 * WAD, **options):
    """A bid of one of the book's series with the leg that unwinds it. Returns the USDC paid."""
    id = protocol.series[number]
    return protocol.bid(id, size, *unwinding(protocol, id, size), **options)


@pytest.fixture
def opened(mixed):
    """The mixed book with the auction open."""
    open_auction(mixed)
    return mixed


@pytest.fixture
def in_the_money(funded):
    """Short puts that nothing hedges, after ETH has fallen from 3,000 to 1,600."""
    brought_to(funded, "puts", 2.5, hedged=0.0)
    funded.market.move(1_600)
    return funded


# ---------------------------------------------------------------- what it does


def test_tokens_are_burned_and_paid_for(opened):
    id = opened.series[CALLS]
    usdc, taker = opened.market.usdc, opened.taker
    before, held, idle = usdc.balanceOf(taker), opened.token.balanceOf(taker, id), opened.vault.idle()

    paid = bid(opened)

    (taken,) = events(opened.auction, "BidTaken")
    (leg,) = events(opened.auction, "LegTraded")
    assert (taken.bidder, taken.series, taken.size, taken.price) == (taker, id, 3 * WAD, paid)
    assert usdc.balanceOf(taker) - before == paid
    assert held - opened.token.balanceOf(taker, id) == 3 * WAD
    assert opened.vault.idle() == idle - paid + leg.usdc // 10**12
    assert opened.ledger_problems([opened.depositor]) == []


def test_options_are_written_against_collateral_and_paid_for(opened):
    id = opened.series[PUTS]
    opened.fund(opened.stranger, 3 * 2_900 * USDC, opened.clearing)
    before = opened.market.usdc.balanceOf(opened.stranger)

    paid = bid(opened, PUTS, writes=True, who=opened.stranger)

    assert opened.market.usdc.balanceOf(opened.stranger) == before - 3 * 2_900 * USDC + paid
    assert opened.token.balanceOf(opened.taker, id) == 30 * WAD
    assert opened.ledger_problems([opened.depositor]) == []


def test_it_raises_health_and_leaves_delta_where_it_was(opened):
    """Invariant 33. Liquidation improves health."""
    before = health(opened)

    bid(opened)

    assert health(opened) > before + 0.03
    assert abs(opened.vault.assessment().delta[0]) < WAD // 100


def test_bids_bring_any_book_to_its_target_and_close_the_auction(distressed):
    """Invariant 33. And invariant 43: nobody has asked the keeper."""
    open_auction(distressed)
    bids = 0
    while distressed.auction.is_open():
        distressed.market.wait(3 * MINUTE)
        bid(distressed, bids % len(distressed.series))
        bids += 1

    assert health(distressed) > 1.25
    assert 4 <= bids <= 10
    assert distressed.ledger_problems([distressed.depositor]) == []


# ---------------------------------------------------------------- when


def test_while_it_is_closed_there_are_no_bids(mixed):
    with reverts("auction: closed"):
        bid(mixed)


def test_above_the_target_there_are_no_bids(opened):
    """Invariant 33."""
    opened.overwrite("idle", idle_for(opened, 1.251))

    with reverts("auction: target reached"):
        bid(opened)


def test_between_maintenance_margin_and_the_target_bids_go_on(opened):
    opened.overwrite("idle", idle_for(opened, 1.1))

    bid(opened, size=2 * WAD)

    assert health(opened) > 1.1


# ---------------------------------------------------------------- price


def test_at_first_it_pays_the_lowest_surface_of_the_window(opened):
    lowest = opened.pricer.lowest(opened.series[CALLS])

    assert bid(opened) == 3 * lowest // 10**12


def test_then_a_premium_up_to_fifteen_per_cent_of_the_mark(opened):
    opened.market.wait(15 * MINUTE)
    lowest = opened.pricer.lowest(opened.series[CALLS])

    assert bid(opened) == (3 * lowest + 3 * lowest * 15 // 100) // 10**12


@pytest.mark.parametrize(
    "surface",
    [{"vol": 0.64}, {"vol": 0.62, "half_spread": 0.04}, {"carry": 0.05}],
    ids=["higher", "wider about a higher middle", "a higher forward"],
)
def test_a_post_never_raises_what_is_paid_within_a_day(opened, surface):
    """Attacks A25 and A29: whoever has the vol poster's key and the options gains nothing by posting before a bid."""
    opened.market.wait(15 * MINUTE)
    with boa.env.anchor():
        honest = bid(opened)

    opened.post_slice(**surface)

    assert bid(opened) == pytest.approx(honest, rel=1e-4)


def test_or_thirty_per_cent_of_the_margin_that_it_releases(in_the_money):
    """15 % of the mark of puts far in the money would be more than they free."""
    in_the_money.overwrite("idle", idle_for(in_the_money, 0.9))
    open_auction(in_the_money)
    in_the_money.market.wait(15 * MINUTE)
    lowest = in_the_money.pricer.lowest(in_the_money.series[0])

    paid = bid(in_the_money, size=WAD)

    (taken,) = events(in_the_money.auction, "BidTaken")
    assert taken.released * 30 // 100 < lowest * 15 // 100
    assert paid == (lowest + taken.released * 30 // 100) // 10**12


def test_the_bidder_says_what_he_accepts(opened):
    with reverts("auction: price below the least"):
        bid(opened, least=1_000 * USDC)


# ---------------------------------------------------------------- what it may not leave behind


def test_bought_back_without_its_hedge_is_refused(opened):
    """The hedge that is left would be a bet: delta would end outside its band, which is 2 % of maintenance margin."""
    with reverts("auction: a limit worse"):
        opened.bid(opened.series[CALLS], 3 * WAD)


def test_hedges_are_only_traded_towards_neutral(opened):
    id = opened.series[CALLS]
    (leg,) = unwinding(opened, id, 3 * WAD)

    with reverts("auction: away from neutral"):
        opened.bid(id, 3 * WAD, leg._replace(delta_change=leg.delta_change * 11 // 10))
    with reverts("auction: away from neutral"):
        opened.bid(id, 3 * WAD, leg._replace(delta_change=wad(0.1), limit_price=wad(3_100)))
    opened.bid(id, 3 * WAD, leg._replace(delta_change=leg.delta_change * 104 // 100))


def test_a_bid_unwinds_no_more_than_what_it_buys_back(in_the_money):
    """Attack A25: a bid of dust would be a step of de_risk without its budget and its pace."""
    in_the_money.overwrite("idle", idle_for(in_the_money, 0.9))
    open_auction(in_the_money)
    in_the_money.market.wait(MINUTE)
    id = in_the_money.series[0]
    assert in_the_money.vault.assessment().delta[0] > 50 * WAD

    with reverts("auction: more than its hedge"):
        in_the_money.bid(id, WAD // 10, in_the_money.leg(SHORT, -0.11))
    with reverts("auction: more than its hedge"):
        in_the_money.bid(id, WAD // 10, in_the_money.leg(SHORT, -0.08), in_the_money.leg(SHORT, -0.03))
    in_the_money.bid(id, WAD // 10, in_the_money.leg(SHORT, -0.10))


def test_another_underlyings_hedges_are_left_alone(both):
    brought_to(both, "calls", 0.9)
    open_auction(both)
    both.market.wait(60)

    with reverts("auction: other underlying"):
        both.bid(both.series[0], 2 * WAD, both.leg(BTC_SPOT, 0.01))


def test_legs_may_lose_half_a_per_cent_at_first(opened):
    opened.market.push_pool(2_970)

    with reverts("hedge: slippage"):
        id = opened.series[CALLS]
        opened.bid(id, 3 * WAD, unwinding(opened, id, 3 * WAD)[0]._replace(limit_price=wad(2_900)))


def test_a_bid_takes_at_most_a_quarter_of_the_shortfall(opened):
    a = opened.vault.assessment()
    before = a.maintenance * 125 // 100 - a.nav_mid

    with reverts("auction: too much at once"):
        bid(opened, size=5 * WAD)
    bid(opened, size=3 * WAD)

    a = opened.vault.assessment()
    assert before - (a.maintenance * 125 // 100 - a.nav_mid) <= opened.auction.shortfall() // 4


def test_what_releases_no_margin_is_not_bought(funded):
    """Calls make the worst case, in which puts expire worthless: buying puts back costs more than their contingency."""
    brought_to(funded, "calls", 2.0, hedged=0.0)
    funded.breaker.set_reduce_only(False, sender=funded.governor)  # the cash that was taken away is no drawdown
    put = funded.open_series(3_300, is_call=False)
    funded.sell(put, 3 * WAD)
    funded.overwrite("idle", idle_for(funded, 0.9))
    open_auction(funded)

    with reverts("auction: releases no margin"):
        funded.bid(put, WAD)


def test_no_more_is_bought_than_the_vault_is_short_of(opened):
    with reverts("book: more than short"):
        opened.bid(opened.series[CALLS], 31 * WAD)


@pytest.mark.parametrize(
    ("equity", "why"), [(0.05, "auction: health does not rise"), (-0.3, "auction: no equity")], ids=["little", "none"]
)
def test_where_health_would_not_rise_nothing_is_bought(in_the_money, equity, why):
    """With next to nothing left the first would be paid in full, and the others from what remains."""
    in_the_money.overwrite("idle", idle_for(in_the_money, equity))
    open_auction(in_the_money)
    in_the_money.market.wait(15 * MINUTE)

    with reverts(why):
        bid(in_the_money, size=WAD)


def test_what_bids_cost_has_a_bucket(in_the_money):
    """Invariant 37. At the highest premium a tenth of maintenance margin is not enough to buy most of the book."""
    in_the_money.overwrite("idle", idle_for(in_the_money, 0.6))
    open_auction(in_the_money)
    in_the_money.last(15 * MINUTE)
    a, before = in_the_money.vault.assessment(), in_the_money.auction.cost_budget()

    bid(in_the_money, size=6 * WAD)

    (taken,) = events(in_the_money.auction, "BidTaken")
    spent = before - in_the_money.auction.cost_budget()
    assert spent == taken.cost * WAD // max(a.nav_bid, a.maintenance) + 1
    with reverts("budget: exhausted"):
        while in_the_money.auction.cost_budget() > 0:
            in_the_money.last(15 * MINUTE)
            if not in_the_money.auction.is_open():
                in_the_money.auction.open(sender=in_the_money.stranger)
                in_the_money.last(15 * MINUTE)
            bid(in_the_money, size=3 * WAD)


# ---------------------------------------------------------------- Attack A25: self-bid, last bid, bids in a loop


def premium_of(paid, protocol, id, size):
    return paid - protocol.pricer.lowest(id) * size // WAD // 10**12


def test_a_second_bid_in_the_same_block_is_paid_less_premium(opened):
    """Attack A25. Who waits for the highest premium and sells in a row finds it halved by his own bids."""
    id = opened.series[CALLS]
    opened.market.wait(15 * MINUTE)

    first = premium_of(bid(opened), opened, id, 3 * WAD)
    second = premium_of(bid(opened), opened, id, 3 * WAD)

    assert second < first * 0.65


def test_cutting_a_bid_in_pieces_brings_less(opened):
    """Attack A25. Invariant 38."""
    opened.market.wait(15 * MINUTE)

    with boa.env.anchor():
        whole = bid(opened, size=3 * WAD)
    pieces = sum(bid(opened, size=WAD // 2) for _ in range(6))

    assert pieces < whole


def test_a_small_bid_hardly_sets_the_clock_back(opened):
    """Attack A25. Nobody holds the premium down with small change."""
    opened.market.wait(10 * MINUTE)
    before = opened.auction.premium()

    bid(opened, size=WAD // 20)

    assert before * 0.98 < opened.auction.premium() <= before


def test_while_it_is_open_nobody_buys_from_the_vault_to_sell_it_back(opened):
    """Attack A25. A bid in a loop needs options that the vault does not sell below initial margin."""
    with reverts("vault: reduce-only"):
        opened.sell(opened.series[CALLS], WAD)


def test_a_holder_who_bids_himself_gains_no_more_than_the_published_premium(opened):
    """Attack A25. All that he sells, in any order, is paid at most 15 % over the mark."""
    id = opened.series[CALLS]
    mark = opened.pricer.lowest(id)
    sold, paid = 0, 0
    while opened.auction.is_open() and sold < 30 * WAD:
        opened.market.wait(15 * MINUTE)
        if opened.auction.is_open():
            paid += bid(opened)
            sold += 3 * WAD

    assert sold >= 9 * WAD
    assert paid <= mark * sold // WAD * 115 // 100 // 10**12
