"""Which offers a decision looks at: few, those that OptionBook may take, and the most useful first."""

from dataclasses import replace

import pytest

from keeper.domain.offer import Offer
from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import HOUR, WAD
from keeper.quoting.offers import MOST, best_offers
from tests.keeper.quoting.vaults import BITCOIN, CALL, FAR, MIN_FILL, NEAR, NEAR_CALL, PUT, vault, view_of
from tests.keeper.risk.books import option

SHORT = (-5.0, -5.0, -5.0, 0.0)


def offer_of(
    snapshot: Snapshot, series: Series, *, under_mid: float = 5.0, vault_sells: bool = False, digest: str = "0x"
) -> Offer:
    """A unit, at so many USDC under the middle mark, or over it where the vault sells."""
    mid = view_of(snapshot).lines[series].marks.mid
    away = int(under_mid * WAD)
    return Offer(series, vault_sells, mid + away if vault_sells else mid - away, 0, WAD, 0, digest)


def best(snapshot: Snapshot, *offers: Offer) -> list[Series]:
    return [offer.series for offer in best_offers(offers, snapshot, view_of(snapshot))]


def test_they_are_worth_the_middle_mark_and_take_option_books_smallest_fill() -> None:
    snapshot = vault(SHORT)

    [found] = best_offers([offer_of(snapshot, CALL)], snapshot, view_of(snapshot))

    assert found.worth_wad == view_of(snapshot).lines[CALL].marks.mid
    assert found.min_fill_wad == MIN_FILL[0]


def test_there_are_no_more_than_a_decision_has_time_for_and_the_cheapest_volatility_is_first() -> None:
    snapshot = vault(SHORT)
    offers = [offer_of(snapshot, CALL, under_mid=float(i), digest=f"0x{i}") for i in range(1, MOST + 3)]

    found = best_offers(offers, snapshot, view_of(snapshot))

    assert [offer.digest for offer in found] == [f"0x{i}" for i in range(MOST + 2, 2, -1)]


def test_what_lowers_gamma_and_vega_comes_before_what_is_cheaper_and_does_not() -> None:
    snapshot = vault((-5.0, 5.0, 0.0, 0.0))
    short = replace(snapshot, assessment=replace(snapshot.assessment, gamma=(-WAD, 0), vega=(-WAD, 0)))
    ask = view_of(snapshot).lines[PUT].marks.ask

    sale = replace(offer_of(snapshot, PUT, vault_sells=True), price_wad=2 * ask)

    assert best(short, sale, offer_of(snapshot, CALL)) == [CALL, PUT]


@pytest.mark.parametrize(
    "changes",
    [
        {"price_wad": 10**9 * WAD},  # above the middle
        {"vault_sells": True, "price_wad": 1},  # below the ask mark
        {"size_wad": MIN_FILL[0] - 1},
        {"min_fill_wad": 2 * WAD},
        {"series": option(0, True, FAR, 3_250.0, 0.0).series},
        {"series": option(0, True, NEAR - 30 * 86_400, 3_100.0, 0.0).series},
    ],
)
def test_what_option_book_would_refuse_is_left_out(changes: dict[str, object]) -> None:
    snapshot = vault(SHORT)

    assert best(snapshot, replace(offer_of(snapshot, CALL), **changes)) == []  # type: ignore[arg-type]


def test_nothing_is_looked_at_in_a_series_last_hour_or_once_it_is_delisted() -> None:
    snapshot = vault(SHORT)
    view, offer = view_of(snapshot), offer_of(snapshot, NEAR_CALL)
    late = replace(snapshot, timestamp=NEAR - HOUR)
    delisted = replace(snapshot, book=tuple(p for p in snapshot.book if p.series != NEAR_CALL))

    assert len(best_offers([offer], snapshot, view)) == 1
    assert best_offers([offer], late, view) == ()
    assert best_offers([offer], delisted, view) == ()


def test_the_order_in_which_they_came_does_not_matter() -> None:
    snapshot = vault(SHORT)
    offers = [offer_of(snapshot, series, digest=f"0x{i}") for i, series in enumerate((CALL, PUT, NEAR_CALL, BITCOIN))]
    view = view_of(snapshot)

    assert best_offers(offers, snapshot, view) == best_offers(offers[::-1], snapshot, view)
