"""What ``VolOracle.post`` accepts, mirrored in Python integers, equal to the contract to the last unit.

The names are the contract's. All amounts are WAD, times seconds. ``refusal`` is the whole of it: the reason with which
the contract would revert, in a block of a given time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Final

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import DAY, HOUR, WAD, YEAR
from keeper.pricing.fixed_point import essvi_vol, tdiv

UNIT: Final = 10**9  # of ρ, carry and half-spread, as they are stored
PHI_UNIT: Final = 10**6
SPEED_UNIT: Final = 10**13  # a move counts rounded up to it
MAX_RHO: Final = 9 * 10**17
FIRST_GAP: Final = 3 * 10**16
_WEEK: Final = 7 * DAY
_FRIDAY_0800: Final = DAY + 8 * HOUR
_MAX_TENOR: Final = 90 * DAY
_POINTS: Final = range(-4, 5)  # halves of a standard deviation
_AT_THE_MONEY: Final = 4
_SAMPLES: Final = 7
_SAMPLE_UNIT: Final = 10**14
_LANES: Final = 2**112 - 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """VolOracle.Bounds, WAD."""

    min_vol: int
    max_vol: int
    vol_anchor: int
    vol_per_hour: int
    vol_per_day: int
    max_carry: int
    carry_per_day: int
    min_half_spread: int
    max_half_spread: int


@dataclass(frozen=True, slots=True)
class Held:
    """A live slice: what is posted, the word of its daily volatilities, and how far its speeds let volatility and carry
    move. The speeds forget as time passes, so what they allow now they allow later too."""

    expiry: int
    posted: VolSlice
    samples: int
    room: int
    carry_room: int


@dataclass(frozen=True, slots=True)
class Oracle:
    """Everything that a post of one underlying is judged by; ``held`` in order of expiry."""

    bounds: Bounds
    held: tuple[Held, ...]

    def held_at(self, expiry: int) -> Held | None:
        """The slice of an expiry, if there is one."""
        return next((one for one in self.held if one.expiry == expiry), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a post is measured from: log-moneyness of the control points and volatilities there (9 each)."""

    points: tuple[int, ...]
    vols: tuple[int, ...]
    half_spread: int
    carry: int

    @property
    def at_the_money(self) -> int:
        """Volatility there."""
        return self.vols[_AT_THE_MONEY]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one post of an expiry is measured from at a time, how far it may move, and the median of its week."""

    was: Reference
    of_vol: int
    of_carry: int
    median: int


def refusal(oracle: Oracle, expiry: int, new: VolSlice, *, is_governor: bool = False) -> str:
    """Why the contract would refuse a slice in the block of ``new.posted_at``; empty where it accepts it."""
    time = new.posted_at
    held = oracle.held_at(expiry)
    if expiry <= time:
        return "vol: expired"
    if not (new.theta < 2**64 and new.phi // PHI_UNIT < 2**64):
        return "vol: not representable"
    if abs(new.rho) > MAX_RHO:
        return "vol: rho out of bounds"
    if not is_free_of_butterflies(new):
        return "vol: butterfly arbitrage"
    if held is None:
        if expiry % _WEEK != _FRIDAY_0800:
            return "vol: expiry off the grid"
        if expiry - time > _MAX_TENOR:
            return "vol: expiry too far"
        if not oracle.held and not is_governor:
            return "roles: not allowed"
    allowed = allowance(oracle, expiry, time)
    if allowed is None:  # the governor's first slice is measured from itself
        own = at_control_points(new, expiry, time)
        allowed = Allowance(own, 0, 0, median(sampled(0, own.at_the_money, time)))
    if size(allowed.was, new, expiry) > allowed.of_vol:
        return "vol: too fast" if held else "vol: far from its neighbours"
    if abs(new.carry - allowed.was.carry) > allowed.of_carry:
        return "vol: carry too fast" if held else "vol: far from its neighbours"
    return _outside(oracle.bounds, allowed, new, expiry)


def allowance(oracle: Oracle, expiry: int, time: int) -> Allowance | None:
    """For a held expiry its own; for a new one that of its neighbours, and None where it has none."""
    held = oracle.held_at(expiry)
    if held is not None:
        was = at_control_points(held.posted, expiry, time)
        return Allowance(was, held.room, held.carry_room, _median_of(held, time))
    near = neighbours(oracle, expiry, time)
    if near is None:
        return None
    was = between(*near, expiry, time)
    return Allowance(was, FIRST_GAP, oracle.bounds.carry_per_day, _median_of(near[0], time))


def neighbours(oracle: Oracle, expiry: int, time: int) -> tuple[Held, Held] | None:
    """The live slices before and after a new expiry; at either end the nearest one twice, None without any."""
    live = [one for one in oracle.held if one.expiry > time]
    before = [one for one in live if one.expiry < expiry]
    after = [one for one in live if one.expiry > expiry]
    if not live:
        return None
    earlier = before[-1] if before else after[0]
    return earlier, after[0] if after else earlier


def at_control_points(posted: VolSlice, expiry: int, time: int) -> Reference:
    """A slice at the nine points of now."""
    k = _points(essvi_vol(posted, expiry, 0), expiry, time)
    return Reference(k, tuple(essvi_vol(posted, expiry, point) for point in k), posted.half_spread, posted.carry)


def between(earlier: Held, later: Held, expiry: int, time: int) -> Reference:
    """Neighbours interpolated: total variance at equal numbers of deviations, half-spread and carry, linear in time."""
    one = at_control_points(earlier.posted, earlier.expiry, time)
    vols, half_spread, carry = one.vols, one.half_spread, one.carry
    if earlier is not later:
        other = at_control_points(later.posted, later.expiry, time)
        behind, ahead = expiry - earlier.expiry, later.expiry - expiry
        first, last, own = earlier.expiry - time, later.expiry - time, expiry - time
        vols = tuple(
            isqrt((a * a * first * ahead + b * b * last * behind) // (own * (ahead + behind)))
            for a, b in zip(one.vols, other.vols, strict=True)
        )
        half_spread = (one.half_spread * ahead + other.half_spread * behind) // (ahead + behind)
        carry = tdiv(one.carry * ahead + other.carry * behind, ahead + behind)
    return Reference(_points(vols[_AT_THE_MONEY], expiry, time), vols, half_spread, carry)


def size(was: Reference, new: VolSlice, expiry: int) -> int:
    """``Move.size``: the largest change of volatility at any strike, with that of the half-spread."""
    changes = [essvi_vol(new, expiry, k) - vol for k, vol in zip(was.points, was.vols, strict=True)]
    bend = max(abs(c - 2 * b + a) // 2 for a, b, c in zip(changes, changes[1:], changes[2:], strict=False))
    return max(max(changes) + bend, bend - min(changes)) + abs(new.half_spread - was.half_spread)


def is_free_of_butterflies(posted: VolSlice) -> bool:
    """``essvi._is_free_of_butterflies``."""
    theta_phi = posted.theta * posted.phi // WAD * (WAD + abs(posted.rho)) // WAD
    return theta_phi < 4 * WAD and theta_phi * posted.phi // WAD <= 4 * WAD


def sampled(samples: int, at_the_money: int, time: int) -> int:
    """The word of daily volatilities with one more for every day that has begun since it was written."""
    today, lanes = time // DAY, samples & _LANES
    for _ in range(min(today - (samples >> 112), _SAMPLES)):
        lanes = (lanes << 16 | at_the_money // _SAMPLE_UNIT) & _LANES
    return today << 112 | lanes


def median(samples: int) -> int:
    """Of the seven daily volatilities, WAD."""
    return sorted(samples >> 16 * i & 0xFFFF for i in range(_SAMPLES))[_SAMPLES // 2] * _SAMPLE_UNIT


def _median_of(past: Held, time: int) -> int:
    return median(sampled(past.samples, essvi_vol(past.posted, past.expiry, 0), time))


def _points(at_the_money: int, expiry: int, time: int) -> tuple[int, ...]:
    deviation = at_the_money * isqrt((expiry - time) * WAD * WAD // YEAR) // WAD
    return tuple(tdiv(point * deviation, 2) for point in _POINTS)


def _outside(b: Bounds, allowed: Allowance, new: VolSlice, expiry: int) -> str:
    """Everything inside its bounds, or closer to them than it was."""
    vol, was = essvi_vol(new, expiry, 0), allowed.was
    checks: Sequence[tuple[str, int, int, int, int]] = (
        ("vol: at-the-money out of bounds", vol, was.at_the_money, b.min_vol, b.max_vol),
        ("vol: far from its week", vol, was.at_the_money, allowed.median - b.vol_anchor, allowed.median + b.vol_anchor),
        ("vol: carry out of bounds", new.carry, was.carry, -b.max_carry, b.max_carry),
        ("vol: half-spread", new.half_spread, was.half_spread, b.min_half_spread, b.max_half_spread),
    )
    return next((reason for reason, *values in checks if not _inside(*values)), "")


def _inside(new: int, old: int, low: int, high: int) -> bool:
    outside = max(low - new, new - high, 0)
    return outside == 0 or outside < max(low - old, old - high)
