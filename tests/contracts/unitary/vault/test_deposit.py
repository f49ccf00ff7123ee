"""Vault.deposit: pay USDC for shares at `nav_ask`."""

import pytest

from tests.contracts.chain import HOUR, USDC, WAD, events, reverts
from tests.contracts.protocol import replace_code

pytestmark = pytest.mark.usefixtures("protocol")


def test_first_share_costs_one_usdc(protocol):
    shares = protocol.deposit(500 * USDC)

    assert shares == 500 * WAD
    assert protocol.vault.balanceOf(protocol.depositor) == shares
    assert protocol.vault.totalSupply() == shares
    assert protocol.vault.idle() == 500 * USDC
    assert protocol.market.usdc.balanceOf(protocol.vault) == 500 * USDC


def test_emits_deposit(protocol):
    protocol.deposit(500 * USDC)

    (event,) = events(protocol.vault, "Deposit")
    assert (event.sender, event.owner) == (protocol.depositor, protocol.depositor)
    assert (event.assets, event.shares) == (500 * USDC, 500 * WAD)


def test_shares_go_to_the_receiver(protocol):
    protocol.fund(protocol.depositor, 500 * USDC)

    protocol.vault.deposit(500 * USDC, protocol.taker, sender=protocol.depositor)

    assert protocol.vault.balanceOf(protocol.taker) == 500 * WAD
    assert protocol.vault.balanceOf(protocol.depositor) == 0


def test_equals_its_preview_with_options_and_hedges(hedged):
    hedged.fund(hedged.stranger, 12_345 * USDC + 678_901)
    preview = hedged.vault.previewDeposit(12_345 * USDC + 678_901)

    shares = hedged.vault.deposit(12_345 * USDC + 678_901, hedged.stranger, sender=hedged.stranger)

    assert shares == preview


def test_mints_at_the_ask(hedged):
    a = hedged.vault.assessment()
    supply = hedged.vault.totalSupply()

    shares = hedged.deposit(10_000 * USDC, hedged.stranger)

    nav_ask = -(-a.nav_ask // 10**12)
    assert a.nav_bid < a.nav_mid < a.nav_ask
    assert shares == 10_000 * USDC * (supply + 10**12) // (nav_ask + 1)


def test_whole_balance_below_the_minimum_is_accepted(protocol):
    protocol.fund(protocol.depositor, 7 * USDC)

    assert protocol.vault.deposit(7 * USDC, protocol.depositor, sender=protocol.depositor) == 7 * WAD


def test_part_of_a_balance_below_the_minimum_is_refused(protocol):
    protocol.fund(protocol.depositor, 150 * USDC)

    with reverts("vault: below minimum deposit"):
        protocol.vault.deposit(99 * USDC, protocol.depositor, sender=protocol.depositor)


def test_nothing_is_refused(protocol):
    with reverts("vault: zero shares"):
        protocol.vault.deposit(0, protocol.depositor, sender=protocol.depositor)


def test_token_that_returns_false_is_refused(funded):
    replace_code(funded.market.usdc.address, "RefusingToken", funded.stranger)

    with reverts("vault: transfer"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_without_allowance_it_reverts_with_the_tokens_reason(protocol):
    protocol.market.mint(protocol.depositor, 500 * USDC)

    with reverts("ERC20: transfer amount exceeds allowance"):
        protocol.vault.deposit(500 * USDC, protocol.depositor, sender=protocol.depositor)


def test_refused_while_reduce_only(funded):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)
    funded.fund(funded.stranger, 1_000 * USDC)

    with reverts("vault: reduce-only"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_refused_while_an_expired_series_is_unfixed(funded, sold):
    funded.reach_expiry(funded.expiry(), 3_100)
    funded.fund(funded.stranger, 1_000 * USDC)

    with reverts("vault: settle the expired series first"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_refused_while_the_surface_is_older_than_two_hours(funded, sold):
    """Nobody knows what shares are worth. Exits go on, at the worst that it may be."""
    funded.post_slice()
    funded.fund(funded.stranger, 2_000 * USDC)
    funded.market.wait(2 * HOUR)
    funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)
    funded.market.wait(12 * HOUR)

    with reverts("vault: surface too old"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)
    assert funded.vault.maxDeposit(funded.stranger) == 0
    a = funded.vault.assessment()
    assert a.nav_mid - a.nav_bid == pytest.approx(-a.vega[0] * (0.02 + 0.05), rel=0.1)
    funded.vault.redeem(
        funded.vault.maxRedeem(funded.stranger), funded.stranger, funded.stranger, sender=funded.stranger
    )

    funded.post_slice()
    funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_without_options_the_age_of_the_surface_is_nothing(funded):
    funded.open_series()
    funded.fund(funded.stranger, 1_000 * USDC)
    funded.market.wait(9 * HOUR)

    assert funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger) > 0


def test_refused_while_a_share_is_worth_under_a_tenth_of_its_first_price(funded):
    # A vault whose cash is gone: nobody can do this, so the accounts are changed by hand.
    funded.open_gates(kill_drawdown=WAD)
    funded.overwrite("idle", 99_000 * USDC)
    funded.fund(funded.stranger, 1_000 * USDC)

    with reverts("vault: share price too low"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_refused_with_a_stale_oracle(funded, sold):
    funded.fund(funded.stranger, 1_000 * USDC)
    funded.market.pass_time(3_901)

    with reverts("oracle: stale"):
        funded.vault.deposit(1_000 * USDC, funded.stranger, sender=funded.stranger)


def test_first_depositor_cannot_inflate_the_share_price(protocol):
    """Attack A1: one unit deposited, a large donation, then a victim's deposit rounds to no shares."""
    attacker, victim = protocol.stranger, protocol.depositor
    protocol.deposit(1, attacker)
    protocol.market.mint(attacker, 10_000 * USDC)
    protocol.market.usdc.transfer(protocol.vault, 10_000 * USDC, sender=attacker)

    shares = protocol.deposit(1_000 * USDC, victim)

    assert protocol.vault.previewRedeem(shares) == 1_000 * USDC
    assert protocol.vault.previewRedeem(protocol.vault.balanceOf(attacker)) <= 1


@pytest.mark.parametrize("kind", ["USDC to the Vault", "USDC to a venue", "WETH to a venue", "aUSDC to a venue"])
def test_a_gift_moves_no_price(hedged, kind):
    market, giver = hedged.market, hedged.stranger
    market.mint(giver, 50_000 * USDC)
    before = hedged.vault.assessment()

    if kind == "USDC to the Vault":
        market.usdc.transfer(hedged.vault, 50_000 * USDC, sender=giver)
    elif kind == "USDC to a venue":
        market.usdc.transfer(hedged.short, 50_000 * USDC, sender=giver)
    elif kind == "WETH to a venue":
        market.wrap(giver, 10 * WAD)
        market.weth.transfer(hedged.spot, 10 * WAD, sender=giver)
    else:
        market.usdc.approve(market.aave, 50_000 * USDC, sender=giver)
        market.aave.supply(market.usdc, 50_000 * USDC, hedged.short, 0, sender=giver)

    after = hedged.vault.assessment()
    assert (after.delta, after.gross, after.initial) == (before.delta, before.gross, before.initial)
    assert 0 <= before.nav_mid - after.nav_mid <= 10**12  # one unit of rounding in Aave's index, against the vault
