"""A quote that the quoter signs is what the library makes of the snapshot, and the contracts take it."""

import pytest

from keeper.domain.policy import Policy
from keeper.domain.series import Position
from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.market.option_book import read_option_book
from keeper.market.reader import read_snapshot
from keeper.operations.options import fill, write
from keeper.operations.quotes import Quoter
from keeper.quoting.past import view_of
from keeper.quoting.quote import quote
from keeper.quoting.terms import Reason, Request
from tests.keeper.vault_on_fork import account_of


@pytest.fixture
def quoter(vault):
    return Quoter(vault.connection, vault.deployment, account_of("quoter"), Policy())


def series_of(vault, *, is_call):
    book = [Position.from_slot(slot).series for slot in vault.read("OptionBook", "live_book")]
    return next(series for series in book if series.is_call == is_call)


def test_the_state_of_the_option_book_is_read_as_the_contract_has_it(vault):
    state, _ = read_option_book(vault.connection, vault.deployment, vault.connection.header(), 2)

    assert state.min_fill == tuple(vault.read("OptionBook", "listings", u)[1] for u in (0, 1))
    assert state.vega_budget == vault.read("OptionBook", "vega_budget")


@pytest.mark.parametrize("vault_sells", [True, False])
def test_a_signed_quote_is_what_the_library_makes_of_the_snapshot(vault, quoter, vault_sells):
    call = series_of(vault, is_call=True)

    offer = quoter.make_quote(call, 2.0, vault_sells=vault_sells)

    block = vault.connection.header()
    snapshot = read_snapshot(vault.connection, vault.deployment, account_of("quoter").address, block.hash)
    view = view_of(snapshot, read_option_book(vault.connection, vault.deployment, block, 2)[0], Policy())
    assert offer.made == quote(Request(call, vault_sells, 2 * WAD), snapshot, view, Policy())
    signed = offer.signed.quote
    assert (signed.price, signed.size) == (offer.made.price_wad, offer.made.size_wad)
    assert signed.reference_spot == snapshot.readings[0].price_wad
    assert "no premium is leant on" in offer.caveat  # this fork's feeds are new


def test_a_larger_sale_asks_more_and_both_are_filled(vault, quoter):
    call = series_of(vault, is_call=True)
    vault.market.fund_usdc(account_of("taker").address, 100_000 * USDC)

    small, large = (quoter.make_quote(call, size, nonce=i) for i, size in enumerate((0.2, 0.5)))
    for offer in (small, large):
        assert fill(vault.sender("taker"), vault.deployment, offer.signed)["status"] == 1

    assert large.made.parts.skew > small.made.parts.skew > 0
    assert large.made.parts.mid == small.made.parts.mid


def test_what_the_vault_has_no_room_for_is_cut_to_what_the_contracts_take(vault, quoter):
    call = series_of(vault, is_call=True)
    vault.market.fund_usdc(account_of("taker").address, 1_000_000 * USDC)

    offer = quoter.make_quote(call, 10_000.0)

    assert offer.made.limit is not None
    assert fill(vault.sender("taker"), vault.deployment, offer.signed)["status"] == 1
    assert 0 < offer.signed.quote.size == offer.made.size_wad < 10_000 * WAD


@pytest.mark.parametrize("is_call", [True, False])
def test_a_bid_at_the_mark_stands_as_long_as_the_quote_lives(vault, quoter, is_call):
    """Options decay: the mark that bounds a bid does too."""
    series, maker = series_of(vault, is_call=is_call), account_of("taker").address
    vault.market.fund_weth(maker, 2 * WAD)
    vault.market.fund_usdc(maker, 10_000 * USDC)

    offer = quoter.make_quote(series, 1.0, vault_sells=False)
    bid, mid, *_ = vault.read("OptionPricer", "marks", series.id)
    vault.market.step(3_000, timestamp=offer.signed.quote.deadline - 3)  # approving takes a block

    assert bid < offer.made.price_wad < mid
    assert write(vault.sender("taker"), vault.deployment, offer.signed)["status"] == 1


def test_a_refusal_says_why_and_nothing_is_signed(vault, quoter):
    call = series_of(vault, is_call=True)
    vault.market.step(3_000, timestamp=vault.now() + 3 * 3_600)

    with pytest.raises(KeelError, match=Reason.OLD_SURFACE) as refused:
        quoter.make_quote(call, 1.0)

    assert refused.value.kept == "Nothing was signed."
    assert refused.value.todo
