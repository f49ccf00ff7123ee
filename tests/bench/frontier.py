"""The hedging frontier: a short one-year call at 1 % costs, 20,000 paths of 500 steps, common to all rules."""

from __future__ import annotations

from functools import cache

import numpy as np

from keeper.hedging.indifference import Region
from tests.bench.results import Row, row
from tests.keeper.hedging import frontier

OURS = "dynamic program"
DEVIATIONS = (1.0, 1.5, 2.0)
# QUANT.md's table: mean shortfall at these standard deviations, best CVaR 95 %; NaN where it has none.
RECORDED = {
    "clock": (np.nan, 2.6, 1.87, 6.38),
    "Leland": (3.11, 2.23, 1.77, 5.33),
    "fixed band": (np.nan, 1.78, 1.43, 5.02),
    "Whalley-Wilmott": (np.nan, 1.55, 1.30, 4.83),
    "Zakamouline": (2.08, 1.53, 1.28, 3.97),
}
_STEPS, _PATHS = 500, 20_000
_AVERSIONS = (0.15, 0.2, 0.35, 0.55, 1.0, 1.6, 2.2, 3.0, 5.0)


def run() -> list[Row]:
    """All rows; the table is printed."""
    found = summaries()
    table = {name: [*(cost_at(sd, those) for sd in DEVIATIONS), those[:, 2].min()] for name, those in found.items()}
    print(f"\n| hedging, 1 % costs: mean shortfall at deviation | {' | '.join(map(str, DEVIATIONS))} | best CVaR |")
    print("|---|" + "---|" * (len(DEVIATIONS) + 1))
    for name, numbers in table.items():
        print(f"| {name} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    apart = max(float(np.nanmax(np.abs(np.array(table[name]) / said - 1))) for name, said in RECORDED.items())
    peers = [name for name in table if name != OURS]
    cost, worst = ({name: numbers[i] for name, numbers in table.items()} for i in (1, 3))
    return [
        row("hedging cost at standard deviation 1.5", cost[OURS], "USDC", ours_goal=1.50),
        *(row(f"hedging cost at 1.5 (peer: {name})", cost[OURS], "USDC", peer=cost[name]) for name in peers),
        row("hedging, best CVaR 95 %", worst[OURS], "USDC", ours_goal=3.95),
        *(row(f"hedging, best CVaR 95 % (peer: {name})", worst[OURS], "USDC", peer=worst[name]) for name in peers),
        row("hedging frontier: farthest of QUANT.md's table", apart, "share", ours_goal=0.05),
        row("hedging: certainty equivalent above the dynamic program's", _excess(), "share", ours_goal=0.02),
    ]


@cache
def summaries() -> dict[str, frontier.Array]:
    """Mean shortfall, standard deviation and CVaR of each rule, by the number that trades one for another, (n, 3)."""
    spots = frontier.paths(_PATHS, _STEPS, seed=1)
    rules = {
        "clock": [frontier.on_the_clock(interval) for interval in (5, 10, 25, 50, 100)],
        "Leland": [frontier.leland(interval, _STEPS) for interval in (3, 5, 10, 25, 50, 100)],
        "fixed band": [frontier.fixed_band(half) for half in (0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.25)],
        "Whalley-Wilmott": [frontier.asymptotic_band(aversion) for aversion in (0.1, 0.2, 0.4, 0.8, 1.6, 4.0)],
        "hedge program": [frontier.hedge_program(aversion) for aversion in (0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 3.0)],
        "Zakamouline": [frontier.zakamouline(aversion) for aversion in _AVERSIONS],
        OURS: [frontier.optimal(_region(aversion)) for aversion in _AVERSIONS],
    }
    return {
        name: np.array([frontier.summary(frontier.outcomes(spots, rule)) for rule in those])
        for name, those in rules.items()
    }


def cost_at(deviation: float, points: frontier.Array) -> float:
    """On the lower envelope: the least of all segments between two of the rule's points; NaN beyond them."""
    best = float("nan")
    for a in points:
        for b in points:
            if a[1] <= deviation <= b[1] and b[1] > a[1]:
                best = float(np.fmin(best, np.interp(deviation, [a[1], b[1]], [a[0], b[0]])))
    return best


@cache
def _region(aversion: float) -> Region:
    return frontier.optimal_region(aversion, _STEPS)


def _excess() -> float:
    lattice = frontier.paths(_PATHS, _STEPS, seed=1, on_lattice=True)
    premium = float(frontier.call(frontier.MARKET.spot, frontier.MARKET.vol, frontier.MARKET.years)[0])
    return max(
        frontier.certain(frontier.outcomes(lattice, frontier.optimal(_region(aversion))), aversion)
        / ((_region(aversion).liability - premium) * np.exp(frontier.MARKET.rate))
        - 1
        for aversion in (0.2, 0.35, 0.55, 1.0)
    )
