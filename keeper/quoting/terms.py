"""What is asked for, and what comes back: a price with its parts and a size, or the reason why not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from keeper.domain.series import Series
from keeper.domain.units import WAD


class Reason(StrEnum):
    """Why there is no quote; where a contract would refuse the fill, in the contract's words."""

    OTHER_BLOCK = "the view is of another block than the snapshot"
    BAD_SIZE = "the size is not positive"
    NOT_LISTED = "book: series not listed"
    NO_SURFACE = "no price, or no volatility slice, for the series"
    NO_MARKET = "no surface of the market for the underlying"
    NO_FORECAST = "no forecast of volatility for the expiry"
    DIFFERS = "the keeper's assessment of the book is not the chain's"
    FROZEN = "vault: frozen"
    REDUCE_ONLY = "book: vault is reduce-only"
    UNFIXED = "vault: settle the expired series first"
    NO_NAV = "fill: no NAV"
    LAST_HOUR = "fill: last hour"
    TENOR = "fill: tenor too short"
    OLD_SURFACE = "fill: surface too old"
    FAR_FROM_MONEY = "fill: too far from the money"
    MIN_FILL = "quote: below minimum fill"
    PRICE = "the contracts' marks do not allow the price"
    TAKER = "the taker's share of the vega that may be traded"
    VEGA_TRADED = "fill: vega traded"
    CASH = "vault: not enough idle cash"
    WORTHLESS = "the vault would pay nothing for it"
    MARGIN = "margin: below initial"
    GAP = "margin: gap insolvent"
    LEVERAGE = "risk: gross leverage"
    DELTA_BAND = "risk: delta band"
    GAMMA_BAND = "risk: gamma band"
    VEGA_BAND = "risk: vega band"
    NOTHING_REDUCED = "risk: reduces nothing"
    TOTAL_NOTIONAL = "risk: total notional"
    EXPIRY_NOTIONAL = "risk: expiry notional"
    SERIES_NOTIONAL = "risk: series notional"
    HEDGE_CAPACITY = "risk: hedge capacity"


LIFE: Final = 45
"""Seconds that a quote is good for, of the 60 that the contract allows: the taker's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class Request:
    """A taker's wish: ``size_wad`` units, rounded down to what a fill can have."""

    series: Series
    vault_sells: bool
    size_wad: int


@dataclass(frozen=True, slots=True)
class Parts:
    """Of a price, USDC per unit in WAD; their sum is the price.

    Attributes:
        mid: Value on the market's surface, or the contracts' middle under a maker's offer.
        spread: For what is not known of that surface, + in a sale, - in a purchase; or what the maker asks beside mid.
        lean: For the variance premium, never above zero: the vault would rather sell.
        skew: What the trade costs the book in risk and margin; negative where it is relief to a sale's book.
        bound: What the contracts' marks add to a sale or take off a purchase.
    """

    mid: int
    spread: int
    lean: int
    skew: int
    bound: int

    @property
    def price(self) -> int:
        """The sum."""
        return self.mid + self.spread + self.lean + self.skew + self.bound


@dataclass(frozen=True, slots=True)
class Quote:
    """An offer: price in USDC per unit, WAD, and the largest size that the contracts let stand, up to what was asked.

    ``limit`` is why it is less than that, None when it is not.
    """

    series: Series
    vault_sells: bool
    size_wad: int
    parts: Parts
    limit: Reason | None

    @property
    def price_wad(self) -> int:
        """USDC per unit."""
        return self.parts.price


@dataclass(frozen=True, slots=True)
class Refusal:
    """No quote, and why."""

    reason: Reason


def made_of(made: Quote, caveat: str) -> dict[str, Any]:
    """For who reads a quote: the parts of the price in USDC per unit, why it is of no more, what was not known."""
    parts = {name: amount / WAD for name, amount in asdict(made.parts).items()}
    return {"price_usdc": parts | {"sum": made.price_wad / WAD}, "limit": made.limit, "caveat": caveat}
