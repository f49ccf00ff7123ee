"""BuybackAuction.open_rescue: options are bought back so that a queue can be paid, at the cost of shares that wait."""

import boa
import pytest

from tests.contracts.chain import DAY, USDC, WAD, account, events, reverts
from tests.contracts.protocol import ETH, LOOSE, SPOT, wad
from tests.contracts.unitary.buyback_auction.conftest import MINUTE, unwinding

STAYS = 300_000  # shares of one who does not wait


@pytest.fixture
def waiting(funded):
    """Calls of four weeks, hedged with all the cash that two who want to leave would need; a third stays.

    `depositor` asks for 400,000 shares and `stranger` for 200,000. `maker` keeps his.
    """
    p = funded
    p.loosen()
    p.vault.transfer(p.stranger, 200_000 * WAD, sender=p.depositor)
    p.vault.transfer(p.maker, STAYS * WAD, sender=p.depositor)
    p.calls = p.open_series(3_000, expiry=p.expiry(28))
    p.sell(p.calls, 400 * WAD)
    for pool in (0, 1):
        p.rebalance(p.leg(SPOT, p.vault.assessment().delta[0] / WAD / (pool - 2), pool=pool))
    p.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=p.governor)
    p.request(400_000 * WAD)
    p.request(200_000 * WAD, p.stranger)
    p.close_epoch()
    p.settle_epoch()
    return p


@pytest.fixture
def overdue(waiting):
    """Seven days later; every day somebody has settled what could be paid."""
    days(waiting, 7)
    return waiting


@pytest.fixture
def opened(overdue):
    overdue.auction.open_rescue(sender=overdue.taker)
    return overdue


def days(p, number):
    for _ in range(number):
        p.close_epoch()
        if p.queue.can_settle():
            p.settle_epoch()


def give(p, amount):
    """So much more idle USDC."""
    p.market.mint(str(p.vault.address), amount)
    p.overwrite("idle", p.vault.idle() + amount)


def bid(p, size=2 * WAD, **how):
    return p.bid(p.calls, size, *unwinding(p, p.calls, size), **how)


def price(p):
    """What a share is redeemed for and what it is shown at, USDC of 1,000,000."""
    return p.vault.previewRedeem(10**6 * WAD), p.vault.convertToAssets(10**6 * WAD)


# ---------------------------------------------------------------- when


def test_seven_days_after_the_close_anyone_opens_it(overdue):
    since = overdue.queue.due_since()

    overdue.auction.open_rescue(sender=overdue.taker)

    (opened,) = events(overdue.auction, "Opened")
    assert overdue.market.now >= since + 7 * DAY
    assert overdue.auction.is_open()
    assert overdue.auction.for_queue()
    assert opened.for_queue
    worth = overdue.vault.previewRedeem(overdue.queue.pooled())
    assert opened.shortfall // 10**12 == pytest.approx(worth - overdue.vault.idle(), abs=2)


def test_a_second_before_nobody_does(waiting):
    days(waiting, 6)
    waiting.market.wait(waiting.queue.due_since() + 7 * DAY - 1 - waiting.market.now)

    for who in (waiting.depositor, waiting.governor, waiting.stranger):
        with reverts("auction: not for seven days"):
            waiting.auction.open_rescue(sender=who)

    waiting.market.wait(1)
    waiting.auction.open_rescue(sender=waiting.stranger)


def test_a_queue_that_can_be_paid_is_paid_instead(overdue):
    give(overdue, 500_000 * USDC)

    with reverts("auction: the queue can be paid"):
        overdue.auction.open_rescue(sender=overdue.stranger)
    overdue.close_epoch()
    overdue.settle_epoch()
    assert overdue.queue.pooled() == 0


def test_without_anybody_who_waits_there_is_none(funded):
    with reverts("auction: not for seven days"):
        funded.auction.open_rescue(sender=funded.stranger)


def test_below_maintenance_margin_it_is_a_liquidation_that_all_holders_bear(opened):
    bring_below_maintenance_margin(opened)

    with reverts("auction: below maintenance"):
        bid(opened)
    opened.last(5 * MINUTE)
    opened.auction.open(sender=opened.stranger)

    assert not opened.auction.for_queue()
    with reverts("auction: open already"):
        opened.auction.open_rescue(sender=opened.stranger)


def bring_below_maintenance_margin(p):
    a = p.vault.assessment()
    p.overwrite("owed", (a.nav_mid - a.maintenance * 9 // 10) // 10**12)


# ---------------------------------------------------------------- who bears it


def test_who_stays_loses_nothing_and_who_waits_bears_the_cost_in_proportion(opened):
    """Invariants 13, 14 and 16: what was burned counts as paid, the same part of all who wait, whoever claims first."""
    p = opened
    asked = {p.depositor: 400_000 * WAD, p.stranger: 200_000 * WAD}
    had = {who: p.queue.request_of(who) for who in asked}
    p.market.wait(15 * MINUTE)
    before, pooled, supply = price(p), p.queue.pooled(), p.vault.totalSupply()

    bid(p, 10 * WAD)

    (taken,) = events(p.auction, "BidTaken")
    burned = pooled - p.queue.pooled()
    assert burned * before[0] // 10**6 == pytest.approx(taken.cost * 10**6, rel=1e-6)
    assert supply - p.vault.totalSupply() == burned
    assert all(now >= was for now, was in zip(price(p), before, strict=True))
    for who, shares in asked.items():
        now = p.queue.request_of(who)
        assert now.shares == pytest.approx(had[who].shares * (pooled - burned) // pooled, abs=2)
        assert now.assets == had[who].assets
        assert p.queue.pendingRedeemRequest(0, who) + p.queue.claimableRedeemRequest(0, who) == shares
    assert p.queue.reserved() == pytest.approx(sum(request.assets for request in had.values()), abs=2)
    assert p.ledger_problems([*asked, p.maker, str(p.queue.address)]) == []


def test_bids_go_on_until_the_queue_can_be_paid_and_end_there(opened):
    """Invariants 13 and 14, and the end of a rescue: all who waited are paid, and the others have what they had."""
    p = opened
    before, stays = price(p), p.vault.previewRedeem(STAYS * WAD)
    bids = 0
    while p.auction.is_open():
        p.market.wait(MINUTE)
        bid(p, largest(p))
        bids += 1

    assert 4 <= bids <= 15
    with reverts("auction: closed"):
        bid(p)
    p.close_epoch()
    with reverts("auction: the queue can be paid"):
        p.auction.open_rescue(sender=p.stranger)
    p.settle_epoch()
    assert p.queue.pooled() == p.queue.due_since() == 0
    assert p.vault.previewRedeem(STAYS * WAD) >= stays
    assert price(p)[0] >= before[0]
    for who, shares in ((p.depositor, 400_000 * WAD), (p.stranger, 200_000 * WAD)):
        assert p.queue.maxRedeem(who) == shares
        p.queue.redeem(shares, who, who, sender=who)
    assert p.queue.reserved() <= 2
    assert p.ledger_problems([p.depositor, p.stranger, p.maker, str(p.queue.address)]) == []


def largest(p):
    """The largest bid that is taken now, of a few."""
    for size in (24, 16, 8, 4, 2, 1):
        with boa.env.anchor():
            try:
                bid(p, size * WAD)
            except boa.BoaError:
                continue
        return size * WAD
    raise AssertionError("no bid is taken")


def test_it_can_be_closed_by_anyone_once_the_queue_can_be_paid(opened):
    with reverts("auction: below target"):
        opened.auction.close(sender=opened.stranger)
    give(opened, 500_000 * USDC)

    opened.auction.close(sender=opened.stranger)

    assert not opened.auction.is_open()


def test_costs_have_a_bucket_of_the_pools_worth(opened):
    """Invariant 37."""
    opened.market.wait(15 * MINUTE)
    for expiry in opened.vol_oracle.expiries(ETH):
        if expiry > opened.market.now:
            opened.post_slice(expiry)
    worth = opened.vault.previewRedeem(opened.queue.pooled()) * 10**12

    bid(opened, 10 * WAD)

    (taken,) = events(opened.auction, "BidTaken")
    assert taken.cost > 0
    spent = wad(0.1) - opened.auction.cost_budget()
    assert spent == pytest.approx(taken.cost * WAD // worth, rel=1e-6)


# ---------------------------------------------------------------- what it may not


def test_a_bid_that_brings_the_queue_nothing_is_refused(opened):
    """Without selling what hedged them, the options cost the cash that the queue waits for."""
    give(opened, 10_000 * USDC)

    with reverts("auction: nothing for the queue"):
        opened.bid(opened.calls, WAD // 10)


def test_a_bid_brings_at_most_a_quarter_of_what_is_missing(opened):
    with reverts("auction: too much at once"):
        bid(opened, 50 * WAD)


def test_no_limit_may_end_farther_from_its_band(opened):
    """Calls are bought back and too little of their hedge is sold."""
    (leg,) = unwinding(opened, opened.calls, 24 * WAD)
    opened.risk.set_limits(LOOSE._replace(delta_target=10**9), sender=opened.governor)

    with reverts("auction: a limit worse"):
        opened.bid(opened.calls, 24 * WAD, leg._replace(delta_change=leg.delta_change * 9 // 10))


def test_nobody_but_the_auction_burns_what_waits(opened):
    for who in (opened.governor, opened.stranger, opened.keeper):
        with reverts("queue: not the auction"):
            opened.queue.bear(WAD, sender=who)
        with reverts("vault: not a component"):
            opened.vault.burn_waiting(WAD, sender=who)


def test_a_rescue_costs_the_same_for_two_and_for_sixty_who_wait(opened):
    """Invariant 17."""
    p = opened
    p.market.wait(15 * MINUTE)
    with boa.env.anchor():
        bid(p, WAD)
        few = p.auction.call_trace().gas_used
    for i in range(60):
        who = account(f"requester {i}")
        p.vault.transfer(who, 100 * WAD, sender=p.maker)
        p.request(100 * WAD, who)
    p.close_epoch()
    p.settle_epoch()
    p.auction.open_rescue(sender=p.stranger)
    p.market.wait(15 * MINUTE)

    bid(p, WAD)

    assert abs(p.auction.call_trace().gas_used - few) < 30_000
