"""A short call hedged by a rule along simulated paths, for the rules' tests and the frontier of the benchmark."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from keeper.hedging import bands
from keeper.hedging.bands import leland_vol, whalley_wilmott
from keeper.hedging.indifference import Market, Region, region
from keeper.pricing.black76 import greeks

Array = npt.NDArray[np.float64]
Rule = Callable[[float, Array, float], tuple[Array, Array]]
"""(elapsed years, spots, index of the step) to the holdings between which nothing is traded."""

MARKET = Market(spot=100.0, vol=0.25, rate=0.05, drift=0.05, cost=0.01, years=1.0)  # QUANT's frontier
STRIKE = 100.0
HOLDINGS = np.linspace(-0.25, 1.35, 501)


def payoff(spot: Array) -> Array:
    return np.maximum(spot - STRIKE, 0.0)


def paths(count: int, steps: int, seed: int, *, on_lattice: bool = False) -> Array:
    """Spots of ``count`` paths, (steps + 1, count): half of them mirror the others, so that no drift is left by chance.

    Normal moves, or with ``on_lattice`` up and down by one standard deviation as in the dynamic program.
    """
    dt = MARKET.years / steps
    half = np.random.default_rng(seed).standard_normal((steps, count // 2))
    half = np.sign(half) if on_lattice else half
    noise = np.hstack([half, -half])
    moves = (MARKET.drift - MARKET.vol**2 / 2) * dt + MARKET.vol * np.sqrt(dt) * noise
    return MARKET.spot * np.exp(np.vstack([np.zeros(count), np.cumsum(moves, axis=0)]))


def outcomes(spots: Array, rule: Rule) -> Array:
    """Present value of premium, trades and payoff per path: the first trade costs, what is left at expiry is worth its
    price."""
    steps = len(spots) - 1
    dt = MARKET.years / steps
    held = np.zeros(spots.shape[1])
    cash = np.full(spots.shape[1], float(call(MARKET.spot, MARKET.vol, MARKET.years)[0]))
    for step in range(steps):
        low, high = rule(step * dt, spots[step], step)
        target = np.clip(held, low, high)
        traded = target - held
        cash -= np.exp(-MARKET.rate * step * dt) * spots[step] * (traded + MARKET.cost * np.abs(traded))
        held = target
    return cash + np.exp(-MARKET.rate * MARKET.years) * (held * spots[-1] - payoff(spots[-1]))


def call(spot: npt.ArrayLike, vol: npt.ArrayLike, years: float) -> tuple[Array, Array, Array]:
    """Value, delta and gamma."""
    found = greeks(spot, STRIKE, vol, years, True, carry=MARKET.rate, rate=MARKET.rate)
    return found.price, found.delta, found.gamma


def summary(outcome: Array) -> tuple[float, float, float]:
    """Mean shortfall beyond the premium, standard deviation, CVaR 95 %."""
    worst = np.sort(outcome)[: len(outcome) // 20]
    return -float(outcome.mean()), float(outcome.std()), -float(worst.mean())


def certain(outcome: Array, aversion: float) -> float:
    """What one of exponential utility would pay at expiry to be rid of it."""
    losses = -outcome * np.exp(MARKET.rate * MARKET.years)
    top = float(losses.max())
    return top + float(np.log(np.mean(np.exp(aversion * (losses - top))))) / aversion


# ---------------------------------------------------------------- rules; each has one number that trades cost for risk


def on_the_clock(interval: int, vol: float = MARKET.vol) -> Rule:
    """Black-Scholes delta at ``vol``, every ``interval`` steps."""

    def rule(elapsed: float, spot: Array, step: int) -> tuple[Array, Array]:
        if step % interval:
            return np.full_like(spot, -np.inf), np.full_like(spot, np.inf)
        _, delta, _ = call(spot, vol, MARKET.years - elapsed)
        return delta, delta

    return rule


def leland(interval: int, steps: int) -> Rule:
    """On the clock, at Leland's volatility for it."""
    return on_the_clock(interval, float(leland_vol(MARKET.vol, MARKET.cost, interval * MARKET.years / steps)))


def fixed_band(half: float) -> Rule:
    """The same half-width always."""

    def rule(elapsed: float, spot: Array, step: int) -> tuple[Array, Array]:
        _, delta, _ = call(spot, MARKET.vol, MARKET.years - elapsed)
        return delta - half, delta + half

    return rule


def asymptotic_band(aversion: float) -> Rule:
    """Whalley and Wilmott's."""

    def rule(elapsed: float, spot: Array, step: int) -> tuple[Array, Array]:
        years = MARKET.years - elapsed
        _, delta, gamma = call(spot, MARKET.vol, years)
        half = whalley_wilmott(gamma, spot, MARKET.cost, aversion, MARKET.rate, years)
        return delta - half, delta + half

    return rule


def hedge_program(aversion: float) -> Rule:
    """The keeper's own region: variance counts for the staying time, and no longer than to expiry."""

    def rule(elapsed: float, spot: Array, step: int) -> tuple[Array, Array]:
        years = MARKET.years - elapsed
        _, delta, gamma = call(spot, MARKET.vol, years)
        at_end = aversion * np.exp(MARKET.rate * years)  # of cash now
        stays = bands.staying_time(gamma, spot, MARKET.vol, MARKET.cost, 0.0, at_end)
        half = MARKET.cost / (at_end * spot * MARKET.vol**2 * np.minimum(stays, years))
        return delta - half, delta + half

    return rule


def zakamouline(aversion: float) -> Rule:
    """Zakamouline's."""

    def rule(elapsed: float, spot: Array, step: int) -> tuple[Array, Array]:
        years = MARKET.years - elapsed
        _, _, gamma = call(spot, MARKET.vol, years)
        band = bands.zakamouline(-gamma, spot, MARKET.vol, MARKET.cost, aversion, MARKET.rate, years)
        _, delta, _ = call(spot, band.vol, years)
        half = band.without_options + band.of_options
        return delta - half, delta + half

    return rule


def optimal(found: Region) -> Rule:
    """The dynamic program's region."""
    return lambda elapsed, spot, step: found.at(elapsed, spot)


def optimal_region(aversion: float, steps: int) -> Region:
    return region(MARKET, payoff, aversion, HOLDINGS, steps)
