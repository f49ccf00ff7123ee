"""Black (1976) prices and Greeks, vectorised.

With s = σ√T and x = ln(F/K): d1 = x/s + s/2, d2 = d1 - s. The out-of-the-money side is priced and parity gives the
other, so that no price loses its time value to cancellation. Discount factor 1: a discounted price is DF times this
one.

Edges: T = 0 gives intrinsic value and delta 0, 1/2 or 1 in size, σ = 0 forward intrinsic value. Where gamma is infinite
(at the money with s = 0) it is 0, as on chain. Nothing returns NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from keeper.pricing.errors import PricingError

FloatArray = npt.NDArray[np.float64]

_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Greeks:
    """Per unit of underlying, all of one shape: value in USDC, spot delta, gamma per USDC, vega per 1.0 of volatility,
    theta per year."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def d1_of(x: FloatArray, s: FloatArray) -> FloatArray:
    """d1 for x = ln(F/K) and s = σ√T >= 0; where s = 0 its limit, -inf, 0 or inf."""
    positive = s > 0.0
    limit = np.where(x == 0.0, 0.0, np.copysign(np.inf, x))
    with np.errstate(over="ignore"):  # a tiny s: infinity is right
        return np.asarray(np.where(positive, x / np.where(positive, s, 1.0) + 0.5 * s, limit))


def normal_pdf(d: FloatArray) -> FloatArray:
    """Density of the standard normal distribution, zero beyond 40 (it underflows at 38.6)."""
    return np.asarray(_INV_SQRT_2PI * np.exp(-0.5 * np.square(np.clip(d, -40.0, 40.0))))


def time_value(forward: FloatArray, strike: FloatArray, x: FloatArray, s: FloatArray) -> FloatArray:
    """Value of the out-of-the-money option of a strike: a call's value less max(F - K, 0), a put's less max(K - F, 0).

    The kernel: broadcasts, checks nothing. ``x`` = ln(F/K) is an argument because a scenario only adds to it.
    """
    side = np.where(forward <= strike, 1.0, -1.0)
    d1 = d1_of(x, s)
    otm = side * (forward * ndtr(side * d1) - strike * ndtr(side * (d1 - s)))
    return np.asarray(np.maximum(otm, 0.0))


def price(
    forward: npt.ArrayLike, strike: npt.ArrayLike, vol: npt.ArrayLike, years: npt.ArrayLike, is_call: npt.ArrayLike
) -> FloatArray:
    """Undiscounted prices in the unit of ``forward``; arguments broadcast.

    Raises:
        PricingError: forward or strike not positive, vol or years negative, anything not finite.
    """
    f, k = _positive("forward", forward), _positive("strike", strike)
    s = _not_negative("vol", vol) * np.sqrt(_not_negative("years", years))
    intrinsic = np.maximum(np.where(is_call, f - k, k - f), 0.0)
    return np.asarray(time_value(f, k, np.log(f / k), s) + intrinsic)


def greeks(
    spot: npt.ArrayLike,
    strike: npt.ArrayLike,
    vol: npt.ArrayLike,
    years: npt.ArrayLike,
    is_call: npt.ArrayLike,
    carry: npt.ArrayLike = 0.0,
) -> Greeks:
    """Price and Greeks with forward F = S·exp(carry·T); arguments broadcast.

    Spot delta is exp(bT)·Φ(d1) for a call; theta is the change per year with spot, volatility and carry fixed.

    Raises:
        PricingError: spot or strike not positive, vol or years negative, anything not finite.
    """
    s0, k = _positive("spot", spot), _positive("strike", strike)
    sigma, t = _not_negative("vol", vol), _not_negative("years", years)
    b = _finite("carry", carry)
    growth = np.exp(b * t)
    forward = s0 * growth
    root_t = np.sqrt(t)
    s = sigma * root_t
    x = np.log(forward / k)
    d1 = d1_of(x, s)
    pdf = normal_pdf(d1)
    forward_delta = np.where(is_call, ndtr(d1), -ndtr(-d1))
    delta = growth * forward_delta
    vega = forward * pdf * root_t
    with np.errstate(over="ignore"):
        gamma = growth * pdf / (s0 * np.where(s > 0.0, s, 1.0))
    gamma = np.where((s > 0.0) & np.isfinite(gamma), gamma, 0.0)
    decay = np.where(t > 0.0, vega * sigma / (2.0 * np.where(t > 0.0, t, 1.0)), 0.0)
    intrinsic = np.maximum(np.where(is_call, forward - k, k - forward), 0.0)
    return Greeks(
        price=time_value(forward, k, x, s) + intrinsic,
        delta=delta,
        gamma=gamma,
        vega=vega + np.zeros_like(delta),
        theta=-decay - b * forward * forward_delta,
    )


def _finite(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise PricingError(f"{name} must be finite, got {array}")
    return array


def _positive(name: str, values: npt.ArrayLike) -> FloatArray:
    array = _finite(name, values)
    if not (array > 0.0).all():
        raise PricingError(f"{name} must be positive, got {array}")
    return array


def _not_negative(name: str, values: npt.ArrayLike) -> FloatArray:
    array = _finite(name, values)
    if not (array >= 0.0).all():
        raise PricingError(f"{name} must not be negative, got {array}")
    return array
