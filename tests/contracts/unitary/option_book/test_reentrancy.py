"""A hostile taker that calls back from its ERC-1155 hook: refused or harmless, and everything is free afterwards."""

import pytest

from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.hooks import buy, hostile_taker
from tests.contracts.protocol import ETH


@pytest.fixture
def hostile(funded, series):
    """A taker with a hook, with USDC for options and shares, and some shares of its own."""
    return hostile_taker(funded, 100_000 * USDC, deposited=10_000 * USDC)


def calls_back(protocol, receiver, series):
    """Calls that the hook tries, by name: target and calldata."""
    vault, book, clearing, who = protocol.vault, protocol.book, protocol.clearing, receiver.address
    quote = protocol.quote(series, size=WAD)
    fill = (quote, WAD, protocol.quoter.address, protocol.sign(quote))
    return {
        "deposit": (vault, vault.deposit.prepare_calldata(1_000 * USDC, who)),
        "mint": (vault, vault.mint.prepare_calldata(1_000 * WAD, who)),
        "withdraw": (vault, vault.withdraw.prepare_calldata(1_000 * USDC, who, who)),
        "redeem": (vault, vault.redeem.prepare_calldata(1_000 * WAD, who, who)),
        "checkpoint": (vault, vault.checkpoint.prepare_calldata()),
        "exit_frozen": (protocol.breaker, protocol.breaker.exit_frozen.prepare_calldata(1_000 * WAD, who)),
        "mode": (vault, vault.mode.prepare_calldata()),
        "acquire": (vault, vault.acquire.prepare_calldata()),
        "release": (vault, vault.release.prepare_calldata()),
        "totalAssets": (vault, vault.totalAssets.prepare_calldata()),
        "previewRedeem": (vault, vault.previewRedeem.prepare_calldata(WAD)),
        "assessment": (vault, vault.assessment.prepare_calldata()),
        "fill": (book, book.fill.prepare_calldata(*fill)),
        "fund": (clearing, clearing.fund.prepare_calldata()),
        "claim": (clearing, clearing.claim.prepare_calldata(series)),
        "place": (book, book.place.prepare_calldata(ETH)),
        "settle": (book, book.settle.prepare_calldata(ETH, protocol.expiry(), 0, 0)),
        "delist_series": (book, book.delist_series.prepare_calldata(series)),
        "live_book": (book, book.live_book.prepare_calldata()),
    }


@pytest.mark.parametrize(
    "name",
    [
        "deposit",
        "mint",
        "withdraw",
        "redeem",
        "exit_frozen",
        "mode",
        "checkpoint",
        "acquire",
        "release",
        "totalAssets",
        "previewRedeem",
        "assessment",
        "fill",
        "fund",
        "claim",
        "place",
        "settle",
        "delist_series",
        "live_book",
    ],
)
def test_calls_and_views_from_the_hook_are_refused(funded, series, hostile, name):
    """Attacks A6 and A7."""
    target, data = calls_back(funded, hostile, series)[name]

    buy(funded, hostile, series, target=target, data=data)

    assert hostile.calls() == 1
    assert not hostile.succeeded()
    assert funded.token.balanceOf(hostile, series) == WAD
    assert funded.book.written(series) == (WAD, 0)


def test_limits_read_from_the_hook_are_zero(funded, series, hostile):
    data = funded.vault.maxRedeem.prepare_calldata(hostile.address)

    buy(funded, hostile, series, target=funded.vault, data=data)

    assert hostile.succeeded()
    assert int.from_bytes(hostile.response()) == 0
    assert funded.vault.maxRedeem(hostile) > 0


def test_options_can_be_passed_on_from_the_hook_harmlessly(funded, series, hostile):
    data = funded.token.safeTransferFrom.prepare_calldata(hostile.address, funded.stranger, series, WAD, b"")

    buy(funded, hostile, series, target=funded.token, data=data)

    assert funded.token.balanceOf(funded.stranger, series) == funded.token.total_supply(series) == WAD
    assert funded.book.written(series) == (WAD, 0)


def test_a_receiver_that_refuses_tokens_undoes_the_fill(funded, series, hostile):
    """Attack A20."""
    hostile.refuse()
    before = funded.vault.assessment()

    with reverts("erc1155: transfer to non-IERC1155Receiver implementer"):
        buy(funded, hostile, series)

    assert funded.vault.assessment() == before
    assert funded.book.written(series) == (0, 0)


def test_everything_is_free_after_a_hostile_fill(funded, series, hostile):
    """Invariant 44."""
    target, data = calls_back(funded, hostile, series)["deposit"]
    buy(funded, hostile, series, target=target, data=data)

    funded.vault.redeem(1_000 * WAD, hostile, hostile, sender=hostile.address)
    funded.sell(series)
    funded.rebalance()

    assert funded.vault.totalAssets() > 0
