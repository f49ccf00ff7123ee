"""Black (1976) prices and Greeks, vectorised over any shapes that broadcast.

With s = σ√T and x = ln(F/K): d1 = x/s + s/2, d2 = d1 - s. The out-of-the-money side is priced and parity gives the
other, so that no price loses its time value to cancellation.

Edges: T = 0 gives intrinsic value and delta 0, 1/2 or 1 in size, σ = 0 forward intrinsic value. Where gamma or theta is
infinite (at the money with s = 0) it is 0, as on chain. A volatility, √T or s below 1e-100 counts as zero. Nothing
returns NaN: what has no meaning is refused by name.

The formulas stand in ``elementwise``; ``kernel`` runs them on numpy or, for large arrays, compiled on all cores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.pricing import elementwise
from keeper.pricing.errors import PricingError
from keeper.pricing.kernel import Method, run

FloatArray = npt.NDArray[np.float64]

_LARGEST = 1e50  # prices and strikes within 1e-50 to 1e50, so that no intermediate value overflows
_LARGEST_S = 1e10
_LARGEST_GROWTH = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Greeks:
    """Per unit of underlying, all of one shape: value in USDC, spot delta, gamma per USDC, vega per 1.0 of volatility,
    theta per year, rho per 1.0 of rate, vanna = ∂delta/∂σ, volga = ∂vega/∂σ."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray


def d1_of(x: FloatArray, s: FloatArray) -> FloatArray:
    """d1 for x = ln(F/K) and s = σ√T >= 0; where s = 0 its limit (±1e100·|x| for infinity)."""
    return elementwise.d1_d2(x, s)[0]


def normal_pdf(d: FloatArray) -> FloatArray:
    """Density of the standard normal distribution, zero beyond 40 (it underflows at 38.6)."""
    return np.asarray(elementwise.INV_SQRT_2PI * np.exp(-0.5 * np.square(np.clip(d, -40.0, 40.0))))


def time_value(forward: FloatArray, strike: FloatArray, x: FloatArray, s: FloatArray) -> FloatArray:
    """Value of the out-of-the-money option of a strike: a call's value less max(F - K, 0), a put's less max(K - F, 0).

    Broadcasts, checks nothing. ``x`` = ln(F/K) is an argument because a scenario only adds to it.
    """
    return elementwise.otm_side(forward, strike, *elementwise.d1_d2(x, s))[3]


def price(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    is_call: npt.ArrayLike,
    *,
    method: Method = "auto",
) -> FloatArray:
    """Undiscounted prices in the unit of ``forward``; arguments broadcast.

    ``method`` "auto" takes the compiled kernel for 32,768 options or more, "numpy" and "kernel" force one. Their
    results differ by a few units of rounding.

    Raises:
        PricingError: forward or strike not within 1e-50 to 1e50, vol or years negative or above 1e10, anything not
            finite.
    """
    inputs = (
        _price("forward", forward),
        _price("strike", strike),
        _not_negative("vol", vol),
        _not_negative("years", years),
        np.asarray(is_call, dtype=np.bool_),
    )
    return np.asarray(run(elementwise.black_price, inputs, 1, method)[0])


def greeks(
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    is_call: npt.ArrayLike,
    carry: npt.ArrayLike = 0.0,
    rate: npt.ArrayLike = 0.0,
    *,
    method: Method = "auto",
) -> Greeks:
    """Price and Greeks of exp(-rT)·Black76(F = S·exp(bT)); arguments broadcast.

    ``carry`` b is the growth of the forward, ``rate`` r discounts (0 on chain): Black-Scholes is b = r, a dividend
    yield q is b = r - q, an option on a future b = 0. Delta is ∂/∂S = exp((b-r)T)·Φ(d1) for a call; theta is the
    change per year with S, σ, b and r fixed; rho is ∂/∂r with r - b fixed (Hull, chapter 19).

    Raises:
        PricingError: spot or strike not within 1e-50 to 1e50, vol or years negative or above 1e10, carry or rate
            times years beyond ±100, anything not finite.
    """
    t = _not_negative("years", years)
    inputs = (
        _price("spot", spot),
        _price("strike", strike),
        _not_negative("vol", vol),
        t,
        np.asarray(is_call, dtype=np.bool_),
        _growth("carry", carry, t),
        _growth("rate", rate, t),
    )
    return Greeks(*run(elementwise.black_greeks, inputs, 8, method))


def _price(name: str, values: npt.ArrayLike) -> FloatArray:
    return _within(name, values, 1.0 / _LARGEST, _LARGEST, "positive")


def _not_negative(name: str, values: npt.ArrayLike) -> FloatArray:
    return _within(name, values, 0.0, _LARGEST_S, "not negative")


def _growth(name: str, rates: npt.ArrayLike, years: FloatArray) -> FloatArray:
    array = _within(name, rates, -_LARGEST, _LARGEST, "finite")
    largest = max(array.max(initial=0.0), -array.min(initial=0.0))
    if largest * years.max(initial=0.0) > _LARGEST_GROWTH and np.abs(array * years).max() > _LARGEST_GROWTH:
        raise PricingError(f"{name} times years must stay within ±{_LARGEST_GROWTH:g}, got {array * years}")
    return array


def _within(name: str, values: npt.ArrayLike, lowest: float, highest: float, must: str) -> FloatArray:
    """The values as an array; a NaN fails both comparisons."""
    array = np.asarray(values, dtype=np.float64)
    if not (array.min(initial=highest) >= lowest and array.max(initial=lowest) <= highest):
        raise PricingError(f"{name} must be {must}, from {lowest:g} to {highest:g}, got {array}")
    return array
