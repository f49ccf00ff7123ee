"""The form of the hedge problem that the solvers know, and the certificate that makes a candidate a solution.

    min  c'z + sum_k weight_k / 2 * (v_k'z + offset_k)^2 + weight * CVaR_level(-(base + pnl' trades z))
    subject to   lower <= A z <= upper,   0 <= z <= bound

The problem is convex, so prices prove a solution: given those of the rows and the weights of the scenarios, whatever
the solver was, the objective exceeds its minimum by no more than price times slack, summed (`certify`).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.risk.tail import tail_rank, tail_weights

Array = npt.NDArray[np.float64]


class SolverError(Exception):
    """The solver gave no answer that can be trusted; the message says why."""


@dataclass(frozen=True)
class Square:
    """``weight / 2 * (direction @ z + offset)**2`` with weight >= 0."""

    weight: float
    direction: Array
    offset: float = 0.0

    def at(self, z: Array) -> float:
        """Value at ``z``."""
        return 0.5 * self.weight * self.point(z) ** 2

    def point(self, z: Array) -> float:
        """The linear form at ``z``."""
        return float(self.direction @ z) + self.offset


@dataclass(frozen=True)
class Tail:
    """``weight`` times the mean of the worst 1 - ``level`` of the losses (Rockafellar and Uryasev 2000).

    Attributes:
        base: P&L without trades per scenario, (S,).
        pnl: P&L of one unit of each instrument, (i, S).
        trades: Units of each instrument per variable, (i, n).
    """

    weight: float
    level: float
    base: Array
    pnl: Array
    trades: Array

    @property
    def cap(self) -> float:
        """The most that one scenario weighs."""
        return self.weight / ((1.0 - self.level) * len(self.base))

    @property
    def worst(self) -> int:
        """How many scenarios the tail reaches, the last perhaps in part."""
        return len(self.base) + 1 - tail_rank(len(self.base), self.level)

    def losses(self, z: Array) -> Array:
        """Loss per scenario at ``z``, (S,)."""
        return -(self.base + (self.trades @ z) @ self.pnl)

    def weights(self, losses: Array) -> Array:
        """What each scenario weighs where these are the losses: the cap in the tail, the rest on its edge, (S,)."""
        return self.weight * tail_weights(-losses, self.level)

    def at(self, z: Array) -> float:
        """Value at ``z``."""
        losses = self.losses(z)
        return float(self.weights(losses) @ losses)

    def slope(self, weights: Array) -> Array:
        """Derivative by the variables where the scenarios weigh ``weights``, (n,)."""
        return -(self.pnl @ weights) @ self.trades


@dataclass(frozen=True)
class Program:
    """Arrays: ``linear`` and ``bound`` (n,), ``rows`` (m, n), ``lower``, ``upper`` and ``names`` (m,)."""

    linear: Array
    squares: tuple[Square, ...]
    rows: Array
    lower: Array
    upper: Array
    bound: Array
    names: tuple[str, ...]
    tail: Tail | None = None

    @functools.cached_property
    def stacked(self) -> tuple[Array, Array, Array]:
        """The squares' weights (k,), directions (k, n) and offsets (k,)."""
        directions = np.array([square.direction for square in self.squares]).reshape(-1, len(self.linear))
        numbers = np.array([(square.weight, square.offset) for square in self.squares]).reshape(-1, 2)
        return numbers[:, 0].copy(), directions, numbers[:, 1].copy()

    def objective(self, z: Array) -> float:
        """Value of the objective at ``z``."""
        tail = self.tail.at(z) if self.tail is not None else 0.0
        return float(self.linear @ z) + self.of_squares(z)[0] + tail

    def of_squares(self, z: Array) -> tuple[float, Array]:
        """Their value and slope at ``z``."""
        weights, directions, offsets = self.stacked
        points = directions @ z + offsets
        return float(weights @ (points * points)) / 2, (weights * points) @ directions

    def violation(self, z: Array) -> float:
        """Largest violation of a row or a bound at ``z``."""
        activity = self.rows @ z
        over = np.concatenate([self.lower - activity, activity - self.upper, -z, z - self.bound])
        return float(over.max(initial=0.0))


@dataclass(frozen=True)
class Solution:
    """``z`` (n,), the rows' shadow prices (m,) (positive: the lower limit holds), the objective, the lower bound that
    proves it, and the KKT residual: the largest violation, slope that nothing holds, or price times slack."""

    z: Array
    shadow_prices: Array
    objective: float
    lower_bound: float
    residual: float


def check_finite(program: Program) -> None:
    """
    Raises:
        SolverError: some number is not finite, a limit is NaN, or a square or the tail is not convex.
    """
    weights = program.stacked[0]
    finite = [program.linear, program.rows, *program.stacked]
    tail = program.tail
    if tail is not None:
        finite += [tail.base, tail.pnl, tail.trades, np.array([tail.weight, tail.level])]
    limits = (program.lower, program.upper, program.bound)
    # A sum is finite only if its terms are; of limits, infinite on one side, it is NaN only if one of them is.
    if not all(math.isfinite(a.sum()) for a in finite) or any(math.isnan(a.sum()) for a in limits):
        raise SolverError("the program has numbers that are not finite")
    if weights.min(initial=0.0) < 0:
        raise SolverError("the program is not convex: a square has a negative weight")
    if tail is not None and not (tail.weight > 0 and 0 < tail.level < 1 and tail.cap <= tail.weight * (1 + 1e-9)):
        raise SolverError("the tail needs a positive weight, a level between 0 and 1, and a scenario in it")


def certify(program: Program, z: Array, prices: Array, scenario_weights: Array) -> Solution:
    """What a candidate is worth: nothing of the solver is trusted.

    Every convex function lies above its tangent, so for any feasible x the objective at x is at least that at z plus
    slope'(x - z); minimised over the box and the rows that is the objective less price times slack, summed.

    Args:
        prices: Of the rows, (m,).
        scenario_weights: Of the tail, (S,) or empty.
    """
    z = np.clip(z, 0.0, program.bound)
    value, slope = program.of_squares(z)
    objective = float(program.linear @ z) + value
    slope = slope + program.linear - prices @ program.rows
    products = []
    tail = program.tail
    if tail is not None:
        losses = tail.losses(z)
        worst = float(tail.weights(losses) @ losses)
        weights = np.clip(scenario_weights, 0.0, tail.cap)
        weights = weights * (tail.weight / (weights.sum() or 1.0))
        unbalanced = float(np.max(weights - tail.cap, initial=0.0))
        slope = slope + tail.slope(weights)
        products.append(np.array([abs(worst - float(weights @ losses)), unbalanced]))
        objective += worst
    activity = program.rows @ z
    held = np.concatenate([slope, -slope, prices, -prices])
    room = np.concatenate([z, program.bound - z, activity - program.lower, program.upper - activity])
    # Where there is no limit nothing may be held.
    products.append(np.maximum(held, 0.0) * np.where(np.isfinite(room), np.abs(room), 1.0))
    together = np.concatenate(products)
    residual = max(float(together.max(initial=0.0)), -float(room.min(initial=0.0)))
    return Solution(z, prices, objective, objective - float(together.sum()), residual)
