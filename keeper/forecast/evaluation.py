"""How good forecasts of variance were: walk-forward, by a loss that noise in the measured variance does not bias."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError
from keeper.forecast.realised import Days
from keeper.forecast.volatility import Model


def walk_forward(model: Model, days: Days, horizon: int, start: int, refit: int) -> FloatArray:
    """The forecast made after each day for the ``horizon`` days after it, shape (n,).

    NaN before day number ``start``, where the day itself is missing, and where the forecaster has too little to go by.
    The model learns anew every ``refit`` days from all days before, and is never shown a later one.
    """
    forecasts = np.full(len(days), np.nan)
    for learnt in range(start, len(days), refit):
        forecaster = model(days.part(0, learnt), horizon)
        for today in range(learnt, min(learnt + refit, len(days))):
            if np.isfinite(days.squared[today]):
                with contextlib.suppress(ForecastError):
                    forecasts[today] = forecaster(days.part(0, today + 1))
    return forecasts


def qlike(realised: npt.ArrayLike, forecast: npt.ArrayLike) -> FloatArray:
    """Loss per forecast, v/f - ln(v/f) - 1 (Patton 2011): 0 for a perfect one, and its mean is least for the true
    expectation although v is only an unbiased estimate of the variance."""
    ratio = np.divide(realised, forecast)
    return np.asarray(ratio - np.log(ratio) - 1.0)


@dataclass(frozen=True, slots=True)
class MincerZarnowitz:
    """Realised = intercept + slope·forecast + error (Mincer and Zarnowitz 1969): 0 and 1 where there is no bias."""

    intercept: float
    slope: float
    r2: float


def mincer_zarnowitz(realised: npt.ArrayLike, forecast: npt.ArrayLike) -> MincerZarnowitz:
    """Least squares; units of the variances.

    Raises:
        ForecastError: fewer than three pairs, or all forecasts are the same.
    """
    v, f = np.asarray(realised, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if len(v) < 3 or np.ptp(f) == 0.0:
        raise ForecastError("A line through these forecasts is not defined.", "Compare over a longer time.")
    slope, intercept = np.polyfit(f, v, 1)
    return MincerZarnowitz(float(intercept), float(slope), float(np.corrcoef(v, f)[0, 1] ** 2))


def diebold_mariano(loss: npt.ArrayLike, other: npt.ArrayLike, horizon: int) -> float:
    """Mean of ``other`` - ``loss`` by its standard error: above 2, the first forecast is better at 5 %.

    Diebold and Mariano (1995) with the variance of Newey and West (1987) over max(horizon, n^(1/3)) lags, because
    forecasts of several days overlap.
    """
    gain = np.subtract(other, loss)
    n = len(gain)
    centred = gain - gain.mean()
    lags = min(max(horizon, math.ceil(n ** (1 / 3))), n - 1)
    variance = float(centred @ centred) / n
    for lag in range(1, lags + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return float(gain.mean() / math.sqrt(variance / n))
