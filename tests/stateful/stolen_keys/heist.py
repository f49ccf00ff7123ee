"""A thief with the keys of keeper, quoter and vol poster, and what everything that he does costs the depositors.

He has all the money he wants, moves the pools as he likes, and chooses what the market does inside the published
conditions: Chainlink anywhere within 0.5 % of it at any second, volatility within a range of 10 points, of which a
point of carry takes one. He is taker, maker, depositor, arbitrageur and whoever may act in the keeper's place, too.

What is counted. The honest depositors' wealth is their part of the vault's true worth (truth.py). An action costs them
what their wealth falls by while the market stands still: what the market does to an open position is a fair game, for
nobody knows where it goes. Time costs them the venues' interest.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from boa.contracts.base_evm_contract import BoaError

from keeper.domain.series import Position, Series
from tests.contracts.chain import DAY, USDC, WAD, account, events, reason
from tests.contracts.protocol import ETH, SHORT, SPOT, Leg, Protocol, wad
from tests.stateful.stolen_keys.truth import Truth

FEED_ERROR = 0.005  # Chainlink's largest distance from the market
VOL_MOVE = 0.10  # the ranges of the true volatility and carry within the 24 hours together,
CARRY_MOVE = 0.05  # and that of carry alone
NO_WORSE, WORST = 0.0, 0.0074  # a leg's price from Chainlink's: fair by the oracle, and just within `leg_slippage`
SURFACE_AGE = 7_000  # seconds after which he posts a slice again: fills need one of the last two hours

_HALF_SPREAD = 0.02
_PLENTY_OF_ETHER = 10**6 * WAD
_POOL_FEE, _DEEP_FEE = 0.0005, 0.003
_MARGINS = (0.00005, 0.0004, 0.0015)  # for the vault's own impact on the pool
_SHRINK, _TRIES = 0.5, 5  # how a refused size is cut
_SMALLEST_LEG = 0.01  # units

RECORDED, AWAY, TOWARDS, OPTIONS, SHARES, CARRY = "recorded", "away", "towards", "options", "shares", "carry"
CHANNELS = (RECORDED, AWAY, TOWARDS, OPTIONS, SHARES, CARRY)
THIEF = account("thief")
Price = Literal["mark", "middle", "gift"]


class Seen(NamedTuple):
    """What the budgets see of legs: their loss, and what of them goes away from neutral, USDC."""

    loss: float
    away: float


@dataclass
class Heist:
    """24 hours. ``losses`` are USDC by channel, ``nav`` the true worth of the vault when the keys were stolen,
    ``posted`` the thief's surface: volatility, carry and half-spread by expiry, ``smiles`` its rho and phi.

    ``victims`` hold the honest shares; ``volatility`` is the market's and the posted one at the theft, at every strike.
    """

    protocol: Protocol
    volatility: float = 0.6
    victims: tuple[str, ...] = ()
    losses: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    last_refusal: str = ""
    smiles: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.market = self.protocol.market
        self.victims = self.victims or (self.protocol.depositor,)
        self.truth = Truth(spots=[self.market.price, 90_000.0], at_theft=[self.volatility] * 2, smiles=self.smiles)
        self.ranges = {"volatility": (0.0, 0.0), "carry": (0.0, 0.0)}
        self.error = 0.0
        self.started = self.market.now
        self.posted: dict[int, tuple[float, float, float]] = {}
        self.smiles = dict(self.truth.smiles)
        self.posted_at: dict[int, int] = {}
        for expiry in self.protocol.vol_oracle.expiries(ETH):
            if expiry > self.started:
                self.posted[expiry] = (self.volatility, 0.0, _HALF_SPREAD)
        vault, book = self.protocol.vault, self.protocol.book
        self.market.mint(THIEF, 10**12 * USDC)
        self.market.wrap(THIEF, _PLENTY_OF_ETHER)
        for spender in (vault, book, self.protocol.clearing):
            for token in (self.market.usdc, self.market.weth):
                token.approve(spender, 2**256 - 1, sender=THIEF)
        vault.approve(self.protocol.queue, 2**256 - 1, sender=THIEF)
        self.nav = self.truth.nav(self.protocol)

    # ------------------------------------------------------------------ accounts

    @property
    def spot(self) -> float:
        """The market's price of ETH."""
        return self.truth.spots[ETH]

    @property
    def oracle(self) -> float:
        """Chainlink's."""
        return self.spot * (1 + self.error)

    @property
    def thief(self) -> str:
        return THIEF

    @property
    def lost(self) -> float:
        """Share of NAV that the honest have lost so far."""
        return sum(self.losses.values()) / self.nav

    @property
    def by_channel(self) -> dict[str, float]:
        """Shares of NAV."""
        return {channel: self.losses[channel] / self.nav for channel in CHANNELS}

    @property
    def is_over(self) -> bool:
        return self.market.now >= self.started + DAY

    def posted_volatility(self) -> float:
        """What new expiries are posted at: like those that are there."""
        return next((vol for vol, _, _ in self.posted.values()), self.volatility)

    def live(self) -> list[Series]:
        return [Position.from_slot(int(slot)).series for slot in self.protocol.book.live_book()]

    def wealth_of(self, people: tuple[str, ...]) -> float:
        """What these people's shares, requests and claimable USDC are really worth, USDC."""
        vault, queue = self.protocol.vault, self.protocol.queue
        shares = paid = 0
        for who in people:
            shares += vault.balanceOf(who) + queue.pendingRedeemRequest(0, who)
            paid += queue.maxWithdraw(who)
        supply = vault.totalSupply()
        return paid / USDC + (self.truth.nav(self.protocol) * shares / supply if supply else 0.0)

    def honest(self) -> float:
        return self.wealth_of(self.victims)

    def attempt(self, act: Callable[[], Any]) -> bool:
        """False when the contracts refuse it; then nothing has happened."""
        try:
            act()
        except BoaError as error:
            self.last_refusal = str(reason(error))
            self.refusals[self.last_refusal] += 1
            return False
        return True

    def _charge(self, channel: str, act: Callable[[], Any]) -> bool:
        before = self.honest()
        if not self.attempt(act):
            return False
        self.losses[channel] += before - self.honest()
        self.done[channel] += 1
        return True

    def largest(self, size: float, act: Callable[[float], bool]) -> float:
        """The largest size not refused, among a few between ``size`` and a sixteenth of it; 0 when all are."""
        for _ in range(_TRIES):
            if act(size):
                return size
            size *= _SHRINK
        return 0.0

    # ------------------------------------------------------------------ what the market does

    def stops(self, count: int) -> Iterator[int]:
        """``count`` moments, the last at the end of the day."""
        for stop in range(count):
            self.wait(self.started + DAY * stop // max(count - 1, 1) - self.market.now)
            yield stop

    def wait(self, seconds: int, pool_at: float | None = None) -> None:
        """Time passes until the day is over, and the venues' interest with it; the feeds go on. He may hold the pool at
        another price than the market's meanwhile, and so move the TWAP: what that costs him is not counted.
        """
        seconds = min(seconds, self.started + DAY - self.market.now)
        if seconds <= 0:
            return
        if pool_at is not None:
            self.market.push_pool(pool_at)
        before = self.truth.venues(self.protocol)
        self.market.pass_time(seconds)
        self.losses[CARRY] += before - self.truth.venues(self.protocol)
        self.market.submit_usdc()
        self.market.submit_btc(self.truth.spots[1])
        self.market.push_pool(self.spot)
        self.feed(self.error)

    def feed(self, error: float) -> None:
        """Chainlink's distance from the market, at most 0.5 %."""
        self.error = max(-FEED_ERROR, min(FEED_ERROR, error))
        self.market.submit(self.oracle)

    def true_volatility(self, shift: float) -> bool:
        """The market's volatility, as far as the published 10 points allow. False when it could not move."""
        was, self.truth.shift = self.truth.shift, self._allowed("volatility", shift, VOL_MOVE - self._width("carry"))
        return self.truth.shift != was

    def true_carry(self, carry: float) -> bool:
        """The carry of the market's forwards, the same. What volatility has moved it cannot move."""
        room = min(CARRY_MOVE, VOL_MOVE - self._width("volatility"))
        was, self.truth.carry = self.truth.carry, self._allowed("carry", carry, room)
        return self.truth.carry != was

    def _width(self, what: str) -> float:
        low, high = self.ranges[what]
        return high - low

    def _allowed(self, what: str, value: float, widest: float) -> float:
        low, high = self.ranges[what]
        value = max(high - widest, min(low + widest, value))
        self.ranges[what] = (min(low, value), max(high, value))
        return value

    def true_spot(self, price: float) -> None:
        """The market moves, arbitrage takes the pool along; Chainlink stays as far from it as it was."""
        self.truth.spots[ETH] = price
        for pool in (self.market.pool, self.market.deep_pool):
            self.market.push_pool(price, pool)
        self.feed(self.error)

    # ------------------------------------------------------------------ the keeper's key

    def delta(self) -> float:
        """Net delta by the contracts' marks, units."""
        return float(self.protocol.vault.assessment().delta[ETH]) / WAD

    def rebalance(self, *legs: Leg) -> Seen:
        self.protocol.rebalance(*legs)
        (total,) = events(self.protocol.hedger, "Rebalanced")
        return Seen(total.loss / WAD, total.turnover / WAD)

    def trade(self, venue: int, units: float, slippage: float, act: Callable[[Leg], Seen] | None = None) -> bool:
        """One leg in a pool that the thief has pushed: it trades at ``slippage`` beyond Chainlink's price; then he puts
        the pool back to the market's. ``act`` does it, by default as the keeper, and returns what the budgets see.
        """
        if abs(units) < _SMALLEST_LEG:
            return False
        sign = 1 if units > 0 else -1
        price = self.oracle * (1 + sign * slippage)
        before = self.honest()
        seen: list[Seen] = []
        for margin in _MARGINS:
            self.market.push_pool(price * (1 - sign * (_POOL_FEE + margin)))
            traded = self.attempt(lambda: seen.append((act or self.rebalance)(Leg(venue, 0, wad(units), wad(price)))))
            self.market.push_pool(self.spot)
            if traded:
                self._book(before - self.honest(), *seen)
                return True
            if self.last_refusal != "venue: limit price":
                return False
        return False

    def _book(self, lost: float, seen: Seen) -> None:
        """What the budgets have seen is one channel; the rest was hidden by the oracle."""
        recorded = min(max(lost, 0.0), seen.loss)
        away = min(max(lost - recorded, 0.0), seen.away * FEED_ERROR)
        self.losses[RECORDED] += recorded
        self.losses[AWAY] += away
        self.losses[TOWARDS] += lost - recorded - away
        self.done["leg"] += 1

    def round_trip(self, units: float, slippage: float) -> bool:
        """Buy dear in one pool and sell cheap in the other, in one call: delta never leaves its band."""
        dear, cheap = self.oracle * (1 + slippage), self.oracle * (1 - slippage)
        before = self.honest()
        self.market.push_pool(dear * (1 - _POOL_FEE - _MARGINS[-1]))
        self.market.push_pool(cheap * (1 + _DEEP_FEE + _MARGINS[-1]), self.market.deep_pool)
        there, back = Leg(SPOT, 0, wad(units), wad(dear)), Leg(SPOT, 1, -wad(units), wad(cheap))
        seen: list[Seen] = []
        traded = self.attempt(lambda: seen.append(self.rebalance(there, back)))
        for pool in (self.market.pool, self.market.deep_pool):
            self.market.push_pool(self.spot, pool)
        if traded:
            self._book(before - self.honest(), *seen)
        return traded

    def open(self, units: float, slippage: float) -> float:
        """Trade away from neutral, as much of ``units`` as is let through."""
        venue = SPOT if units > 0 else SHORT
        return self.largest(units, lambda size: self.trade(venue, size, slippage))

    def neutralise(self, slippage: float) -> float:
        """Trade the whole net delta away with Chainlink on the wrong side of the market. Returns the units traded."""
        delta = self.delta()
        buys = delta < 0
        self.feed(FEED_ERROR if buys else -FEED_ERROR)
        left, traded = -self.delta(), 0.0
        for venue, most in self.reductions(buys):
            size = max(-most, min(most, left))
            done = self.largest(size, lambda size, venue=venue: self.trade(venue, size, slippage))
            traded += done
            left -= done
        return traded

    def reductions(self, buys: bool) -> list[tuple[int, float]]:
        """Venues in the order in which he uses them and what each can trade: positions are closed first."""
        held = self.protocol.spot.held() / WAD
        owed = -self.protocol.short.state(wad(self.spot)).exposure / WAD
        if buys:
            return [(SHORT, owed * 0.9999), (SPOT, 1e9)]
        return [(SPOT, held), (SHORT, 1e9)]

    def list_series(self, strike: float, is_call: bool, expiry: int) -> bool:
        return self.attempt(lambda: self.protocol.list_series(strike, is_call, expiry))

    # ------------------------------------------------------------------ the vol poster's key

    def post(
        self,
        expiry: int,
        vol: float,
        carry: float = 0.0,
        half_spread: float = 0.02,
        smile: tuple[float, float] | None = None,
    ) -> bool:
        """A slice with any rho and phi; by default those that are there."""
        rho, phi = smile or self.smiles.get(expiry, (0.0, 0.0))
        shape = {"carry": carry, "half_spread": half_spread, "rho": rho, "phi": phi}
        if not self.attempt(lambda: self.protocol.post_slice(expiry, vol=vol, **shape)):
            return False
        self.posted[expiry] = (vol, carry, half_spread)
        self.smiles[expiry] = (rho, phi)
        self.posted_at[expiry] = self.market.now
        return True

    def _refresh(self, expiry: int) -> None:
        """Post the same slice again when it is too old for fills and deposits, and exits would be paid less."""
        if self.market.now - self.posted_at.get(expiry, 0) > SURFACE_AGE:
            self.post(expiry, *self.posted[expiry])

    def _refresh_all(self) -> None:
        for expiry in self.posted:
            if expiry > self.market.now:
                self._refresh(expiry)

    # ------------------------------------------------------------------ the quoter's key

    def fill(
        self, series: Series, units: float, vault_sells: bool, price: Price = "mark", writes: bool = False
    ) -> float:
        """As much as is let through of a quote to himself, with Chainlink where that is best for him. Returns units.

        The price is the mark that bounds it; the "middle", which a purchase that reduces risk may cost; or a "gift".
        What the vault buys he sells back, or ``writes`` anew against collateral.
        """
        self._refresh(series.expiry)
        self.feed(self._best_feed(lambda: self._edge(series, vault_sells)))

        def act(size: float) -> bool:
            marks = self.protocol.pricer.marks(series.id)
            asked = self._asked(marks, vault_sells, price)
            above_bid = 0.0 if vault_sells else max(asked - marks.bid, 0) / WAD * size

            def call() -> None:
                quote = self.protocol.quote(series.id, vault_sells, price=asked, size=wad(size), taker=THIEF)
                if writes:
                    signature = self.protocol.sign(quote)
                    signer = self.protocol.quoter.address
                    self.protocol.book.write(quote, quote.size, signer, signature, sender=THIEF)
                else:
                    self.protocol.fill(quote, taker=THIEF)

            if not self._charge(OPTIONS, call):
                return False
            self.losses[OPTIONS] -= above_bid  # the loss bucket has seen it
            self.losses[RECORDED] += above_bid
            return True

        if price == "gift":
            return units if act(units) else 0.0
        return self.largest(units, act)

    @staticmethod
    def _asked(marks: Any, vault_sells: bool, price: Price) -> int:
        if price == "gift":
            return WAD if vault_sells else 2 * int(marks.mid)
        if price == "middle":
            return int(max(marks.bid, marks.mid))
        return int(marks.ask if vault_sells else marks.bid)

    def held(self, series: Series) -> float:
        """Option tokens of the thief."""
        return float(self.protocol.token.balanceOf(THIEF, series.id)) / WAD

    def _edge(self, series: Series, vault_sells: bool) -> float:
        marks = self.protocol.pricer.marks(series.id)
        worth = self.truth.option(series, self.market.now)
        return worth - marks.ask / WAD if vault_sells else marks.bid / WAD - worth

    def _best_feed(self, edge: Callable[[], float]) -> float:
        def at(error: float) -> float:
            self.feed(error)
            return edge()

        return max((-FEED_ERROR, 0.0, FEED_ERROR), key=at)

    # ------------------------------------------------------------------ shares

    def deposit(self, usdc: float) -> float:
        """As much as is let through, while Chainlink makes the shares cheapest."""

        def cheapness() -> float:
            return -float(self.protocol.vault.assessment().nav_ask)

        self._refresh_all()
        self.feed(self._best_feed(cheapness))
        return self.largest(usdc, lambda size: self._charge(SHARES, lambda: self._deposit(size)))

    def _deposit(self, usdc: float) -> None:
        self.protocol.vault.deposit(int(usdc * USDC), THIEF, sender=THIEF)

    def redeem(self, part: float) -> float:
        """As much as is let through of a part of his shares, while Chainlink makes them dearest."""
        self._refresh_all()
        self.feed(self._best_feed(lambda: float(self.protocol.vault.assessment().nav_bid)))
        shares = self.protocol.vault.balanceOf(THIEF) * part
        if shares == 0:
            return 0.0
        return self.largest(shares, lambda size: self._charge(SHARES, lambda: self._redeem(int(size))))

    def _redeem(self, shares: int) -> None:
        self.protocol.vault.redeem(shares, THIEF, THIEF, sender=THIEF)

    def request(self, part: float) -> bool:
        """Queue a part of his shares."""
        shares = int(self.protocol.vault.balanceOf(THIEF) * part)
        return self.attempt(lambda: self.protocol.queue.requestRedeem(shares, THIEF, THIEF, sender=THIEF))

    def settle_queue(self) -> bool:
        """While Chainlink makes the queue's shares dearest."""
        self._refresh_all()
        self.feed(self._best_feed(lambda: float(self.protocol.vault.assessment().nav_bid)))
        return self._charge(SHARES, lambda: self.protocol.queue.settle_epoch(sender=THIEF))
