"""Vault: idle USDC above the buffer is lent, counts as idle as far as it can be had, and comes back by itself."""

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError

from tests.contracts.aave import PAUSED, configure, give_atokens, lend_out
from tests.contracts.chain import DAY, HOUR, USDC, WAD, reason, reverts
from tests.contracts.protocol import ETH, SHORT, SPOT, ZERO, fault

LENT = 800_000 * USDC
UNITS = 2 * 10**12  # two units of USDC in WAD: what Aave's rounding may cost


@pytest.fixture
def lending(hedged):
    """Of about 970,000 idle USDC 800,000 are lent."""
    hedged.open_gates()
    hedged.list_lending()
    hedged.hedger.lend(LENT, sender=hedged.keeper)
    return hedged


@pytest.fixture
def boastful(hedged):
    """The same in a venue that gives nothing back."""
    hedged.open_gates()
    venue = fault("BoastfulLending")
    hedged.vault.list_venue(venue, ETH, sender=hedged.governor)
    hedged.vault.set_lending(2, sender=hedged.governor)
    hedged.hedger.lend(LENT, sender=hedged.keeper)
    hedged.lending = venue
    return hedged


def series_of(protocol):
    return protocol.book.live_book()[0] >> 87 << 87


def expiry_of(protocol):
    return series_of(protocol) >> 215 & 2**32 - 1


# ------------------------------------------------------------------ lending


def test_lending_moves_no_price(hedged):
    """Invariant 20: NAV = idle + lending + venues + net marks - owed."""
    hedged.list_lending()
    before, idle = hedged.vault.assessment(), hedged.vault.idle()

    hedged.hedger.lend(LENT, sender=hedged.keeper)

    after = hedged.vault.assessment()
    assert hedged.vault.idle() == idle - LENT
    assert 0 <= before.nav_bid - after.nav_bid <= UNITS
    assert (before.initial, before.delta, before.gross) == (after.initial, after.delta, after.gross)
    assert hedged.ledger_problems([hedged.depositor]) == []


def test_interest_is_the_shareholders(lending):
    who = lending.depositor
    before = lending.vault.convertToAssets(10_000 * WAD)

    lending.market.wait(3 * DAY)

    earned = lending.lending.state(0).equity - LENT * 10**12
    assert earned > 20 * WAD
    assert lending.vault.maxWithdraw(who) > 0
    assert lending.vault.convertToAssets(10_000 * WAD) != before


def test_a_tenth_of_nav_stays_idle(hedged):
    hedged.list_lending()
    buffer = hedged.vault.assessment().nav_bid // 10**13
    most = hedged.vault.idle() - buffer - 1

    with reverts("lend: below the buffer"):
        hedged.hedger.lend(most + 2, sender=hedged.keeper)
    hedged.hedger.lend(most - 1, sender=hedged.keeper)


def test_so_does_what_expires_in_two_days_in_the_money(hedged):
    """Ten short calls at 3,000 and a market at 3,200: 2,000 USDC."""
    hedged.list_lending()
    expiry = expiry_of(hedged)
    hedged.market.move(3_200)
    hedged.market.wait(expiry - 49 * HOUR - hedged.market.now)
    before = hedged.risk.liquidity_buffer(hedged.book.live_book(), hedged.vault.assessment())

    hedged.market.wait(HOUR + 1)

    after = hedged.risk.liquidity_buffer(hedged.book.live_book(), hedged.vault.assessment())
    assert after - before == pytest.approx(2_000 * WAD, rel=1e-2)


def test_puts_in_the_money_count_in_the_buffer_too(funded):
    funded.loosen()
    funded.sell(funded.open_series(3_100, is_call=False), 10 * WAD)
    book = funded.book.live_book()
    before = funded.risk.liquidity_buffer(book, funded.vault.assessment())

    funded.market.wait(funded.expiry() - funded.market.now - 2 * DAY)

    a = funded.vault.assessment()
    assert funded.risk.liquidity_buffer(book, a) - before == pytest.approx(10 * 100 * WAD, rel=0.02)


def test_what_is_owed_is_not_lent(hedged):
    hedged.list_lending()
    hedged.settle(expiry_of(hedged), 3_500)
    owed, idle = hedged.vault.owed(), hedged.vault.idle()
    buffer = hedged.vault.assessment().nav_bid // 10**13

    with reverts("lend: below the buffer"):
        hedged.hedger.lend(idle - buffer - owed + 5, sender=hedged.keeper)
    with reverts("vault: not enough idle cash"):
        hedged.hedger.lend(idle - owed + 1, sender=hedged.keeper)


@pytest.mark.parametrize("role", ["governor", "guardian", "stranger", "vol_poster"])
def test_only_the_keeper_lends_and_recalls(lending, role):
    for call in ("lend", "recall"):
        with reverts("roles: not allowed"):
            getattr(lending.hedger, call)(USDC, sender=getattr(lending, role))


@pytest.mark.parametrize("call", ["lend", "recall"])
def test_the_vault_obeys_the_holder_of_its_lock_alone(lending, call):
    with reverts("vault: not the lock's holder"):
        getattr(lending.vault, call)(USDC, sender=lending.keeper)


def test_without_a_lending_venue_nothing_is_lent(hedged):
    with reverts("ERC20: transfer to the zero address"):
        hedged.hedger.lend(USDC, sender=hedged.keeper)


def test_nothing_is_traded_in_it(lending):
    """Invariant 39."""
    with reverts():  # it has no trade
        lending.rebalance(lending.leg(2, 1))


# ------------------------------------------------------------------ what idle cannot pay is recalled


def test_the_keeper_recalls(lending):
    idle = lending.vault.idle()

    assert lending.hedger.recall(300_000 * USDC, sender=lending.keeper) == 300_000 * USDC

    assert lending.vault.idle() == idle + 300_000 * USDC


def test_an_exit_takes_what_idle_has_not(lending):
    who, idle = lending.depositor, lending.vault.idle()
    price = lending.vault.previewRedeem(300_000 * WAD)
    assert idle < price

    assert lending.vault.redeem(300_000 * WAD, who, who, sender=who) == price

    assert (lending.vault.idle(), lending.market.usdc.balanceOf(who)) == (0, price)
    assert lending.ledger_problems([who]) == []


def test_what_max_says_is_honoured(lending):
    """Invariant 4."""
    who = lending.depositor
    most = lending.vault.maxWithdraw(who)
    assert most > lending.vault.idle() + 500_000 * USDC

    lending.vault.withdraw(most, who, who, sender=who)

    assert lending.market.usdc.balanceOf(who) == most


def test_a_purchase_of_options_takes_it(lending):
    lending.hedger.lend(lending.vault.idle() - 110_000 * USDC, sender=lending.keeper)
    lending.overwrite("owed", lending.vault.idle())  # of idle nothing is free
    owed = lending.vault.owed()

    lending.buy_back(series_of(lending))

    assert lending.vault.idle() == owed


def test_a_hedge_takes_it(lending):
    lending.overwrite("owed", lending.vault.idle())
    lending.loosen()

    lending.rebalance(lending.leg(SPOT, 1), lending.leg(SHORT, -1))

    assert lending.vault.idle() >= lending.vault.owed()


def test_owed_payouts_take_it(lending):
    lending.settle(expiry_of(lending), 3_500)
    lending.overwrite("idle", 0)

    lending.clearing.fund(sender=lending.stranger)

    assert (lending.vault.owed(), lending.clearing.funded()) == (0, 5_000 * USDC)


def test_the_queue_takes_it(lending):
    who, idle = lending.depositor, lending.vault.idle()
    lending.request(500_000 * WAD)
    lending.close_epoch()

    shares, assets = lending.settle_epoch()

    assert shares == 500_000 * WAD
    assert assets > idle
    assert lending.ledger_problems([who, lending.queue.address]) == []


# ------------------------------------------------------------------ what Aave cannot give


def test_a_run_while_aave_is_lent_out_is_paid_from_idle_and_what_there_is(lending):
    """Attack A21: idle and Aave's last 100,000 USDC leave at once; the rest waits, still worth what it was."""
    who, vault = lending.depositor, lending.vault
    lend_out(lending.market, lending.stranger, left=100_000 * USDC)
    before, most = vault.convertToAssets(WAD), vault.maxWithdraw(who)
    assert vault.idle() < most <= vault.idle() + 100_000 * USDC

    with reverts("vault: not enough idle cash"):
        vault.withdraw(most + 10 * USDC, who, who, sender=who)
    vault.withdraw(most, who, who, sender=who)

    assert vault.convertToAssets(WAD) == pytest.approx(before, rel=1e-3)
    assert not vault.assessment().venue_failed


def test_the_queue_is_paid_what_there_is_and_the_rest_later(lending):
    """Attack A21."""
    lend_out(lending.market, lending.stranger, left=0)
    idle = lending.vault.idle()
    lending.request(700_000 * WAD)
    lending.close_epoch()

    shares, assets = lending.settle_epoch()

    assert 0 < shares < 700_000 * WAD
    assert idle - 1_000 * USDC < assets <= idle + 1_000 * USDC


def test_while_paused_idle_is_all_there_is_and_the_price_stays(lending):
    """Invariant 42."""
    who, vault = lending.depositor, lending.vault
    before = vault.assessment()

    configure(lending.market, lending.market.usdc, PAUSED, 1)

    assert vault.assessment() == before
    assert vault.maxWithdraw(who) == vault.idle()
    vault.withdraw(vault.idle(), who, who, sender=who)


def test_a_gift_to_it_moves_nothing(lending):
    """Attack A4. Invariant 8."""
    before = lending.vault.assessment()
    most = lending.vault.maxWithdraw(lending.depositor)

    give_atokens(lending.market, lending.lending, 50_000 * USDC, lending.stranger)
    lending.market.mint(lending.lending.address, 50_000 * USDC)

    after = lending.vault.assessment()
    assert 0 <= before.nav_bid - after.nav_bid <= UNITS
    assert lending.vault.maxWithdraw(lending.depositor) <= most


# ------------------------------------------------------------------ what a lending venue can do wrong


def test_one_that_gives_nothing_back_stops_nothing_that_idle_can_pay(boastful):
    """Invariant 42."""
    who, vault = boastful.depositor, boastful.vault

    vault.redeem(50_000 * WAD, who, who, sender=who)
    with reverts("vault: not enough idle cash"):
        vault.redeem(500_000 * WAD, who, who, sender=who)
    boastful.settle(expiry_of(boastful), 3_500)
    boastful.clearing.fund(sender=boastful.stranger)

    assert boastful.clearing.funded() == 5_000 * USDC


def test_the_queue_is_paid_from_idle_when_a_recall_fails(boastful):
    """Invariant 42: were the boast believed, every settlement would revert."""
    idle = boastful.vault.idle()
    boastful.request(700_000 * WAD)
    boastful.close_epoch()

    shares, assets = boastful.settle_epoch()

    assert 0 < shares < 700_000 * WAD
    assert assets <= idle
    assert boastful.ledger_problems([boastful.depositor, boastful.queue.address]) == []


def test_one_that_does_not_answer_counts_nothing_and_is_flagged(boastful):
    """Invariant 42."""
    who, vault = boastful.depositor, boastful.vault
    before = vault.assessment()

    boastful.lending.fall_silent()

    after = vault.assessment()
    assert after.venue_failed
    assert before.nav_bid - after.nav_bid == LENT * 10**12
    assert 0 < vault.maxWithdraw(who) <= vault.idle()
    vault.redeem(vault.maxRedeem(who), who, who, sender=who)


def test_nobody_keeps_a_recall_from_happening_by_starving_it(lending):
    """Attack: settle the queue with so little gas that the recall fails, and have its epoch paid from idle alone."""
    lending.request(500_000 * WAD)
    lending.close_epoch()
    seen = set()

    for gas in range(500_000, 2_600_000, 20_000):
        with boa.env.anchor():
            try:
                seen.add(lending.queue.settle_epoch(sender=lending.stranger, gas=gas)[0])
            except BoaError as error:
                seen.add(reason(error))

    assert 500_000 * WAD in seen
    assert "vault: too little gas" in seen
    assert {paid for paid in seen if isinstance(paid, int)} == {500_000 * WAD}


def test_an_emptied_one_is_retired_and_another_can_be_named(lending):
    lending.hedger.recall(2**255, sender=lending.keeper)
    assert lending.lending.withdrawable() <= 1

    lending.vault.retire_venue(2, False, sender=lending.governor)

    assert lending.vault.lending() == ZERO
    who = lending.depositor
    lending.vault.redeem(10_000 * WAD, who, who, sender=who)
    lending.list_lending()
    lending.hedger.lend(LENT // 2, sender=lending.keeper)


def test_one_that_holds_something_is_not_retired(lending):
    with reverts("vault: venue not empty"):
        lending.vault.retire_venue(2, False, sender=lending.governor)
