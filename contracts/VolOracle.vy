# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title VolOracle
@license AGPL-3.0
@notice The implied-volatility surface: one eSSVI slice per underlying and expiry, packed in one slot.

        Posting. A role posts slices. Each must be free of butterfly arbitrage, with at-the-money volatility, carry and half-spread
        inside their bounds.

        Speed. A slice may move the implied volatility at k / (sigma * sqrt(T)) in {-2, -1, 0, 1, 2} by no more than two budgets
        allow, per hour and per day; carry has its own daily budget. Whoever holds the key cannot move marks faster.
@custom:kill Holds no funds. Revoke VOL_POSTER: a surface older than two hours stops all fills.
"""

from .interfaces import IVolOracle
from .modules import essvi
from .modules import leaky_bucket
from .modules import roles

implements: IVolOracle
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @notice Bounds and speeds, WAD.
# @param min_vol, max_vol                  At-the-money volatility.
# @param vol_per_hour, vol_per_day         Largest move of volatility at any control point.
# @param max_carry, carry_per_day          Largest |carry| and its largest move.
# @param min_half_spread, max_half_spread  Half-spread of a slice.
struct Bounds:
    min_vol: uint256
    max_vol: uint256
    vol_per_hour: uint256
    vol_per_day: uint256
    max_carry: uint256
    carry_per_day: uint256
    min_half_spread: uint256
    max_half_spread: uint256


struct Speed:
    hour: leaky_bucket.Bucket
    day: leaky_bucket.Bucket
    carry: leaky_bucket.Bucket


event SlicePosted:
    underlying: indexed(uint256)
    expiry: indexed(uint256)
    slice: IVolOracle.Slice


event BoundsSet:
    bounds: Bounds


_W: constant(int256) = 10**18
_YEAR: constant(uint256) = 365 * 86400
_POINTS: constant(int256[5]) = [-2, -1, 0, 1, 2]

# units of the packed slice: theta 64 bits 1e-18 | phi 64 bits 1e-12 | rho 32 bits 1e-9 | carry 32 bits 1e-9 |
# half-spread 32 bits 1e-9 | time 32 bits
_PHI_UNIT: constant(uint256) = 10**6
_UNIT: constant(int256) = 10**9

bounds: public(Bounds)
_slices: HashMap[uint256, HashMap[uint256, uint256]]
_speeds: HashMap[uint256, HashMap[uint256, Speed]]


@deploy
def __init__(governor: address, bounds: Bounds):
    roles.__init__(governor)
    self._set_bounds(bounds)


@external
def set_bounds(bounds: Bounds):
    """
    @notice Replace bounds and speeds. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self._set_bounds(bounds)


@external
def post(
    underlying: uint256,
    expiry: uint256,
    theta: uint256,
    rho: int256,
    phi: uint256,
    carry: int256,
    half_spread: uint256,
):
    """
    @notice Post a slice as seen now; parameters as in IVolOracle.Slice, rounded to their packed units.
    """
    roles._check(roles.Role.VOL_POSTER)
    assert expiry > block.timestamp, "vol: expired"
    new: IVolOracle.Slice = self._unpack(self._pack(theta, rho, phi, carry, half_spread))
    self._check_bounds(new, expiry)
    if self._slices[underlying][expiry] != 0:
        self._charge(underlying, expiry, new)
    self._slices[underlying][expiry] = self._pack(theta, rho, phi, carry, half_spread)
    log SlicePosted(underlying=underlying, expiry=expiry, slice=new)


@external
@view
def slice_of(underlying: uint256, expiry: uint256) -> IVolOracle.Slice:
    """
    @notice The slice in force.
    """
    packed: uint256 = self._slices[underlying][expiry]
    assert packed != 0, "vol: no slice"
    return self._unpack(packed)


@external
@view
def vol(underlying: uint256, expiry: uint256, k: int256) -> uint256:
    """
    @notice Annualised implied volatility at log-moneyness k = ln(K / F), both WAD.
    """
    packed: uint256 = self._slices[underlying][expiry]
    assert packed != 0, "vol: no slice"
    return convert(essvi._vol(self._unpack(packed), expiry, k), uint256)


@internal
def _set_bounds(bounds: Bounds):
    assert bounds.min_vol > 0 and bounds.min_vol < bounds.max_vol, "vol: bounds"
    assert bounds.min_half_spread <= bounds.max_half_spread, "vol: bounds"
    self.bounds = bounds
    log BoundsSet(bounds=bounds)


@internal
@view
def _check_bounds(new: IVolOracle.Slice, expiry: uint256):
    b: Bounds = self.bounds
    assert abs(new.rho) < _W, "vol: rho out of bounds"
    assert essvi._is_free_of_butterflies(new), "vol: butterfly arbitrage"
    at_the_money: uint256 = convert(essvi._vol(new, expiry, 0), uint256)
    assert at_the_money >= b.min_vol and at_the_money <= b.max_vol, "vol: at-the-money out of bounds"
    assert convert(abs(new.carry), uint256) <= b.max_carry, "vol: carry out of bounds"
    assert new.half_spread >= b.min_half_spread and new.half_spread <= b.max_half_spread, "vol: half-spread"


@internal
def _charge(underlying: uint256, expiry: uint256, new: IVolOracle.Slice):
    """
    @notice Charge the largest move at the control points to the budgets.
    """
    old: IVolOracle.Slice = self._unpack(self._slices[underlying][expiry])
    tenor: uint256 = (expiry - block.timestamp) * 10**36 // _YEAR
    deviation: int256 = essvi._vol(old, expiry, 0) * convert(isqrt(tenor), int256) // _W
    move: uint256 = 0
    for z: int256 in _POINTS:
        k: int256 = z * deviation
        change: int256 = essvi._vol(new, expiry, k) - essvi._vol(old, expiry, k)
        move = max(move, convert(abs(change), uint256))
    b: Bounds = self.bounds
    speed: Speed = self._speeds[underlying][expiry]
    speed.hour = leaky_bucket._spend(speed.hour, move, b.vol_per_hour, 24 * b.vol_per_hour)
    speed.day = leaky_bucket._spend(speed.day, move, b.vol_per_day, b.vol_per_day)
    carry_move: uint256 = convert(abs(new.carry - old.carry), uint256)
    speed.carry = leaky_bucket._spend(speed.carry, carry_move, b.carry_per_day, b.carry_per_day)
    self._speeds[underlying][expiry] = speed


@internal
@view
def _pack(theta: uint256, rho: int256, phi: uint256, carry: int256, half_spread: uint256) -> uint256:
    assert theta < 2**64 and phi // _PHI_UNIT < 2**64, "vol: not representable"
    assert abs(rho) < 2 * _W and abs(carry) < 2 * _W and half_spread < 2 * 10**18, "vol: not representable"
    return (
        (theta << 192)
        | ((phi // _PHI_UNIT) << 128)
        | ((convert(convert(rho // _UNIT, bytes32), uint256) & (2**32 - 1)) << 96)
        | ((convert(convert(carry // _UNIT, bytes32), uint256) & (2**32 - 1)) << 64)
        | ((half_spread // convert(_UNIT, uint256)) << 32)
        | block.timestamp
    )


@internal
@pure
def _unpack(packed: uint256) -> IVolOracle.Slice:
    return IVolOracle.Slice(
        theta=packed >> 192,
        rho=self._signed(packed << 128) * _UNIT,
        phi=((packed >> 128) & (2**64 - 1)) * _PHI_UNIT,
        carry=self._signed(packed << 160) * _UNIT,
        half_spread=((packed >> 32) & (2**32 - 1)) * convert(_UNIT, uint256),
        posted_at=packed & (2**32 - 1),
    )


@internal
@pure
def _signed(shifted: uint256) -> int256:
    """
    @return The signed number in the top 32 bits.
    """
    return convert(convert(shifted, bytes32), int256) >> 224
