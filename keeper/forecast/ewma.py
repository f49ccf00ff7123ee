"""Exponentially weighted means (RiskMetrics)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray

LAMBDA: Final = 0.94  # J.P. Morgan/Reuters, RiskMetrics (1996), 5.3, for a day
MONTH: Final = 0.97  # the same, for a month


def ewma(values: npt.ArrayLike, decay: npt.ArrayLike, start: float) -> FloatArray:
    """m ← λm + (1 - λ)x from ``start``: before the first value and after each, shape (n + 1,).

    J.P. Morgan/Reuters, RiskMetrics (1996), 5.2, with squared returns or products of two as values. ``decay`` λ is one
    number, or one per value where they are not evenly spaced.
    """
    x = np.asarray(values, dtype=np.float64)
    mean = start
    means = [mean]
    for value, weight in zip(x.tolist(), np.broadcast_to(decay, x.shape).tolist(), strict=True):
        mean = weight * mean + (1.0 - weight) * value
        means.append(mean)
    return np.array(means)
