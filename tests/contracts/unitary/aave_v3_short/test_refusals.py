"""AaveV3Short when Aave refuses: frozen, paused, capped, lent out, or the vault's own position liquidated."""

import pytest

from tests.contracts.aave import (
    BORROW_CAP,
    FROZEN,
    PAUSED,
    SUPPLY_CAP,
    cap,
    configure,
    give_atokens,
    lend_out,
    liquidate,
)
from tests.contracts.chain import DAY, USDC, WAD, reverts
from tests.contracts.protocol import HEALTH_FLOOR, HEALTH_TARGET, SHORT, SPOT, replace_code


@pytest.fixture
def short(funded):
    """Ten WETH short, no bands."""
    funded.loosen()
    funded.rebalance(funded.leg(SHORT, -10))
    return funded


def state(protocol, price=3_000):
    return protocol.short.state(price * WAD)


def is_closed(protocol):
    now = state(protocol)
    return now.exposure == now.equity == protocol.short.supplied() == 0


NO_SALE = {
    "USDC frozen": lambda m: configure(m, m.usdc, FROZEN, 1),
    "USDC at its supply cap": lambda m: cap(m, m.usdc, SUPPLY_CAP),
    "WETH frozen": lambda m: configure(m, m.weth, FROZEN, 1),
    "WETH at its borrow cap": lambda m: cap(m, m.weth, BORROW_CAP),
}
NO_COLLATERAL = {
    "USDC paused": lambda m: configure(m, m.usdc, PAUSED, 1),
    "USDC lent out": lambda m: lend_out(m, "0x" + "77" * 20),
}


@pytest.mark.parametrize("refusal", NO_SALE)
def test_what_aave_takes_no_more_of_is_still_bought_back(short, refusal):
    NO_SALE[refusal](short.market)

    with reverts():  # Aave's own error
        short.rebalance(short.leg(SHORT, -1))
    short.rebalance(short.leg(SHORT, 4))
    assert state(short).exposure == pytest.approx(-6 * WAD, rel=1e-9)
    short.rebalance(short.leg(SHORT, 6.1))

    assert is_closed(short)
    assert short.ledger_problems([short.depositor]) == []


@pytest.mark.parametrize("refusal", NO_SALE)
def test_what_aave_takes_no_more_of_is_bought_back_below_the_floor_too(short, refusal):
    """A purchase supplies nothing, whatever health it starts from; health rises by it."""
    short.market.move(3_700)
    before = state(short, 3_700).health
    NO_SALE[refusal](short.market)

    short.rebalance(short.leg(SHORT, 2))

    assert before < HEALTH_FLOOR
    assert state(short, 3_700).health > before


@pytest.mark.parametrize("refusal", NO_COLLATERAL)
def test_collateral_that_cannot_leave_is_replaced_by_cash_and_waits(short, refusal):
    NO_COLLATERAL[refusal](short.market)
    idle, equity = short.vault.idle(), state(short).equity

    short.rebalance(short.leg(SHORT, 10.1))

    now = state(short)
    assert now.exposure == 0
    assert now.equity == pytest.approx(equity + 30_000 * WAD, rel=1e-6)  # all the collateral, and no debt
    assert idle - short.vault.idle() == pytest.approx(30_000 * USDC, rel=2e-3)
    assert short.ledger_problems([short.depositor]) == []


def test_cash_that_the_pool_does_not_get_is_refused(short):
    """While collateral cannot leave, the Vault's USDC pay for what is bought back."""
    configure(short.market, short.market.usdc, PAUSED, 1)
    replace_code(short.market.usdc.address, "RefusingToken", short.short)

    with reverts("venue: transfer"):
        short.rebalance(short.leg(SHORT, 4))


def test_collateral_comes_back_when_the_reserve_does(short):
    configure(short.market, short.market.usdc, PAUSED, 1)
    short.rebalance(short.leg(SHORT, 10.1))
    configure(short.market, short.market.usdc, PAUSED, 0)

    short.rebalance(short.leg(SHORT, 0))

    assert is_closed(short)


def test_a_little_liquidity_is_used_and_cash_pays_for_the_rest(short):
    lend_out(short.market, short.stranger, left=10_000 * USDC)
    idle = short.vault.idle()

    short.rebalance(short.leg(SHORT, 5))

    assert idle - short.vault.idle() == pytest.approx(5_000 * USDC, rel=1e-2)
    assert state(short).exposure == pytest.approx(-5 * WAD, rel=1e-9)


def test_while_the_token_is_paused_nothing_is_bought_back_and_the_rest_of_the_vault_goes_on(short):
    """Invariant 42."""
    configure(short.market, short.market.weth, PAUSED, 1)
    who = short.depositor

    with reverts():  # Aave's ReservePaused
        short.rebalance(short.leg(SHORT, 1))
    short.rebalance(short.leg(SPOT, 3))
    short.vault.redeem(10_000 * WAD, who, who, sender=who)

    assert not short.vault.assessment().venue_failed
    assert short.ledger_problems([who]) == []


def test_while_everything_is_paused_the_position_counts_and_exits_go_on(short):
    """Invariant 42."""
    before = short.vault.assessment()
    for asset in (short.market.usdc, short.market.weth):
        configure(short.market, asset, PAUSED, 1)
    who = short.depositor

    short.vault.redeem(10_000 * WAD, who, who, sender=who)

    after = short.vault.assessment()
    assert (after.venue_failed, after.delta) == (False, before.delta)
    assert before.nav_bid - after.nav_bid == pytest.approx(short.market.usdc.balanceOf(who) * 10**12, rel=1e-6)


@pytest.mark.parametrize("units", [1, 4, 9.999999, 10.1])
def test_buying_back_needs_no_cash_and_never_lowers_health(short, units):
    short.market.move(3_700)
    short.overwrite("idle", 0)
    before = state(short, 3_700).health

    short.rebalance(short.leg(SHORT, units))

    assert before < HEALTH_FLOOR
    assert state(short, 3_700).health > before


def test_without_cash_and_at_the_edge_of_liquidation_some_is_bought_back(short):
    """At a health of 1.03 and with 3 of 10 to buy: what is left after it is at 1.1."""
    short.market.move(5_240)
    short.overwrite("idle", 0)

    short.rebalance(short.leg(SHORT, 3, limit=5_240 * 1.0075))

    assert state(short, 5_240).health > 11 * WAD // 10


def test_below_a_health_of_one_cash_pays_for_what_aave_does_not_let_out(short):
    short.market.move(5_600)
    before, idle = state(short, 5_600).health, short.vault.idle()

    short.rebalance(short.leg(SHORT, 1))

    assert before < WAD < state(short, 5_600).health
    assert short.vault.idle() < idle


def test_aave_liquidates_the_position_and_the_vault_counts_what_is_left(short):
    """Attack A22."""
    market = short.market
    market.move(5_600)
    before = short.vault.assessment()

    liquidate(market, short.short, 4 * WAD, short.stranger)

    after = short.vault.assessment()
    bonus = before.nav_bid - after.nav_bid
    assert 4 * 5_600 * 0.04 * WAD < bonus < 4 * 5_600 * 0.05 * WAD  # 4.5 % of what was repaid
    assert abs(after.delta[0] - before.delta[0] - 4 * WAD) <= 2
    assert not after.venue_failed


def test_after_a_liquidation_the_rest_is_restored_or_bought_back(short):
    """Attack A22."""
    market = short.market
    market.move(5_600)
    liquidate(market, short.short, 4 * WAD, short.stranger)

    short.rebalance(short.leg(SHORT, 0))
    assert state(short, 5_600).health == pytest.approx(HEALTH_TARGET, rel=1e-6)
    short.rebalance(short.leg(SHORT, 6.1))

    assert is_closed(short)


def test_a_gift_right_after_a_liquidation_gives_no_more_than_was_lost_and_never_to_the_giver(short):
    """Attacks A4, A22: until the next trade the gift can fill what the liquidation took, and is the shareholders'."""
    market = short.market
    market.move(5_600)
    whole = short.short.state(5_600 * WAD)
    liquidate(market, short.short, 4 * WAD, short.stranger)
    lost = 4 * 5_600 * 1.045

    give_atokens(market, short.short, 100_000 * USDC, short.stranger)

    gained = short.short.state(5_600 * WAD).equity - (whole.equity - (lost - 4 * 5_600) * WAD)
    assert gained <= lost * WAD * 1.001
    short.rebalance(short.leg(SHORT, 10.1))
    assert state(short, 5_600).exposure == 0


def test_a_month_of_interest_on_the_debt_is_bought_back_with_it(short):
    short.market.wait(30 * DAY)
    owed = -state(short).exposure

    short.rebalance(short.leg(SHORT, 10.1))

    assert owed > 10 * WAD
    assert is_closed(short)


@pytest.mark.parametrize("units_missing", [1, 2, 9])
def test_what_is_missing_by_a_few_units_is_not_sent(short, units_missing):
    """Aave takes no amount that is worth less than one of its own units, and one unit of USDC is worth less."""
    short.rebalance(short.leg(SHORT, 0))
    per_tick = 10 * 1e-8 * 1.8 / 0.78 * USDC  # collateral of ten WETH for a tick of the feed, units of USDC
    short.market.submit(3_000 + 1e-8 * (round(units_missing / per_tick) + 1))
    assert (
        HEALTH_TARGET - 10**9 < short.short.state(int(short.market.feed.latestAnswer()) * 10**10).health < HEALTH_TARGET
    )

    short.rebalance(short.leg(SHORT, 0))

    assert short.short.funding(0, 0) == 0


def test_a_leg_of_zero_at_the_health_target_trades_nothing_and_stands(short):
    short.rebalance(short.leg(SHORT, 0))
    supplied = short.short.supplied()

    short.rebalance(short.leg(SHORT, 0))

    assert abs(short.short.supplied() - supplied) <= 2
