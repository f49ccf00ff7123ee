"""Market paths: what a demo's market does, and the seeded one: a jump-diffusion crash in which volatility rises.

Underlyings are in the order of `keeper.domain.series.UNDERLYINGS`, wherever there is one number for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from keeper.domain.series import UNDERLYINGS
from keeper.domain.units import HOUR, YEAR
from keeper.domain.valuation import FloatArray

STEP_SECONDS: Final = 300
START_VOLS: Final = (0.55, 0.45)  # of the built-in path
FALLS: Final = (0.40, 0.36)
EXPIRY_WITHIN: Final = 0.75  # of a path's time: about when the first expiry comes
BETAS: Final = (1.0, 0.8)  # of returns to ETH's
_STEPS_PER_YEAR = YEAR / STEP_SECONDS
_CORRELATION = 0.85  # of five-minute returns
_LOW_WITHIN = (0.55, 0.65)  # of the path's time: before the first expiry, with time for the rebound
_CASCADE = 0.3  # share of the time to the low in which half of the fall comes
_JUMPS = 4
_JUMP = (0.03, 0.01)  # mean and deviation of their size
_CALM, _STORM = 0.9, 1.8  # realised volatility over implied, before and in the cascade
_REBOUND = 0.35  # share of the fall's logarithm that is won back
_LEVERAGE = 1.6  # volatility rises by this share of the fall's logarithm


@dataclass(frozen=True, slots=True)
class MarketStep:
    """The market at the end of a step: prices in USD, at-the-money volatilities (1.0 = 100 %), base fee in wei."""

    prices: tuple[float, ...]
    vols: tuple[float, ...]
    base_fee: int


@dataclass(frozen=True, slots=True)
class MarketPath:
    """What a demo's market does after a quiet day, whoever made it up.

    Attributes:
        title: For people.
        steps: Their prices are shares of the prices at the start; ``spacing`` seconds apart, one hour at most.
        vols: At the money, before the first step.
        first_expiry: Seconds from the start to the first 08:00 UTC at which options expire; may lie after the end.
        seed: Of the path where it is seeded, and of the quiet day before it.
    """

    title: str
    steps: tuple[MarketStep, ...]
    spacing: int
    vols: tuple[float, ...]
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
        steps=crash(hours, seed),
        spacing=STEP_SECONDS,
        vols=START_VOLS,
        first_expiry=round(hours * EXPIRY_WITHIN * HOUR / STEP_SECONDS) * STEP_SECONDS,
        seed=seed,
    )


def quiet(steps: int, vols: tuple[float, ...], seed: int, step_seconds: int = HOUR) -> tuple[MarketStep, ...]:
    """Correlated diffusions at ``vols`` that end where they began, at 1 (Brownian bridges): the hours before a path."""
    if not steps:
        return ()
    scale = np.sqrt(step_seconds / YEAR)
    walks = np.cumsum(_correlated(np.random.default_rng(seed), steps) * np.array(vols) * scale, axis=0)
    bridges = walks - walks[-1] * (np.arange(1, steps + 1) / steps)[:, None]
    return tuple(MarketStep(tuple(row), vols, base_fee(0.0)) for row in np.exp(bridges).tolist())


def crash(
    hours: float, seed: int, falls: tuple[float, ...] = FALLS, vols: tuple[float, ...] = START_VOLS
) -> tuple[MarketStep, ...]:
    """Merton jump-diffusions in five-minute steps, tilted so that each low is exactly its ``fall`` below 1.

    A slide, then a cascade with jumps that all underlyings share, then a rebound. BTC jumps by its
    beta and has noise of its own.
    """
    rng = np.random.default_rng([seed, 1])
    steps = max(4, round(hours * HOUR / STEP_SECONDS))
    low = max(2, int(steps * rng.uniform(*_LOW_WITHIN)))
    from_cascade = min(round(low * (1 - _CASCADE)), low - 1)
    time = np.arange(steps)
    realised = np.where(time < from_cascade, _CALM, _STORM)
    jumps = np.zeros(steps)
    np.add.at(jumps, rng.integers(from_cascade, low, _JUMPS), -np.abs(rng.normal(*_JUMP, _JUMPS)))
    noise = _correlated(rng, steps) * realised[:, None] * np.array(vols) / np.sqrt(_STEPS_PER_YEAR)
    logs = np.cumsum(noise + jumps[:, None] * np.array(BETAS), axis=0)
    after = np.clip((time - low) / (steps - 1 - low), 0.0, 1.0)
    slide = np.interp(time, [-1, from_cascade, low], [0.0, 0.5, 1.0])
    targets = np.log1p(-np.array(falls))
    # Without the walk's own way after the low, which the rebound replaces.
    logs += after[:, None] * (logs[low] - logs[-1]) - np.sqrt(after)[:, None] * _REBOUND * targets
    paths = np.stack([_tilted(log, slide, target) for log, target in zip(logs.T, targets, strict=True)], axis=1)
    deepest = np.maximum.accumulate(-np.minimum(paths, 0.0), axis=0)
    return tuple(
        MarketStep(tuple(prices), tuple(vol), base_fee(depth))
        for prices, vol, depth in zip(
            np.exp(paths).tolist(),
            (np.array(vols) * (1 + _LEVERAGE * deepest)).tolist(),
            deepest[:, 0].tolist(),
            strict=True,
        )
    )


def _correlated(rng: np.random.Generator, steps: int) -> FloatArray:
    """Standard normals, one row per step and one column per underlying; each column has the first in common."""
    own = rng.normal(size=(steps, len(UNDERLYINGS)))
    common = own[:, :1]
    rest = _CORRELATION * common + np.sqrt(1 - _CORRELATION**2) * own[:, 1:]
    return np.concatenate((common, rest), axis=1)


def _tilted(log_path: FloatArray, trend: FloatArray, target: float) -> FloatArray:
    """The path plus as much of ``trend`` as makes its minimum ``target``."""
    lower, upper = -5.0, 5.0
    for _ in range(80):
        slope = (lower + upper) / 2
        if np.min(log_path + slope * trend) < target:
            lower = slope
        else:
            upper = slope
    return np.asarray(log_path + (lower + upper) / 2 * trend)


def base_fee(fall: float) -> int:
    """Wei, by the logarithm of the deepest fall so far: gas gets dear when everybody hurries."""
    return round((1.0 + 60.0 * fall) * 1e9)
