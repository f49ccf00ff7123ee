"""Makers' offers, and vaults that have use for them."""

from __future__ import annotations

from typing import Any

from keeper.domain.offer import Offer
from keeper.domain.series import Position, next_expiry
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import DAY, WAD, to_wad
from keeper.risk import mirror
from keeper.risk.valuation import value
from tests.keeper.hedging.conftest import ETH, NOW, make_snapshot, option

EXPIRY = next_expiry(NOW + 60 * DAY)
STRIKE = option(True, 3_000, 0, EXPIRY)
PUT = option(False, 3_000, 0, EXPIRY)
MIN_FILL = 0.1


def offer_of(
    snapshot: Snapshot,
    cheaper: float = 0.0,
    *,
    position: Position = STRIKE,
    size: float = 500.0,
    least: float = MIN_FILL,
    vault_sells: bool = False,
    at: str = "mid",
) -> Offer:
    """At one of the contracts' marks, and worth ``cheaper`` USDC more to the vault than that."""
    series = position.series
    posted = snapshot.surface.slice_of(series.underlying, series.expiry)
    price = getattr(mirror.marks(series, snapshot.readings[series.underlying], posted, NOW), at)
    worth = price - to_wad(cheaper) if vault_sells else price + to_wad(cheaper)
    return Offer(series, vault_sells, price, worth, to_wad(size), to_wad(least))


def short_of_vega(excess: float = 1.5, **market: Any) -> Snapshot:
    """A vault whose short straddles have ``excess`` times the vega band, the loss bucket full."""
    unit = (
        value(make_snapshot((option(True, 3_000, -1.0, EXPIRY), option(False, 3_000, -1.0, EXPIRY)))).options[ETH].vega
    )
    nav = 4_000_000.0
    size = -excess * nav * make_snapshot().limits.vega_band / WAD / unit
    return neutral((option(True, 3_000, -size, EXPIRY), option(False, 3_000, -size, EXPIRY)), **market)


def neutral(book: tuple[Position, ...], **market: Any) -> Snapshot:
    """A vault of 4m USDC whose delta is hedged by spot, with budgets that let a fill's delta be traded as well."""
    delta = value(make_snapshot(book)).deltas[ETH]
    ample = {"idle": 4_000_000.0, "loss_budget": 0.02, "turnover_budget": 1.0, "hedging_budget": 1.0}
    return make_snapshot(book, held=-delta, **(ample | market))
