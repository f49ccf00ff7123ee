"""A convex program and its solution by HiGHS.

    min  c'z + sum_k weight_k / 2 * (v_k'z + offset_k)^2   subject to   lower <= A z <= upper,   0 <= z <= bound

The squares are few and each is of one linear form, so they are solved as linear programs with cutting planes (Kelley
1960): each square is held up by tangents, and where the last solution lies above them one more is added, warm, until
objective and lower bound meet. HiGHS's own active-set method for quadratic programs cycles on degenerate books.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_FEASIBILITY = 1e-6
_GAP = 1e-9
_TOLERANCE = 1e-10  # of HiGHS for each row: so far its solution may lie under each square's tangents
_MAX_ROUNDS = 60
_TIME_LIMIT_SECONDS = 2.0


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
class Program:
    """Arrays: ``linear`` and ``bound`` (n,), ``rows`` (m, n), ``lower``, ``upper`` and ``names`` (m,)."""

    linear: Array
    squares: tuple[Square, ...]
    rows: Array
    lower: Array
    upper: Array
    bound: Array
    names: tuple[str, ...]

    def objective(self, z: Array) -> float:
        """Value of the objective at ``z``."""
        return float(self.linear @ z) + sum(square.at(z) for square in self.squares)

    def violation(self, z: Array) -> float:
        """Largest violation of a row or a bound at ``z``."""
        activity = self.rows @ z
        gaps = [self.lower - activity, activity - self.upper, -z, z - self.bound]
        return max(float(np.max(gap, initial=0.0)) for gap in gaps)


@dataclass(frozen=True)
class Solution:
    """``z`` (n,), the rows' shadow prices (m,), the objective, and the lower bound that proves it."""

    z: Array
    shadow_prices: Array
    objective: float
    lower_bound: float


def solve(program: Program) -> Solution:
    """Solve to a gap of 1e-9, relative to the objective where that is large, and HiGHS's tolerance for each square.

    Raises:
        SolverError: infeasible, unbounded, not finite, not converged, or the answer violates a row when checked.
    """
    import highspy  # here, so that commands which solve nothing start fast

    n, k = len(program.linear), len(program.squares)
    limits = (program.lower, program.upper, program.bound)
    if not all(np.all(np.isfinite(a)) for a in (program.linear, program.rows)) or any(
        np.isnan(a).any() for a in limits
    ):
        raise SolverError("the program has numbers that are not finite")
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("time_limit", _TIME_LIMIT_SECONDS)
    highs.setOptionValue("threads", 1)
    for tolerance in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        highs.setOptionValue(tolerance, _TOLERANCE)
    columns = np.arange(n, dtype=np.int32)
    nothing = np.array([], dtype=np.int32)
    for cost, bound in zip(program.linear, program.bound, strict=True):
        highs.addCol(float(cost), 0.0, float(bound), 0, nothing, np.array([]))
    for _ in program.squares:
        highs.addCol(1.0, 0.0, highspy.kHighsInf, 0, nothing, np.array([]))
    for row, low, high in zip(program.rows, program.lower, program.upper, strict=True):
        highs.addRow(float(low), float(high), n, columns, row)

    for _ in range(_MAX_ROUNDS):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            highs.clearSolver()  # once more from the beginning: a warm start can lead into a corner
            highs.run()
        status = highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"HiGHS says {highs.modelStatusToString(status)}")
        values = np.array(highs.getSolution().col_value)
        z, held_up = np.clip(values[:n], 0.0, program.bound), values[n : n + k]
        objective = program.objective(z)
        lower_bound = float(highs.getInfo().objective_function_value)
        if objective - lower_bound <= _GAP * max(1.0, abs(objective)) + _TOLERANCE * k:
            break
        for i, square in enumerate(program.squares):
            if square.at(z) - held_up[i] > _GAP / (2 * k):
                # e >= weight * y * (v'z + offset) - weight * y^2 / 2, the tangent at y
                y = square.point(z)
                slope = square.weight * y
                row = np.append(-slope * square.direction, 1.0)
                where = np.append(columns, np.int32(n + i))
                highs.addRow(slope * (square.offset - y / 2), highspy.kHighsInf, n + 1, where, row)
    else:
        raise SolverError(f"the cutting planes have not met after {_MAX_ROUNDS} rounds")

    violation = program.violation(z)
    if not violation <= _FEASIBILITY:
        raise SolverError(f"HiGHS gave a solution that violates a limit by {violation:.1e}")
    shadow_prices = np.array(highs.getSolution().row_dual)[: len(program.names)]
    return Solution(z, shadow_prices, objective, lower_bound)
