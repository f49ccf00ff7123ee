"""Quotes: never beyond the contracts' marks, no more than they let stand, dearer the more the vault is short."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import SIZE_UNIT, WAD, YEAR
from keeper.pricing.black76 import price
from keeper.pricing.calibration import Quotes, calibrate
from keeper.quoting.terms import LIFE, Quote, Reason
from keeper.quoting.view import MarketSurface
from keeper.risk import mirror
from tests.keeper.quoting.vaults import (
    BITCOIN,
    CALL,
    FAR,
    LISTED,
    MIN_FILL,
    NEAR,
    NEAR_CALL,
    POLICY,
    PUT,
    SPOTS,
    ask,
    filled,
    offered,
    scenarios,
    vault,
    verdict,
    view_of,
)
from tests.keeper.risk.books import NOW

units = st.floats(-30.0, 30.0)
books = st.tuples(units, units, units, st.floats(-1.0, 1.0))


def marks_of(snapshot: Snapshot, series: Series) -> tuple[int, int, int]:
    """The contracts' bid, middle and ask."""
    posted = snapshot.surface.slice_of(series.underlying, series.expiry)
    marks = mirror.marks(series, snapshot.readings[series.underlying], posted, snapshot.timestamp)
    return marks.bid, marks.mid, marks.ask


@settings(max_examples=60, deadline=None)
@given(books, st.sampled_from(LISTED), st.booleans(), st.floats(0.1, 300.0), st.floats(0.2, 1.2))
def test_a_quote_is_within_the_marks_and_is_the_largest_that_the_contracts_let_stand(
    sizes: tuple[float, ...], series: Series, vault_sells: bool, size: float, forecast: float
) -> None:
    snapshot = vault(sizes)
    bid, mid, ask_mark = marks_of(snapshot, series)

    answer = ask(snapshot, series, size, vault_sells=vault_sells, view=view_of(snapshot, forecast=forecast))

    event(str(answer.limit) if isinstance(answer, Quote) else f"refused: {answer.reason}")
    sign = -1 if vault_sells else 1
    worst = ask_mark if vault_sells else mid
    if not isinstance(answer, Quote):
        if answer.reason is Reason.WORTHLESS:  # a bid for more of what there is too much of
            assert not vault_sells
            return
        assert verdict(snapshot, series, sign * MIN_FILL[series.underlying], worst).reason == answer.reason
        return
    parts = answer.parts
    assert answer.price_wad == parts.mid + parts.spread + parts.lean + parts.skew + parts.bound
    assert answer.price_wad >= ask_mark if vault_sells else answer.price_wad <= mid
    for paid in (answer.price_wad, worst):
        assert verdict(snapshot, series, sign * answer.size_wad, paid).stands
    if answer.limit is not None:
        assert verdict(snapshot, series, sign * (answer.size_wad + SIZE_UNIT), worst).reason == answer.limit
    if answer.price_wad > bid and not vault_sells:
        _, after = filled(snapshot, series, answer.size_wad, answer.price_wad)
        u, before = series.underlying, snapshot.assessment
        assert abs(after.gamma[u]) < abs(before.gamma[u]) or abs(after.vega[u]) < abs(before.vega[u])
        assert (answer.price_wad - bid) * answer.size_wad // before.nav_bid <= snapshot.vault.loss_budget


@settings(max_examples=40, deadline=None)
@given(books, st.sampled_from(LISTED), st.booleans(), st.floats(0.1, 5.0), st.floats(0.1, 10.0))
def test_a_book_that_is_shorter_of_the_series_asks_and_bids_no_less(
    sizes: tuple[float, ...], series: Series, vault_sells: bool, size: float, shorter: float
) -> None:
    scale = 30.0 if series == BITCOIN else 1.0
    less = tuple(held - shorter / scale * (one == series) for one, held in zip(LISTED, sizes, strict=True))

    first, second = (ask(vault(s), series, size / scale, vault_sells=vault_sells) for s in (sizes, less))

    if isinstance(first, Quote) and isinstance(second, Quote):
        assert second.parts.skew >= first.parts.skew - WAD // 10**6  # of a float
        if vault_sells:
            assert second.price_wad >= first.price_wad - WAD // 10**6


@settings(max_examples=30, deadline=None)
@given(books, st.sampled_from(LISTED), st.floats(0.1, 5.0), st.floats(0.2, 1.2), st.booleans())
def test_a_round_trip_never_pays_the_taker(
    sizes: tuple[float, ...], series: Series, size: float, forecast: float, sells_first: bool
) -> None:
    """He trades, and the vault quotes anew for its new book."""
    before = vault(sizes)
    first = ask(before, series, size, vault_sells=sells_first, view=view_of(before, forecast=forecast))
    if not isinstance(first, Quote):
        return
    change = -first.size_wad if sells_first else first.size_wad
    held = [p.size_wad / WAD + change / WAD * (p.series == series) for p in before.book]
    after = vault(held)
    second = ask(
        after, series, first.size_wad / WAD, vault_sells=not sells_first, view=view_of(after, forecast=forecast)
    )

    if isinstance(second, Quote):
        bought, sold = (first, second) if sells_first else (second, first)
        assert bought.price_wad >= sold.price_wad


def test_short_gamma_makes_a_sale_dearer_and_its_return_worth_more() -> None:
    flat, short = vault(), vault((-20.0, 0.0, -15.0, 0.0))

    sales = [offered(ask(snapshot, NEAR_CALL, 5.0)) for snapshot in (flat, short)]
    purchases = [offered(ask(snapshot, NEAR_CALL, 5.0, vault_sells=False)) for snapshot in (flat, short)]

    assert 0 < sales[0].parts.skew < sales[1].parts.skew
    assert purchases[0].parts.skew < 0 < purchases[1].parts.skew


def test_the_spread_widens_with_the_age_of_the_surface_and_the_error_of_its_fit() -> None:
    snapshot = vault()
    view = view_of(snapshot)
    market = view.market[0]
    assert market is not None
    versions: list[MarketSurface] = [
        market,
        replace(market, as_of=market.as_of - 7200),
        replace(market, fit_error=0.03),
        replace(market, half_spread=2.0 * market.half_spread),
    ]

    spreads = [offered(ask(snapshot, view=replace(view, market=(version, None)))).parts.spread for version in versions]

    assert 0 < spreads[0] < min(spreads[1:])


def test_the_vault_leans_only_on_a_premium_above_the_floor() -> None:
    """At 60 % implied the floor is met by a forecast of √(0.36 - 0.05)."""
    snapshot = vault()
    edge = (0.36 - POLICY.premium_floor) ** 0.5
    forecasts = (0.9, edge + 0.01, edge - 0.05, edge - 0.15)

    leans = [offered(ask(snapshot, view=view_of(snapshot, forecast=f))).parts.lean for f in forecasts]
    bids = [ask(snapshot, vault_sells=False, view=view_of(snapshot, forecast=f)) for f in forecasts]

    assert leans[0] == leans[1] == 0 > leans[2] > leans[3]
    assert offered(bids[3]).price_wad < offered(bids[0]).price_wad


def test_the_middle_follows_the_market_where_the_posted_surface_lags() -> None:
    snapshot = vault()
    view = view_of(snapshot)
    market = view.market[0]
    assert market is not None
    risen = replace(market, surface=replace(market.surface, theta=1.5 * market.surface.theta))

    before, after = (offered(ask(snapshot, view=replace(view, market=(m, None)))) for m in (market, risen))

    assert after.parts.mid > before.parts.mid
    assert after.price_wad > before.price_wad


def test_a_calibrated_chain_gives_the_middle_and_its_own_spread() -> None:
    """Quotes at 70 %, a point of volatility to either side, while 60 % is posted."""
    snapshot = vault()
    strikes = np.arange(2_200.0, 4_000.0, 100.0)
    expiry = np.repeat([NEAR, FAR], len(strikes))
    years, strike = (expiry - NOW) / YEAR, np.tile(strikes, 2)
    forward, is_call = np.full(len(strike), SPOTS[0]), strike >= SPOTS[0]
    bid, ask_ = (price(forward, strike, vol, years, is_call) for vol in (0.69, 0.71))
    found = calibrate(Quotes(expiry, years, forward, strike, is_call, bid, ask_))

    market = MarketSurface.of_calibration(found, NOW)
    parts = offered(ask(snapshot, view=replace(view_of(snapshot), market=(market, None)))).parts

    carried = SPOTS[0] * np.exp(0.04 * (FAR - NOW) / YEAR)  # the posted forward
    mid, dearer = price(carried, CALL.strike, [0.70, 0.71], (FAR - NOW) / YEAR, True) * WAD
    assert parts.mid == pytest.approx(mid, rel=1e-3)
    assert parts.spread == pytest.approx(dearer - mid, rel=0.02)


def test_relief_for_the_book_is_paid_up_to_the_middle_and_nothing_else_above_the_bid() -> None:
    snapshot = vault((-25.0, 0.0, -15.0, 0.0))
    bid, mid, _ = marks_of(replace(snapshot, timestamp=NOW + LIFE), CALL)  # both decay while the quote lives
    eager = replace(POLICY, tail_aversion=1.0, uncertainty_width=0.0)

    relief = offered(ask(snapshot, CALL, 5.0, vault_sells=False, policy=eager))
    unpaid = replace(snapshot, vault=replace(snapshot.vault, loss_budget=0))
    without = offered(ask(unpaid, CALL, 5.0, vault_sells=False, policy=eager))
    indifferent = replace(eager, tail_aversion=0.0, risk_aversion=0.0, capital_charge=0.0)
    other = offered(ask(vault((25.0, 25.0, 15.0, 0.0)), CALL, 5.0, vault_sells=False, policy=indifferent))

    assert relief.price_wad == mid > bid == without.price_wad
    assert other.price_wad == bid


@pytest.mark.parametrize("series", [CALL, PUT, BITCOIN])
def test_prices_do_not_depend_on_who_else_is_listed_or_in_what_order(series: Series) -> None:
    snapshot = vault((-5.0, -3.0, 0.0, -0.1))
    turned = replace(snapshot, book=tuple(reversed(snapshot.book)))

    first, second = (offered(ask(s, series, 0.5, view=view_of(s, at=scenarios()))) for s in (snapshot, turned))

    assert first.price_wad == pytest.approx(second.price_wad, rel=1e-12)
    assert first.size_wad == second.size_wad
