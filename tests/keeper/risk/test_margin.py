"""What the margin promises: invariants 29 to 31, on the integer mirror that equals the contracts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper.domain.series import Position
from keeper.domain.snapshot import Assessment, Snapshot
from keeper.domain.units import SIZE_UNIT, WAD
from keeper.pricing.black76 import price
from keeper.pricing.essvi import vol
from keeper.risk import mirror
from keeper.risk.valuation import value, vol_shocks
from tests.keeper.risk.books import DAY, NOW, flat_slice, hedge, option, snapshot_of, snapshots

EXPIRY = NOW + 20 * DAY
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def assessed(book: list[Position], units: float) -> Assessment:
    """On ETH at 3,000 and a flat 60 %."""
    venues = [hedge(0, units, 3000.0)] if units else []
    return snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))], venues=venues).assessment


def true_loss(snapshot: Snapshot, underlying: int, multiplier: float, shock: int) -> float:
    """Loss of options and venues, revalued by the pricing layer at the shocked spot and each series' shocked vol."""
    spot = snapshot.readings[underlying].price_wad / WAD
    gain = sum(v.state.exposure for v in snapshot.venues if v.state.underlying == underlying) / WAD
    gain *= spot * (multiplier - 1.0)
    for position in snapshot.book:
        series = position.series
        if series.underlying != underlying or position.size_wad == 0:
            continue
        posted = snapshot.surface.slice_of(underlying, series.expiry)
        years = max(series.expiry - snapshot.timestamp, 0) / (365 * DAY)
        forward = spot * np.exp(posted.carry / WAD * years)
        sigma = vol(posted, series.expiry, np.log(series.strike / forward))
        shocked = sigma * vol_shocks(np.array([years]))[0, shock]
        new = price(forward * multiplier, series.strike, shocked, years, series.is_call)
        gain += position.size_wad / WAD * float(new - price(forward, series.strike, sigma, years, series.is_call))
    return -gain


@settings(max_examples=100, suppress_health_check=QUIET)
@given(snapshots(max_series=8), st.sampled_from([0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2]), st.integers(0, 2))
def test_the_margin_covers_the_true_loss_in_every_near_scenario(
    snapshot: Snapshot, multiplier: float, shock: int
) -> None:
    loss = sum(true_loss(snapshot, u, multiplier, shock) for u in (0, 1))

    allowance = 1e-6 * max(value(snapshot).gross_notional, 1.0)  # s below 1e-6 counts as that
    assert loss <= snapshot.assessment.maintenance / WAD + allowance


@settings(max_examples=100, suppress_health_check=QUIET)
@given(snapshots(max_series=8), st.integers(0, 10**12 * WAD))
def test_cash_never_worsens_and_initial_is_never_below_maintenance(snapshot: Snapshot, cash: int) -> None:
    risk = mirror.option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)
    venues = [v.state for v in snapshot.venues]

    poor, rich = mirror.assess(risk, venues, 0), mirror.assess(risk, venues, cash)

    assert poor.initial >= poor.maintenance >= 0
    assert (rich.maintenance, rich.initial) == (poor.maintenance, poor.initial)
    assert rich.nav_bid - poor.nav_bid == rich.gap_headroom - poor.gap_headroom == cash


shorts = st.lists(st.tuples(st.booleans(), st.floats(0.7, 1.4), st.integers(1, 10**11)), min_size=1, max_size=6)


@settings(max_examples=100)
@given(shorts, st.data())
def test_reducing_a_short_with_its_hedge_never_worsens_the_margin(
    rows: list[tuple[bool, float, int]], data: st.DataObject
) -> None:
    book = [replace(option(0, c, EXPIRY, 3000.0 * k, 0.0), size_wad=-size * SIZE_UNIT) for c, k, size in rows]
    deltas = [line.delta for line in value(snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))])).positions]
    chosen = data.draw(st.integers(0, len(book) - 1))
    kept = data.draw(st.floats(0.0, 1.0))
    kept_size = int(book[chosen].size_wad // SIZE_UNIT * kept) * SIZE_UNIT
    reduced = [replace(p, size_wad=kept_size) if i == chosen else p for i, p in enumerate(book)]
    kept_delta = deltas[chosen] * kept_size / book[chosen].size_wad

    before = assessed(book, -sum(deltas))
    after = assessed(reduced, -sum(deltas) + deltas[chosen] - kept_delta)

    assert after.maintenance <= before.maintenance + before.short_notional // 10**9
    assert after.initial <= before.initial + before.short_notional // 10**9


@pytest.mark.parametrize("units", [0.0, 5.0, -5.0])
def test_gap_headroom_is_equity_less_the_worst_loss_at_half_and_one_and_a_half_times_spot(units: float) -> None:
    book = [option(0, True, EXPIRY, 3300.0, -10.0), option(0, False, EXPIRY, 2700.0, -10.0)]
    snapshot = snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))], venues=[hedge(0, units, 3000.0)])
    venue = snapshot.venues[0].state
    without_venue = replace(snapshot, venues=())

    worst_down = max(true_loss(without_venue, 0, 0.5, v) for v in range(3)) - (venue.stressed_down - venue.equity) / WAD
    worst_up = max(true_loss(without_venue, 0, 1.5, v) for v in range(3)) - (venue.stressed_up - venue.equity) / WAD

    expected = snapshot.assessment.nav_bid / WAD - max(worst_down, worst_up, 0.0)
    assert snapshot.assessment.gap_headroom / WAD == pytest.approx(expected, abs=1e-6)


def test_a_naked_short_pays_two_percent_of_spot_on_top_of_its_worst_scenario() -> None:
    book = [option(0, True, EXPIRY, 3000.0, -1.0)]
    snapshot = snapshot_of(book, [(0, EXPIRY, flat_slice(0.6, EXPIRY))])
    near = max(true_loss(snapshot, 0, 1.2, v) for v in range(3))
    doubled = max(true_loss(snapshot, 0, 2.0, v) for v in range(3))

    assert snapshot.assessment.maintenance / WAD == pytest.approx(max(near, 0.35 * doubled) + 60.0, abs=1e-6)


def test_margins_of_two_underlyings_do_not_offset() -> None:
    eth, btc = option(0, True, EXPIRY, 3000.0, -1.0), option(1, False, EXPIRY, 90_000.0, -1.0)
    surface = [(u, EXPIRY, flat_slice(0.6, EXPIRY)) for u in (0, 1)]

    alone = [snapshot_of([p], surface).assessment.maintenance for p in (eth, btc)]

    assert snapshot_of([eth, btc], surface).assessment.maintenance == sum(alone)
