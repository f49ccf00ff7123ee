"""The book in scenarios is the book of a snapshot in which the scenario has happened."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import YEAR, to_wad
from keeper.pricing.calibration import calibrate
from keeper.risk.errors import RiskError
from keeper.risk.revaluation import LONG_POWER, SHORT_POWER, revalue, tenor_power
from keeper.risk.scenarios import Scenarios
from keeper.risk.valuation import value
from tests.keeper.pricing import chains
from tests.keeper.pricing.chains import recordings
from tests.keeper.risk.books import DAY, NOW, hedge, option, reading, smile, snapshot_of, snapshots

ETH, BTC = 0, 1
A_DAY = 1.0 / 365.0
SPOTS = (3_000.0, 90_000.0)
TERMS = {ETH: (5, 20, 60), BTC: (9, 40)}
BOOK = tuple(
    option(u, m > 1.0, NOW + days * DAY, SPOTS[u] * m, size)
    for u, terms in TERMS.items()
    for days in terms
    for m, size in ((0.85, -3.0), (0.97, 1.0), (1.02, 0.5), (1.2, -2.0))
)
HEDGES = (hedge(ETH, -4.0, SPOTS[ETH]), hedge(BTC, 0.3, SPOTS[BTC]))


def slices(shift=(0.0, 0.0)):
    """A smile for every expiry, its volatility higher by what a shift of the 30-day one does to its tenor."""
    found = []
    for u, terms in TERMS.items():
        for days in terms:
            theta = 0.36 * days / 365.0
            growth = np.exp(2.0 * shift[u] * float(tenor_power(np.array(days / 365.0))))
            found.append((u, NOW + days * DAY, replace(smile(theta), theta=to_wad(theta * growth))))
    return found


def now(book=BOOK, hedges=HEDGES):
    return snapshot_of(book, slices(), [reading(s) for s in SPOTS], hedges)


def test_a_scenario_is_worth_what_the_valuation_says_when_it_has_happened():
    returns, vols = np.array([-0.12, 0.05]), np.array([0.3, -0.1])
    before = value(now())

    found = revalue(now(), Scenarios(A_DAY, returns[None, :], vols[None, :]))

    moved = [reading(s * np.exp(r)) for s, r in zip(SPOTS, returns, strict=True)]
    after = value(snapshot_of(BOOK, slices(vols), moved, timestamp=NOW + DAY))
    expected = [then.value - was.value for then, was in zip(after.positions, before.positions, strict=True)]
    assert found.options[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(snapshot=snapshots(), returns=st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)))
def test_any_book_is_worth_what_the_valuation_says_after_any_move_of_prices(snapshot, returns):
    found = revalue(snapshot, Scenarios(0.0, np.array([returns]), np.zeros((1, 1))))

    moved = tuple(
        replace(r, price_wad=round(r.price_wad * float(np.exp(x))))
        for r, x in zip(snapshot.readings, returns, strict=True)
    )
    before, after = value(snapshot).positions, value(replace(snapshot, readings=moved)).positions
    for gain, was, then in zip(found.options[0], before, after, strict=True):
        scale = abs(was.size) * max(was.forward, then.forward)
        assert gain == pytest.approx(then.value - was.value, abs=2e-6 * scale)  # the contracts' floor under σ√T


@settings(max_examples=15, deadline=None)
@given(snapshot=snapshots(max_series=8), seed=st.integers(0, 1_000))
def test_the_order_of_the_book_does_not_matter_and_positions_do_not_touch_each_other(snapshot, seed):
    rng = np.random.default_rng(seed)
    scenarios = Scenarios(A_DAY, 0.1 * rng.standard_normal((20, 2)), 0.1 * rng.standard_normal((20, 2)))

    together = revalue(snapshot, scenarios).options
    backwards = revalue(replace(snapshot, book=snapshot.book[::-1]), scenarios).options
    alone = [revalue(replace(snapshot, book=(p,)), scenarios).options[:, 0] for p in snapshot.book if p.size_wad]

    assert np.array_equal(backwards[:, ::-1], together)
    assert np.array_equal(np.array(alone).reshape(-1, 20).T, together)


def test_venues_gain_their_exposure_times_the_move():
    found = revalue(now(), Scenarios(A_DAY, np.log([[0.9, 1.2]]), np.zeros((1, 1))))

    assert found.venues[0] == pytest.approx([-4.0 * -300.0, 0.3 * 18_000.0])
    assert found.total[0] == pytest.approx(found.options[0].sum() + found.venues[0].sum())
    assert found.parts.shape == (1, len(BOOK) + 2)


def test_nothing_moves_and_no_time_passes():
    found = revalue(now(), Scenarios(0.0, np.zeros((2, 2)), np.zeros((2, 2))))

    assert found.parts == pytest.approx(0.0, abs=1e-9)


def test_one_index_moves_the_volatility_of_all_underlyings():
    rng = np.random.default_rng(1)
    returns, vol = 0.05 * rng.standard_normal((50, 2)), 0.1 * rng.standard_normal((50, 1))

    one, both = (revalue(now(), Scenarios(A_DAY, returns, v)).options for v in (vol, np.tile(vol, (1, 2))))

    assert np.array_equal(one, both)


def test_an_option_that_expires_within_the_horizon_pays_what_it_is_worth_then():
    book = (option(ETH, True, NOW + 3_600, 2_900.0, -2.0),)
    soon = VolSlice(to_wad(0.36 * 3_600 / YEAR), 0, 0, 0, to_wad(0.02), NOW)
    snapshot = snapshot_of(book, [(ETH, NOW + 3_600, soon)])
    mid = value(snapshot).positions[0].mid

    found = revalue(snapshot, Scenarios(A_DAY, np.log([[1.1, 1.0], [0.9, 1.0]]), np.zeros((2, 1))))

    assert found.options[:, 0] == pytest.approx([-2.0 * (400.0 - mid), 2.0 * mid])


def test_an_expired_option_moves_with_the_price_it_will_be_fixed_at():
    book = (option(ETH, False, NOW - 60, 3_100.0, 1.0),)
    snapshot = snapshot_of(book, [(ETH, NOW - 60, replace(slices()[0][2], posted_at=NOW - DAY))])

    found = revalue(snapshot, Scenarios(A_DAY, np.log([[0.95, 1.0]]), np.zeros((1, 1))))

    assert found.options[0, 0] == pytest.approx(150.0)


def test_the_compiled_kernel_agrees():
    rng = np.random.default_rng(2)
    scenarios = Scenarios(A_DAY, 0.1 * rng.standard_normal((2_000, 2)), 0.2 * rng.standard_normal((2_000, 2)))

    numpy, kernel = (revalue(now(), scenarios, method=m).total for m in ("numpy", "kernel"))

    assert kernel == pytest.approx(numpy, rel=1e-12, abs=1e-7)


def test_a_vault_without_options_has_its_hedges():
    found = revalue(now(()), Scenarios(A_DAY, np.log([[0.9, 1.0]]), np.zeros((1, 1))))

    assert found.options.shape == (1, 0)
    assert found.total == pytest.approx(1_200.0)


def test_scenarios_of_other_underlyings_are_refused():
    with pytest.raises(RiskError, match="3 underlyings do not fit a vault of 2"):
        revalue(now(), Scenarios(A_DAY, np.zeros((1, 3)), np.zeros((1, 1))))


@pytest.mark.skipif(not recordings(), reason="no recorded data: KEEL_DATA has no option chains")
def test_tenors_of_the_recorded_chains_move_as_the_powers_say():
    tenors = np.array([7.0, 14.0, 30.0, 60.0, 90.0])
    daily = {
        recorded.time.date(): recorded for path in recordings() for recorded in chains.snapshots(path)
    }  # each day's last
    vols = [calibrate(recorded.quotes).surface.atm_vol(tenors / 365.0) for recorded in daily.values()]
    logs = pd.DataFrame(np.log(vols), index=[recorded.time for recorded in daily.values()], columns=tenors)
    hours = logs.index.to_series().diff() / pd.Timedelta("1h")
    moves = logs.diff()[(hours - 24.0).abs() < 4.0]

    assert len(moves) > 80
    for days_to_expiry, power in ((7.0, SHORT_POWER), (14.0, SHORT_POWER), (60.0, LONG_POWER), (90.0, LONG_POWER)):
        slope, _ = np.polyfit(moves[30.0], moves[days_to_expiry], 1)
        assert slope == pytest.approx((30.0 / days_to_expiry) ** power, rel=0.08)
        assert np.corrcoef(moves[30.0], moves[days_to_expiry])[0, 1] ** 2 > 0.85
