"""Value at risk and conditional value at risk of equally likely scenarios, with standard errors, and by position.

For S losses in rising order the value at risk at level β is the order statistic of rank ⌈βS⌉, and the conditional value
at risk is the mean of the worst (1 - β)S of them, the scenario on the edge in part (Rockafellar and Uryasev 2002,
proposition 8), so that it is the minimum over t of t + Σ(L - t)₊/((1 - β)S) (Rockafellar and Uryasev 2000, equation 5).

Errors: of VaR by Maritz and Jarrett (1978), the exact bootstrap of an order statistic; of CVaR by Manistre and Hancock
(2005), √((Var(L | L >= VaR) + β·(CVaR - VaR)²)/((1 - β)S)). Both are for independent scenarios. They say how far
another draw of as many would be, not how wrong the model is.

Components are Euler's: CVaR is homogeneous in the positions, its derivative by a position is that position's mean loss
in the tail (Tasche 1999, section 5), and these sum to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from keeper.domain.valuation import FloatArray
from keeper.risk.errors import RiskError


@dataclass(frozen=True, slots=True)
class TailRisk:
    """At ``level`` (0.99: one scenario in a hundred is worse), in the unit of the losses; + is a loss."""

    level: float
    var: float
    var_error: float
    cvar: float
    cvar_error: float


def tail_risk(pnl: FloatArray, level: float) -> TailRisk:
    """Of profits and losses (S,), one per scenario, all equally likely.

    Raises:
        RiskError: a level that is not between 0 and 1, less than one scenario in the tail, or a P&L that is not finite.
    """
    size = len(pnl)
    weights = tail_weights(pnl, level)
    losses = np.sort(-pnl)
    rank = tail_rank(size, level)
    var = float(losses[rank - 1])
    cvar = float(-weights @ pnl)
    grid = betainc(rank, size - rank + 1, np.arange(size + 1) / size)
    share = np.diff(grid)
    centre = float(share @ losses)
    tail = losses[rank - 1 :]
    spread = float(tail.var()) + level * (cvar - var) ** 2
    return TailRisk(
        level=level,
        var=var,
        var_error=float(np.sqrt(share @ np.square(losses - centre))),
        cvar=cvar,
        cvar_error=float(np.sqrt(spread / ((1.0 - level) * size))),
    )


def tail_weights(pnl: FloatArray, level: float) -> FloatArray:
    """Weights (S,) of the scenarios in CVaR: they sum to one, and CVaR = -weights · pnl.

    Raises:
        RiskError: as `tail_risk`.
    """
    size = len(pnl)
    if not 0.0 < level < 1.0 or (1.0 - level) * size < 1.0 - 1e-9:
        raise RiskError(
            f"{size} scenarios have no tail at level {level}.",
            kept="Nothing was measured.",
            todo="Use a level between 0 and 1, and at least 1/(1 - level) scenarios.",
        )
    if not np.isfinite(pnl).all():
        raise RiskError(
            "The profit or loss of a scenario is not a finite number.",
            kept="Nothing was measured.",
            todo="Check the moves that the scenarios were made from.",
        )
    rank = tail_rank(size, level)
    order = np.argpartition(-pnl, rank - 1)
    weights = np.zeros(size)
    each = 1.0 / ((1.0 - level) * size)
    weights[order[rank:]] = each
    weights[order[rank - 1]] = 1.0 - each * (size - rank)
    return weights


def components(pnl: FloatArray, level: float) -> FloatArray:
    """CVaR by position (n,), of profits and losses by scenario and position (S, n): their sum is the CVaR of all.

    A negative component is a position that pays in the tail of the others.

    Raises:
        RiskError: as `tail_risk`.
    """
    return np.asarray(-tail_weights(pnl.sum(axis=1), level) @ pnl)


def tail_rank(size: int, level: float) -> int:
    """Which loss in rising order is VaR: ⌈βS⌉, at least 1; the rounding of β·S does not count."""
    return max(1, int(np.ceil(level * size - 1e-9)))
