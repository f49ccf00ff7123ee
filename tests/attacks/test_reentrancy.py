"""A6 and A7: whoever gets control in the middle of a transaction reads no price and gains nothing."""

import boa
import pytest

from tests.attacks.wealth import wealth
from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.hooks import buy, hostile_taker
from tests.contracts.protocol import QUOTER, fault


@pytest.fixture
def hostile(funded, sold):
    """A taker with an ERC-1155 hook, USDC, shares and options."""
    receiver = hostile_taker(funded, 200_000 * USDC, deposited=20_000 * USDC)
    funded.token.safeTransferFrom(funded.taker, receiver, sold, WAD, b"", sender=funded.taker)
    return receiver


@pytest.fixture
def lender(funded, hostile):
    """With USDC to lend; the taker has approved it."""
    contract = fault("ShareLender", funded.vault, funded.market.usdc)
    funded.market.mint(contract.address, 100_000 * USDC)
    funded.vault.approve(contract, 2**256 - 1, sender=hostile.address)
    return contract


def test_a6_nobody_borrows_against_shares_in_the_middle_of_a_fill(funded, sold, hostile, lender):
    """Attack A6: a lender that trusts convertToAssets lends before and after a fill, and never from its hook."""
    data = lender.borrow.prepare_calldata(1_000 * WAD)

    buy(funded, hostile, sold, target=lender, data=data)

    assert hostile.calls() == 2  # the options of the fixture, and those of the fill
    assert not hostile.succeeded()
    assert lender.borrow(1_000 * WAD, sender=hostile.address) == funded.vault.convertToAssets(1_000 * WAD) * 9 // 10


def test_a6_a_signer_reads_no_price_in_the_middle_of_a_fill(funded, sold):
    """Attack A6: the only other stranger that a fill asks, an ERC-1271 signer, signs only if it can read the price."""
    signer = fault("ContractSigner")
    funded.book.grant_role(signer, QUOTER, sender=funded.governor)
    quote = funded.quote(sold)
    signer.approve_hash(funded.book.hash_quote(quote))
    signer.peek(funded.vault, boa.eval('method_id("totalAssets()", output_type=bytes4)'))
    funded.fund(funded.taker, 10_000 * USDC, funded.book)

    with reverts("quote: signature"):
        funded.fill(quote, signer=signer.address, signature=b"")


def entries(p, series, who):
    """What a stranger may call, by name: target and calldata, as they would go through outside."""
    vault, queue, book, token = p.vault, p.queue, p.book, p.token
    back = p.quote(series, vault_sells=False)
    more = p.quote(series)
    return {
        "deposit": (vault, vault.deposit.prepare_calldata(1_000 * USDC, who)),
        "mint": (vault, vault.mint.prepare_calldata(1_000 * WAD, who)),
        "withdraw": (vault, vault.withdraw.prepare_calldata(1_000 * USDC, who, who)),
        "redeem": (vault, vault.redeem.prepare_calldata(1_000 * WAD, who, who)),
        "exit_frozen": (p.breaker, p.breaker.exit_frozen.prepare_calldata(1_000 * WAD, who)),
        "checkpoint": (vault, vault.checkpoint.prepare_calldata()),
        "transfer": (vault, vault.transfer.prepare_calldata(p.stranger, 1)),
        "approve": (vault, vault.approve.prepare_calldata(queue, 2**255)),
        "requestRedeem": (queue, queue.requestRedeem.prepare_calldata(1_000 * WAD, who, who)),
        "settle_epoch": (queue, queue.settle_epoch.prepare_calldata()),
        "fill a sale": (book, book.fill.prepare_calldata(more, WAD, p.quoter.address, p.sign(more))),
        "fill a purchase": (book, book.fill.prepare_calldata(back, WAD, p.quoter.address, p.sign(back))),
        "delist_series": (book, book.delist_series.prepare_calldata(series)),
        "pass options on": (token, token.safeTransferFrom.prepare_calldata(who, p.stranger, series, 1, b"")),
    }


def test_a7_nothing_called_from_a_hook_gains_anything(funded, sold, hostile):
    """Attack A7: every call that anybody may make, made from the hook of a fill, brings no more than the fill alone."""
    who = hostile.address
    funded.vault.approve(funded.queue, 2**255, sender=who)
    with boa.env.anchor():
        buy(funded, hostile, sold)
        honest = wealth(funded, who), wealth(funded, funded.depositor)
    for name, (target, data) in entries(funded, sold, who).items():
        with boa.env.anchor():
            buy(funded, hostile, sold, target=target, data=data)

            assert hostile.calls() == 2, name
            assert wealth(funded, who) <= honest[0] + 1, name
            assert wealth(funded, funded.depositor) >= honest[1] - 1, name
            assert funded.vault.totalAssets() > 0, f"{name}: the lock is left"


def test_a7_the_vault_is_not_entered_from_a_hook(funded, sold, hostile):
    """Attack A7: what moves its cash or shares at a price is refused outright."""
    for name, (target, data) in entries(funded, sold, hostile.address).items():
        if name not in ("transfer", "approve", "requestRedeem", "settle_epoch", "delist_series", "pass options on"):
            with boa.env.anchor():
                buy(funded, hostile, sold, target=target, data=data)

                assert not hostile.succeeded(), name
