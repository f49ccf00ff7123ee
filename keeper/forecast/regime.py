"""Calm or storm: a state with hysteresis on the forecast of the next week.

Markov switching of the logarithm of variance tells the next week's variance no better, changes its mind twice as often
and adds nothing to the forecast in use (docs/quant.md, Forecast); a threshold says the same in one line.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import numpy as np

from keeper.forecast.errors import ForecastError
from keeper.forecast.realised import Days, mean_back

WEEK: Final = 7
_BEGINS, _ENDS = 0.70, 0.55  # shares of the past's weeks that were calmer
_LEAST: Final = 180  # weeks, which overlap


class Regime(Enum):
    """What the next week looks like beside the weeks of the past."""

    CALM = "calm"
    STORM = "storm"


def regime(past: Days, variance: float, before: Regime = Regime.CALM) -> Regime:
    """The regime after ``past``, given the forecast of the next week's mean annual ``variance``.

    A storm begins above the quantile 0.70 of all weeks of ``past`` and ends below their quantile 0.55.

    Raises:
        ForecastError: the past is too short to compare with, or the variance cannot be.
    """
    weeks = mean_back(past.squared, WEEK)
    weeks = weeks[np.isfinite(weeks)]
    if len(weeks) < _LEAST or not variance >= 0.0:
        raise ForecastError(
            f"A variance of {variance:g} beside {len(weeks)} weeks has no regime.",
            f"Give a forecast and {_LEAST} days of candles or more.",
        )
    ends, begins = np.quantile(weeks, (_ENDS, _BEGINS))
    if before is Regime.CALM:
        return Regime.STORM if variance > begins else Regime.CALM
    return Regime.CALM if variance < ends else Regime.STORM
