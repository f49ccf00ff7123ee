"""The tail of losses by peaks over a threshold.

Beyond a high threshold u, what a loss exceeds u by is nearly generalised Pareto (Balkema and de Haan 1974, Pickands
1975): P(X - u > y | X > u) = (1 + ξy/β)^(-1/ξ). Of n losses N_u exceed u. McNeil, Frey and Embrechts, "Quantitative
Risk Management" (2005), (7.18) and (7.19):

    VaR_q = u + β/ξ·[((n/N_u)(1 - q))^(-ξ) - 1],  ES_q = (VaR_q + β - ξu)/(1 - ξ)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError

_LEAST: Final = 30  # exceedances
_EXPONENTIAL: Final = 1e-9  # |ξ| below which the tail is exponential to rounding
_LEAST_SHAPE: Final = (
    -0.5
)  # below it maximum likelihood is not consistent (Smith 1985), and no tail of losses is so short
_GRID: Final = 64  # of the profile likelihood, which may have more than one hill


@dataclass(frozen=True, slots=True)
class Tail:
    """ξ, β and u above; losses in whatever unit was given; ``share`` is N_u/n."""

    threshold: float
    shape: float
    scale: float
    share: float

    def var(self, level: float) -> float:
        """Value at risk: what the loss exceeds with probability 1 - ``level`` (0.99 for one in a hundred).

        Raises:
            ForecastError: the level is below the threshold's, or is no probability.
        """
        if not 1.0 - self.share <= level < 1.0:
            raise ForecastError(
                f"The tail begins at {1.0 - self.share:.4g} and knows no quantile at {level:g}.",
                "Read it from the losses themselves, or fit from a lower threshold.",
            )
        log_ratio = math.log(self.share / (1.0 - level))
        if abs(self.shape) < _EXPONENTIAL:
            return self.threshold + self.scale * log_ratio
        return self.threshold + self.scale * math.expm1(self.shape * log_ratio) / self.shape

    def expected_shortfall(self, level: float) -> float:
        """Mean of the losses beyond `var`.

        Raises:
            ForecastError: see `var`, or the tail is so heavy that it has no mean (ξ ≥ 1).
        """
        if self.shape >= 1.0:
            raise ForecastError(
                f"With a shape of {self.shape:.3g} the tail has no mean.",
                "Look for a loss that cannot be, or fit less.",
            )
        return (self.var(level) + self.scale - self.shape * self.threshold) / (1.0 - self.shape)


def fit_tail(losses: npt.ArrayLike, share: float = 0.1) -> Tail:
    """Maximum likelihood beyond the threshold that about ``share`` of the losses exceed.

    Raises:
        ForecastError: a loss is not finite, too few exceed the threshold, or it is no share.
    """
    x = np.sort(np.asarray(losses, dtype=np.float64).ravel())
    exceed = int(share * len(x)) if 0.0 < share < 1.0 else 0
    if not np.isfinite(x).all() or exceed < _LEAST:
        raise ForecastError(
            f"{share:g} of {len(x)} losses (holes: {np.count_nonzero(~np.isfinite(x))}) are no tail.",
            f"Give finite losses of which {_LEAST} or more exceed the threshold.",
        )
    threshold = float(x[-exceed - 1])
    excesses = x[-exceed:] - threshold
    if excesses[-1] <= 0.0:
        raise ForecastError("The largest losses are all the same.", "Fit losses that differ.")
    shape, scale = _pareto(excesses)
    return Tail(threshold, shape, scale, exceed / len(x))


def _pareto(excesses: FloatArray) -> tuple[float, float]:
    """ξ and β by maximum likelihood, ξ > -½.

    Grimshaw (1993): for given t = ξ/β the best ξ is the mean of ln(1 + ty), which leaves one dimension,
    -ln(ξ/t) - ξ - 1 per excess.
    """
    mean = float(excesses.mean())
    y = excesses / mean
    largest = float(y.max())

    def at(a: float) -> tuple[float, float]:  # t = (e^a - 1)/y_max, from the pole at -1/y_max on
        t = math.expm1(a) / largest
        shape = float(np.log1p(t * y).mean())
        return shape, shape / t if abs(t) > _EXPONENTIAL else 1.0

    def loss(a: float) -> float:
        shape, scale = at(a)
        return math.log(scale) + shape + 1.0

    grid = [a for a in np.linspace(-5.0, math.log1p(1e3 * largest), _GRID) if at(a)[0] > _LEAST_SHAPE]
    best = int(np.argmin([loss(a) for a in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    shape, scale = at(float(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x))
    return shape, scale * mean
