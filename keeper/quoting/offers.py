"""Which of the makers' offers a decision looks at: each costs it time, so that there is a most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from keeper.domain.offer import Offer
from keeper.domain.snapshot import Snapshot
from keeper.quoting.terms import LIFE
from keeper.quoting.view import Line, View
from keeper.risk import mirror
from keeper.venues.maker import LAST_FILL

MOST: Final = 4
"""Offers that one decision looks at. docs/quant.md: what they cost it."""


def best_offers(offers: Iterable[Offer], snapshot: Snapshot, view: View) -> tuple[Offer, ...]:
    """The ``MOST`` of them whose prices OptionBook may accept now and for as long as a quote lives, worth the middle
    mark of the snapshot: first what lowers |gamma| or |vega|, then the cheapest volatility, which is the price against
    the middle by the vega of a unit.

    Args:
        view: Of this block or the one before: it has each series' marks and Greeks at hand.
    """
    listed = {position.series for position in snapshot.book}
    ranked: list[tuple[bool, float, str, Offer]] = []
    for offer in offers:
        line = view.lines.get(offer.series) if offer.series in listed else None
        if line is None or offer.series.expiry <= snapshot.timestamp + LAST_FILL + LIFE:
            continue
        least = max(offer.min_fill_wad, view.option_book.min_fill[offer.series.underlying])
        if offer.size_wad < least or not _is_allowed(offer, line) or line.unit.vega <= 0:
            continue
        gain = (offer.price_wad - line.marks.mid) * (1 if offer.vault_sells else -1)
        kept = replace(offer, min_fill_wad=least)
        ranked.append((not _lowers(offer, snapshot), -gain / line.unit.vega, offer.digest, kept))
    chosen = [offer for *_, offer in sorted(ranked, key=lambda entry: entry[:3])[:MOST]]
    return tuple(replace(offer, worth_wad=_middle(offer, snapshot)) for offer in chosen)


def _is_allowed(offer: Offer, line: Line) -> bool:
    marks, last = line.marks, line.last
    if offer.vault_sells:
        return offer.price_wad >= max(marks.ask, last.ask)
    return offer.price_wad <= max(min(marks.bid, last.bid), min(marks.mid, last.mid))


def _lowers(offer: Offer, snapshot: Snapshot) -> bool:
    """Whether a little of it does: options have gamma and vega above zero."""
    u = offer.series.underlying
    greeks = snapshot.assessment.gamma[u], snapshot.assessment.vega[u]
    return any(greek > 0 if offer.vault_sells else greek < 0 for greek in greeks)


def _middle(offer: Offer, snapshot: Snapshot) -> int:
    series = offer.series
    posted = snapshot.surface.slice_of(series.underlying, series.expiry)
    return mirror.marks(series, snapshot.readings[series.underlying], posted, snapshot.timestamp).mid
