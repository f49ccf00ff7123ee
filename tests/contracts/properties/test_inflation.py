"""Gifts, first depositors, nearly empty and emptied vaults."""

import boa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import WAD, account, reverts
from tests.contracts.properties.shares import OPERATIONS, act, amounts, holdings, preview

ATTACKER, VICTIM = account("attacker"), account("victim")


def give(protocol, amount: int, to: str) -> None:
    if amount == 0:
        return
    protocol.fund(ATTACKER, amount)
    protocol.asset.transfer(to, amount, sender=ATTACKER)


@pytest.mark.parametrize("to", ["vault", "book", "risk"])
@given(data=st.data())
def test_a_gift_moves_no_price_and_no_limit(live, to, data):
    """Invariant 8, attack A3."""
    vault = live.vault

    def seen():
        limits = [vault.maxWithdraw(live.depositor), vault.maxRedeem(live.depositor), vault.maxDeposit(VICTIM)]
        return limits + [preview(live, operation, 12_345 * live.unit, VICTIM) for operation in OPERATIONS]

    before, total = seen(), vault.totalAssets()
    give(live, data.draw(amounts(live)), getattr(live, to).address)

    assert seen() == before
    assert vault.totalAssets() == total


@given(
    dust=st.integers(1, 10**7),
    tries=st.lists(st.tuples(st.booleans(), st.integers(1, 2 * 10**6)), max_size=12),
    gift=st.integers(0, 10**6),
    victims=st.integers(1, 10**4),
)
def test_inflating_an_empty_vault_costs_the_attacker_more_than_the_victim_loses(empty, dust, tries, gift, victims):
    """Attack A1, by gifts and by rounding (small deposits and exits that leave a unit behind)."""
    vault, unit = empty.vault, empty.unit
    spent = dust
    _deposit_all(empty, ATTACKER, dust)
    for enter, size in tries:
        if enter and vault.previewDeposit(size) > 0:
            spent += size
            _deposit_all(empty, ATTACKER, size)
        elif not enter:
            shares = vault.balanceOf(ATTACKER) * size // (2 * 10**6)
            if vault.previewRedeem(shares) > 0:
                vault.redeem(shares, ATTACKER, ATTACKER, sender=ATTACKER)
    give(empty, gift * unit, vault.address)
    spent += gift * unit
    brought = victims * 100 * unit
    if vault.previewDeposit(brought) == 0:
        empty.fund(VICTIM, brought)
        with reverts("vault: zero shares"):
            vault.deposit(brought, VICTIM, sender=VICTIM)
        return

    _deposit_all(empty, VICTIM, brought)

    assets, shares = holdings(empty, ATTACKER)
    lost_by_attacker = spent - assets - vault.previewRedeem(shares)
    lost_by_victim = brought - vault.previewRedeem(vault.balanceOf(VICTIM))
    assert lost_by_attacker >= 0
    assert lost_by_victim <= max(lost_by_attacker, 1)


@given(left=st.integers(1, 10**14), brought=st.integers(100, 10**6))
def test_the_next_depositor_of_a_nearly_empty_vault_loses_at_most_one_part_in_a_million(empty, left, brought):
    """Attack A5: all but `left` shares are gone."""
    vault, unit = empty.vault, empty.unit
    shares = empty.deposit(1_000 * unit)
    vault.redeem(shares - left, empty.depositor, empty.depositor, sender=empty.depositor)

    empty.deposit(brought * unit, VICTIM)

    assert vault.previewRedeem(vault.balanceOf(VICTIM)) >= brought * unit - 1 - brought * unit // 10**6


@given(
    deposits=st.lists(st.integers(100, 10**6), min_size=1, max_size=5),
    order=st.permutations(range(5)),
)
def test_when_everybody_has_left_nothing_is_stranded(empty, deposits, order):
    """Invariant 9: the last share takes the last unit but rounding; the next depositor starts anew at a sound price."""
    vault, unit = empty.vault, empty.unit
    names = [account(f"depositor {number}") for number in range(len(deposits))]
    for name, amount in zip(names, deposits, strict=True):
        empty.deposit(amount * unit + amount % 7, name)
    for number in order:
        if number < len(names):
            vault.redeem(vault.balanceOf(names[number]), names[number], names[number], sender=names[number])

    assert vault.totalSupply() == 0
    assert vault.idle() <= len(names)
    assert vault.totalAssets() <= len(names)
    shares = empty.deposit(1_000 * unit, VICTIM)
    assert vault.previewRedeem(shares) >= 1_000 * unit - 1 - len(names)


@given(data=st.data())
def test_a_deposit_that_buys_no_share_is_refused(empty, data):
    """Attack A2. A share must be dear for that: the vault has far more than its shares first cost."""
    vault = empty.vault
    empty.deposit(1_000 * empty.unit)
    empty.overwrite("idle", 10**31 * empty.unit)
    worthless = data.draw(st.integers(1, 10**31 * empty.unit // (1_001 * WAD)))
    empty.fund(VICTIM, worthless)

    with reverts("vault: zero shares"):
        vault.deposit(worthless, VICTIM, sender=VICTIM)


def _deposit_all(protocol, who: str, amount: int) -> None:
    """Deposit as one's whole balance: below the minimum only that is accepted."""
    vault, asset = protocol.vault, protocol.asset
    others = account("safe of the attacker")
    if asset.balanceOf(who) > 0:
        asset.transfer(others, asset.balanceOf(who), sender=who)
    protocol.fund(who, amount)
    if vault.previewDeposit(amount) > 0:
        act(protocol, "deposit", amount, who)
    kept = asset.balanceOf(others)
    if kept > 0:
        with boa.env.prank(others):
            asset.transfer(who, kept)
