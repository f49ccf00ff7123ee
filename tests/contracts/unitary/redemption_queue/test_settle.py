"""RedemptionQueue.settle_epoch, Vault.settle_queue: everybody in the pool is paid in the same proportion."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, account, events, reverts
from tests.contracts.protocol import SPOT


def test_with_cash_an_epoch_is_paid_whole(funded):
    funded.request(1_000 * WAD)
    epoch = funded.close_epoch()

    paid = funded.settle_epoch()

    (event,) = events(funded.queue, "EpochSettled")
    assert paid == (event.shares, event.assets) == (1_000 * WAD, 1_000 * USDC)
    assert (event.epoch, event.joined, event.remaining) == (epoch, 1_000 * WAD, 0)
    assert funded.queue.maxWithdraw(funded.depositor) == 1_000 * USDC
    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 0


def test_claimable_money_is_reserved_and_outside_nav(hedged):
    """Invariants 14 and 19."""
    hedged.request(10_000 * WAD)
    hedged.close_epoch()
    nav, idle, supply = hedged.vault.assessment().nav_bid, hedged.vault.idle(), hedged.vault.totalSupply()
    price = hedged.vault.previewRedeem(1_000_000 * WAD)

    shares, assets = hedged.settle_epoch()

    assert hedged.vault.idle() == idle - assets
    assert hedged.vault.assessment().nav_bid == nav - assets * 10**12
    assert hedged.vault.totalSupply() == supply - shares
    assert hedged.queue.reserved() == assets == hedged.market.usdc.balanceOf(hedged.queue)
    assert 0 <= hedged.vault.previewRedeem(990_000 * WAD) - price * 99 // 100 <= 1
    assert hedged.ledger_problems([hedged.depositor, hedged.queue]) == []


def test_the_price_is_nav_bid_at_settlement(hedged):
    hedged.request(10_000 * WAD)
    hedged.close_epoch()
    preview = hedged.vault.previewRedeem(10_000 * WAD)

    assert hedged.settle_epoch() == (10_000 * WAD, preview)
    assert preview < hedged.vault.convertToAssets(10_000 * WAD)


def test_no_request_is_priced_at_a_round_older_than_its_close(funded):
    """Invariant 15."""
    funded.request(500 * WAD)
    closes_at = funded.queue.epoch_closes_at(funded.queue.epoch())
    funded.market.pass_time(closes_at - 1 - funded.market.now)
    funded.market.submit(3_000)
    funded.market.submit_usdc()
    funded.market.pass_time(600)

    assert not funded.queue.can_settle()
    with reverts("queue: no oracle round since the close"):
        funded.settle_epoch()

    funded.market.submit(2_990)
    assert funded.queue.can_settle()
    funded.settle_epoch()
    assert funded.queue.maxRedeem(funded.depositor) == 500 * WAD


def test_every_underlying_needs_a_round_since_the_close(both):
    """Invariant 15, for the second underlying."""
    both.request(500 * WAD)
    closes_at = both.queue.epoch_closes_at(both.queue.epoch())
    both.market.wait(closes_at - 600 - both.market.now)
    both.market.pass_time(1_200)
    both.market.submit(3_000)

    assert not both.queue.can_settle()
    with reverts("queue: no oracle round since the close"):
        both.settle_epoch()

    both.market.submit_btc(90_000)
    assert both.queue.can_settle()
    assert both.settle_epoch() == (500 * WAD, 500 * USDC)


def test_an_open_epoch_cannot_be_settled(funded):
    funded.request(500 * WAD)

    assert not funded.queue.can_settle()
    with reverts("queue: epoch not closed"):
        funded.settle_epoch()


def test_an_empty_queue_cannot_be_settled(funded):
    funded.close_epoch()

    assert not funded.queue.can_settle()
    with reverts("queue: nobody waits"):
        funded.settle_epoch()


def test_only_the_queue_is_paid(funded):
    with reverts("vault: not a component"):
        funded.vault.settle_queue(500 * WAD, sender=funded.depositor)


@pytest.mark.parametrize(("shares", "is_due"), [(1, False), (10**15 - 1, False), (10**15, True)])
def test_one_wei_in_the_queue_stops_nothing(hedged, shares, is_due):
    """Attack A19: what is worth less than a unit of USDC is never paid, and would be overdue for ever."""
    hedged.vault.transfer(hedged.stranger, shares, sender=hedged.depositor)
    hedged.request(shares, hedged.stranger)
    hedged.close_epoch()
    hedged.open_gates(kill_drawdown=WAD)
    keep, owed = hedged.vault.idle(), hedged.vault.owed()
    hedged.overwrite("idle", owed)
    hedged.settle_epoch()
    hedged.overwrite("idle", keep)
    assert hedged.queue.pooled() == shares
    hedged.market.wait(2 * DAY + 60)

    assert (hedged.queue.due_since() > 0) is is_due
    assert hedged.vault.mode() == (2 if is_due else 1)


def test_a_crumb_in_the_pool_makes_nobody_older(hedged):
    """Who comes to a wei that has waited for days has not waited for days."""
    hedged.vault.transfer(hedged.stranger, 1, sender=hedged.depositor)
    hedged.request(1, hedged.stranger)
    hedged.close_epoch()
    hedged.settle_epoch()
    hedged.market.wait(3 * DAY)
    hedged.request(1_000 * WAD)
    closes_at = hedged.queue.epoch_closes_at(hedged.close_epoch())
    hedged.overwrite("idle", hedged.vault.owed())

    hedged.settle_epoch()

    assert hedged.queue.pooled() == 1_000 * WAD + 1
    assert hedged.queue.due_since() == closes_at


def test_short_of_cash_it_pays_pro_rata_over_several_epochs(cashless, other):
    """Requests of 30,000 and 10,000 shares while there is cash for 10,000: a quarter of each, then the rest."""
    cashless.request(30_000 * WAD)
    cashless.request(10_000 * WAD, other)
    cashless.close_epoch()
    free = cashless.vault.idle()

    shares, assets = cashless.settle_epoch()

    assert assets == free
    mine, theirs = (cashless.queue.request_of(who) for who in (cashless.depositor, other))
    assert mine.filled + theirs.filled in range(shares, shares + 3)
    assert mine.filled == pytest.approx(3 * theirs.filled, rel=1e-15)
    assert mine.assets + theirs.assets in (assets - 1, assets)
    assert mine.assets == pytest.approx(3 * theirs.assets, abs=3)
    assert cashless.vault.idle() == 0

    cashless.market.pass_time(600)
    cashless.rebalance(cashless.leg(SPOT, -15), cashless.leg(SPOT, -12, pool=1))
    assert cashless.queue.next_settlement().joins is False
    assert not cashless.queue.can_settle()
    with reverts("queue: epoch not closed"):
        cashless.settle_epoch()  # once a day
    cashless.close_epoch()
    assert cashless.queue.can_settle()
    rest, _ = cashless.settle_epoch()

    assert shares + rest == 40_000 * WAD
    assert cashless.queue.total_pending() == cashless.queue.pooled() == 0
    for who, asked in ((cashless.depositor, 30_000), (other, 10_000)):
        assert cashless.queue.pendingRedeemRequest(0, who) == 0
        assert cashless.queue.maxRedeem(who) == asked * WAD
        assert cashless.queue.maxWithdraw(who) == pytest.approx(asked * USDC, rel=3e-3)  # the costs of four trades


def test_an_era_ends_when_almost_nothing_is_left_and_carries_the_rest_over(cashless, other):
    """One unit of USDC short of paying all: the product would run out of digits."""
    cashless.market.mint(str(cashless.vault.address), 100_000 * USDC)
    cashless.overwrite("idle", 50_000 * USDC)
    cashless.request(30_000 * WAD)
    cashless.close_epoch()
    for _ in range(60):  # cash lowers the price that it must fall short of
        cashless.overwrite("idle", cashless.vault.previewRedeem(30_000 * WAD) - 1)
    first, paid = cashless.settle_epoch()
    left = 30_000 * WAD - first
    assert 0 < left < 10**13
    assert tuple(cashless.queue.point()) == (1, 10**36, 0)
    mine = cashless.queue.request_of(cashless.depositor)
    assert (mine.filled, mine.shares) == (first + left - mine.shares, mine.shares)
    assert left - 1 <= mine.shares <= left

    cashless.overwrite("idle", 50_000 * USDC)
    cashless.request(10_000 * WAD, other)
    cashless.close_epoch()
    second, more = cashless.settle_epoch()

    assert second == left + 10_000 * WAD
    assert cashless.queue.point().era == 2
    assert cashless.queue.maxRedeem(cashless.depositor) == 30_000 * WAD
    assert paid - 1 <= cashless.queue.maxWithdraw(cashless.depositor) <= paid + 2
    assert more - 4 <= cashless.queue.maxWithdraw(other) <= more


def test_late_requesters_do_not_dilute_what_early_ones_were_paid(cashless, other):
    cashless.request(40_000 * WAD)
    cashless.close_epoch()
    cashless.settle_epoch()
    early = cashless.queue.maxWithdraw(cashless.depositor)
    cashless.request(40_000 * WAD, other)
    cashless.rebalance(cashless.leg(SPOT, -15))
    cashless.close_epoch()

    cashless.settle_epoch()

    late = cashless.queue.request_of(other)
    mine = cashless.queue.request_of(cashless.depositor)
    assert early > 9_000 * USDC
    assert mine.assets - early == pytest.approx(late.assets * mine.shares / late.shares, rel=1e-6)
    assert late.filled / 40_000 < mine.filled / 40_000  # he has only the second payment's share of the pool


def test_a_crash_between_request_and_close_is_carried_by_the_requester(cashless, other):
    cashless.request(9_000 * WAD)
    before = cashless.vault.previewRedeem(9_000 * WAD)
    cashless.market.move(1_500)
    cashless.close_epoch(1_500)

    shares, assets = cashless.settle_epoch()

    assert shares == 9_000 * WAD
    assert assets < 0.6 * before
    price = cashless.vault.previewRedeem(WAD * 10**6)
    assert assets == pytest.approx(price * 9_000 / 10**6, rel=1e-6)  # those who stay have the same price


def test_without_cash_requests_join_and_nothing_is_burned(cashless, other):
    cashless.overwrite("idle", 0)
    cashless.request(5_000 * WAD)
    cashless.close_epoch()
    supply = cashless.vault.totalSupply()

    assert cashless.queue.can_settle()
    assert cashless.settle_epoch() == (0, 0)

    assert cashless.vault.totalSupply() == supply
    assert cashless.queue.pooled() == cashless.queue.pendingRedeemRequest(0, cashless.depositor) == 5_000 * WAD
    assert cashless.queue.maxRedeem(cashless.depositor) == 0
    assert not cashless.queue.can_settle()
    with reverts("queue: no cash to pay with"):
        cashless.settle_epoch()
    cashless.overwrite("idle", 10_000 * USDC)
    assert cashless.queue.can_settle()  # the same close still serves
    assert cashless.settle_epoch()[0] == 5_000 * WAD


def test_initial_margin_limits_what_is_paid(funded, sold):
    funded.request(1_000_000 * WAD)
    funded.close_epoch()

    funded.settle_epoch()

    after = funded.vault.assessment()
    assert 0 <= after.nav_bid - after.initial < 10**12
    assert funded.queue.pooled() > 0


def test_what_is_owed_to_option_holders_comes_first(funded):
    funded.overwrite("owed", 999_000 * USDC)
    funded.request(500_000 * WAD)
    funded.close_epoch()

    _, assets = funded.settle_epoch()

    assert assets == 500 * USDC  # half of the 1,000 that are not owed: half of the shares asked
    assert funded.vault.idle() >= funded.vault.owed()


def test_epochs_are_settled_in_order(funded):
    funded.vault.transfer(funded.taker, 2_000 * WAD, sender=funded.depositor)
    funded.request(500 * WAD)
    first = funded.close_epoch()
    funded.request(800 * WAD, funded.taker)
    second = funded.close_epoch()

    assert funded.queue.next_settlement() == (first, funded.queue.epoch_closes_at(first), True, 500 * WAD)
    assert funded.settle_epoch()[0] == 500 * WAD
    assert funded.queue.next_settlement() == (second, funded.queue.epoch_closes_at(second), True, 800 * WAD)
    assert funded.settle_epoch()[0] == 800 * WAD
    assert funded.queue.next_settlement().shares == 0


def test_an_expired_series_that_is_not_fixed_blocks_it(funded, sold):
    funded.request(500 * WAD)
    expiry = int(sold) >> 215 & 2**32 - 1
    proof = funded.reach_expiry(expiry)
    funded.market.submit_usdc()
    while not funded.market.now >= funded.queue.next_settlement().closes_at:
        funded.market.wait(3_000)

    assert not funded.queue.can_settle()
    with reverts("vault: settle the expired series first"):
        funded.settle_epoch()

    funded.book.settle(0, expiry, *proof, sender=funded.stranger)
    assert funded.queue.can_settle()
    funded.settle_epoch()
    assert funded.queue.maxRedeem(funded.depositor) == 500 * WAD


def test_reduce_only_does_not_block_it(funded):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)
    funded.request(500 * WAD)
    funded.close_epoch()

    assert funded.queue.can_settle()
    assert funded.settle_epoch() == (500 * WAD, 500 * USDC)


def test_a_dead_oracle_blocks_it_without_a_revert_of_the_view(funded, sold):
    funded.request(500 * WAD)
    funded.market.pass_time(3 * DAY)

    assert not funded.queue.can_settle()
    with reverts("oracle: stale"):
        funded.settle_epoch()


def test_settling_costs_the_same_for_one_and_for_three_hundred(funded):
    """Invariant 17. The first settlements write fresh storage and clear old: the third and the fourth are compared."""
    gas = []
    for requesters in (1, 1, 1, 300):
        for i in range(requesters):
            who = account(f"requester {i}")
            funded.vault.transfer(who, 100 * WAD, sender=funded.depositor)
            funded.request(100 * WAD, who)
        funded.close_epoch()
        funded.settle_epoch()
        gas.append(funded.queue.call_trace().gas_used)
        assert funded.queue.next_settlement().shares == 0  # one settlement is for all of them

    assert gas[2] > 100_000
    assert abs(gas[3] - gas[2]) < 100


@pytest.mark.parametrize("gift", [1, 1_000_000 * USDC])
def test_a_gift_to_the_queue_moves_nothing(funded, gift):
    """Invariant 8."""
    funded.request(500 * WAD)
    funded.market.mint(str(funded.queue.address), gift)
    funded.vault.transfer(funded.queue, 50 * WAD, sender=funded.depositor)
    funded.close_epoch()

    assert funded.settle_epoch() == (500 * WAD, 500 * USDC)
    assert funded.queue.reserved() == 500 * USDC


def test_a_gift_of_shares_does_not_make_a_worthless_pool_look_payable(funded):
    """Or whoever settles when `can_settle` says so would try for ever."""
    funded.vault.transfer(funded.stranger, 1, sender=funded.depositor)
    funded.request(1, funded.stranger)
    funded.close_epoch()
    assert funded.settle_epoch() == (0, 0)
    funded.vault.transfer(funded.queue, 10 * WAD, sender=funded.depositor)
    funded.close_epoch()

    assert not funded.queue.can_settle()
    with reverts("queue: no cash to pay with"):
        funded.settle_epoch()
