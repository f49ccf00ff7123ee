"""Market paths: what a demo's market does, and the seeded one: a jump-diffusion crash in which volatility rises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keeper.domain.valuation import FloatArray

STEP_SECONDS = 300
HOUR = 3600
START_VOL = 0.55  # of the built-in path
EXPIRY_WITHIN = 0.75  # of a path's time: about when the first expiry comes
_STEPS_PER_YEAR = 365 * 86400 / STEP_SECONDS
_JUMPS = 3
_LEVERAGE = 1.6  # volatility rises by this share of the fall's logarithm


@dataclass(frozen=True, slots=True)
class MarketStep:
    """The market at the end of a step: price in USD, at-the-money volatility (1.0 = 100 %), base fee in wei."""

    price: float
    vol: float
    base_fee: int


@dataclass(frozen=True, slots=True)
class MarketPath:
    """What a demo's market does after a quiet day, whoever made it up.

    Attributes:
        title: For people.
        steps: Their prices are shares of the price at the start; ``spacing`` seconds apart, one hour at most.
        vol: At the money, before the first step.
        first_expiry: Seconds from the start to the first 08:00 UTC at which options expire; may lie after the end.
        seed: Of the path where it is seeded, and of the quiet day before it.
    """

    title: str
    steps: tuple[MarketStep, ...]
    spacing: int
    vol: float
    first_expiry: int
    seed: int

    @property
    def hours(self) -> float:
        """How long it is."""
        return len(self.steps) * self.spacing / HOUR


def built_in(hours: float, seed: int) -> MarketPath:
    """`crash` as a path, with its first expiry on a step."""
    return MarketPath(
        title=f"built-in crash, seed {seed}",
        steps=crash(hours, price=1.0, vol=START_VOL, seed=seed),
        spacing=STEP_SECONDS,
        vol=START_VOL,
        first_expiry=round(hours * EXPIRY_WITHIN * HOUR / STEP_SECONDS) * STEP_SECONDS,
        seed=seed,
    )


def quiet(steps: int, *, price: float, vol: float, seed: int, step_seconds: int = 3600) -> tuple[MarketStep, ...]:
    """A diffusion at ``vol`` that ends where it began (a Brownian bridge): the hours before the crash."""
    if not steps:
        return ()
    rng = np.random.default_rng(seed)
    scale = vol * np.sqrt(step_seconds / (365 * 86400))
    walk = np.cumsum(rng.normal(0.0, scale, steps))
    bridge = walk - walk[-1] * np.arange(1, steps + 1) / steps
    return tuple(MarketStep(price * float(np.exp(x)), vol, base_fee(0.0)) for x in bridge)


def crash(hours: float, *, price: float, vol: float, seed: int, fall: float = 0.28) -> tuple[MarketStep, ...]:
    """A Merton jump-diffusion in five-minute steps, tilted so that its low is exactly ``fall`` below the start.

    The low comes in the last third; what follows is the path's own bounce.
    """
    rng = np.random.default_rng([seed, 1])
    steps = max(2, round(hours * 3600 / STEP_SECONDS))
    noise = rng.normal(0.0, 1.3 * vol / np.sqrt(_STEPS_PER_YEAR), steps)
    at = rng.integers(steps // 6, max(steps // 6 + 1, 2 * steps // 3), _JUMPS)
    np.add.at(noise, at, -np.abs(rng.normal(0.03, 0.01, _JUMPS)))
    log_path = np.cumsum(noise)
    low = int(rng.integers(2 * steps // 3, max(2 * steps // 3 + 1, 5 * steps // 6)))
    log_path = _tilted(log_path, low, float(np.log(1 - fall)))
    falls = np.maximum.accumulate(-np.minimum(log_path, 0.0))
    return tuple(
        MarketStep(price * float(np.exp(x)), vol * (1 + _LEVERAGE * float(d)), base_fee(float(d)))
        for x, d in zip(log_path, falls, strict=True)
    )


def _tilted(log_path: FloatArray, low: int, target: float) -> FloatArray:
    """The path plus a straight line down to ``low``, flat after it, such that the path's minimum is ``target``."""
    ramp = np.minimum(np.arange(1, len(log_path) + 1) / (low + 1), 1.0)
    lower, upper = -5.0, 5.0
    for _ in range(80):
        slope = (lower + upper) / 2
        if float(np.min(log_path + slope * ramp)) < target:
            lower = slope
        else:
            upper = slope
    return np.asarray(log_path + (lower + upper) / 2 * ramp)


def base_fee(fall: float) -> int:
    """Wei, by the logarithm of the deepest fall so far: gas gets dear when everybody hurries."""
    return round((1.0 + 60.0 * fall) * 1e9)
