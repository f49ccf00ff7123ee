"""The hedging frontier: a short one-year call at 1 % costs, 20,000 paths of 500 steps, common to all rules."""

from __future__ import annotations

import numpy as np

from tests.bench.results import Row, row
from tests.keeper.hedging import frontier

_STEPS, _PATHS = 500, 20_000
_AVERSIONS = (0.2, 0.35, 0.55, 1.0, 1.6, 2.2, 3.0)


def run() -> list[Row]:
    """All rows."""
    spots = frontier.paths(_PATHS, _STEPS, seed=1)
    regions = {aversion: frontier.optimal_region(aversion, _STEPS) for aversion in _AVERSIONS}
    rules = {
        "dynamic program": [frontier.optimal(found) for found in regions.values()],
        "Zakamouline": [frontier.zakamouline(aversion) for aversion in _AVERSIONS],
        "Whalley-Wilmott": [frontier.asymptotic_band(aversion) for aversion in (0.1, 0.2, 0.4, 0.8, 1.6)],
        "fixed band": [frontier.fixed_band(half) for half in (0.04, 0.07, 0.1, 0.15, 0.2)],
        "Leland": [frontier.leland(interval, _STEPS) for interval in (10, 25, 50, 100)],
        "Black-Scholes on the clock": [frontier.on_the_clock(interval) for interval in (10, 25, 50, 100)],
    }
    outcomes = {name: [frontier.outcomes(spots, rule) for rule in those] for name, those in rules.items()}
    found = {name: np.array([frontier.summary(one) for one in those]) for name, those in outcomes.items()}
    at = {name: _cost_at(1.5, those) for name, those in found.items()}
    worst = {name: float(those[:, 2].min()) for name, those in found.items()}
    ours, peers = "dynamic program", [name for name in rules if name != "dynamic program"]
    lattice = frontier.paths(_PATHS, _STEPS, seed=1, on_lattice=True)
    excess = max(
        frontier.certain(frontier.outcomes(lattice, frontier.optimal(regions[aversion])), aversion)
        / ((regions[aversion].liability - _premium()) * np.exp(frontier.MARKET.rate))
        - 1
        for aversion in _AVERSIONS[:4]
    )
    return [
        row("hedging cost at standard deviation 1.5", at[ours], "USDC", ours_goal=1.50),
        *(row(f"hedging cost at 1.5 (peer: {name})", at[ours], "USDC", peer=at[name]) for name in peers),
        row("hedging, best CVaR 95 %", worst[ours], "USDC", ours_goal=3.95),
        *(row(f"hedging, best CVaR 95 % (peer: {name})", worst[ours], "USDC", peer=worst[name]) for name in peers),
        row("hedging: certainty equivalent above the dynamic program's", excess, "share", ours_goal=0.02),
    ]


def _premium() -> float:
    return float(frontier.call(frontier.MARKET.spot, frontier.MARKET.vol, frontier.MARKET.years)[0])


def _cost_at(deviation: float, points: frontier.Array) -> float:
    """On the lower envelope: the least of all segments between two of the rule's points."""
    best = float("inf")
    for a in points:
        for b in points:
            if a[1] <= deviation <= b[1] and b[1] > a[1]:
                best = min(best, float(np.interp(deviation, [a[1], b[1]], [a[0], b[0]])))
    return best
