"""One vault with everybody around it, and what must hold after each of their transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import boa

from tests.contracts.chain import HOUR, USDC, WAD, account, reverts
from tests.contracts.protocol import Protocol, wad
from tests.stateful.protocol.books import SIDES, Auditor, Ghost, problems
from tests.stateful.protocol.campaign import Rule
from tests.stateful.protocol.underlyings import Underlying, underlyings_of
from tests.stateful.success import SuccessRates

DEPOSITORS = [account(f"depositor {number}") for number in range(3)]
TAKERS = [account(f"taker {number}") for number in range(2)]
RECIPIENT = account("recipient of fees")
AAVE_ROUNDS = 3  # units of USDC


class Terms(NamedTuple):
    """Of a series."""

    underlying: Underlying
    strike: int
    is_call: bool
    expiry: int


class World:
    """``books`` is what the last transaction left behind; ``before`` what it found."""

    rules: list[Rule]

    def __init__(self, protocol: Protocol, auditor: Auditor, rates: SuccessRates) -> None:
        self.p, self.auditor, self.rates = protocol, auditor, rates
        self.vault, self.queue, self.book, self.hedger = protocol.vault, protocol.queue, protocol.book, protocol.hedger
        self.ghost, self.calls = Ghost(), 0
        self.trace: list[str] = []
        self.underlyings = underlyings_of(protocol)
        self.terms: dict[int, Terms] = {}  # by series
        self.vols: dict[tuple[int, int], float] = {}  # at the money, by underlying and expiry
        self.limits = protocol.risk.limits()
        self.losses: list[tuple[int, int]] = []  # time and loss of each rebalance, WAD share of NAV
        self.before = self.books = auditor.read([])
        self.must_hold("the beginning")

    # ------------------------------------------------------------------ transactions

    def attempt(self, name: str, call: Callable[[], Any], said: str = "", **kind: bool) -> bool:
        """Make a transaction as part of a rule, and check everything after it; ``kind`` as in `changes`."""
        self.trace.append(f"{name} {said}")
        if not self.rates.attempt(name, call):
            self.trace[-1] += f": {self.rates.last_reason}"
            return False
        self.audit(name, **kind)
        return True

    def refused(self, name: str, call: Callable[[], Any], expected: str | None) -> None:
        """A transaction that must not be possible: the rule succeeds when it is refused for this reason."""
        self.trace.append(f"{name} (must be refused)")
        self.rates.tried[name] += 1
        with reverts(expected):
            call()
        self.rates.succeeded[name] += 1

    def impossible(self, name: str, call: Callable[[], Any], broken: str) -> None:
        """A transaction that must be refused, whatever for."""
        self.rates.tried[name] += 1
        with boa.env.anchor():
            try:
                call()
            except boa.BoaError:
                self.rates.succeeded[name] += 1
                return
        raise AssertionError(f"{broken}: {name} went through")

    def audit(self, name: str, **kind: bool) -> None:
        """Read the books and check them."""
        self.before, self.books = self.books, self.auditor.read(list(self.ghost.payouts)[-64:])
        was, now = self.before.accounts.owed, self.books.accounts.owed
        if now < was:
            self.ghost.funded(was, was - now)
        self.must_hold(name)
        self.changes(name, **kind)
        self.calls += 1

    def must_hold(self, name: str) -> None:
        found = problems(self.books, self.ghost, str(self.queue.address))
        assert not found, f"after {name}: {'; '.join(found)}"

    def changes(self, name: str, market: bool = False, may_lose: bool = False, gift: bool = False) -> None:
        """What a transaction may change. ``market``: the world moved, not the vault. ``may_lose``: a trade at a price.
        ``gift``: nothing but somebody's money.
        """
        was, now = self.before, self.books
        if was.assessment is None or now.assessment is None or market:
            return
        # What has to be recalled from Aave is rounded there, once in its shares and once in USDC.
        slack = AAVE_ROUNDS if now.lent != was.lent else 0
        if was.is_healthy():
            # Exits leave exactly the initial margin; then what Aave rounds in a short's collateral is below it.
            assert now.is_healthy(AAVE_ROUNDS), f"invariant 32: {name} makes a healthy vault unhealthy"
        if gift:
            assert [now.price(side) for side in SIDES] == [was.price(side) for side in SIDES], "invariant 8: a gift"
        if may_lose or was.accounts.supply == 0 or now.accounts.supply == 0:
            return
        fallen = [side for side in SIDES if now.price(side, slack) < was.price(side)]
        if now.accounts.supply == was.accounts.supply:  # then a gain can have earned a fee, which only the bid exceeds
            fallen = [side for side in fallen if side == "bid" or now.nav(side) + slack * 10**12 < was.nav(side)]
        assert not fallen, f"invariant 7: {name} lowers {fallen}"

    # ------------------------------------------------------------------ where things are

    @property
    def now(self) -> int:
        return self.p.market.now

    @property
    def is_calm(self) -> bool:
        return self.books.is_calm

    @property
    def next_expiry(self) -> int:
        return min((self.terms[id].expiry for id in self.books.series if id in self.terms), default=2**63)

    def tradable(self) -> list[int]:
        """Live series that have more than 25 hours left."""
        return [id for id in self.books.series if self.terms[id].expiry - self.now > 25 * HOUR]

    def held(self, who: str, id: int) -> int:
        return int(self.p.token.balanceOf(who, id))

    # ------------------------------------------------------------------ steps that several rules share

    def list_series(self, draw: Random) -> None:
        """A strike near the money at one of the next expiries."""
        underlying, expiries = draw.choice(self.underlyings), self.p.expiries()
        expiry = next(when for when in expiries if when - self.now > (2 + draw.choice([0, 7])) * 86_400)
        strike = (round(underlying.price / underlying.step) + draw.randint(-3, 3)) * underlying.step
        terms = Terms(underlying, strike, draw.random() < 0.5, expiry)
        if terms in self.terms.values():
            return
        self.list_terms(terms)

    def list_terms(self, terms: Terms) -> None:
        """With a slice at the volatility of the nearest expiry; without a slice there is no series."""
        of, expiry = terms.underlying, terms.expiry
        live = [when for index, when in self.vols if index == of.index and when > self.now]
        nearest = min(live, key=lambda when: abs(when - expiry), default=None)
        self.post(of, expiry, 0.6 if nearest is None else self.vols[of.index, nearest])
        if (of.index, expiry) not in self.vols:
            return
        listed: list[int] = []
        call = (terms.strike, terms.is_call, terms.expiry, terms.underlying.index)
        what = f"{terms.underlying.token} {terms.strike} {'call' if terms.is_call else 'put'}"
        if self.attempt("list series", lambda: listed.append(self.p.list_series(*call)), what):
            self.terms[listed[0]] = terms

    def post(self, underlying: Underlying, expiry: int, vol: float, name: str = "post surface") -> None:
        post = lambda: self.p.post_slice(expiry, vol, underlying=underlying.index)  # noqa: E731
        if self.attempt(name, post, f"{underlying.token} {vol:.3f}", market=True):
            self.vols[underlying.index, expiry] = vol

    def refresh(self, id: int) -> None:
        """A surface young enough to trade on."""
        underlying, expiry = self.terms[id].underlying, self.terms[id].expiry
        if self.now - int(self.p.vol_oracle.posted(underlying.index, expiry)[0].posted_at) > HOUR:
            self.post(underlying, expiry, self.vols[underlying.index, expiry])

    def give(self, contract: str, token: str, amount: int) -> None:
        """Note a gift that is part of a transaction about to be made."""
        self.ghost.gifts[contract, token] += amount

    def reach(self, time: int) -> None:
        """Wait until ``time``, through the expiries on the way."""
        while self.next_expiry - HOUR <= time:
            self.expire(self.next_expiry, self.prices)
        if self.now < time:
            self.attempt("wait", lambda: self.p.market.wait(time - self.now), f"{time - self.now} s", market=True)

    def expire(self, expiry: int, prices: Sequence[float], fund: bool = True) -> None:
        """The series of an expiry are fixed, settled and, as a rule, paid for."""
        eth, btc = prices

        def fixed() -> None:
            self.p.reach_expiry(expiry, eth)
            self.p.market.submit_btc(btc)

        self.attempt("expire", fixed, f"{eth:.2f} {btc:.2f}", market=True)
        usdc_round = int(self.p.market.usdc_feed.latestRound())
        rounds = [int(each.feed.latestRound()) for each in self.underlyings]
        self.move(prices, "market follows")
        for underlying, round_id in zip(self.underlyings, rounds, strict=True):
            self.settle(underlying, expiry, (round_id, usdc_round))
        if fund:
            self.attempt("fund", lambda: self.p.clearing.fund(sender=self.p.stranger))

    def settle(self, underlying: Underlying, expiry: int, proof: tuple[int, int]) -> None:
        """By a stranger. The payouts of the series become known."""
        ids = [id for id in self.books.series if self.terms[id].underlying is underlying]
        ids = [id for id in ids if self.terms[id].expiry == expiry]
        if not ids:
            return

        def settled() -> None:
            self.book.settle(underlying.index, expiry, *proof, sender=self.p.stranger)
            self.ghost.payouts |= {id: int(self.p.clearing.settlement(id)[2]) for id in ids}
            self.ghost.lacking |= dict.fromkeys(ids, Fraction(1))

        self.attempt("settle", settled, market=True)
        fixing = int(self.p.price_oracle.fixing(underlying.index, expiry))
        for id in ids:
            strike = wad(self.terms[id].strike)
            due = max(fixing - strike, 0) if self.terms[id].is_call else max(strike - fixing, 0)
            assert self.ghost.payouts[id] == due, "invariant 25: a payout is not what the fixing says"

    @property
    def prices(self) -> list[float]:
        return [each.price for each in self.underlyings]

    def push_pool(self, of: Underlying, part: float) -> None:
        """The pool moves by this part from the feed, which does not."""
        price = of.moved(part)
        said = f"{of.token} {price:.2f}"
        self.attempt("pool runs ahead", lambda: self.p.market.push_pool(price, of.pool), said, market=True)

    def move(self, prices: Sequence[float], name: str) -> None:
        """Feeds, pools and, six minutes later, the TWAP."""
        said = " ".join(f"{price:.2f}" for price in prices)
        self.attempt(name, lambda: self.p.market.move(*prices), said, market=True)


def usdc(amount: float) -> int:
    return round(amount * USDC)


def shares(amount: float) -> int:
    return round(amount * 10**6) * (WAD // 10**6)
