"""The hedge program by Clarabel (Goulart and Chen 2024), from its own statement of the problem: the second solver that
has to agree before anything is traded.

A tail of many scenarios is stated with those that may be in it. Leaving a scenario out can only make the minimum less,
and makes it no less once no scenario that was left out loses more than the quantile t that Clarabel finds: until then
those that do join. So what comes out is the minimum over all scenarios, whichever it began with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keeper.hedging.program import Array, Program, Solution, SolverError

_AGREEMENT = 1e-6  # of the objectives, shares of NAV, relative where they are large
_LOOSE = 1e15  # a limit beyond this is none
_FIRST = 2  # scenarios to begin with, as a multiple of the tail
_MAX_ROUNDS = 10
_MEETS = 1e-9  # share of NAV by which a scenario that is left out may lose more than the quantile


def second_opinion(program: Program, solution: Solution) -> None:
    """
    Raises:
        SolverError: Clarabel finds no solution, or one of another value.
    """
    theirs = clarabel_objective(program, solution.z)
    if not abs(theirs - solution.objective) <= _AGREEMENT * max(1.0, abs(solution.objective)):
        raise SolverError(f"two solvers disagree: {solution.objective:.9f} and {theirs:.9f} of NAV")


def clarabel_objective(program: Program, near: Array | None = None) -> float:
    """The minimum as Clarabel finds it: the squares as a matrix, the tail as one row per scenario.

    Args:
        near: Where the tail is looked for first, (n,). It changes how long it takes, and nothing else.

    Raises:
        SolverError: it does not find one.
    """
    tail = program.tail
    if tail is None:
        return _solve(program, np.zeros(0), np.zeros((0, 0)))[0]
    slopes = -(tail.pnl.T @ tail.trades)  # of each scenario's loss, (S, n)
    start = np.zeros(len(program.linear)) if near is None else near
    kept = _worst(slopes @ start - tail.base, _FIRST * tail.worst)
    for _ in range(_MAX_ROUNDS):
        objective, z, quantile = _solve(program, tail.base[kept], slopes[kept])
        losses = slopes @ z - tail.base
        losses[kept] = -np.inf
        more = np.flatnonzero(losses > quantile + _MEETS)
        if not len(more):
            return objective
        kept = np.union1d(kept, more)
    raise SolverError(f"Clarabel's tail is not found in {_MAX_ROUNDS} rounds")


def _worst(losses: Array, count: int) -> npt.NDArray[np.intp]:
    count = min(count, len(losses))
    return np.argpartition(losses, len(losses) - count)[len(losses) - count :]


def _solve(program: Program, base: Array, slopes: Array) -> tuple[float, Array, float]:
    """With these scenarios alone, each at the cap of all: minimum, variables and quantile (0 without a tail)."""
    import clarabel  # here, so that commands which solve nothing start fast
    from scipy import sparse

    n, tail, scenarios = len(program.linear), program.tail, len(base)
    size = n + (scenarios + 1 if tail is not None else 0)
    h, q = np.zeros((n, n)), np.zeros(size)
    q[:n], constant = program.linear, 0.0
    for square in program.squares:
        h += square.weight * np.outer(square.direction, square.direction)
        q[:n] += square.weight * square.offset * square.direction
        constant += 0.5 * square.weight * square.offset**2
    quadratic = sparse.csc_matrix(np.triu(h))
    quadratic.resize((size, size))

    equal = program.upper - program.lower <= 0
    below, above = (program.upper < _LOOSE) & ~equal, (program.lower > -_LOOSE) & ~equal
    bounded = program.bound < _LOOSE
    unit = np.eye(n)
    left = np.vstack([program.rows[equal], program.rows[below], -program.rows[above], unit[bounded], -unit])
    right = [program.upper[equal], program.upper[below], -program.lower[above], program.bound[bounded], np.zeros(n)]
    matrix = sparse.csc_matrix(left)
    matrix.resize((len(left), size))
    if tail is not None:
        q[n], q[n + 1 :] = tail.weight, tail.cap
        one = sparse.identity(scenarios)
        losses = sparse.hstack([sparse.csc_matrix(slopes), -np.ones((scenarios, 1)), -one])
        positive = sparse.hstack([sparse.csc_matrix((scenarios, n + 1)), -one])
        matrix = sparse.vstack([matrix, losses, positive])
        right += [base, np.zeros(scenarios)]
    b = np.concatenate(right)
    cones = [clarabel.ZeroConeT(int(equal.sum())), clarabel.NonnegativeConeT(len(b) - int(equal.sum()))]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    result = clarabel.DefaultSolver(quadratic, q, sparse.csc_matrix(matrix), b, cones, settings).solve()
    if result.status != clarabel.SolverStatus.Solved:
        raise SolverError(f"Clarabel says {result.status}")
    found = np.array(result.x)
    return float(result.obj_val) + constant, found[:n], float(found[n]) if tail is not None else 0.0
