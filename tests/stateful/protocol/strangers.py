"""Whoever gives what nobody asked for, and whoever means harm."""

from __future__ import annotations

from random import Random

from tests.contracts.chain import WAD
from tests.contracts.protocol import VOL_POSTER, ZERO
from tests.stateful.protocol.books import HOMES
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import DEPOSITORS, TAKERS, World, usdc


class Strangers(World):
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
