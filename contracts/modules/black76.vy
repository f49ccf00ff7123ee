# pragma version 0.4.3
"""
@title black76
@notice Black (1976) undiscounted calls and their Greeks. A put is its call less forward plus strike. Money in WAD,
        x = ln(F / K) and s = sigma * sqrt(T) in Q64. A time value of s below 1e-6 counts as that.
"""

from . import normal

uses: normal

MIN_S: constant(int256) = 2**64 // 10**6


@internal
@view
def _call(forward: int256, strike: int256, x: int256, s: int256) -> int256:
    """
    @notice Price of a call, never below its forward intrinsic value.
    """
    v: int256 = max(s, MIN_S)
    return self._call_at(forward, strike, unsafe_mul(x, unsafe_div(2**128, v)) >> 64, v >> 1)


@internal
@view
def _call_at(forward: int256, strike: int256, y: int256, half: int256) -> int256:
    """
    @notice The same for y = x / s and half = s / 2, s not below MIN_S.
    """
    price: int256 = unsafe_sub(
        unsafe_mul(forward, normal._cdf(unsafe_add(y, half))), unsafe_mul(strike, normal._cdf(unsafe_sub(y, half)))
    ) >> 80
    return max(price, max(unsafe_sub(forward, strike), 0))


@internal
@view
def _d1(x: int256, s: int256) -> int256:
    """
    @return d1 in Q64.
    """
    v: int256 = max(s, MIN_S)
    return (x * (2**128 // v) >> 64) + (v >> 1)
