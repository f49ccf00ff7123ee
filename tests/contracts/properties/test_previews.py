"""Previews and conversions: what the calls then do, at exact prices, rounded for the vault."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import reverts
from tests.contracts.properties.shares import OPERATIONS, act, amounts, holdings, preview, price, sizes


def draw(data: st.DataObject, protocol, operation: str) -> int:
    return data.draw(amounts(protocol) if operation in ("deposit", "withdraw") else sizes())


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_a_call_does_what_its_preview_says_in_the_same_block(live, operation, data):
    """Invariant 3, with equality; whoever asks, and whatever the asker owns."""
    amount, who = draw(data, live, operation), live.depositor
    live.fund(who, 10**6 * live.unit)
    expected = preview(live, operation, amount, caller=live.stranger)
    assets, shares = holdings(live, who)

    returned = act(live, operation, amount, who)

    moved_assets, moved_shares = (amount, returned) if operation in ("deposit", "withdraw") else (returned, amount)
    sign = 1 if operation in ("deposit", "mint") else -1
    assert returned == expected
    assert holdings(live, who) == (assets - sign * moved_assets, shares + sign * moved_shares)


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_rounding_favours_the_vault_by_less_than_one_unit(live, operation, data):
    """Invariant 6, against exact fractions."""
    amount = draw(data, live, operation)
    at = {"deposit": 1 / price(live, "ask"), "mint": price(live, "ask")}
    at |= {"withdraw": 1 / price(live, "bid"), "redeem": price(live, "bid")}
    exact = amount * at[operation]

    said = preview(live, operation, amount, caller=live.stranger)

    kept_by_vault = exact - said if operation in ("deposit", "redeem") else said - exact
    assert 0 <= kept_by_vault < 1


@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
def test_nobody_elses_share_loses_value(live, operation, data):
    """Invariant 7: no price of a share falls by a deposit or an exit."""
    amount, who = draw(data, live, operation), live.stranger
    live.fund(who, 2 * 10**6 * live.unit)
    live.vault.deposit(10**6 * live.unit, who, sender=who)
    before = [price(live, side) for side in ("bid", "mid", "ask")]

    act(live, operation, amount, who)

    assert all(price(live, side) >= was for side, was in zip(("bid", "mid", "ask"), before, strict=True))


@given(data=st.data())
def test_conversions_are_at_mid_and_the_same_for_everybody(live, data):
    """Invariant 5; totalAssets and the conversions agree, and a round trip of conversions gains nothing."""
    vault, assets, shares = live.vault, data.draw(amounts(live)), data.draw(sizes())
    mid = price(live, "mid")
    callers = [live.depositor, live.stranger, live.keeper, live.book.address]

    as_shares = {vault.convertToShares(assets, sender=caller) for caller in callers}
    as_assets = {vault.convertToAssets(shares, sender=caller) for caller in callers}

    assert as_shares == {int(assets / mid)}
    assert as_assets == {int(shares * mid)}
    assert vault.convertToAssets(vault.convertToShares(assets)) <= assets
    assert vault.convertToShares(vault.convertToAssets(shares)) <= shares
    assert mid == Fraction(vault.totalAssets() + 1, vault.totalSupply() + 10**18 // live.unit)


@given(data=st.data())
def test_every_price_is_on_its_side_of_the_middle(live, data):
    vault, assets, shares = live.vault, data.draw(amounts(live)), data.draw(sizes())

    assert vault.previewDeposit(assets) < vault.convertToShares(assets) < vault.previewWithdraw(assets)
    assert vault.previewRedeem(shares) < vault.convertToAssets(shares) < vault.previewMint(shares)


@given(shares=st.integers(1, 10**6), assets=st.integers(1, 10))
def test_nothing_is_free_and_nothing_is_bought_for_nothing(live, shares, assets):
    """A share costs at least one unit; a unit takes at least one share."""
    assert live.vault.previewMint(shares) >= 1
    assert live.vault.previewWithdraw(assets) >= 1
    assert live.vault.previewRedeem(0) == live.vault.previewDeposit(0) == 0
    assert live.vault.convertToShares(0) == live.vault.convertToAssets(0) == 0


def test_previews_do_not_know_limits(live):
    """A latched vault and an empty wallet still see the price."""
    before = [preview(live, operation, 10**20, live.stranger) for operation in OPERATIONS]
    live.breaker.set_reduce_only(True, sender=live.guardian)

    assert [preview(live, operation, 10**20, live.stranger) for operation in OPERATIONS] == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_at_all_is_refused(live, operation):
    with reverts("vault: zero assets" if operation in ("withdraw", "redeem") else "vault: zero shares"):
        act(live, operation, 0, live.stranger)
