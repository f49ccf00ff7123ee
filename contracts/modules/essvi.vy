# pragma version 0.4.3
"""
@title essvi
@notice One slice of the eSSVI surface (Hendriks and Martini 2019), everything in WAD:
        w(k) = theta / 2 * (1 + rho * phi * k + sqrt((phi * k + rho)^2 + 1 - rho^2)), k = ln(K / F).
"""

from ..interfaces import IVolOracle

_W: constant(int256) = 10**18
_YEAR: constant(int256) = 365 * 86400


@internal
@pure
def _vol(posted: IVolOracle.Slice, expiry: uint256, k: int256) -> int256:
    """
    @notice Annualised implied volatility at log-moneyness `k`.
    """
    phi_k: int256 = convert(posted.phi, int256) * k // _W
    root: int256 = convert(
        isqrt(convert((phi_k + posted.rho) * (phi_k + posted.rho) + _W * _W - posted.rho * posted.rho, uint256)), int256
    )
    variance: int256 = convert(posted.theta, int256) * (_W + posted.rho * phi_k // _W + root) // (2 * _W)
    tenor: int256 = convert(expiry - posted.posted_at, int256)
    return convert(isqrt(convert(max(variance, 0) * _YEAR // tenor * _W, uint256)), int256)


@internal
@pure
def _is_free_of_butterflies(posted: IVolOracle.Slice) -> bool:
    """
    @notice Sufficient conditions of Gatheral and Jacquier (2014), theorem 4.2.
    """
    one_plus_rho: uint256 = convert(_W + abs(posted.rho), uint256)
    wad: uint256 = convert(_W, uint256)
    theta_phi: uint256 = posted.theta * posted.phi // wad * one_plus_rho // wad
    return theta_phi < 4 * wad and theta_phi * posted.phi // wad <= 4 * wad
