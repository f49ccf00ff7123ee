# pragma version 0.4.3
# pragma optimize gas
"""
@title The on-chain mathematics, one external function each
"""

from snekmate.utils import math

from contracts.modules import black76
from contracts.modules import normal

initializes: normal
initializes: black76[normal := normal]


@deploy
def __init__(table: uint256[256]):
    normal.__init__(table)


@external
@view
def call(forward: int256, strike: int256, x: int256, s: int256) -> int256:
    return black76._call(forward, strike, x, s)


@external
@view
def d1(x: int256, s: int256) -> int256:
    return black76._d1(x, s)


@external
@view
def cdf(x: int256) -> int256:
    return normal._cdf(x)


@external
@view
def pdf(x: int256) -> int256:
    return normal._pdf(x)


@external
@view
def ln(x: int256) -> int256:
    return math._wad_ln(x)


@external
@view
def exp(x: int256) -> int256:
    return math._wad_exp(x)
