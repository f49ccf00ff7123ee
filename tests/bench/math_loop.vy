# pragma version 0.4.3
# pragma optimize gas
"""
@title The on-chain mathematics in loops
@notice Each function runs over all cases, with `evaluate` or without: the difference is what the evaluations cost.
"""

from snekmate.utils import math

from contracts.modules import black76
from contracts.modules import normal

initializes: normal
initializes: black76[normal := normal]

_W: constant(int256) = 10**18


# @dev WAD, `x` = ln(F/K) and `s` = sigma * sqrt(T) in Q64, `tenor` in years.
struct Case:
    spot: int256
    strike: int256
    tenor: int256
    sigma: int256
    rate: int256
    x: int256
    s: int256


@deploy
def __init__(table: uint256[256]):
    normal.__init__(table)


@external
@view
def cdf(cases: DynArray[Case, 64], evaluate: bool) -> int256:
    total: int256 = 0
    for c: Case in cases:
        total = unsafe_add(total, normal._cdf(c.x) if evaluate else c.x)
    return total


@external
@view
def black76_call(cases: DynArray[Case, 64], evaluate: bool) -> int256:
    total: int256 = 0
    for c: Case in cases:
        total = unsafe_add(total, black76._call(c.spot, c.strike, c.x, c.s) if evaluate else c.x)
    return total


@external
@view
def black_scholes_call(cases: DynArray[Case, 64], evaluate: bool) -> int256:
    """
    @notice From spot, strike, tenor, volatility and rate, nothing prepared: what the peers' functions do.
    """
    total: int256 = 0
    for c: Case in cases:
        total = unsafe_add(total, self._black_scholes_call(c) if evaluate else c.x)
    return total


@internal
@view
def _black_scholes_call(c: Case) -> int256:
    rate: int256 = c.rate * c.tenor // _W
    growth: int256 = math._wad_exp(rate)
    x: int256 = math._wad_ln(c.spot * _W // c.strike) + rate
    s: int256 = (c.sigma * convert(isqrt(convert(c.tenor * _W, uint256)), int256) << 64) // (_W * _W)
    return black76._call(c.spot * growth // _W, c.strike, (x << 64) // _W, s) * _W // growth
