"""The efficient frontier between carry and tail risk: the least CVaR for each carry, over sizes of given instruments.

    min_x CVaR_β(-pnl·x)   s.t.   carry·x >= target, lower <= x <= upper, Σx = total

As a linear program (Rockafellar and Uryasev 2000, section 3) it has a row for every scenario. What is solved is its
dual, which has one for every instrument: weights w of a tail, none above 1/((1 - β)S), that make the best sizes lose
most,

    max_{w, y, z, v} target·y + lower·z⁻ - upper·z⁺ + total·v
    s.t.             Σw = 1, 0 <= w <= 1/((1 - β)S), y, z⁺, z⁻ >= 0, losses'w - carry·y + z⁺ - z⁻ - v = 0,

and whose shadow prices are the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from keeper.domain.valuation import FloatArray
from keeper.risk.errors import RiskError
from keeper.risk.tail import tail_weights


@dataclass(frozen=True, slots=True, eq=False)
class FrontierPoint:
    """Sizes ``x`` (n,), in units of the instruments, their carry and their CVaR over the horizon, USDC."""

    x: FloatArray
    carry: float
    cvar: float


def least_cvar(
    pnl: FloatArray,
    carry: FloatArray,
    target: float,
    level: float,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    total: float | None = None,
) -> FrontierPoint:
    """The sizes of least CVaR whose carry is at least ``target``.

    Args:
        pnl: By scenario and instrument, per unit, (S, n).
        carry: What a unit of each earns over the horizon if nothing moves, (n,).
        lower, upper: Bounds of the sizes; broadcast to (n,).
        total: What the sizes must sum to, if anything.

    Raises:
        RiskError: no sizes within the bounds have that carry.
    """
    size, n = pnl.shape
    scale = float(np.abs(pnl).mean()) or 1.0  # so that the solver's tolerances do not depend on the unit
    at_least, at_most = (np.broadcast_to(np.asarray(b, dtype=np.float64), (n,)) for b in (lower, upper))
    free = [] if total is None else [total]
    gains = np.concatenate([np.zeros(size), [target / scale], at_least, -at_most, free])
    identity = np.eye(n)
    by_size = np.hstack([-pnl.T / scale, -carry[:, None] / scale, -identity, identity, -np.ones((n, len(free)))])
    of_one = np.concatenate([np.ones(size), np.zeros(gains.size - size)])
    most = 1.0 / ((1.0 - level) * size)
    found = linprog(
        -gains,
        A_eq=np.vstack([by_size, of_one]),
        b_eq=np.append(np.zeros(n), 1.0),
        bounds=[(0.0, most)] * size + [(0.0, None)] * (1 + 2 * n) + [(None, None)] * len(free),
        method="highs-ds",
    )
    if found.status != 0:
        raise RiskError(
            f"No sizes within the bounds have a carry of {target:g}.",
            kept="Nothing was chosen.",
            todo="Ask for less carry, or check the bounds.",
        )
    x = np.clip(found.eqlin.marginals[:n], at_least, at_most)
    result = pnl @ x
    return FrontierPoint(x, float(carry @ x), float(-tail_weights(result, level) @ result))


def efficient_frontier(
    pnl: FloatArray,
    carry: FloatArray,
    level: float,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    points: int = 10,
) -> tuple[FrontierPoint, ...]:
    """Points of equal steps in carry, from none to nearly the most that the bounds let be earned; CVaR rises along
    them.

    Raises:
        RiskError: as `least_cvar`.
    """
    most = float(np.maximum(carry * np.asarray(lower), carry * np.asarray(upper)).sum())
    targets = np.linspace(0.0, most * (1.0 - 1e-6), points)
    return tuple(least_cvar(pnl, carry, float(target), level, lower, upper) for target in targets)
