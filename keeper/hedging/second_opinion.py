"""The hedge program by Clarabel (Goulart and Chen 2024), from its own statement of the problem: the second solver that
has to agree before anything is traded."""

from __future__ import annotations

import numpy as np

from keeper.hedging.program import Program, Solution, SolverError

_AGREEMENT = 1e-6  # of the objectives, shares of NAV, relative where they are large
_LOOSE = 1e15  # a limit beyond this is none


def second_opinion(program: Program, solution: Solution) -> None:
    """
    Raises:
        SolverError: Clarabel finds no solution, or one of another value.
    """
    theirs = clarabel_objective(program)
    if not abs(theirs - solution.objective) <= _AGREEMENT * max(1.0, abs(solution.objective)):
        raise SolverError(f"two solvers disagree: {solution.objective:.9f} and {theirs:.9f} of NAV")


def clarabel_objective(program: Program) -> float:
    """The minimum as Clarabel finds it: the squares as a matrix, the tail as one row per scenario.

    Raises:
        SolverError: it does not find one.
    """
    import clarabel  # here, so that commands which solve nothing start fast
    from scipy import sparse

    n, tail = len(program.linear), program.tail
    scenarios = 0 if tail is None else len(tail.base)
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
        losses = sparse.hstack([-(tail.pnl.T @ tail.trades), -np.ones((scenarios, 1)), -one])
        positive = sparse.hstack([sparse.csc_matrix((scenarios, n + 1)), -one])
        matrix = sparse.vstack([matrix, losses, positive])
        right += [tail.base, np.zeros(scenarios)]
    b = np.concatenate(right)
    cones = [clarabel.ZeroConeT(int(equal.sum())), clarabel.NonnegativeConeT(len(b) - int(equal.sum()))]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    result = clarabel.DefaultSolver(quadratic, q, sparse.csc_matrix(matrix), b, cones, settings).solve()
    if result.status != clarabel.SolverStatus.Solved:
        raise SolverError(f"Clarabel says {result.status}")
    return float(result.obj_val) + constant
