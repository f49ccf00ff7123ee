"""Any sequence of requests, cancellations, settlements, gains, losses and claims, against exact fractions in Python.

Every rule counts how often it was tried and how often the contract let it through; below 30 % the suite proves nothing
and fails.
"""

import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import boa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contracts.chain import USDC, WAD, account, reason
from tests.contracts.conftest import market  # noqa: F401
from tests.contracts.protocol import SPOT, Protocol
from tests.stateful.success import SuccessRates

USERS = [account(f"redeemer {i}") for i in range(4)]
DEPOSIT = 20_000
EXPECTED = {  # the only reasons that a rule may be refused for
    "request": {"queue: settle the earlier request first", "queue: below minimum request"},
    "cancel": {"queue: nothing to cancel"},
    "settle": {"queue: nobody waits", "queue: epoch not closed", "queue: no cash to pay with"},
    "claim": {"queue: more than claimable"},
    "gain_or_lose": set(),
    "rescue": set(),
}
rates = SuccessRates()
kinds: Counter[str] = Counter()  # settlements, by how much of the pool was paid


@dataclass
class Account:
    """What a user asked for, in shares; `pooled`, `assets` exact."""

    requested: int = 0
    claimed: int = 0
    claimed_assets: int = 0
    epoch: int = -1
    waiting: int = 0
    pooled: Fraction = Fraction(0)
    assets: Fraction = Fraction(0)
    settlements: int = 0  # each can round once


@pytest.fixture(scope="session")
def vault(market: Any) -> Protocol:  # noqa: F811
    """A vault of four depositors, three quarters of it in ETH: cash is short."""
    protocol = Protocol(market)
    for user in USERS:
        protocol.deposit(DEPOSIT * USDC, user)
        protocol.vault.approve(protocol.queue, 2**256 - 1, sender=user)
    protocol.loosen(loss_capacity=WAD, loss_per_day=WAD)
    protocol.rebalance(protocol.leg(SPOT, 10), protocol.leg(SPOT, 10, pool=1))
    return protocol


class Queue(RuleBasedStateMachine):
    """`protocol` is set by the test."""

    protocol: Protocol

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(boa.env.anchor())
        self.accounts = {user: Account() for user in USERS}

    def teardown(self) -> None:
        self.stack.close()

    def attempt(self, name: str, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the contract; None when it refused for a reason that is expected of this rule."""
        try:
            answer = call(*args, **kwargs)
        except boa.BoaError as error:
            if reason(error) not in EXPECTED[name]:
                raise
            rates.count(name, False)
            return None
        rates.count(name, True)
        return answer

    @rule(user=st.sampled_from(USERS), shares=st.integers(100, 3_000), dust=st.integers(0, WAD - 1))
    def request(self, user: str, shares: int, dust: int) -> None:
        queue, amount = self.protocol.queue, shares * WAD + dust
        amount = min(amount, self.protocol.vault.balanceOf(user))
        if self.attempt("request", queue.requestRedeem, amount, user, user, sender=user) is None:
            return
        mine = self.accounts[user]
        mine.requested, mine.waiting, mine.epoch = mine.requested + amount, mine.waiting + amount, queue.epoch()

    @rule(user=st.sampled_from(USERS))
    def cancel(self, user: str) -> None:
        """Invariant 18. Who has nothing to cancel asks first."""
        queue, vault, mine = self.protocol.queue, self.protocol.vault, self.accounts[user]
        if mine.waiting == 0:
            self.request(user, 100, 0)
        before = vault.balanceOf(user)
        if self.attempt("cancel", queue.cancel, user, user, sender=user) is None:
            return
        assert vault.balanceOf(user) - before == mine.waiting
        mine.requested, mine.waiting = mine.requested - mine.waiting, 0

    @rule(closes=st.sampled_from([True, True, True, False]), percent=st.sampled_from([0, 1, 10, 50, 90, 200]))
    def settle(self, closes: bool, percent: int) -> None:
        """With cash for about so many percent of the pool."""
        queue = self.protocol.queue
        if queue.next_settlement().shares == 0:
            self.request(USERS[-1], 500, 0)
        if closes:
            self.protocol.close_epoch()
        worth = self.protocol.vault.previewRedeem(queue.next_settlement().shares)
        self._set_idle(worth * percent // 100)
        could, step, pool = queue.can_settle(), queue.next_settlement(), queue.pooled()
        answer = self.attempt("settle", queue.settle_epoch)
        assert could == (answer is not None)
        if answer is None:
            return
        shares, assets = answer
        kinds["none" if shares == 0 else "part" if shares < step.shares else "all"] += 1
        if step.joins:
            for mine in self.accounts.values():
                if mine.waiting and mine.epoch == step.epoch:
                    mine.pooled, mine.waiting = mine.pooled + mine.waiting, 0
        assert step.shares >= pool
        for mine in self.accounts.values():
            if mine.pooled:
                mine.assets += mine.pooled * assets / step.shares
                mine.pooled -= mine.pooled * shares / step.shares
                mine.settlements += 1

    @rule(permille=st.integers(1, 110))
    def rescue(self, permille: int) -> None:
        """What a bid of the auction's rescue has cost is burned from the pool, as the auction does it."""
        queue = self.protocol.queue
        if queue.pooled() == 0:
            self.settle(True, 0)
        pool, price = queue.pooled(), self.protocol.vault.previewRedeem(10**6 * WAD)
        if pool == 0:
            rates.count("rescue", False)  # nobody waits: there is nothing to rescue
            return
        burned = pool * permille // 1_000
        self.attempt("rescue", queue.bear, burned, sender=str(self.protocol.auction.address))
        assert queue.pooled() == pool - burned
        assert self.protocol.vault.previewRedeem(10**6 * WAD) >= price
        for mine in self.accounts.values():
            if mine.pooled:
                mine.pooled -= mine.pooled * burned / pool
                mine.settlements += 1

    @rule(idle=st.integers(0, 40_000))
    def gain_or_lose(self, idle: int) -> None:
        """Any amount of cash, none included."""
        self._set_idle(idle * USDC)
        rates.count("gain_or_lose", True)

    def _set_idle(self, idle: int) -> None:
        vault = self.protocol.vault
        missing = idle - self.protocol.market.usdc.balanceOf(vault)
        if missing > 0:
            self.protocol.market.mint(str(vault.address), missing)
        self.protocol.overwrite("idle", idle)

    @rule(user=st.sampled_from(USERS), part=st.integers(1, 4), by_assets=st.booleans())
    def claim(self, user: str, part: int, by_assets: bool) -> None:
        queue, mine = self.protocol.queue, self.accounts[user]
        most = queue.maxWithdraw(user) if by_assets else queue.maxRedeem(user)
        if most == 0:
            if mine.waiting == 0:
                self.request(user, 500, 0)
            self.settle(True, 200)
            most = queue.maxWithdraw(user) if by_assets else queue.maxRedeem(user)
        before = self.protocol.market.usdc.balanceOf(user)
        function = queue.withdraw if by_assets else queue.redeem
        answer = self.attempt("claim", function, most // part, user, user, sender=user)
        if answer is None:
            return
        mine.claimed += answer if by_assets else most // part
        mine.claimed_assets += self.protocol.market.usdc.balanceOf(user) - before

    @invariant()
    def every_share_is_pending_claimable_or_claimed(self) -> None:
        """Invariant 13."""
        queue = self.protocol.queue
        for user, mine in self.accounts.items():
            pending, claimable = queue.pendingRedeemRequest(0, user), queue.claimableRedeemRequest(0, user)
            assert pending + claimable + mine.claimed == mine.requested
            assert 0 <= mine.pooled + mine.waiting - pending <= mine.settlements + 1

    @invariant()
    def everybody_is_paid_his_exact_part_rounded_down(self) -> None:
        """Invariants 14 and 16: whoever claims when, in whatever parts."""
        queue, total = self.protocol.queue, 0
        for user, mine in self.accounts.items():
            claimable = queue.maxWithdraw(user)
            total += claimable
            assert 0 <= mine.assets - mine.claimed_assets - claimable <= mine.settlements + 1
        assert total <= queue.reserved()

    @invariant()
    def the_ledger_holds(self) -> None:
        """Invariants 1, 19 and 47."""
        queue = self.protocol.queue
        assert self.protocol.ledger_problems([*USERS, str(queue.address)]) == []
        assert queue.total_pending() == sum(queue.pendingRedeemRequest(0, user) for user in USERS) + self._dust()

    def _dust(self) -> int:
        """Shares in the pool that rounding left to nobody."""
        queue = self.protocol.queue
        dust = int(queue.pooled()) - sum(queue.request_of(user).shares for user in USERS)
        assert 0 <= dust <= sum(mine.settlements + 1 for mine in self.accounts.values())
        return dust


def test_any_sequence_of_calls(vault: Protocol, record_property: Any) -> None:
    Queue.protocol = vault
    examples, steps = (200, 50) if os.environ.get("HYPOTHESIS_PROFILE") == "stress" else (25, 30)
    check = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )

    run_state_machine_as_test(Queue, settings=check)

    rates.record(record_property, "the redemption queue")
    assert min(kinds["none"], kinds["part"], kinds["all"]) >= 3
    assert rates.too_low() == []
