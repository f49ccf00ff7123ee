"""One slice of the eSSVI surface (Hendriks and Martini 2019), in floats.

    w(k) = θ/2 · (1 + ρφk + √((φk + ρ)² + 1 - ρ²)),  k = ln(K/F)

``theta`` is the at-the-money total variance from the time of posting to expiry. The slice's annualised volatility
stays as posted while time passes, as in ``contracts/modules/essvi.vy``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import WAD, YEAR
from keeper.pricing.errors import PricingError

FloatArray = npt.NDArray[np.float64]


def total_variance(theta: npt.ArrayLike, rho: npt.ArrayLike, phi: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """w(k) of Hendriks and Martini, equation (1); arguments broadcast."""
    theta, rho, phi, k = (np.asarray(a, dtype=np.float64) for a in (theta, rho, phi, k))
    shifted = phi * k
    root = np.sqrt(np.square(shifted + rho) + 1.0 - np.square(rho))
    return np.asarray(np.maximum(0.5 * theta * (1.0 + rho * shifted + root), 0.0))


def vol(posted: VolSlice, expiry: int, k: npt.ArrayLike) -> FloatArray:
    """Annualised implied volatility of a posted slice at log-moneyness ``k``.

    Raises:
        PricingError: the slice was posted at or after ``expiry`` (seconds).
    """
    if posted.posted_at >= expiry:
        raise PricingError(f"slice posted at {posted.posted_at}, not before its expiry {expiry}")
    variance = total_variance(posted.theta / WAD, posted.rho / WAD, posted.phi / WAD, k)
    return np.asarray(np.sqrt(variance * (YEAR / (expiry - posted.posted_at))))


def is_free_of_butterflies(theta: float, rho: float, phi: float) -> bool:
    """Sufficient conditions of Gatheral and Jacquier (2014), theorem 4.2, with |ρ| < 1."""
    one_plus_rho = 1.0 + abs(rho)
    return abs(rho) < 1.0 and theta * phi * one_plus_rho < 4.0 and theta * phi * phi * one_plus_rho <= 4.0
