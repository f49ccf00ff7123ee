"""Would the contracts let a fill stand? OptionBook's and RiskEngine's rules on the book after it, in integers.

Every rule is kept on an interval of sizes: margins, gap, Greeks and notionals are convex or concave in the size, and
"|gamma| or |vega| becomes smaller" holds from nothing up to some size. So where the smallest fill may stand and a
larger one may not, bisection finds the largest that may.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Final

from keeper.domain.snapshot import Assessment, Mode, Snapshot
from keeper.domain.units import SIZE_UNIT, USDC, WAD, WAD_PER_USDC_UNIT, YEAR
from keeper.quoting.terms import Reason
from keeper.quoting.view import Line, View
from keeper.risk import mirror
from keeper.risk.limits import check_fill
from keeper.risk.mirror import OptionSums
from keeper.venues.maker import LAST_FILL, MAX_DEVIATIONS, MAX_SURFACE_AGE, MIN_TENOR

VEGA: Final = 4 * 10**17  # OptionBook's, of spot·√T
_PREMIUM: Final = WAD * WAD // USDC  # WAD * WAD per smallest unit of USDC


@dataclass(frozen=True, slots=True)
class Trial:
    """Fills of one series in one direction. ``others`` are the options of its underlying without it."""

    snapshot: Snapshot
    view: View
    line: Line
    vault_sells: bool
    others: OptionSums

    def market_reason(self) -> Reason | None:
        """Why no fill of the series may stand now, whatever its size and price."""
        snapshot, marks = self.snapshot, self.line.marks
        to_expiry = self.line.position.series.expiry - snapshot.timestamp
        rules = (
            (snapshot.vault.mode is not Mode.FROZEN, Reason.FROZEN),
            (not (self.vault_sells and snapshot.vault.mode is not Mode.NORMAL), Reason.REDUCE_ONLY),
            (not self.view.assessment.unfixed, Reason.UNFIXED),
            (snapshot.assessment.nav_bid > 0, Reason.NO_NAV),
            (to_expiry > LAST_FILL, Reason.LAST_HOUR),
            (not self.vault_sells or to_expiry >= MIN_TENOR, Reason.TENOR),
            (snapshot.timestamp - marks.posted_at <= MAX_SURFACE_AGE, Reason.OLD_SURFACE),
            (marks.deviations <= MAX_DEVIATIONS, Reason.FAR_FROM_MONEY),
        )
        return next((reason for kept, reason in rules if not kept), None)

    def size_reason(self, size: int) -> Reason | None:
        """Why a fill of ``size`` (WAD) may not stand, at the price of all allowed ones that is worst for the vault."""
        marks, state = self.line.marks, self.snapshot.vault
        price = marks.ask if self.vault_sells else max(marks.bid, marks.mid)
        if vega_share(self.snapshot, self.line, size) > self.view.option_book.vega_budget:
            return Reason.VEGA_TRADED
        premium = -(-price * size // _PREMIUM) if self.vault_sells else price * size // _PREMIUM
        if not self.vault_sells and premium > state.free:
            return Reason.CASH
        after = self.after(size, premium if self.vault_sells else -premium)
        change = -size if self.vault_sells else size
        own = self.line.position
        book = [replace(p, size_wad=p.size_wad + change) if p.series == own.series else p for p in self.snapshot.book]
        verdict = check_fill(
            self.snapshot.assessment,
            after,
            book,
            own.series,
            self.vault_sells,
            self.snapshot.limits,
            short_margins=self.view.short_margins,
            timestamp=self.snapshot.timestamp,
        )
        if verdict.reason is not None:
            return Reason(verdict.reason)
        if not self.vault_sells and state.mode is not Mode.NORMAL and not self.reduces(after):
            return Reason.REDUCE_ONLY
        return None

    def largest(self, least: int, most: int, reason: Reason) -> tuple[int, Reason]:
        """The largest size from ``least``, which may stand, to ``most``, which may not for a ``reason``; multiples of
        1e-9 units. And why no more."""
        low, high = least // SIZE_UNIT, most // SIZE_UNIT
        while high - low > 1:
            middle = (low + high) // 2
            refused = self.size_reason(middle * SIZE_UNIT)
            if refused is None:
                low = middle
            else:
                high, reason = middle, refused
        return low * SIZE_UNIT, reason

    def after(self, size: int, premium: int) -> Assessment:
        """The vault after a fill; ``premium`` is what it receives, in smallest units of USDC."""
        u = self.line.position.series.underlying
        reading = self.snapshot.readings[u]
        position = self.line.position.size_wad + (-size if self.vault_sells else size)
        own = self.others.plus(self.line.unit, position, reading.price_wad).risk(reading)
        options = [own if i == u else other for i, other in enumerate(self.view.options)]
        state = self.snapshot.vault
        cash = (state.idle - state.owed + premium) * WAD_PER_USDC_UNIT
        return mirror.assess(options, [venue.state for venue in self.snapshot.venues], cash)

    def reduces(self, after: Assessment) -> bool:
        """Whether a fill makes the underlying's |gamma| or |vega| smaller: the vault may pay more than the bid mark."""
        before, u = self.snapshot.assessment, self.line.position.series.underlying
        pairs = ((before.gamma, after.gamma), (before.vega, after.vega))
        return any(abs(now[u]) < abs(was[u]) for was, now in pairs)

    def may_pay_the_middle(self, size: int) -> bool:
        """Whether a purchase of ``size`` reduces risk, and the loss bucket pays the middle less the bid mark."""
        marks, nav = self.line.marks, self.snapshot.assessment.nav_bid
        amount = -(-(marks.mid - marks.bid) * size // WAD)
        if amount * WAD // nav + 1 > self.snapshot.vault.loss_budget:
            return False
        return self.reduces(self.after(size, -(marks.mid * size // _PREMIUM)))


def vega_share(snapshot: Snapshot, line: Line, size: int) -> int:
    """``OptionBook._spend_vega``: WAD share of NAV."""
    to_expiry = line.position.series.expiry - snapshot.timestamp
    root = isqrt(to_expiry * WAD * WAD // YEAR)
    vega = size * line.marks.spot // WAD * root // WAD * VEGA // WAD
    return vega * WAD // max(snapshot.assessment.nav_bid, 1) + 1
