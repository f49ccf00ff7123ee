"""A18: quotes signed by contracts. What one may say yes to is what a stolen key may sign, and no more."""

import pytest

from tests.attacks.wealth import wealth
from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.protocol import QUOTER, fault


@pytest.fixture
def liar(funded, series):
    """A contract that is a quoter and approves whatever the taker shows it."""
    signer = fault("ContractSigner")
    funded.book.grant_role(signer, QUOTER, sender=funded.governor)
    funded.fund(funded.taker, 100_000 * USDC, funded.book)
    return signer


def fill(p, signer, quote, size=None):
    signer.approve_hash(p.book.hash_quote(quote))
    p.fill(quote, size, signer=signer.address, signature=b"")


def test_a18_a_signer_that_says_yes_to_everything_sells_nothing_below_the_mark(funded, series, liar):
    """Attack A18: price, life, reference and size of a quote are the OptionBook's to judge, whoever signs."""
    ask, bid = funded.pricer.marks(series).ask, funded.pricer.marks(series).bid
    outrageous = {
        "fill: below the ask mark": funded.quote(series, price=1),
        "fill: above the middle": funded.quote(series, vault_sells=False, price=10 * bid),
        "quote: lives too long": funded.quote(series, deadline=2**255),
        "quote: expired": funded.quote(series, deadline=funded.market.now - 1),
        "fill: spot moved": funded.quote(series, reference_spot=2_900 * WAD, spot_tolerance=WAD),
        "quote: below minimum fill": funded.quote(series, size=1),
    }

    for expected, quote in outrageous.items():
        with reverts(expected):
            fill(funded, liar, quote)
    fill(funded, liar, funded.quote(series, price=ask))

    assert funded.token.balanceOf(funded.taker, series) == WAD


def test_a18_nor_the_same_quote_twice(funded, series, liar):
    """Attack A18: what is filled counts per quote, not per signature."""
    quote = funded.quote(series, size=2 * WAD)
    fill(funded, liar, quote)

    with reverts("quote: size exceeded"):
        fill(funded, liar, quote, WAD)


def test_a18_who_buys_from_it_is_no_richer(funded, series, liar):
    """Attack A18: the liar's accomplice pays the mark, and the vault takes it."""
    before, nav = wealth(funded, funded.taker), funded.vault.assessment().nav_bid

    fill(funded, liar, funded.quote(series, size=5 * WAD))

    assert wealth(funded, funded.taker) < before
    assert funded.vault.assessment().nav_bid >= nav
