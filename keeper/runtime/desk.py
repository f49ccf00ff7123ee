"""The quote desk: requests to signed quotes, from what the loop last saw, and never while the loop is in doubt.

The loop hands each block's snapshot over and goes on at once. A thread of the desk reads what OptionBook adds and makes
the view of the block; whoever asks is answered from the newest finished one, one at a time. What is signed and not
filled counts as filled for the next quote (`keeper.quoting.outstanding`) until the chain says so or its time is over.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.option_quotes import SPOT_TOLERANCE, Quote, Signatory, SignedQuote, digest_of, sign_quote, to_json
from keeper.chain.rpc import Connection, Header
from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits
from keeper.domain.series import Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import SIZE_UNIT
from keeper.errors import KeelError
from keeper.execution.quote_log import Answered, Asked, QuoteLog
from keeper.market.option_book import read_option_book
from keeper.quoting import terms
from keeper.quoting.outstanding import Books, Outstanding
from keeper.quoting.past import view_of
from keeper.quoting.quote import inside, quote
from keeper.quoting.terms import LIFE, Reason, Refusal, Request, made_of
from keeper.quoting.trial import vega_share
from keeper.quoting.view import Line, MarketSurface
from keeper.runtime.metrics import Metrics
from keeper.runtime.paces import Paces

_TURN_SECONDS: Final = 0.25  # that a request waits for those before it
_LOG = logging.getLogger(__name__)


class Denial(StrEnum):
    """Why a request was not looked at: somebody has stopped quotes, the desk is not sure of the chain, too many ask."""

    STOPPED = "stopped"
    STALE = "stale"
    BUSY = "busy"
    TOO_MANY = "too many requests"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Denied:
    """No answer, and why."""

    denial: Denial
    why: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a taker asks for; ``series`` as (underlying, is call, expiry, strike in WAD), the size in WAD."""

    series: tuple[int, bool, int, int]
    vault_sells: bool
    size_wad: int
    taker: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed quote, by its digest (0x-hex), and the JSON to hand out."""

    signed: SignedQuote
    digest: str
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A quote that was signed, and what became of it by the newest block: units filled, WAD."""

    answer: dict[str, Any]
    filled_wad: int
    expired: bool


@dataclass(frozen=True, slots=True)
class _Draft:
    """A quote to sign, its digest, and what its price is made of."""

    given: Quote
    digest: str
    made_of: dict[str, Any]


@dataclass(slots=True)
class _Open:
    """A quote whose time is not over; ``filled`` as of the last block at which somebody traded its series, WAD."""

    taker: str
    given: Outstanding
    expires_at: int
    filled: int = 0

    @property
    def left(self) -> Outstanding:
        return replace(self.given, size_wad=self.given.size_wad - self.filled)


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """One block, ready to be quoted on. ``held`` is each taker's open quotes; ``seen_at`` by the desk's clock."""

    books: Books
    held: Mapping[str, tuple[Outstanding, ...]]
    seen_at: float

    def plus(self, taker: str, one: Outstanding) -> _Ready:
        held = {**self.held, taker: (*self.held.get(taker, ()), one)}
        return _Ready(self.books.plus([one]), held, self.seen_at)


class Desk:
    """One vault's. `see` and `unseen` are the loop's, the other methods anybody's; a `with` block runs its thread.

    Args:
        account: Signs; it must hold the QUOTER role.
        stopped: Why no quote may be signed, empty where one may; asked at each request. May raise JournalError.
        market: Surfaces by underlying where somebody looks at a market; the posted ones elsewhere.
        clock: Seconds; goes forward only.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        account: Signatory,
        policy: Policy,
        log: QuoteLog,
        *,
        stopped: Callable[[], str],
        limits: DeskLimits,
        metrics: Metrics,
        market: Callable[[], Mapping[int, MarketSurface]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._deployment, self._account = connection, deployment, account
        self._policy, self._log, self._stopped, self._market = policy, log, stopped, market
        self._limits, self._metrics, self._clock = limits, metrics, clock
        for answer in ("signed", "refused", *(denial.name.lower() for denial in Denial)):
            metrics.quote_requests.labels(answer)
        for reason in Reason:
            metrics.quote_refusals.labels(reason.name.lower())
        self._paces = Paces(limits, clock)
        self._turn = threading.Lock()  # for pricing, and for whatever changes `_ready` and `_open`
        self._ready: _Ready | None = None
        self._doubt = "no block has been dealt with yet"
        self._nonce = 0
        self._open: dict[str, _Open] = {}  # by digest
        self._last_row = 0  # of the log that is known
        self._positions: dict[Series, int] | None = None  # of the last block that was looked at
        self._next: tuple[Snapshot, float] | None = None
        self._news = threading.Condition()
        self._is_looking = self._over = False
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._news:
            self._over = True
            self._news.notify_all()
        self._thread.join()

    # ------------------------------------------------------------------ what the loop says

    def see(self, snapshot: Snapshot) -> None:
        """The newest block, on which the loop could decide. Returns at once."""
        with self._news:
            self._next, self._doubt = (snapshot, self._clock()), ""
            self._news.notify_all()

    def unseen(self, why: str) -> None:
        """There is a newer block, on which the loop would not act: nothing is signed until there is another."""
        with self._news:
            self._next, self._doubt = None, why

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the newest block that was seen is finished, or given up: for who follows block by block."""
        with self._news:
            return self._news.wait_for(lambda: self._next is None and not self._is_looking, seconds)

    # ------------------------------------------------------------------ what takers ask

    def ask(self, wish: Wish) -> Signed | Refusal | Denied:
        """A signed quote for a wish, written to the log, or why there is none."""
        start = self._clock()
        answer = self._asked(wish)
        self._metrics.quote_seconds.observe(self._clock() - start)
        match answer:
            case Signed():
                self._metrics.quote_requests.labels("signed").inc()
            case Refusal(reason):
                self._metrics.quote_requests.labels("refused").inc()
                self._metrics.quote_refusals.labels(reason.name.lower()).inc()
            case Denied(denial):
                self._metrics.quote_requests.labels(denial.name.lower()).inc()
        return answer

    def series(self) -> tuple[tuple[Line, int], ...] | Denied:
        """The series that can be quoted, each with its smallest fill (WAD); sizes and marks of the newest block."""
        ready = self._newest()
        if isinstance(ready, Denied):
            return ready
        view = ready.books.now.view
        return tuple((line, view.option_book.min_fill[series.underlying]) for series, line in view.lines.items())

    def find(self, digest: str) -> Found | None:
        """
        Raises:
            JournalError, RpcError, RpcUnavailableError
        """
        found = self._log.find(digest)
        if found is None:
            return None
        header = self._connection.header()
        view = function("OptionBook", "filled")
        data = view.encode(bytes.fromhex(digest.removeprefix("0x")))
        filled = view.decode(self._connection.call_at(header.hash, self._deployment.address("OptionBook"), data))
        return Found(json.loads(found[1].answer), filled, found[1].expires_at < header.timestamp)

    # ------------------------------------------------------------------ answering

    def _asked(self, wish: Wish) -> Signed | Refusal | Denied:
        too_many = self._paces.too_many(wish.taker)
        if too_many:
            return Denied(Denial.TOO_MANY, too_many)
        try:
            stopped = self._stopped()
            if stopped:
                return Denied(Denial.STOPPED, stopped)
            if not self._turn.acquire(timeout=_TURN_SECONDS):
                return Denied(Denial.BUSY, "other requests are being answered")
            try:
                ready = self._newest()
                if isinstance(ready, Denied):
                    return ready
                asked, made = self._in_turn(wish, ready)
            finally:
                self._turn.release()
            return self._refuse(asked, made) if isinstance(made, Reason) else self._sign(asked, made)
        except KeelError as error:  # the journal, or somebody else's signer
            _LOG.error("no quote: %s", error)
            return Denied(Denial.FAILED, "orders cannot be read, or nothing can be signed or written down")

    def _newest(self) -> _Ready | Denied:
        ready, doubt = self._ready, self._doubt
        if doubt or ready is None:
            return Denied(Denial.STALE, doubt or "the first block is being looked at")
        age = self._clock() - ready.seen_at
        if age > self._limits.stale_seconds:
            return Denied(Denial.STALE, f"the newest block was seen {age:.0f} s ago")
        return ready

    def _in_turn(self, wish: Wish, ready: _Ready) -> tuple[Asked, _Draft | Reason]:
        """What to sign, with its room taken, or why nothing."""
        now = ready.books.now
        asked = Asked(now.snapshot.timestamp, wish.taker, 0, wish.vault_sells, wish.size_wad)
        series = next((each for each in now.view.lines if _key(each) == wish.series), None)
        if series is None:
            return asked, Reason.NOT_LISTED
        asked = replace(asked, series=series.id)
        request = Request(series, wish.vault_sells, wish.size_wad)
        first, *beside = ready.books.beside(series, wish.vault_sells)
        made = quote(request, first.snapshot, first.view, self._policy, beside)
        if isinstance(made, Refusal):
            return asked, made.reason
        bounded = self._within_share(inside(made, now.view.option_book), wish.taker, ready)
        if bounded is None:
            return asked, Reason.TAKER
        return asked, self._draft(wish.taker, bounded, ready)

    def _within_share(self, made: terms.Quote, taker: str, ready: _Ready) -> terms.Quote | None:
        """As much of it as one taker may hold open; None where that is less than the smallest fill."""
        now = ready.books.now
        snapshot, view = now.snapshot, now.view
        held = ready.held.get(taker, ())
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

    def _draft(self, taker: str, made: terms.Quote, ready: _Ready) -> _Draft:
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
        self._open[digest] = _Open(taker, one, given.deadline)
        self._ready = ready.plus(taker, one)
        self._count_open()
        return _Draft(given, digest, made_of(made, now.view.caveat))

    def _sign(self, asked: Asked, draft: _Draft) -> Signed:
        """Signed, then written, then handed out: in this order nobody holds a quote that the desk has forgotten."""
        try:
            signed = sign_quote(draft.given, self._deployment, self._account)
            answer = {"digest": draft.digest} | to_json(signed, self._deployment) | draft.made_of
            answered = Answered(json.dumps(answer), "", draft.digest, draft.given.nonce, draft.given.deadline)
            self._log.write(asked, answered)
        except Exception:
            with self._turn:
                self._open.pop(draft.digest, None)  # from the next block on its room is free
            raise
        return Signed(signed, draft.digest, answer)

    def _refuse(self, asked: Asked, reason: Reason) -> Refusal:
        self._log.write(asked, Answered("", reason.name.lower()))
        return Refusal(reason)

    # ------------------------------------------------------------------ a new block

    def _run(self) -> None:
        while True:
            with self._news:
                while self._next is None and not self._over:
                    self._news.wait()
                if self._over or self._next is None:
                    return
                (snapshot, seen_at), self._next = self._next, None
                self._is_looking = True
            try:
                self._look(snapshot, seen_at)
            except KeelError as error:  # the next block may be fine; until then the last one ages
                _LOG.warning("block %d: no quotes on it: %s", snapshot.block_number, error)
            except Exception:
                _LOG.exception("block %d: no quotes on it", snapshot.block_number)
            with self._news:
                self._is_looking = False
                self._news.notify_all()

    def _look(self, snapshot: Snapshot, seen_at: float) -> None:
        """Make a block ready to be quoted on.

        Raises:
            SnapshotError, RpcError, RpcUnavailableError: it cannot be read, or is not canonical any more.
            JournalError: what was signed before is not known.
        """
        block = Header(snapshot.block_number, snapshot.block_hash, snapshot.timestamp, snapshot.base_fee_wei)
        positions = {position.series: position.size_wad for position in snapshot.book}
        with self._turn:
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
        with self._turn:
            for digest in asked:
                self._open[digest].filled = filled[bytes.fromhex(digest[2:])]
            self._positions = positions
            held: dict[str, list[Outstanding]] = {}
            for one in self._open.values():
                if one.left.size_wad > 0 and one.left.series in view.lines:
                    held.setdefault(one.taker, []).append(one.left)
            books = Books.of(snapshot, view, [one for ones in held.values() for one in ones])
            self._ready = _Ready(books, {taker: tuple(ones) for taker, ones in held.items()}, seen_at)
            self._count_open()

    def _learn(self, now: int) -> None:
        """Of quotes that were signed before a restart, or by another machine; and forget those that are over."""
        for row, asked, answered in self._log.signed_since(self._last_row, now, LIFE):
            self._last_row = row
            if answered.digest not in self._open:
                given = json.loads(answered.answer)["quote"]
                series = Series.from_slot(asked.series)
                one = Outstanding(series, asked.vault_sells, int(given["size"]), int(given["price"]))
                self._open[answered.digest] = _Open(asked.taker, one, answered.expires_at)
        for digest in [digest for digest, one in self._open.items() if one.expires_at < now]:
            del self._open[digest]

    def _count_open(self) -> None:
        if self._ready is not None:
            self._metrics.quotes_open.set(sum(map(len, self._ready.held.values())))


def _key(series: Series) -> tuple[int, bool, int, int]:
    return series.underlying, series.is_call, series.expiry, series.strike_wad
