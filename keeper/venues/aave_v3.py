"""Aave v3: the short venue, USDC supplied against a borrowed token that is sold in a Uniswap v3 pool.

A short of one unit at price p needs collateral p * health_target / liquidation_threshold, of which the sale brings p;
buying it back frees the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from keeper.domain.snapshot import Lending, Venue
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.venues.instrument import Instrument, Reference, Side, VenueError
from keeper.venues.uniswap_v3 import pool_instruments

_ACTIVE, _FROZEN, _BORROWING, _PAUSED = 56, 57, 58, 60  # bits of a reserve's configuration word
_BORROW_CAP, _SUPPLY_CAP, _CAP_BITS = 80, 116, 36  # whole tokens; 0 is none
_CAP_USE: Final = 0.999  # of a cap: interest is added to it before the trade is mined, and what Aave has set aside

_DAYS = 365.0
_RELEASE_SHARE = 0.05  # of the required collateral: less is not worth a leg


def is_open(configuration: int) -> bool:
    """Whether a reserve takes and lends. One that is frozen still pays out and is repaid."""
    return is_moving(configuration) and not configuration >> _FROZEN & 1


def is_moving(configuration: int) -> bool:
    """Whether a reserve's tokens can be paid in and out at all."""
    return bool(configuration >> _ACTIVE & 1) and not configuration >> _PAUSED & 1


def supply_room(configuration: int, supplied: int, unit: int) -> int:
    """What a reserve takes beyond what it has, in smallest units, of which ``unit`` are a whole token."""
    return _room(configuration, _SUPPLY_CAP, supplied, unit) if is_open(configuration) else 0


def borrow_room(configuration: int, borrowed: int, available: int, unit: int) -> int:
    """What a reserve lends beyond what it has lent, and has, in smallest units."""
    if not (is_open(configuration) and configuration >> _BORROWING & 1):
        return 0
    return min(_room(configuration, _BORROW_CAP, borrowed, unit), available)


def _room(configuration: int, cap_bit: int, used: int, unit: int) -> int:
    cap = configuration >> cap_bit & (1 << _CAP_BITS) - 1
    return max(0, int(_CAP_USE * cap * unit) - used) if cap else MAX_UINT256


def room(lending: Lending, spot: float) -> float:
    """Units that can be shorted beyond the debt: what Aave lends, against the collateral that it takes."""
    supply = lending.supply_room_usdc / USDC + min(0.0, spare_collateral(lending, spot))
    return max(0.0, min(lending.borrow_room_wad / WAD, supply / (spot * collateral_per_debt(lending))))


def held_up(lending: Lending, spot: float, wanted: float) -> str:
    """What Aave does not let the venue do now, for people; empty when it lets it do all.

    Args:
        wanted: Units that are to be shorted, negative to be bought back.
    """
    refused, can_add = [], room(lending, spot)
    if can_add < wanted:
        refused.append(f"lends {can_add:.4f} more" if can_add > 0 else "lends no more")
    if lending.payable_usdc == 0:
        refused.append("pays out no USDC")
    if not lending.is_repayable:
        refused.append("takes no repayment")
    return " and ".join(refused)


def collateral_per_debt(lending: Lending) -> float:
    """USDC of collateral per USDC of debt at the health target."""
    return lending.health_target / lending.liquidation_threshold


def health(lending: Lending, spot: float) -> float:
    """Health factor at ``spot``; infinite without debt."""
    debt = lending.debt_wad / WAD * spot
    return lending.collateral_usdc / USDC * lending.liquidation_threshold / debt if debt > 0 else float("inf")


def spare_collateral(lending: Lending, spot: float) -> float:
    """Collateral beyond the health target in USDC; negative when it is missing."""
    return lending.collateral_usdc / USDC - lending.debt_wad / WAD * spot * collateral_per_debt(lending)


def needs_restoring(lending: Lending, spot: float) -> bool:
    """Whether a leg of zero is due and Aave lets it be: health is half-way to the floor, or a good part of the
    collateral is spare."""
    payable = lending.payable_usdc / USDC
    if lending.debt_wad == 0:
        return min(lending.collateral_usdc / USDC, payable) > 0
    if health(lending, spot) < (lending.health_floor + lending.health_target) / 2:
        return -spare_collateral(lending, spot) <= lending.supply_room_usdc / USDC
    return min(spare_collateral(lending, spot), payable) > _RELEASE_SHARE * lending.collateral_usdc / USDC


def short_instruments(venue: Venue, reference: Reference) -> tuple[Instrument, ...]:
    """An AaveV3Short venue: one instrument per pool; it buys back no more than it owes, and sells what Aave lends.

    Raises:
        VenueError: it was read without its lending data.
    """
    if venue.lending is None:
        raise VenueError(f"venue {venue.index} is an Aave venue without lending data")
    lending = venue.lending
    owed = lending.debt_wad / WAD if lending.is_repayable else 0.0
    can_add = room(lending, reference.spot)
    collateral = collateral_per_debt(lending) * reference.spot
    # A unit short costs the borrow rate; its extra collateral earns the supply rate.
    carry = (lending.borrow_rate * reference.spot - lending.supply_rate * collateral) / _DAYS

    def own(buy: Side, sell: Side) -> tuple[Side, Side]:
        freed = collateral if lending.payable_usdc > 0 else 0.0
        bought_back = replace(buy, capacity=min(buy.capacity, owed), cash=buy.cash - freed, carry=-carry)
        capacity = min(sell.capacity, can_add)
        return bought_back, replace(sell, capacity=capacity, cash=sell.cash + collateral, carry=carry)

    instruments = pool_instruments(venue, reference, "short, Aave v3 and Uniswap v3", -1, own)
    return tuple(replace(instrument, room=can_add) for instrument in instruments)
