"""A26: limits are shares of NAV, and a flash loan of Aave makes NAV as large as one likes for one transaction."""

import pytest

from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.protocol import fault, wad

LOAN = 10_000_000 * USDC  # ten times the vault


@pytest.fixture
def borrower(funded):
    """A contract with 100,000 USDC of its own for premiums, fees and spreads."""
    contract = fault("FlashBorrower", funded.market.aave, funded.market.usdc)
    for spender in (funded.vault, funded.book):
        funded.fund(contract.address, 50_000 * USDC, spender)
    return contract


def deposit(p, borrower, assets):
    return (p.vault.address, p.vault.deposit.prepare_calldata(assets, borrower))


def withdraw(p, borrower, assets):
    return (p.vault.address, p.vault.withdraw.prepare_calldata(assets, borrower, borrower))


def buy(p, series, size):
    quote = p.quote(series, size=size)
    return (p.book.address, p.book.fill.prepare_calldata(quote, size, p.quoter.address, p.sign(quote)))


def most_units(p):
    """Units of a series at 3,000 that a fifth of NAV allows, WAD."""
    return int(p.vault.assessment().nav_bid) // 5 // 3_000 // 10**9 * 10**9


def test_a26_a_loan_into_an_exposed_vault_is_refused(funded, sold, borrower):
    """Attack A26: what comes in a day is limited as soon as an option is open, so that no cap grows."""
    steps = [deposit(funded, borrower, LOAN), buy(funded, sold, 3 * most_units(funded))]

    with reverts("breaker: deposits of a day"):
        borrower.borrow(LOAN, [*steps, withdraw(funded, borrower, LOAN)])

    assert funded.vault.balanceOf(borrower) == 0


def test_a26_a_loan_within_the_limit_of_a_day_stretches_a_cap_by_no_more(funded, sold, borrower):
    """Attack A26: the twelfth part that may come and go makes every cap larger by that, and costs the spread."""
    p, cap, loan = funded, most_units(funded), int(funded.vault.maxDeposit(borrower))
    p.loosen()
    p.risk.set_limits(p.risk.limits()._replace(notional_series=wad(0.2)), sender=p.governor)
    inside, beyond = (cap * part // 100 // 10**9 * 10**9 - 10 * WAD for part in (107, 109))
    back = loan * 95 // 100  # a part of the spread stays behind

    with reverts("risk: series notional"):
        borrower.borrow(loan, [deposit(p, borrower, loan), buy(p, sold, beyond), withdraw(p, borrower, back)])
    nav = p.vault.assessment().nav_bid
    borrower.borrow(loan, [deposit(p, borrower, loan), buy(p, sold, inside), withdraw(p, borrower, back)])

    a = p.vault.assessment()
    assert a.short_notional <= nav * 108 // 100 // 5
    assert a.nav_bid >= nav + (loan - back) * 10**12
    assert p.vault.maxDeposit(borrower) == 0
    with reverts("risk: series notional"):
        p.sell(sold, WAD)


def test_a26_a_loan_into_a_flat_vault_cannot_leave_it_with_an_option(funded, series, borrower):
    """Attack A26: into a vault without positions anything may come. Once an option is sold on the strength of it, only
    the exits of a day go out again, and the loan is not paid back.
    """
    p, size = funded, 3 * most_units(funded)
    p.loosen()
    p.risk.set_limits(p.risk.limits()._replace(notional_series=wad(0.2)), sender=p.governor)
    p.fund(borrower.address, 200_000 * USDC, p.book)
    steps = [deposit(p, borrower, LOAN), buy(p, series, size)]

    with reverts("breaker: exits of a day"):
        borrower.borrow(LOAN, [*steps, withdraw(p, borrower, LOAN)])
    with reverts("risk: series notional"):
        borrower.borrow(LOAN, [buy(p, series, size)])

    assert p.book.written(series) == (0, 0)


def test_a26_a_loan_that_trades_nothing_gains_nothing(funded, series, borrower):
    """Attack A26: in and out of a flat vault in one transaction leaves it with no unit less."""
    had, nav = int(funded.market.usdc.balanceOf(borrower)), funded.vault.assessment().nav_bid
    fee = -(-LOAN * 5 // 10_000)

    borrower.borrow(LOAN, [deposit(funded, borrower, LOAN), withdraw(funded, borrower, LOAN - 1)])

    assert funded.market.usdc.balanceOf(borrower) <= had - fee
    assert funded.vault.assessment().nav_bid >= nav
