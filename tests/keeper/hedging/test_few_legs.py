"""Legs that cost gas: the best choice of all, found without looking at all."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.hedging.few_legs import solve_by_legs
from keeper.hedging.program import Program, SolverError
from keeper.hedging.solver import solve
from tests.keeper.hedging.programs import factor_hedge, mixed_integer, program, tail_hedge


def legs_of(instruments: int) -> list[list[int]]:
    """Bought and sold of each instrument."""
    return [[i, instruments + i] for i in range(instruments)]


def best_of_all(it: Program, instruments: int, gas: float, most: int) -> float:
    """Every subset of the legs, one by one."""
    costs = []
    for size in range(most + 1):
        for chosen in itertools.combinations(range(instruments), size):
            bound = it.bound.copy()
            for leg in set(range(instruments)) - set(chosen):
                bound[[leg, instruments + leg]] = 0.0
            try:
                costs.append(solve(replace(it, bound=bound)).objective + gas * size)
            except SolverError:
                continue
    return min(costs)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-3, 2e-2, 0.3]), st.integers(2, 5))
def test_the_choice_is_the_best_of_all(seed: int, gas: float, most: int) -> None:
    it = factor_hedge(seed, instruments=5, factors=4)
    it = replace(it, rows=np.zeros((0, 10)), lower=np.zeros(0), upper=np.zeros(0), names=())

    chosen = solve_by_legs(it, legs_of(5), gas, most)

    assert len(chosen.legs) <= most
    assert chosen.objective == pytest.approx(best_of_all(it, 5, gas, most), rel=2e-5, abs=2e-7)
    assert chosen.lower_bound <= chosen.objective <= chosen.lower_bound + max(2e-5 * abs(chosen.objective), 2e-7)


@pytest.mark.parametrize("seed", [0, 1])
def test_with_a_tail_it_is_what_a_mixed_integer_solver_finds(seed: int) -> None:
    scenarios, instruments, gas, most = 60, 5, 2e-3, 3
    it = tail_hedge(seed, scenarios, instruments)

    chosen = solve_by_legs(it, legs_of(instruments), gas, most)

    assert chosen.objective == pytest.approx(mixed_integer(it, gas, most), rel=1e-4)


def test_dearer_gas_never_means_more_legs() -> None:
    it = tail_hedge(3, 200, 6)

    counts = [len(solve_by_legs(it, legs_of(6), gas, 6).legs) for gas in (0.0, 1e-4, 1e-3, 1e-2, 1.0)]

    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


def test_limits_that_so_few_legs_cannot_keep_are_an_error() -> None:
    """Two variables of at most 1 have to sum to 1.5."""
    it = program([], [1.0, 1.0], [[1.0, 1.0]], [np.inf], lower=[1.5], bound=1.0)

    assert solve_by_legs(it, [[0], [1]], 0.1, 2).objective == pytest.approx(1.7)
    with pytest.raises(SolverError):
        solve_by_legs(it, [[0], [1]], 0.1, 1)
