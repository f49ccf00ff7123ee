"""Forecasts of volatility: the candidates, and the one that the keeper uses.

A model learns from a past and yields a forecaster, which may be asked again as days pass. Both see nothing but the days
that they are given. What is forecast is the mean annual variance of returns over the ``horizon`` days after the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from keeper.domain.valuation import FloatArray
from keeper.forecast import garch, har
from keeper.forecast.errors import ForecastError
from keeper.forecast.ewma import LAMBDA, MONTH, ewma
from keeper.forecast.realised import DAYS_PER_YEAR, Days

LEAST_CLOSES: Final = 100
_MEMORY: Final = 365  # days: what is older has a weight of λ^365 < 1e-9, or 1e-5 for a month

Forecaster = Callable[[Days], float]
Model = Callable[[Days, int], Forecaster]


def forecast_vol(past: Days, horizon: int) -> float:
    """Annualised volatility (1.0 = 100 %) of the ``horizon`` days after ``past``: the forecast in use.

    It is the best of the candidates on the recorded candles (docs/quant.md, Forecast).

    Raises:
        ForecastError: there is too little past.
    """
    return math.sqrt(in_use(past, horizon)(past))


def naive(past: Days, horizon: int) -> Forecaster:
    """What the last whole day had."""
    return lambda days: float(_known(days.squared)[-1])


def vol_of_closes(returns: FloatArray) -> float:
    """Annualised volatility of the days after daily ``returns`` (n,): for who knows closes alone, as the chain does.

    Raises:
        ForecastError: there are too few.
    """
    if len(returns) < LEAST_CLOSES or not np.isfinite(returns).all():
        raise ForecastError(
            f"{len(returns)} daily returns say nothing of the days ahead, {LEAST_CLOSES} do.", "Read more closes."
        )
    return math.sqrt(_smooth(DAYS_PER_YEAR * np.square(returns), MONTH))


def ewma_of_realised(past: Days, horizon: int) -> Forecaster:
    """RiskMetrics' mean of realised variances."""
    return lambda days: _smooth(days.squared)


def ewma_of_returns(past: Days, horizon: int) -> Forecaster:
    """RiskMetrics as published: the mean of squared daily returns."""
    return lambda days: _smooth(DAYS_PER_YEAR * np.square(days.change))


def monthly_ewma_of_returns(past: Days, horizon: int) -> Forecaster:
    """The same with its decay for a month: what `vol_of_closes` says."""
    return lambda days: _smooth(DAYS_PER_YEAR * np.square(days.change), MONTH)


def har_of_ranges(past: Days, horizon: int) -> Forecaster:
    """The heterogeneous autoregression with weekdays, see `keeper.forecast.har`."""
    return har.fit(past, horizon).variance


def gjr_garch(past: Days, horizon: int) -> Forecaster:
    """GJR-GARCH-t of daily returns, see `keeper.forecast.garch`. Days that are missing are passed over."""
    fitted = garch.fit(_known(past.change))

    def forecast(days: Days) -> float:
        following = float(fitted.variances(_known(days.change))[-1])
        return DAYS_PER_YEAR * fitted.mean_ahead(following, horizon)

    return forecast


in_use: Final[Model] = har_of_ranges

MODELS: Final[Mapping[str, Model]] = {
    "yesterday's realised variance": naive,
    "EWMA of squared returns": ewma_of_returns,
    "EWMA of squared returns, for a month": monthly_ewma_of_returns,
    "EWMA of realised variance": ewma_of_realised,
    "GJR-GARCH-t": gjr_garch,
    "HAR": har_of_ranges,
}


def _known(values: FloatArray) -> FloatArray:
    known: FloatArray = values[np.isfinite(values)]
    if not known.size:
        raise ForecastError("No day is whole.", "Fetch the candles.")
    return known


def _smooth(values: FloatArray, decay: float = LAMBDA) -> float:
    known = _known(values)[-_MEMORY:]
    return float(ewma(known, decay, float(known.mean()))[-1])
