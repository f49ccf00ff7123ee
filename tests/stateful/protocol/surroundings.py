"""The market, the clock, and what happens without anybody's ill will."""

from __future__ import annotations

from random import Random

from keeper.domain.series import Position
from tests.contracts.chain import DAY, HOUR, WAD
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import DEPOSITORS, World, usdc

_DUST = 10**12  # units, WAD: an exposure below it needs no price
_SILENCE = 3_960  # seconds; then the feed is stale


class Surroundings(World):
    @rule(weight=4)
    def price_moves(self, draw: Random) -> None:
        """That of ETH and that of BTC."""
        self.reach(self.now + 600)
        self.move([each.moved(draw.gauss(0, 0.02)) for each in self.underlyings], "price moves")

    @rule(weight=1)
    def pool_runs_ahead(self, draw: Random) -> None:
        """The pool moves and the feed does not: attack A13 in small. Ends by itself."""
        self.push_pool(draw.choice(self.underlyings), draw.uniform(-0.015, 0.015))

    @rule(weight=4)
    def time_passes(self, draw: Random) -> None:
        self.reach(self.now + draw.choice([60, HOUR, 6 * HOUR, 20 * HOUR]))

    @rule(weight=1)
    def feeds_fall_silent(self, draw: Random) -> None:
        """Invariant 4: without a price limits are zero and do not revert, where something depends on it. Then the feeds
        answer again."""
        self.reach(self.now + 2 * HOUR)
        has_options = any(Position.from_slot(slot).size_wad for slot in self.p.book.live_book())
        exposures = [size for each in self.underlyings for size in (each.held(), each.owed())]
        needs_price = has_options or max(exposures) > _DUST
        self.attempt("feeds fall silent", lambda: self.p.market.pass_time(_SILENCE), market=True)
        assert (self.books.assessment is None) == needs_price
        if not needs_price:
            self.attempt("feeds answer", lambda: self.p.market.wait(1), market=True)
            return
        who = draw.choice(DEPOSITORS)
        limits = (
            self.vault.maxDeposit(who),
            self.vault.maxMint(who),
            self.vault.maxWithdraw(who),
            self.vault.maxRedeem(who),
        )
        assert limits == (0, 0, 0, 0), "invariant 4: limits without a price"
        reason = "oracle: stale" if has_options else "risk: no price"
        self.refused("deposit without a price", lambda: self.vault.deposit(usdc(100), who, sender=who), reason)
        self._exit_frozen(draw)
        self.attempt("feeds answer", lambda: self.p.market.wait(1), market=True)

    def _exit_frozen(self, draw: Random) -> None:
        """Invariants 7 and 42: out at nine tenths of the last price, and with no more than one's part of the cash."""
        breaker, was, usdc = self.p.breaker, self.books, self.p.asset
        who = max(DEPOSITORS, key=lambda each: was.holders[each].shares)
        amount = was.holders[who].shares * draw.choice([1, 10, 100]) // 100
        due, good = int(breaker.preview_exit_frozen(amount)), breaker.last_good()
        if due == 0:
            return
        had, free = usdc.balanceOf(who), was.accounts.idle + int(self.p.lending.withdrawable())
        done = self.attempt("exit frozen", lambda: breaker.exit_frozen(amount, who, sender=who), f"{amount}")
        assert done, "invariant 42: a frozen exit is refused"
        assert usdc.balanceOf(who) - had == due, "invariant 3: a preview of a frozen exit"
        assert due * 10**30 <= amount * good.price * 9 // 10, "invariant 7: a frozen exit above nine tenths"
        cash = max(free - was.accounts.owed, 0) * 10**12 - good.initial
        assert due * 10**12 * was.accounts.supply <= max(cash, 0) * amount, "invariant 7: a frozen exit above its part"

    @rule(weight=1)
    def exit_frozen_in_vain(self, draw: Random) -> None:
        """Invariant 7: not while NAV can be computed."""
        if self.books.assessment is not None:
            who = draw.choice(DEPOSITORS)
            call = self.p.breaker.exit_frozen
            self.refused("frozen exit in vain", lambda: call(WAD, who, sender=who), "breaker: not frozen")

    @rule(weight=1)
    def vault_expires(self, draw: Random) -> None:
        """To the next expiry, at a price near it."""
        if self.next_expiry - self.now < 8 * DAY:
            self.expire(self.next_expiry, [each.moved(draw.gauss(0, 0.01)) for each in self.underlyings])

    @rule(weight=1)
    def aave_is_liquidated(self, draw: Random) -> None:
        """Attack A22: somebody liquidates the vault's own short as soon as Aave lets him."""
        market, of, who = self.p.market, draw.choice(self.underlyings), self.p.stranger
        health = market.aave.getUserAccountData(of.short)[5]
        liquidate = market.aave.liquidationCall
        if health < WAD:
            of.mint(who, of.piece)
            of.coin.approve(market.aave, of.piece, sender=who)
            call = (market.usdc, of.coin, of.short, of.piece // 10, False)
            self.attempt("Aave liquidates", lambda: liquidate(*call, sender=who), market=True)
