"""The stress library: moves that markets have made, and some that they may, applied to the book at once.

Recorded moves are each underlying's own deepest fall, and the volatility index's own highest rise, between hourly
closes at most a day apart (in June 2022 a week), whether or not in the same hours: worse than what came together. Where
nothing was recorded the move is what the named source reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from keeper.domain.series import UNDERLYINGS
from keeper.risk.scenarios import Scenarios


@dataclass(frozen=True, slots=True)
class Stress:
    """One move.

    Attributes:
        returns: ln of price after over before, by underlying as in UNDERLYINGS.
        vol: ln of 30-day volatility after over before.
        source: Where the numbers are from.
        depth: Share of the pools' liquidity that is left.
        spread: Options' half-spreads as a multiple of now.
    """

    name: str
    returns: tuple[float, ...]
    vol: float
    source: str
    depth: float = 1.0
    spread: float = 1.0


_BOTH: Final = (1.0,) * len(UNDERLYINGS)
_CANDLES: Final = "recorded hourly closes"

LIBRARY: Final = (
    Stress(
        "2020-03-12, Covid",
        (log(90 / 200), log(3_800 / 7_900)),
        log(1.84 / 0.70),
        "press reports of the day's highs and lows; volatility of a month on 16 March as Skew published it, from an "
        "assumed 70 %",
    ),
    Stress(
        "2021-05-19, China's ban", (-0.4078, -0.2211), 0.33, f"{_CANDLES}; volatility by the slope of later crashes"
    ),
    Stress(
        "2022-06, Three Arrows",
        (-0.5715, -0.4750),
        log(1.30 / 0.70),
        f"{_CANDLES} of a week; volatility of a month as Deribit Insights published it",
    ),
    Stress("2024-08-05, yen carry", (-0.2716, -0.2038), 0.3666, f"{_CANDLES} of prices and of Deribit's index"),
    Stress("gap of 60 % down", tuple(log(0.4) * one for one in _BOTH), log(2.0), "assumed; volatility doubles"),
    Stress("volatility doubles", tuple(0.0 * one for one in _BOTH), log(2.0), "assumed; prices stand still"),
    Stress(
        "USDC at 0.88",
        tuple(-log(0.88) * one for one in _BOTH),
        0.0,
        "CoinGecko's low of 2023-03-11: every price in USDC rises",
    ),
    Stress(
        "liquidity gone",
        tuple(0.0 * one for one in _BOTH),
        0.0,
        "assumed: a tenth of the pools' depth, triple spreads",
        depth=0.1,
        spread=3.0,
    ),
)


def stress_scenarios(stresses: Sequence[Stress] = LIBRARY, underlyings: int = len(UNDERLYINGS)) -> Scenarios:
    """A scenario for each, in their order, in which no time passes."""
    return Scenarios(
        horizon=0.0,
        log_return=np.array([stress.returns[:underlyings] for stress in stresses]),
        log_vol=np.array([[stress.vol] for stress in stresses]),
    )
