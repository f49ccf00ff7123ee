"""Invariant 46: the integer mirror equals the contracts to the last unit, for any book."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from keeper.domain.snapshot import Snapshot
from keeper.pricing.errors import PricingError
from keeper.risk import mirror
from tests.keeper.evm import Reverted
from tests.keeper.risk.books import DAY, NOW, flat_slice, option, reading, snapshot_of, snapshots
from tests.keeper.risk.conftest import Contracts

EXPIRY = NOW + 20 * DAY


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(snapshots())
def test_option_risk_and_assessment_equal_the_contracts_exactly(contracts: Contracts, snapshot: Snapshot) -> None:
    contracts.show(snapshot)

    risk = mirror.option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)

    assert risk == contracts.option_risk(snapshot.book)
    assert snapshot.assessment == contracts.assess(snapshot.book)


@settings(max_examples=100)
@given(snapshots(max_series=4))
def test_marks_equal_the_contracts_exactly(contracts: Contracts, snapshot: Snapshot) -> None:
    contracts.show(snapshot)

    priced = (p.series for p in snapshot.book if snapshot.readings[p.series.underlying].price_wad)
    for series in priced:
        posted = snapshot.surface.slice_of(series.underlying, series.expiry)
        own = mirror.marks(series, snapshot.readings[series.underlying], posted, snapshot.timestamp)
        assert own == contracts.marks(series)


def test_a_full_book_of_32_series_equals_the_contracts_exactly(contracts: Contracts) -> None:
    expiries = [NOW + d * DAY for d in (1, 9, 31, 60)]
    book = [
        option(i % 2, i % 3 == 0, expiries[i % 4], (3000.0, 90_000.0)[i % 2] * (0.7 + 0.02 * i), (-1) ** (i // 2) * 2.5)
        for i in range(32)
    ]
    surface = [(u, e, flat_slice(0.5 + 0.1 * u, e, carry=0.03)) for u in (0, 1) for e in expiries]
    snapshot = snapshot_of(book, surface)
    contracts.show(snapshot)

    assert mirror.option_risk(book, snapshot.readings, snapshot.surface, NOW) == contracts.option_risk(book)
    assert snapshot.assessment == contracts.assess(book)


def test_an_expired_series_is_worth_its_intrinsic_value_and_is_unfixed_once_a_round_exists(
    contracts: Contracts,
) -> None:
    expiry = NOW - DAY
    posted = replace(flat_slice(0.6, EXPIRY), posted_at=NOW - 10 * DAY)
    book = [option(0, True, expiry, 2500.0, -1.0)]
    snapshot = snapshot_of(book, [(0, expiry, posted)])
    contracts.show(snapshot)

    (eth, _) = contracts.option_risk(book)

    assert eth.mid == pytest.approx(-500 * 10**18)
    assert eth.bid == pytest.approx(-500 * 10**18)
    assert eth.unfixed


def test_put_call_parity_holds_to_the_last_unit(contracts: Contracts) -> None:
    call, put = option(0, True, EXPIRY, 3100.0, 1.0), option(0, False, EXPIRY, 3100.0, 1.0)
    contracts.show(snapshot_of([], [(0, EXPIRY, flat_slice(0.6, EXPIRY))]))

    difference = contracts.marks(call.series).mid - contracts.marks(put.series).mid

    assert difference == -100 * 10**18


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [2600.0, 3000.0, 3300.0])
def test_the_contracts_greeks_equal_finite_differences(contracts: Contracts, is_call: bool, strike: float) -> None:
    book = [option(0, is_call, EXPIRY, strike, 1.0)]

    def mid(spot: float = 3000.0, vol: float = 0.6) -> float:
        contracts.show(snapshot_of(book, [(0, EXPIRY, flat_slice(vol, EXPIRY, carry=0.05))], [reading(spot)] * 2))
        return contracts.option_risk(book)[0].mid / 1e18

    up, middle, down = mid(3003.0), mid(), mid(2997.0)
    risk = contracts.option_risk(book)[0]
    contracts.show(snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY, carry=0.05))]))
    risk = contracts.option_risk(book)[0]

    assert risk.delta / 1e18 == pytest.approx((up - down) / 6.0, abs=1e-5)
    assert risk.gamma / 1e18 == pytest.approx((up - 2 * middle + down) / 9.0, rel=1e-4)
    assert risk.vega / 1e18 == pytest.approx((mid(vol=0.601) - mid(vol=0.599)) / 0.002, rel=1e-4)


def test_bid_and_ask_marks_are_on_their_sides_of_the_mid_and_follow_the_surface(contracts: Contracts) -> None:
    series = option(0, True, EXPIRY, 3100.0, 1.0).series

    def marks(spot: float, vol: float) -> tuple[int, int, int]:
        contracts.show(snapshot_of([], [(0, EXPIRY, flat_slice(vol, EXPIRY))], [reading(spot)] * 2))
        m = contracts.marks(series)
        return m.bid, m.mid, m.ask

    bid, mid, ask = marks(3000.0, 0.6)

    assert bid < mid < ask
    assert all(higher > lower for higher, lower in zip(marks(3000.0, 0.65), (bid, mid, ask), strict=True))
    assert all(higher > lower for higher, lower in zip(marks(3030.0, 0.6), (bid, mid, ask), strict=True))


def test_a_price_beyond_the_arithmetic_is_refused_by_both(contracts: Contracts) -> None:
    book = [option(0, True, EXPIRY, 3000.0, 1.0)]
    snapshot = snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))])
    absurd = tuple(replace(r, price_wad=2**130) for r in snapshot.readings)
    contracts.show(replace(snapshot, readings=absurd))

    with pytest.raises(Reverted, match="forward too large"):
        contracts.option_risk(book)
    with pytest.raises(PricingError, match="forward too large"):
        mirror.option_risk(book, absurd, snapshot.surface, NOW)


def test_a_full_book_costs_less_gas_than_its_budget(contracts: Contracts) -> None:
    """A rebalance values the book once; it must leave room for eight legs in a transaction of 16.7M."""
    book = [option(0, i % 2 == 0, EXPIRY, 2500.0 + 50 * i, (-1.0) ** i) for i in range(32)]
    contracts.show(snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))]))

    contracts.assess(book)

    assert contracts.engine.gas_used < 2_700_000
