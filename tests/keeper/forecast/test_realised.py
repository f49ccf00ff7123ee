"""Realised variance: known samples, efficiency, drift, and the days."""

import math

import numpy as np
import pytest

from keeper.forecast.errors import ForecastError
from keeper.forecast.realised import (
    DAYS_PER_YEAR,
    close_to_close,
    days_of,
    garman_klass,
    parkinson,
    rogers_satchell,
    yang_zhang,
)
from tests.keeper.forecast.conftest import HOUR, MONDAY, candles_of

HOURS_PER_YEAR = 24 * DAYS_PER_YEAR
CANDLE = (100.0, 110.0, 95.0, 105.0)


def test_each_formula_on_one_candle() -> None:
    """By hand: ln 1.1, ln 0.95 and ln 1.05 are .0953102, -.0512933 and .0487902."""
    up, down, body = math.log(1.1), math.log(0.95), math.log(1.05)

    assert close_to_close(100.0, 105.0) == pytest.approx(body**2)
    assert parkinson(110.0, 95.0) == pytest.approx((up - down) ** 2 / (4 * math.log(2)))
    assert garman_klass(*CANDLE) == pytest.approx(0.5 * (up - down) ** 2 - (2 * math.log(2) - 1) * body**2)
    assert rogers_satchell(*CANDLE) == pytest.approx(up * (up - body) + down * (down - body))


def test_yang_zhang_is_its_three_parts() -> None:
    """Yang and Zhang (2000), three candles: n = 2, k = 0.34/(1.34 + 3)."""
    opened, closed = np.array([100.0, 101.0, 104.0]), np.array([100.0, 103.0, 102.0])
    high, low = np.array([101.0, 105.0, 106.0]), np.array([99.0, 100.0, 101.0])
    jumps, bodies = np.log([101 / 100, 104 / 103]), np.log([103 / 101, 102 / 104])
    ranges = rogers_satchell(opened[1:], high[1:], low[1:], closed[1:])
    k = 0.34 / 4.34

    found = yang_zhang(opened, high, low, closed)

    difference = np.array([jumps[0] - jumps[1], bodies[0] - bodies[1]])
    of_jumps, of_bodies = difference**2 / 2  # the variance of two numbers
    assert found == pytest.approx(of_jumps + k * of_bodies + (1 - k) * ranges.mean())


def test_a_diffusions_variance_is_found_and_ranges_find_it_more_closely() -> None:
    """Efficiencies of Parkinson 4.9, Garman and Klass 7.4, Rogers and Satchell 6; fewer for a path in 240 steps."""
    candles = candles_of(0.8, 20_000, seed=1, steps=240)
    opened, high, low, closed = candles.prices
    expected = 0.8**2 / HOURS_PER_YEAR

    squares = close_to_close(opened, closed) / expected
    ranged = {
        "parkinson": parkinson(high, low) / expected,
        "garman_klass": garman_klass(opened, high, low, closed) / expected,
        "rogers_satchell": rogers_satchell(opened, high, low, closed) / expected,
    }

    assert squares.mean() == pytest.approx(1.0, abs=0.03)
    efficiency = {name: squares.var() / values.var() for name, values in ranged.items()}
    assert efficiency == pytest.approx({"parkinson": 5.2, "garman_klass": 8.0, "rogers_satchell": 6.5}, rel=0.12)
    for values in ranged.values():
        assert 0.85 < values.mean() < 1.0  # extremes between the steps are not seen
    whole = yang_zhang(opened, high, low, closed) / expected
    assert whole == pytest.approx(ranged["rogers_satchell"].mean(), abs=0.02)


def test_drift_biases_all_but_rogers_satchell_and_yang_zhang() -> None:
    """A drift of one deviation per candle."""
    one = 0.8 / math.sqrt(HOURS_PER_YEAR)
    candles = candles_of(0.8, 20_000, seed=2, steps=240, drift=one)
    opened, high, low, closed = candles.prices
    expected = one**2

    assert close_to_close(opened, closed).mean() / expected == pytest.approx(2.0, abs=0.1)
    assert parkinson(high, low).mean() / expected > 1.2
    for free in (rogers_satchell(opened, high, low, closed).mean(), yang_zhang(opened, high, low, closed)):
        assert 0.85 < free / expected < 1.0  # less than 1 as without drift: extremes between the steps are not seen


# ---------------------------------------------------------------- days


def test_days_end_at_the_last_candle_and_know_their_weekday() -> None:
    candles = candles_of(0.5, 60, seed=3)  # Monday 00:00 to Wednesday 12:00

    days = candles.days()

    assert days.weekday.tolist() == [0, 1]  # from Monday 12:00 and Tuesday 12:00
    closes = candles.prices[3]
    expected = np.square(np.diff(np.log(closes[35:]))).sum() * DAYS_PER_YEAR
    assert days.squared[-1] == pytest.approx(expected)
    assert days.change[-1] == pytest.approx(math.log(closes[-1] / closes[35]))


def test_every_return_is_counted_once() -> None:
    candles = candles_of(0.5, 24 * 10, seed=4)

    days = candles.days()

    closes = np.log(np.concatenate((candles.prices[0, :1], candles.prices[3])))
    assert len(days) == 10
    assert days.squared.sum() == pytest.approx(np.square(np.diff(closes)).sum() * DAYS_PER_YEAR)
    assert days.change.sum() == pytest.approx(closes[-1] - closes[0])


def test_an_outage_of_hours_keeps_its_jump_and_a_longer_one_is_a_hole() -> None:
    candles = candles_of(0.5, 24 * 8, seed=5)
    hour = np.arange(24 * 8)
    short = (hour >= 30) & (hour < 33)
    long = (hour >= 24 * 3) & (hour < 24 * 5)

    days = candles.without(short | long).days()

    assert np.flatnonzero(np.isnan(days.squared)).tolist() == [3, 4]
    assert days.change[1] == pytest.approx(candles.days().change[1])
    first_again = candles.prices[:, 24 * 5 : 24 * 6]
    assert days.change[5] == pytest.approx(math.log(first_again[3, -1] / first_again[0, 0]))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda t, p: (t[::-1], p, HOUR), "not sorted"),
        (lambda t, p: (t, -p, HOUR), "not positive"),
        (lambda t, p: (t, p[::-1], HOUR), "outside of low to high"),
        (lambda t, p: (t, np.where(p == p[3, 7], np.nan, p), HOUR), "missing"),
        (lambda t, p: (t, p, 7 * 60), "do not divide a day"),
        (lambda t, p: (t[:5], p[:, :5], HOUR), "do not cover a day"),
        (lambda t, p: (t[:-1], p, HOUR), "not of one length"),
    ],
)
def test_wrong_candles_are_refused_by_name(wrong, says) -> None:
    candles = candles_of(0.5, 48, seed=6)
    times, prices, spacing = wrong(candles.times, candles.prices)

    with pytest.raises(ForecastError, match=says):
        days_of(times, *prices, spacing)


def test_yang_zhang_of_two_candles_is_refused() -> None:
    with pytest.raises(ForecastError, match="needs three candles"):
        yang_zhang(*np.array([[100.0, 101.0]] * 4))


def test_a_candle_belongs_to_one_day_whatever_the_spacing() -> None:
    five = np.arange(MONDAY, MONDAY + 86_400 * 2, 300)
    flat = np.full(len(five), 100.0)

    days = days_of(five, flat, flat, flat, flat, 300)

    assert days.weekday.tolist() == [0, 1]
    assert days.squared.tolist() == [0.0, 0.0]
