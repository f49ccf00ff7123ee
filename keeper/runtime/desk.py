"""The quote desk: requests to signed quotes, from what the loop last saw, and never while the loop is in doubt.

The loop hands each block's snapshot over, with what its decision would take of makers' offers, and goes on at once. A
thread of the desk reads what OptionBook adds, makes the view of the block, and signs for those offers; whoever asks is
answered from the newest finished view, one at a time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.maker_offers import MakerOffer
from keeper.chain.option_quotes import Signatory
from keeper.chain.rpc import Connection, Header
from keeper.domain.offer import Fill, Offer
from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits
from keeper.domain.snapshot import Snapshot
from keeper.errors import KeelError, LeaseError
from keeper.execution.quote_log import QuoteLog
from keeper.market.option_book import read_option_book
from keeper.quoting.offers import best_offers
from keeper.quoting.terms import Reason, Refusal
from keeper.quoting.view import Line, MarketSurface
from keeper.runtime.answers import Denial, Denied, Found, Signed, Wish
from keeper.runtime.metrics import Metrics
from keeper.runtime.offer_book import Fault, Kept, OfferBook, State
from keeper.runtime.paces import Paces
from keeper.runtime.signing import Ready, Signing

_TURN_SECONDS: Final = 0.25  # that a request waits for those before it
_ANOTHER: Final = "another machine keeps the vault, and quotes for it"
_LOG = logging.getLogger(__name__)


class Desk:
    """One vault's. `see`, `unseen` and `offers` are the loop's, the other methods anybody's; a `with` block runs its
    thread.

    Args:
        account: Signs; it must hold the QUOTER role.
        stopped: Why no quote may be signed, empty where one may; asked at each request. May raise JournalError.
        makers: Who may offer, checksummed.
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
        makers: Collection[str] = (),
        market: Callable[[], Mapping[int, MarketSurface]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._deployment, self._log = connection, deployment, log
        self._stopped, self._limits, self._metrics, self._clock = stopped, limits, metrics, clock
        for answer in ("signed", "refused", *(denial.name.lower() for denial in Denial)):
            metrics.quote_requests.labels(answer)
        for reason in Reason:
            metrics.quote_refusals.labels(reason.name.lower())
        self._paces = Paces(limits, clock)
        self._signing = Signing(connection, deployment, account, policy, log, limits, market)
        self._offers = OfferBook(deployment, makers, limits)
        self._doubt = "no block has been dealt with yet"
        self._next: tuple[Snapshot, float, tuple[Fill, ...]] | None = None
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

    def see(self, snapshot: Snapshot, fills: Sequence[Fill] = (), doubt: str = "") -> None:
        """The newest block, on which the loop could decide: ``fills`` is what it would take of `offers`. Returns at
        once. With a ``doubt`` the block is looked at, and nothing is signed until there is another."""
        with self._news:
            self._next, self._doubt = (snapshot, self._clock(), tuple(fills)), doubt
            self._news.notify_all()

    def unseen(self, why: str) -> None:
        """There is a newer block, on which the loop would not act: nothing is signed until there is another."""
        with self._news:
            self._next, self._doubt = None, why

    def lose(self) -> None:
        """Another machine keeps the vault."""
        self.unseen(_ANOTHER)

    def offers(self, snapshot: Snapshot) -> tuple[tuple[Offer, ...], int]:
        """What makers offer that a decision on this block should look at, and OptionBook's vega budget at it, WAD: none
        where nothing could be signed for it, or something fails: no offer keeps the vault from being hedged.

        Raises:
            JournalError: orders cannot be read.
        """
        ready, offered = self._newest(), self._offers.open_at(snapshot.timestamp)
        if not offered or isinstance(ready, Denied) or self._stopped():
            return (), 0
        try:
            best = best_offers(offered, snapshot, ready.books.now.view)
            if not best:
                return (), 0
            block = Header(snapshot.block_number, snapshot.block_hash, snapshot.timestamp, snapshot.base_fee_wei)
            now, _ = read_option_book(self._connection, self._deployment, block, len(snapshot.readings))
            return best, now.vega_budget
        except KeelError as error:
            _LOG.warning("block %d: no offers: %s", snapshot.block_number, error)
        except Exception:
            _LOG.exception("block %d: no offers", snapshot.block_number)
        return (), 0

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until the newest block that was seen is finished, or given up: for who follows block by block."""
        with self._news:
            return self._news.wait_for(lambda: self._next is None and not self._is_looking, seconds)

    # ------------------------------------------------------------------ what takers and makers ask

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

    def offer(self, given: MakerOffer, signature: bytes) -> Kept | Fault | Denied:
        """Take in a maker's offer, or say why not."""
        fault = self._offers.is_from_a_maker(given, signature)
        if fault is not None:
            return fault
        too_many = self._paces.too_many(given.maker)  # after the signature: nobody uses up another's
        if too_many:
            return Denied(Denial.TOO_MANY, too_many)
        ready = self._newest() if given.size else self._recent()  # what is taken back is so, whatever is in doubt
        if isinstance(ready, Denied):
            return ready
        now = ready.books.now
        kept = self._offers.post(given, now.snapshot, now.view)
        self._metrics.offers_open.set(self._offers.count())
        return kept

    def find_offer(self, digest: str) -> Kept | None:
        """What became of an offer; None of one that was taken back or replaced, or is over."""
        return self._offers.find(digest)

    def series(self) -> tuple[tuple[Line, int], ...] | Denied:
        """The series that can be quoted, each with its smallest fill (WAD); sizes and marks of the newest block that
        could be read, whether or not anything would be signed on it."""
        ready = self._recent()
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
            if not self._signing.turn.acquire(timeout=_TURN_SECONDS):
                return Denied(Denial.BUSY, "other requests are being answered")
            try:
                ready = self._newest()
                if isinstance(ready, Denied):
                    return ready
                asked, made = self._signing.for_wish(wish, ready)
                self._count_open()
            finally:
                self._signing.turn.release()
            return self._signing.refuse(asked, made) if isinstance(made, Reason) else self._signing.sign(asked, made)
        except LeaseError:
            self.lose()
            return Denied(Denial.STALE, _ANOTHER)
        except KeelError as error:  # the journal, or somebody else's signer
            _LOG.error("no quote: %s", error)
            return Denied(Denial.FAILED, "orders cannot be read, or nothing can be signed or written down")

    def _newest(self) -> Ready | Denied:
        return Denied(Denial.STALE, doubt) if (doubt := self._doubt) else self._recent()

    def _recent(self) -> Ready | Denied:
        ready = self._signing.ready
        if ready is None:
            return Denied(Denial.STALE, self._doubt or "the first block is being looked at")
        age = self._clock() - ready.seen_at
        if age > self._limits.stale_seconds:
            return Denied(Denial.STALE, f"the newest block was seen {age:.0f} s ago")
        return ready

    # ------------------------------------------------------------------ a new block

    def _run(self) -> None:
        while True:
            with self._news:
                while self._next is None and not self._over:
                    self._news.wait()
                if self._over or self._next is None:
                    return
                (snapshot, seen_at, fills), self._next = self._next, None
                self._is_looking = True
            try:
                self._offers.see_filled(self._signing.look(snapshot, seen_at))
                if self._offers.open_at(snapshot.timestamp):  # else one is out that this decision did not know of
                    for fill in fills:
                        self._sign_for(fill)
            except KeelError as error:  # the next block may be fine; until then the last one ages
                _LOG.warning("block %d: no quotes on it: %s", snapshot.block_number, error)
            except Exception:
                _LOG.exception("block %d: no quotes on it", snapshot.block_number)
            self._count_open()
            self._metrics.offers_open.set(self._offers.count())
            with self._news:
                self._is_looking = False
                self._news.notify_all()

    def _sign_for(self, fill: Fill) -> None:
        """The quote for an offer that is worth taking, as any other: nothing while quotes are stopped, or in doubt.

        Raises:
            KeelError: nothing can be signed or written, or another machine has taken over.
        """
        kept = self._offers.find(fill.offer.digest)
        if kept is None or kept.state is not State.OPEN or self._stopped():
            return
        with self._signing.turn:
            ready = self._newest()
            if isinstance(ready, Denied):
                return
            asked, made = self._signing.for_fill(fill, kept.given.maker, ready)
        try:
            if isinstance(made, Reason):
                self._offers.refuse(kept.digest, self._signing.refuse(asked, made).reason)
                self._metrics.offers_taken.labels("refused").inc()
            else:
                self._offers.take(kept.digest, self._signing.sign(asked, made))
                self._metrics.offers_taken.labels("signed").inc()
        except LeaseError:
            self.lose()
            raise

    def _count_open(self) -> None:
        self._metrics.quotes_open.set(self._signing.count_open())
