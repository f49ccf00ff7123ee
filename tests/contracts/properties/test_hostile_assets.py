"""Assets that misbehave: refused, or harmless to everybody who did nothing."""

import boa
import pytest

from tests.contracts.chain import WAD, reverts
from tests.contracts.protocol import ETH, Protocol, fault


@pytest.fixture(scope="module")
def hostile(market) -> Protocol:
    """A vault over a token that still behaves, with a deposit, a sold call and shares of the stranger."""
    protocol = Protocol(market, fault("HostileAsset", 6))
    protocol.deposit(1_000_000 * protocol.unit)
    protocol.sell(protocol.open_series(), 10 * WAD)
    protocol.deposit(10_000 * protocol.unit, protocol.stranger)
    return protocol


def test_a_deposit_of_an_asset_that_keeps_a_fee_is_refused(hostile):
    """Attack A8: fee-on-transfer token."""
    hostile.asset.charge(10)
    hostile.fund(hostile.stranger, 1_000 * hostile.unit)

    with reverts("vault: assets missing"):
        hostile.vault.deposit(1_000 * hostile.unit, hostile.stranger, sender=hostile.stranger)
    with reverts("vault: assets missing"):
        hostile.vault.mint(500 * WAD, hostile.stranger, sender=hostile.stranger)


def test_a_premium_that_arrives_short_is_refused(hostile):
    hostile.asset.charge(10)

    with reverts("vault: assets missing"):
        hostile.sell(hostile.book.live_book()[0] >> 87 << 87)


def test_a_settlement_that_reaches_the_queue_short_is_refused(hostile):
    """Attack A8: else the last who claims would find nothing. At once everybody can leave and bear the fee himself."""
    hostile.request(5_000 * WAD, hostile.stranger)
    hostile.close_epoch()
    hostile.asset.charge(10)

    with reverts("queue: assets missing"):
        hostile.settle_epoch()
    hostile.asset.charge(0)

    assert hostile.settle_epoch()[1] > 0
    assert hostile.ledger_problems([hostile.depositor, hostile.stranger, hostile.queue.address]) == []


def test_a_payout_that_is_funded_short_is_refused(hostile):
    """Attack A8: what holders are promised is there in full before the first of them is paid."""
    series = hostile.book.live_book()[0] >> 87 << 87
    hostile.settle(hostile.expiry(), 3_500)
    hostile.asset.charge(10)

    with reverts("clearing: assets missing"):
        hostile.clearing.claim(series, sender=hostile.taker)
    hostile.asset.charge(0)

    assert hostile.clearing.claim(series, sender=hostile.taker) == 5_000 * hostile.unit


def test_a_fee_on_the_way_out_is_the_receivers(hostile):
    """Exits stay open, and the books stay right."""
    hostile.asset.charge(10)
    vault, who = hostile.vault, hostile.stranger

    vault.withdraw(1_000 * hostile.unit, who, who, sender=who)

    assert hostile.asset.balanceOf(who) == 999 * hostile.unit
    assert hostile.ledger_problems([hostile.depositor, who]) == []


def test_an_asset_that_returns_nothing_is_as_good_as_one_that_returns_true(hostile):
    """Attack A9: token without return value."""
    hostile.asset.fall_silent()
    vault, who = hostile.vault, hostile.stranger
    shares = hostile.deposit(1_000 * hostile.unit, who)
    vault.redeem(shares, who, who, sender=who)
    series = hostile.book.live_book()[0] >> 87 << 87
    hostile.sell(series)
    hostile.buy_back(series)
    hostile.settle(hostile.expiry(), 3_500)

    hostile.clearing.claim(series, sender=hostile.taker)

    assert hostile.ledger_problems([hostile.depositor, who]) == []


def entries(p: Protocol) -> dict:
    """What a token might call back: target and calldata by name."""
    vault, book, who = p.vault, p.book, str(p.asset.address)
    series = book.live_book()[0] >> 87 << 87
    quote = p.quote(series)
    legs = ([p.leg(0, 1)], p.hedger.sequence(), p.market.now + 60, b"\x00" * 32)
    return {
        "deposit": (vault, vault.deposit.prepare_calldata(1_000 * p.unit, who)),
        "mint": (vault, vault.mint.prepare_calldata(1_000 * WAD, who)),
        "withdraw": (vault, vault.withdraw.prepare_calldata(1_000 * p.unit, who, who)),
        "redeem": (vault, vault.redeem.prepare_calldata(1_000 * WAD, who, who)),
        "checkpoint": (vault, vault.checkpoint.prepare_calldata()),
        "rebalance": (p.hedger, p.hedger.rebalance.prepare_calldata(*legs)),
        "acquire": (vault, vault.acquire.prepare_calldata()),
        "release": (vault, vault.release.prepare_calldata()),
        "pay_owed": (vault, vault.pay_owed.prepare_calldata(who)),
        "totalAssets": (vault, vault.totalAssets.prepare_calldata()),
        "convertToAssets": (vault, vault.convertToAssets.prepare_calldata(WAD)),
        "previewRedeem": (vault, vault.previewRedeem.prepare_calldata(WAD)),
        "assessment": (vault, vault.assessment.prepare_calldata()),
        "fill": (book, book.fill.prepare_calldata(quote, WAD, p.quoter.address, p.sign(quote))),
        "fund": (p.clearing, p.clearing.fund.prepare_calldata()),
        "settle": (book, book.settle.prepare_calldata(ETH, p.expiry(), 0, 0)),
        "claim": (p.clearing, p.clearing.claim.prepare_calldata(series)),
    }


def moves(p: Protocol) -> dict:
    """What makes the asset move, by name."""
    vault, who = p.vault, p.stranger
    series = p.book.live_book()[0] >> 87 << 87
    return {
        "deposit": lambda: vault.deposit(1_000 * p.unit, who, sender=who),
        "mint": lambda: vault.mint(1_000 * WAD, who, sender=who),
        "withdraw": lambda: vault.withdraw(1_000 * p.unit, who, who, sender=who),
        "redeem": lambda: vault.redeem(1_000 * WAD, who, who, sender=who),
        "sale": lambda: p.sell(series),
        "purchase": lambda: p.buy_back(series),
    }


@pytest.mark.parametrize("move", ["deposit", "mint", "withdraw", "redeem", "sale", "purchase"])
def test_an_asset_that_calls_back_is_refused_everywhere(hostile, move):
    """Attacks A6 and A7: callback and read-only reentrancy, with the token itself as shareholder (ERC-777)."""
    p, asset = hostile, hostile.asset
    p.vault.transfer(asset, 5_000 * WAD, sender=p.stranger)
    p.fund(p.stranger, 10_000 * p.unit)
    p.fund(asset.address, 10_000 * p.unit)
    for name, (target, data) in entries(p).items():
        with boa.env.anchor():
            asset.plan(target, data)
            moves(p)[move]()
            assert asset.calls() > 0
            assert not asset.succeeded(), f"{name} in the middle of a {move}"
            assert p.ledger_problems([p.depositor, p.stranger, asset.address]) == []


def test_limits_read_in_mid_transfer_are_zero(hostile):
    """They never revert: a lock that is held says nothing can be taken."""
    p, asset = hostile, hostile.asset
    asset.plan(p.vault, p.vault.maxWithdraw.prepare_calldata(p.stranger))
    p.sell(p.book.live_book()[0] >> 87 << 87)

    assert asset.succeeded()
    assert int.from_bytes(asset.response()) == 0


@pytest.mark.parametrize("hit", ["receiver", "vault"])
def test_usdcs_blacklist_stops_the_listed_and_harms_nobody(live_vaults, hit):
    """Attack A10: USDC blacklist. max* know nothing of it and do not revert; the refusal is USDC's own."""
    p = live_vaults[6]
    usdc, vault, owner = p.asset, p.vault, p.depositor
    before = vault.assessment()
    usdc.blacklist(p.stranger if hit == "receiver" else vault, sender=usdc.blacklister())

    with reverts("Blacklistable: account is blacklisted"):
        vault.withdraw(1_000 * p.unit, p.stranger, owner, sender=owner)

    assert vault.maxWithdraw(owner) > 0
    assert vault.assessment() == before
    if hit == "receiver":
        vault.withdraw(1_000 * p.unit, owner, owner, sender=owner)


def test_a_pause_of_usdc_delays_exits_and_changes_nothing(live_vaults):
    """Attack A10: USDC pause."""
    p = live_vaults[6]
    usdc, vault, owner = p.asset, p.vault, p.depositor
    before = vault.assessment(), vault.maxWithdraw(owner), vault.maxRedeem(owner), vault.maxDeposit(owner)
    usdc.pause(sender=usdc.pauser())

    with reverts("Pausable: paused"):
        vault.withdraw(before[1], owner, owner, sender=owner)
    with reverts("Pausable: paused"):
        vault.redeem(before[2], owner, owner, sender=owner)
    assert (vault.assessment(), vault.maxWithdraw(owner), vault.maxRedeem(owner), vault.maxDeposit(owner)) == before

    usdc.unpause(sender=usdc.pauser())
    vault.withdraw(vault.maxWithdraw(owner), owner, owner, sender=owner)
