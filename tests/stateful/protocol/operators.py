"""What the vault's own keys do: keeper, vol poster, quoter."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.contracts.chain import DAY, WAD, events
from tests.contracts.protocol import HEALTH_TARGET
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.underlyings import Underlying
from tests.stateful.protocol.world import AAVE_ROUNDS, TAKERS, World


class Operators(World):
    # ------------------------------------------------------------------ hedges

    @rule(weight=6, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def hedge(self, draw: Random) -> None:
        """Towards neutral in one venue or both, as far as they hold and cash allows."""
        deltas = {each: self.books.assessment.delta[each.index] / WAD for each in self.underlyings}
        exposed = [each for each in self.underlyings if abs(deltas[each]) * each.price > 60]
        if exposed:
            of = draw.choice(exposed)
            self.trade(of, -deltas[of] * draw.choice([1.0, 1.0, 0.5]), "hedge")

    @rule(weight=2, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def trade_away(self, draw: Random) -> None:
        """A trade either way, whatever the delta is, most often small; now and then at whatever price the pool has."""
        if any(self._excesses(self.books.assessment, self.books.nav("bid"))):
            return  # then only what mends it may be
        of = draw.choice(self.underlyings)
        part = draw.choice([0.005, 0.005, 0.005, 0.05]) * self.books.nav("bid") / WAD / of.price
        moved, name = draw.choice([-0.012, -0.005, -0.002, 0.002, 0.005, 0.012]), "trade away"
        if draw.random() < 0.3:
            self.push_pool(of, moved)
            name = "trade at any price"
        self.trade(of, draw.uniform(-part, part), name, limit=0.03)

    def trade(self, of: Underlying, units: float, name: str, limit: float = 0.005) -> None:
        """A sale empties the spot venue first, a purchase repays the short first."""
        held, owed = of.held() / WAD, of.owed() / WAD
        first = min(max(units, -held), self._affordable(of)) if units < 0 else min(units, owed)
        venue, other = (of.spot_index, of.short_index) if units < 0 else (of.short_index, of.spot_index)
        rest = min(units - first, self._affordable(of))
        price = self.books.assessment.spot[of.index] / WAD
        legs = [(venue, int(first * 10**6) / 10**6), (other, int(rest * 10**6) / 10**6)]  # not more than is held
        legs = [
            (venue, size, price * (1 + limit if size > 0 else 1 - limit))
            for venue, size in legs
            if abs(size) * price > 3
        ]
        if legs:
            self.rebalance(of, name, [self.p.leg(*leg) for leg in legs])

    def _affordable(self, of: Underlying) -> float:
        """Units that free cash pays for."""
        free = max(self.books.accounts.idle - self.books.accounts.owed, 0) / 10**6
        return float(0.8 * free / of.price)

    def rebalance(self, of: Underlying, name: str, legs: list[Any]) -> None:
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
        most = size * a.spot[of.index] // WAD * budgets.leg_slippage // WAD + len(legs) * 4 * 10**12
        assert a.nav_mid - b.nav_mid <= most, "invariant 21: a trade lost more than its slippage"
        rounds = len(legs) * AAVE_ROUNDS * 10**12 if size == 0 else 0  # of collateral that is restored
        for was, now in zip(self._excesses(a, a.nav_bid), self._excesses(b, a.nav_bid), strict=True):
            assert now <= was + rounds, "invariant 36: a rebalance moves away from a limit"
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

        limits = self.limits
        found = [max(a.initial - a.nav_bid, 0), max(-a.gap_headroom, 0), beyond(a.gross, limits.gross_leverage)]
        for spot, delta, gamma, vega in zip(a.spot, a.delta, a.gamma, a.vega, strict=True):
            found.append(beyond(abs(delta) * spot // WAD, limits.delta_target))
            found.append(beyond(abs(gamma) * spot // WAD * spot // WAD // 100, limits.gamma_band))
            found.append(beyond(vega, limits.vega_band))
        return found

    @rule(weight=1, when=lambda world: world.books.assessment is not None and world.books.accounts.supply > 0)
    def restore_health(self, draw: Random) -> None:
        """A leg of zero brings the short venue's collateral to its target."""
        of = draw.choice(self.underlyings)
        state = of.short.state(self.books.assessment.spot[of.index])
        if state.exposure < 0 and state.health < HEALTH_TARGET * 98 // 100:
            self.rebalance(of, "restore health", [self.p.leg(of.short_index, 0)])

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
        terms = self.terms[draw.choice(self.tradable())]
        vol = self.vols[terms.underlying.index, terms.expiry] + draw.uniform(-0.02, 0.02)
        self.post(terms.underlying, terms.expiry, min(max(vol, 0.35), 1.2), "move surface")

    @rule(weight=1)
    def cancel_quotes(self, draw: Random) -> None:
        """Invariant 35: a quote below the floor never fills again."""
        quoter = self.p.quoter.address
        floor = int(self.book.nonce_floor(quoter)) + 1
        self.attempt("cancel quotes", lambda: self.book.raise_nonce_floor(floor, sender=quoter))
        if self.is_calm and self.tradable():
            quote = self.p.quote(self.tradable()[0], nonce=floor - 1)
            self.refused("cancelled quote", lambda: self.p.fill(quote, taker=TAKERS[0]), "quote: cancelled")
