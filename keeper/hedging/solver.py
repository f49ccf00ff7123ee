"""`solve`: from a hedge program to a solution with its certificate.

The compiled interior point answers in a tenth of a millisecond; what it says counts when the certificate holds. Where
it does not, HiGHS and Clarabel both have to answer, and to agree. A tail of many scenarios is solved on those that are
near it: the others, left out, can only make the objective less, so once none of them loses more than the quantile the
solution is that of all; until then the worst of them join.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keeper.hedging.cutting_planes import cutting_planes
from keeper.hedging.interior import interior_point
from keeper.hedging.program import Array, Program, Solution, Tail, certify, check_finite
from keeper.hedging.second_opinion import second_opinion

_RESIDUAL = 1e-8  # shares of NAV, relative to the objective where that is large
_MAX_ROUNDS = 20
_FIRST, _MORE = 3, 2  # scenarios to begin with and to add, as multiples of the tail


def solve(program: Program, near: Array | None = None) -> Solution:
    """Solve to a KKT residual and a gap of 1e-8, or find out why not.

    Args:
        near: A solution of a similar program, (n,): the tail is looked for there first.

    Raises:
        SolverError: infeasible, unbounded, not finite, two solvers that disagree, or none that has an answer.
    """
    check_finite(program)
    solution = _interior(program, np.zeros(len(program.linear)) if near is None else near)
    if solution is None:
        solution = cutting_planes(program)
        second_opinion(program, solution)
    return solution


def _interior(program: Program, near: Array) -> Solution | None:
    """The interior point's solution, None where it has no certificate."""
    tail = program.tail
    if tail is None:
        return _certified(program, interior_point(program))
    kept = np.zeros(len(tail.base), dtype=bool)
    kept[_worst(tail, tail.losses(near), _FIRST)] = True
    for _ in range(_MAX_ROUNDS):
        among = np.flatnonzero(kept)
        found = interior_point(program, among)
        if found is None or not np.isfinite(found[0]).all():
            return None
        losses = tail.losses(np.clip(found[0], 0.0, program.bound))
        quantile = np.partition(losses[among], len(among) - tail.worst)[len(among) - tail.worst]
        if not np.any(losses[~kept] > quantile):
            return _certified(program, found)
        kept[_worst(tail, losses, _MORE)] = True
    return None


def _certified(program: Program, found: tuple[Array, Array, Array, bool] | None) -> Solution | None:
    if found is None or not all(np.isfinite(values).all() for values in found[:3]):
        return None
    solution = certify(program, *found[:3])
    allowed = _RESIDUAL * (max(1.0, abs(solution.objective)) if found[3] else 1.0)
    proven = solution.residual <= allowed and solution.objective - solution.lower_bound <= allowed
    return solution if proven else None


def _worst(tail: Tail, losses: Array, multiple: int) -> npt.NDArray[np.intp]:
    """Indices of the scenarios that lose most, ``multiple`` times as many as the tail has."""
    count = min(len(losses), multiple * tail.worst)
    return np.argpartition(losses, len(losses) - count)[len(losses) - count :]
