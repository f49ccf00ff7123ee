"""Price and Greeks of many options by us and by textbook numpy; run as a script, one of them in a process of its own.

Textbook numpy makes some twenty arrays as large as its input. Whether the C library keeps their memory between calls or
gives it back and has it faulted in anew, which takes longer than the formulas, depends on what else the process has
allocated: a process that has once freed some megabytes keeps it. So neither speed is the speed, and the benchmark
measures both.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from keeper.pricing.black76 import greeks
from keeper.pricing.kernel import Method

Array = npt.NDArray[np.float64]

_CALLS = 25


@dataclass(frozen=True)
class Options:
    """European options on a stock without dividends, as QUANT.md's baselines."""

    spot: Array
    strike: Array
    years: Array
    vol: Array
    is_call: npt.NDArray[np.bool_]
    rate: Array

    @classmethod
    def random(cls, size: int) -> Options:
        rng = np.random.default_rng(7)
        strike = 100.0 * np.exp(rng.normal(0.0, 0.3, size))
        years, vol = rng.uniform(1 / 365, 1.0, size), rng.uniform(0.2, 1.5, size)
        is_call, rate = rng.random(size) < 0.5, rng.uniform(-0.01, 0.08, size)
        return cls(np.full(size, 100.0), strike, years, vol, is_call, rate)

    def rows(self) -> list[tuple[float, float, float, float, bool, float]]:
        columns = (self.spot, self.strike, self.years, self.vol, self.is_call, self.rate)
        return list(zip(*(column.tolist() for column in columns), strict=True))


def ours(o: Options, method: Method) -> tuple[Array, ...]:
    """Price, delta, gamma, vega, theta, rho, vanna and volga."""
    g = greeks(o.spot, o.strike, o.vol, o.years, o.is_call, o.rate, o.rate, method=method)
    return g.price, g.delta, g.gamma, g.vega, g.theta, g.rho, g.vanna, g.volga


def naive(o: Options) -> tuple[Array, ...]:
    """The same by the formulas as they stand in the textbook, common terms computed once."""
    root = np.sqrt(o.years)
    d1 = (np.log(o.spot / o.strike) + (o.rate + 0.5 * o.vol * o.vol) * o.years) / (o.vol * root)
    d2 = d1 - o.vol * root
    discount = np.exp(-o.rate * o.years)
    density = np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
    sign = np.where(o.is_call, 1.0, -1.0)
    n1, n2 = ndtr(sign * d1), ndtr(sign * d2)
    price = sign * (o.spot * n1 - o.strike * discount * n2)
    vega = o.spot * density * root
    theta = -o.spot * density * o.vol / (2 * root) - sign * o.rate * o.strike * discount * n2
    rho = sign * o.strike * o.years * discount * n2
    gamma = density / (o.spot * o.vol * root)
    return price, sign * n1, gamma, vega, theta, rho, -density * d2 / o.vol, vega * d1 * d2 / o.vol


def main() -> None:
    """Arguments: naive, numpy or kernel, and how many options. Prints the median seconds of a call."""
    path, options = sys.argv[1], Options.random(int(sys.argv[2]))
    calls = {"naive": lambda: naive(options), "numpy": lambda: ours(options, "numpy")}
    call = calls.get(path, lambda: ours(options, "kernel"))
    call()
    times = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    print(statistics.median(times))


if __name__ == "__main__":
    main()
