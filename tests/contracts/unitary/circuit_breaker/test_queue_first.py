"""Nobody overtakes the shares of closed epochs, and a payment of dust does not put them off."""

from tests.contracts.chain import DAY, USDC, WAD, account, reverts
from tests.contracts.protocol import SPOT

RUNNER = account("runner")


def drained(protocol, left):
    """All cash but `left` USDC is in spot, and the runner has a tenth of the shares."""
    protocol.loosen()
    protocol.vault.transfer(RUNNER, 100_000 * WAD, sender=protocol.depositor)
    protocol.rebalance(protocol.leg(SPOT, (protocol.vault.idle() / USDC - left) / 3_010))
    return protocol


def test_a_request_counts_from_the_close_of_its_epoch(funded):
    funded.request(400_000 * WAD)
    before = funded.queue.shares_due(), funded.queue.due_since()

    funded.close_epoch()

    assert before == (0, 0)
    assert funded.queue.shares_due() == 400_000 * WAD
    assert funded.queue.due_since() == funded.queue.epoch_closes_at(funded.queue.epoch() - 1)
    funded.settle_epoch()
    assert (funded.queue.shares_due(), funded.queue.due_since()) == (0, 0)


def test_what_the_queue_is_worth_is_not_paid_to_who_comes_later(funded):
    """Attack A21: a run past the queue."""
    drained(funded, left=50_000)
    funded.request(40_000 * WAD)
    free = funded.vault.maxWithdraw(RUNNER)
    funded.close_epoch(3_000)

    worth = funded.vault.previewRedeem(40_000 * WAD)
    left = funded.vault.maxWithdraw(RUNNER)

    assert free == funded.vault.idle()
    assert left == free - worth - 1 or left == free - worth
    with reverts("breaker: the queue comes first"):
        funded.vault.withdraw(left + 2, RUNNER, RUNNER, sender=RUNNER)
    funded.vault.withdraw(left, RUNNER, RUNNER, sender=RUNNER)
    assert funded.settle_epoch()[0] == 40_000 * WAD


def test_margin_is_kept_for_the_queue_too(funded, sold):
    """Free cash there is plenty: what is scarce is what `nav_bid` has above initial margin."""
    funded.open_gates()
    a = funded.vault.assessment()
    headroom = (a.nav_bid - a.initial) // 10**12
    funded.vault.withdraw(headroom - 10_000 * USDC, RUNNER, funded.depositor, sender=funded.depositor)
    funded.vault.transfer(RUNNER, 5_000 * WAD, sender=funded.depositor)
    funded.request(9_000 * WAD)

    funded.close_epoch(3_000)

    with reverts("breaker: the queue comes first"):
        funded.vault.redeem(5_000 * WAD, RUNNER, RUNNER, sender=RUNNER)
    assert funded.settle_epoch()[0] == 9_000 * WAD


def test_a_payment_of_dust_does_not_use_up_the_epoch(funded):
    """With one unit of cash the pool was paid one unit, and then waited a day while others took the cash that came."""
    drained(funded, left=5_000)
    funded.request(900_000 * WAD)
    funded.close_epoch(3_000)
    paid = funded.settle_epoch()[1]
    assert 0 < paid < 20_000 * USDC

    funded.rebalance(funded.leg(SPOT, -50))
    runner = funded.vault.maxRedeem(RUNNER)

    assert funded.queue.can_settle()
    assert funded.settle_epoch()[1] > 100_000 * USDC
    assert runner == 0


def test_a_second_payment_of_dust_after_a_close_is_refused(funded):
    """Or a keeper would pay its gas for every unit that comes."""
    drained(funded, left=5_000)
    funded.request(900_000 * WAD)
    funded.close_epoch(3_000)
    funded.settle_epoch()

    funded.rebalance(funded.leg(SPOT, -1))

    assert funded.vault.maxRedeem(funded.queue) > 0
    assert not funded.queue.can_settle()
    with reverts("queue: no cash to pay with"):
        funded.settle_epoch()
    funded.close_epoch(3_000)
    assert funded.queue.can_settle()
    assert funded.settle_epoch()[0] > 0


def test_a_payment_of_a_tenth_uses_the_epoch_up(funded):
    drained(funded, left=20_000)
    funded.request(100_000 * WAD)
    funded.close_epoch(3_000)
    assert funded.settle_epoch()[0] >= 10_000 * WAD

    funded.rebalance(funded.leg(SPOT, -20))

    assert not funded.queue.can_settle()
    with reverts("queue: epoch not closed"):
        funded.settle_epoch()


def test_everyone_redeems_at_once_and_all_get_the_same(funded, sold):
    """A run: whoever queues is paid in proportion, whatever the order, and the last is not left with less."""
    holders = [account(f"holder {i}") for i in range(8)]
    for holder in holders:
        funded.vault.transfer(holder, 125_000 * WAD, sender=funded.depositor)
    for holder in holders:
        funded.request(125_000 * WAD, holder)
    funded.close_epoch(3_000)
    funded.settle_epoch()

    paid = [funded.queue.maxWithdraw(holder) for holder in holders]
    a = funded.vault.assessment()

    assert max(paid) - min(paid) <= 1
    assert paid[0] > 100_000 * USDC
    assert 0 <= a.nav_bid - a.initial < 10**12  # all that margin lets go
    assert funded.vault.totalSupply() == funded.queue.shares_due()


def test_a_day_later_what_remains_is_still_due_since_its_close(funded):
    drained(funded, left=20_000)
    funded.request(100_000 * WAD)
    funded.close_epoch(3_000)
    since = funded.queue.due_since()
    funded.settle_epoch()

    funded.market.wait(DAY)

    assert funded.queue.due_since() == since
    assert 0 < funded.queue.shares_due() < 100_000 * WAD
