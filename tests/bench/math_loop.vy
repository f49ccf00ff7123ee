# pragma version 0.4.3
# pragma optimize gas
"""
@title The on-chain mathematics in loops
@notice Each function runs over all cases, with `evaluate` or without: the difference is what the evaluations cost.
        A case is spot, strike, tenor in years, volatility and rate in WAD, ln(F/K) and sigma * sqrt(T) in Q64.
"""

from snekmate.utils import math

from contracts.modules import black76
from contracts.modules import normal

initializes: normal
initializes: black76[normal := normal]

_W: constant(int256) = 10**18


@deploy
def __init__(table: uint256[256]):
    normal.__init__(table)


@external
@view
def cdf(cases: DynArray[int256[7], 64], evaluate: bool) -> int256:
    total: int256 = 0
    for c: int256[7] in cases:
        total = unsafe_add(total, normal._cdf(c[5]) if evaluate else c[5])
    return total


@external
@view
def black76_call(cases: DynArray[int256[7], 64], evaluate: bool) -> int256:
    total: int256 = 0
    for c: int256[7] in cases:
        total = unsafe_add(total, black76._call(c[0], c[1], c[5], c[6]) if evaluate else c[5])
    return total


@external
@view
def black_scholes_call(cases: DynArray[int256[7], 64], evaluate: bool) -> int256:
    total: int256 = 0
    for c: int256[7] in cases:
        total = unsafe_add(total, self._black_scholes(c[0], c[1], c[2], c[3], c[4]) if evaluate else c[5])
    return total


@internal
@view
def _black_scholes(spot: int256, strike: int256, tenor: int256, sigma: int256, rate: int256) -> int256:
    """
    @notice From the five inputs, nothing prepared: what the peers' functions do.
    """
    carry: int256 = rate * tenor // _W
    growth: int256 = math._wad_exp(carry)
    x: int256 = math._wad_ln(spot * _W // strike) + carry
    s: int256 = (sigma * convert(isqrt(convert(tenor * _W, uint256)), int256) << 64) // (_W * _W)
    return black76._call(spot * growth // _W, strike, (x << 64) // _W, s) * _W // growth
