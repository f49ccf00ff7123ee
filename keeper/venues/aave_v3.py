"""Aave v3: the short venue, USDC supplied against a borrowed token that is sold in a Uniswap v3 pool.

A short of one unit at price p needs collateral p * health_target / liquidation_threshold, of which the sale brings p;
buying it back frees the same.
"""

from __future__ import annotations

from dataclasses import replace

from keeper.domain.snapshot import Lending, Venue
from keeper.domain.units import USDC, WAD
from keeper.venues.instrument import Instrument, Reference, Side, VenueError
from keeper.venues.uniswap_v3 import pool_instruments

_DAYS = 365.0
_RELEASE_SHARE = 0.05  # of the required collateral: less is not worth a leg


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
    """Whether a leg of zero is due: health is half-way to the floor, or a good part of the collateral is spare."""
    if lending.debt_wad == 0:
        return lending.collateral_usdc > 0
    if health(lending, spot) < (lending.health_floor + lending.health_target) / 2:
        return True
    return spare_collateral(lending, spot) > _RELEASE_SHARE * lending.collateral_usdc / USDC


def short_instruments(venue: Venue, reference: Reference) -> tuple[Instrument, ...]:
    """An AaveV3Short venue: one instrument per pool; it buys back no more than it owes.

    Raises:
        VenueError: it was read without its lending data.
    """
    if venue.lending is None:
        raise VenueError(f"venue {venue.index} is an Aave venue without lending data")
    lending = venue.lending
    owed = lending.debt_wad / WAD
    collateral = collateral_per_debt(lending) * reference.spot
    # A unit short costs the borrow rate; its extra collateral earns the supply rate.
    carry = (lending.borrow_rate * reference.spot - lending.supply_rate * collateral) / _DAYS

    def own(buy: Side, sell: Side) -> tuple[Side, Side]:
        bought_back = replace(buy, capacity=min(buy.capacity, owed), cash=buy.cash - collateral, carry=-carry)
        return bought_back, replace(sell, cash=sell.cash + collateral, carry=carry)

    return pool_instruments(venue, reference, "short, Aave v3 and Uniswap v3", -1, own)
