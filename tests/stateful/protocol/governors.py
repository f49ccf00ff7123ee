"""What governor and guardian do, and what anyone may record for them."""

from __future__ import annotations

from random import Random

from tests.contracts.chain import DAY
from tests.contracts.protocol import wad
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import DEPOSITORS, RECIPIENT, World, usdc

_MOST = (wad(0.02), wad(0.20))  # fees
_PERIOD = 30 * DAY


class Governors(World):
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
