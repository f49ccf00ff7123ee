"""Implied volatility after Jäckel, "Let's be rational" (2015), element by element like ``elementwise``.

Normalised: x = -|ln(F/K)|, β = time value / √(FK), s = σ√T. With h = x/s, t = s/2, v = ∂b/∂s =
exp(-(h²+t²)/2)/√2π and Y(z) = Φ(z)/φ(z), the Black price is b = v·D with D = Y(h+t) - Y(h-t), and the distance to its
upper bound e^(x/2) is v·C. A seed from rational cubics (Delbourgo and Gregory 1985) through s_c = √(2|x|), where v is
largest, and the two abscissae where the tangent in s_c meets 0 and the bound; then two Householder steps of order 4 on
1/ln b, b, or ln of the distance to the bound.

Ours where the paper leaves a choice: all four segments are computed by one interpolation with selected arguments, so
that compiled code has no branches; ln b is a sum of logarithms, so that nothing underflows; for small s and |x|, where
D cancels, it is a series in t whose first coefficient has its own approximation.
"""

from __future__ import annotations

import math
from typing import Final

from keeper.pricing.elementwise import (
    LARGEST,
    LARGEST_S,
    TINY,
    Array,
    Bools,
    exp,
    larger,
    log,
    mills,
    mills_slope,
    select,
    smaller,
    sqrt,
)

OK: Final = 0.0
NO_TIME_VALUE: Final = 1.0
BELOW_INTRINSIC: Final = 2.0
ABOVE_FORWARD: Final = 3.0
EXPIRED: Final = 4.0
INVALID: Final = 5.0


_LN_SQRT_2PI: Final = 0.5 * math.log(2.0 * math.pi)
_SQRT_2PI: Final = math.sqrt(2.0 * math.pi)
_SQRT_3: Final = math.sqrt(3.0)


def log_ratio(forward: Array, strike: Array) -> Array:
    """ln(F/K), accurate near the money too: what rounding the quotient to u took from its distance to 1 is added."""
    u = forward / strike
    return log(u) + ((forward - strike) / strike - (u - 1.0)) / larger(u, 1.0)


def small_half_normal_quantile(p: Array) -> Array:
    """Φ⁻¹(p) for 0 < p <= 1/2 to seven digits: Wichura (1988), AS 241, PPND7."""
    q = p - 0.5
    r = 0.180625 - q * q
    centre = (
        q
        * (((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
        / (((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0)
    )
    root = sqrt(-log(larger(p, 1e-300)))
    near, far = root - 1.6, root - 5.0
    tail = select(
        root <= 5.0,
        (((0.17023821103 * near + 1.3067284816) * near + 2.7568153900) * near + 1.4234372777)
        / ((0.12021132975 * near + 0.73700164250) * near + 1.0),
        (((0.017337203997 * far + 0.42868294337) * far + 3.0812263860) * far + 6.6579051150)
        / ((0.012258202635 * far + 0.24197894225) * far + 1.0),
    )
    return select(q >= -0.425, centre, -tail)


def black_over_vega(x: Array, s: Array) -> tuple[Array, Array, Array, Array]:
    """h = x/s, ln v, D = b/v and C = (e^(x/2) - b)/v, for x <= 0 and s >= 0."""
    h, t = x / larger(s, TINY), 0.5 * s
    near, y_far, y_h = h + t, mills(t - h), mills(-h)
    y_near = mills(abs(near))
    log_v = -0.5 * (h * h + t * t) - _LN_SQRT_2PI
    bound = _SQRT_2PI * exp(smaller(0.5 * near * near, 700.0))  # e^(x/2)/v
    out = near <= 0.0
    direct = select(out, y_near - y_far, bound - y_near - y_far)
    # Y' to Y^(11) by Y^(n+1) = h·Y^(n) + n·Y^(n-1)
    y1 = mills_slope(-h)
    y2 = h * y1 + y_h
    y3 = h * y2 + 2.0 * y1
    y4 = h * y3 + 3.0 * y2
    y5 = h * y4 + 4.0 * y3
    y6 = h * y5 + 5.0 * y4
    y7 = h * y6 + 6.0 * y5
    y8 = h * y7 + 7.0 * y6
    y9 = h * y8 + 8.0 * y7
    y11 = h * (h * y9 + 9.0 * y8) + 10.0 * y9
    u = t * t
    series = s * (y1 + u / 6.0 * (y3 + u / 20.0 * (y5 + u / 42.0 * (y7 + u / 72.0 * (y9 + u / 110.0 * y11)))))
    d = select((t < 0.1) & (h * t > -1.0), series, direct)
    return h, log_v, d, select(out, bound - d, y_near + y_far)


def rational_cubic(
    from_l: Array, to_r: Array, y_l: Array, y_r: Array, d_l: Array, d_r: Array, second_l: Array
) -> Array:
    """Interpolates values and slopes at a point by its (signed) distances from the left and to the right end, with the
    second derivative given on the left as far as the shape is preserved."""
    width = from_l + to_r
    safe_width = select(width == 0.0, 1.0, width)
    slope = (y_r - y_l) / safe_width
    left, right = slope - d_l, d_r - slope
    safe_left, safe_right = select(left == 0.0, TINY, left), select(right == 0.0, TINY, right)
    r_fit = (0.5 * width * second_l + d_r - d_l) / safe_left
    r_monotone = (d_l + d_r) / select(slope == 0.0, TINY, slope)
    r_convex = larger(abs((d_r - d_l) / safe_left), abs((d_r - d_l) / safe_right))
    r = smaller(larger(r_fit, larger(r_monotone, r_convex)), 1e50)
    t, o = from_l / safe_width, to_r / safe_width
    cubic = y_r * t * t * t + (r * y_r - width * d_r) * t * t * o + (r * y_l + width * d_l) * t * o * o
    value: Array = (cubic + y_l * o * o * o) / (1.0 + (r - 3.0) * t * o)
    return value


def seed(x: Array, beta: Array, gap: Array) -> tuple[Array, Bools, Bools]:
    """The first guess of s; whether β lies in the lowest segment, and whether in the upper half of the highest."""
    bound = exp(0.5 * x)
    s_c = sqrt(-2.0 * x)
    _, log_v_c, d_c, c_c = black_over_vega(x, s_c)
    v_c = exp(log_v_c)
    b_c = v_c * d_c
    below = beta < b_c
    s_e = select(below, s_c - d_c, s_c + c_c)
    h_e, log_v_e, d_e, _ = black_over_vega(x, s_e)
    v_e = exp(log_v_e)
    b_e = v_e * d_e
    past_e = select(below, b_e - beta, beta - b_e)
    inner = past_e <= 0.0

    # outside, a function f of s that is nearly linear in β: 2π|x|/(3√3)·Φ(-|x|/(√3s))³ below, Φ(-s/2) above
    z = -h_e / _SQRT_3
    y = z * z
    m = mills(z)
    tail = exp(-0.5 * y) / _SQRT_2PI * m
    square = s_e * s_e
    cube = larger(square * s_e, TINY)
    f_low = -2.0 * math.pi * x / (3.0 * _SQRT_3) * tail * tail * tail
    df_low = 2.0 * math.pi * y * tail * tail * exp(smaller(y + 0.125 * square, 700.0))
    curve = -8.0 * _SQRT_3 * s_e * x + (3.0 * square * (square - 8.0) - 8.0 * x * x) * m
    ddf_low = math.pi / 6.0 * y / cube * tail * curve * exp(smaller(2.0 * y + 0.25 * square, 700.0))
    f_high = exp(-0.125 * square) / _SQRT_2PI * mills(0.5 * s_e)
    df_high = -0.5 * exp(smaller(0.5 * h_e * h_e, 700.0))
    ddf_high = math.sqrt(0.5 * math.pi) * x * x / cube * exp(smaller(h_e * h_e + 0.125 * square, 700.0))
    f_e, df_e, ddf_e = (
        select(below, f_low, f_high),
        select(below, df_low, df_high),
        select(below, ddf_low, ddf_high),
    )

    end = select(below, 0.0, bound)
    df_end = select(below, 1.0, -0.5)
    value = rational_cubic(
        beta - select(inner, b_c, b_e),
        select(inner, b_e - beta, select(below, -beta, gap)),
        select(inner, s_c, f_e),
        select(inner, s_e, 0.0),
        select(inner, 1.0 / v_c, df_e),
        select(inner, 1.0 / larger(v_e, 1e-300), df_end),
        select(inner, 0.0, ddf_e),
    )
    share = (beta - b_e) / select(end == b_e, 1.0, end - b_e)
    parabola = (f_e * (1.0 - share) + df_end * (b_e - end) * share) * (1.0 - share)
    f = select(value > 0.0, value, larger(parabola, 1e-300))
    cube_root = exp(log(larger(f, 1e-300) / larger(-2.0 * math.pi * x, TINY)) / 3.0)
    p = select(below, _SQRT_3 * cube_root, f)
    quantile = small_half_normal_quantile(smaller(p, 0.5))
    outer = select(below, x / (_SQRT_3 * smaller(quantile, -TINY)), -2.0 * quantile)
    low, high = below & (past_e > 0.0), (beta >= b_c) & (past_e > 0.0) & (gap < 0.5 * bound)
    return select(inner, value, outer), low, high


def householder(x: Array, s: Array, beta: Array, log_beta: Array, log_gap: Array, low: Bools, high: Bools) -> Array:
    """One step of order 4; ``low`` and ``high`` choose the objective."""
    h, log_v, d, c = black_over_vega(x, s)
    q = h * h / s - 0.25 * s  # v'/v
    dq = -3.0 * h * h / (s * s) - 0.25
    # low: 1/ln b; r = (ln b)'
    r = 1.0 / larger(d, 1e-300)
    log_b = log_v + log(larger(d, 1e-300))
    ratio = r / log_b
    dr = r * (q - r)
    step_low = log_b * (log_beta - log_b) / (log_beta * r)
    second_low = q - r - 2.0 * ratio
    third_low = second_low * second_low + dq - dr - 2.0 * (dr / log_b - ratio * ratio)
    # high: ln of the distance to the bound; k = -(ln of it)'
    k = 1.0 / larger(c, 1e-300)
    step_high = (log_v + log(larger(c, 1e-300)) - log_gap) / k
    second_high = q + k
    third_high = second_high * second_high + dq + k * (q + k)
    # between: b itself
    step_mid = beta * exp(smaller(-log_v, 700.0)) - d
    step = select(low, step_low, select(high, step_high, step_mid))
    second = select(low, second_low, select(high, second_high, q))
    third = select(low, third_low, select(high, third_high, q * q + dq))
    new = s + step * (1.0 + 0.5 * second * step) / (1.0 + step * (second + third * step / 6.0))
    return select((new > 0.25 * s) & (new < 4.0 * s), new, s)


def implied_volatility(
    price: Array, forward: Array, strike: Array, years: Array, is_call: Bools
) -> tuple[Array, Array]:
    """Volatility and status; see `keeper.pricing.implied.implied_vol`. The volatility is 0 unless the status is OK."""
    top = select(is_call, forward, strike)
    valid = (
        (forward >= 1.0 / LARGEST)
        & (forward <= LARGEST)
        & (strike >= 1.0 / LARGEST)
        & (strike <= LARGEST)
        & (abs(price) <= 1e300)
        & (years >= 0.0)
        & (years <= LARGEST_S)
    )
    root = sqrt(years)
    time_value = price - larger(select(is_call, 1.0, -1.0) * (forward - strike), 0.0)
    status = select(time_value == 0.0, NO_TIME_VALUE, OK)
    status = select(time_value < 0.0, BELOW_INTRINSIC, status)
    status = select(price >= top, ABOVE_FORWARD, status)
    status = select(root < TINY, EXPIRED, status)
    status = select(valid, status, INVALID)
    good = status == OK
    f, k = select(good, forward, 1.0), select(good, strike, 1.0)
    unit = sqrt(f) * sqrt(k)
    x = -abs(log_ratio(f, k))
    beta = select(good, time_value / unit, 0.25)
    gap = select(good, (top - price) / unit, 0.75)
    s, low, high = seed(x, beta, gap)
    log_beta, log_gap = log(beta), log(gap)
    s = householder(x, s, beta, log_beta, log_gap, low, high)
    s = householder(x, s, beta, log_beta, log_gap, low, high)
    return select(good, s / larger(root, TINY), 0.0), status


STEPS: Final = (
    log_ratio,
    small_half_normal_quantile,
    black_over_vega,
    rational_cubic,
    seed,
    householder,
    implied_volatility,
)
