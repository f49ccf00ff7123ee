"""What the vol poster sees: quotes fetched and calibrated, and posts planned, in a thread that nobody waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.rpc import Connection, Header
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import VolSlice
from keeper.domain.times import utc_minute
from keeper.domain.units import WAD, YEAR
from keeper.errors import KeelError
from keeper.execution.records import Call
from keeper.market.option_chain import OptionChain
from keeper.market.posting import calibration_of, plans, require_young, wanted_slices, worth_at
from keeper.market.quote_source import QuoteSource
from keeper.pricing.calibration import Calibration
from keeper.pricing.posting import Planned

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """What a look at a market came to: a post, nothing to do (``call`` is None, no ``reason``), or why it failed.

    Attributes:
        planned_at: Chain time.
        since: When the slice in its place was posted; as if now, where there is none.
        trouble: What kind of failure, to tell a new one from one that lasts.
    """

    underlying: int
    planned_at: int
    reason: str = ""
    call: Call | None = None
    since: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Market:
    """Quotes that were fetched, and what they make."""

    chain: OptionChain
    calibration: Calibration


class Lookout:
    """Looks at the market, in a thread of its own, when it is asked to; what it finds waits until it is taken.

    Args:
        connection: Its own.
        sources: By underlying.
        fetch_every: Seconds between fetches.
        clock: Goes forward only.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        sources: Mapping[int, QuoteSource],
        *,
        fetch_every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._deployment, self._sources = connection, deployment, dict(sources)
        self._fetch_every, self._clock = fetch_every, clock
        self._markets: dict[int, tuple[float, _Market]] = {}  # with when they were fetched
        self._news = threading.Condition()
        self._asked: Header | None = None
        self._found: tuple[Post, ...] | None = None
        self._over = False
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._news:
            self._over = True
            self._news.notify_all()  # whoever is slow is not waited for: it has nothing to finish

    def ask(self, block: Header) -> None:
        """Look at the market, and at the chain after a block. Returns at once."""
        with self._news:
            self._asked, self._found = block, None
            self._news.notify_all()

    def take(self) -> tuple[Post, ...] | None:
        """What was found, once; None where it is not there yet. Returns at once."""
        with self._news:
            found, self._found = self._found, None
            return found

    def wait(self, seconds: float) -> bool:
        """Wait until something is found: for who goes block by block."""
        with self._news:
            return self._news.wait_for(lambda: self._found is not None, seconds)

    # ------------------------------------------------------------------ its thread

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._over or self._asked is not None)
                if self._over or self._asked is None:
                    return
                block, self._asked = self._asked, None
            found = tuple(self._of(underlying, block) for underlying in self._sources)
            with self._news:
                if self._asked is None:
                    self._found = found
                    self._news.notify_all()

    def _of(self, underlying: int, block: Header) -> Post:
        """What one market asks for. One that fails keeps no other from being followed."""
        try:
            return self._look(underlying, block)
        except Exception as error:
            if isinstance(error, KeelError):
                what = error.what
            else:
                _LOG.exception("the market of %s could not be looked at", UNDERLYINGS[underlying])
                what = f"{type(error).__name__}: {error}"
            reason = f"the surface of {UNDERLYINGS[underlying]} cannot be posted: {what}"
            return Post(underlying, block.timestamp, reason, trouble=type(error).__name__)

    def _look(self, underlying: int, block: Header) -> Post:
        """The slice that has waited longest, of those that are worth a post; a new expiry comes last."""
        self._connection.header()  # of several nodes those that agree are asked
        market, deployment = self._market(underlying, block), self._deployment
        wanted = wanted_slices(self._connection, deployment, underlying, market.chain, market.calibration, block)
        worth = worth_at(self._connection, deployment, block)
        found = [
            (planned, held)
            for planned, held in plans(self._connection, deployment, underlying, wanted, worth, block)
            if planned.post is not None
        ]
        if not found:
            return Post(underlying, block.timestamp)
        planned, held = min(found, key=lambda one: one[1].posted_at if one[1] else block.timestamp)
        return _post(deployment, underlying, planned, held, market, block)

    def _market(self, underlying: int, block: Header) -> _Market:
        source, now = self._sources[underlying], self._clock()
        fetched_at, market = self._markets.get(underlying, (0.0, None))
        if market is None or now >= fetched_at + self._fetch_every:
            chain = source.read()
            if market is None or chain.quoted_at != market.chain.quoted_at:
                market = _Market(chain, calibration_of(chain, source.label))
            self._markets[underlying] = (now, market)
        require_young(market.chain, source.label, block.timestamp)
        return market


def _post(
    deployment: Deployment, underlying: int, planned: Planned, held: VolSlice | None, market: _Market, block: Header
) -> Post:
    new, fit = planned.post, market.calibration
    assert new is not None
    what = f"{UNDERLYINGS[underlying]} {utc_minute(planned.expiry)} UTC"
    was = f"{_vol(held, planned.expiry):.2%} is posted" if held else "none is posted"
    reason = (
        f"post the slice of {what} at {_vol(new, planned.expiry):.2%}: {was}, the market is at"
        f" {_vol(planned.target, planned.expiry):.2%}; {planned.reason}. Quotes of {utc_minute(market.chain.quoted_at)}"
        f" UTC, error {100 * fit.rmse:.2f} points, {fit.outcome.value}"
    )
    data = function("VolOracle", "post").encode(
        underlying, planned.expiry, new.theta, new.rho, new.phi, new.carry, new.half_spread
    )
    call = Call(f"post {what}", deployment.address("VolOracle"), data)
    return Post(underlying, block.timestamp, reason, call, since=held.posted_at if held else block.timestamp)


def _vol(posted: VolSlice, expiry: int) -> float:
    """At the money."""
    return float((posted.theta / WAD / ((expiry - posted.posted_at) / YEAR)) ** 0.5)
