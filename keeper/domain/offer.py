"""What makers offer the vault, and what the keeper would take of it."""

from __future__ import annotations

from dataclasses import dataclass

from keeper.domain.series import Series


@dataclass(frozen=True, slots=True)
class Offer:
    """A maker's quote: he writes an option to the vault, or buys back one that the vault holds.

    Attributes:
        vault_sells: As in OptionBook's quote; only what the vault holds is ever sold back.
        price_wad: USDC per unit.
        worth_wad: What a unit is worth at the middle of the market's surface, USDC: price less this is the cost.
        size_wad: The most, units.
        min_fill_wad: The least, units: OptionBook's for the underlying, or the maker's own where that is more.
        digest: Of what the maker has signed, 0x-hex; empty where nobody has.
    """

    series: Series
    vault_sells: bool
    price_wad: int
    worth_wad: int
    size_wad: int
    min_fill_wad: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """``size_wad`` units of an offer, a multiple of what OptionBook's positions count in."""

    offer: Offer
    size_wad: int
