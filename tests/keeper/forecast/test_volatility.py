"""Forecasts of volatility: no look-ahead, known answers, and their worth on recorded candles."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.forecast import har
from keeper.forecast.errors import ForecastError
from keeper.forecast.evaluation import diebold_mariano, mincer_zarnowitz, qlike, walk_forward
from keeper.forecast.realised import Days, mean_ahead
from keeper.forecast.volatility import MODELS, forecast_vol, in_use, vol_of_closes
from tests.keeper.forecast.conftest import wandering
from tests.keeper.forecast.recordings import UNDERLYINGS, has_candles, recorded_days

START, REFIT = 400, 45


def with_another_future(days: Days, now: int, seed: int) -> Days:
    """The same days up to number ``now``, and others after it."""
    rng = np.random.default_rng(seed)

    def changed(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.concatenate((values[: now + 1], others[now + 1 :]))

    size = len(days)
    return Days(
        days.weekday,
        changed(days.squared, rng.exponential(5.0, size)),
        changed(days.ranged, np.where(rng.random(size) < 0.1, np.nan, rng.exponential(5.0, size))),
        changed(days.change, 0.3 * rng.standard_normal(size)),
    )


# ---------------------------------------------------------------- nothing is known before it happens


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_another_future_changes_no_forecast(name: str, horizon: int, market: Callable[[int], Days]) -> None:
    days = market(1)
    once = walk_forward(MODELS[name], days, horizon, START, REFIT)

    for now in (START, START + REFIT - 1, START + REFIT):
        again = walk_forward(MODELS[name], with_another_future(days, now, seed=now), horizon, START, REFIT)

        np.testing.assert_array_equal(again[: now + 1], once[: now + 1])
        assert not np.allclose(again[now + 1 :], once[now + 1 :], equal_nan=True)
    assert np.isfinite(once[START:]).all()
    assert np.isnan(once[:START]).all()


@settings(deadline=None, max_examples=30)
@given(now=st.integers(START, 498), horizon=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_another_future_changes_no_forecast_in_use_at_any_time(now: int, horizon: int, seed: int) -> None:
    days = wandering_days()

    elsewhere = with_another_future(days, now, seed)

    assert forecast_vol(elsewhere.part(0, now + 1), horizon) == forecast_vol(days.part(0, now + 1), horizon)


def test_a_target_is_not_known_before_its_horizon_has_ended() -> None:
    ahead = mean_ahead([1.0, 2.0, 3.0, 4.0], 2)

    assert ahead[:2].tolist() == [2.5, 3.5]
    assert np.isnan(ahead[2:]).all()


# ---------------------------------------------------------------- known answers


def wandering_days() -> Days:
    return wandering(500, 1)


def steady(count: int = 500, weekend: float = 1.0) -> Days:
    """A variance of 0.36 on weekdays and of ``weekend`` times that on Saturdays and Sundays."""
    weekday = np.arange(count) % 7
    variance = np.where(weekday >= 5, 0.36 * weekend, 0.36)
    change = np.sqrt(variance / 365) * np.where(np.arange(count) % 2, 1.0, -1.0)
    return Days(weekday, variance, variance.copy(), change)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "GJR-GARCH-t"])
@pytest.mark.parametrize("horizon", [1, 7, 30])
def test_a_steady_market_goes_on(name: str, horizon: int) -> None:
    days = steady()

    assert MODELS[name](days, horizon)(days) == pytest.approx(0.36, rel=1e-9)


def test_a_market_that_knows_one_weekday_only_has_no_weekend() -> None:
    days = wandering(500, 1, weekend=1.0)
    timeless = Days(np.zeros(500, dtype=np.int64), days.squared, days.ranged, days.change)

    assert forecast_vol(timeless, 7) == pytest.approx(forecast_vol(days, 7), rel=0.05)


@pytest.mark.parametrize("last", range(7))
def test_weekends_are_foreseen(last: int) -> None:
    days = steady(490 + last + 1, weekend=0.4)  # its last day is weekday number ``last``
    variances = [0.36 * (0.4 if (last + 1 + i) % 7 >= 5 else 1.0) for i in range(7)]

    for horizon in range(1, 8):
        expected = math.sqrt(np.mean(variances[:horizon]))
        assert forecast_vol(days, horizon) == pytest.approx(expected, rel=1e-6)


def har_process(error: float) -> Days:
    """Tomorrow's variance from ranges that wander by themselves: constant -.1, day .4, week .3, month .2."""
    rng = np.random.default_rng(5)
    log_range = np.zeros(3000)
    for day in range(1, len(log_range)):
        log_range[day] = 0.9 * log_range[day - 1] + 0.4 * rng.standard_normal()
    ranged = np.exp(log_range)
    squared = np.ones(len(ranged))
    for day in range(30, len(ranged)):
        means = [ranged[day - back : day].mean() for back in har.LOOK_BACKS]
        level = -0.1 + np.array([0.4, 0.3, 0.2]) @ np.log(means)
        squared[day] = np.exp(level + error * rng.standard_normal())
    return Days(np.zeros(len(ranged), dtype=np.int64), squared, ranged, np.zeros(len(ranged)))


def test_the_coefficients_of_a_har_process_are_found() -> None:
    found = har.fit(har_process(error=0.0), 1)

    np.testing.assert_allclose(found.coefficients, [-0.1, 0.4, 0.3, 0.2], rtol=1e-9)
    assert found.smear == pytest.approx(1.0)


def test_what_is_forecast_is_the_mean_and_not_the_median() -> None:
    found = har.fit(har_process(error=0.6), 1)

    assert found.smear == pytest.approx(math.exp(0.6**2 / 2), rel=0.05)


def test_what_is_long_ago_counts_less() -> None:
    """A market whose variance was four times as high until three half-lives ago."""
    days = har_process(error=0.0)
    recent = len(days) - round(3 * har.HALF_LIFE)
    early = np.where(np.arange(len(days)) < recent, 4.0, 1.0)
    changed = Days(days.weekday, early * days.squared, days.ranged, days.change)

    excess = forecast_vol(changed, 1) / forecast_vol(days, 1) - 1.0

    assert 0.0 < excess < 0.15  # every day alike, a quarter of days at twice the volatility would make it a quarter


def test_volatility_scales_with_the_market() -> None:
    days = wandering_days()
    double = Days(days.weekday, 4.0 * days.squared, 4.0 * days.ranged, 2.0 * days.change)

    for horizon in (1, 7, 30):
        assert forecast_vol(double, horizon) == pytest.approx(2.0 * forecast_vol(days, horizon), rel=1e-9)


def test_a_week_of_outage_is_bridged_and_a_month_is_refused() -> None:
    days = wandering_days()

    def missing(begin: int, end: int) -> Days:
        gone = (np.arange(500) >= begin) & (np.arange(500) < end)
        return Days(days.weekday, *(np.where(gone, np.nan, a) for a in (days.squared, days.ranged, days.change)))

    assert forecast_vol(missing(488, 492), 7) == pytest.approx(forecast_vol(days, 7), rel=0.2)
    with pytest.raises(ForecastError, match="too many days are missing"):
        forecast_vol(missing(475, 499), 7)


@pytest.mark.parametrize(
    ("count", "horizon", "says"),
    [(150, 1, "180 are needed"), (500, 0, "A horizon of 0 days"), (20, 30, "180 are needed")],
)
def test_too_short_a_past_is_refused(count: int, horizon: int, says: str) -> None:
    with pytest.raises(ForecastError, match=says):
        forecast_vol(steady(count), horizon)


def test_a_past_without_a_whole_day_is_refused() -> None:
    nothing = np.full(10, np.nan)
    days = Days(np.arange(10) % 7, nothing, nothing, nothing)

    for model in MODELS.values():
        with pytest.raises(ForecastError, match="No day is whole"):
            model(days, 1)(days)


# ---------------------------------------------------------------- losses


def test_qlike_is_nothing_for_a_perfect_forecast_and_is_least_for_the_expectation() -> None:
    """Patton (2011): also where the realised variance is only an unbiased estimate."""
    realised = 0.36 * np.random.default_rng(1).chisquare(3, 100_000) / 3

    losses = [qlike(realised, f).mean() for f in (0.30, 0.33, 0.36, 0.39, 0.42)]

    assert qlike(0.36, 0.36) == 0.0
    assert int(np.argmin(losses)) == 2


def test_mincer_zarnowitz_finds_the_line() -> None:
    forecast = np.linspace(0.1, 1.0, 50)

    line = mincer_zarnowitz(0.05 + 0.8 * forecast, forecast)

    assert (line.intercept, line.slope, line.r2) == pytest.approx((0.05, 0.8, 1.0))
    with pytest.raises(ForecastError, match="not defined"):
        mincer_zarnowitz(forecast, np.full(50, 0.3))


def test_diebold_mariano_is_the_t_of_the_mean_difference_of_independent_losses() -> None:
    rng = np.random.default_rng(2)
    loss, other = rng.random(4000), rng.random(4000) + 0.02

    found = diebold_mariano(loss, other, 1)

    gain = other - loss
    assert found == pytest.approx(gain.mean() / (gain.std() / math.sqrt(4000)), rel=0.12)
    assert diebold_mariano(other, loss, 1) == pytest.approx(-found)


# ---------------------------------------------------------------- on recorded candles


@pytest.mark.skipif(not has_candles(), reason="no recorded candles (KEEL_DATA)")
@pytest.mark.parametrize("underlying", UNDERLYINGS)
def test_the_forecast_in_use_is_the_best_on_recorded_candles(underlying: str) -> None:
    """For a week, learning anew once a year; every horizon and month is in docs/quant.md, by `make bench`."""
    days, horizon = recorded_days(underlying), 7
    realised = mean_ahead(days.squared, horizon)
    forecasts = {name: walk_forward(model, days, horizon, 730, 365) for name, model in MODELS.items()}
    common = np.isfinite(realised) & np.all([np.isfinite(a) for a in forecasts.values()], axis=0)

    losses = {name: qlike(realised[common], a[common]).mean() for name, a in forecasts.items()}

    best = min(losses, key=losses.__getitem__)
    assert np.count_nonzero(common) > 1800
    assert MODELS[best] is in_use
    assert losses[best] < 0.5 * losses["yesterday's realised variance"]


# ---------------------------------------------------------------- closes alone


def test_closes_alone_say_what_the_candidate_for_a_month_says_of_the_same_returns(
    market: Callable[[int], Days],
) -> None:
    days = market(1)

    found = vol_of_closes(days.change)

    assert found == math.sqrt(MODELS["EWMA of squared returns, for a month"](days, 7)(days))


def test_the_last_day_of_closes_has_a_weight_of_three_per_cent() -> None:
    calm = np.full(200, 0.02)
    shocked = np.append(calm[1:], 0.1)

    gain = vol_of_closes(shocked) ** 2 - vol_of_closes(calm) ** 2

    # The mean of all, from which the weighting starts, is what is left of the shock's own weight: 0.97^200 / 200.
    assert gain == pytest.approx(365 * (0.1**2 - 0.02**2) * (0.03 + 0.97**200 / 200), rel=1e-9)


@pytest.mark.parametrize("returns", [np.full(99, 0.02), np.append(np.full(120, 0.02), np.nan), np.empty(0)])
def test_too_few_closes_or_holes_in_them_are_refused(returns: np.ndarray) -> None:
    with pytest.raises(ForecastError, match="say nothing of the days ahead"):
        vol_of_closes(returns)
