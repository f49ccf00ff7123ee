"""The market and the clock, whoever governs, and whoever means harm."""

from __future__ import annotations

from random import Random

from keeper.domain.series import Position
from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.protocol import VOL_POSTER, ZERO, wad
from tests.stateful.protocol.books import HOMES
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import DEPOSITORS, RECIPIENT, TAKERS, World, usdc

_MOST = (wad(0.02), wad(0.20))  # fees
_PERIOD = 30 * DAY
_DUST = 10**12  # units, WAD: an exposure below it needs no price
_SILENCE = 3_960  # seconds; then the feed is stale


class Surroundings(World):
    # ------------------------------------------------------------------ the market and the clock

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

    # ------------------------------------------------------------------ gifts

    @rule(weight=2)
    def donate(self, draw: Random) -> None:
        """Invariant 8, attacks A3 and A4: a gift moves no price and is nobody's."""
        contract = draw.choice(list(self.auditor.holding))
        amount, who = usdc(draw.uniform(0.000001, 50_000)), self.p.stranger
        self.p.market.mint(who, amount)
        self.give(contract, "usdc", amount)
        to = self.auditor.holding[contract]
        self.attempt("donate", lambda: self.p.asset.transfer(to, amount, sender=who), contract, gift=True)

    @rule(weight=1)
    def donate_to_a_venue(self, draw: Random) -> None:
        """WETH or WBTC to one venue, aUSDC to the other: attack A4."""
        market, of, who = self.p.market, draw.choice(self.underlyings), self.p.stranger
        if draw.random() < 0.5:
            of.mint(who, of.piece)
            self.give(HOMES[of.token], of.token, of.piece)
            self.attempt(f"donate {of.token}", lambda: of.coin.transfer(of.spot, of.piece, sender=who), gift=True)
        else:
            market.mint(who, usdc(1_000))
            market.usdc.approve(market.aave, usdc(1_000), sender=who)
            give = (market.usdc, usdc(1_000), of.short, 0)
            if self.attempt("donate aUSDC", lambda: market.aave.supply(*give, sender=who), may_lose=True):
                moved = self.before.value - self.books.value
                assert abs(moved) <= 2 * 10**12, "invariant 8: a gift of aTokens is worth more than its rounding"

    @rule(weight=1, when=lambda world: any(world.books.holders[who].shares for who in DEPOSITORS))
    def shares_are_lost(self, draw: Random) -> None:
        """Somebody sends shares to the queue without a request."""
        who = draw.choice(DEPOSITORS)
        amount = self.books.holders[who].shares // 1_000
        self.give("RedemptionQueue", "shares", amount)
        self.attempt("lose shares", lambda: self.vault.transfer(self.queue, amount, sender=who))

    # ------------------------------------------------------------------ governor, guardian, anyone

    @rule(weight=2, when=lambda world: world.books.assessment is not None)
    def checkpoint(self, draw: Random) -> None:
        self.attempt("checkpoint", lambda: self.vault.checkpoint(sender=self.p.stranger))

    @rule(weight=1, when=lambda world: not world.books.accounts.latched)
    def guardian_latches(self, draw: Random) -> None:
        """Invariants 40 and 42: no deposits and sales, exits go on; then the governor unlatches."""
        self.attempt("latch", lambda: self.p.breaker.set_reduce_only(True, sender=self.p.guardian))
        who = draw.choice(DEPOSITORS)
        if self.books.assessment is not None:
            assert self.vault.maxDeposit(who) == 0
            self.refused(
                "deposit latched", lambda: self.vault.deposit(usdc(100), who, sender=who), "vault: reduce-only"
            )
            amount = int(self.vault.maxWithdraw(who)) // 50
            if amount > 0:
                done = self.attempt("withdraw latched", lambda: self.vault.withdraw(amount, who, who, sender=who))
                assert done, "invariant 42: no exit while latched"

    @rule(weight=4, when=lambda world: world.books.accounts.latched)
    def governor_unlatches(self, draw: Random) -> None:
        self.attempt("unlatch", lambda: self.p.breaker.set_reduce_only(False, sender=self.p.governor))

    @rule(weight=1, when=lambda world: world.books.assessment is not None and not world.books.assessment.unfixed)
    def crystallise(self, draw: Random) -> None:
        """Invariant 7: minting what is owed moves no price."""
        due = self.vault.accrual().crystallised_at + _PERIOD
        if due - self.now > 6 * DAY:
            return
        self.reach(due)
        self.attempt("crystallise", lambda: self.vault.crystallise(sender=self.p.stranger))

    @rule(weight=1, when=lambda world: world.books.assessment is not None and not world.books.assessment.unfixed)
    def fees_change(self, draw: Random) -> None:
        """Invariant 11."""
        terms = (RECIPIENT, _MOST[0] * draw.randint(0, 2) // 2, _MOST[1] * draw.randint(0, 2) // 2)
        self.attempt("set fees", lambda: self.vault.set_fees(terms, sender=self.p.governor))
        beyond = (RECIPIENT, _MOST[0] + 1, _MOST[1])
        set_fees = self.vault.set_fees
        self.refused("fees above the cap", lambda: set_fees(beyond, sender=self.p.governor), "fees: above the cap")

    # ------------------------------------------------------------------ harm

    @rule(weight=2)
    def stranger_tries_everything(self, draw: Random) -> None:
        """Invariants 39 and 40: what only a role or a component may call."""
        p, who, of = self.p, draw.choice([self.p.stranger, *TAKERS, *DEPOSITORS]), draw.choice(self.underlyings)
        name, call, why = draw.choice(
            [
                ("grant", lambda: p.vault.grant_role(who, 1, sender=who), "roles: not allowed"),
                (
                    "revoke",
                    lambda: p.vol_oracle.revoke_role(p.vol_poster, VOL_POSTER, sender=who),
                    "roles: not allowed",
                ),
                ("unlatch", lambda: p.breaker.set_reduce_only(False, sender=who), "roles: not allowed"),
                ("set fees", lambda: p.vault.set_fees((who, 0, 0), sender=who), "roles: not allowed"),
                ("list venue", lambda: p.vault.list_venue(who, of.index, sender=who), "roles: not allowed"),
                ("set limits", lambda: p.risk.set_limits(self.limits, sender=who), "roles: not allowed"),
                ("acquire", lambda: p.vault.acquire(sender=who), "vault: not a component"),
                ("release", lambda: p.vault.release(sender=who), "vault: not the lock's holder"),
                ("release", lambda: p.vault.release(sender=p.book.address), "vault: not the lock's holder"),
                (
                    "hedge",
                    lambda: p.vault.hedge(of.spot_index, 0, WAD, WAD, WAD, sender=who),
                    "vault: not the lock's holder",
                ),
                ("pay owed", lambda: p.vault.pay_owed(who, sender=who), "vault: not the lock's holder"),
                ("settle queue", lambda: p.vault.settle_queue(1, sender=who), "vault: not a component"),
                ("mint options", lambda: p.token.mint(who, 1, WAD, sender=who), "token: only option book"),
                ("trade", lambda: of.spot.trade(0, WAD, WAD, sender=who), "venue: only vault"),
                ("trade", lambda: of.short.trade(0, -WAD, WAD, sender=who), "venue: only vault"),
                ("callback", lambda: of.spot.uniswapV3SwapCallback(1, 1, b"", sender=who), "venue: not the pool"),
            ]
        )
        self.refused(f"stranger: {name}", call, why)

    @rule(weight=1, when=lambda world: any(each.supply for each in world.books.series.values()))
    def claim_too_early(self, draw: Random) -> None:
        id = draw.choice(list(self.books.series))
        self.refused("claim too early", lambda: self.p.clearing.claim(id, sender=TAKERS[0]), "claim: not settled")

    @rule(weight=1, when=lambda world: world.is_calm and world.tradable())
    def forge_a_quote(self, draw: Random) -> None:
        """Attack A17: another chain, another contract, another signer; a price that the mark does not allow."""
        p, id, who = self.p, draw.choice(self.tradable()), draw.choice(TAKERS)
        self.refresh(id)
        quote = p.quote(id)
        forged = draw.choice([{"chainId": 5}, {"verifyingContract": ZERO}, {"version": "2"}])
        fill = (quote, WAD, p.quoter.address, p.sign(quote, **forged))
        self.refused("forged quote", lambda: p.book.fill(*fill, sender=who), "quote: signature")
        cheap = quote._replace(price=quote.price - 1)
        self.impossible("cheap quote", lambda: p.fill(cheap, taker=who), "the ask mark")

    @rule(weight=1, when=lambda world: world.books.accounts.supply > 0)
    def an_exit_beyond_the_limit(self, draw: Random) -> None:
        """Invariant 4: one unit more than the limit is refused, whatever the reason."""
        who = draw.choice(DEPOSITORS)
        amount = int(self.vault.maxWithdraw(who)) + 1
        self.impossible("withdraw too much", lambda: self.vault.withdraw(amount, who, who, sender=who), "invariant 4")
