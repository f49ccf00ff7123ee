"""Vault.asset, totalAssets, convertTo*, preview*, assessment, mode, all_venues, cash: what anyone can read."""

import pytest

from tests.contracts.chain import USDC, reverts
from tests.contracts.protocol import ETH

NORMAL, REDUCE_ONLY, FROZEN = 1, 2, 4


def test_asset_is_usdc(protocol):
    assert protocol.vault.asset() == protocol.market.usdc.address


def test_share_is_an_18_decimals_token(protocol):
    vault = protocol.vault

    assert (vault.name(), vault.symbol(), vault.decimals()) == ("Keel USDC", "kUSDC", 18)


def test_total_assets_is_the_middle(hedged):
    assert hedged.vault.totalAssets() == hedged.vault.assessment().nav_mid // 10**12


def test_nav_is_cash_and_venues_and_options_and_nothing_else(hedged):
    a = hedged.vault.assessment()
    spot = a.spot[ETH]
    book = hedged.pricer.option_risk(hedged.book.live_book())[0]

    venues = hedged.spot.state(spot).equity + hedged.short.state(spot).equity
    cash = hedged.vault.idle() * 10**12

    assert a.nav_bid == cash + venues + book.bid
    assert a.nav_mid == cash + venues + book.mid
    assert a.nav_ask == cash + venues + book.ask
    assert a.nav_bid < a.nav_mid < a.nav_ask


def test_owed_payouts_are_a_liability(funded, sold):
    before = funded.vault.assessment().nav_mid
    funded.settle(funded.expiry(), 3_500)

    a = funded.vault.assessment()

    assert funded.vault.owed() == 5_000 * USDC
    assert a.nav_bid == a.nav_mid == a.nav_ask == (funded.vault.idle() - funded.vault.owed()) * 10**12
    assert a.nav_mid < before


@pytest.mark.parametrize("amount", [0, 1, 999_999, 123_456_789_012])
def test_conversions_do_not_depend_on_the_caller_and_round_down(hedged, amount):
    vault = hedged.vault
    for caller in (hedged.depositor, hedged.stranger):
        shares = vault.convertToShares(amount, sender=caller)
        assert shares == vault.convertToShares(amount)
        assert vault.convertToAssets(shares, sender=caller) <= amount


@pytest.mark.parametrize("amount", [1, 10**6, 123_456_789_012])
def test_previews_lie_on_their_side_of_the_middle(hedged, amount):
    vault = hedged.vault
    shares = amount * 10**12

    assert vault.previewDeposit(amount) <= vault.convertToShares(amount) <= vault.previewWithdraw(amount)
    assert vault.previewRedeem(shares) <= vault.convertToAssets(shares) <= vault.previewMint(shares)


@pytest.mark.parametrize("view", ["totalAssets", "assessment"])
def test_stale_prices_are_not_served(funded, sold, view):
    funded.market.pass_time(3_901)

    with reverts("oracle: stale"):
        getattr(funded.vault, view)()


def test_mode_is_frozen_while_nav_cannot_be_computed(funded, sold):
    funded.market.pass_time(3_901)

    assert funded.vault.mode() == FROZEN


def test_mode_follows_the_latch(funded):
    assert funded.vault.mode() == NORMAL

    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    assert funded.vault.mode() == REDUCE_ONLY


def test_mode_is_reduce_only_below_initial_margin_and_ends_by_itself(funded, sold):
    idle = funded.vault.idle()

    funded.overwrite("idle", 10_000 * USDC)
    below = funded.vault.mode()
    funded.overwrite("idle", idle)

    assert below == REDUCE_ONLY
    assert funded.vault.mode() == NORMAL
    assert not funded.breaker.latched()


def test_oracle_doubt_raises_initial_margin_only(funded, sold):
    calm = funded.vault.assessment()
    funded.market.push_pool(3_200)
    funded.market.wait(360)

    doubtful = funded.vault.assessment()

    assert doubtful.doubt
    assert not calm.doubt
    assert doubtful.initial == doubtful.maintenance * 5 // 4 * 3 // 2
    assert calm.initial == calm.maintenance * 5 // 4


def test_venues_are_listed_in_order(protocol):
    assert [entry.venue for entry in protocol.vault.all_venues()] == [protocol.spot.address, protocol.short.address]
