"""The hedge program with a price for every leg and a limit on their number: branch and bound.

A leg is a group of variables, of which it uses one at a time, that is either all zero or costs its gas: a mixed-integer
program. While a leg is undecided its gas counts in proportion, gas / bound per unit, and the shares of bounds add up to
no more legs than are left. Neither is more than the truth, so the continuous solution bounds every choice below it. The
node of least bound is split where the gas is counted most wrongly, until none can beat the best choice found by more
than the tolerance.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from keeper.hedging.program import Array, Program, Solution, SolverError
from keeper.hedging.solver import solve

_GAP, _RELATIVE_GAP = 1e-7, 1e-5  # share of NAV, and of the objective
_MAX_NODES, _MAX_TAIL_NODES = 200, 20  # a node with a tail takes ten times as long
_UNUSED = 1e-9  # share of NAV that is no trade


@dataclass(frozen=True)
class Chosen:
    """The best choice of legs: the program with no others and its solution, gas not counted; then, gas counted, what it
    costs and what no choice can beat."""

    program: Program
    solution: Solution
    legs: tuple[int, ...]
    objective: float
    lower_bound: float

    @property
    def gap(self) -> float:
        """What a better choice may save, share of NAV; 0 where the search has ended, to its tolerance."""
        gap = self.objective - self.lower_bound
        return gap if gap > max(_GAP, _RELATIVE_GAP * abs(self.objective)) else 0.0


def solve_by_legs(program: Program, legs: Sequence[Sequence[int]], gas: float, most: int) -> Chosen:
    """The cheapest choice of legs, to 1e-5 of the objective, or the best that 200 nodes find, 20 with a tail:
    `Chosen.gap` tells which.

    Args:
        legs: The variables of each leg, whose bounds are finite.
        gas: Of a leg, share of NAV.
        most: Legs that may trade.

    Raises:
        SolverError: as `solve`, or no choice of so few legs was found that keeps the limits.
    """
    search = _Search(program, [np.asarray(leg, dtype=np.intp) for leg in legs], gas, most)
    search.open(frozenset(), frozenset(), np.zeros(len(program.linear)))
    for _ in range(_MAX_NODES if program.tail is None else _MAX_TAIL_NODES):
        if not search.split_best():
            break
    if search.best is None:
        raise SolverError("no choice of so few legs keeps the limits")
    return replace(search.best, lower_bound=search.lower_bound())


class _Search:
    def __init__(self, program: Program, legs: list[Array], gas: float, most: int) -> None:
        self._program, self._legs, self._gas, self._most = program, legs, gas, most
        self._nodes: list[tuple[float, int, frozenset[int], frozenset[int], Array]] = []
        self._count = itertools.count()
        self._tried: set[frozenset[int]] = set()
        self.best: Chosen | None = None

    def open(self, kept: frozenset[int], left_out: frozenset[int], near: Array) -> None:
        """Solve a node and keep it if it may hold something better; try the legs that its solution uses."""
        if len(kept) > self._most:
            return
        if len(kept) == self._most:
            left_out = frozenset(range(len(self._legs))) - kept
        try:
            relaxed = solve(self._relaxed(kept, left_out), near)
        except SolverError:
            if not kept and not left_out:
                raise
            return  # no trade with these legs keeps the limits
        bound = relaxed.objective + self._gas * len(kept)
        if self._is_promising(bound):
            used = sorted(self._used(relaxed.z), key=lambda leg: -self._share(relaxed.z, leg))
            self._try(frozenset(used[: self._most]), relaxed.z)
            heapq.heappush(self._nodes, (bound, next(self._count), kept, left_out, relaxed.z))

    def split_best(self) -> bool:
        """Split the node of least bound; False when none is left that may hold something better."""
        if not self._nodes or not self._is_promising(self._nodes[0][0]):
            return False
        _, _, kept, left_out, z = heapq.heappop(self._nodes)
        undecided = [leg for leg in self._used(z) if leg not in kept]
        if undecided:
            leg = max(undecided, key=lambda leg: 0.5 - abs(self._share(z, leg) - 0.5))
            self.open(kept | {leg}, left_out, z)
            self.open(kept, left_out | {leg}, z)
        return True

    def lower_bound(self) -> float:
        """What no choice can beat."""
        assert self.best is not None
        return min([self.best.objective, *(node[0] for node in self._nodes)])

    def _is_promising(self, bound: float) -> bool:
        best = self.best
        return best is None or bound < best.objective - max(_GAP, _RELATIVE_GAP * abs(best.objective))

    def _try(self, chosen: frozenset[int], near: Array) -> None:
        if chosen in self._tried:
            return
        self._tried.add(chosen)
        try:
            program = self._without(frozenset(range(len(self._legs))) - chosen)
            solution = solve(program, near)
        except SolverError:
            return
        used = tuple(sorted(self._used(solution.z)))
        objective = solution.objective + self._gas * len(used)
        if self.best is None or objective < self.best.objective:
            self.best = Chosen(program, solution, used, objective, objective)

    def _used(self, z: Array) -> list[int]:
        return [i for i, leg in enumerate(self._legs) if z[leg].sum() > _UNUSED]

    def _share(self, z: Array, leg: int) -> float:
        columns = self._legs[leg]
        return float(np.sum(z[columns] / np.maximum(self._program.bound[columns], _UNUSED)))

    def _without(self, left_out: frozenset[int]) -> Program:
        bound = self._program.bound.copy()
        for leg in left_out:
            bound[self._legs[leg]] = 0.0
        return replace(self._program, bound=bound)

    def _relaxed(self, kept: frozenset[int], left_out: frozenset[int]) -> Program:
        program = self._without(left_out)
        undecided = [leg for leg in range(len(self._legs)) if leg not in kept and leg not in left_out]
        if not undecided:
            return program
        shares = np.zeros(len(program.linear))
        for leg in undecided:
            shares[self._legs[leg]] = 1.0 / np.maximum(program.bound[self._legs[leg]], _UNUSED)
        shares[program.bound <= _UNUSED] = 0.0
        return replace(
            program,
            linear=program.linear + self._gas * shares,
            rows=np.vstack([program.rows, shares]),
            lower=np.append(program.lower, -np.inf),
            upper=np.append(program.upper, float(self._most - len(kept))),
            names=(*program.names, "legs"),
        )
