"""The keeper's numerics against the libraries that one would otherwise use; goals are QUANT.md's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import numpy.typing as npt

from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.hedging.decide import decide, instruments_of
from keeper.hedging.problem import book_of, build
from keeper.hedging.program import Program, Solution, solve
from keeper.risk.valuation import value
from tests.bench import pricing, surface
from tests.bench.results import Row, medians, row
from tests.keeper.hedging.conftest import make_snapshot, option

Array = npt.NDArray[np.float64]

_POLICY = Policy()


def run() -> list[Row]:
    """All rows."""
    return [*pricing.run(), *surface.run(), *_hedging()]


# ---------------------------------------------------------------- the hedge


def _hedging() -> list[Row]:
    book = (option(True, 3_000, -50), option(False, 2_800, -10), option(True, 3_200, -20), option(False, 2_700, -20))
    snapshots = [make_snapshot(book, spot=2_950.0 + 10 * i, held=5.0, debt=2.0) for i in range(8)]
    programs = [_program(snapshot) for snapshot in snapshots]
    again = _Dpp(programs[0])
    gap = residual = 0.0
    for program in programs:
        solution = solve(program)
        for theirs in (_rebuilt(program), again.solve(program)):
            assert abs(program.objective(theirs) - solution.objective) < 1e-7, "the peers solve something else"
        gap = max(gap, solution.objective - solution.lower_bound)
        residual = max(residual, _kkt_residual(program, solution))

    def new_data(function: Callable[[Any], Any], data: list[Any]) -> Callable[[], Any]:
        turn = itertools.cycle(data)
        return lambda: function(next(turn))

    seconds = medians(
        {
            "decide": new_data(lambda s: decide(s, _POLICY), snapshots),
            "rebuilt": new_data(lambda s: _rebuilt(_program(s)), snapshots),
            "dpp": new_data(lambda s: again.solve(_program(s)), snapshots),
            "solve": new_data(solve, programs),
            "solve rebuilt": new_data(_rebuilt, programs),
            "solve dpp": new_data(again.solve, programs),
        },
        40,
    )
    ms = {name: 1e3 * taken for name, taken in seconds.items()}
    hedge, alone = "hedge from snapshot to decision, 2 instruments", "hedge program alone, 2 instruments"
    return [
        row(hedge, ms["decide"], "ms", ours_goal=0.3),
        row(f"{hedge} (peer: cvxpy rebuilt)", ms["decide"], "ms", peer=ms["rebuilt"], ratio_goal=25.0),
        row(f"{hedge} (peer: cvxpy DPP)", ms["decide"], "ms", peer=ms["dpp"]),
        row(f"{alone} (peer: cvxpy rebuilt)", ms["solve"], "ms", peer=ms["solve rebuilt"]),
        row(f"{alone} (peer: cvxpy DPP)", ms["solve"], "ms", peer=ms["solve dpp"]),
        row(f"{alone}: largest KKT residual", residual, "of NAV", ours_goal=1e-8),
        row(f"{alone}: largest gap to the lower bound", gap, "of NAV"),
    ]


def _program(snapshot: Snapshot) -> Program:
    return build(book_of(snapshot, value(snapshot), _POLICY), instruments_of(snapshot), _POLICY)


def _kkt_residual(program: Program, solution: Solution) -> float:
    """Largest of: a slope that no bound holds, a price of a row that does not bind, a violation."""
    z = solution.z
    slope = program.linear - program.rows.T @ solution.shadow_prices
    for square in program.squares:
        slope = slope + square.weight * square.point(z) * square.direction
    held_below, held_above = z <= 1e-12, z >= program.bound - 1e-12
    wrong = np.maximum(np.where(held_below, 0.0, slope), np.where(held_above, 0.0, -slope))
    activity, prices = program.rows @ z, solution.shadow_prices
    room = np.where(prices > 0.0, activity - program.lower, program.upper - activity)
    slack = np.abs(prices * np.where(prices == 0.0, 0.0, np.nan_to_num(room, posinf=1.0)))
    return max(float(wrong.max()), float(slack.max()), program.violation(z))


def _matrices(program: Program) -> tuple[Array, Array, Array, Array]:
    """G, h, D, o of: min linear @ z + |D z + o|^2 subject to G z <= h, z >= 0."""
    below, above, bounded = (np.isfinite(a) for a in (program.upper, program.lower, program.bound))
    g = np.vstack([program.rows[below], -program.rows[above], np.eye(len(program.linear))[bounded]])
    h = np.concatenate([program.upper[below], -program.lower[above], program.bound[bounded]])
    roots = np.sqrt([square.weight / 2 for square in program.squares])
    d = roots[:, None] * np.array([square.direction for square in program.squares])
    return g, h, d, roots * np.array([square.offset for square in program.squares])


def _rebuilt(program: Program) -> Array:
    """The program stated anew in cvxpy, solved by Clarabel."""
    g, h, d, o = _matrices(program)
    z = cp.Variable(len(program.linear), nonneg=True)
    cp.Problem(cp.Minimize(program.linear @ z + cp.sum_squares(d @ z + o)), [g @ z <= h]).solve(solver=cp.CLARABEL)
    return np.asarray(z.value)


class _Dpp:
    """The program stated once with parameters (disciplined parametrised programming), solved by Clarabel."""

    def __init__(self, like: Program) -> None:
        self._z = cp.Variable(len(like.linear), nonneg=True)
        self._parameters = [cp.Parameter(data.shape) for data in (like.linear, *_matrices(like))]
        linear, g, h, d, o = self._parameters
        objective = linear @ self._z + cp.sum_squares(d @ self._z + o)
        self._problem = cp.Problem(cp.Minimize(objective), [g @ self._z <= h])

    def solve(self, program: Program) -> Array:
        for parameter, data in zip(self._parameters, (program.linear, *_matrices(program)), strict=True):
            parameter.value = data
        self._problem.solve(solver=cp.CLARABEL)
        return np.asarray(self._z.value)
