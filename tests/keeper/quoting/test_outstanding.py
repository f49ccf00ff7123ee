"""Quotes that are signed and not filled yet: the next one leaves room for any of them, in any order."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.quoting.outstanding import Books, Outstanding
from keeper.quoting.quote import quote
from keeper.quoting.terms import Quote, Reason, Refusal, Request
from keeper.quoting.trial import vega_share
from keeper.quoting.view import OptionBookState
from tests.keeper.quoting.vaults import BITCOIN, CALL, LISTED, MIN_FILL, POLICY, PUT, filled, vault, view_of

requests = st.tuples(st.sampled_from(LISTED), st.booleans(), st.floats(0.5, 400.0))


def ask(books: Books, series: Series, vault_sells: bool, size: float) -> Quote | Refusal:
    first, *beside = books.beside(series, vault_sells)
    request = Request(series, vault_sells, round(size * 1e9) * 10**9)
    return quote(request, first.snapshot, first.view, POLICY, beside)


def signed(books: Books, series: Series, vault_sells: bool, size: float) -> tuple[Books, Outstanding | None]:
    answer = ask(books, series, vault_sells, size)
    if isinstance(answer, Refusal):
        return books, None
    one = Outstanding(series, vault_sells, answer.size_wad, answer.price_wad)
    return books.plus([one]), one


def after(snapshot: Snapshot, fills: list[Outstanding]) -> Snapshot:
    """The vault when all of them have been filled, by the whole mirror anew for each."""
    for one in fills:
        change = -one.size_wad if one.vault_sells else one.size_wad
        book, assessment = filled(snapshot, one.series, change, one.price_wad)
        premium = -(one.price_wad * change // 10**30)
        state = replace(snapshot.vault, idle=snapshot.vault.idle + premium)
        snapshot = replace(snapshot, book=tuple(book), assessment=assessment, vault=state)
    return snapshot


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(-10.0, 10.0)] * 3), st.lists(requests, min_size=2, max_size=5))
def test_whichever_of_the_signed_quotes_are_filled_greeks_notionals_and_cash_stay_inside(
    sizes: tuple[float, float, float], asked: list[tuple[Series, bool, float]]
) -> None:
    snapshot = vault((*sizes, 0.0))
    books, quotes = Books.of(snapshot, view_of(snapshot), []), []
    for series, vault_sells, size in asked:
        books, one = signed(books, series, vault_sells, size / (30.0 if series == BITCOIN else 1.0))
        quotes += [one] if one else []
    event(f"{len(quotes)} signed")

    for count in range(1, len(quotes) + 1):
        for chosen in itertools.combinations(quotes, count):
            then = after(snapshot, list(chosen))
            limits, nav, now = snapshot.limits, snapshot.assessment.nav_bid, then.assessment
            for u, spot in enumerate(now.spot):
                for greek, band in (
                    (now.delta[u] * spot // WAD, limits.delta_hard),
                    (now.gamma[u] * spot // WAD * spot // WAD // 100, limits.gamma_band),
                    (now.vega[u], limits.vega_band),
                ):
                    assert abs(greek) <= band * nav // WAD * 1.02  # NAV moves with the fills
            assert then.vault.idle >= then.vault.owed
            if any(one.vault_sells for one in chosen):
                assert now.short_notional <= limits.notional_total * nav // WAD * 1.02


def test_books_after_fills_are_what_the_mirror_makes_of_them_anew() -> None:
    snapshot = vault((-5.0, 3.0, 0.0, 0.0))
    fills = [
        Outstanding(CALL, True, 4 * WAD, 150 * WAD),
        Outstanding(PUT, False, 2 * WAD, 60 * WAD),
        Outstanding(BITCOIN, True, WAD // 10, 3_000 * WAD),
    ]

    books = Books.of(snapshot, view_of(snapshot), fills)

    for book, chosen in (
        (books.now, []),
        (books.all, fills),
        (books.sales, [fills[0], fills[2]]),
        (books.purchases, [fills[1]]),
        (books.falling, fills),
        (books.rising, []),
    ):
        expected = after(snapshot, chosen)
        assert book.snapshot.book == expected.book
        assert book.snapshot.assessment == book.view.assessment == expected.assessment
        assert book.snapshot.vault.idle == expected.vault.idle
        fresh = view_of(expected)
        assert book.view.options == fresh.options
        assert book.view.margins == fresh.margins
        assert book.view.pnl == pytest.approx(fresh.pnl, abs=1e-6)


def test_a_quote_that_is_out_takes_the_vega_that_the_next_may_trade() -> None:
    snapshot = vault()
    view = view_of(snapshot)
    one = Outstanding(CALL, True, 5 * WAD, 150 * WAD)
    share = vega_share(snapshot, view.lines[CALL], one.size_wad)
    view = view_of(snapshot, option_book=OptionBookState(MIN_FILL, share + share // 2))

    alone, beside = (ask(Books.of(snapshot, view, outstanding), CALL, True, 5.0) for outstanding in ([], [one]))

    assert isinstance(alone, Quote)
    assert alone.limit is None
    assert isinstance(beside, Quote)
    assert beside.limit is Reason.VEGA_TRADED
    assert beside.size_wad == pytest.approx(one.size_wad / 2, rel=0.01)


def test_a_sale_is_dearer_while_another_is_out_and_as_before_when_its_time_is_over() -> None:
    snapshot = vault()
    one = Outstanding(CALL, True, 10 * WAD, 150 * WAD)

    before, beside, freed = (
        ask(Books.of(snapshot, view_of(snapshot), outstanding), CALL, True, 2.0) for outstanding in ([], [one], [])
    )

    assert isinstance(before, Quote)
    assert isinstance(beside, Quote)
    assert beside.parts.skew > before.parts.skew
    assert freed == before


def test_what_is_bought_only_if_a_taker_comes_makes_no_room_for_a_sale() -> None:
    """A purchase that is out may never be filled: the sale must stand without it."""
    snapshot = vault((-20.0, 0.0, 0.0, 0.0))
    relief = Outstanding(CALL, False, 20 * WAD, 100 * WAD)

    alone, beside = (
        ask(Books.of(snapshot, view_of(snapshot), outstanding), CALL, True, 10_000.0) for outstanding in ([], [relief])
    )

    assert isinstance(alone, Quote)
    assert isinstance(beside, Quote)
    assert beside.size_wad <= alone.size_wad
