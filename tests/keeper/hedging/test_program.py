"""The hedge program's solvers against each other, against what is known on paper, and what they must refuse."""

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog, minimize

from keeper.hedging import interior
from keeper.hedging.cutting_planes import cutting_planes
from keeper.hedging.program import Program, SolverError, Square, Tail, certify
from keeper.hedging.second_opinion import clarabel_objective, second_opinion
from keeper.hedging.solver import solve
from tests.keeper.hedging.programs import degenerate, factor_hedge, program, tail_hedge


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

    assert ours.residual <= 1e-8 * max(1.0, abs(ours.objective))
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
    """Fault 11."""
    with pytest.raises(SolverError, match="Infeasible"):
        solve(program([], [0], [[1]], [20], lower=[11]))


@pytest.mark.parametrize(("cost", "coefficient", "upper"), [(math.nan, 1, 1), (0, math.nan, 1), (0, 1, math.nan)])
def test_a_program_with_nan_is_an_error(cost: float, coefficient: float, upper: float) -> None:
    """Fault 11."""
    with pytest.raises(SolverError, match="not finite"):
        solve(program([], [cost], [[coefficient]], [upper]))


@pytest.mark.parametrize("seed", range(12))
def test_the_factor_hedge_is_certified_and_clarabel_finds_no_better(seed: int) -> None:
    it = factor_hedge(seed)

    solution = solve(it)

    assert solution.residual <= 1e-8
    assert solution.objective == pytest.approx(clarabel_objective(it), abs=1e-7)
    bought, sold = solution.z[:20], solution.z[20:]
    assert np.max(np.minimum(bought, sold)) < 1e-6  # nobody buys and sells the same


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_degenerate_programs_are_solved_to_the_certificate_and_three_solvers_agree(seed: int) -> None:
    it = degenerate(seed)

    solution = solve(it)

    allowed = 1e-8 * max(1.0, abs(solution.objective))
    assert it.violation(solution.z) <= 1e-8
    assert solution.residual <= allowed
    assert solution.objective - solution.lower_bound <= allowed
    assert cutting_planes(it).objective == pytest.approx(solution.objective, abs=2e-7)
    assert clarabel_objective(it) == pytest.approx(solution.objective, abs=2e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(6)), st.floats(0.01, 100.0))
def test_neither_units_nor_the_order_of_instruments_matter(seed: int, order: list[int], unit: float) -> None:
    it = factor_hedge(seed, instruments=6, factors=4)
    both = np.array([*order, *(6 + i for i in order)])
    other = Program(
        it.linear[both] * unit,
        tuple(Square(s.weight, s.direction[both] * unit, s.offset) for s in it.squares),
        it.rows[:, both] * unit,
        it.lower,
        it.upper,
        it.bound[both] / unit,
        it.names,
    )

    ours, theirs = solve(it), solve(other)

    assert theirs.objective == pytest.approx(ours.objective, abs=2e-8)
    assert theirs.z * unit == pytest.approx(ours.z[both], abs=2e-3)  # where the objective is flat to 2e-8


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_hedge_is_never_worse_than_doing_nothing(seed: int) -> None:
    it = replace(factor_hedge(seed), rows=np.zeros((0, 40)), lower=np.zeros(0), upper=np.zeros(0), names=())

    assert solve(it).objective <= it.objective(np.zeros(40)) + 1e-9


@pytest.mark.parametrize("scenarios", [40, 1_000, 5_000])
def test_the_tail_hedge_is_that_of_the_whole_linear_program(scenarios: int) -> None:
    """Rockafellar and Uryasev's program with a row for every scenario, by Clarabel and by HiGHS."""
    it = tail_hedge(scenarios, scenarios, instruments=6)
    tail = it.tail
    assert tail is not None

    solution = solve(it)

    identity = sparse.identity(scenarios)
    whole = linprog(
        np.concatenate([it.linear, [tail.weight], np.full(scenarios, tail.cap)]),
        A_ub=sparse.hstack([-(tail.pnl.T @ tail.trades), -np.ones((scenarios, 1)), -identity]),
        b_ub=tail.base,
        bounds=[*((0, b) for b in it.bound), (None, None), *[(0, None)] * scenarios],
        method="highs",
    )
    assert solution.objective == pytest.approx(whole.fun, abs=1e-8)
    assert solution.objective == pytest.approx(clarabel_objective(it), abs=1e-7)
    assert solution.objective - solution.lower_bound <= 1e-8


@pytest.mark.parametrize("seed", range(4))
def test_the_second_opinion_is_the_same_wherever_it_looks_for_the_tail_first(seed: int) -> None:
    it = tail_hedge(seed, 3_000, instruments=6)
    solution = solve(it)
    nowhere_near = np.random.default_rng(seed).uniform(0.0, 1.0, len(it.linear)) * np.minimum(it.bound, 1.0)

    found = [clarabel_objective(it, near) for near in (solution.z, nowhere_near, it.bound, None)]

    assert found == pytest.approx([solution.objective] * 4, abs=1e-8)


def test_a_tail_that_was_missed_is_not_agreed_to() -> None:
    """The second opinion finds the scenarios that the first solution left out."""
    it = tail_hedge(3, 3_000, instruments=6)
    tail = it.tail
    assert tail is not None
    without = np.argsort(tail.base)[:100]
    blind = replace(
        it, tail=replace(tail, base=np.delete(tail.base, without), pnl=np.delete(tail.pnl, without, axis=1))
    )

    with pytest.raises(SolverError, match="disagree"):
        second_opinion(it, solve(blind))


def test_starting_near_the_last_solution_gives_the_same() -> None:
    it = tail_hedge(3, 4_000)
    cold = solve(it)

    assert solve(it, near=cold.z).objective == pytest.approx(cold.objective, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50), st.floats(0.01, 0.99))
def test_a_tail_is_the_mean_of_the_worst_losses(pnl: list[float], level: float) -> None:
    level = min(level, 1 - 1 / len(pnl))
    it = Tail(1.0, level, np.array(pnl), np.zeros((0, len(pnl))), np.zeros((0, 1)))

    losses = np.sort(-np.array(pnl))[::-1]
    share = (1 - level) * len(pnl)  # scenarios in the tail, the last in part
    whole = int(share)
    part = (share - whole) * losses[whole] if whole < len(losses) else 0.0
    assert it.at(np.zeros(1)) == pytest.approx((losses[:whole].sum() + part) / share, abs=1e-9)


def test_without_numba_the_cutting_planes_answer_and_clarabel_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 11: the second solver."""
    its = [factor_hedge(1), tail_hedge(1, 200, 4)]
    certified = [solve(it).objective for it in its]
    monkeypatch.setattr(interior, "_compiled", lambda: None)

    assert [solve(it).objective for it in its] == pytest.approx(certified, abs=1e-8)


@pytest.mark.parametrize("wrong", [0.01, -0.01, math.nan])
def test_a_candidate_that_is_not_the_solution_has_no_certificate(wrong: float) -> None:
    it = factor_hedge(0)
    solution = solve(it)

    z = solution.z.copy()
    z[int(np.argmax(z * (it.bound - z)))] += wrong

    assert not certify(it, z, solution.shadow_prices, np.zeros(0)).residual <= 1e-8


def test_two_solvers_that_disagree_are_an_error() -> None:
    """Fault 11."""
    it = factor_hedge(0)
    solution = solve(it)

    with pytest.raises(SolverError, match="disagree"):
        second_opinion(it, replace(solution, objective=solution.objective + 1e-3))


def test_an_unbounded_program_is_an_error() -> None:
    with pytest.raises(SolverError, match="HiGHS says"):
        solve(program([], [-1.0], [], [], bound=math.inf))


@pytest.mark.parametrize(
    "change", [{"weight": -1.0}, {"weight": 0.0}, {"level": 1.0}, {"level": 0.99}, {"base": np.array([math.nan] * 40)}]
)
def test_a_tail_that_means_nothing_is_an_error(change: dict[str, Any]) -> None:
    it = tail_hedge(0, 40, 2)
    assert it.tail is not None

    with pytest.raises(SolverError):
        solve(replace(it, tail=replace(it.tail, **change)))


def test_commands_that_solve_nothing_load_no_solver() -> None:
    code = "import sys, keeper.cli, keeper.hedging.solver; print({'numba', 'highspy', 'clarabel'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "set()"
