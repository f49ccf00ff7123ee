"""RedemptionQueue.requestRedeem, cancel: shares are handed over until the epoch closes."""

import boa
import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, events, reverts
from tests.contracts.protocol import SPOT, ZERO


def test_epochs_close_at_nine_every_day(protocol):
    epoch = protocol.queue.epoch()
    closes_at = protocol.queue.epoch_closes_at(epoch)

    assert closes_at % DAY == 9 * HOUR
    assert closes_at - DAY <= protocol.market.now < closes_at
    boa.env.time_travel(seconds=closes_at - protocol.market.now)
    assert protocol.queue.epoch() == epoch + 1
    assert protocol.queue.epoch_closes_at(epoch + 1) == closes_at + DAY


def test_shares_move_into_the_queue_and_stay_in_supply(funded):
    supply, nav = funded.vault.totalSupply(), funded.vault.assessment().nav_bid

    funded.request(1_000 * WAD)

    assert funded.vault.balanceOf(funded.queue) == 1_000 * WAD
    assert funded.queue.total_pending() == 1_000 * WAD
    assert funded.queue.requested(funded.queue.epoch()) == 1_000 * WAD
    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 1_000 * WAD
    assert funded.queue.claimableRedeemRequest(0, funded.depositor) == 0
    assert (funded.vault.totalSupply(), funded.vault.assessment().nav_bid) == (supply, nav)


def test_emits_the_standards_event(funded):
    funded.vault.approve(funded.queue, 500 * WAD, sender=funded.depositor)
    funded.queue.setOperator(funded.depositor, True, sender=funded.taker)

    request_id = funded.queue.requestRedeem(500 * WAD, funded.taker, funded.depositor, sender=funded.depositor)

    (event,) = events(funded.queue, "RedeemRequest")
    assert request_id == 0
    assert (event.controller, event.owner, event.requestId) == (funded.taker, funded.depositor, 0)
    assert (event.sender, event.shares) == (funded.depositor, 500 * WAD)
    assert funded.queue.pendingRedeemRequest(0, funded.taker) == 500 * WAD
    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 0


def test_requests_of_a_controller_are_one(funded):
    funded.request(300 * WAD)
    funded.request(200 * WAD)

    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 500 * WAD
    assert funded.queue.pendingRedeemRequest(1, funded.depositor) == 0
    assert funded.queue.claimableRedeemRequest(1, funded.depositor) == 0


def test_an_operator_of_the_owner_may_request(funded):
    funded.vault.approve(funded.queue, 500 * WAD, sender=funded.depositor)
    assert funded.queue.setOperator(funded.stranger, True, sender=funded.depositor)

    funded.queue.requestRedeem(500 * WAD, funded.depositor, funded.depositor, sender=funded.stranger)

    assert funded.queue.isOperator(funded.depositor, funded.stranger)
    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 500 * WAD


def test_set_operator_says_so(funded):
    funded.queue.setOperator(funded.stranger, True, sender=funded.depositor)

    (event,) = events(funded.queue, "OperatorSet")
    assert (event.controller, event.operator, event.approved) == (funded.depositor, funded.stranger, True)


def test_others_may_not_request_even_with_an_allowance_to_the_queue(funded):
    funded.vault.approve(funded.queue, 500 * WAD, sender=funded.depositor)

    with reverts("queue: not allowed"):
        funded.queue.requestRedeem(500 * WAD, funded.stranger, funded.depositor, sender=funded.stranger)


def test_without_an_allowance_it_is_refused(funded):
    with reverts("erc20: insufficient allowance"):
        funded.queue.requestRedeem(500 * WAD, funded.depositor, funded.depositor, sender=funded.depositor)


@pytest.mark.parametrize("shares", [0, 1, 100 * WAD - 1])
def test_less_than_a_hundred_shares_are_spam(funded, shares):
    with reverts("queue: below minimum request"):
        funded.request(shares)


def test_a_whole_balance_may_be_less(funded):
    funded.vault.transfer(funded.stranger, 3 * WAD, sender=funded.depositor)

    funded.request(3 * WAD, funded.stranger)

    assert funded.queue.pendingRedeemRequest(0, funded.stranger) == 3 * WAD


def test_a_whole_balance_for_somebody_else_may_not(funded):
    funded.vault.transfer(funded.stranger, 3 * WAD, sender=funded.depositor)
    funded.vault.approve(funded.queue, 3 * WAD, sender=funded.stranger)
    funded.queue.setOperator(funded.stranger, True, sender=funded.depositor)

    with reverts("queue: below minimum request"):
        funded.queue.requestRedeem(3 * WAD, funded.depositor, funded.stranger, sender=funded.stranger)


def test_nobody_holds_up_anothers_request_by_one_in_his_name(funded):
    """Attack A19."""
    funded.vault.transfer(funded.stranger, 100 * WAD, sender=funded.depositor)
    funded.vault.approve(funded.queue, 100 * WAD, sender=funded.stranger)

    with reverts("queue: not allowed"):
        funded.queue.requestRedeem(100 * WAD, funded.depositor, funded.stranger, sender=funded.stranger)
    funded.close_epoch()
    funded.request(500 * WAD)

    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 500 * WAD


def test_nobody_can_request_nothing(funded):
    with reverts("queue: below minimum request"):
        funded.request(0, funded.stranger)


def test_nobody_cannot_be_controller(funded):
    funded.vault.approve(funded.queue, 500 * WAD, sender=funded.depositor)

    with reverts("queue: not allowed"):
        funded.queue.requestRedeem(500 * WAD, ZERO, funded.depositor, sender=funded.depositor)


def test_a_second_request_waits_for_the_settlement_of_the_first(funded):
    funded.request(500 * WAD)
    funded.close_epoch()

    with reverts("queue: settle the earlier request first"):
        funded.request(500 * WAD)

    funded.settle_epoch()
    funded.request(400 * WAD)
    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 400 * WAD
    assert funded.queue.claimableRedeemRequest(0, funded.depositor) == 500 * WAD


def test_requests_go_on_in_reduce_only_and_without_an_oracle(funded):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)
    funded.market.pass_time(2 * DAY)

    funded.request(500 * WAD)

    assert funded.queue.pendingRedeemRequest(0, funded.depositor) == 500 * WAD


def test_cancelling_before_the_close_restores_exactly(funded):
    """Invariant 18."""
    held = funded.vault.balanceOf(funded.depositor)
    funded.request(700 * WAD + 1)
    funded.request(300 * WAD)
    epoch = funded.queue.epoch()

    shares = funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor)

    (event,) = events(funded.queue, "RedeemRequestCancelled")
    assert (event.controller, event.receiver, event.sender) == (funded.depositor,) * 3
    assert event.shares == shares == 1_000 * WAD + 1
    assert funded.vault.balanceOf(funded.depositor) == held
    assert funded.queue.total_pending() == funded.queue.requested(epoch) == 0
    assert funded.queue.next_settlement().shares == 0


def test_after_a_cancellation_another_request_of_the_same_epoch_is_settled(funded):
    funded.request(500 * WAD)
    funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor)
    funded.request(400 * WAD)
    funded.close_epoch()

    assert funded.settle_epoch() == (400 * WAD, 400 * USDC)


def test_others_requests_survive_a_cancellation(funded):
    funded.vault.transfer(funded.taker, 900 * WAD, sender=funded.depositor)
    funded.request(900 * WAD, funded.taker)
    funded.request(500 * WAD)

    funded.queue.cancel(funded.depositor, funded.stranger, sender=funded.depositor)

    assert funded.vault.balanceOf(funded.stranger) == 500 * WAD
    assert funded.queue.total_pending() == 900 * WAD


def test_after_the_close_it_waits(funded):
    funded.request(500 * WAD)
    funded.close_epoch()

    with reverts("queue: nothing to cancel"):
        funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor)


def freeze(p):
    """An option is open and prices are stale."""
    p.sell(p.open_series(), WAD)
    p.vault.checkpoint()
    p.market.pass_time(2 * HOUR)


def test_while_frozen_it_is_taken_back_after_the_close_too(funded):
    """Invariant 42: nothing is settled then, and frozen exits are for those who hold their shares."""
    funded.request(500 * WAD)
    funded.close_epoch()
    freeze(funded)
    held = funded.vault.balanceOf(funded.depositor)

    assert funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor) == 500 * WAD

    assert funded.vault.balanceOf(funded.depositor) == held + 500 * WAD
    assert funded.queue.total_pending() == funded.queue.shares_due() == funded.queue.due_since() == 0
    assert funded.queue.next_settlement().shares == 0
    with reverts("queue: nothing to cancel"):
        funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor)


def test_while_frozen_it_is_taken_back_from_the_pool(cashless, other):
    """Invariants 13 and 16: what was paid of it stays, and who stays in the pool has no more and no less."""
    cashless.request(30_000 * WAD)
    cashless.request(10_000 * WAD, other)
    cashless.close_epoch()
    cashless.settle_epoch()
    cashless.market.pass_time(2 * HOUR)
    mine, others = (cashless.queue.request_of(who) for who in (cashless.depositor, other))
    pooled = cashless.queue.pooled()

    back = cashless.queue.cancel(cashless.depositor, cashless.depositor, sender=cashless.depositor)

    assert back == mine.shares > 0
    assert cashless.queue.pooled() == pooled - back
    assert cashless.queue.maxRedeem(cashless.depositor) == mine.filled == 30_000 * WAD - back
    assert cashless.queue.request_of(other) == others
    assert cashless.ledger_problems([cashless.depositor, other, cashless.queue]) == []
    cashless.market.wait(60)
    cashless.rebalance(cashless.leg(SPOT, -15), cashless.leg(SPOT, -15, pool=1))
    cashless.close_epoch()
    cashless.settle_epoch()
    assert cashless.queue.pendingRedeemRequest(0, other) == 0
    assert cashless.queue.maxRedeem(other) == 10_000 * WAD


def test_an_epoch_that_all_have_left_holds_nobody_up(funded):
    """Two epochs close during a freeze; the first one's requests are all taken back."""
    funded.vault.transfer(funded.taker, 900 * WAD, sender=funded.depositor)
    freeze(funded)
    funded.request(500 * WAD)
    funded.market.pass_time(DAY)
    funded.request(900 * WAD, funded.taker)
    funded.market.pass_time(DAY)
    funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.depositor)
    funded.market.wait(60)

    assert funded.queue.can_settle()
    assert funded.settle_epoch() == (0, 0)
    assert funded.settle_epoch()[0] == 900 * WAD
    assert funded.queue.maxRedeem(funded.taker) == 900 * WAD


def test_only_the_controller_or_its_operator_cancels(funded):
    funded.request(500 * WAD)

    with reverts("queue: not allowed"):
        funded.queue.cancel(funded.depositor, funded.stranger, sender=funded.stranger)

    funded.queue.setOperator(funded.stranger, True, sender=funded.depositor)
    funded.queue.cancel(funded.depositor, funded.depositor, sender=funded.stranger)
    funded.queue.setOperator(funded.stranger, False, sender=funded.depositor)
    with reverts("queue: not allowed"):
        funded.queue.cancel(funded.depositor, funded.stranger, sender=funded.stranger)
