"""The hedge program by HiGHS, for where the interior point has no certificate: linear programs and cutting planes.

Each square, and the tail, is held up by tangents (Kelley 1960): where the last solution lies above them one more is
added, warm, until objective and lower bound meet. Simplex knows infeasible from hard, and says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keeper.hedging.program import Array, Program, Solution, SolverError, certify

_FEASIBILITY = 1e-6
_GAP = 1e-9
_TOLERANCE = 1e-10  # of HiGHS for each row: so far its solution may lie under each square's tangents
_MAX_ROUNDS = 60
_MAX_ROUNDS_OF_TAIL = 600
_TIME_LIMIT_SECONDS = 2.0


def cutting_planes(program: Program) -> Solution:
    """Solve to a gap of 1e-9, relative to the objective where that is large, and HiGHS's tolerance for each square.

    Raises:
        SolverError: infeasible, unbounded, not converged, or the answer violates a row when checked.
    """
    import highspy  # here, so that commands which solve nothing start fast

    n, k, tail = len(program.linear), len(program.squares), program.tail
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
    cuts = _Tangents(highs, program, columns)
    if tail is not None:
        highs.addCol(1.0, -highspy.kHighsInf, highspy.kHighsInf, 0, nothing, np.array([]))
        cuts.under_tail(np.full(len(tail.base), tail.weight / len(tail.base)))  # the tail loses more than the mean
        cuts.under_tail(tail.weights(tail.losses(np.zeros(n))))

    for _ in range(_MAX_ROUNDS if tail is None else _MAX_ROUNDS_OF_TAIL):
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            highs.clearSolver()  # once more from the beginning: a warm start can lead into a corner
            highs.run()
        status = highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"HiGHS says {highs.modelStatusToString(status)}")
        values = np.array(highs.getSolution().col_value)
        z, held_up = np.clip(values[:n], 0.0, program.bound), values[n:]
        objective = program.objective(z)
        lower_bound = float(highs.getInfo().objective_function_value)
        if objective - lower_bound <= _GAP * max(1.0, abs(objective)) + _TOLERANCE * (k + 1):
            break
        for i, square in enumerate(program.squares):
            if square.at(z) - held_up[i] > _GAP / (2 * k):
                cuts.under_square(i, z)
        if tail is not None and tail.at(z) - held_up[k] > _GAP / 2:
            cuts.under_tail(tail.weights(tail.losses(z)))
    else:
        raise SolverError("the cutting planes have not met")

    violation = program.violation(z)
    if not violation <= _FEASIBILITY:
        raise SolverError(f"HiGHS gave a solution that violates a limit by {violation:.1e}")
    duals = np.array(highs.getSolution().row_dual)
    prices = duals[: len(program.names)]
    checked = certify(program, z, prices, cuts.scenario_weights(duals))
    return Solution(checked.z, prices, checked.objective, lower_bound, checked.residual)


class _Tangents:
    """The rows that hold up the squares' and the tail's columns."""

    def __init__(self, highs: Any, program: Program, columns: Any) -> None:
        self._highs, self._program, self._columns = highs, program, columns
        self._next = len(program.names)
        self._of_tail: list[tuple[int, Array]] = []

    def under_square(self, i: int, z: Array) -> None:
        """e >= weight * y * (v'z + offset) - weight * y^2 / 2, the tangent at y."""
        square = self._program.squares[i]
        y = square.point(z)
        slope = square.weight * y
        self._add(i, slope * square.direction, slope * (square.offset - y / 2))

    def under_tail(self, weights: Array) -> None:
        """e >= the loss of the scenarios weighted by ``weights``."""
        tail = self._program.tail
        assert tail is not None
        self._of_tail.append((self._next, weights))
        self._add(len(self._program.squares), tail.slope(weights), -float(weights @ tail.base))

    def scenario_weights(self, duals: Array) -> Array:
        """The tail's scenarios as the prices of its tangents mix them, (S,); empty without a tail."""
        if self._program.tail is None:
            return np.zeros(0)
        return np.asarray(sum(duals[row] * weights for row, weights in self._of_tail), dtype=np.float64)

    def _add(self, term: int, slope: Array, constant: float) -> None:
        n = len(self._columns)
        where = np.append(self._columns, np.int32(n + term))
        self._highs.addRow(constant, self._highs.inf, n + 1, where, np.append(-slope, 1.0))
        self._next += 1
