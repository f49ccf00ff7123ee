"""Calm or storm."""

import numpy as np
import pytest

from keeper.forecast.errors import ForecastError
from keeper.forecast.realised import Days
from keeper.forecast.regime import Regime, regime
from tests.keeper.forecast.recordings import UNDERLYINGS, has_candles, recorded_days, storms


def days_with(variance: np.ndarray) -> Days:
    return Days(np.arange(len(variance)) % 7, variance, variance, np.zeros(len(variance)))


@pytest.fixture
def rising() -> Days:
    """Weeks whose variances spread evenly from 0 to 1."""
    return days_with(np.linspace(0.0, 1.0, 1001))


def test_a_storm_begins_above_seven_of_ten_weeks_and_ends_below_eleven_of_twenty(rising) -> None:
    assert regime(rising, 0.69) is Regime.CALM
    assert regime(rising, 0.71) is Regime.STORM
    assert regime(rising, 0.56, Regime.STORM) is Regime.STORM
    assert regime(rising, 0.54, Regime.STORM) is Regime.CALM


def test_without_a_past_there_is_no_regime(rising) -> None:
    with pytest.raises(ForecastError, match="beside 144 weeks has no regime"):
        regime(rising.part(0, 150), 0.5)
    with pytest.raises(ForecastError, match="variance of nan"):
        regime(rising, float("nan"))


@pytest.mark.skipif(not has_candles(), reason="no recorded candles (KEEL_DATA)")
@pytest.mark.parametrize("underlying", UNDERLYINGS)
def test_storms_are_followed_by_twice_the_variance_and_last_weeks(underlying: str) -> None:
    storm, variance = storms(recorded_days(underlying))

    assert 0.15 < storm.mean() < 0.5
    assert variance[storm].mean() > 2.0 * variance[~storm].mean()
    assert np.count_nonzero(np.diff(storm)) / len(storm) * 365 < 20  # a year
