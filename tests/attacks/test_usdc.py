"""A10: Circle blacklists an account or pauses USDC. What others can do meanwhile, and that nothing is lost by it."""

import boa
import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, account, reverts
from tests.contracts.protocol import ETH, SPOT

BLACKLISTED = "Blacklistable: account is blacklisted"
PAUSED = "Pausable: paused"
HEIR = account("heir")


@pytest.fixture
def waiting(sold, hedged):
    """The stranger's 200,000 shares wait in a closed epoch; 50,000 were paid and not claimed, nor was a call."""
    p = hedged
    p.open_gates()
    p.deposit(260_000 * USDC, p.stranger)
    p.request(50_000 * WAD, p.stranger)
    p.close_epoch()
    p.settle_epoch()
    p.sell(p.open_series(3_300, expiry=p.expiry(14)), WAD)  # so that there still is a price to be had
    p.settle(p.book.live_book()[0] >> 215 & 2**32 - 1, 3_200)
    p.clearing.fund(sender=p.stranger)
    p.request(200_000 * WAD, p.stranger)
    p.close_epoch()
    return p


@pytest.fixture
def expired(sold):
    """The call that has expired at 3,200."""
    return sold


def blacklist(p, who):
    p.asset.blacklist(who, sender=p.asset.blacklister())


def whitelist(p, who):
    p.asset.unBlacklist(who, sender=p.asset.blacklister())


def holders(p):
    return [p.depositor, p.stranger, p.queue.address]


def finish(p, expired):
    """Everybody takes what is his; returns the USDC that the stranger and the taker have got."""
    p.settle_epoch()
    for who in (p.stranger, p.taker):
        p.asset.transfer(p.governor, p.asset.balanceOf(who), sender=who)
    p.queue.redeem(p.queue.maxRedeem(p.stranger), p.stranger, p.stranger, sender=p.stranger)
    p.clearing.claim(expired, sender=p.taker)
    return p.asset.balanceOf(p.stranger), p.asset.balanceOf(p.taker)


def undisturbed(p, expired):
    """What they would have got."""
    with boa.env.anchor():
        return finish(p, expired)


def test_a10_a_blacklisted_queue_keeps_what_it_owes_and_holds_up_nobody_else(waiting, expired):
    """Attack A10: settlement and claims wait; instant exits, payouts and hedges go on; afterwards all is paid."""
    p, owed = waiting, undisturbed(waiting, expired)
    claimable = p.queue.maxWithdraw(p.stranger)
    blacklist(p, p.queue)

    with reverts(BLACKLISTED):
        p.queue.settle_epoch(sender=p.stranger)
    with reverts(BLACKLISTED):
        p.queue.redeem(p.queue.maxRedeem(p.stranger), p.stranger, p.stranger, sender=p.stranger)
    assert p.vault.redeem(10_000 * WAD, p.depositor, p.depositor, sender=p.depositor) > 0
    assert p.clearing.claim(expired, sender=p.taker) == owed[1]
    p.request(100 * WAD)
    p.queue.cancel(p.depositor, p.depositor, sender=p.depositor)

    assert p.queue.maxWithdraw(p.stranger) == claimable
    assert p.ledger_problems(holders(p)) == []
    whitelist(p, p.queue)
    p.settle_epoch()
    assert p.queue.maxWithdraw(p.stranger) == pytest.approx(owed[0], rel=1e-6)


def test_a10_a_blacklisted_claimant_is_paid_elsewhere_or_later_and_holds_up_nobody(waiting, expired):
    """Attack A10: what is paid is pulled by each for himself, so that no other payment depends on his."""
    p, owed = waiting, undisturbed(waiting, expired)
    blacklist(p, p.stranger)
    blacklist(p, p.taker)

    assert p.settle_epoch()[0] == 200_000 * WAD
    with reverts(BLACKLISTED):
        p.queue.redeem(p.queue.maxRedeem(p.stranger), p.stranger, p.stranger, sender=p.stranger)
    with reverts(BLACKLISTED):
        p.clearing.claim(expired, sender=p.taker)
    assert p.vault.redeem(10_000 * WAD, p.depositor, p.depositor, sender=p.depositor) > 0

    paid = p.queue.redeem(p.queue.maxRedeem(p.stranger), HEIR, p.stranger, sender=p.stranger)
    assert paid == p.asset.balanceOf(HEIR) == owed[0]
    whitelist(p, p.taker)
    assert p.clearing.claim(expired, sender=p.taker) == owed[1]
    assert p.ledger_problems(holders(p)) == []


def test_a10_a_blacklisted_vault_still_owes_the_same_and_what_was_paid_out_of_it_is_free(waiting, expired):
    """Attack A10: no USDC gets in or out; claims in queue and clearing house, requests and shares themselves do."""
    p = waiting
    for expiry in p.vol_oracle.expiries(ETH):
        if expiry > p.market.now:
            p.post_slice(expiry)
    owed = undisturbed(p, expired)
    before = p.vault.assessment()
    claimable = p.queue.maxWithdraw(p.stranger)
    blacklist(p, p.vault)
    p.fund(p.depositor, 1_000 * USDC)

    for attempt in (
        lambda: p.vault.redeem(10_000 * WAD, p.depositor, p.depositor, sender=p.depositor),
        lambda: p.vault.deposit(1_000 * USDC, p.depositor, sender=p.depositor),
        lambda: p.queue.settle_epoch(sender=p.stranger),
        lambda: p.rebalance(p.leg(SPOT, -1)),
    ):
        with reverts(BLACKLISTED):
            attempt()
    assert p.queue.withdraw(claimable, p.stranger, p.stranger, sender=p.stranger) > 0
    assert p.clearing.claim(expired, sender=p.taker) == owed[1]
    p.request(100 * WAD)
    p.vault.transfer(HEIR, WAD, sender=p.depositor)

    assert p.vault.assessment() == before
    assert p.ledger_problems([*holders(p), HEIR]) == []
    whitelist(p, p.vault)
    p.settle_epoch()
    assert p.queue.maxWithdraw(p.stranger) == pytest.approx(owed[0] - claimable, rel=1e-6)


def test_a10_a_pause_of_usdc_stops_every_payment_and_changes_no_claim(waiting, expired):
    """Attack A10: an expiry and a close pass meanwhile. Fixing, requests and shares need no USDC."""
    p = waiting
    claimable, owed = p.queue.maxWithdraw(p.stranger), undisturbed(p, expired)
    p.asset.pause(sender=p.asset.pauser())

    for attempt in (
        lambda: p.vault.redeem(10_000 * WAD, p.depositor, p.depositor, sender=p.depositor),
        lambda: p.queue.settle_epoch(sender=p.stranger),
        lambda: p.queue.withdraw(claimable, p.stranger, p.stranger, sender=p.stranger),
        lambda: p.clearing.claim(expired, sender=p.taker),
        lambda: p.rebalance(p.leg(SPOT, -1)),
    ):
        with reverts(PAUSED):
            attempt()
    p.vault.transfer(HEIR, WAD, sender=p.depositor)
    p.request(100 * WAD)
    p.settle(p.book.live_book()[0] >> 215 & 2**32 - 1, 3_400)
    p.market.wait(DAY - HOUR)

    assert p.queue.maxWithdraw(p.stranger) == claimable
    assert p.clearing.claimable(expired, p.taker) == owed[1]
    p.asset.unpause(sender=p.asset.pauser())
    assert p.clearing.claim(expired, sender=p.taker) == owed[1]
    assert p.queue.withdraw(claimable, p.stranger, p.stranger, sender=p.stranger) > 0
    p.settle_epoch()
    assert p.queue.maxRedeem(p.stranger) == pytest.approx(200_000 * WAD, rel=1e-12)
    assert p.ledger_problems([*holders(p), HEIR]) == []
