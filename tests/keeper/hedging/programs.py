"""Hedge programs made by hand and at random, for the solvers' tests and benchmarks."""

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from keeper.hedging.program import Program, Square, Tail

Array = npt.NDArray[np.float64]


def program(
    squares: list[tuple[float, list[float], float]],
    linear: list[float],
    rows: list[list[float]],
    upper: list[float],
    lower: list[float] | None = None,
    bound: float = 10.0,
) -> Program:
    """A program of a few numbers; every variable has the same bound."""
    n = len(linear)
    return Program(
        np.array(linear, dtype=float),
        tuple(Square(weight, np.array(direction, dtype=float), offset) for weight, direction, offset in squares),
        np.array(rows, dtype=float).reshape(-1, n),
        np.array(lower if lower is not None else [-np.inf] * len(upper), dtype=float),
        np.array(upper, dtype=float),
        np.full(n, bound),
        tuple(f"row {i}" for i in range(len(upper))),
    )


def factor_hedge(seed: int, instruments: int = 20, factors: int = 10) -> Program:
    """QUANT's hedge: variance of the factors left, proportional costs, boxes, and delta hit exactly. Variables: what is
    bought of each instrument, then what is sold."""
    rng = np.random.default_rng(seed)
    exposures, book = rng.normal(size=(factors, instruments)), 0.3 * rng.normal(size=factors)
    weights = np.exp(rng.normal(size=factors))
    cost, box, delta = (rng.uniform(*limits, instruments) for limits in ((1e-3, 2e-2), (0.05, 0.5), (0.5, 1.0)))
    return Program(
        np.hstack([cost, cost]),
        tuple(Square(w, np.hstack([b, -b]), f) for w, b, f in zip(weights, exposures, book, strict=True)),
        np.hstack([delta, -delta])[None],
        np.array([0.1]),
        np.array([0.1]),
        np.hstack([box, box]),
        ("delta",),
    )


def tail_hedge(seed: int, scenarios: int = 10_000, instruments: int = 20) -> Program:
    """QUANT's CVaR hedge: 95 % CVaR of a short-gamma book under fat-tailed factors, and proportional costs."""
    rng = np.random.default_rng(seed)
    factors = 0.02 * rng.standard_t(4, size=(scenarios, 8))
    pnl = rng.normal(size=(instruments, 8)) @ factors.T + 0.004 * rng.normal(size=(instruments, scenarios))
    base = factors @ (0.7 * rng.normal(size=8)) - 12.0 * factors[:, 0] ** 2
    cost, box = rng.uniform(1e-4, 2e-3, instruments), rng.uniform(0.1, 0.6, instruments)
    trades = np.hstack([np.eye(instruments), -np.eye(instruments)])
    return Program(
        np.hstack([cost, cost]),
        (),
        np.zeros((0, 2 * instruments)),
        np.zeros(0),
        np.zeros(0),
        np.hstack([box, box]),
        (),
        Tail(1.0, 0.95, base, pnl, trades),
    )


def degenerate(seed: int) -> Program:
    """Random, with what makes solvers stumble: rows twice, rows of zeros, bounds of zero, limits that meet at the
    start, equal limits, no curvature in most directions, and sometimes a tail whose scenarios repeat."""
    rng = np.random.default_rng(seed)
    n, m, k = int(rng.integers(2, 9)), int(rng.integers(1, 7)), int(rng.integers(0, 4))
    rows = rng.integers(-2, 3, size=(m, n)).astype(float)
    inside = rng.uniform(0, 1, n) * (rng.random(n) < 0.7)
    activity = rows @ inside
    slack = rng.choice([0.0, 0.5, np.inf], size=(2, m), p=[0.35, 0.35, 0.3])
    rows, low, high = np.vstack([rows, rows[:1]]), activity - slack[0], activity + slack[1]
    tail = None
    if rng.random() < 0.5:
        s, i = int(rng.integers(5, 60)), int(rng.integers(1, 4))
        pnl = np.tile(rng.normal(size=(i, s)), 2)
        tail = Tail(
            float(rng.uniform(0.1, 2)), float(rng.choice([0.5, 0.9])), np.tile(rng.normal(size=s), 2), pnl,
            rng.integers(-1, 2, size=(i, n)).astype(float),
        )  # fmt: skip
    return Program(
        rng.uniform(-0.2, 1.0, n) * (rng.random(n) < 0.8),
        tuple(Square(float(rng.choice([0.0, 1e-3, 2.0])), rng.normal(size=n), float(rng.normal())) for _ in range(k)),
        rows,
        np.append(low, low[0]),
        np.append(high, high[0]),
        np.where(inside > 0, rng.uniform(1, 3, n), rng.choice([0.0, 1.0], n)),
        tuple(f"row {i}" for i in range(m + 1)),
        tail,
    )


def mixed_integer(it: Program, gas: float, most: int) -> float:
    """The minimum of a `tail_hedge` whose legs cost ``gas`` and are at most ``most``, by scipy.milp."""
    tail = it.tail
    assert tail is not None
    instruments, scenarios = tail.pnl.shape
    columns = 2 * instruments + 1 + scenarios + instruments
    losses = sparse.hstack(
        [-(tail.pnl.T @ tail.trades), -np.ones((scenarios, 1)), -sparse.identity(scenarios),
         sparse.csr_matrix((scenarios, instruments))]
    )  # fmt: skip
    switches = np.zeros((instruments, columns))
    for i in range(instruments):
        switches[i, [i, instruments + i]] = 1 / it.bound[i]
        switches[i, columns - instruments + i] = -1
    number = np.zeros((1, columns))
    number[0, -instruments:] = 1
    found = milp(
        np.concatenate([it.linear, [tail.weight], np.full(scenarios, tail.cap), np.full(instruments, gas)]),
        integrality=np.concatenate([np.zeros(columns - instruments), np.ones(instruments)]),
        bounds=Bounds(
            np.concatenate([np.zeros(2 * instruments), [-np.inf], np.zeros(scenarios + instruments)]),
            np.concatenate([it.bound, [np.inf], np.full(scenarios, np.inf), np.ones(instruments)]),
        ),
        constraints=[
            LinearConstraint(losses, ub=tail.base),
            LinearConstraint(switches, ub=0.0),
            LinearConstraint(number, ub=most),
        ],
        options={"mip_rel_gap": 1e-7},
    )
    return float(found.fun)
