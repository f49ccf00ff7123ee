"""HiGHS on the hedge program's form, against an independent solver and against what it must refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from keeper.hedging.program import Program, SolverError, Square, solve


def program(
    squares: list[tuple[float, list[float], float]],
    linear: list[float],
    rows: list[list[float]],
    upper: list[float],
    lower: list[float] | None = None,
) -> Program:
    n = len(linear)
    return Program(
        np.array(linear, dtype=float),
        tuple(Square(weight, np.array(direction, dtype=float), offset) for weight, direction, offset in squares),
        np.array(rows, dtype=float).reshape(-1, n),
        np.array(lower if lower is not None else [-np.inf] * len(upper), dtype=float),
        np.array(upper, dtype=float),
        np.full(n, 10.0),
        tuple(f"row {i}" for i in range(len(upper))),
    )


def test_squares_with_a_binding_row_have_the_solution_on_paper() -> None:
    # min (x-3)^2 + (y-2)^2 subject to x + y <= 3: the point (2, 1), shadow price 2
    it = program([(2, [1, 0], -3), (2, [0, 1], -2)], [0, 0], [[1, 1]], [3])

    solution = solve(it)

    assert solution.z == pytest.approx([2.0, 1.0], abs=1e-4)
    assert abs(solution.shadow_prices[0]) == pytest.approx(2.0, abs=1e-3)
    assert solution.objective == pytest.approx(2.0, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_other_solver_finds_a_better_feasible_point(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = 5, 4
    squares = [(float(rng.uniform(0, 3)), rng.normal(size=n).tolist(), float(rng.normal())) for _ in range(4)]
    it = program(
        squares, rng.normal(size=n).tolist(), rng.normal(size=(m, n)).tolist(), rng.uniform(0.5, 2, m).tolist()
    )

    ours = solve(it)
    peer = minimize(
        it.objective,
        np.zeros(n),
        jac=lambda z: it.linear + sum(s.weight * s.point(z) * s.direction for s in it.squares),
        bounds=[(0, 10)] * n,
        constraints={"type": "ineq", "fun": lambda z: it.upper - it.rows @ z, "jac": lambda z: -it.rows},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )

    assert it.violation(ours.z) <= 1e-6
    assert abs(ours.objective - ours.lower_bound) <= 2e-9 * max(1.0, abs(ours.objective))
    assert ours.objective <= peer.fun + 1e-6 * max(1.0, abs(peer.fun))


def test_many_squares_meet_although_the_solver_rounds_each() -> None:
    """Its tolerance under each of them adds up to more than the gap."""
    n = 30
    squares = [(2e-4, np.eye(n)[i].tolist(), -0.01 * i) for i in range(n)]
    it = program([*squares, (50.0, [1.0] * n, -1.0)], [1e-4] * n, [], [])

    solution = solve(it)

    assert solution.objective - solution.lower_bound < 1e-8


def test_large_objectives_meet_relative_to_their_size() -> None:
    solution = solve(program([(1e6, [1, 0.3], -20.0), (1e5, [0.1, 1], 30.0)], [3.0, 1.0], [], []))

    assert solution.objective == pytest.approx(solution.lower_bound, rel=1e-8)


def test_an_infeasible_program_is_an_error_with_its_reason() -> None:
    with pytest.raises(SolverError, match="Infeasible"):
        solve(program([], [0], [[1]], [20], lower=[11]))


@pytest.mark.parametrize(("cost", "coefficient", "upper"), [(math.nan, 1, 1), (0, math.nan, 1), (0, 1, math.nan)])
def test_a_program_with_nan_is_an_error(cost: float, coefficient: float, upper: float) -> None:
    with pytest.raises(SolverError, match="not finite"):
        solve(program([], [cost], [[coefficient]], [upper]))
