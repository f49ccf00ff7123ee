"""From a calibrated surface to the slices that VolOracle takes now.

The oracle limits how fast a slice moves (`vol_oracle`), counting every move whichever way it goes. So a slice is posted
when the market has moved by more than noise, `threshold`, and then as far along the line to it as is allowed; when
nothing has moved it is posted again as it is before it is stale. The line is straight in θ, ψ = θφ and ρψ, which keeps
a slice free of butterflies (Corbetta et al. 2019, section 5). Carry has a limit of its own and moves by itself.

A post is mined later than it is decided: it must be accepted in the first and in the last block that it may get into.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from keeper.domain.snapshot import VolSlice
from keeper.domain.units import HOUR, WAD, YEAR
from keeper.pricing.calibration import Calibration
from keeper.pricing.errors import PricingError
from keeper.pricing.surface import EssviSurface
from keeper.pricing.vol_oracle import (
    MAX_RHO,
    PHI_UNIT,
    SPEED_UNIT,
    UNIT,
    Allowance,
    Oracle,
    allowance,
    neighbours,
    refusal,
    size,
)

REFRESH: Final = HOUR  # a surface older than two stops deposits and fills: another hour to try again
RESERVE: Final = 50 * SPEED_UNIT  # of the room: posting the same again counts a unit, for as long as it must last
SPREAD_STEP: Final = 0.005  # of half-spreads: every change of one costs room
_OF_SPREAD: Final = 4  # volatility that moved by less than this part of the half-spread is noise
_CARRY_AS_VOL: Final = 1.25  # an option at the money has a delta of ½ and a vega of 0.4·S·√T
_SURE: Final = 1.0 - 1e-6
_HALVINGS: Final = 40
FloatArray = npt.NDArray[np.float64]
_Line = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Planned:
    """What to do with one expiry, WAD.

    Attributes:
        target: The calibrated slice, inside the oracle's bounds.
        post: The slice to post; None if there is nothing to do, or nothing that would be accepted.
        distance: How far the target is from what the oracle holds, as the oracle counts; ``step`` what the post moves.
        reason: In words.
    """

    expiry: int
    target: VolSlice
    post: VolSlice | None
    distance: int
    step: int
    reason: str


def half_spreads(calibration: Calibration) -> FloatArray:
    """What is not known of each slice's volatility, (n,): half of the market's own spread at the money, and the error
    of the fit."""
    return np.asarray(calibration.half_spread + calibration.rmse)


def targets(
    surface: EssviSurface, half_spread: npt.ArrayLike, spot: float, quoted_at: int, expiries: Iterable[int]
) -> dict[int, VolSlice]:
    """Slices of expiries (seconds) as VolOracle stores them, with the annual volatilities of ``quoted_at``.

    Args:
        half_spread: In volatility, of each of the surface's slices; rounded up to whole steps.

    Raises:
        PricingError: an expiry that has passed, or a spot that is not a positive number.
    """
    if not 0.0 < spot < np.inf:
        raise PricingError(f"spot must be positive, got {spot}")
    basis = surface.carry(spot) * surface.years  # ln(F/S), linear in time
    spread = np.broadcast_to(np.asarray(half_spread, dtype=np.float64), surface.years.shape)
    found = {}
    for expiry in expiries:
        years = (expiry - quoted_at) / YEAR
        theta, rho, psi = (float(x) for x in surface.at(years))
        inside = float(np.clip(years, surface.years[0], surface.years[-1]))
        carry = float(np.interp(inside, surface.years, basis)) / inside
        half = ceil(float(np.interp(years, surface.years, spread)) / SPREAD_STEP - 1e-9) * SPREAD_STEP
        found[expiry] = _stored((theta, psi, rho * psi), round(carry * WAD), round(half * WAD), quoted_at)
    return found


def threshold(half_spread: int, gas_cost: float = 0.0, vega_at_stake: float = 0.0) -> int:
    """The smallest change of volatility (WAD) that is worth a post.

    Args:
        gas_cost: Of a post, USDC.
        vega_at_stake: USDC per 1.0 of volatility that trades could use the difference for; 0 leaves gas out.
    """
    of_gas = gas_cost / vega_at_stake if vega_at_stake > 0.0 else 0.0
    return max(half_spread // _OF_SPREAD, round(of_gas * WAD))


def plan(oracle: Oracle, expiry: int, target: VolSlice, first: int, last: int, worth: int) -> Planned:
    """What to post of an expiry, in a block from ``first`` to ``last`` (seconds).

    Args:
        target: Of `targets`, or any slice.
        worth: The smallest change worth a post, of `threshold`.
    """
    allowed = allowance(oracle, expiry, first)
    if allowed is None:
        return Planned(expiry, target, None, 0, 0, "the first slice of an underlying is the governor's")
    wanted = _bounded(oracle, allowed, aged(target, expiry, first), expiry)
    held = oracle.held_at(expiry)
    distance = size(allowed.was, wanted, expiry)
    is_due = held is None or first - held.posted.posted_at >= REFRESH
    if held is not None and _change(allowed, wanted, expiry) < worth:
        if not is_due:
            return Planned(expiry, wanted, None, distance, 0, "not worth a post")
        same = aged(held.posted, expiry, first)
        if not _refused(oracle, expiry, same, first, last):
            return Planned(expiry, wanted, same, distance, 0, "the same again, before it is stale")
    found = _farthest(oracle, allowed, wanted, expiry, first, last)
    if isinstance(found, str):
        return Planned(expiry, wanted, None, distance, 0, f"nothing would be accepted: {found}")
    step = size(allowed.was, found, expiry)
    if not is_due and _change(allowed, found, expiry) < worth:
        return Planned(expiry, wanted, None, distance, step, "what the speed limit leaves is not worth a post")
    reason = "to the market" if found == wanted else "as far towards the market as the speed limit lets it"
    return Planned(expiry, wanted, found, distance, step, reason)


def aged(posted: VolSlice, expiry: int, time: int) -> VolSlice:
    """A slice with the same annual volatilities, posted at another time."""
    seconds = expiry - posted.posted_at
    return replace(posted, theta=(posted.theta * (expiry - time) + seconds // 2) // seconds, posted_at=time)


def _bounded(oracle: Oracle, allowed: Allowance, target: VolSlice, expiry: int) -> VolSlice:
    """The target inside everything but the speed limits; its smile keeps its shape in standard deviations."""
    b = oracle.bounds
    years = (expiry - target.posted_at) / YEAR
    vol = sqrt(target.theta / WAD / years)
    low, high = max(b.min_vol, allowed.median - b.vol_anchor) / WAD, min(b.max_vol, allowed.median + b.vol_anchor) / WAD
    inside = min(max(vol, low + (high - low) * (1.0 - _SURE)), high - (high - low) * (1.0 - _SURE))
    theta, rho = inside * inside * years, float(np.clip(target.rho, -MAX_RHO, MAX_RHO)) / WAD
    psi = target.phi * sqrt(target.theta / WAD) / WAD * sqrt(theta)
    psi = min(psi, _SURE * 4.0 / (1.0 + abs(rho)), _SURE * 2.0 * sqrt(theta / (1.0 + abs(rho))))
    carry = _clipped(_clipped(target.carry, 0, b.max_carry), allowed.was.carry, allowed.of_carry)
    half_spread = min(max(target.half_spread, b.min_half_spread), b.max_half_spread)
    return _stored((theta, psi, rho * psi), carry, half_spread, target.posted_at)


def _farthest(
    oracle: Oracle, allowed: Allowance, wanted: VolSlice, expiry: int, first: int, last: int
) -> VolSlice | str:
    """The accepted slice that is farthest along the line to the wanted one; a reason where none is."""
    held = oracle.held_at(expiry)
    start = aged(held.posted, expiry, first) if held else _between(oracle, expiry, first)
    (a, b), spread = (_line(one) for one in (start, wanted)), wanted.half_spread - allowed.was.half_spread
    most = allowed.of_vol - RESERVE if held else allowed.of_vol

    def at(share: float) -> VolSlice:
        if share == 1.0:
            return wanted
        if share == 0.0 and held:
            return replace(start, carry=wanted.carry)
        theta, psi, skew = (x + share * (y - x) for x, y in zip(a, b, strict=True))
        return _stored((theta, psi, skew), wanted.carry, allowed.was.half_spread + round(share * spread), first)

    def objection(share: float) -> str:
        one = at(share)
        if share > 0.0 and size(allowed.was, one, expiry) > most:
            return "vol: too fast"
        return _refused(oracle, expiry, one, first, last)

    shares = [2.0**-i for i in range(_HALVINGS)] + [0.0]
    accepted = next((i for i, share in enumerate(shares) if not objection(share)), None)
    if accepted is None:
        return objection(0.0)
    if accepted == 0:
        return wanted
    low, high = shares[accepted], shares[accepted - 1]
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if objection(middle) else (middle, high)
    return at(low)


def _change(allowed: Allowance, one: VolSlice, expiry: int) -> int:
    """How far a slice is from what the oracle holds, carry included, as a change of volatility."""
    of_carry = _CARRY_AS_VOL * abs(one.carry - allowed.was.carry) * sqrt((expiry - one.posted_at) / YEAR)
    return size(allowed.was, one, expiry) + round(of_carry)


def _refused(oracle: Oracle, expiry: int, one: VolSlice, first: int, last: int) -> str:
    return refusal(oracle, expiry, one) or refusal(oracle, expiry, replace(one, posted_at=last))


def _between(oracle: Oracle, expiry: int, time: int) -> VolSlice:
    """About what a new expiry is measured from, as a slice: its neighbours at equal numbers of deviations."""
    near = neighbours(oracle, expiry, time)
    if near is None:
        raise PricingError("a first slice has no neighbours")
    earlier, later = near
    (first, psi_1, skew_1), (second, psi_2, skew_2) = (_line(aged(h.posted, h.expiry, time)) for h in (earlier, later))
    if earlier is later:
        theta, weight = first * (expiry - time) / (earlier.expiry - time), 0.0
    else:
        weight = (expiry - earlier.expiry) / (later.expiry - earlier.expiry)
        theta = (1.0 - weight) * first + weight * second
    one, other = (1.0 - weight) * sqrt(theta / first), weight * sqrt(theta / second)
    return _stored((theta, one * psi_1 + other * psi_2, one * skew_1 + other * skew_2), 0, 0, time)


def _line(one: VolSlice) -> _Line:
    """θ, ψ and ρψ."""
    theta, psi = one.theta / WAD, one.theta / WAD * one.phi / WAD
    return theta, psi, one.rho / WAD * psi


def _stored(line: _Line, carry: int, half_spread: int, time: int) -> VolSlice:
    """In the oracle's units, rounded so that no condition of a slice is lost."""
    theta, psi, skew = line
    rho = skew / psi if psi > 0.0 else 0.0
    return VolSlice(
        theta=round(theta * WAD),
        rho=_whole(round(rho * WAD), UNIT),
        phi=_whole(int(psi / theta * WAD), PHI_UNIT),
        carry=_whole(carry, UNIT),
        half_spread=_whole(half_spread, UNIT),
        posted_at=time,
    )


def _whole(value: int, unit: int) -> int:
    """Rounded towards zero."""
    return value // unit * unit if value >= 0 else -(-value // unit * unit)


def _clipped(value: int, middle: int, most: int) -> int:
    """Towards ``middle`` until it is at most that far from it; a unit less where that is not a whole unit."""
    return value if abs(value - middle) <= most else middle + max(most - UNIT, 0) * (1 if value > middle else -1)
