"""Vault.redeem: burn exactly so many shares at `nav_bid`."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.chain import USDC, WAD, events, reverts


def test_pays_what_the_preview_says(hedged):
    depositor, vault = hedged.depositor, hedged.vault
    hedged.open_gates()
    preview = vault.previewRedeem(123_456 * WAD + 789)
    before = hedged.market.usdc.balanceOf(depositor)

    assets = vault.redeem(123_456 * WAD + 789, depositor, depositor, sender=depositor)

    assert assets == preview
    assert hedged.market.usdc.balanceOf(depositor) == before + assets


def test_redeems_at_the_bid(hedged):
    nav_bid, supply = hedged.vault.assessment().nav_bid // 10**12, hedged.vault.totalSupply()

    assets = hedged.vault.redeem(1_000 * WAD, hedged.depositor, hedged.depositor, sender=hedged.depositor)

    assert assets == 1_000 * WAD * (nav_bid + 1) // (supply + 10**12)


def test_emits_withdraw(funded):
    funded.vault.redeem(1_000 * WAD, funded.stranger, funded.depositor, sender=funded.depositor)

    (event,) = events(funded.vault, "Withdraw")
    assert (event.receiver, event.owner) == (funded.stranger, funded.depositor)
    assert (event.assets, event.shares) == (1_000 * USDC, 1_000 * WAD)


def test_last_depositor_can_take_everything_out(funded):
    shares = funded.vault.balanceOf(funded.depositor)

    assets = funded.vault.redeem(shares, funded.depositor, funded.depositor, sender=funded.depositor)

    assert assets == 1_000_000 * USDC
    assert (funded.vault.totalSupply(), funded.vault.idle()) == (0, 0)


def test_without_allowance_it_is_refused(funded):
    with reverts("erc20: insufficient allowance"):
        funded.vault.redeem(WAD, funded.stranger, funded.depositor, sender=funded.stranger)


def test_shares_worth_nothing_are_not_burned(funded):
    with reverts("vault: zero assets"):
        funded.vault.redeem(10**11, funded.depositor, funded.depositor, sender=funded.depositor)


def test_refused_while_an_expired_series_is_unfixed(funded, sold):
    funded.reach_expiry(funded.expiry(), 3_100)

    with reverts("vault: settle the expired series first"):
        funded.vault.redeem(WAD, funded.depositor, funded.depositor, sender=funded.depositor)


def test_works_below_initial_margin_of_the_mode_but_not_into_the_margin(funded, sold):
    funded.breaker.set_reduce_only(True, sender=funded.governor)
    everything = funded.vault.balanceOf(funded.depositor)

    with reverts("margin: below initial"):
        funded.vault.redeem(everything, funded.depositor, funded.depositor, sender=funded.depositor)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(amount=st.integers(100 * USDC, 10**6 * USDC), extra=st.integers(0, 10**6))
def test_a_round_trip_never_gains(hedged, amount, extra):
    vault, who = hedged.vault, hedged.stranger
    hedged.open_gates()
    hedged.fund(who, amount + extra)
    start = hedged.market.usdc.balanceOf(who)

    shares = vault.deposit(amount + extra, who, sender=who)
    if vault.previewRedeem(shares) > 0:
        vault.redeem(vault.maxRedeem(who), who, who, sender=who)

    assert hedged.market.usdc.balanceOf(who) + vault.previewRedeem(vault.balanceOf(who)) <= start


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(shares=st.integers(100 * WAD, 10**5 * WAD))
def test_minting_and_withdrawing_never_gains(hedged, shares):
    vault, who = hedged.vault, hedged.stranger
    hedged.open_gates()
    hedged.fund(who, 10**6 * USDC)
    start = hedged.market.usdc.balanceOf(who)

    vault.mint(shares, who, sender=who)
    vault.withdraw(vault.maxWithdraw(who), who, who, sender=who)

    assert hedged.market.usdc.balanceOf(who) + vault.previewRedeem(vault.balanceOf(who)) <= start
