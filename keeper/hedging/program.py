"""A convex quadratic program and its solution by HiGHS.

min  1/2 z'Qz + c'z   subject to   lower <= A z <= upper,   0 <= z <= bound
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import highspy

Array = npt.NDArray[np.float64]

_FEASIBILITY = 1e-7
_TIME_LIMIT_SECONDS = 2.0


class SolverError(Exception):
    """The solver gave no answer that can be trusted; the message says why."""


@dataclass(frozen=True)
class Program:
    """Arrays of the program.

    ``quadratic`` (n, n) is positive semidefinite; ``linear`` and ``bound`` are (n,), ``rows`` is (m, n), ``lower`` and
    ``upper`` are (m,), and each of the m rows has its name.
    """

    quadratic: Array
    linear: Array
    rows: Array
    lower: Array
    upper: Array
    bound: Array
    names: tuple[str, ...]

    def objective(self, z: Array) -> float:
        """Value of the objective at ``z``."""
        return float(0.5 * z @ self.quadratic @ z + self.linear @ z)

    def violation(self, z: Array) -> float:
        """Largest violation of a row or a bound at ``z``."""
        activity = self.rows @ z
        gaps = [self.lower - activity, activity - self.upper, -z, z - self.bound]
        return max(float(np.max(gap, initial=0.0)) for gap in gaps)

    @cached_property
    def size(self) -> int:
        """Number of variables."""
        return len(self.linear)


@dataclass(frozen=True)
class Solution:
    """``z`` (n,), the rows' shadow prices (m,) and the objective."""

    z: Array
    shadow_prices: Array
    objective: float


def solve(program: Program) -> Solution:
    """Solve with HiGHS (active set).

    Raises:
        SolverError: infeasible, unbounded, not finite, out of time, or the answer violates a row when checked.
    """
    import highspy  # here, so that commands which solve nothing start fast

    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("time_limit", _TIME_LIMIT_SECONDS)
    highs.setOptionValue("threads", 1)
    if highs.passModel(_model(program)) == highspy.HighsStatus.kError:
        raise SolverError("HiGHS does not accept the program")
    highs.run()
    status = highs.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolverError(f"HiGHS says {highs.modelStatusToString(status)}")
    solution = highs.getSolution()
    z = np.clip(np.array(solution.col_value), 0.0, program.bound)
    if not np.all(np.isfinite(z)):
        raise SolverError("HiGHS gave a solution that is not finite")
    violation = program.violation(z)
    if violation > _FEASIBILITY * 10:
        raise SolverError(f"HiGHS gave a solution that violates a limit by {violation:.1e}")
    return Solution(z, np.array(solution.row_dual), program.objective(z))


def _model(program: Program) -> highspy.HighsModel:
    import highspy

    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_col_, lp.num_row_ = program.size, len(program.names)
    lp.col_cost_ = program.linear
    lp.col_lower_ = np.zeros(program.size)
    lp.col_upper_ = program.bound
    lp.row_lower_, lp.row_upper_ = program.lower, program.upper
    columns, rows = np.nonzero(program.rows.T)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = _starts(columns, program.size)
    lp.a_matrix_.index_ = rows.astype(np.int32)
    lp.a_matrix_.value_ = program.rows.T[columns, rows]
    lower_triangle = np.tril(program.quadratic)
    columns, rows = np.nonzero(lower_triangle.T)
    model.hessian_.dim_ = program.size
    model.hessian_.format_ = highspy.HessianFormat.kTriangular
    model.hessian_.start_ = _starts(columns, program.size)
    model.hessian_.index_ = rows.astype(np.int32)
    model.hessian_.value_ = lower_triangle.T[columns, rows]
    return model


def _starts(columns: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.int32]:
    counts = np.bincount(columns, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
