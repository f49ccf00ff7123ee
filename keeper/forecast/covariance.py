"""Covariance of the underlyings' returns, annual: exponentially weighted, or of all days and shrunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError
from keeper.forecast.ewma import LAMBDA, ewma
from keeper.forecast.realised import DAYS_PER_YEAR


def ewma_covariance(returns: npt.ArrayLike, decay: float = LAMBDA) -> FloatArray:
    """RiskMetrics' covariance after the last of daily ``returns``, shape (days, assets); annual, (assets, assets).

    It starts from the mean product of all days, which keeps it positive semidefinite.

    Raises:
        ForecastError: see `shrunk_covariance`.
    """
    r = _checked(returns)
    products = np.einsum("ti,tj->tij", r, r)
    covariance = np.empty(products.shape[1:])
    for i, j in np.ndindex(covariance.shape):
        pair = products[:, i, j]
        covariance[i, j] = ewma(pair, decay, float(pair.mean()))[-1]
    return np.asarray(DAYS_PER_YEAR * covariance)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """``covariance`` is annual; ``intensity`` is the weight of the target, from 0 (the sample) to 1."""

    covariance: FloatArray
    intensity: float


def shrunk_covariance(returns: npt.ArrayLike) -> Shrunk:
    """Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".

    The sample covariance S of daily ``returns`` (days, assets), shrunk to m·I with m the mean variance. In the norm
    |A|² = tr(AA')/assets: d² = |S - mI|², b̄² = Σ_t |x_t x_t' - S|²/n², and the intensity is min(b̄², d²)/d².

    Raises:
        ForecastError: not a matrix of finite returns, or fewer than two days.
    """
    r = _checked(returns)
    n, assets = r.shape
    x = r - r.mean(axis=0)
    sample = x.T @ x / n
    mean = float(np.trace(sample)) / assets
    target = mean * np.eye(assets)
    distance = float(np.square(sample - target).sum())
    noise = float(np.square(np.einsum("ti,tj->tij", x, x) - sample).sum()) / n**2
    intensity = min(noise / distance, 1.0) if distance > 0.0 else 1.0
    return Shrunk(DAYS_PER_YEAR * (intensity * target + (1.0 - intensity) * sample), intensity)


def correlation(covariance: npt.ArrayLike) -> FloatArray:
    """Correlations of a covariance whose variances are positive."""
    c = np.asarray(covariance, dtype=np.float64)
    deviations = np.sqrt(np.diag(c))
    return np.asarray(c / np.outer(deviations, deviations))


def _checked(returns: npt.ArrayLike) -> FloatArray:
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 2 or len(r) < 2 or r.shape[1] < 1 or not np.isfinite(r).all():
        raise ForecastError(
            f"Returns of shape {r.shape} with {np.count_nonzero(~np.isfinite(r))} holes have no covariance.",
            "Give two days or more, a column per asset, and only days that all assets have.",
        )
    return r
