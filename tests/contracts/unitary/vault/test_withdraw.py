"""Vault.withdraw: burn shares at `nav_bid` for exactly so many USDC."""

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import SPOT, replace_code


def test_burns_what_the_preview_says(hedged):
    depositor, vault = hedged.depositor, hedged.vault
    preview, held, idle = vault.previewWithdraw(1_234_567_891), vault.balanceOf(depositor), vault.idle()

    shares = vault.withdraw(1_234_567_891, hedged.taker, depositor, sender=depositor)

    assert shares == preview
    assert vault.balanceOf(depositor) == held - shares
    assert vault.idle() == idle - 1_234_567_891


def test_pays_the_receiver(funded):
    before = funded.market.usdc.balanceOf(funded.stranger)

    funded.vault.withdraw(1_000 * USDC, funded.stranger, funded.depositor, sender=funded.depositor)

    assert funded.market.usdc.balanceOf(funded.stranger) == before + 1_000 * USDC


def test_emits_withdraw(funded):
    funded.vault.withdraw(1_000 * USDC, funded.stranger, funded.depositor, sender=funded.depositor)

    (event,) = events(funded.vault, "Withdraw")
    assert (event.sender, event.receiver, event.owner) == (funded.depositor, funded.stranger, funded.depositor)
    assert (event.assets, event.shares) == (1_000 * USDC, 1_000 * WAD)


def test_spends_an_allowance(funded):
    funded.vault.approve(funded.stranger, 600 * WAD, sender=funded.depositor)

    funded.vault.withdraw(500 * USDC, funded.stranger, funded.depositor, sender=funded.stranger)

    assert funded.vault.allowance(funded.depositor, funded.stranger) == 100 * WAD


def test_without_allowance_it_is_refused(funded):
    with reverts("erc20: insufficient allowance"):
        funded.vault.withdraw(500 * USDC, funded.stranger, funded.depositor, sender=funded.stranger)


def test_more_than_the_owner_has_is_refused(funded):
    funded.deposit(1_000 * USDC, funded.stranger)

    with reverts("erc20: burn amount exceeds balance"):
        funded.vault.withdraw(1_001 * USDC, funded.stranger, funded.stranger, sender=funded.stranger)


def test_nothing_is_refused(funded):
    with reverts("vault: zero assets"):
        funded.vault.withdraw(0, funded.depositor, funded.depositor, sender=funded.depositor)


def test_cash_in_a_venue_is_not_idle(funded):
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 100))

    with reverts("vault: not enough idle cash"):
        funded.vault.withdraw(900_000 * USDC, funded.depositor, funded.depositor, sender=funded.depositor)


def test_cash_owed_to_holders_is_not_free(funded, sold):
    funded.settle(funded.expiry(), 3_500)
    owed, idle = funded.vault.owed(), funded.vault.idle()

    with reverts("vault: not enough idle cash"):
        funded.vault.withdraw(idle - owed + 1, funded.depositor, funded.depositor, sender=funded.depositor)


def test_may_leave_exactly_the_initial_margin(funded, sold):
    funded.open_gates()
    a = funded.vault.assessment()
    most = (a.nav_bid - a.initial) // 10**12

    with reverts("margin: below initial"):
        funded.vault.withdraw(most + 1, funded.depositor, funded.depositor, sender=funded.depositor)
    funded.vault.withdraw(most, funded.depositor, funded.depositor, sender=funded.depositor)

    after = funded.vault.assessment()
    assert 0 <= after.nav_bid - after.initial < 10**12


def test_refused_while_an_expired_series_is_unfixed(funded, sold):
    funded.reach_expiry(funded.expiry(), 3_100)

    with reverts("vault: settle the expired series first"):
        funded.vault.withdraw(USDC, funded.depositor, funded.depositor, sender=funded.depositor)


def test_works_while_reduce_only(funded, sold):
    """Invariant 42."""
    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    assert funded.vault.withdraw(50_000 * USDC, funded.depositor, funded.depositor, sender=funded.depositor) > 0


def test_token_that_returns_false_is_refused(funded):
    replace_code(funded.market.usdc.address, "RefusingToken", funded.vault)

    with reverts("vault: transfer"):
        funded.vault.withdraw(USDC, funded.depositor, funded.depositor, sender=funded.depositor)
