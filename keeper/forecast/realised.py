"""Realised variance from candles: the classic estimators, and the days that the forecasts learn from.

A crypto market never closes: what other markets' estimators call the overnight jump is here the step from one candle's
close to the next one's open, which is zero but for an outage of the exchange.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.units import DAY
from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError

DAYS_PER_YEAR: Final = 365.0
_WHOLE: Final = 0.75  # of its candles, and a day counts: outages of exchanges last hours
_PRESENT: Final = 0.7  # of its days, and a window counts
_THURSDAY: Final = 3  # 1970-01-01, with Monday = 0

# ---------------------------------------------------------------- estimators
#
# Variance of the logarithm of the price over each candle; their mean over a window is the window's estimate. All but
# the first assume that a candle opens where the last closed: add the squared jump where it does not.


def close_to_close(previous_close: npt.ArrayLike, close: npt.ArrayLike) -> FloatArray:
    """Squared returns: any price process without drift."""
    return np.asarray(np.square(np.log(np.divide(close, previous_close))))


def parkinson(high: npt.ArrayLike, low: npt.ArrayLike) -> FloatArray:
    """Parkinson (1980): ln(H/L)²/(4 ln 2); without drift its variance is 4.9 times smaller than a squared return's."""
    return np.asarray(np.square(np.log(np.divide(high, low))) / (4.0 * math.log(2.0)))


def garman_klass(open_: npt.ArrayLike, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> FloatArray:
    """Garman and Klass (1980), (20): ½ln(H/L)² - (2 ln 2 - 1)ln(C/O)²; 7.4 times, without drift."""
    wide, body = np.log(np.divide(high, low)), np.log(np.divide(close, open_))
    return np.asarray(0.5 * np.square(wide) - (2.0 * math.log(2.0) - 1.0) * np.square(body))


def rogers_satchell(open_: npt.ArrayLike, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> FloatArray:
    """Rogers and Satchell (1991): ln(H/O)ln(H/C) + ln(L/O)ln(L/C); about 6 times, whatever the drift."""
    up, down, body = (np.log(np.divide(a, open_)) for a in (high, low, close))
    return np.asarray(up * (up - body) + down * (down - body))


def yang_zhang(open_: npt.ArrayLike, high: npt.ArrayLike, low: npt.ArrayLike, close: npt.ArrayLike) -> float:
    """Variance per candle by Yang and Zhang (2000), from n + 1 consecutive candles; the first gives its close alone.

    σ_o² + k·σ_c² + (1 - k)·σ_rs² with sample variances of the jumps ln(O/C₋₁) and of the bodies ln(C/O), and
    k = 0.34/(1.34 + (n + 1)/(n - 1)): free of drift, up to 14 times close-to-close where markets close overnight. Here
    the jumps are nothing, and what it adds to Rogers-Satchell is little.

    Raises:
        ForecastError: fewer than three candles.
    """
    open_, high, low, close = (np.asarray(a, dtype=np.float64) for a in (open_, high, low, close))
    n = len(close) - 1
    if n < 2:
        raise ForecastError(f"Yang-Zhang needs three candles and has {n + 1}.", "Take a longer window.")
    jumps, bodies = np.log(open_[1:] / close[:-1]), np.log(close[1:] / open_[1:])
    within = rogers_satchell(open_[1:], high[1:], low[1:], close[1:]).mean()
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return float(jumps.var(ddof=1) + k * bodies.var(ddof=1) + (1.0 - k) * within)


# ---------------------------------------------------------------- days


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive stretches of 24 hours up to the last candle's close; NaN where too many of its candles are missing.

    ``weekday`` is of the stretch's beginning, 0 = Monday. ``squared`` is the realised variance, the sum of squared
    returns from close to close, and ``ranged`` the sum of Garman-Klass: both annual. ``change`` is the return, ln.
    All have shape (n,).
    """

    weekday: npt.NDArray[np.int64]
    squared: FloatArray
    ranged: FloatArray
    change: FloatArray

    def __len__(self) -> int:
        return len(self.squared)

    def part(self, begin: int, end: int) -> Days:
        """Those from number ``begin`` (0 or more) to before ``end``."""
        rows = slice(begin, end)
        return Days(self.weekday[rows], self.squared[rows], self.ranged[rows], self.change[rows])


def days_of(
    times: npt.ArrayLike,
    open_: npt.ArrayLike,
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    close: npt.ArrayLike,
    spacing: int,
) -> Days:
    """Days of candles that open at ``times`` (seconds, rising) and last ``spacing`` seconds each.

    A jump over an outage belongs to the candle after it; after more than a day without candles the count begins anew.

    Raises:
        ForecastError: a price cannot be, times do not rise, the spacing does not divide a day, or there is no day.
    """
    moments = np.asarray(times, dtype=np.int64)
    prices = np.array([open_, high, low, close], dtype=np.float64)
    _check(moments, prices, spacing)
    opened, highest, lowest, closed = prices
    before = np.concatenate((opened[:1], closed[:-1]))
    anew = np.diff(moments, prepend=moments[0]) > DAY
    before[anew] = opened[anew]
    end = int(moments[-1]) + spacing
    back = (end - 1 - moments) // DAY  # 0 is the last day
    count = (end - int(moments[0])) // DAY
    if count < 1:
        raise ForecastError("The candles do not cover a day.", "Take more of them.")

    def totals(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(back, values, minlength=count)[:count][::-1], dtype=np.float64)

    whole = totals(np.ones(len(moments))) >= _WHOLE * DAY / spacing
    jumps = np.square(np.log(opened / before))

    def per_day(values: FloatArray, scale: float) -> FloatArray:
        return np.where(whole, scale * totals(values), np.nan)

    return Days(
        weekday=(end // DAY + np.arange(-count, 0) + _THURSDAY) % 7,
        squared=per_day(close_to_close(before, closed), DAYS_PER_YEAR),
        ranged=per_day(garman_klass(opened, highest, lowest, closed) + jumps, DAYS_PER_YEAR),
        change=per_day(np.log(closed / before), 1.0),
    )


def mean_ahead(values: npt.ArrayLike, horizon: int) -> FloatArray:
    """Mean over the ``horizon`` days after each day; NaN where they have not ended or too many are missing."""
    x = np.asarray(values, dtype=np.float64)
    means = np.full(len(x), np.nan)
    if len(x) > horizon:
        means[:-horizon] = mean_back(x, horizon)[horizon:]
    return means


def mean_back(values: FloatArray, days: int) -> FloatArray:
    """Mean of each day and those before it, ``days`` in all; NaN where too many are missing."""
    means = np.full(len(values), np.nan)
    if len(values) < days:
        return means
    present = np.isfinite(values)
    totals, counts = (np.concatenate(([0.0], np.cumsum(a))) for a in (np.where(present, values, 0.0), present))
    count = counts[days:] - counts[:-days]
    enough = np.flatnonzero(count >= _PRESENT * days)
    means[enough + days - 1] = (totals[days:] - totals[:-days])[enough] / count[enough]
    return means


def _check(times: npt.NDArray[np.int64], prices: FloatArray, spacing: int) -> None:
    if times.ndim != 1 or prices.shape != (4, len(times)) or not len(times):
        raise ForecastError("Times and prices are not of one length.", "Give one candle per time.")
    if spacing <= 0 or DAY % spacing:
        raise ForecastError(f"Candles of {spacing} s do not divide a day.", "Take candles of 1 minute to 1 hour.")
    if np.any(np.diff(times) < spacing):
        raise ForecastError("Candles overlap or are not sorted by time.", "Sort them, each once.")
    opened, high, low, close = prices
    fine = np.isfinite(prices).all(axis=0) & (low > 0.0)
    fine &= (low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close))
    if not fine.all():
        raise ForecastError(
            f"The candle at {times[int(np.flatnonzero(~fine)[0])]} has a price that is missing, not positive,"
            " or outside of low to high.",
            "Mend or leave out the recording.",
        )
