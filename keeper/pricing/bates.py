"""European prices in the model of Bates (1996): Heston's stochastic variance with Merton's lognormal jumps.

    dS/S = b dt + √v dW + (e^J - 1) dN - λ(e^(μ+δ²/2) - 1) dt,  J ~ N(μ, δ²)
    dv = κ(θ - v) dt + ξ√v dZ,  dW dZ = ρ dt

Lewis (2001): with x = ln(F/K) and the characteristic function φ of ln(S_T/F), the undiscounted call is
F - √(FK)/π·∫ Re(e^(iux)·φ(u - i/2))/(u² + 1/4) du over u > 0. The integrand of a Black-76 price of like variance is
taken off and its closed form added (Andersen and Andreasen 2002), so that what is integrated is small and fades fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.pricing.black76 import price
from keeper.pricing.errors import PricingError

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

_NODES: Final = 48  # per panel
_PANELS: Final = 12
_NEGLIGIBLE: Final = 1e-17


@dataclass(frozen=True, slots=True)
class Bates:
    """Annual units. Without jumps (λ = 0) it is Heston's model; with ξ = 0 the variance is deterministic."""

    variance: float
    reversion: float
    long_variance: float
    vol_of_variance: float
    correlation: float
    jumps_per_year: float = 0.0
    jump_mean: float = 0.0
    jump_deviation: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.variance, self.reversion, self.long_variance, self.vol_of_variance, self.jumps_per_year)
        finite = all(math.isfinite(a) for a in (*numbers, self.correlation, self.jump_mean, self.jump_deviation))
        if not finite or min(numbers) < 0.0 or abs(self.correlation) > 1.0 or self.variance + self.long_variance <= 0.0:
            raise PricingError(f"not a Bates model: {self}")

    def characteristic(self, u: ComplexArray, years: float) -> ComplexArray:
        """E[exp(iu·ln(S_T/F))], in the form of Albrecher et al. (2007), whose logarithm stays on its branch."""
        jump = self.jumps_per_year * years
        average = math.expm1(self.jump_mean + 0.5 * self.jump_deviation**2)
        jumps = jump * (np.exp(1j * u * self.jump_mean - 0.5 * np.square(self.jump_deviation * u)) - 1.0)
        exponent = jumps - 1j * u * jump * average
        square = u * u + 1j * u
        if self.vol_of_variance < 1e-6:
            return np.asarray(np.exp(exponent - 0.5 * square * self.expected_variance(years)))
        xi2 = self.vol_of_variance**2
        beta = self.reversion - 1j * self.correlation * self.vol_of_variance * u
        d = np.sqrt(beta * beta + xi2 * square)
        low, high = beta - d, beta + d
        fade = np.exp(-d * years)
        g = low / high
        drift = low * years - 2.0 * np.log((1.0 - g * fade) / (1.0 - g))
        state = low * (1.0 - fade) / (1.0 - g * fade)
        reversion = self.reversion * self.long_variance
        return np.asarray(np.exp(exponent + (reversion * drift + self.variance * state) / xi2))

    def expected_variance(self, years: float) -> float:
        """E of the integral of v over the tenor, jumps left out."""
        rate = self.reversion
        share = -math.expm1(-rate * years) / rate if rate > 1e-12 else years
        return self.long_variance * years + (self.variance - self.long_variance) * share


def bates_price(
    model: Bates, forward: float, strike: npt.ArrayLike, years: float, is_call: npt.ArrayLike
) -> FloatArray:
    """Undiscounted prices of one tenor; ``strike`` and ``is_call`` broadcast. Absolute error below 1e-12 of the forward
    for tenors from a day and ordinary parameters.

    Raises:
        PricingError: forward, a strike or years not positive or not finite.
    """
    if not 0.0 < years <= 100.0:
        raise PricingError(f"years must be positive, up to 100, got {years}")
    jumps = model.jumps_per_year * years * (model.jump_mean**2 + model.jump_deviation**2)
    like = math.sqrt((model.expected_variance(years) + jumps) / years)
    strikes, calls = np.broadcast_arrays(np.asarray(strike, dtype=np.float64), np.asarray(is_call, dtype=np.bool_))
    base = price(forward, strikes, like, years, calls)
    end = 8.0 / (like * math.sqrt(years))
    while np.abs(model.characteristic(np.array([end - 0.5j]), years))[0] / end**2 > _NEGLIGIBLE and end < 1e7:
        end *= 2.0
    x, weight = np.polynomial.legendre.leggauss(_NODES)  # type: ignore[no-untyped-call]
    edges = np.concatenate([[0.0], end * 2.0 ** np.arange(1 - _PANELS, 1.0)])
    half = 0.5 * np.diff(edges)[:, None]
    u = (edges[:-1, None] + half * (1.0 + x)).reshape(-1)
    shifted = u - 0.5j
    black = np.exp(-0.5 * (shifted * shifted + 1j * shifted) * like**2 * years)
    difference = (model.characteristic(shifted, years) - black) * (half * weight).reshape(-1) / (u * u + 0.25)
    phase = np.exp(1j * np.log(forward / strikes)[..., None] * u)
    correction = -np.sqrt(forward * strikes) / np.pi * (phase * difference).real.sum(axis=-1)
    floor = np.maximum(np.where(calls, forward - strikes, strikes - forward), 0.0)
    return np.asarray(np.maximum(base + correction, floor))
