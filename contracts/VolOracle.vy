# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title VolOracle
@license AGPL-3.0
@notice The implied-volatility surface: one eSSVI slice per underlying and expiry, packed in one slot.

        Posting. A role posts slices of the weekly expiries. Each must be free of butterfly arbitrage, with at-the-money
        volatility, carry and half-spread inside their bounds, and at-the-money volatility near the median of its last seven
        days. What is outside already may only come closer.

        Speed. A post moves a slice by the largest change of implied volatility at nine points, k / (sigma * sqrt(T)) = -2 to 2
        in steps of a half, half of the largest second difference of these changes, and the change of the half-spread, together:
        between the points nothing moves more, since |rho| is at most 0.9 (docs/stolen_keys.md). All moves of any hour, of any
        24 hours, and all of carry, have a limit.

        Window. What bid volatilities rose and ask volatilities fell in the last 24 hours is kept, and so is carry: whoever
        trades with the vault does so at the worst surface of that window, so that moving it gains nothing. A slice that nobody
        has posted for two hours may have moved meanwhile: from then on the window grows at the speed of a day, for a day.

        First slices. That of a new expiry is measured from the interpolation of its neighbours' total variance in time, which
        it must lie near; it takes over their windows, their speeds and their past. The first of an underlying has nothing to
        be measured by: only the governor posts it.
@custom:kill Holds no funds. Revoke VOL_POSTER: a surface older than two hours stops all fills.
"""

from .interfaces import IVolOracle
from .modules import essvi
from .modules import roles
from .modules import trailing

implements: IVolOracle
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @notice Bounds and speeds, WAD.
# @param min_vol, max_vol                  At-the-money volatility.
# @param vol_anchor                        Its largest distance from the median of seven days.
# @param vol_per_hour, vol_per_day         Sum of moves in any hour, and in any 24 hours.
# @param max_carry, carry_per_day          Largest |carry|, and sum of its moves in any 24 hours.
# @param min_half_spread, max_half_spread  Half-spread of a slice.
struct Bounds:
    min_vol: uint256
    max_vol: uint256
    vol_anchor: uint256
    vol_per_hour: uint256
    vol_per_day: uint256
    max_carry: uint256
    carry_per_day: uint256
    min_half_spread: uint256
    max_half_spread: uint256


# @dev What a post is measured from: log-moneyness of the control points, volatilities there, half-spread and carry, WAD.
struct Reference:
    points: int256[9]
    vols: int256[9]
    half_spread: int256
    carry: int256


# @dev From a reference to a new slice, WAD, at any strike: what its bid volatilities rise and its ask volatilities fall at
#      most, the largest change of a volatility with that of the half-spread, and what carry rises or falls.
struct Move:
    up: uint256
    down: uint256
    size: uint256
    carry_up: uint256
    carry_down: uint256


# @dev What is kept of the past of a slice, packed.
# @param window   Moves up and down (modules/trailing.vy).
# @param carries  Moves of carry up and down.
# @param speeds   Sizes of moves: of the day, of the hour.
# @param samples  Days 32 | seven daily at-the-money volatilities of 16 bits in 1e-4, the newest lowest.
struct Past:
    window: uint256
    carries: uint256
    speeds: uint256
    samples: uint256


event SlicePosted:
    underlying: indexed(uint256)
    expiry: indexed(uint256)
    slice: IVolOracle.Slice


event BoundsSet:
    bounds: Bounds


_W: constant(int256) = 10**18
_YEAR: constant(uint256) = 365 * 86400
_WEEK: constant(uint256) = 7 * 86400
_FRIDAY_0800: constant(uint256) = 86400 + 8 * 3600  # the epoch began on a Thursday
_MAX_TENOR: constant(uint256) = 90 * 86400
_MAX_EXPIRIES: constant(uint256) = 16  # more than there are weeks in the longest tenor
_POINTS: constant(int256[9]) = [-4, -3, -2, -1, 0, 1, 2, 3, 4]  # halves of a standard deviation
_AT_THE_MONEY: constant(uint256) = 4
_MAX_RHO: constant(int256) = 9 * 10**17
_FRESH: constant(uint256) = 2 * 3600
_FIRST_GAP: constant(uint256) = 3 * 10**16  # of a new expiry from its neighbours
_MAX_SPEED: constant(uint256) = 5 * 10**17  # a lane of modules/trailing.vy holds 0.655
_SAMPLES: constant(uint256) = 7
_SAMPLE_UNIT: constant(int256) = 10**14
_MAX_VOL: constant(uint256) = (2**16 - 1) * 10**14  # a sample's lane holds no more

# units of the packed slice: theta 64 bits 1e-18 | phi 64 bits 1e-12 | rho 32 bits 1e-9 | carry 32 bits 1e-9 |
# half-spread 32 bits 1e-9 | time 32 bits
_PHI_UNIT: constant(uint256) = 10**6
_UNIT: constant(int256) = 10**9

bounds: public(Bounds)
_slices: HashMap[uint256, HashMap[uint256, uint256]]
_pasts: HashMap[uint256, HashMap[uint256, Past]]
_expiries: HashMap[uint256, DynArray[uint256, 16]]


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
def tighten_bounds(bounds: Bounds):
    """
    @notice Narrow the bounds of the half-spread at once. Guardian or governor. The others stay as they are: a surface that
            cannot follow its market is the greater risk, and whoever posts a wrong one loses VOL_POSTER at once.
    """
    roles._check_guardian()
    b: Bounds = self.bounds
    assert bounds.min_vol == b.min_vol and bounds.max_vol == b.max_vol, "vol: stops posts"
    assert bounds.vol_anchor == b.vol_anchor, "vol: stops posts"
    assert bounds.vol_per_hour == b.vol_per_hour and bounds.vol_per_day == b.vol_per_day, "vol: stops posts"
    assert bounds.max_carry == b.max_carry and bounds.carry_per_day == b.carry_per_day, "vol: stops posts"
    assert bounds.min_half_spread >= b.min_half_spread and bounds.max_half_spread <= b.max_half_spread, "vol: loosens"
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
    @notice Post a slice as seen now; parameters as in IVolOracle.Slice, rounded to their packed units. Vol poster only; the
            first live slice of an underlying, governor only.
    """
    roles._check(roles.Role.VOL_POSTER | roles.Role.GOVERNOR)
    assert expiry > block.timestamp, "vol: expired"
    packed: uint256 = self._pack(theta, rho, phi, carry, half_spread)
    new: IVolOracle.Slice = self._unpack(packed)
    assert abs(new.rho) <= _MAX_RHO, "vol: rho out of bounds"
    assert essvi._is_free_of_butterflies(new), "vol: butterfly arbitrage"

    was: Reference = empty(Reference)
    past: Past = empty(Past)
    is_first: bool = self._slices[underlying][expiry] == 0
    if is_first:
        was, past = self._open(underlying, expiry, new)
    else:
        roles._check(roles.Role.VOL_POSTER)
        was = self._reference(underlying, expiry)
        past = self._past(underlying, expiry)
    move: Move = self._move(was, new, expiry)
    if is_first:
        assert move.size <= _FIRST_GAP, "vol: far from its neighbours"
        assert move.carry_up + move.carry_down <= self.bounds.carry_per_day, "vol: far from its neighbours"
    else:
        past.speeds = self._charge(past, move)
    self._check_bounds(was, new, expiry, past.samples)
    past.window = trailing._add(past.window, move.up, trailing.FOUR_HOURS, move.down, trailing.FOUR_HOURS)
    past.carries = trailing._add(
        past.carries, move.carry_up, trailing.FOUR_HOURS, move.carry_down, trailing.FOUR_HOURS
    )
    self._pasts[underlying][expiry] = past
    self._slices[underlying][expiry] = packed
    log SlicePosted(underlying=underlying, expiry=expiry, slice=new)


@external
@view
def posted(underlying: uint256, expiry: uint256) -> (IVolOracle.Slice, IVolOracle.Window):
    """
    @notice The slice in force and how far it has moved lately, or may have since it was posted.
    """
    found: IVolOracle.Slice = self._slice(underlying, expiry)
    window: IVolOracle.Window = empty(IVolOracle.Window)
    moves: uint256 = self._pasts[underlying][expiry].window
    window.up, window.down = trailing._sums(moves, trailing.FOUR_HOURS, trailing.FOUR_HOURS)
    carries: uint256 = self._pasts[underlying][expiry].carries
    window.carry_up, window.carry_down = trailing._sums(carries, trailing.FOUR_HOURS, trailing.FOUR_HOURS)
    age: uint256 = block.timestamp - found.posted_at
    if age > _FRESH:
        unseen: uint256 = self.bounds.vol_per_day * min(age - _FRESH, 86400) // 86400
        window.up += unseen
        window.down += unseen
    return found, window


@external
@view
def vol(underlying: uint256, expiry: uint256, k: int256) -> uint256:
    """
    @notice Annualised implied volatility at log-moneyness k = ln(K / F), both WAD.
    """
    return convert(essvi._vol(self._slice(underlying, expiry), expiry, k), uint256)


@external
@view
def expiries(underlying: uint256) -> DynArray[uint256, 16]:
    """
    @notice Expiries with slices in the order of their first posts, all that are live among them.
    """
    return self._expiries[underlying]


@external
@view
def room(underlying: uint256, expiry: uint256) -> (uint256, uint256):
    """
    @notice How far the speeds let the slice move now: volatility with half-spread, and carry, WAD.
    """
    return self._room(self._pasts[underlying][expiry])


@internal
def _set_bounds(bounds: Bounds):
    assert bounds.min_vol > 0 and bounds.min_vol < bounds.max_vol and bounds.max_vol <= _MAX_VOL, "vol: bounds"
    assert bounds.min_half_spread <= bounds.max_half_spread, "vol: bounds"
    assert max(bounds.vol_per_hour, max(bounds.vol_per_day, bounds.carry_per_day)) <= _MAX_SPEED, "vol: bounds"
    self.bounds = bounds
    log BoundsSet(bounds=bounds)


@internal
def _open(underlying: uint256, expiry: uint256, new: IVolOracle.Slice) -> (Reference, Past):
    """
    @notice What the first slice of an expiry is measured from and takes over; the expiry joins the live ones.
    """
    assert expiry % _WEEK == _FRIDAY_0800, "vol: expiry off the grid"
    assert expiry - block.timestamp <= _MAX_TENOR, "vol: expiry too far"
    live: DynArray[uint256, 16] = []
    earlier: uint256 = 0
    later: uint256 = max_value(uint256)
    for other: uint256 in self._expiries[underlying]:
        if other > block.timestamp:
            live.append(other)
            if other < expiry:
                earlier = max(earlier, other)
            else:
                later = min(later, other)
    is_alone: bool = len(live) == 0
    live.append(expiry)
    self._expiries[underlying] = live
    if is_alone:
        roles._check(roles.Role.GOVERNOR)
        was: Reference = self._at_control_points(new, expiry)
        return was, Past(window=0, carries=0, speeds=0, samples=self._sampled(0, was.vols[_AT_THE_MONEY]))
    roles._check(roles.Role.VOL_POSTER)
    if earlier == 0:
        earlier = later
    if later == max_value(uint256):
        later = earlier
    past: Past = self._past(underlying, earlier)
    if later != earlier:
        beyond: Past = self._past(underlying, later)
        past.window = trailing._larger(past.window, beyond.window, trailing.FOUR_HOURS, trailing.FOUR_HOURS)
        past.carries = trailing._larger(past.carries, beyond.carries, trailing.FOUR_HOURS, trailing.FOUR_HOURS)
        past.speeds = trailing._larger(past.speeds, beyond.speeds, trailing.FOUR_HOURS, trailing.TEN_MINUTES)
    return self._between(underlying, earlier, later, expiry), past


@internal
@view
def _slice(underlying: uint256, expiry: uint256) -> IVolOracle.Slice:
    packed: uint256 = self._slices[underlying][expiry]
    assert packed != 0, "vol: no slice"
    return self._unpack(packed)


@internal
@view
def _reference(underlying: uint256, expiry: uint256) -> Reference:
    return self._at_control_points(self._slice(underlying, expiry), expiry)


@internal
@view
def _at_control_points(posted: IVolOracle.Slice, expiry: uint256) -> Reference:
    r: Reference = empty(Reference)
    r.points = self._points(essvi._vol(posted, expiry, 0), expiry)
    for i: uint256 in range(9):
        r.vols[i] = essvi._vol(posted, expiry, r.points[i])
    r.half_spread = convert(posted.half_spread, int256)
    r.carry = posted.carry
    return r


@internal
@view
def _points(at_the_money: int256, expiry: uint256) -> int256[9]:
    """
    @return Log-moneyness at -2 to 2 standard deviations.
    """
    tenor: uint256 = (expiry - block.timestamp) * 10**36 // _YEAR
    deviation: int256 = at_the_money * convert(isqrt(tenor), int256) // _W
    points: int256[9] = empty(int256[9])
    for i: uint256 in range(9):
        points[i] = _POINTS[i] * deviation // 2
    return points


@internal
@view
def _between(underlying: uint256, earlier: uint256, later: uint256, expiry: uint256) -> Reference:
    """
    @notice Neighbours interpolated: total variance at equal numbers of standard deviations, half-spread and carry, each linear
            in time. Beyond the first and the last slice volatility stays as it is there.
    """
    r: Reference = self._reference(underlying, earlier)
    if later != earlier:
        beyond: Reference = self._reference(underlying, later)
        behind: int256 = convert(expiry - earlier, int256)
        ahead: int256 = convert(later - expiry, int256)
        first: int256 = convert(earlier - block.timestamp, int256)
        last: int256 = convert(later - block.timestamp, int256)
        own: int256 = convert(expiry - block.timestamp, int256)
        for i: uint256 in range(9):
            weighted: int256 = r.vols[i] * r.vols[i] * first * ahead + beyond.vols[i] * beyond.vols[i] * last * behind
            r.vols[i] = convert(isqrt(convert(weighted // (own * (ahead + behind)), uint256)), int256)
        r.half_spread = (r.half_spread * ahead + beyond.half_spread * behind) // (ahead + behind)
        r.carry = (r.carry * ahead + beyond.carry * behind) // (ahead + behind)
    r.points = self._points(r.vols[_AT_THE_MONEY], expiry)
    return r


@internal
@pure
def _move(was: Reference, new: IVolOracle.Slice, expiry: uint256) -> Move:
    widening: int256 = convert(new.half_spread, int256) - was.half_spread
    changes: int256[9] = empty(int256[9])
    highest: int256 = min_value(int256)
    lowest: int256 = max_value(int256)
    bend: int256 = 0
    for i: uint256 in range(9):
        changes[i] = essvi._vol(new, expiry, was.points[i]) - was.vols[i]
        highest = max(highest, changes[i])
        lowest = min(lowest, changes[i])
        if i > 1:
            bend = max(bend, abs(changes[i] - 2 * changes[i - 1] + changes[i - 2]) // 2)
    highest += bend  # between the points it may be that much more
    lowest -= bend
    return Move(
        up=convert(max(highest - widening, 0), uint256),
        down=convert(max(-lowest - widening, 0), uint256),
        size=convert(max(highest, -lowest) + abs(widening), uint256),
        carry_up=convert(max(new.carry - was.carry, 0), uint256),
        carry_down=convert(max(was.carry - new.carry, 0), uint256),
    )


@internal
@view
def _room(past: Past) -> (uint256, uint256):
    """
    @return What the speeds still allow: of volatility, and of carry, WAD.
    """
    b: Bounds = self.bounds
    day: uint256 = 0
    hour: uint256 = 0
    day, hour = trailing._sums(past.speeds, trailing.FOUR_HOURS, trailing.TEN_MINUTES)
    up: uint256 = 0
    down: uint256 = 0
    up, down = trailing._sums(past.carries, trailing.FOUR_HOURS, trailing.FOUR_HOURS)
    of_vol: uint256 = min(b.vol_per_hour - min(b.vol_per_hour, hour), b.vol_per_day - min(b.vol_per_day, day))
    return of_vol, b.carry_per_day - min(b.carry_per_day, up + down)


@internal
@view
def _charge(past: Past, move: Move) -> uint256:
    """
    @return `past.speeds` after a move that they allow.
    """
    of_vol: uint256 = 0
    of_carry: uint256 = 0
    of_vol, of_carry = self._room(past)
    assert move.size <= of_vol, "vol: too fast"
    assert move.carry_up + move.carry_down <= of_carry, "vol: carry too fast"
    return trailing._add(past.speeds, move.size, trailing.FOUR_HOURS, move.size, trailing.TEN_MINUTES)


@internal
@view
def _check_bounds(was: Reference, new: IVolOracle.Slice, expiry: uint256, samples: uint256):
    """
    @notice Everything must be inside its bounds, or closer to them than it was: they may have been narrowed.
    """
    b: Bounds = self.bounds
    at_the_money: int256 = essvi._vol(new, expiry, 0)
    old: int256 = was.vols[_AT_THE_MONEY]
    min_vol: int256 = convert(b.min_vol, int256)
    assert self._inside(at_the_money, old, min_vol, convert(b.max_vol, int256)), "vol: at-the-money out of bounds"
    median: int256 = self._median(samples)
    anchor: int256 = convert(b.vol_anchor, int256)
    assert self._inside(at_the_money, old, median - anchor, median + anchor), "vol: far from its week"
    max_carry: int256 = convert(b.max_carry, int256)
    assert self._inside(new.carry, was.carry, -max_carry, max_carry), "vol: carry out of bounds"
    half: int256 = convert(new.half_spread, int256)
    min_half: int256 = convert(b.min_half_spread, int256)
    assert self._inside(half, was.half_spread, min_half, convert(b.max_half_spread, int256)), "vol: half-spread"


@internal
@pure
def _inside(new: int256, old: int256, low: int256, high: int256) -> bool:
    outside: int256 = max(max(low - new, new - high), 0)
    return outside == 0 or outside < max(low - old, old - high)


@internal
@view
def _past(underlying: uint256, expiry: uint256) -> Past:
    """
    @notice The past of a slice in force, its samples up to today.
    """
    past: Past = self._pasts[underlying][expiry]
    past.samples = self._sampled(past.samples, essvi._vol(self._slice(underlying, expiry), expiry, 0))
    return past


@internal
@view
def _sampled(samples: uint256, at_the_money: int256) -> uint256:
    """
    @notice `samples` with one more for every day that has begun since the last post: the volatility that was in force.
    """
    today: uint256 = block.timestamp // 86400
    lanes: uint256 = samples & (2**112 - 1)
    sample: uint256 = convert(at_the_money // _SAMPLE_UNIT, uint256)
    for _: uint256 in range(min(today - (samples >> 112), _SAMPLES), bound=_SAMPLES):
        lanes = ((lanes << 16) | sample) & (2**112 - 1)
    return (today << 112) | lanes


@internal
@pure
def _median(samples: uint256) -> int256:
    """
    @return The largest sample that no more than three are below.
    """
    median: uint256 = 0
    for i: uint256 in range(_SAMPLES):
        sample: uint256 = (samples >> (16 * i)) & (2**16 - 1)
        below: uint256 = 0
        for j: uint256 in range(_SAMPLES):
            if (samples >> (16 * j)) & (2**16 - 1) < sample:
                below += 1
        if below <= _SAMPLES // 2:
            median = max(median, sample)
    return convert(median, int256) * _SAMPLE_UNIT


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
