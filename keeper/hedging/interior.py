"""The hedge program by an interior-point method, compiled.

Mehrotra's predictor and corrector (1992) on all rows at once: no vertex is walked, so degenerate books, where many
margin rows meet, take as many steps as others: some fifteen. Each step factors one matrix of the size of the variables;
the scenarios of a tail are eliminated one by one before that, so they cost only passes over them.

A row with equal limits is held by a penalty whose multiplier is updated at every step (Rockafellar 1976). A variable
with bound zero is left out. What comes out is a candidate: `keeper.hedging.program.certify` decides what it is worth.

The loops in `interior_loops` are compiled by numba at the first call, which takes some ten seconds once per machine:
the result is kept on disk.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keeper.hedging import interior_loops
from keeper.hedging.program import Array, Program


def interior_point(
    program: Program, scenarios: npt.NDArray[np.intp] | None = None
) -> tuple[Array, Array, Array, bool] | None:
    """A candidate for the solution: variables (n,), shadow prices of the rows (m,), what each of the tail's scenarios
    weighs (S,), and whether the method has converged. None without numba.

    Args:
        scenarios: Of the tail: the only ones that may weigh, as if all others lost less than the quantile.
    """
    run = _compiled()
    if run is None:
        return None
    n, tail = len(program.linear), program.tail
    weights, directions, offsets = program.stacked
    kappa, cap, base, pnl, trades = 0.0, 0.0, np.zeros(0), np.zeros((0, 0)), np.zeros((0, n))
    if tail is not None:
        kept = slice(None) if scenarios is None else scenarios
        kappa, cap, trades = tail.weight, tail.cap, tail.trades
        base, pnl = tail.base[kept], np.ascontiguousarray(tail.pnl[:, kept])
    scale = max(float(np.abs(program.linear).max(initial=0.0)), float(weights.max(initial=0.0)), kappa) or 1.0
    z, prices, shares, converged = run(
        program.linear / scale,
        weights / scale,
        directions,
        offsets,
        np.ascontiguousarray(program.rows),
        program.lower,
        program.upper,
        program.bound,
        kappa / scale,
        cap / scale,
        base,
        pnl,
        np.ascontiguousarray(trades),
    )
    if tail is not None:
        everywhere = np.zeros(len(tail.base))
        everywhere[kept] = shares
        shares = everywhere
    return z, prices * scale, shares * scale, bool(converged)


@functools.cache
def _compiled() -> Callable[..., Any] | None:
    try:
        numba = importlib.import_module("numba")
    except ImportError:
        return None
    flags: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
    extending = importlib.import_module("numba.extending")
    for helper in interior_loops.HELPERS:
        extending.register_jitable(**flags)(helper)
    try:
        compiled = numba.njit(cache=True, **flags)(interior_loops.minimise)
    except RuntimeError:  # nowhere to keep the result: compile for this process alone
        compiled = numba.njit(**flags)(interior_loops.minimise)
    return compiled  # type: ignore[no-any-return]
