"""The formulas, written once: numpy runs them on arrays, numba compiles them for one option at a time.

Every function works element by element. What the two worlds do differently stands in the few primitives at the top:
``keeper/pricing/kernel.py`` gives each of them a compiled twin without branches, so that a loop over options becomes
vector instructions. Nothing here checks its input; the public functions do.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TINY: Final = 1e-100  # a volatility, √T or σ√T below it counts as zero
# The domain: within it no intermediate value overflows.
LARGEST: Final = 1e50  # prices and strikes, and one over them
LARGEST_S: Final = 1e10  # volatilities, years and rates
LARGEST_GROWTH: Final = 100.0  # |rate · years|
INV_SQRT_2PI: Final = 1.0 / math.sqrt(2.0 * math.pi)

# (z + MILLS_D)·Φ(-z)/φ(z) as a polynomial in (z - MILLS_C)/(z + MILLS_C), from degree 0: Chebyshev interpolation of
# degree 24 at 60 digits, the transformation of Shepherd and Laframboise (1981). Relative error below 6e-16 for z >= 0.
MILLS_C: Final = 5.25
MILLS_D: Final = 1.40625
MILLS: Final = (
    1.2261323520811767,
    -0.3658984797914525,
    0.2004236903412484,
    -0.06823374210042513,
    -0.00843184704057111,
    0.03456286446530608,
    -0.030619597749181632,
    0.017274316568169613,
    -0.006498662458880763,
    0.0012513150626056008,
    0.00020173956732365988,
    -0.00020939545176890066,
    3.604122863818116e-05,
    1.7626146164201297e-05,
    -8.37919333498453e-06,
    -1.0286360264903203e-06,
    1.345638714108402e-06,
    1.4578999083630047e-08,
    -2.076824186821196e-07,
    7.616919904329992e-09,
    3.2071227229219086e-08,
    -1.363767870044535e-09,
    -4.364961843541534e-09,
    1.0531528783206991e-10,
    3.6098193458009284e-10,
)

# The same for (z + SLOPE_D)²·(1 - z·Φ(-z)/φ(z)) in (z - SLOPE_C)/(z + SLOPE_C).
SLOPE_C: Final = 6.0
SLOPE_D: Final = 1.25
SLOPE: Final = (
    1.3526451946504243,
    -0.5515335721982348,
    0.23330374290686562,
    0.04201140114229978,
    -0.1875777270258997,
    0.19956486950710253,
    -0.1330878706392165,
    0.0537655371308626,
    -0.0013928804623059684,
    -0.01744840336195003,
    0.015542690811818909,
    -0.007757053850208735,
    0.00211633907628172,
    6.069109809399196e-05,
    -0.0003141975370335752,
    0.00010299453004675604,
    1.2937133313889343e-05,
    -1.8562950233855576e-05,
    2.394835118801119e-06,
    2.315962281158174e-06,
    -7.312053540412469e-07,
    -2.3190294444845476e-07,
    1.1751336853184766e-07,
    1.4892885155838201e-08,
    -1.0057381995841323e-08,
)


# ---------------------------------------------------------------- primitives


def select(condition: Bools, yes: Array | float, no: Array | float) -> Array:
    """``yes`` where the condition holds, else ``no``; both are evaluated."""
    return np.where(condition, yes, no)


def sign(condition: Bools) -> Array:
    """1 where the condition holds, else -1."""
    return np.asarray(2.0 * condition - 1.0)  # np.where branches, and waits where conditions follow no pattern


def larger(a: Array | float, b: Array | float) -> Array:
    """The larger of two."""
    return np.asarray(np.maximum(a, b))


def smaller(a: Array | float, b: Array | float) -> Array:
    """The smaller of two."""
    return np.asarray(np.minimum(a, b))


def exp(y: Array) -> Array:
    """Exponential function; 0 below -745."""
    return np.asarray(np.exp(y))


def log(y: Array) -> Array:
    """Natural logarithm of a positive number."""
    return np.asarray(np.log(y))


def sqrt(y: Array) -> Array:
    """Square root."""
    return np.asarray(np.sqrt(y))


def mills(z: Array) -> Array:
    """Mills' ratio Φ(-z)/φ(z) for z >= 0."""
    return np.asarray(math.sqrt(0.5 * math.pi) * erfcx(math.sqrt(0.5) * z))


def mills_slope(z: Array) -> Array:
    """1 - z·Φ(-z)/φ(z) for z >= 0, minus the slope of Mills' ratio, without the cancellation of that difference."""
    t = (z - SLOPE_C) / (z + SLOPE_C)
    return np.asarray(np.polyval(SLOPE[::-1], t) / np.square(z + SLOPE_D))


def normal_cdf(d: Array) -> Array:
    """Φ(d)."""
    mirrored = -d
    tail = ndtr(-np.abs(d))  # ndtr branches too: better on a sign that is always the same
    return np.asarray(np.signbit(mirrored) + np.copysign(tail, mirrored))


def inverse_or_zero(y: Array) -> Array:
    """1/y, and 0 where y < 1e-100."""
    if np.min(y, initial=1.0) >= TINY:  # nearly always: an array without such a y needs no mask
        return np.asarray(1.0 / y)
    return np.asarray(np.where(y < TINY, 0.0, 1.0 / np.maximum(y, TINY)))


# ---------------------------------------------------------------- Black-76


def d1_d2(x: Array, s: Array) -> tuple[Array, Array]:
    """d1 = x/s + s/2 and d2 = d1 - s for x = ln(F/K) and s = σ√T >= 0; at s = 0 ±1e100·|x| for infinity, or 0."""
    h, half = x / larger(s, TINY), 0.5 * s
    return h + half, h - half


def otm_side(forward: Array, strike: Array, d1: Array, d2: Array) -> tuple[Array, Array, Array, Array]:
    """The out-of-the-money option of a strike, a call (side 1) where F <= K, else a put (side -1).

    Returns side, side·Φ(side·d1), side·Φ(side·d2) and the undiscounted value, never below zero.
    """
    side = sign(forward <= strike)
    n1, n2 = side * normal_cdf(side * d1), side * normal_cdf(side * d2)
    return side, n1, n2, larger(forward * n1 - strike * n2, 0.0)


def price_domain(forward: Array, strike: Array, vol: Array, years: Array, is_call: Bools) -> Bools:
    """Where the arguments have a meaning; NaN fails every comparison."""
    prices = (forward >= 1.0 / LARGEST) & (forward <= LARGEST) & (strike >= 1.0 / LARGEST) & (strike <= LARGEST)
    widths = (vol >= 0.0) & (vol <= LARGEST_S) & (years >= 0.0) & (years <= LARGEST_S)
    return prices & widths


def greeks_domain(
    spot: Array, strike: Array, vol: Array, years: Array, is_call: Bools, carry: Array, rate: Array
) -> Bools:
    """The same with growth: at most exp(±100)."""
    rates = (abs(carry) <= LARGEST_S) & (abs(rate) <= LARGEST_S)
    growths = (abs(carry * years) <= LARGEST_GROWTH) & (abs(rate * years) <= LARGEST_GROWTH)
    return price_domain(spot, strike, vol, years, is_call) & rates & growths


def black_price(forward: Array, strike: Array, vol: Array, years: Array, is_call: Bools) -> Array:
    """Undiscounted Black-76 price: the out-of-the-money side, and parity for the other.

    The last digit of ln(F/K) does not matter: ∂/∂x of F·Φ(x/s + s/2) - K·Φ(x/s - s/2) is 0 at x = ln(F/K).
    """
    d1, d2 = d1_d2(log(forward / strike), vol * sqrt(years))
    side, _, _, otm = otm_side(forward, strike, d1, d2)
    return otm + 0.5 * (sign(is_call) - side) * (forward - strike)


def black_greeks(
    spot: Array, strike: Array, vol: Array, years: Array, is_call: Bools, carry: Array, rate: Array
) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array]:
    """Price, delta, gamma, vega, theta, rho, vanna and volga; see `keeper.pricing.black76.greeks`."""
    root = sqrt(years)
    discount = exp(-rate * years)
    to_forward = exp(carry * years)
    forward = spot * to_forward
    d1, d2 = d1_d2(log(forward / strike), vol * root)
    side, n1, n2, otm = otm_side(forward, strike, d1, d2)
    parity = 0.5 * (sign(is_call) - side)
    growth = to_forward * discount
    price = discount * (otm + parity * (forward - strike))
    density = growth * INV_SQRT_2PI * exp(-0.5 * d1 * d1)
    delta = growth * (n1 + parity)
    per_vol, per_root = inverse_or_zero(vol), inverse_or_zero(root)
    gamma = density / spot * per_vol * per_root
    decay = spot * density
    vega = decay * root
    theta = rate * price - carry * spot * delta - 0.5 * decay * vol * per_root
    rho = strike * discount * years * (n2 + parity)
    d2_per_vol = d2 * per_vol
    return price, delta, gamma, vega, theta, rho, -density * d2_per_vol, vega * d1 * d2_per_vol


STEPS: Final = (price_domain, greeks_domain, d1_d2, otm_side, black_price, black_greeks)  # what the kernel compiles
