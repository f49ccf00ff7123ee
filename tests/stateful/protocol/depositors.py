"""What holders of shares do: in, out, and through the queue."""

from __future__ import annotations

from random import Random

import boa

from tests.contracts.chain import WAD
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import DEPOSITORS, World, shares, usdc

MIN_REQUEST = 100 * WAD


def _has_shares(world: World) -> bool:
    return any(world.books.holders[who].shares for who in DEPOSITORS)


class Depositors(World):
    @rule(weight=6, when=lambda world: world.is_calm)
    def deposit(self, draw: Random) -> None:
        """Invariant 4: what the limit says is accepted."""
        who, amount = draw.choice(DEPOSITORS), usdc(draw.uniform(100, 60_000))
        most = int(self.vault.maxDeposit(who))
        if draw.random() < 0.9:  # else beyond it, now and then
            amount = min(amount, most)
        if amount < usdc(100):
            return
        self.p.market.mint(who, amount)
        done = self.attempt("deposit", lambda: self.vault.deposit(amount, who, sender=who), f"{amount}")
        assert done == (amount <= most), f"invariant 4: maxDeposit of {most} is not honoured"

    @rule(weight=3, when=lambda world: world.is_calm)
    def mint(self, draw: Random) -> None:
        """Invariant 4: what the limit says is accepted."""
        who, amount = draw.choice(DEPOSITORS), shares(draw.uniform(150, 40_000)) + draw.randrange(10**12)
        most = int(self.vault.maxMint(who))
        if draw.random() < 0.9:  # else beyond it, now and then
            amount = min(amount, most)
        if self.vault.previewMint(amount) < usdc(101):
            return
        self.p.market.mint(who, self.vault.previewMint(amount))
        done = self.attempt("mint", lambda: self.vault.mint(amount, who, sender=who), f"{amount}")
        assert done == (amount <= most), f"invariant 4: maxMint of {most} is not honoured"

    @rule(weight=4, when=_has_shares)
    def withdraw(self, draw: Random) -> None:
        """A part of what the limit says, or all of it: invariant 4."""
        who = draw.choice(DEPOSITORS)
        most = int(self.vault.maxWithdraw(who))
        amount = most if draw.random() < 0.2 else most * draw.randint(1, 60) // 100
        if amount > 0:
            done = self.attempt("withdraw", lambda: self.vault.withdraw(amount, who, who, sender=who), f"{amount}")
            assert done, f"invariant 4: maxWithdraw of {most} is not honoured"

    @rule(weight=4, when=_has_shares)
    def redeem(self, draw: Random) -> None:
        """A part of what the limit says, or all of it: invariant 4."""
        who = draw.choice(DEPOSITORS)
        most = int(self.vault.maxRedeem(who))
        amount = most if draw.random() < 0.2 else most * draw.randint(1, 60) // 100
        if amount > 0 and self.vault.previewRedeem(amount) > 0:
            done = self.attempt("redeem", lambda: self.vault.redeem(amount, who, who, sender=who), f"{amount}")
            assert done, f"invariant 4: maxRedeem of {most} is not honoured"

    @rule(weight=1, when=lambda world: world.is_calm)
    def round_trip(self, draw: Random) -> None:
        """Invariants 2 and 3: in and out at once, exactly at the previews, for less than was paid."""
        who, amount = draw.choice(DEPOSITORS), usdc(draw.uniform(100, 20_000))
        with boa.env.anchor():
            self.p.market.mint(who, amount)
            if self.vault.maxDeposit(who) < amount:
                return
            start, promised = int(self.p.asset.balanceOf(who)), self.vault.previewDeposit(amount)
            assert self.vault.deposit(amount, who, sender=who) == promised, "invariant 3: a preview of a deposit"
            out = min(int(promised), int(self.vault.maxRedeem(who)))
            if self.vault.previewRedeem(out) == 0:
                return
            due = self.vault.previewRedeem(out)
            assert self.vault.redeem(out, who, who, sender=who) == due, "invariant 3: a preview of a redemption"
            kept = self.vault.previewRedeem(promised - out)
            assert self.p.asset.balanceOf(who) + kept <= start + 1, "invariant 2: a round trip gains"

    @rule(weight=2, when=_has_shares)
    def transfer_shares(self, draw: Random) -> None:
        who, to = draw.sample(DEPOSITORS, 2)
        amount = self.books.holders[who].shares * draw.randint(0, 50) // 100
        self.attempt("transfer shares", lambda: self.vault.transfer(to, amount, sender=who), f"{amount}")

    # ------------------------------------------------------------------ the queue

    @rule(weight=3, when=lambda world: any(world.books.holders[who].shares >= MIN_REQUEST for who in DEPOSITORS))
    def request(self, draw: Random) -> None:
        who = draw.choice([who for who in DEPOSITORS if self.books.holders[who].shares >= MIN_REQUEST])
        self.ask(who, draw.randint(1, 40), draw)

    def ask(self, who: str, percent: int, draw: Random) -> None:
        """Queue so much of what ``who`` holds, once what waits of an earlier epoch has joined the pool."""
        request = self.queue.request_of(who)
        if request.waiting > 0 and request.epoch != self.queue.epoch():
            self.settle_epoch(draw)
        held = self.books.holders[who].shares
        amount = max(held * percent // 100, min(MIN_REQUEST, held))

        def requested() -> None:
            self.queue.requestRedeem(amount, who, who, sender=who)
            self.ghost.requested[who] += amount

        self.attempt("request", requested, f"{amount}")

    @rule(weight=1, when=lambda world: any(world.books.holders[who].pending for who in DEPOSITORS))
    def cancel(self, draw: Random) -> None:
        """Invariant 18: exactly what was asked for comes back."""
        waiting = [who for who in DEPOSITORS if self.queue.request_of(who).epoch == self.queue.epoch()]
        waiting = [who for who in waiting if self.queue.request_of(who).waiting > 0]
        if not waiting:
            return
        who = draw.choice(waiting)
        amount, held = int(self.queue.request_of(who).waiting), self.books.holders[who].shares

        def cancelled() -> None:
            self.queue.cancel(who, who, sender=who)
            self.ghost.requested[who] -= amount

        if self.attempt("cancel", cancelled):
            assert self.books.holders[who].shares == held + amount, "invariant 18: a cancelled request"

    @rule(weight=2, when=lambda world: world.books.accounts.pending > 0)
    def settle_epoch(self, draw: Random) -> None:
        """After the close, with rounds since; at the bid of this block and no unit more."""
        step = self.queue.next_settlement()
        if step.shares == 0:
            return
        self.reach(step.closes_at + 60)
        if not self.queue.can_settle():
            return
        bid, was = self.books.price("bid"), self.books.accounts

        def settled() -> None:
            self.queue.settle_epoch(sender=self.p.stranger)
            self.ghost.roundings += 1

        assert self.attempt("settle epoch", settled), "invariant 4: can_settle lies"
        paid = self.books.accounts.reserved - was.reserved
        assert paid <= (was.supply - self.books.accounts.supply) * bid, "invariant 15: paid more than the bid"

    @rule(weight=3, when=lambda world: any(world.books.holders[who].claimable for who in DEPOSITORS))
    def claim(self, draw: Random) -> None:
        """Invariant 42: in any state of the vault and its oracles."""
        who = draw.choice([who for who in DEPOSITORS if self.books.holders[who].claimable])
        amount = self.books.holders[who].claimable * draw.choice([10, 50, 100]) // 100
        if amount == 0:
            return

        def claimed() -> None:
            self.queue.redeem(amount, who, who, sender=who)
            self.ghost.claimed[who] += amount

        assert self.attempt("claim", claimed), "invariant 42: a claim is refused"
