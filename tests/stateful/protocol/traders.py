"""What takers and makers of options do."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from tests.contracts.chain import HOUR, WAD
from tests.contracts.protocol import wad
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import TAKERS, World

_CLAIMED = "claim: nothing held"


class Traders(World):
    # ------------------------------------------------------------------ options

    @rule(weight=2, when=lambda world: world.is_calm and len(world.books.series) < 6)
    def new_series(self, draw: Random) -> None:
        self.list_series(draw)

    @rule(weight=8, when=lambda world: world.is_calm and world.tradable())
    def buy_options(self, draw: Random) -> None:
        """As much as the cap of the series leaves; in two fills of one quote now and then: invariant 35."""
        self.buy(draw.choice(self.tradable()), draw)

    def buy(self, id: int, draw: Random) -> None:
        who, of = draw.choice(TAKERS), self.terms[id].underlying
        least = of.min_fill
        self.refresh(id)
        room = self.limits.notional_series * self.books.nav("bid") // wad(of.price) * 4 // 5
        room -= max(-self.books.series[id].position, 0)
        greed = draw.choice([0.0, 0.0, 0.0, 0.0, 1.6])  # now and then more than the cap leaves
        most = round(room * greed) if greed else min(room, draw.randint(1, 60) * least)
        total = most // 10**9 * 10**9
        if total < least or self.books.assessment is None:
            return
        quote = self.p.quote(id, size=total)
        self.p.fund(who, quote.price * total // 10**30 + 2, self.book)
        parts = [total] if total < 2 * least or draw.random() < 0.7 else [least, total - least]
        signature, filled = self.p.sign(quote), 0
        for part in parts:
            call = (quote, part, self.p.quoter.address, signature)
            nav = self.books.nav("bid")
            if not self.attempt("buy options", lambda c=call: self.book.fill(*c, sender=who), f"{of.token} {part}"):
                return
            filled += part
            self._check_sale(id, nav)
        assert self.book.filled(self.book.hash_quote(quote)) == filled, "invariant 35: what was filled"
        over = (quote, least, self.p.quoter.address, signature)
        self.refused("overfill", lambda: self.book.fill(*over, sender=who), "quote: size exceeded")

    def _check_sale(self, id: int, nav: int) -> None:
        a = self.books.assessment
        assert a.gap_headroom >= 0, "invariant 31: a sale leaves the vault gap insolvent"
        assert a.nav_bid >= a.initial, "invariant 31: a sale leaves the vault below initial margin"
        spots = {id: a.spot[self.terms[id].underlying.index] for id in self.books.series}
        shorts = {id: max(-each.position, 0) * spots[id] // WAD for id, each in self.books.series.items()}
        beside = [other for other in shorts if self._expires_with(other, id)]
        for notional, share, what in (
            (shorts[id], self.limits.notional_series, "a series"),
            (sum(shorts[other] for other in beside), self.limits.notional_expiry, "an expiry of its underlying"),
            (sum(shorts.values()), self.limits.notional_total, "all series"),
        ):
            assert notional <= share * nav // WAD, f"invariant 24: notional of {what}"

    def _expires_with(self, other: int, id: int) -> bool:
        one, two = self.terms[other], self.terms[id]
        return one.underlying is two.underlying and one.expiry == two.expiry

    @rule(weight=4, when=lambda world: world.books.assessment is not None and not world.books.assessment.unfixed)
    def sell_back(self, draw: Random) -> None:
        """A holder sells to the vault."""
        open = [(id, self.terms[id]) for id in self.books.series if self.terms[id].expiry - self.now > 2 * HOUR]
        holdings = [
            (who, id) for who in TAKERS for id, terms in open if self.held(who, id) >= terms.underlying.min_fill
        ]
        if not holdings:
            return
        who, id = draw.choice(holdings)
        self.refresh(id)
        least = self.terms[id].underlying.min_fill
        size = max(self.held(who, id) * draw.randint(1, 100) // 100 // 10**9 * 10**9, least)
        quote = self.p.quote(id, vault_sells=False, size=size)
        if quote.price * size // 10**30 > self.books.accounts.idle - self.books.accounts.owed:
            return
        self.attempt("sell back", lambda: self.p.fill(quote, taker=who), f"{size}", may_lose=True)

    @rule(weight=3, when=lambda world: world.is_calm and world.tradable())
    def write_options(self, draw: Random) -> None:
        """A maker writes options to the vault, with all that they can ever pay as collateral."""
        id = draw.choice(self.tradable())
        self.refresh(id)
        size = draw.randint(1, 15) * self.terms[id].underlying.min_fill
        quote = self.p.quote(id, vault_sells=False, size=size)
        if quote.price * size // 10**30 > (self.books.accounts.idle - self.books.accounts.owed) // 2:
            return
        self.p.give_collateral(id, size, self.p.maker)
        call = (quote, size, self.p.quoter.address, self.p.sign(quote))
        written = lambda: self.book.write(*call, sender=self.p.maker)  # noqa: E731
        self.attempt("write options", written, f"{size}", may_lose=True)

    @rule(weight=3, when=lambda world: world.books.settled)
    def take_collateral_back(self, draw: Random) -> None:
        """Invariant 34: a maker gets back what the fixing leaves, once."""
        mine = [id for id in self.books.settled if self.p.clearing.written(id, self.p.maker).size > 0]
        if mine:
            id, maker = draw.choice(mine), self.p.maker
            self.attempt("take collateral back", lambda: self.p.clearing.take_back(id, sender=maker))
            take_back = self.p.clearing.take_back
            self.refused("take back again", lambda: take_back(id, sender=maker), "collateral: nothing written")

    @rule(weight=1)
    def pass_options_on(self, draw: Random) -> None:
        who, to = draw.sample(TAKERS, 2)
        held = [id for id in (*self.books.series, *self.books.settled) if self.held(who, id) > 0]
        if held:
            id = draw.choice(held)
            size = self.held(who, id) * draw.randint(1, 100) // 100
            move = self.p.token.safeTransferFrom
            self.attempt("pass options on", lambda: move(who, to, id, size, b"", sender=who))

    @rule(weight=4, when=lambda world: any(each.supply for each in world.books.settled.values()))
    def claim_options(self, draw: Random) -> None:
        """Invariants 25, 34 and 42: in every mode exactly once what is funded of the payout, all of it as a rule."""
        holdings = [(who, id) for who in TAKERS for id in self.books.settled if self.held(who, id) > 0]
        holdings += [key for key, (due, paid) in self.ghost.claims.items() if due > paid]
        if not holdings:
            return
        who, id = draw.choice(holdings)
        size, payout, had = self.held(who, id), self.ghost.payouts[id], int(self.p.asset.balanceOf(who))
        due, paid = self.ghost.claims.get((who, id), (0, 0))
        due, free = due + size * payout // 10**30, self.books.accounts.idle + self.books.lent
        if due > paid and self.ghost.lacking.get(id, 0) > 0 and free < 10**6:
            return
        claim = lambda: self.p.clearing.claim(id, sender=who)  # noqa: E731
        done = self.attempt("claim options", lambda: self._claim(who, id, due, paid), f"{due}")
        assert done, "invariant 42: a payout is refused"
        got, lacking = int(self.p.asset.balanceOf(who)) - had, self.ghost.lacking.get(id, Fraction(0))
        assert 0 <= due * (1 - lacking) - paid - got <= 1, "invariants 25 and 34: what is paid of a payout"
        self.refused("claim again", claim, "claim: vault has not funded it yet" if due > paid + got else _CLAIMED)

    def _claim(self, who: str, id: int, due: int, paid: int) -> None:
        got = int(self.p.clearing.claim(id, sender=who))
        self.ghost.claims[who, id] = (due, paid + got)
