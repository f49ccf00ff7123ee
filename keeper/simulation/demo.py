"""Keel's story once, in small, on a fork: deposit, sell options, hedge through a crash, settle, redeem.

Two depositors bring 1,000,000 USDC and takers buy six options. A quiet day passes in hourly steps, then the market
takes its path, a crash as a rule, while the keeper, one live process, hedges. Each expiry on the way is fixed and
paid. At the end a depositor redeems and the books are checked to the unit.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eth_account import Account

from keeper.chain.address_book import MAINNET
from keeper.chain.deployments import Deployment, save
from keeper.chain.rpc import Connection
from keeper.chain.sender import Sender
from keeper.domain.series import UNDERLYINGS, Series, next_expiry
from keeper.domain.units import USDC, WAD, YEAR, from_wad
from keeper.errors import ConfigError, KeelError
from keeper.execution.records import Kind, Record
from keeper.operations.contracts import bind, usdc_of
from keeper.operations.deploy import Keys, deploy
from keeper.operations.options import claim, fill, list_series, make_quote, post_vol
from keeper.operations.vault import deposit, redeem
from keeper.simulation.accounting import Ledger, checks
from keeper.simulation.driver import BLOCK_TIME, MarketDriver
from keeper.simulation.fork import Fork
from keeper.simulation.keeper_process import KeeperProcess
from keeper.simulation.observer import Observer
from keeper.simulation.path import HOUR, START_VOLS, MarketPath, MarketStep, quiet
from keeper.simulation.record import DemoRecord

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_ETH = 0
_SALE_BEFORE_EXPIRY = 31 * HOUR  # at least a day, which is the shortest tenor that the vault sells
_SALE_BEFORE_PATH = 22 * HOUR
_QUIET_POST_EVERY = 6  # steps of the quiet day between posts of the surface
_POST_SECONDS = 1800  # between posts on the path; each step when they are farther apart
_POST_TRIES = 6
_GAS_MONEY = 100 * 10**18
_EDGE = 0.01  # what the vault asks above its own mark
_DEPOSITS = {"first depositor": 600_000, "second depositor": 400_000}
_TAKER_USDC = 200_000

# What takers buy: call or put, which of the two expiries, strike in standard deviations from spot (so that gamma fits
# its band whatever the time to expiry), units, who.
_TRADES = (
    (True, 0, 1.50, 40.0, "first taker"),
    (False, 0, -1.57, 40.0, "second taker"),
    (False, 0, -3.20, 40.0, "first taker"),
    (True, 1, 1.15, 45.0, "second taker"),
    (False, 1, -1.27, 45.0, "first taker"),
    (False, 1, -1.96, 45.0, "second taker"),
)


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the market does, and where everything goes."""

    path: MarketPath
    folder: Path


def run_demo(settings: DemoSettings, progress: Callable[[str, float], None]) -> DemoRecord:
    """Run the story on a fresh fork.

    Args:
        progress: Called with what is going on and the share of the story that is done.

    Raises:
        ConfigError: the folder cannot be used.
        KeelError: a part of the story could not be carried out; what there is stays in the folder.
    """
    _prepare(settings.folder)
    began = time.monotonic()
    progress("forking mainnet", 0.0)
    with Fork() as fork:
        story = _Story(settings, fork, progress)
        story.open()
        with story.keeper:
            story.hedge()
            story.close()
        return story.record(time.monotonic() - began)


def _prepare(folder: Path) -> None:
    """Make the folder, try it, and remove what an earlier keeper left in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        for stale in folder.glob("keeper.*"):
            stale.unlink()
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be used: {error.strerror}.",
            kept="Nothing was started.",
            todo="Choose another one with --out.",
        ) from None


def leaving(has: int, allowed: int) -> tuple[int, str]:
    """Shares to redeem of ``has`` where the vault allows ``allowed`` now, and what there is to say about it."""
    if allowed >= has:
        return has, ""
    # The limit moves a little until the next block.
    return allowed - allowed // 1000, f"of {has / WAD:,.2f} shares what cash and margin allow; the rest stays"


class _Story:
    def __init__(self, settings: DemoSettings, fork: Fork, progress: Callable[[str, float], None]) -> None:
        self.path, self.folder, self.fork, self.progress = settings.path, settings.folder, fork, progress
        self.market = MarketDriver(fork.w3)
        self.accounts: dict[str, LocalAccount] = {}
        self.names: dict[str, str] = {}  # of the accounts, by address
        self.bought: list[tuple[Series, str]] = []
        self._collected = 0  # block up to which the journal has been read

    # ------------------------------------------------------------------ the day before

    def open(self) -> None:
        """Deploy, deposit, post the surface, list and sell."""
        now = self.market.timestamp()
        self.prices = {symbol: self.market.feed_price(symbol) for symbol in UNDERLYINGS}
        ahead = max(_SALE_BEFORE_EXPIRY, self.path.first_expiry + _SALE_BEFORE_PATH)
        first = next_expiry(now + ahead)
        self.expiries = (first, next_expiry(first))
        self.path_from = first - self.path.first_expiry
        self.market.step(self.prices, timestamp=first - ahead, base_fee=10**9)

        self.progress("deploying the contracts", 0.01)
        self.deployment = self._deploy()
        manifest = save(self.deployment, self.folder / "deployment.json")
        connection = Connection(self.fork.url)
        self.ledger = Ledger(self.fork.w3, self.deployment)
        self.observer = Observer(connection, self.deployment, self._account("keeper").address, self.ledger, self.names)
        self.keeper = KeeperProcess(self.folder, self.fork.url, manifest, self._account("keeper"))

        self.progress("depositing", 0.02)
        for who, amount in _DEPOSITS.items():
            self.market.fund_usdc(self._account(who).address, amount * USDC)
            deposit(self._sender(who), self.deployment, amount * USDC)
        for expiry in self.expiries:
            post_vol(self._sender("vol_poster"), self.deployment, _ETH, expiry, self.path.vols[_ETH])
        self.progress("selling options", 0.03)
        for is_call, expiry, deviations, size, taker in _TRADES:
            self._sell(is_call, self.expiries[expiry], deviations, size, taker)

    def _deploy(self) -> Deployment:
        roles = ("guardian", "keeper", "quoter", "vol_poster")
        keys = Keys(**{role: self._account(role).address for role in roles})
        return deploy(self._sender("governor"), MAINNET, keys)

    def _sell(self, is_call: bool, expiry: int, deviations: float, size: float, taker: str) -> None:
        vol, price = self.path.vols[_ETH], self.prices[UNDERLYINGS[_ETH]]
        deviation = vol * math.sqrt((expiry - self.market.timestamp()) / YEAR)
        strike = round(price * math.exp(deviations * deviation) / 50) * 50
        size = round(size * min(vol / START_VOLS[_ETH], 1.0), 1)  # gamma is the larger the calmer the market
        series = list_series(self._sender("keeper"), self.deployment, _ETH, is_call, expiry, strike)
        quoter = self._account("quoter")
        address = self._account(taker).address
        if not usdc_of(self.fork.w3, self.deployment).functions.balanceOf(address).call():
            self.market.fund_usdc(address, _TAKER_USDC * USDC)
        signed = make_quote(self.fork.w3, self.deployment, quoter, series, size, edge=_EDGE, taker=address)
        fill(self._sender(taker), self.deployment, signed)
        self.bought.append((series, taker))

    # ------------------------------------------------------------------ the market moves, the keeper hedges

    def hedge(self) -> None:
        """The quiet day in steps of an hour at most, then the path in its own steps."""
        path, start = self.path, self.market.timestamp()
        hours = math.ceil((self.path_from - start) / HOUR)
        calm = quiet(hours, path.vols, path.seed)
        total = len(calm) + len(path.steps)
        for i, market in enumerate(calm):
            self.progress(f"a quiet day, {self._told(market)}", 0.05 + 0.9 * i / total)
            timestamp = start + (self.path_from - start) * (i + 1) // hours
            self._step(timestamp, market, post=i % _QUIET_POST_EVERY == 0)
        post_every = max(_POST_SECONDS // path.spacing, 1)
        for i, market in enumerate(path.steps):
            self.progress(self._told(market), 0.05 + 0.9 * (len(calm) + i) / total)
            self._step(self.path_from + path.spacing * (i + 1), market, post=i % post_every == 0)

    def _prices(self, market: MarketStep) -> dict[str, float]:
        """In USD, by symbol."""
        return {
            symbol: start * share for (symbol, start), share in zip(self.prices.items(), market.prices, strict=True)
        }

    def _told(self, market: MarketStep) -> str:
        return ", ".join(f"{symbol} at {price:,.0f} USD" for symbol, price in self._prices(market).items())

    def _step(self, timestamp: int, market: MarketStep, post: bool) -> None:
        """One step: the prices move at once, and have been there for a while when the keeper looks."""
        moves_at = self.market.timestamp() + BLOCK_TIME
        quiet_seconds = max(timestamp - moves_at, 1)
        step = self.market.step(self._prices(market), timestamp=moves_at, base_fee=market.base_fee, quiet=quiet_seconds)
        self.observer.market_moved(self.fork.w3.eth.get_block(step.block_number)["hash"].to_0x_hex())
        record = self._let_keeper_act()
        self._claim_what_is_settled()
        if post:
            self._post_surface(market.vols[_ETH])
        self.observer.keeper_acted(market.vols, record.decision)

    def _let_keeper_act(self) -> Record:
        """Wait until the keeper has decided on the newest block, its own transactions' blocks included."""
        first = seen = self.fork.w3.eth.block_number
        self.keeper.wait_for(first)
        while seen != (head := self.fork.w3.eth.block_number):
            self.keeper.wait_for(head)
            seen = head
        self.ledger.collect(self.keeper.journal, self._collected)
        self._collected = seen
        # Where a settlement was due, the first hedging decision is on the block after it.
        return next(record for record in self.keeper.journal.decisions(first) if record.kind is Kind.HEDGE)

    def _claim_what_is_settled(self) -> None:
        book = bind(self.fork.w3, self.deployment, "OptionBook").functions
        for series, holder in list(self.bought):
            done, _ = book.settlement(series.id).call()
            if done:
                self.bought.remove((series, holder))
                claim(self._sender(holder), self.deployment, series)
                self._let_keeper_act()

    def _post_surface(self, vol: float) -> None:
        """Post the market's volatility for each live expiry, as near to it as the oracle's speed limit lets."""
        oracle = bind(self.fork.w3, self.deployment, "VolOracle").functions
        now = self.market.timestamp()
        for expiry in self.expiries:
            if expiry <= now + HOUR:
                continue
            target = vol
            for _ in range(_POST_TRIES):
                try:
                    post_vol(self._sender("vol_poster"), self.deployment, _ETH, expiry, target)
                    self._let_keeper_act()
                    break
                except KeelError:
                    posted = from_wad(oracle.vol(_ETH, expiry, 0).call())
                    target = posted + (target - posted) / 2

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """One depositor leaves, with everything unless margin or cash holds some of it back."""
        self.progress("redeeming", 0.96)
        who = "second depositor"
        has = self._shares(who)
        vault = bind(self.fork.w3, self.deployment, "Vault").functions
        shares, note = leaving(has, vault.maxRedeem(self._account(who).address).call())
        if shares:
            redeem(self._sender(who), self.deployment, shares)
        record = self._let_keeper_act()
        self.observer.look(note=note)
        self.observer.keeper_acted(self.path.steps[-1].vols, record.decision)

    def record(self, seconds: float) -> DemoRecord:
        """Check the books and put everything together."""
        self.progress("checking the books", 0.98)
        snapshot, chronicle = self.observer.read(), self.observer.chronicle
        return DemoRecord(
            market=self.path.title,
            seed=self.path.seed,
            hours=self.path.hours,
            seconds=seconds,
            crash_from=self.path_from,
            underlyings=UNDERLYINGS[: len(snapshot.readings)],
            steps=tuple(self.observer.steps),
            trades=tuple(self.ledger.trades),
            fills=tuple(chronicle.fills),
            settlements=tuple(chronicle.settlements),
            flows=tuple(chronicle.flows),
            redemptions=tuple(chronicle.redemptions),
            checks=checks(
                self.fork.w3,
                self.deployment,
                snapshot,
                chronicle,
                self.ledger,
                depositors=[self._account(who).address for who in _DEPOSITS],
                holders=[self._account(who).address for who in {taker for *_, taker in _TRADES}],
            ),
        )

    # ------------------------------------------------------------------ people

    def _account(self, who: str) -> LocalAccount:
        """The same account for a name in every run, with money for gas."""
        if who not in self.accounts:
            account: LocalAccount = Account.from_key(hashlib.sha256(f"keel demo: {who}".encode()).digest())
            self.market.fund_eth(account.address, _GAS_MONEY)
            self.accounts[who], self.names[account.address] = account, who
        return self.accounts[who]

    def _sender(self, who: str) -> Sender:
        return Sender(self.fork.w3, self._account(who))

    def _shares(self, who: str) -> int:
        vault = bind(self.fork.w3, self.deployment, "Vault").functions
        shares: int = vault.balanceOf(self._account(who).address).call()
        return shares
