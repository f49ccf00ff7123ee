"""CircuitBreaker: every trigger of REDUCE_ONLY and FROZEN, and what goes on in each."""

import pytest

from tests.contracts.chain import DAY, HOUR, USDC, WAD, reverts
from tests.contracts.protocol import ETH, SPOT, fault, wad

NORMAL, REDUCE_ONLY, FROZEN = 1, 2, 4


def expiry_of(series):
    return int(series) >> 215 & 2**32 - 1


def the_guardian(p):
    p.breaker.set_reduce_only(True, sender=p.guardian)


def a_drawdown(p):
    p.vault.checkpoint()
    p.overwrite("idle", p.vault.idle() * 80 // 100)


def a_margin_shortfall(p):
    p.open_gates(kill_drawdown=WAD)
    p.overwrite("idle", 10_000 * USDC)


def a_venue_that_failed(p):
    venue = fault("LyingVenue")
    p.vault.list_venue(venue, ETH, sender=p.governor)
    venue.break_down()


def an_overdue_request(p):
    p.loosen()
    p.rebalance(p.leg(SPOT, (p.vault.idle() / USDC - 10_000) / 3_010))
    p.request(200_000 * WAD)
    p.close_epoch(3_000)
    p.settle_epoch()
    p.market.wait(2 * DAY + HOUR)
    p.rebalance(p.leg(SPOT, -5))  # hedges go on, and bring cash


TRIGGERS = [the_guardian, a_drawdown, a_margin_shortfall, a_venue_that_failed, an_overdue_request]


@pytest.fixture(params=TRIGGERS, ids=lambda trigger: trigger.__name__)
def reduced(funded, sold, request):
    """REDUCE_ONLY, for one of its reasons."""
    assert funded.vault.mode() == NORMAL
    request.param(funded)
    return funded


def test_each_trigger_makes_the_vault_reduce_only(reduced):
    assert reduced.vault.mode() == REDUCE_ONLY


def test_nothing_is_deposited_in_reduce_only(reduced):
    reduced.fund(reduced.stranger, 1_000 * USDC)

    assert reduced.vault.maxDeposit(reduced.stranger) == reduced.vault.maxMint(reduced.stranger) == 0
    with reverts("vault: reduce-only"):
        reduced.vault.deposit(1_000 * USDC, reduced.stranger, sender=reduced.stranger)


def test_no_option_is_sold_in_reduce_only(reduced, series):
    reduced.post_slice(expiry_of(series))
    quote = reduced.quote(series, size=WAD)
    reduced.fund(reduced.taker, 1_000 * USDC, reduced.book)
    with reverts("vault: reduce-only" if reduced.breaker.accepts_new_risk() else "book: vault is reduce-only"):
        reduced.fill(quote)


def test_a_sale_records_the_share_price(funded, series):
    """What a drawdown is measured from rises with the sales that earn it."""
    gain = funded.vault.idle() // 10
    funded.market.mint(funded.vault.address, gain)
    funded.overwrite("idle", funded.vault.idle() + gain)
    before = funded.breaker.high_water()

    funded.sell(series, WAD)

    assert funded.breaker.high_water() > before * 109 // 100


def test_options_are_bought_back_in_reduce_only(reduced, series):
    reduced.post_slice(expiry_of(series))

    assert reduced.buy_back(series, WAD) > 0


def test_the_queue_takes_requests_in_reduce_only(reduced):
    """Invariant 42."""
    reduced.vault.transfer(reduced.stranger, 100 * WAD, sender=reduced.depositor)

    reduced.request(100 * WAD, reduced.stranger)

    assert reduced.queue.pendingRedeemRequest(0, reduced.stranger) == 100 * WAD


def test_expiries_are_settled_and_paid_in_reduce_only(reduced, sold):
    """Invariant 42."""
    reduced.settle(expiry_of(sold), 3_100)

    assert reduced.clearing.claim(sold, sender=reduced.taker) > 0


def test_a_request_is_overdue_from_the_second_after_48_hours(funded, sold):
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, (funded.vault.idle() / USDC - 10_000) / 3_010))
    funded.request(200_000 * WAD)
    funded.close_epoch(3_000)
    funded.settle_epoch()
    since = funded.queue.due_since()
    funded.market.wait(since + 2 * DAY - funded.market.now)
    assert funded.market.now == since + 2 * DAY
    before = funded.vault.mode()

    funded.market.wait(1)

    assert (before, funded.vault.mode()) == (NORMAL, REDUCE_ONLY)
    assert not funded.breaker.latched()


def test_it_ends_by_itself_when_the_queue_is_paid(funded, sold):
    an_overdue_request(funded)
    assert not funded.vault.accepts_new_risk()
    funded.rebalance(funded.leg(SPOT, -150))

    funded.settle_epoch()

    assert funded.vault.mode() == NORMAL
    assert funded.vault.accepts_new_risk()


def test_an_epoch_that_nobody_settles_is_overdue_too(funded, sold):
    funded.request(1_000 * WAD)
    funded.close_epoch(3_000)
    funded.market.wait(2 * DAY + 1)

    assert funded.vault.mode() == REDUCE_ONLY
    funded.settle_epoch()
    assert funded.vault.mode() == NORMAL


def test_a_drawdown_that_nobody_has_seen_counts_already(funded, sold):
    a_drawdown(funded)

    assert funded.vault.mode() == REDUCE_ONLY
    assert not funded.breaker.latched()
    funded.vault.checkpoint(sender=funded.stranger)
    assert funded.breaker.latched()


@pytest.mark.parametrize("silent", ["the price feed", "the dollar feed"])
def test_frozen_is_when_nav_cannot_be_computed(funded, sold, silent):
    if silent == "the price feed":
        funded.market.pass_time(3_901)
    else:
        funded.market.pass_time(90_001)
        funded.market.submit(3_000)

    assert funded.vault.mode() == FROZEN


def test_nothing_but_claims_and_frozen_exits_goes_on_while_frozen(funded, sold):
    funded.request(1_000 * WAD)
    funded.close_epoch()
    funded.settle_epoch()
    funded.market.pass_time(2 * HOUR)
    vault, who = funded.vault, funded.depositor

    assert vault.mode() == FROZEN
    assert [f(who) for f in (vault.maxDeposit, vault.maxMint, vault.maxWithdraw, vault.maxRedeem)] == [0, 0, 0, 0]
    for refused in (
        lambda: vault.deposit(100 * USDC, who, sender=who),
        lambda: vault.redeem(WAD, who, who, sender=who),
        lambda: vault.checkpoint(),
        lambda: funded.rebalance(),
    ):
        with reverts("oracle: stale"):
            refused()
    assert funded.queue.redeem(1_000 * WAD, who, who, sender=who) > 0
    assert funded.breaker.exit_frozen(1_000 * WAD, who, sender=who) > 0


def test_thresholds_decide_what_a_drawdown_is(funded):
    funded.open_gates(kill_drawdown=wad(0.30))
    a_drawdown(funded)

    assert funded.vault.mode() == NORMAL
