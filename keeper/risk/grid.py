"""The scenario grid of ``contracts/modules/scenarios.vy``: cell = volatility * SPOT_SHOCKS + spot shock.

Volatility 0, 1, 2 is down, flat, up. Spot shocks: nine near ones from -20 % to +20 %, then the far ones named below.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

VOLS: Final = 3
SPOT_SHOCKS: Final = 12
CELLS: Final = VOLS * SPOT_SHOCKS

# Spot multipliers in WAD and their logarithms in Q64, as on chain.
MULTIPLIER_WAD: Final = (
    800000000000000000,
    850000000000000000,
    900000000000000000,
    950000000000000000,
    1000000000000000000,
    1050000000000000000,
    1100000000000000000,
    1150000000000000000,
    1200000000000000000,
    500000000000000000,
    2000000000000000000,
    1500000000000000000,
)
LN_MULTIPLIER_Q64: Final = (
    -4116271982791902040,
    -2997945099578699816,
    -1943558467813989742,
    -946194274264587207,
    0,
    900019671747785910,
    1758162494469621404,
    2578152782239094555,
    3363239097298381939,
    -12786308645202655660,
    12786308645202655660,
    7479511080090283979,
)
HALF: Final = 9
DOUBLE: Final = 10
ONE_AND_A_HALF: Final = 11  # for gap solvency only, not a cell of the margin
NEAR: Final = 9  # shocks below this one count in full
DAMPING: Final = (Fraction(1),) * NEAR + (Fraction(1, 2), Fraction(35, 100), Fraction(0))


def _frozen(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


MULTIPLIERS: Final = _frozen([m / 10**18 for m in MULTIPLIER_WAD])
LN_MULTIPLIERS: Final = _frozen(np.log(MULTIPLIERS))
# Share of a spot shock's P&L that counts in the margin, (12,).
DAMPING_FACTORS: Final = _frozen([float(d) for d in DAMPING])
