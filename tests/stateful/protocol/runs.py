"""More holders want out than margin and cash let go.

Nothing new is sold after 48 hours, and after seven days options are bought back at the expense of those who wait.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import boa

from tests.contracts.chain import DAY, WAD
from tests.stateful.protocol.books import OVERDUE
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.depositors import MIN_REQUEST, Depositors
from tests.stateful.protocol.disasters import Disasters
from tests.stateful.protocol.world import DEPOSITORS, Terms, usdc

_WAITED = 7 * DAY  # seconds until anyone may open a rescue
_LONG = 12 * DAY  # to an expiry after that
_BIDS = 4
_CAPACITY = 0.1  # of the pool's worth, and as much a day
_PARTS = (1.0, 0.3, 0.1, 0.03, 0.01)  # of a short position: bids that are thought of


class Runs(Depositors, Disasters):
    @rule(weight=1, when=lambda world: world.is_calm and world.books.accounts.supply > 0)
    def run_on_the_vault(self, draw: Random) -> None:
        """Invariants 7, 13 to 15, 33 and 37: all but one leave, and are paid as far as can be. Not in every world."""
        if draw.random() < 0.5:
            return
        self._sell_for_long(draw)
        percents = dict.fromkeys(DEPOSITORS, 100) | {draw.choice(DEPOSITORS): draw.randint(80, 99)}
        for who, percent in percents.items():
            if self.books.holders[who].shares >= MIN_REQUEST:
                self.ask(who, percent, draw)
        self.settle_epoch(draw)
        if self._wait_for(OVERDUE + 1):
            self._nothing_new(draw)
            self.settle_epoch(draw)
        if self._wait_for(_WAITED - 1):
            self.refused("rescue too early", self._open_rescue, "auction: not for seven days")
            self.attempt("wait", lambda: self.p.market.wait(1), market=True)
            self._rescue(draw)

    def _sell_for_long(self, draw: Random) -> None:
        """Options whose margin is not free before somebody may act, hedged."""
        expiry = next(when for when in self.p.expiries() if when - self.now > _LONG)
        for of in self.underlyings:
            terms = Terms(of, round(of.price / of.step) * of.step, draw.random() < 0.5, expiry)
            if terms not in self.terms.values() and len(self.books.series) < 10 and self.is_calm:
                self.list_terms(terms)
            for id in [id for id in self.tradable() if self.terms[id] == terms]:
                self.buy(id, draw)
            self.trade(of, -self.books.assessment.delta[of.index] / WAD, "hedge")

    def _wait_for(self, seconds: int) -> bool:
        """Whether shares still wait so long after their close."""
        since = self.books.accounts.due_since
        if since > 0:
            self.reach(since + seconds)
        return since > 0 and self.books.accounts.due_since == since and self.now == since + seconds

    def _nothing_new(self, draw: Random) -> None:
        """The 48 hours: no deposit, no series, no sale."""
        who, of = draw.choice(DEPOSITORS), draw.choice(self.underlyings)
        assert not self.books.accounts.accepts_risk
        assert self.vault.maxDeposit(who) == 0, "invariant 4: a deposit into an overdue vault"
        self.refused("deposit overdue", lambda: self.vault.deposit(usdc(100), who, sender=who), "vault: reduce-only")
        call = (round(of.price / of.step) * of.step, True, self.p.expiry(21), of.index)
        self.refused("list overdue", lambda: self.p.list_series(*call), "book: vault is reduce-only")
        for id in self.tradable()[:1]:
            self.refresh(id)
            quote = self.p.quote(id)
            self.impossible("sell overdue", lambda q=quote: self.p.fill(q), "the 48 hours")

    # ------------------------------------------------------------------ the rescue

    def _open_rescue(self) -> None:
        self.p.auction.open_rescue(sender=self.p.stranger)

    def _rescue(self, draw: Random) -> None:
        """Those who wait bear what it costs, and it goes on until they can be paid."""
        a = self.books.assessment
        if self._is_paid():
            self.refused("rescue of the paid", self._open_rescue, "auction: the queue can be paid")
        elif a.nav_mid < a.maintenance:
            self.refused("rescue in distress", self._open_rescue, "auction: below maintenance")
        elif self.attempt("open rescue", self._open_rescue):
            begin, parts = self.now, 0.0
            for _ in range(_BIDS):
                self.attempt("wait", lambda: self.p.market.wait(draw.randint(30, 600)), market=True)
                if self.p.auction.is_open() and not self._is_paid():
                    parts += self._bid_for_the_queue(draw)
                assert parts <= _CAPACITY * (1 + (self.now - begin) / DAY) + 1e-9, "invariant 37: a rescue's cost"
            if self.p.auction.is_open() and self._is_paid():
                self.attempt("close rescue", lambda: self.p.auction.close(sender=self.p.stranger))
        self.settle_epoch(draw)

    def _is_paid(self) -> bool:
        return int(self.vault.maxRedeem(self.queue)) >= int(self.queue.pooled())

    def _bid_for_the_queue(self, draw: Random) -> float:
        """The largest of a few bids. Returns what part of the pool it cost."""
        for who, id in draw.sample(self.targets(), len(self.targets())):
            size = self._largest(who, id)
            if size > 0:
                break
        else:
            return 0.0
        a, pooled, share = self.books.assessment, int(self.queue.pooled()), self.books.price("bid")
        missing = self._missing(share)
        most = max(int(self.p.auction.shortfall()), missing) / 4
        legs = self.unwinding(id, size)
        call = lambda: self.p.bid(id, size, *legs, who=who)  # noqa: E731
        if not self.attempt("bid for the queue", call, f"{size}", may_lose=True):
            return 0.0
        b, base = self.books.assessment, max(a.nav_mid, a.maintenance)
        burned = pooled - int(self.queue.pooled())
        supplies = (self.before.accounts.supply, self.books.accounts.supply)
        assert burned == supplies[0] - supplies[1], "invariant 13: what a rescue burns is not the pool's"
        assert self.books.price("bid") >= self.before.price("bid"), "invariant 7: a rescue costs those who stay"
        # At the middle beside the fee that a gain at the bid has earned.
        assert b.nav_mid * supplies[0] >= a.nav_mid * supplies[1], "invariant 7: a rescue costs those who stay"
        assert 0 < missing - self._missing(share) <= most + WAD, "invariant 33: what a bid brings the queue"
        for was, now in zip(self.p.risk.breaches(a, base), self.p.risk.breaches(b, base), strict=True):
            assert now <= was, "invariant 33: a bid moves away from a limit"
        return burned / pooled

    def _missing(self, share: Fraction) -> Fraction:
        """By how much the pool's worth at this price of a share exceeds cash or free margin, USDC in WAD."""
        a, accounts = self.books.assessment, self.books.accounts
        cash, free = (accounts.idle - accounts.owed) * 10**12, a.nav_bid - a.maintenance * 5 // 4
        return int(self.queue.pooled()) * share - min(cash, free)

    def _largest(self, who: str, id: int) -> int:
        most = min(-self.books.series[id].position, self.held(who, id))
        for part in _PARTS:
            size = int(most * part) // 10**9 * 10**9
            with boa.env.anchor():
                try:
                    self.p.bid(id, size, *self.unwinding(id, size), who=who)
                except boa.BoaError:
                    continue
            return size
        return 0
