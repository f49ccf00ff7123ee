"""Keel's story on a fork, from the deployment to the last redemption, in steps that can be left and taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keeper.chain.address_book import MAINNET
from keeper.chain.deployments import Deployment, save
from keeper.chain.rpc import Connection
from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS, Series, next_expiry
from keeper.domain.units import DAY, HOUR, USDC, WAD
from keeper.execution.records import Kind, Record
from keeper.operations.contracts import bind, usdc_of
from keeper.operations.deploy import deploy
from keeper.operations.options import claim, fill, list_series
from keeper.operations.parameters import Parameters
from keeper.operations.queue import claim_redemption, read_request, request_redeem
from keeper.operations.quotes import Quoter
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from keeper.operations.vault import deposit, redeem
from keeper.simulation.demo.accounting import Ledger
from keeper.simulation.demo.cast import (
    DEPOSITS,
    EXPIRIES,
    PURCHASES,
    QUEUES,
    REDEEMS,
    TAKER_USDC,
    Cast,
    Purchase,
    affordable,
)
from keeper.simulation.demo.keeper_process import KeeperProcess
from keeper.simulation.demo.observer import Observer, Watched
from keeper.simulation.demo.path import MarketPath, MarketStep, quiet
from keeper.simulation.demo.poster import Look, Poster
from keeper.simulation.driver import BLOCK_TIME, MarketDriver

if TYPE_CHECKING:
    from keeper.simulation.fork import Fork

_SALE_BEFORE_EXPIRY: Final = 31 * HOUR  # at least a day, which is the shortest tenor that the vault sells
_SALE_BEFORE_PATH: Final = 22 * HOUR
_QUIET_POST_EVERY: Final = 6  # steps of the quiet day between posts of the surface
_POST_SECONDS: Final = HOUR  # between posts on the path
_REQUEST_WITHIN: Final = 0.5  # of the path's time: in the crash
_EPOCH_CLOSE: Final = 9 * HOUR  # of the day, UTC, as RedemptionQueue has it


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """One step to come."""

    timestamp: int
    market: MarketStep
    when: str  # for people, before the prices
    post: bool = False
    request: bool = False
    leave: bool = False


@dataclass(slots=True)
class Progress:
    """How far the story has come, and what the chain does not tell."""

    prices: dict[str, float]  # at the start, USD by symbol
    expiries: tuple[int, ...]
    sold_at: int
    path_from: int
    steps_done: int = 0
    collected: int = 0  # block up to which the journal has been read
    seconds: float = 0.0  # that it has taken so far
    queued: dict[str, int] = field(default_factory=dict)  # shares that somebody asked back and has not claimed
    bought: list[tuple[Series, str]] = field(default_factory=list)


def leaving(has: int, allowed: int) -> tuple[int, str]:
    """Shares to redeem of ``has`` where the vault allows ``allowed`` now, and what there is to say about it."""
    if allowed >= has:
        return has, ""
    # The limit moves a little until the next block.
    note = f"of {has / WAD:,.2f} shares what a day's limit, cash and margin allow; the rest queues"
    return allowed - allowed // 1000, note


class Story:
    """One telling.

    Args:
        tell: Called with what is going on and the share of the story that is done.
    """

    progress: Progress
    deployment: Deployment
    observer: Observer
    ledger: Ledger
    keeper: KeeperProcess
    poster: Poster

    def __init__(self, path: MarketPath, folder: Path, fork: Fork, tell: Callable[[str, float], None]) -> None:
        self.path, self.folder, self.fork, self.tell = path, folder, fork, tell
        self.market = MarketDriver(fork.w3)
        self.cast = Cast(fork.w3, self.market)
        self.connection = Connection(fork.url)

    # ------------------------------------------------------------------ the day before

    def open(self) -> None:
        """Deploy, deposit, post the surface, list and sell."""
        prices = {symbol: self.market.feed_price(symbol) for symbol in UNDERLYINGS}
        ahead = max(_SALE_BEFORE_EXPIRY, self.path.first_expiry + _SALE_BEFORE_PATH)
        expiries = [next_expiry(self.market.timestamp() + ahead)]
        while len(expiries) < EXPIRIES:
            expiries.append(next_expiry(expiries[-1]))
        sold_at = expiries[0] - ahead
        self.progress = Progress(prices, tuple(expiries), sold_at, expiries[0] - self.path.first_expiry)
        self.market.step(prices, timestamp=sold_at, base_fee=10**9)

        self.tell("deploying the contracts", 0.01)
        self.deployment = self._deploy()
        self.set_up()

        self.tell("depositing", 0.02)
        for who, amount in DEPOSITS.items():
            self.market.fund_usdc(self.cast.address(who), amount * USDC)
            deposit(self.cast.sender(who), self.deployment, amount * USDC)
        look = self.poster.look(list(prices.values()), self.path.vols, expiries, self.market.timestamp())
        self.poster.open(look)
        self.tell("selling options", 0.03)
        part = affordable(self.path.vols, [expiry - self.market.timestamp() for expiry in expiries])
        quoter = Quoter(self.connection, self.deployment, self.cast.account("quoter"), Policy(), look.surfaces())
        for purchase in PURCHASES:
            self._sell(purchase, part, quoter)

    def set_up(self, watched: Watched | None = None) -> None:
        """Those who watch the deployment, and the keeper's files in the folder, so that it can be started."""
        keeper = self.cast.account("keeper")
        self.ledger = Ledger(self.fork.w3, self.deployment)
        self.observer = Observer(
            self.connection, self.deployment, keeper.address, self.ledger, self.cast.names, watched
        )
        manifest = save(self.deployment, self.folder / "deployment.json")
        self.keeper = KeeperProcess(self.folder, self.fork.url, manifest, keeper)
        self.poster = Poster(self.connection, self.deployment, self.cast.sender("vol_poster"))

    def _deploy(self) -> Deployment:
        roles = ("guardian", "keeper", "quoter", "vol_poster")
        keys = Keys(**{role: self.cast.address(role) for role in roles})
        self.market.fund_usdc(self.cast.address("governor"), SEED)
        return deploy(self.cast.sender("governor"), MAINNET, keys, Parameters(opening_vol=self.path.vols))

    def _sell(self, purchase: Purchase, part: float, quoter: Quoter) -> None:
        taker = purchase.taker
        price, vol = self.progress.prices[UNDERLYINGS[purchase.underlying]], self.path.vols[purchase.underlying]
        expiry = self.progress.expiries[purchase.expiry]
        strike = purchase.strike(price, vol, expiry - self.market.timestamp())
        size = purchase.size(price, vol, part)
        lister = self.cast.sender("keeper")
        series = list_series(lister, self.deployment, purchase.underlying, purchase.is_call, expiry, strike)
        if not self._usdc(taker):
            self.market.fund_usdc(self.cast.address(taker), TAKER_USDC * USDC)
        offer = quoter.make_quote(series, size, taker=self.cast.address(taker))
        fill(self.cast.sender(taker), self.deployment, offer.signed)
        self.progress.bought.append((series, taker))

    # ------------------------------------------------------------------ the market moves, the keeper hedges

    def hedge(self) -> Iterator[int]:
        """The steps that are left, each done when its number comes: a quiet day, then the path."""
        schedule = self._schedule()
        for number in range(self.progress.steps_done, len(schedule)):
            step = schedule[number]
            prices = ", ".join(f"{symbol} at {price:,.0f} USD" for symbol, price in self._prices(step.market).items())
            self.tell(f"{step.when}{prices}", 0.05 + 0.9 * number / len(schedule))
            self._step(step)
            self.progress.steps_done = number + 1
            yield number

    def _schedule(self) -> list[_Scheduled]:
        """The quiet day in steps of an hour at most, the path in its own steps, then as much as the queue takes."""
        path, begin, end = self.path, self.progress.sold_at, self.progress.path_from
        hours = math.ceil((end - begin) / HOUR)
        calm = [
            _Scheduled(
                begin + (end - begin) * (i + 1) // hours, market, "a quiet day: ", post=not i % _QUIET_POST_EVERY
            )
            for i, market in enumerate(quiet(hours, path.vols, path.seed))
        ]
        post_every = max(_POST_SECONDS // path.spacing, 1)
        request = int(len(path.steps) * _REQUEST_WITHIN)
        crash = [
            _Scheduled(
                end + path.spacing * (i + 1),
                market,
                "",
                post=not i % post_every,
                request=i == request,
                leave=i == len(path.steps) - 1,
            )
            for i, market in enumerate(path.steps)
        ]
        over = crash[-1].timestamp
        closes = (over - _EPOCH_CLOSE) // DAY * DAY + DAY + _EPOCH_CLOSE
        # The round that prices the epoch comes with a step after its close.
        rest = math.ceil((closes - over) / HOUR) + 1
        after = [_Scheduled(over + HOUR * (i + 1), path.steps[-1], "afterwards: ") for i in range(rest)]
        return [*calm, *crash, *after]

    def _prices(self, market: MarketStep) -> dict[str, float]:
        """In USD, by symbol."""
        pairs = zip(self.progress.prices.items(), market.prices, strict=True)
        return {symbol: start * share for (symbol, start), share in pairs}

    def _step(self, step: _Scheduled) -> None:
        """The prices move at once, and have been there for a while when the keeper looks."""
        moves_at = self.market.timestamp() + BLOCK_TIME
        quiet_seconds = max(step.timestamp - moves_at, 1)
        with self._posted(self._look(step.market, moves_at), moves_at) if step.post else _nothing():
            mined = self.market.step(
                self._prices(step.market), timestamp=moves_at, base_fee=step.market.base_fee, quiet=quiet_seconds
            )
        self.observer.market_moved(self.fork.w3.eth.get_block(mined.block_number)["hash"].to_0x_hex())
        record = self.let_keeper_act(mined.block_number)
        self._claim_what_is_settled()
        if step.request:
            self._ask_for_redemption(QUEUES)
        if step.leave:
            self._leave()
        self._claim_what_is_redeemed()
        self.observer.keeper_acted(step.market.vols, record.decision)

    def _look(self, market: MarketStep, when: int) -> Look:
        """What the poster sees just before the market moves."""
        expiries = [expiry for expiry in self.progress.expiries if expiry > when + HOUR]
        return self.poster.look(list(self._prices(market).values()), market.vols, expiries, self.market.timestamp())

    @contextmanager
    def _posted(self, look: Look, when: int) -> Iterator[None]:
        """The market's volatilities, as near as the speed limit lets, are in the block that is mined inside."""
        self.market.rpc.call("evm_setAutomine", False)
        try:
            self.poster.post(look, when)
            yield
        finally:
            self.market.rpc.call("evm_setAutomine", True)

    def let_keeper_act(self, since: int | None = None) -> Record:
        """Wait until the keeper has decided on the newest block, its own transactions' blocks included.

        Returns its first hedging decision on block ``since``, the newest by default, or later: where a settlement was
        due, that is on the block after it.
        """
        first = seen = since or self.fork.w3.eth.block_number
        self.keeper.wait_for(first)
        while seen != (head := self.fork.w3.eth.block_number):
            self.keeper.wait_for(head)
            seen = head
        self.ledger.collect(self.keeper.journal, self.progress.collected)
        self.progress.collected = seen
        return next(record for record in self.keeper.journal.decisions(first) if record.kind is Kind.HEDGE)

    def _claim_what_is_settled(self) -> None:
        now = self.market.timestamp()
        clearing = bind(self.fork.w3, self.deployment, "ClearingHouse").functions
        for series, holder in [bought for bought in self.progress.bought if bought[0].expiry <= now]:
            done = clearing.settlement(series.id).call()[0]
            if done:
                self.progress.bought.remove((series, holder))
                claim(self.cast.sender(holder), self.deployment, series)
                self.let_keeper_act()

    # ------------------------------------------------------------------ depositors leave

    def _ask_for_redemption(self, who: str) -> None:
        shares = self._shares(who)
        request_redeem(self.cast.sender(who), self.deployment, shares)
        self.progress.queued[who] = shares
        self.let_keeper_act()

    def _claim_what_is_redeemed(self) -> None:
        for who in list(self.progress.queued):
            request = read_request(self.fork.w3, self.deployment, self.cast.address(who))
            if request.assets:
                claim_redemption(self.cast.sender(who), self.deployment)
                self.let_keeper_act()
                self.progress.queued[who] = request.pending
                if not request.pending:
                    del self.progress.queued[who]

    def _leave(self) -> None:
        """One depositor leaves: at once with what the vault lets go, and through the queue with the rest."""
        self.tell("redeeming", 0.95)
        has = self._shares(REDEEMS)
        vault = bind(self.fork.w3, self.deployment, "Vault").functions
        shares, note = leaving(has, vault.maxRedeem(self.cast.address(REDEEMS)).call())
        if shares:
            redeem(self.cast.sender(REDEEMS), self.deployment, shares)
        self.let_keeper_act()
        self.observer.look(note=note)
        if shares < has:
            self._ask_for_redemption(REDEEMS)

    def close(self) -> None:
        """The last look, when nobody moves any more."""
        record = self.let_keeper_act()
        self.observer.keeper_acted(self.path.steps[-1].vols, record.decision)

    # ------------------------------------------------------------------ people

    def _usdc(self, who: str) -> int:
        amount: int = usdc_of(self.fork.w3, self.deployment).functions.balanceOf(self.cast.address(who)).call()
        return amount

    def _shares(self, who: str) -> int:
        vault = bind(self.fork.w3, self.deployment, "Vault").functions
        shares: int = vault.balanceOf(self.cast.address(who)).call()
        return shares


@contextmanager
def _nothing() -> Iterator[None]:
    yield
