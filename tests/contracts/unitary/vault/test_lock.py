"""One lock for Vault and components, and what is refused meanwhile.

acquire, release, hedge, observe, on_fill, pay_out, book_owed, pay_owed, take_in.
"""

import pytest

from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.protocol import ETH, SPOT

GATED_VIEWS = (
    ("totalAssets", ()),
    ("assessment", ()),
    ("mode", ()),
    ("convertToShares", (1,)),
    ("convertToAssets", (1,)),
    ("previewDeposit", (1,)),
    ("previewMint", (1,)),
    ("previewWithdraw", (1,)),
    ("previewRedeem", (1,)),
)


@pytest.fixture
def held(funded):
    """The lock is held by the OptionBook, as in the middle of a fill."""
    funded.vault.acquire(sender=funded.book.address)
    return funded


@pytest.mark.parametrize("role", ["governor", "keeper", "stranger"])
def test_only_a_component_can_take_it(funded, role):
    with reverts("vault: not a component"):
        funded.vault.acquire(sender=getattr(funded, role))


@pytest.mark.parametrize("component", ["book", "hedger"])
def test_it_cannot_be_taken_twice(held, component):
    with reverts("vault: locked"):
        held.vault.acquire(sender=getattr(held, component).address)


def test_only_its_holder_gives_it_back(held):
    with reverts("vault: not the lock's holder"):
        held.vault.release(sender=held.governor)
    held.vault.release(sender=held.book.address)

    assert held.vault.totalAssets() > 0


@pytest.mark.parametrize(("view", "arguments"), GATED_VIEWS)
def test_views_of_value_are_refused_while_it_is_held(held, view, arguments):
    with reverts("vault: locked"):
        getattr(held.vault, view)(*arguments)


def test_limits_are_zero_while_it_is_held(held):
    vault, who = held.vault, held.depositor

    assert [vault.maxDeposit(who), vault.maxMint(who), vault.maxWithdraw(who), vault.maxRedeem(who)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.vault.deposit(1, p.depositor, sender=p.depositor),
        lambda p: p.vault.mint(1, p.depositor, sender=p.depositor),
        lambda p: p.vault.withdraw(1, p.depositor, p.depositor, sender=p.depositor),
        lambda p: p.vault.redeem(WAD, p.depositor, p.depositor, sender=p.depositor),
        lambda p: p.vault.checkpoint(sender=p.stranger),
        lambda p: p.rebalance(),
        lambda p: p.clearing.fund(sender=p.stranger),
    ],
    ids=["deposit", "mint", "withdraw", "redeem", "checkpoint", "rebalance", "fund"],
)
def test_calls_are_refused_while_it_is_held(held, call):
    with reverts("vault: locked"):
        call(held)


@pytest.mark.parametrize(
    "call",
    [
        lambda p, who: p.vault.release(sender=who),
        lambda p, who: p.vault.on_fill([], [], 0, True, 10**12, who, sender=who),
        lambda p, who: p.vault.hedge(SPOT, 0, WAD, 4_000 * WAD, 3_000 * WAD, sender=who),
        lambda p, who: p.vault.observe(p.vault.assessment(), sender=who),
        lambda p, who: p.vault.pay_out(who, 1, sender=who),
        lambda p, who: p.vault.book_owed(1, sender=who),
        lambda p, who: p.vault.pay_owed(who, sender=who),
        lambda p, who: p.vault.take_in(1, sender=who),
        lambda p, who: p.vault.take_in_kind(ETH, 1, sender=who),
    ],
    ids=["release", "on_fill", "hedge", "observe", "pay_out", "book_owed", "pay_owed", "take_in", "take_in_kind"],
)
@pytest.mark.parametrize("role", ["governor", "keeper", "stranger", "book", "hedger"])
def test_component_calls_need_it(funded, call, role):
    who = getattr(funded, role)
    who = who if isinstance(who, str) else who.address

    with reverts("vault: not the lock's holder"):
        call(funded, who)


def test_its_holder_pays_out_what_is_not_owed(held):
    idle = held.vault.idle()

    held.vault.pay_out(held.stranger, 7 * USDC, sender=held.book.address)

    assert held.asset.balanceOf(held.stranger) == 7 * USDC
    assert held.vault.idle() == idle - 7 * USDC


def test_what_is_owed_cannot_be_paid_out(held):
    held.vault.book_owed(held.vault.idle() - 5, sender=held.book.address)

    with reverts("vault: not enough idle cash"):
        held.vault.pay_out(held.stranger, 6, sender=held.book.address)


def test_it_is_free_after_every_kind_of_call(hedged):
    """Invariant 44. titanoboa keeps transient storage between calls, so a lock left behind would show here."""
    series = hedged.book.live_book()[0] >> 87 << 87
    hedged.buy_back(series, WAD)
    hedged.rebalance(hedged.leg(SPOT, 0.1))
    hedged.vault.checkpoint()
    hedged.settle(hedged.expiry(), 3_200)
    hedged.clearing.fund(sender=hedged.stranger)
    hedged.clearing.claim(series, sender=hedged.taker)

    assert hedged.vault.totalAssets() > 0
    with reverts("vault: not the lock's holder"):
        hedged.vault.release(sender=hedged.book.address)
