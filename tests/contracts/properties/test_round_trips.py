"""Nobody gains by going in and out (invariant 2), however often and in however many names within one block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import account
from tests.contracts.properties.shares import OPERATIONS, act, amounts, holdings, sizes

NAMES = [account(f"depositor {number}") for number in range(3)]
UNDOES = {
    # first, second: the second takes what the first was given, or gives what the first returned
    ("deposit", "redeem"): lambda given, got: got,
    ("deposit", "withdraw"): lambda given, got: given,
    ("mint", "redeem"): lambda given, got: given,
    ("mint", "withdraw"): lambda given, got: got,
    ("redeem", "deposit"): lambda given, got: got,
    ("redeem", "mint"): lambda given, got: given,
    ("withdraw", "deposit"): lambda given, got: given,
    ("withdraw", "mint"): lambda given, got: got,
}


@pytest.mark.parametrize(("first", "second"), UNDOES)
@given(data=st.data())
def test_a_round_trip_gains_neither_assets_nor_shares(live, first, second, data):
    who = live.depositor
    live.fund(who, 10**6 * live.unit)
    assets, shares = holdings(live, who)
    amount = data.draw(amounts(live) if first in ("deposit", "withdraw") else sizes())

    got = act(live, first, amount, who)
    act(live, second, UNDOES[first, second](amount, got), who)

    assets_after, shares_after = holdings(live, who)
    assert assets_after <= assets
    assert shares_after <= shares
    assert (assets_after, shares_after) != (assets, shares)  # the spread between ask and bid


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(OPERATIONS), st.integers(1, 10**6)), min_size=4, max_size=16
    )
)
def test_no_sequence_of_calls_in_several_names_gains(live, steps):
    """The names together end with no more than they brought, and who was there before loses nothing."""
    vault = live.vault
    brought = 1_000_000 * live.unit
    for name in NAMES:
        live.fund(name, brought)
    others = vault.previewRedeem(vault.balanceOf(live.depositor))

    for name, operation, millionths in steps:
        assets, _ = holdings(live, name)
        whole = {"deposit": assets, "mint": vault.convertToShares(assets) * 9 // 10}
        whole |= {"withdraw": vault.maxWithdraw(name), "redeem": vault.maxRedeem(name)}
        amount = whole[operation] * millionths // 10**6
        if operation == "redeem" and vault.previewRedeem(amount) == 0:
            continue
        if operation in ("deposit", "mint") and amount < 110 * (live.unit if operation == "deposit" else 10**18):
            continue
        if amount > 0:
            act(live, operation, amount, name)
    for name in NAMES:
        if vault.maxRedeem(name) > 0:
            act(live, "redeem", vault.maxRedeem(name), name)

    worth = sum(assets + vault.previewRedeem(shares) for assets, shares in (holdings(live, name) for name in NAMES))
    assert worth <= len(NAMES) * brought
    assert vault.previewRedeem(vault.balanceOf(live.depositor)) >= others
    assert live.ledger_problems([live.depositor, *NAMES]) == []
