"""The eSSVI surface of one underlying: slices at the listed expiries, what lies between them, and arbitrage checks.

A slice is w(k) = (θ + ρψk + √((ψk + θρ)² + θ²(1 - ρ²)))/2 with ψ = θφ: ``keeper/pricing/essvi.py`` in the variables of
the calendar conditions. Free of butterflies if ψ(1+|ρ|) < 4 and ψ²(1+|ρ|) <= 4θ (Gatheral and Jacquier 2014, theorem
4.2, which VolOracle enforces). A later slice 2 does not cross an earlier slice 1 if θ₂ >= θ₁, φ₂ <= φ₁ and
|ρ₂ψ₂ - ρ₁ψ₁| <= ψ₂ - ψ₁ (Hendriks and Martini 2019, proposition 3.5).

Between expiries θ, ψ and ρψ are linear in time, which keeps all of that (Corbetta et al. 2019, section 5). Before the
first slice total variance is proportional to time; after the last θ grows with time and ψ with its root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.pricing.errors import PricingError
from keeper.pricing.essvi import is_free_of_butterflies, total_variance

FloatArray = npt.NDArray[np.float64]

_LEE = 4.0 * (1.0 - 1e-6)  # ψ(1+|ρ|) stays below 4


@dataclass(frozen=True, slots=True, eq=False)
class EssviSurface:
    """Slices in order of expiry, arrays of shape (n,): years to expiry, forward in USDC, θ, ρ and ψ."""

    years: FloatArray
    forward: FloatArray
    theta: FloatArray
    rho: FloatArray
    psi: FloatArray

    def at(self, years: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """θ, ρ and ψ at any tenor.

        Raises:
            PricingError: a tenor that is not positive.
        """
        t = np.asarray(years, dtype=np.float64)
        if not (t > 0.0).all():
            raise PricingError(f"years must be positive, got {t}")
        first, last = self.years[0], self.years[-1]
        short, grown = np.minimum(t / first, 1.0), np.maximum(t / last, 1.0)
        inside = np.clip(t, first, last)
        theta = np.interp(inside, self.years, self.theta)
        psi = np.interp(inside, self.years, self.psi)
        rho = np.interp(inside, self.years, self.rho * self.psi) / psi
        far = np.minimum(psi * np.sqrt(grown), np.maximum(psi, _LEE / (1.0 + np.abs(rho))))
        return theta * short * grown, rho, np.where(grown > 1.0, far, psi * short)

    def total_variance(self, k: npt.ArrayLike, years: npt.ArrayLike) -> FloatArray:
        """w at log-moneyness ln(K/F) and a tenor; arguments broadcast."""
        theta, rho, psi = self.at(years)
        return total_variance(theta, rho, psi / theta, k)

    def vol(self, k: npt.ArrayLike, years: npt.ArrayLike) -> FloatArray:
        """Annualised implied volatility at log-moneyness ln(K/F) and a tenor; arguments broadcast."""
        return np.asarray(np.sqrt(self.total_variance(k, years) / np.asarray(years)))

    def atm_vol(self, years: npt.ArrayLike) -> FloatArray:
        """The term structure of at-the-money-forward volatility."""
        return self.vol(0.0, years)

    def carry(self, spot: float) -> FloatArray:
        """b of each slice, F = S·exp(bT)."""
        return np.asarray(np.log(self.forward / spot) / self.years)

    def worst_density(self, k: FloatArray) -> float:
        """Smallest g(k) of all slices on a grid of log-moneyness: negative means butterfly arbitrage."""
        return min(
            float(durrleman(k, *essvi_derivatives(theta, rho, psi, k)).min())
            for theta, rho, psi in zip(self.theta, self.rho, self.psi, strict=True)
        )

    def worst_crossing(self, k: FloatArray) -> float:
        """Smallest increase of total variance from a slice to the next, as a share of the later one's θ."""
        w = total_variance(self.theta[:, None], self.rho[:, None], (self.psi / self.theta)[:, None], k)
        return float((np.diff(w, axis=0) / self.theta[1:, None]).min(initial=np.inf))

    def is_free_of_arbitrage(self) -> bool:
        """The sufficient conditions above, for every slice and every pair of neighbours."""
        slices = zip(self.theta.tolist(), self.rho.tolist(), (self.psi / self.theta).tolist(), strict=True)
        no_butterfly = all(is_free_of_butterflies(*one) for one in slices)
        skew, phi, slack = self.rho * self.psi, self.psi / self.theta, 1e-12
        rising = np.diff(self.theta) >= 0.0
        flattening = np.diff(phi) <= slack * phi[1:]
        apart = np.abs(np.diff(skew)) <= np.diff(self.psi) + slack * self.psi[1:]
        return bool(no_butterfly and (rising & flattening & apart).all())


def durrleman(k: FloatArray, w: FloatArray, slope: FloatArray, curvature: FloatArray) -> FloatArray:
    """g(k) = (1 - kw'/2w)² - (w'²/4)(1/w + 1/4) + w''/2, the sign of the implied density (Gatheral and Jacquier 2014,
    equation 2.1)."""
    square = np.square(slope)
    return np.asarray(np.square(1.0 - 0.5 * k * slope / w) - 0.25 * square * (1.0 / w + 0.25) + 0.5 * curvature)


def essvi_derivatives(theta: float, rho: float, psi: float, k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """w, w' and w'' of a slice."""
    shifted = psi * k + theta * rho
    root = np.sqrt(np.square(shifted) + theta * theta * (1.0 - rho * rho))
    w = 0.5 * (theta + rho * psi * k + root)
    return w, 0.5 * psi * (rho + shifted / root), 0.5 * psi * psi * theta * theta * (1.0 - rho * rho) / root**3
