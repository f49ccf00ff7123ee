"""Black (1976) prices and Greeks, vectorised over any shapes that broadcast.

With s = σ√T and x = ln(F/K): d1 = x/s + s/2, d2 = d1 - s. The out-of-the-money side is priced and parity gives the
other, so that no price loses its time value to cancellation.

Edges: T = 0 gives intrinsic value and delta 0, 1/2 or 1 in size, σ = 0 forward intrinsic value. Where gamma or theta is
infinite (at the money with s = 0) it is 0, as on chain. A volatility, √T or s below 1e-100 counts as zero. Nothing
returns NaN: what has no meaning is refused by name.

The formulas stand in ``elementwise``; ``kernel`` runs them on numpy or, for large arrays, compiled on all cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keeper.pricing import elementwise
from keeper.pricing.elementwise import LARGEST, LARGEST_GROWTH, LARGEST_S
from keeper.pricing.errors import PricingError
from keeper.pricing.kernel import Method, OutOfDomain, run

FloatArray = npt.NDArray[np.float64]


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
    inputs = {"forward": forward, "strike": strike, "vol": vol, "years": years, "is_call": is_call}
    return np.asarray(_run(elementwise.black_price, elementwise.price_domain, inputs, 1, method)[0])


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
    inputs = {
        "spot": spot,
        "strike": strike,
        "vol": vol,
        "years": years,
        "is_call": is_call,
        "carry": carry,
        "rate": rate,
    }
    return Greeks(*_run(elementwise.black_greeks, elementwise.greeks_domain, inputs, 8, method))


def _run(
    formula: Callable[..., Any],
    domain: Callable[..., npt.NDArray[np.bool_]],
    inputs: dict[str, npt.ArrayLike],
    outputs: int,
    method: Method,
) -> npt.NDArray[np.float64]:
    columns = {
        name: np.asarray(values, dtype=np.bool_ if name == "is_call" else np.float64) for name, values in inputs.items()
    }
    try:
        return run(formula, list(columns.values()), outputs, method, domain)
    except OutOfDomain:
        raise _refusal(columns) from None


def _refusal(inputs: dict[str, npt.NDArray[Any]]) -> PricingError:
    """Names the first input at fault."""
    must = {
        "vol": f"not be negative, up to {LARGEST_S:g}",
        "years": f"not be negative, up to {LARGEST_S:g}",
        "carry": f"be finite, times years within ±{LARGEST_GROWTH:g}",
        "rate": f"be finite, times years within ±{LARGEST_GROWTH:g}",
    }
    for name, values in inputs.items():
        if name in ("carry", "rate"):
            with np.errstate(all="ignore"):
                good = (np.abs(values) <= LARGEST_S) & (np.abs(values * inputs["years"]) <= LARGEST_GROWTH)
        elif name in must:
            good = (values >= 0.0) & (values <= LARGEST_S)
        else:
            good = (name == "is_call") | ((values >= 1.0 / LARGEST) & (values <= LARGEST))
        if not np.all(good):
            break
    return PricingError(f"{name} must {must.get(name, f'be positive, up to {LARGEST:g}')}, got {values}")
