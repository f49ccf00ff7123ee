"""The keeper's float valuation: within 1e-9 of notional of the integer mirror (the gate of the runtime is 1e-6)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from keeper.domain.snapshot import Reading, Snapshot, Surface
from keeper.risk import mirror
from keeper.risk.margin import margin_rows, margins
from keeper.risk.valuation import ValuationError, margin_mismatch, value
from tests.keeper.risk.books import DAY, NOW, flat_slice, hedge, option, reading, snapshot_of, snapshots

EXPIRY = NOW + 20 * DAY
PRECISION = 1e-9


def one_call(size: float = -10.0) -> Snapshot:
    """A call struck at spot, hedged with half its size."""
    return snapshot_of(
        [option(0, True, EXPIRY, 3000.0, size)],
        [(0, EXPIRY, flat_slice(0.6, EXPIRY, carry=0.02))],
        venues=[hedge(0, 5.0, 3000.0)],
    )


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(snapshots())
def test_the_valuation_equals_the_mirror(snapshot: Snapshot) -> None:
    risks = mirror.option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)

    valuation = value(snapshot)

    notional = max(valuation.gross_notional, 1.0)
    for own, exact in zip(valuation.options, risks, strict=True):
        for name in ("bid", "mid", "ask", "short_notional"):
            assert getattr(own, name) == pytest.approx(getattr(exact, name) / 1e18, abs=PRECISION * notional), name
        assert own.delta * own.spot == pytest.approx(exact.delta / 1e18 * own.spot, abs=PRECISION * notional)
        assert own.vega == pytest.approx(exact.vega / 1e18, abs=PRECISION * notional)
        assert own.pnl == pytest.approx(np.array(exact.pnl, dtype=float) / 1e18, abs=PRECISION * notional)
    assert valuation.unfixed == snapshot.assessment.unfixed
    assert margin_mismatch(valuation, snapshot) <= PRECISION


def test_gamma_equals_the_mirror() -> None:
    snapshot = one_call()
    (exact, _) = mirror.option_risk(snapshot.book, snapshot.readings, snapshot.surface, NOW)

    assert value(snapshot).options[0].gamma == pytest.approx(exact.gamma / 1e18, rel=1e-12)


@pytest.mark.parametrize("field", ["maintenance", "initial", "nav_bid", "gap_headroom"])
def test_a_mismatch_is_the_largest_difference_per_unit_of_notional(field: str) -> None:
    snapshot = one_call()
    off_by_three_dollars = replace(snapshot.assessment, **{field: getattr(snapshot.assessment, field) + 3 * 10**18})

    mismatch = margin_mismatch(value(snapshot), replace(snapshot, assessment=off_by_three_dollars))

    assert mismatch == pytest.approx(3.0 / 30_000.0, rel=1e-6)


def test_a_mismatch_of_delta_counts_in_dollars() -> None:
    snapshot = one_call()
    delta = (snapshot.assessment.delta[0] + 10**16, snapshot.assessment.delta[1])

    mismatch = margin_mismatch(value(snapshot), replace(snapshot, assessment=replace(snapshot.assessment, delta=delta)))

    assert mismatch == pytest.approx(0.01 * 3000.0 / 30_000.0, rel=1e-6)


def test_an_empty_book_has_only_cash_and_venues() -> None:
    snapshot = snapshot_of([], [], venues=[hedge(0, 5.0, 3000.0)])

    valuation = value(snapshot)

    assert valuation.positions == ()
    assert valuation.margins.nav_mid == 1_015_000.0
    assert valuation.margins.maintenance == pytest.approx(5.0 * 3000.0 * 0.25)  # spot -50 %, half counts
    assert margin_mismatch(valuation, snapshot) <= PRECISION


def test_a_position_line_adds_up_to_its_underlying() -> None:
    valuation = value(one_call())

    (line,) = valuation.positions

    assert line.bid < line.mid < line.ask
    assert line.theta > 0.0  # a short option earns the passing of time
    assert line.value_against == -10.0 * line.ask == valuation.options[0].bid
    assert valuation.deltas[0] == pytest.approx(line.delta + 5.0)


def test_theta_is_the_value_gained_by_waiting() -> None:
    later = 3600
    snapshot = one_call()
    waited = snapshot_of(
        snapshot.book, snapshot.surface.slices, venues=[v.state for v in snapshot.venues], timestamp=NOW + later
    )

    gain = value(waited).positions[0].value - value(snapshot).positions[0].value

    assert gain == pytest.approx(value(snapshot).positions[0].theta * later / (365 * DAY), rel=2e-3)


def test_the_margin_of_a_candidate_trade_is_linear_in_the_venues_units_row_by_row() -> None:
    """What the optimiser's rows say is what the valuation after the trade says."""
    before = value(one_call())
    traded = snapshot_of(one_call().book, one_call().surface.slices, venues=[hedge(0, 2.0, 3000.0)])
    after = value(traded)

    a, b = margin_rows(before.options[0])

    assert (a + b * 2.0).max() == pytest.approx(after.margins.maintenance, rel=1e-12)
    assert margins(before.options, after.venues, before.cash) == after.margins


def test_doubt_about_a_price_raises_the_initial_margin_of_its_underlying_only() -> None:
    snapshot = one_call()
    eth, btc = snapshot.readings

    of_eth = value(replace(snapshot, readings=(replace(eth, doubt=True), btc))).margins.initial
    of_btc = value(replace(snapshot, readings=(eth, replace(btc, doubt=True)))).margins.initial

    assert of_eth / value(snapshot).margins.initial == pytest.approx(1.5)
    assert of_btc == value(snapshot).margins.initial


def test_an_underlying_without_position_and_exposure_needs_no_price() -> None:
    snapshot = one_call()
    without = replace(snapshot, readings=(snapshot.readings[0], Reading(0, 0, 0, False)))

    assert value(without).margins == value(snapshot).margins


def test_a_position_without_a_slice_cannot_be_valued() -> None:
    with pytest.raises(ValuationError, match="no volatility slice for underlying 0"):
        value(replace(one_call(), surface=Surface(())))


def test_a_position_of_size_zero_needs_no_slice() -> None:
    empty = replace(one_call(), book=(option(0, True, EXPIRY, 3000.0, 0.0),), surface=Surface(()))

    assert value(empty).positions == ()


def test_a_price_of_zero_cannot_be_valued() -> None:
    with pytest.raises(ValuationError, match="no price"):
        value(replace(one_call(), readings=(reading(0.0), reading(90_000.0))))
