"""The delta of least variance (Hull and White 2017), learnt from what hedges missed.

    δ_MV = δ + vega/(S√T)·(a + bδ + cδ²)

Where volatility falls when the price rises, the Black-Scholes delta δ at the strike's own volatility (sticky strike)
misses the part that vega brings. The term is the expected change of implied volatility with the price, as a function of
delta. Which delta hedges best is a matter of data: docs/quant.md, Delta.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError

_LEAST: Final = 100  # moves


@dataclass(frozen=True, slots=True)
class Moves:
    """Options over a while, one row each: all of shape (n,), per unit of the underlying.

    ``spot``, ``years``, ``delta`` and ``vega`` (per 1.0 of volatility) are of the beginning; ``change`` is the price's
    change, and ``missed`` the option's less delta times it and less what passed with time.
    """

    spot: FloatArray
    years: FloatArray
    delta: FloatArray
    vega: FloatArray
    change: FloatArray
    missed: FloatArray


@dataclass(frozen=True, slots=True)
class MinimumVariance:
    """Hull and White's a, b and c."""

    a: float
    b: float
    c: float

    def delta(self, delta: npt.ArrayLike, vega: npt.ArrayLike, spot: npt.ArrayLike, years: npt.ArrayLike) -> FloatArray:
        """δ_MV of calls and puts, from their Black-Scholes deltas; arguments broadcast, ``years`` are positive.

        A put is treated as the call of its strike: parity makes their corrections the same.
        """
        basis = _basis(*(np.asarray(a, dtype=np.float64) for a in (delta, vega, spot, years)))
        return np.asarray(delta + basis @ np.array([self.a, self.b, self.c]))


def fit_minimum_variance(moves: Moves) -> MinimumVariance:
    """Least squares of what hedges missed, as a share of spot, on vega/(S√T)·(1, δ, δ²) times the price's change.

    Raises:
        ForecastError: too few moves, or one that is not finite.
    """
    columns = np.array([getattr(moves, field.name) for field in fields(moves)])
    if columns.shape[1] < _LEAST or not np.isfinite(columns).all() or np.any(moves.years <= 0.0):
        raise ForecastError(
            f"{columns.shape[1]} moves (holes: {np.count_nonzero(~np.isfinite(columns))}) teach no delta.",
            f"Give {_LEAST} of options that had not expired, without holes.",
        )
    basis = _basis(moves.delta, moves.vega, moves.spot, moves.years) * (moves.change / moves.spot)[:, None]
    a, b, c = np.linalg.lstsq(basis, moves.missed / moves.spot, rcond=None)[0]
    return MinimumVariance(float(a), float(b), float(c))


def _basis(delta: FloatArray, vega: FloatArray, spot: FloatArray, years: FloatArray) -> FloatArray:
    """vega/(S√T)·(1, δ, δ²) with the call's delta, shape (..., 3)."""
    of_call = np.where(delta < 0.0, delta + 1.0, delta)
    return np.asarray(
        (vega / (spot * np.sqrt(years)))[..., None] * np.stack((of_call**0, of_call, of_call**2), axis=-1)
    )
