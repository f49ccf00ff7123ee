"""RedemptionQueue.redeem, withdraw: what was paid lies in the queue until its controller claims it."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, events, reverts
from tests.contracts.protocol import replace_code


@pytest.fixture
def paid(funded):
    """1,000 shares of the depositor were paid with 1,000 USDC."""
    funded.request(1_000 * WAD)
    funded.close_epoch()
    funded.settle_epoch()
    return funded


def test_redeem_pays_the_receiver(paid):
    before = paid.market.usdc.balanceOf(paid.stranger)

    assets = paid.queue.redeem(400 * WAD, paid.stranger, paid.depositor, sender=paid.depositor)

    (event,) = events(paid.queue, "Withdraw")
    assert (event.sender, event.receiver, event.owner) == (paid.depositor, paid.stranger, paid.depositor)
    assert (event.assets, event.shares) == (400 * USDC, 400 * WAD)
    assert assets == paid.market.usdc.balanceOf(paid.stranger) - before == 400 * USDC
    assert paid.queue.maxRedeem(paid.depositor) == paid.queue.claimableRedeemRequest(0, paid.depositor) == 600 * WAD
    assert paid.queue.maxWithdraw(paid.depositor) == paid.queue.reserved() == 600 * USDC


def test_withdraw_pays_exactly(paid):
    shares = paid.queue.withdraw(123_456_789, paid.stranger, paid.depositor, sender=paid.depositor)

    assert shares == 123_456_789 * 10**12
    assert paid.market.usdc.balanceOf(paid.stranger) == 123_456_789
    assert paid.queue.maxWithdraw(paid.depositor) == 1_000 * USDC - 123_456_789


def test_max_is_honoured(paid):
    """Invariant 4."""
    assert paid.queue.redeem(paid.queue.maxRedeem(paid.depositor), paid.taker, paid.depositor, sender=paid.depositor)

    assert paid.queue.maxRedeem(paid.depositor) == paid.queue.maxWithdraw(paid.depositor) == 0
    assert paid.queue.reserved() == 0


@pytest.mark.parametrize("function", ["redeem", "withdraw"])
@pytest.mark.parametrize("amount", [0, 1_000 * WAD + 1])
def test_more_than_claimable_or_nothing_is_refused(paid, function, amount):
    with reverts("queue: more than claimable"):
        getattr(paid.queue, function)(amount, paid.depositor, paid.depositor, sender=paid.depositor)


def test_others_may_not_claim(paid):
    with reverts("queue: not allowed"):
        paid.queue.redeem(WAD, paid.stranger, paid.depositor, sender=paid.stranger)


def test_an_operator_claims(paid):
    paid.queue.setOperator(paid.stranger, True, sender=paid.depositor)

    paid.queue.withdraw(5 * USDC, paid.stranger, paid.depositor, sender=paid.stranger)

    assert paid.market.usdc.balanceOf(paid.stranger) == 5 * USDC


def test_claims_never_expire_and_need_neither_vault_nor_oracle(paid):
    """Invariant 42: years later, the feeds stale, and in place of the Vault a contract that reverts."""
    paid.market.pass_time(1_000 * DAY)
    replace_code(str(paid.vault.address), "ContractSigner")

    paid.queue.redeem(1_000 * WAD, paid.stranger, paid.depositor, sender=paid.depositor)

    assert paid.market.usdc.balanceOf(paid.stranger) == 1_000 * USDC


def test_the_order_of_claims_changes_nobodys_amount(cashless, other):
    """Invariant 16: paid in parts, claimed at once, or at the end and in odd pieces, none dearer than its part."""
    cashless.request(30_000 * WAD)
    cashless.request(20_000 * WAD, other)
    cashless.close_epoch()
    cashless.settle_epoch()
    amounts = [cashless.queue.maxWithdraw(who) for who in (cashless.depositor, other)]

    cashless.queue.withdraw(amounts[0], cashless.stranger, cashless.depositor, sender=cashless.depositor)

    assert cashless.queue.maxWithdraw(other) == amounts[1]
    shares, paid = cashless.queue.maxRedeem(other), 0
    for part in (shares // 3, shares // 7, shares - shares // 3 - shares // 7):
        assets = cashless.queue.redeem(part, cashless.stranger, other, sender=other)
        paid += assets
        assert assets * shares <= amounts[1] * part or cashless.queue.maxRedeem(other) == 0
    assert paid == amounts[1]
    assert cashless.market.usdc.balanceOf(cashless.stranger) == sum(amounts)
    assert cashless.queue.reserved() <= 1


def test_a_blacklisted_receiver_holds_up_nobody_else(paid):
    paid.vault.transfer(paid.taker, 500 * WAD, sender=paid.depositor)
    paid.request(500 * WAD, paid.taker)
    usdc = paid.market.usdc
    usdc.blacklist(paid.depositor, sender=usdc.blacklister())
    paid.close_epoch()

    paid.settle_epoch()
    paid.queue.redeem(500 * WAD, paid.taker, paid.taker, sender=paid.taker)

    with reverts("Blacklistable: account is blacklisted"):
        paid.queue.redeem(1_000 * WAD, paid.depositor, paid.depositor, sender=paid.depositor)
    paid.queue.redeem(1_000 * WAD, paid.stranger, paid.depositor, sender=paid.depositor)
    assert usdc.balanceOf(paid.stranger) == 1_000 * USDC


def test_a_token_that_refuses_keeps_the_claim(paid):
    replace_code(paid.market.usdc.address, "RefusingToken", paid.queue)

    with reverts("queue: transfer"):
        paid.queue.redeem(1_000 * WAD, paid.depositor, paid.depositor, sender=paid.depositor)

    assert paid.queue.maxRedeem(paid.depositor) == 1_000 * WAD
