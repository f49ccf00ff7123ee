"""Losses that nobody's call leads to, and what the protocol has for them: the auction, and a shortfall shared pro rata.

A loss is what a failing venue would cost: the account of idle cash becomes smaller by hand, and the USDC lies there
like a gift; a recovery puts it back.
"""

from __future__ import annotations

import contextlib
from random import Random

import boa

from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.protocol import LOOSE, Leg, Quote
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.operators import Operators
from tests.stateful.protocol.traders import Traders
from tests.stateful.protocol.world import TAKERS, World

_UNIT = 10**12  # WAD per unit of USDC
_SUSTAINED = 300  # seconds
_BIDS = 4
_LEAST = 500 * WAD  # of maintenance margin; below it an auction is about dust


def _is_known(world: World) -> bool:
    a = world.books.assessment
    return a is not None and not a.unfixed and not a.venue_failed and world.books.accounts.supply > 0


def _is_short(world: World) -> bool:
    return _is_known(world) and any(each.position < 0 for each in world.books.series.values())


class Disasters(Traders, Operators):
    # ------------------------------------------------------------------ losses

    def lose(self, amount: int) -> None:
        """USDC units."""
        idle = self.books.accounts.idle
        lost = min(amount, idle)
        self.give("Vault", "usdc", lost)
        self.ghost.lost += lost
        self.attempt("lose", lambda: self.p.overwrite("idle", idle - lost), f"{lost}", market=True)

    def recover(self) -> None:
        lost, idle = self.ghost.lost, self.books.accounts.idle
        self.ghost.lost = 0
        self.give("Vault", "usdc", -lost)
        self.attempt("recover", lambda: self.p.overwrite("idle", idle + lost), f"{lost}", market=True)

    @rule(weight=3, when=lambda world: _is_known(world) and world.is_calm and world.tradable())
    def sell_at_the_edge(self, draw: Random) -> None:
        """Invariant 31: where gap solvency is lacking only a sale that restores it goes through, below margin none."""
        who = draw.choice(TAKERS)
        for id in self.tradable():
            self.refresh(id)
        a = self.books.assessment
        spare = min(a.gap_headroom, a.nav_bid - a.initial) // _UNIT + draw.randint(1, 300) * 10**6
        with boa.env.anchor():
            self.p.overwrite("owed", self.books.accounts.owed + max(spare, 0))
            self.p.risk.set_limits(LOOSE, sender=self.p.governor)  # nothing else is to stop it
            self.p.open_gates(kill_drawdown=WAD)
            for id in self.tradable():
                quote = self.p.quote(id, size=draw.choice([1, 5, 20]) * self.terms[id].underlying.min_fill)
                self.p.fund(who, quote.price * quote.size // 10**30 + 2, self.book)
                self._sell_if_it_mends(quote, who)

    def _sell_if_it_mends(self, quote: Quote, who: str) -> None:
        self.rates.tried["sell at the edge"] += 1
        with contextlib.suppress(boa.BoaError):
            self.p.fill(quote, taker=who)
            b = self.vault.assessment()
            assert b.gap_headroom >= 0, "invariant 31: a sale by a gap insolvent vault"
            assert b.nav_bid >= b.initial, "invariant 31: a sale below initial margin"
        self.rates.succeeded["sell at the edge"] += 1

    # ------------------------------------------------------------------ the auction

    @rule(weight=1, when=_is_short)
    def liquidation(self, draw: Random) -> None:
        """Invariant 33: below maintenance margin for five minutes anyone sells the vault its options back."""
        a, who = self.books.assessment, self.p.stranger
        if not self.targets() or a.maintenance < _LEAST or self.next_expiry - self.now < 3 * HOUR:
            return
        self._recall_everything()
        loss = (a.nav_mid - a.maintenance * draw.randint(60, 97) // 100) // _UNIT
        if not 0 < loss < self.books.accounts.idle:
            return
        self.impossible("open while healthy", lambda: self.p.auction.open(sender=who), "invariant 33")
        self.lose(loss)
        if self.attempt("let it last", lambda: self.p.last(_SUSTAINED), market=True) and self.attempt(
            "open auction", lambda: self.p.auction.open(sender=who)
        ):
            for _ in range(_BIDS):
                self.attempt("wait", lambda: self.p.market.wait(draw.randint(30, 600)), market=True)
                if not self.p.auction.is_open() or not self.targets():
                    break
                self._bid(draw)
        self.recover()
        if self.p.auction.is_open():
            a = self.books.assessment
            if a.nav_mid >= a.maintenance * 5 // 4:
                self.attempt("close auction", lambda: self.p.auction.close(sender=who))

    def targets(self) -> list[tuple[str, int]]:
        """Who could sell back what the vault is short of."""
        shorts = [id for id, each in self.books.series.items() if each.position < 0 and id in self.tradable()]
        return [(who, id) for who in TAKERS for id in shorts if self.held(who, id) >= self._least(id)]

    def _least(self, id: int) -> int:
        """Units, WAD: 30 to 45 USD."""
        return self.terms[id].underlying.min_fill // 10

    def _bid(self, draw: Random) -> None:
        a, (who, id) = self.books.assessment, draw.choice(self.targets())
        short, wanting = -self.books.series[id].position, a.maintenance * 5 // 4 - a.nav_mid
        if wanting <= 0:
            return
        of = self.terms[id].underlying
        allowed = max(wanting // 4, max(a.nav_mid, a.maintenance) // 200)
        writes = draw.random() < 0.3
        most = short if writes else min(short, self.held(who, id))
        all_allowed = allowed * a.short_notional // a.maintenance * WAD // a.spot[of.index]
        size = min(most, all_allowed * draw.randint(3, 7) // 10) // 10**9 * 10**9
        if size < self._least(id):
            return
        if writes:
            who = self.p.maker
            self.p.give_collateral(id, size, who)
        legs, marks = self.unwinding(id, size), self.p.pricer.marks(id)
        paid: list[int] = []
        call = lambda: paid.append(self.p.bid(id, size, *legs, writes=writes, who=who))  # noqa: E731
        if not self.attempt("bid", call, f"{of.token} {size}", may_lose=True):
            return
        b = self.books.assessment
        assert b.nav_mid * a.maintenance > a.nav_mid * b.maintenance, "invariant 33: a bid does not raise health"
        most_paid = marks.ask * 115 // 100 * size // 10**30
        assert paid[0] <= most_paid, "invariant 33: a bid is paid more than its premium"
        base = max(a.nav_mid, a.maintenance)
        for was, now in zip(self.p.risk.breaches(a, base), self.p.risk.breaches(b, base), strict=True):
            assert now <= was, "invariant 33: a bid moves away from a limit"

    def unwinding(self, id: int, size: int) -> list[Leg]:
        """What buying back adds to delta beyond what it brings closer to neutral is traded away."""
        of = self.terms[id].underlying
        delta = self.books.assessment.delta[of.index]
        change = self.p.pricer.option_risk([id | 10**9])[0].delta * size // WAD
        closer = min(abs(change), abs(delta)) if delta * change < 0 else 0
        excess = change - closer * (1 if change > 0 else -1)
        if abs(excess) < of.min_fill // 100:
            return []
        if excess > 0:
            venue = of.spot_index if of.held() >= excess else of.short_index
        else:
            venue = of.short_index if of.owed() >= -excess else of.spot_index
        return [self.p.leg(venue, -excess / WAD)]

    # ------------------------------------------------------------------ a shortfall

    @rule(weight=1, when=lambda world: _is_short(world) and world.ghost.lost == 0)
    def shortfall(self, draw: Random) -> None:
        """Invariant 34: an expiry that costs more than there is. That is shared, and so is what comes later."""
        expiry = self.next_expiry
        if expiry - self.now > 8 * DAY or expiry - self.now < 2 * HOUR:
            return
        shorts = [self.terms[id] for id, each in self.books.series.items() if each.position < 0]
        called = {terms.underlying for terms in shorts if terms.is_call}
        self.expire(expiry, [each.moved(0.1 if each in called else -0.1) for each in self.underlyings], fund=False)
        owed, stranger = self.books.accounts.owed, self.p.stranger
        if owed == 0:
            return
        self._empty_the_venues()
        self.lose(max(self.books.accounts.idle - owed * draw.randint(0, 9) // 10, 0))
        declare = lambda: self.p.clearing.declare_shortfall(sender=stranger)  # noqa: E731
        is_short = self.books.accounts.owed > self.books.accounts.idle
        if is_short and self.attempt("declare shortfall", declare):
            for _ in range(3):
                self._claim_a_part(draw)
            was_empty, funded = self._has_empty_venues(), self.books.accounts.funded
            self.reach(self.now + 7 * DAY)
            if self.p.clearing.short_since() > 0 and self.books.accounts.owed > 0:
                self.attempt("declare shortfall", declare)
            if was_empty and self._has_empty_venues() and self.books.accounts.funded <= funded:
                assert self.p.clearing.shortfall() == self.books.accounts.owed > 0, "invariant 34: not recorded"
        lost = self.ghost.lost
        for part in (lost // 3, lost - lost // 3):
            self.give("Vault", "usdc", -part)
            self.ghost.lost -= part
            idle = self.books.accounts.idle
            back = lambda cash=idle + part: self.p.overwrite("idle", cash)  # noqa: E731
            self.attempt("recover", back, f"{part}", market=True)
            self.attempt("fund", lambda: self.p.clearing.fund(sender=stranger))
            self._claim_a_part(draw)
        assert self.books.accounts.owed > 0 or self.p.clearing.shortfall() == 0, "invariant 34: it is over"

    def _claim_a_part(self, draw: Random) -> None:
        if any(self.held(who, id) for who in TAKERS for id in self.books.settled):
            self.claim_options(draw)

    def _empty_the_venues(self) -> None:
        """Everything is recalled and sold, as far as a trade is allowed."""
        self._recall_everything()
        for of in self.underlyings:
            for venue, exposure in ((of.spot_index, of.held()), (of.short_index, -of.owed())):
                delta = self.books.assessment.delta[of.index]
                size = min(abs(exposure), abs(delta)) if exposure * delta > 0 else 0  # towards neutral
                if size > of.min_fill // 10:
                    legs = [self.p.leg(venue, (-size if exposure > 0 else size) / WAD)]
                    self.rebalance(of, "close a venue", legs)

    def _recall_everything(self) -> None:
        lent = int(self.p.lending.withdrawable())
        if lent > 0:
            self.attempt("recall", lambda: self.hedger.recall(lent, sender=self.p.keeper), may_lose=True)

    def _has_empty_venues(self) -> bool:
        venues = (*self.p.venues, self.p.lending)
        return all((state := v.state(WAD)).exposure == 0 and state.equity <= WAD for v in venues)
