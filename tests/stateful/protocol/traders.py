"""What takers of options do, and what the vault's own keys do: quoter, keeper, vol poster."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from tests.contracts.chain import DAY, HOUR, WAD, events
from tests.contracts.protocol import HEALTH_TARGET, SHORT, SPOT, wad
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import TAKERS, World

_MIN_FILL = WAD // 10
_CLAIMED = "claim: nothing held"


class Traders(World):
    # ------------------------------------------------------------------ options

    @rule(weight=2, when=lambda world: world.is_calm and len(world.books.series) < 6)
    def new_series(self, draw: Random) -> None:
        self.list_series(draw)

    @rule(weight=8, when=lambda world: world.is_calm and world.tradable())
    def buy_options(self, draw: Random) -> None:
        """As much as the cap of the series leaves; in two fills of one quote now and then: invariant 35."""
        id, who = draw.choice(self.tradable()), draw.choice(TAKERS)
        self.refresh(id)
        room = self.limits.notional_series * self.books.nav("bid") // wad(self.spot) * 4 // 5
        room -= max(-self.books.series[id].position, 0)
        greed = draw.choice([0.0, 0.0, 0.0, 0.0, 1.6])  # now and then more than the cap leaves
        most = round(room * greed) if greed else min(room, draw.randint(1, 60) * WAD // 10)
        total = most // 10**9 * 10**9
        if total < _MIN_FILL or self.books.assessment is None:
            return
        quote = self.p.quote(id, size=total)
        self.p.fund(who, quote.price * total // 10**30 + 2, self.book)
        parts = [total] if total < 2 * _MIN_FILL or draw.random() < 0.7 else [_MIN_FILL, total - _MIN_FILL]
        signature, filled = self.p.sign(quote), 0
        for part in parts:
            call = (quote, part, self.p.quoter.address, signature)
            nav = self.books.nav("bid")
            if not self.attempt("buy options", lambda c=call: self.book.fill(*c, sender=who), f"{part}"):
                return
            filled += part
            self._check_sale(id, nav)
        assert self.book.filled(self.book.hash_quote(quote)) == filled, "invariant 35: what was filled"
        over = (quote, _MIN_FILL, self.p.quoter.address, signature)
        self.refused("overfill", lambda: self.book.fill(*over, sender=who), "quote: size exceeded")

    def _check_sale(self, id: int, nav: int) -> None:
        a = self.books.assessment
        assert a.gap_headroom >= 0, "invariant 31: a sale leaves the vault gap insolvent"
        assert a.nav_bid >= a.initial, "invariant 31: a sale leaves the vault below initial margin"
        shorts = {each.id: max(-each.position, 0) * a.spot[0] // WAD for each in self.books.series.values()}
        of_expiry = sum(notional for other, notional in shorts.items() if self.strikes[other][2] == self.strikes[id][2])
        for notional, share, what in (
            (shorts[id], self.limits.notional_series, "a series"),
            (of_expiry, self.limits.notional_expiry, "an expiry"),
            (sum(shorts.values()), self.limits.notional_total, "all series"),
        ):
            assert notional <= share * nav // WAD, f"invariant 24: notional of {what}"

    @rule(weight=4, when=lambda world: world.books.assessment is not None and not world.books.assessment.unfixed)
    def sell_back(self, draw: Random) -> None:
        """A holder sells to the vault."""
        holdings = [(who, id) for who in TAKERS for id in self.books.series if self.held(who, id) >= _MIN_FILL]
        holdings = [(who, id) for who, id in holdings if self.strikes[id][2] - self.now > 2 * HOUR]
        if not holdings:
            return
        who, id = draw.choice(holdings)
        self.refresh(id)
        size = max(self.held(who, id) * draw.randint(1, 100) // 100 // 10**9 * 10**9, _MIN_FILL)
        quote = self.p.quote(id, vault_sells=False, size=size)
        if quote.price * size // 10**30 > self.books.accounts.idle - self.books.accounts.owed:
            return
        self.attempt("sell back", lambda: self.p.fill(quote, taker=who), f"{size}", may_lose=True)

    @rule(weight=3, when=lambda world: world.is_calm and world.tradable())
    def write_options(self, draw: Random) -> None:
        """A maker writes options to the vault, with all that they can ever pay as collateral."""
        id = draw.choice(self.tradable())
        self.refresh(id)
        size = draw.randint(1, 15) * WAD // 10
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

    # ------------------------------------------------------------------ hedges

    @rule(weight=6, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def hedge(self, draw: Random) -> None:
        """Towards neutral in one venue or both, as far as they hold and cash allows."""
        delta = self.books.assessment.delta[0] / WAD
        if abs(delta) < 0.02:
            return
        self._hedge(-delta * draw.choice([1.0, 1.0, 0.5]), "hedge")

    @rule(weight=2, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def trade_away(self, draw: Random) -> None:
        """A trade either way, whatever the delta is, most often small; now and then at whatever price the pool has."""
        if any(self._excesses(self.books.assessment, self.books.nav("bid"))):
            return  # then only what mends it may be
        part = draw.choice([0.005, 0.005, 0.005, 0.05]) * self.books.nav("bid") / WAD / self.spot
        price, name = self.spot * draw.choice([0.988, 0.995, 0.998, 1.002, 1.005, 1.012]), "trade away"
        if draw.random() < 0.3:
            self.attempt("pool runs ahead", lambda: self.p.market.push_pool(price), f"{price:.2f}", market=True)
            name = "trade at any price"
        self._hedge(draw.uniform(-part, part), name, limit=0.03)

    def _hedge(self, units: float, name: str, limit: float = 0.005) -> None:
        held = self.p.spot.state(WAD).exposure / WAD
        owed = -self.p.short.state(WAD).exposure / WAD
        first = min(max(units, -held), self._affordable()) if units < 0 else min(units, owed)
        venue, other = (SPOT, SHORT) if units < 0 else (SHORT, SPOT)
        rest = min(units - first, self._affordable())
        legs = [(venue, int(first * 10**6) / 10**6), (other, int(rest * 10**6) / 10**6)]  # not more than is held
        legs = [(venue, size) for venue, size in legs if abs(size) > 0.001]
        if legs:
            price = self.books.assessment.spot[0] / WAD
            bounded = [(venue, size, price * (1 + limit if size > 0 else 1 - limit)) for venue, size in legs]
            self._rebalance(name, [self.p.leg(*leg) for leg in bounded])

    def _affordable(self) -> float:
        """Units that free cash pays for."""
        free = max(self.books.accounts.idle - self.books.accounts.owed, 0) / 10**6
        return float(0.8 * free / self.spot)

    def _rebalance(self, name: str, legs: list[Any]) -> None:
        """Invariants 21, 36 and 37, with the arithmetic done here."""
        budgets, lost = self.hedger.budgets(), []

        def traded() -> None:
            self.p.rebalance(*legs)
            (total,) = events(self.hedger, "Rebalanced")
            lost.append(int(total.loss))

        if not self.attempt(
            name, traded, " ".join(f"{leg.venue}: {leg.delta_change / WAD:.4f}" for leg in legs), may_lose=True
        ):
            return
        a, b = self.before.assessment, self.books.assessment
        size = sum(abs(leg.delta_change) for leg in legs)
        most = size * a.spot[0] // WAD * budgets.leg_slippage // WAD + len(legs) * 4 * 10**12
        assert a.nav_mid - b.nav_mid <= most, "invariant 21: a trade lost more than its slippage"
        for was, now in zip(self._excesses(a, a.nav_bid), self._excesses(b, a.nav_bid), strict=True):
            assert now <= was, "invariant 36: a rebalance moves away from a limit"
        self.losses.append((self.now, lost[0] * WAD // a.nav_bid))
        for start, _ in self.losses:
            since = [loss for when, loss in self.losses if when >= start]
            days = (self.now - start) / DAY
            bound = budgets.loss_capacity + budgets.emergency_capacity
            bound += days * (budgets.loss_per_day + max(budgets.emergency_per_day, budgets.distress_per_day))
            assert sum(since) <= bound + len(since) + 10**12, "invariant 37: losses beyond the buckets"

    def _excesses(self, a: Any, nav: int) -> list[int]:
        """How far each limit is exceeded, in USDC: RiskEngine's arithmetic, done here."""

        def beyond(value: int, share: int) -> int:
            return max(abs(value) - share * max(nav, 0) // WAD, 0)

        spot, limits = a.spot[0], self.limits
        return [
            max(a.initial - a.nav_bid, 0),
            max(-a.gap_headroom, 0),
            beyond(a.gross, limits.gross_leverage),
            beyond(abs(a.delta[0]) * spot // WAD, limits.delta_target),
            beyond(abs(a.gamma[0]) * spot // WAD * spot // WAD // 100, limits.gamma_band),
            beyond(a.vega[0], limits.vega_band),
        ]

    @rule(weight=1, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def restore_health(self, draw: Random) -> None:
        """A leg of zero brings the short venue's collateral to its target."""
        state = self.p.short.state(self.books.assessment.spot[0])
        if state.exposure < 0 and state.health < HEALTH_TARGET * 98 // 100:
            self._rebalance("restore health", [self.p.leg(SHORT, 0)])

    # ------------------------------------------------------------------ lending

    @rule(weight=3, when=lambda world: world.books.assessment is not None and not world.books.assessment.unfixed)
    def lend(self, draw: Random) -> None:
        """A part of what the liquidity buffer leaves; it may cost what Aave rounds."""
        a, keeper = self.books.assessment, self.p.keeper
        buffer = int(self.p.risk.liquidity_buffer(self.book.live_book(), a)) // 10**12
        amount = (self.books.accounts.idle - self.books.accounts.owed - buffer) * draw.randint(5, 95) // 100
        if amount < 10**6:
            return
        nav = self.books.nav("mid")
        if self.attempt("lend", lambda: self.hedger.lend(amount, sender=keeper), f"{amount}", may_lose=True):
            assert 0 <= nav - self.books.nav("mid") <= 3 * 10**12, "invariant 21: lending costs more than its rounding"

    @rule(weight=2, when=lambda world: world.books.assessment is not None)
    def recall(self, draw: Random) -> None:
        amount = int(self.p.lending.withdrawable()) * draw.randint(5, 100) // 100
        nav = self.books.nav("mid")
        recall = self.hedger.recall
        if amount > 0 and self.attempt("recall", lambda: recall(amount, sender=self.p.keeper), may_lose=True):
            assert 0 <= nav - self.books.nav("mid") <= 3 * 10**12, (
                "invariant 21: recalling costs more than its rounding"
            )

    # ------------------------------------------------------------------ the surface

    @rule(weight=3, when=lambda world: world.tradable())
    def post_surface(self, draw: Random) -> None:
        """A point of volatility up or down, inside the speed limit most of the time."""
        id = draw.choice(self.tradable())
        expiry = self.strikes[id][2]
        vol = min(max(self.vols[expiry] + draw.uniform(-0.02, 0.02), 0.35), 1.2)
        self.post(expiry, vol, "move surface")

    @rule(weight=1)
    def cancel_quotes(self, draw: Random) -> None:
        """Invariant 35: a quote below the floor never fills again."""
        quoter = self.p.quoter.address
        floor = int(self.book.nonce_floor(quoter)) + 1
        self.attempt("cancel quotes", lambda: self.book.raise_nonce_floor(floor, sender=quoter))
        if self.is_calm and self.tradable():
            quote = self.p.quote(self.tradable()[0], nonce=floor - 1)
            self.refused("cancelled quote", lambda: self.p.fill(quote, taker=TAKERS[0]), "quote: cancelled")
