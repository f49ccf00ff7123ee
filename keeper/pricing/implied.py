"""Implied volatility of Black-76 prices, with a status instead of NaN. The method is ``lets_be_rational``'s."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from keeper.pricing import lets_be_rational
from keeper.pricing.kernel import Method, run

FloatArray = npt.NDArray[np.float64]


class Status(IntEnum):
    """What an option's price says about its volatility. Where several hold, the last in this list is given."""

    OK = int(lets_be_rational.OK)
    NO_TIME_VALUE = int(lets_be_rational.NO_TIME_VALUE)  # exactly intrinsic value: any volatility near 0
    BELOW_INTRINSIC = int(lets_be_rational.BELOW_INTRINSIC)
    ABOVE_FORWARD = int(lets_be_rational.ABOVE_FORWARD)  # a call at or above the forward, a put at or above the strike
    EXPIRED = int(lets_be_rational.EXPIRED)
    INVALID = int(lets_be_rational.INVALID)  # not finite, or forward, strike or years outside their domain


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedVol:
    """Annualised volatility, 0 where the status is not OK, and `Status` as int8; both of one shape."""

    vol: FloatArray
    status: npt.NDArray[np.int8]

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Where there is a volatility."""
        return np.asarray(self.status == Status.OK)


def implied_vol(
    price: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    years: npt.ArrayLike,
    is_call: npt.ArrayLike,
    *,
    method: Method = "auto",
) -> ImpliedVol:
    """Volatility at which `keeper.pricing.black76.price` gives ``price`` (undiscounted); arguments broadcast.

    Accurate to a few units of rounding of what the given price determines: the intrinsic value is taken off first, so
    an in-the-money price has as many digits as its time value. Prices are not refused but classified, see `Status`;
    forward and strike belong within 1e-50 to 1e50, years within 0 to 1e10. ``method`` as in `price`.
    """
    columns = [np.asarray(a, dtype=np.float64) for a in (price, forward, strike, years)]
    inputs = (*columns, np.asarray(is_call, dtype=np.bool_))
    vol, status = run(lets_be_rational.implied_volatility, inputs, 2, method)
    return ImpliedVol(vol, status.astype(np.int8))
