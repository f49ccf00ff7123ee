"""What the quote desk signs, one after the other, and the room of what it has signed.

What is signed and not filled counts as filled for the next quote (`keeper.quoting.outstanding`) until the chain says so
or its time is over.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from keeper.chain.deployments import Deployment
from keeper.chain.option_quotes import SPOT_TOLERANCE, Quote, Signatory, digest_of, sign_quote, to_json
from keeper.chain.rpc import Connection, Header
from keeper.domain.offer import Fill
from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits
from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import SIZE_UNIT
from keeper.execution.quote_log import Answered, Asked, QuoteLog
from keeper.market.option_book import read_option_book
from keeper.quoting import terms
from keeper.quoting.outstanding import Books, Outstanding
from keeper.quoting.past import view_of
from keeper.quoting.quote import at_price, inside, quote
from keeper.quoting.terms import LIFE, Reason, Refusal, Request, made_of
from keeper.quoting.trial import vega_share
from keeper.quoting.view import MarketSurface
from keeper.runtime.answers import Signed, Wish


@dataclass(frozen=True, slots=True)
class Draft:
    """A quote to sign, its digest, and what its price is made of."""

    given: Quote
    digest: str
    made_of: dict[str, Any]


@dataclass(slots=True)
class _Open:
    """A quote whose time is not over; ``filled`` as of the last block at which somebody traded its series, WAD."""

    holder: str
    given: Outstanding
    expires_at: int
    filled: int = 0

    @property
    def left(self) -> Outstanding:
        return replace(self.given, size_wad=self.given.size_wad - self.filled)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """One block, ready to be quoted on. ``held`` is each holder's open quotes: a taker's, and apart from them those for
    a maker's offers, since anybody can ask in his name. ``seen_at`` by the desk's clock."""

    books: Books
    held: Mapping[str, tuple[Outstanding, ...]]
    seen_at: float

    def plus(self, holder: str, one: Outstanding) -> Ready:
        """With one more quote signed."""
        held = {**self.held, holder: (*self.held.get(holder, ()), one)}
        return Ready(self.books.plus([one]), held, self.seen_at)


class Signing:
    """One vault's. Who calls `for_wish` or `for_fill` holds ``turn``, and not while he calls the others.

    Args:
        market: Surfaces by underlying where somebody looks at a market; the posted ones elsewhere.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        account: Signatory,
        policy: Policy,
        log: QuoteLog,
        limits: DeskLimits,
        market: Callable[[], Mapping[int, MarketSurface]],
    ) -> None:
        self._connection, self._deployment, self._account = connection, deployment, account
        self._policy, self._log, self._limits, self._market = policy, log, limits, market
        self.turn = threading.Lock()  # for pricing, and for whatever changes `ready` and `_open`
        self.ready: Ready | None = None
        self._nonce = 0
        self._open: dict[str, _Open] = {}  # by digest
        self._last_row = 0  # of the log that is known
        self._positions: dict[Series, int] | None = None  # of the last block that was looked at

    def count_open(self) -> int:
        """Quotes that are neither filled nor over."""
        return sum(map(len, self.ready.held.values())) if self.ready is not None else 0

    # ------------------------------------------------------------------ in turn

    def for_wish(self, wish: Wish, ready: Ready) -> tuple[Asked, Draft | Reason]:
        """What to sign for a taker, with its room taken, or why nothing."""
        now = ready.books.now
        asked = Asked(now.snapshot.timestamp, wish.taker, 0, wish.vault_sells, wish.size_wad)
        series = next((each for each in now.view.lines if _key(each) == wish.series), None)
        if series is None:
            return asked, Reason.NOT_LISTED
        asked = replace(asked, series=series.id)
        request = Request(series, wish.vault_sells, wish.size_wad)
        first, *beside = ready.books.beside(series, wish.vault_sells)
        made = quote(request, first.snapshot, first.view, self._policy, beside)
        return asked, self._bounded(made, wish.taker, wish.taker, 0, ready)

    def for_fill(self, fill: Fill, maker: str, ready: Ready) -> tuple[Asked, Draft | Reason]:
        """The same for what the hedge would take of a maker's offer: at its price, for as much as there is room."""
        offer = fill.offer
        asked = Asked(ready.books.now.snapshot.timestamp, maker, offer.series.id, offer.vault_sells, fill.size_wad)
        books = ready.books.beside(offer.series, offer.vault_sells)
        made = at_price(Request(offer.series, offer.vault_sells, fill.size_wad), offer.price_wad, books)
        return asked, self._bounded(made, maker, f"offers of {maker}", offer.min_fill_wad, ready)

    def _bounded(
        self, made: terms.Quote | Refusal, taker: str, holder: str, least: int, ready: Ready
    ) -> Draft | Reason:
        if isinstance(made, Refusal):
            return made.reason
        bounded = self._within_share(inside(made, ready.books.now.view.option_book), holder, ready)
        if bounded is None:
            return Reason.TAKER
        if bounded.size_wad < least:
            return bounded.limit or Reason.MIN_FILL
        return self._draft(taker, holder, bounded, ready)

    def _within_share(self, made: terms.Quote, holder: str, ready: Ready) -> terms.Quote | None:
        """As much of it as one holder may have open; None where that is less than the smallest fill."""
        now = ready.books.now
        snapshot, view = now.snapshot, now.view
        held = ready.held.get(holder, ())
        if len(held) >= self._limits.max_open:
            return None
        room = int(self._limits.max_share * view.option_book.vega_budget)
        room -= sum(vega_share(snapshot, view.lines[one.series], one.size_wad) for one in held)
        wanted = vega_share(snapshot, view.lines[made.series], made.size_wad)
        if wanted <= room:
            return made
        size = made.size_wad * max(room - 1, 0) // wanted // SIZE_UNIT * SIZE_UNIT
        if size < view.option_book.min_fill[made.series.underlying]:
            return None
        return replace(made, size_wad=size, limit=Reason.TAKER)

    def _draft(self, taker: str, holder: str, made: terms.Quote, ready: Ready) -> Draft:
        now = ready.books.now
        nonce = self._nonce = max(self._nonce + 1, now.snapshot.timestamp)
        given = Quote(
            series=made.series.id,
            vault_sells=made.vault_sells,
            price=made.price_wad,
            size=made.size_wad,
            taker=taker,
            deadline=now.snapshot.timestamp + LIFE,
            nonce=nonce,
            reference_spot=now.view.lines[made.series].marks.spot,
            spot_tolerance=SPOT_TOLERANCE,
        )
        digest = "0x" + digest_of(given, self._deployment).hex()
        one = Outstanding(made.series, made.vault_sells, made.size_wad, made.price_wad)
        self._open[digest] = _Open(holder, one, given.deadline)
        self.ready = ready.plus(holder, one)
        return Draft(given, digest, made_of(made, now.view.caveat))

    # ------------------------------------------------------------------ out of turn

    def sign(self, asked: Asked, draft: Draft) -> Signed:
        """Signed, then written, then handed out: in this order nobody holds a quote that the desk has forgotten, and
        nothing is handed out once another machine keeps the vault.

        Raises:
            KeelError: the signer's, the journal's, or LeaseError.
        """
        try:
            signed = sign_quote(draft.given, self._deployment, self._account)
            answer = {"digest": draft.digest} | to_json(signed, self._deployment) | draft.made_of
            answered = Answered(json.dumps(answer), "", draft.digest, draft.given.nonce, draft.given.deadline)
            self._log.write(asked, answered)
        except Exception:
            with self.turn:
                self._open.pop(draft.digest, None)  # from the next block on its room is free
            raise
        return Signed(signed, draft.digest, answer)

    def refuse(self, asked: Asked, reason: Reason) -> Refusal:
        """Written, too. Raises JournalError."""
        self._log.write(asked, Answered("", reason.name.lower()))
        return Refusal(reason)

    def look(self, snapshot: Snapshot, seen_at: float) -> frozenset[str]:
        """Make a block ready to be quoted on. Returns the digests of quotes that are filled and not over yet.

        Raises:
            SnapshotError, RpcError, RpcUnavailableError: it cannot be read, or is not canonical any more.
            JournalError: what was signed before is not known.
        """
        block = Header(snapshot.block_number, snapshot.block_hash, snapshot.timestamp, snapshot.base_fee_wei)
        positions = {position.series: position.size_wad for position in snapshot.book}
        self._connection.header()  # of several nodes those that agree are asked
        with self.turn:
            self._learn(snapshot.timestamp)
            before = self._positions
            # A fill moves its series; one that a sale and a purchase hide from this holds its room a little longer.
            asked = [
                digest
                for digest, one in self._open.items()
                if before is None or before.get(one.given.series) != positions.get(one.given.series)
            ]
        option_book, filled = read_option_book(
            self._connection, self._deployment, block, len(snapshot.readings), [bytes.fromhex(one[2:]) for one in asked]
        )
        view = view_of(snapshot, option_book, self._policy, self._market())
        with self.turn:
            for digest in self._open.keys() & set(asked):  # one that could not be signed has gone meanwhile
                self._open[digest].filled = filled[bytes.fromhex(digest[2:])]
            self._positions = positions
            held: dict[str, list[Outstanding]] = {}
            for one in self._open.values():
                if one.left.size_wad > 0 and one.left.series in view.lines:
                    held.setdefault(one.holder, []).append(one.left)
            books = Books.of(snapshot, view, [one for ones in held.values() for one in ones])
            self.ready = Ready(books, {holder: tuple(ones) for holder, ones in held.items()}, seen_at)
            return frozenset(digest for digest, one in self._open.items() if one.left.size_wad <= 0)

    def _learn(self, now: int) -> None:
        """Of quotes that were signed before a restart, or by another machine; and forget those that are over."""
        for row, asked, answered in self._log.signed_since(self._last_row, now, LIFE):
            self._last_row, self._nonce = row, max(self._nonce, answered.nonce)
            if answered.digest not in self._open:
                given = json.loads(answered.answer)["quote"]
                series = Series.from_slot(asked.series)
                one = Outstanding(series, asked.vault_sells, int(given["size"]), int(given["price"]))
                self._open[answered.digest] = _Open(asked.taker, one, answered.expires_at)
        for digest in [digest for digest, one in self._open.items() if one.expires_at < now]:
            del self._open[digest]


def _key(series: Series) -> tuple[int, bool, int, int]:
    return series.underlying, series.is_call, series.expiry, series.strike_wad
