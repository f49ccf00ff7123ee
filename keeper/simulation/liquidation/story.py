"""A keeper that is dead, a price that gaps, and strangers who bring the vault back: on a fork with real venues.

With the default limits no gap of 50 % takes a vault below maintenance margin. So the limits of this one are wide, but
for its target band of delta: takers buy until margin, gap solvency or hedge capacity stops them, depositors leave by
the queue until initial margin stops them, and nobody hedges. Then the price gaps until equity is 0.9 of maintenance
margin. From there on only strangers act, with what `keel derisk` and `keel auction` call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eth_account import Account
from web3 import Web3

from keeper.chain.address_book import address_book
from keeper.chain.rpc import Connection
from keeper.chain.sender import Sender
from keeper.domain.series import Position, Series, next_expiry
from keeper.domain.units import DAY, USDC, WAD
from keeper.errors import KeelError
from keeper.operations import liquidation, queue
from keeper.operations.contracts import bind
from keeper.operations.deploy import deploy
from keeper.operations.options import fill, list_series, post_vol
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from keeper.operations.vault import deposit
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fixed_quotes import quote_off_the_mark

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from keeper.chain.deployments import Deployment

START: Final = 3_000.0
GAPS: Final = {"puts": -1, "calls": 1, "mixed": -1}  # the book and which way the price gaps
MINUTE: Final = 60
_VOL: Final = 0.6
_DEPOSIT: Final = 1_000_000 * USDC
_LOT: Final = 25.0  # units of a purchase
_MOST: Final = 80  # purchases
_HEALTH: Final = 0.9
_RESERVE: Final = 0.4  # of the highest premium: what holders wait for
_CONFIRM: Final = 9  # minutes
_LONGEST: Final = 55  # minutes
_WIDE: Final = Parameters(  # everything but the target band of delta, which is what strangers aim at
    liquidity_buffer=0.0,  # with the next, what bounds puts by the capacity to hedge them
    health_floor=1.1,
    health_target=1.4,
    delta_hard=100.0,
    gamma_band=100.0,
    vega_band=100.0,
    notional_total=100.0,
    notional_expiry=100.0,
    notional_series=100.0,
    gross_leverage=100.0,
    vega_capacity=1_000.0,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """The vault in a minute: health is equity / maintenance margin, delta a share of maintenance margin."""

    minute: int
    health: float
    delta: float
    equity: float
    maintenance: float
    spot: float


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did in a minute: ``record``, ``de_risk``, ``open`` or ``bid``; ``paid`` is USDC to who did it."""

    minute: int
    kind: str
    paid: float = 0.0


@dataclass(frozen=True, slots=True)
class Story:
    """One book from the gap to its target."""

    book: str
    gap: float
    moments: tuple[Moment, ...]
    acts: tuple[Act, ...]


class Stage:
    """A deployed vault with wide limits on a fork, deposits and nothing else; its keeper never lives."""

    def __init__(self, w3: Web3, url: str) -> None:
        self.w3, self.connection, self.market = w3, Connection(url), MarketDriver(w3)
        for who in ("governor", "guardian", "keeper", "quoter", "vol poster", "depositor", "taker", "stranger"):
            self.market.fund_eth(_account(who).address, 100 * 10**18)
        for _ in range(3):
            self.market.step({"ETH": START}, timestamp=self.market.timestamp() + 150)
        roles = ("guardian", "keeper", "quoter", "vol poster")
        keys = Keys(*(_account(who).address for who in roles))
        self.market.fund_usdc(_account("governor").address, SEED)
        self.deployment: Deployment = deploy(self.sender("governor"), address_book(1), keys, _WIDE)
        self.market.fund_usdc(_account("depositor").address, _DEPOSIT)
        deposit(self.sender("depositor"), self.deployment, _DEPOSIT)

    def sender(self, who: str) -> Sender:
        """Signs and sends for a person."""
        return Sender(self.w3, _account(who))

    def step(self, price: float, seconds: int = MINUTE) -> None:
        """The market goes on: a price, a block later."""
        self.market.step(price, timestamp=self.market.timestamp() + seconds)

    def moment(self, minute: int) -> Moment:
        """The vault now."""
        a = bind(self.w3, self.deployment, "Vault").functions.assessment().call()
        nav_mid, maintenance, spot, delta = a[1], a[3], a[8][0], a[10][0]
        exposure = delta * spot / WAD / maintenance if maintenance else 0.0
        return Moment(minute, nav_mid / maintenance, exposure, nav_mid / WAD, maintenance / WAD, spot / WAD)

    def sell_out(self, series: tuple[Series, ...]) -> None:
        """The taker buys in turn until the vault refuses."""
        for number in range(_MOST):
            quote = quote_off_the_mark(
                self.w3,
                self.deployment,
                _account("quoter"),
                series[number % len(series)],
                _LOT,
                edge=0.01,
                nonce=number,
            )
            self.market.fund_usdc(_account("taker").address, quote.quote.price * quote.quote.size // 10**30 + 1)
            try:
                fill(self.sender("taker"), self.deployment, quote)
            except KeelError:
                return
        raise AssertionError("the vault has never refused")

    def open_series(self, is_call: bool, strike: int) -> Series:
        """A series of two to three weeks with a fresh slice."""
        expiry = next_expiry(self.market.timestamp() + 14 * DAY)
        post_vol(self.sender("vol poster"), self.deployment, 0, expiry, _VOL)
        return list_series(self.sender("keeper"), self.deployment, 0, is_call, expiry, strike)

    def leave(self) -> None:
        """The depositor asks for all his shares, and is paid what initial margin allows."""
        leaver = self.sender("depositor")
        shares = bind(self.w3, self.deployment, "Vault").functions.balanceOf(leaver.address).call()
        queue.request_redeem(leaver, self.deployment, shares)
        self.step(START, queue.read_queue(self.w3, self.deployment).closes_at + MINUTE - self.market.timestamp())
        queue.settle_epoch(self.sender("stranger"), self.deployment)

    def gap_to(self, health: float, direction: int) -> float:
        """The price gaps, found by bisection, until equity is `health` of maintenance margin. Returns the gap."""
        low, high = 0.0, 0.6
        for _ in range(9):
            middle = (low + high) / 2
            kept = self.market.rpc.call("evm_snapshot")
            self.step(START * (1 + direction * middle), 12)
            low, high = (middle, high) if self.moment(0).health > health else (low, middle)
            self.market.rpc.call("evm_revert", kept)
        self.step(START * (1 + direction * high), 12)
        return direction * high


def tell(stage: Stage, book: str, progress: Callable[[str], None] = lambda _: None) -> Story:
    """One book, from its sale until nothing is in breach of margin any more.

    Raises:
        AssertionError: it has not come to its target in four hours.
    """
    wanted = {"puts": ((False, 2_900),), "calls": ((True, 3_100),), "mixed": ((False, 2_900), (True, 3_100))}[book]
    series = tuple(stage.open_series(is_call, strike) for is_call, strike in wanted)
    stage.sell_out(series)
    stage.leave()
    gap = stage.gap_to(_HEALTH, GAPS[book])
    price = START * (1 + gap)
    moments, acts = [stage.moment(0)], []
    progress(f"{book}: ETH gaps by {gap:+.1%}, equity is {moments[0].health:.3f} of maintenance margin")
    for minute in range(1, _LONGEST):
        acts += _act(stage, minute)
        stage.step(price)
        moments.append(stage.moment(minute))
        if moments[-1].health > 1.25:
            progress(f"{book}: {moments[-1].health:.3f} after {minute} minutes")
            return Story(book, gap, tuple(moments), tuple(acts))
    raise AssertionError(f"{book}: {moments[-1].health:.3f} after {_LONGEST} minutes")


def _act(stage: Stage, minute: int) -> list[Act]:
    """What strangers do in a minute: whatever the contracts let them."""
    stranger, deployment = stage.sender("stranger"), stage.deployment
    acts: list[Act] = []
    if minute % _CONFIRM == 1:
        liquidation.record_breach(stranger, deployment)
        acts.append(Act(minute, "record"))
    safety = liquidation.read_safety(stage.w3, deployment)
    if safety.opens_at is not None and safety.time >= safety.opens_at:
        try:
            receipt = liquidation.de_risk(stranger, stage.connection, deployment)
            acts.append(Act(minute, "de_risk", _paid(stage, receipt, "Hedger", "DeRisked", "bounty")))
        except KeelError:
            pass  # the emergency bucket is empty, or delta is gone
    if safety.auction_since is None:
        try:
            liquidation.open_auction(stranger, deployment)
            acts.append(Act(minute, "open"))
        except KeelError:
            pass  # not yet
    elif safety.premium >= _RESERVE:
        paid = _bid(stage)
        acts += [Act(minute, "bid", paid)] if paid else []
    return acts


def _bid(stage: Stage) -> float:
    """The holder sells what the vault is short of most, as much as one bid may take. Returns USDC."""
    book = bind(stage.w3, stage.deployment, "OptionBook").functions.live_book().call()
    spot = stage.moment(0).spot
    positions = sorted(map(Position.from_slot, book), key=lambda position: _intrinsic(position, spot), reverse=True)
    for position in positions:
        size = -position.size_wad // 4
        for _ in range(5):
            try:
                receipt = liquidation.bid(
                    stage.sender("taker"), stage.connection, stage.deployment, position.series, size // 10**12 * 10**12
                )
            except KeelError:
                size = size * 2 // 3
                continue
            return _paid(stage, receipt, "BuybackAuction", "BidTaken", "price")
    return 0.0


def _intrinsic(position: Position, spot: float) -> float:
    series = position.series
    return (spot - series.strike) * (1 if series.is_call else -1)


def _paid(stage: Stage, receipt: Mapping[str, object], contract: str, event: str, field: str) -> float:
    from web3.logs import DISCARD

    logs = bind(stage.w3, stage.deployment, contract).events[event]().process_receipt(receipt, errors=DISCARD)
    return float(sum(log["args"][field] for log in logs)) / USDC


def _account(who: str) -> LocalAccount:
    account: LocalAccount = Account.from_key(Web3.keccak(text=f"keel liquidation: {who}"))
    return account
