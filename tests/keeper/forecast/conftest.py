"""Markets whose variance is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from keeper.forecast.realised import DAYS_PER_YEAR, Days, days_of

Array = npt.NDArray[np.float64]
HOUR = 3600
MONDAY = 1_704_067_200  # 2024-01-01 00:00 UTC


@dataclass(frozen=True)
class Candles:
    """Hourly candles by default."""

    times: npt.NDArray[np.int64]
    prices: Array  # open, high, low, close: shape (4, n)
    spacing: int = HOUR

    def days(self) -> Days:
        return days_of(self.times, *self.prices, self.spacing)

    def without(self, missing: npt.NDArray[np.bool_]) -> Candles:
        return Candles(self.times[~missing], self.prices[:, ~missing], self.spacing)


def candles_of(vol: float | Array, count: int, seed: int, steps: int = 60, drift: float = 0.0) -> Candles:
    """A driftless diffusion of annual volatility ``vol`` (per candle), seen ``steps`` times per hourly candle."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_normal((count, steps)) * np.broadcast_to(vol, count)[:, None]
    moves = moves / np.sqrt(24 * DAYS_PER_YEAR * steps) + drift / steps
    path = np.concatenate(([0.0], np.cumsum(moves))) + np.log(3000.0)
    within = np.lib.stride_tricks.sliding_window_view(path, steps + 1)[::steps]
    prices = np.exp([within[:, 0], within.max(axis=1), within.min(axis=1), within[:, -1]])
    return Candles(MONDAY + HOUR * np.arange(count, dtype=np.int64), prices)


def wandering(count: int, seed: int, weekend: float = 0.5) -> Days:
    """Days of a stochastic volatility that goes back to 60 % in about a month, quieter on weekends."""
    rng = np.random.default_rng(seed)
    log_vol = np.zeros(count)
    for day in range(1, count):
        log_vol[day] = 0.96 * log_vol[day - 1] + 0.12 * rng.standard_normal()
    quiet = np.where(np.arange(count) % 7 >= 5, np.sqrt(weekend), 1.0)  # it begins on a Monday
    return candles_of(np.repeat(0.6 * np.exp(log_vol) * quiet, 24), 24 * count, seed, steps=12).days()


@pytest.fixture(scope="session")
def market() -> Callable[[int], Days]:
    """The same 500 days whenever asked with the same seed."""
    return lambda seed: wandering(500, seed)
