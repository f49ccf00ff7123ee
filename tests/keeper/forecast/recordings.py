"""Recorded candles as days."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from keeper.forecast.realised import Days, days_of, mean_ahead
from keeper.forecast.regime import WEEK, Regime, regime
from keeper.forecast.volatility import in_use
from keeper.simulation.demo.candles import Candles, read
from keeper.simulation.paths import data_dir

UNDERLYINGS = ("ETH", "BTC")


@cache
def candles_of(underlying: str, width: str) -> Candles | None:
    """All recorded candles of a width ("1h" from January 2018 to March 2026, "5m"); None where there are none."""
    folder = data_dir()
    file = folder / "prices" / f"{underlying.lower()}_{width}.parquet" if folder else None
    return read(file) if file and file.is_file() else None


def implied_index() -> Candles | None:
    """Deribit's index of ETH's implied volatility over 30 days, hourly, in points; None where it is not recorded."""
    folder = data_dir()
    file = folder / "vol" / "eth_dvol_1h.parquet" if folder else None
    return read(file) if file and file.is_file() else None


def days_of_candles(candles: Candles) -> Days:
    """The days of a recording."""
    return days_of(candles.times, candles.open, candles.high, candles.low, candles.close, candles.spacing)


def has_candles() -> bool:
    """Whether there are recorded hourly candles of both underlyings."""
    return all(candles_of(underlying, "1h") is not None for underlying in UNDERLYINGS)


@cache
def recorded_days(underlying: str) -> Days:
    """All days of an underlying's hourly candles."""
    candles = candles_of(underlying, "1h")
    assert candles is not None, "ask has_candles first"
    return days_of_candles(candles)


def storms(days: Days, start: int = 730, refit: int = 91) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Whether each day from number ``start`` on was in a storm by what was known then, and the next week's variance."""
    following = mean_ahead(days.squared, WEEK)
    state, states, variances = Regime.CALM, [], []
    for learnt in range(start, len(days), refit):
        forecast = in_use(days.part(0, learnt), WEEK)
        for today in range(learnt, min(learnt + refit, len(days))):
            if np.isfinite(following[today]) and np.isfinite(days.squared[today - 29 : today + 1]).all():
                past = days.part(0, today + 1)
                state = regime(past, forecast(past), state)
                states.append(state is Regime.STORM)
                variances.append(following[today])
    return np.array(states), np.array(variances)
