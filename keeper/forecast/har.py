"""The heterogeneous autoregression of realised variance, on logarithms (Corsi 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError
from keeper.forecast.realised import Days, mean_ahead, mean_back

LOOK_BACKS: Final = (1, 7, 30)  # days: Corsi's day, week and month, in a market that never closes
HALF_LIFE: Final = 730.0  # days of memory: the market grew up, and its early years say too much variance
LEAST_DAYS: Final = 180  # of the past, for four coefficients and seven weekdays
_TINY: Final = 1e-8  # annual variance, 0.01 % of volatility: a market that stood still has a logarithm too


@dataclass(frozen=True, slots=True)
class Har:
    """A fitted model of the mean annual variance v of the next ``horizon`` days.

        ln(v / s̄) = c + Σ_k b_k·ln(mean of the last k days of range variance / its weekday's factor) + error

    k in LOOK_BACKS. ``factors`` are the weekdays' shares of variance (Monday first; weekends are quiet), of ranged and
    of squared variance, shape (2, 7), and s̄ is the mean over the days ahead. ``smear`` is the mean of exp(error) where
    it was fitted (Duan 1983), which makes v a mean and not a median.
    """

    horizon: int
    coefficients: FloatArray
    factors: FloatArray
    smear: float

    def variance(self, days: Days) -> float:
        """Mean annual variance over the ``horizon`` days after the last of ``days``.

        Raises:
            ForecastError: one of the last look-backs has hardly a day.
        """
        last = days.part(max(0, len(days) - max(LOOK_BACKS)), len(days))
        regressors = _regressors(last, self.factors[0])[-1]
        if not np.isfinite(regressors).all():
            raise ForecastError("Of the last month too many days are missing, or the last one.", "Fetch the candles.")
        ahead = (days.weekday[-1] + 1 + np.arange(self.horizon)) % 7
        level = float(np.exp(regressors @ self.coefficients))
        return self.smear * level * float(self.factors[1][ahead].mean())


def fit(past: Days, horizon: int) -> Har:
    """Least squares over the past, days of HALF_LIFE ago with half of the weight: only days whose horizon has ended.

    The variance is that of range-based estimates (as informative as returns every few minutes); what it is a forecast
    of is the variance of returns.

    Raises:
        ForecastError: the horizon is not positive, or the past is too short for it.
    """
    if horizon < 1:
        raise ForecastError(f"A horizon of {horizon} days is none.", "Take a day or more.")
    factors = np.array([_weekday_factors(a, past.weekday) for a in (past.ranged, past.squared)])
    regressors = _regressors(past, factors[0])
    future = np.log(mean_ahead(np.maximum(past.squared, _TINY) / factors[1][past.weekday], horizon))
    known = np.isfinite(future) & np.isfinite(regressors).all(axis=1)
    if np.count_nonzero(known) < LEAST_DAYS:
        raise ForecastError(
            f"{np.count_nonzero(known)} days have a month before and {horizon} days after; {LEAST_DAYS} are needed.",
            "Fetch more candles.",
        )
    weights = 0.5 ** ((len(past) - np.flatnonzero(known)) / HALF_LIFE)
    roots = np.sqrt(weights)
    coefficients = np.linalg.lstsq(regressors[known] * roots[:, None], future[known] * roots, rcond=None)[0]
    errors = future[known] - regressors[known] @ coefficients
    return Har(horizon, coefficients, factors, float(np.average(np.exp(errors), weights=weights)))


def _weekday_factors(variance: FloatArray, weekday: npt.NDArray[np.int64]) -> FloatArray:
    """Each weekday's geometric mean of variance by that of all, Monday first, with arithmetic mean 1."""
    logs = np.log(np.maximum(variance, _TINY))
    known = np.isfinite(logs)
    if not known.any():
        raise ForecastError("No day is whole.", "Fetch the candles.")
    ours = [logs[known & (weekday == day)] for day in range(7)]
    means = np.array([one.mean() if one.size else logs[known].mean() for one in ours])
    factors = np.exp(means - means.mean())
    return np.asarray(factors / factors.mean())


def _regressors(days: Days, factors: FloatArray) -> FloatArray:
    """Constant and logarithms of the means over LOOK_BACKS, shape (n, 4)."""
    level = np.maximum(days.ranged, _TINY) / factors[days.weekday]
    return np.column_stack([np.ones(len(level)), *(np.log(mean_back(level, back)) for back in LOOK_BACKS)])
