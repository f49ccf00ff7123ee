"""What a series of returns or values was worth for its risk.

Sharpe (1994): mean over deviation, annual; its error is Lo's (2002, equation 9) for independent returns. Sortino and
Price (1994): the mean above a target over the root mean square shortfall below it, annual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keeper.domain.valuation import FloatArray
from keeper.risk.errors import RiskError


@dataclass(frozen=True, slots=True)
class RiskAdjusted:
    """Annual ratios; ``sortino`` is infinite where no return was below its target."""

    sharpe: float
    sharpe_error: float
    sortino: float


def risk_adjusted(returns: FloatArray, per_year: float, *, target: float = 0.0) -> RiskAdjusted:
    """Of returns (n,) in excess of what is riskless, ``per_year`` of them in a year; ``target`` is per return.

    Raises:
        RiskError: fewer than two returns, one that is not finite, or all the same.
    """
    n = len(returns)
    if n < 2 or not np.isfinite(returns).all() or np.ptp(returns) == 0.0:
        raise RiskError(
            f"{n} returns that are all the same, or not finite, have no risk to be compared with.",
            kept="Nothing was measured.",
            todo="Give at least two different returns.",
        )
    annual = math.sqrt(per_year)
    ratio = float(returns.mean() / returns.std(ddof=1))
    shortfall = float(np.sqrt(np.square(np.minimum(returns - target, 0.0)).mean()))
    return RiskAdjusted(
        sharpe=ratio * annual,
        sharpe_error=math.sqrt((1.0 + 0.5 * ratio * ratio) / n) * annual,
        sortino=float(returns.mean() - target) / shortfall * annual if shortfall > 0.0 else math.inf,
    )


def max_drawdown(values: Sequence[float]) -> float:
    """The deepest fall from an earlier peak, in the values' own unit; 0 if they never fall. NaNs are skipped."""
    peak, deepest = -math.inf, 0.0
    for x in values:
        if not math.isnan(x):
            peak = max(peak, x)
            deepest = max(deepest, peak - x)
    return deepest
