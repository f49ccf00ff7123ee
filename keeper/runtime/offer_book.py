"""What makers offer, in memory: their signed offers, and the one quote that an offer may become.

An offer is looked at until it is taken, replaced, or so near its deadline that a quote would outlive it. It becomes one
quote at most: what that leaves unfilled the maker offers again. While such a quote is out the hedge is offered nothing
else: its book does not know of the fill, and it would want the same thing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Container
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from keeper.chain.deployments import Deployment
from keeper.chain.maker_offers import MakerOffer, offer_digest, signer_of
from keeper.domain.offer import Offer
from keeper.domain.safety import DeskLimits
from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.quoting.terms import LIFE, Reason
from keeper.quoting.trial import vega_share
from keeper.quoting.view import View
from keeper.runtime.answers import Signed

LONGEST: Final = 3_600  # seconds, chain time, that an offer may stand


class Fault(StrEnum):
    """Why an offer is not accepted."""

    MAKER = "the operator does not know this maker"
    SIGNATURE = "the maker has not signed this offer for this chain and OptionBook"
    NONCE = "an offer of the maker's with this nonce, or a higher one, is known"
    EXPIRED = f"its deadline is less than {LIFE} seconds ahead: a quote would outlive it"
    TOO_LONG = f"its deadline is more than {LONGEST} seconds ahead"
    SERIES = "the vault lists no such series, or cannot value it"
    TOO_SMALL = "less than the smallest fill"
    TOO_BIG = "more than one maker's share of the vega that may be traded, with what he offers already"
    TOO_MANY = "he has as many offers as he may have"


class State(StrEnum):
    """What became of an offer."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Kept:
    """An offer, by its digest, until ``over_at``.

    Attributes:
        quote: The JSON of what the desk has signed for it, once it is taken.
        filled: Whether all of that is.
        refused: Why the desk would not sign when it was worth taking; None where that has not been.
    """

    digest: str
    given: MakerOffer
    over_at: int
    state: State = State.OPEN
    quote: dict[str, Any] | None = None
    filled: bool = False
    refused: Reason | None = None

    @property
    def series(self) -> Series:
        """What is offered."""
        return Series.from_slot(self.given.series)

    @property
    def offer(self) -> Offer:
        """As the hedge takes it, not valued yet."""
        given = self.given
        return Offer(self.series, given.vault_sells, given.price, 0, given.size, given.min_fill, self.digest)


class OfferBook:
    """One vault's; safe to use from several threads.

    Args:
        makers: Who may offer, checksummed: were it anybody, one could fill the few places that a decision has.
    """

    def __init__(self, deployment: Deployment, makers: Collection[str], limits: DeskLimits) -> None:
        self._deployment, self._makers, self._limits = deployment, frozenset(makers), limits
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}  # by digest; at most max_offers of a maker
        self._nonces: dict[str, int] = {}  # the highest of each maker

    def is_from_a_maker(self, given: MakerOffer, signature: bytes) -> Fault | None:
        """Why it is not, None where it is."""
        if given.maker not in self._makers:
            return Fault.MAKER
        return None if signer_of(given, self._deployment, signature) == given.maker else Fault.SIGNATURE

    def post(self, given: MakerOffer, snapshot: Snapshot, view: View) -> Kept | Fault:
        """Take in an offer that its maker has signed, in the place of what he offered for the series on that side. The
        same one again changes nothing."""
        digest, now = offer_digest(given, self._deployment), snapshot.timestamp
        with self._lock:
            self._forget(now)
            if digest in self._kept:
                return self._kept[digest]
            own = [kept for kept in self._kept.values() if kept.given.maker == given.maker]
            old = [kept for kept in own if kept.state is State.OPEN and _place(kept.given) == _place(given)]
            fault = self._fault(given, [kept for kept in own if kept not in old], snapshot, view)
            if fault is not None:
                return fault
            self._nonces[given.maker] = given.nonce
            for kept in old:
                del self._kept[kept.digest]
            if given.size == 0:
                return Kept(digest, given, now, State.WITHDRAWN)
            self._kept[digest] = Kept(digest, given, given.deadline)
            return self._kept[digest]

    def find(self, digest: str) -> Kept | None:
        """None for one that was replaced or taken back, or is over."""
        with self._lock:
            return self._kept.get(digest)

    def open_at(self, now: int) -> tuple[Offer, ...]:
        """Those that may be taken at chain time ``now``: none while what was taken before may still be filled."""
        with self._lock:
            self._forget(now)
            if any(kept.state is State.TAKEN and not kept.filled for kept in self._kept.values()):
                return ()
            return tuple(
                kept.offer
                for kept in self._kept.values()
                if kept.state is State.OPEN and kept.given.deadline >= now + LIFE
            )

    def take(self, digest: str, signed: Signed) -> None:
        """It has become a quote."""
        deadline = signed.signed.quote.deadline
        self._change(digest, state=State.TAKEN, quote=signed.answer, over_at=deadline, refused=None)

    def refuse(self, digest: str, why: Reason) -> None:
        """The desk would not sign it as the book is now."""
        self._change(digest, refused=why)

    def see_filled(self, quotes: Container[str]) -> None:
        """Of these, by digest, nothing is left."""
        with self._lock:
            for kept in list(self._kept.values()):
                if kept.quote is not None and kept.quote["digest"] in quotes:
                    self._kept[kept.digest] = replace(kept, filled=True)

    def count(self) -> int:
        """Those that are open."""
        with self._lock:
            return sum(kept.state is State.OPEN for kept in self._kept.values())

    def _fault(self, given: MakerOffer, others: list[Kept], snapshot: Snapshot, view: View) -> Fault | None:
        now, series, book = snapshot.timestamp, Series.from_slot(given.series), view.option_book
        if given.nonce <= self._nonces.get(given.maker, -1):
            return Fault.NONCE
        if given.deadline < now + LIFE:
            return Fault.EXPIRED
        if given.deadline > now + LONGEST:
            return Fault.TOO_LONG
        if given.size == 0:
            return None
        line = view.lines.get(series)
        if line is None or series.id != given.series:
            return Fault.SERIES
        if given.size < max(given.min_fill, book.min_fill[series.underlying]):
            return Fault.TOO_SMALL
        if len(others) >= self._limits.max_offers:
            return Fault.TOO_MANY
        offered = [kept for kept in others if kept.state is State.OPEN and kept.series in view.lines]
        shares = [vega_share(snapshot, view.lines[kept.series], kept.given.size) for kept in offered]
        total = sum(shares) + vega_share(snapshot, line, given.size)
        return Fault.TOO_BIG if total > int(self._limits.max_share * book.vega_budget) else None

    def _change(self, digest: str, **changes: Any) -> None:
        with self._lock:
            if digest in self._kept:
                self._kept[digest] = replace(self._kept[digest], **changes)

    def _forget(self, now: int) -> None:
        for digest in [digest for digest, kept in self._kept.items() if kept.over_at < now]:
            del self._kept[digest]


def _place(given: MakerOffer) -> tuple[str, int, bool]:
    return given.maker, given.series, given.vault_sells
