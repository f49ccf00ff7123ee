"""GJR-GARCH(1, 1) with Student-t shocks (Glosten, Jagannathan and Runkle 1993), fitted by the `arch` package.

    r_t = √h_t·z_t,  h_t = ω + (α + γ·[r_{t-1} < 0])·r²_{t-1} + β·h_{t-1}

Crypto returns have no mean to speak of: it is zero here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.valuation import FloatArray
from keeper.forecast.errors import ForecastError

_LEAST: Final = 250  # returns
_UNIT: Final = 100.0  # arch likes returns in percent


@dataclass(frozen=True, slots=True)
class Garch:
    """Parameters for returns as they are (0.01 = 1 %), per period; ``freedom`` is Student's degrees."""

    omega: float
    alpha: float
    gamma: float
    beta: float
    freedom: float
    start: float  # h of the first return

    @property
    def persistence(self) -> float:
        """Share of today's variance that is left tomorrow; below 1 the variance has a mean."""
        return self.alpha + 0.5 * self.gamma + self.beta

    def variances(self, returns: npt.ArrayLike) -> FloatArray:
        """h of each return, known before it, and of the one after the last, shape (n + 1,)."""
        h = self.start
        path = [h]
        for r in np.asarray(returns, dtype=np.float64).tolist():
            h = self.omega + (self.alpha + self.gamma * (r < 0.0)) * r * r + self.beta * h
            path.append(h)
        return np.array(path)

    def mean_ahead(self, following: float, horizon: int) -> float:
        """Expected mean variance of the ``horizon`` periods of which the first has variance ``following``."""
        total, h = 0.0, following
        for _ in range(horizon):
            total += h
            h = self.omega + self.persistence * h
        return total / horizon


def fit(returns: npt.ArrayLike) -> Garch:
    """Maximum likelihood.

    Raises:
        ForecastError: too few returns, one that is not finite, or no convergence.
    """
    from arch.univariate import GARCH, StudentsT, ZeroMean  # 3 s

    r = np.asarray(returns, dtype=np.float64)
    if len(r) < _LEAST or not np.isfinite(r).all():
        raise ForecastError(f"GARCH needs {_LEAST} returns without holes and has {len(r)}.", "Take a longer past.")
    model = ZeroMean(_UNIT * r, volatility=GARCH(p=1, o=1, q=1), distribution=StudentsT())
    found = model.fit(disp="off", show_warning=False)
    if found.convergence_flag != 0:
        raise ForecastError("The likelihood of GARCH has no maximum that can be found.", "Use another forecast.")
    omega, alpha, gamma, beta, freedom = (float(a) for a in np.asarray(found.params))
    start = float(np.asarray(found.conditional_volatility)[0]) ** 2
    return Garch(omega / _UNIT**2, alpha, gamma, beta, freedom, start / _UNIT**2)
