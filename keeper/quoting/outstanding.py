"""Books in which quotes that are signed and not filled yet have been filled: what the next quote has to stand in, too.

Any of them may be filled, in any order. Delta, gamma, vega, cash, notionals, the vega traded and the loss bucket are
sums over fills, so that each is worst where just those are filled that push it the same way; margin and gap are the
worst of sums, for which these books and the one with everything in it are a good stand-in, and not a proof: OptionBook
checks each fill again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keeper.domain.option_risk import OptionRisk
from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import USDC, WAD, WAD_PER_USDC_UNIT
from keeper.quoting.trial import vega_share
from keeper.quoting.view import Book, Line, View, hedged_margin
from keeper.risk import mirror
from keeper.risk.mirror import OptionSums

_PREMIUM = WAD * WAD // USDC


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What is left of a signed quote: units and USDC per unit, WAD."""

    series: Series
    vault_sells: bool
    size_wad: int
    price_wad: int


@dataclass(frozen=True, slots=True, eq=False)
class Books:
    """One block's book as it is, and those in which the quotes that push the same way have been filled: sales,
    purchases, those that make delta rise or fall, and all."""

    now: Book
    sales: Book
    purchases: Book
    rising: Book
    falling: Book
    all: Book

    @classmethod
    def of(cls, snapshot: Snapshot, view: View, outstanding: Sequence[Outstanding]) -> Books:
        """Of a block; what it can have no fill of any more is left out."""
        now = Book(snapshot, view)
        empty = cls(now, now, now, now, now, now)
        return empty.plus([one for one in outstanding if one.series in view.lines and one.size_wad > 0])

    def plus(self, signed: Sequence[Outstanding]) -> Books:
        """With more quotes signed."""
        sales = [one for one in signed if one.vault_sells]
        purchases = [one for one in signed if not one.vault_sells]
        rising = [one for one in signed if one.series.is_call != one.vault_sells]
        falling = [one for one in signed if one.series.is_call == one.vault_sells]
        return Books(
            self.now,
            _filled(self.sales, sales),
            _filled(self.purchases, purchases),
            _filled(self.rising, rising),
            _filled(self.falling, falling),
            _filled(self.all, signed),
        )

    def beside(self, series: Series, vault_sells: bool) -> tuple[Book, ...]:
        """Where a quote must stand; it is priced in the first, in which everything else goes the same way."""
        same = self.sales if vault_sells else self.purchases
        delta = self.rising if series.is_call != vault_sells else self.falling
        return tuple(dict.fromkeys((same, self.now, delta, self.all)))  # each once


def _filled(before: Book, fills: Sequence[Outstanding]) -> Book:
    """After fills of its lines."""
    if not fills:
        return before
    snapshot, view = before.snapshot, before.view
    lines, pnl = dict(view.lines), view.pnl
    cash = booked = 0
    changes: dict[Series, int] = {}
    sizes: dict[Series, int] = {}
    for fill in fills:
        sizes[fill.series] = sizes.get(fill.series, 0) + fill.size_wad
        changes[fill.series] = changes.get(fill.series, 0) + (-fill.size_wad if fill.vault_sells else fill.size_wad)
        premium = fill.price_wad * fill.size_wad
        cash += -(-premium // _PREMIUM) if fill.vault_sells else -(premium // _PREMIUM)
        booked += 0 if fill.vault_sells else _above_bid(lines[fill.series], fill)
    for series, change in changes.items():
        line = lines[series]
        position = replace(line.position, size_wad=line.position.size_wad + change)
        lines[series] = replace(line, position=position)
        pnl = pnl + change / WAD * line.hedged
    touched = {series.underlying for series in changes}
    options = tuple(
        _risk(snapshot, view, lines.values(), u, own) if u in touched else own for u, own in enumerate(view.options)
    )
    state, nav = snapshot.vault, max(snapshot.assessment.nav_bid, 1)
    loss_budget = state.loss_budget - (booked * WAD // nav + len(fills) if booked else 0)
    vault = replace(state, idle=state.idle + cash, loss_budget=loss_budget)
    venues = [venue.state for venue in snapshot.venues]
    assessment = mirror.assess(options, venues, (vault.idle - vault.owed) * WAD_PER_USDC_UNIT)
    spent = len(fills) + sum(vega_share(snapshot, lines[series], size) for series, size in sizes.items())
    budget = max(0, view.option_book.vega_budget - spent)
    book = tuple(lines[p.series].position if p.series in lines else p for p in snapshot.book)
    margins = [hedged_margin(own) if u in touched else view.margins[u] for u, own in enumerate(options)]
    return Book(
        replace(snapshot, book=book, vault=vault, assessment=assessment),
        replace(
            view,
            lines=lines,
            option_book=replace(view.option_book, vega_budget=budget),
            pnl=np.asarray(pnl),
            options=options,
            margins=tuple(margins),
            assessment=assessment,
        ),
    )


def _risk(snapshot: Snapshot, view: View, lines: Iterable[Line], underlying: int, before: OptionRisk) -> OptionRisk:
    reading, sums = snapshot.readings[underlying], OptionSums()
    for position, unit in (*((line.position, line.unit) for line in lines), *view.expired):
        if position.series.underlying == underlying and position.size_wad:
            sums = sums.plus(unit, position.size_wad, reading.price_wad)
    return sums.risk(reading, unfixed=before.unfixed, stale=before.stale)


def _above_bid(line: Line, fill: Outstanding) -> int:
    """What a purchase takes of the loss bucket, USDC in WAD."""
    return -(-max(fill.price_wad - line.marks.bid, 0) * fill.size_wad // WAD)
