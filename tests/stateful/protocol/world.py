"""One vault with everybody around it, and what must hold after each of their transactions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

import boa

from tests.contracts.chain import HOUR, USDC, WAD, account, reverts
from tests.contracts.protocol import ETH, Protocol, wad
from tests.stateful.protocol.books import SIDES, Auditor, Ghost, problems
from tests.stateful.protocol.campaign import Rule
from tests.stateful.success import SuccessRates

DEPOSITORS = [account(f"depositor {number}") for number in range(3)]
TAKERS = [account(f"taker {number}") for number in range(2)]
RECIPIENT = account("recipient of fees")
STRIKE = 50  # USD between two strikes
FLOOR, CEILING = 2_000.0, 4_500.0  # USD; so that liquidity lies there
_AAVE_ROUNDS = 3  # units of USDC


class World:
    """``books`` is what the last transaction left behind; ``before`` what it found."""

    rules: list[Rule]

    def __init__(self, protocol: Protocol, auditor: Auditor, rates: SuccessRates) -> None:
        self.p, self.auditor, self.rates = protocol, auditor, rates
        self.vault, self.queue, self.book, self.hedger = protocol.vault, protocol.queue, protocol.book, protocol.hedger
        self.ghost, self.calls = Ghost(), 0
        self.trace: list[str] = []
        self.strikes: dict[int, tuple[int, bool, int]] = {}  # strike, call, expiry of each series
        self.vols: dict[int, float] = {}  # at the money, by expiry
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
        if was.is_healthy:
            assert now.is_healthy, f"invariant 32: {name} makes a healthy vault unhealthy"
        if gift:
            assert [now.price(side) for side in SIDES] == [was.price(side) for side in SIDES], "invariant 8: a gift"
        if may_lose or was.accounts.supply == 0 or now.accounts.supply == 0:
            return
        # What has to be recalled from Aave is rounded there, once in its shares and once in USDC.
        slack = _AAVE_ROUNDS if now.lent != was.lent else 0
        fallen = [side for side in SIDES if now.price(side, slack) < was.price(side)]
        if now.accounts.supply == was.accounts.supply:  # then a gain can have earned a fee, which only the bid exceeds
            fallen = [side for side in fallen if side == "bid" or now.nav(side) + slack * 10**12 < was.nav(side)]
        assert not fallen, f"invariant 7: {name} lowers {fallen}"

    # ------------------------------------------------------------------ where things are

    @property
    def now(self) -> int:
        return self.p.market.now

    @property
    def spot(self) -> float:
        return float(self.p.market.feed.latestAnswer()) / 10**8

    @property
    def is_calm(self) -> bool:
        return self.books.is_calm

    @property
    def next_expiry(self) -> int:
        return min((self.strikes[id][2] for id in self.books.series if id in self.strikes), default=2**63)

    def tradable(self) -> list[int]:
        """Live series that have more than 25 hours left."""
        return [id for id in self.books.series if self.strikes[id][2] - self.now > 25 * HOUR]

    def held(self, who: str, id: int) -> int:
        return int(self.p.token.balanceOf(who, id))

    # ------------------------------------------------------------------ steps that several rules share

    def list_series(self, draw: Random) -> None:
        """A strike near the money at one of the next expiries."""
        expiries = self.p.expiries()
        expiry = next(when for when in expiries if when - self.now > (2 + draw.choice([0, 7])) * 86_400)
        strike = round(self.spot / STRIKE) * STRIKE + draw.randint(-3, 3) * STRIKE
        is_call = draw.random() < 0.5
        if (strike, is_call, expiry) in self.strikes.values():
            return
        live = [when for when in self.vols if when > self.now]
        nearest = min(live, key=lambda when: abs(when - expiry), default=None)
        self.post(expiry, 0.6 if nearest is None else self.vols[nearest])
        listed: list[int] = []
        what = f"{strike} {'call' if is_call else 'put'}"
        if self.attempt("list series", lambda: listed.append(self.p.list_series(strike, is_call, expiry)), what):
            self.strikes[listed[0]] = (strike, is_call, expiry)

    def post(self, expiry: int, vol: float, name: str = "post surface") -> None:
        if self.attempt(name, lambda: self.p.post_slice(expiry, vol=vol), f"{vol:.3f}", market=True):
            self.vols[expiry] = vol

    def refresh(self, id: int) -> None:
        """A surface young enough to trade on."""
        expiry = self.strikes[id][2]
        if self.now - int(self.p.vol_oracle.posted(ETH, expiry)[0].posted_at) > HOUR:
            self.post(expiry, self.vols[expiry])

    def give(self, contract: str, token: str, amount: int) -> None:
        """Note a gift that is part of a transaction about to be made."""
        self.ghost.gifts[contract, token] += amount

    def reach(self, time: int) -> None:
        """Wait until ``time``, through the expiries on the way."""
        while self.next_expiry - HOUR <= time:
            self.expire(self.next_expiry, self.spot)
        if self.now < time:
            self.attempt("wait", lambda: self.p.market.wait(time - self.now), f"{time - self.now} s", market=True)

    def expire(self, expiry: int, price: float, fund: bool = True) -> None:
        """The series of an expiry are fixed, settled and, as a rule, paid for."""
        proof: list[tuple[int, int]] = []
        self.attempt("expire", lambda: proof.append(self.p.reach_expiry(expiry, price)), f"{price}", market=True)
        self.attempt("market follows", lambda: self.p.market.move(price), f"{price}", market=True)
        ids = [id for id in self.books.series if self.strikes[id][2] == expiry]
        self.settle(expiry, proof[0], ids)
        if fund:
            self.attempt("fund", lambda: self.p.clearing.fund(sender=self.p.stranger))

    def settle(self, expiry: int, proof: tuple[int, int], ids: list[int]) -> None:
        """By a stranger. The payouts of the series become known."""

        def settled() -> None:
            self.book.settle(ETH, expiry, *proof, sender=self.p.stranger)
            self.ghost.payouts |= {id: int(self.p.clearing.settlement(id)[2]) for id in ids}
            self.ghost.lacking |= dict.fromkeys(ids, Fraction(1))

        self.attempt("settle", settled, market=True)
        for id in ids:
            strike, is_call, _ = self.strikes[id]
            fixing = int(self.p.price_oracle.fixing(ETH, expiry))
            due = max(fixing - wad(strike), 0) if is_call else max(wad(strike) - fixing, 0)
            assert self.ghost.payouts[id] == due, "invariant 25: a payout is not what the fixing says"


def usdc(amount: float) -> int:
    return round(amount * USDC)


def shares(amount: float) -> int:
    return round(amount * 10**6) * (WAD // 10**6)
