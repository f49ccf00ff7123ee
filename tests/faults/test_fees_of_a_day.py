"""What is decided is sent, at the fees of a day with a crash in it, by a book as large as a real one (fault 3).

A rebalance of eighteen series takes three million gas: at 30 gwei that is a tenth of an ether.
"""

import math
import random
from statistics import quantiles

import pytest

from keeper.domain.decision import Action
from keeper.execution.records import Kind, Result
from keeper.runtime.heartbeat import MAX_BASE_FEE
from keeper.simulation.fork import Fork
from tests.faults.stage import GWEI, stage
from tests.keeper.vault_on_fork import DEPOSIT, SPOT, vault_on_fork

EVERY = 1_800  # seconds between the day's looks at the market
LOOKS = 86_400 // EVERY
CRASH = range(LOOKS // 3, LOOKS // 3 + 8)  # four hours in which it falls by a tenth
CHEAPEST, DEAREST = 1, 60  # gwei
PATIENCE = 5  # blocks until what was sent is mined


@pytest.fixture
def large():
    """Three million USDC, short sixteen series of four expiries besides the usual two."""
    with Fork() as fork:
        vault = vault_on_fork(fork.url, fork.w3, 3 * DEPOSIT)
        for weeks in range(1, 5):
            for is_call, strike in ((True, 3_100), (True, 3_300), (False, 2_900), (False, 2_700)):
                vault.sell(vault.list_series(is_call=is_call, strike=strike, weeks=weeks), 15)
        vault.market.step(SPOT)
        yield vault


class Day:
    """Prices and base fees by a seed: gas is dear while the market falls."""

    def __init__(self, play, seed=0):
        self.play, self.dice, self.price = play, random.Random(seed), float(SPOT)

    def look(self, number):
        """The market has moved, the keeper looks at it, and the blocks come that what it sends needs."""
        is_crash = number in CRASH
        self.price *= math.exp(self.dice.gauss(0, 0.004) - 0.1 / len(CRASH) * is_crash)
        dearth = self.dice.uniform(0.5, 1.0) if is_crash else self.dice.random() ** 2
        base_fee = int(CHEAPEST * GWEI * (DEAREST / CHEAPEST) ** dearth)
        self.block(base_fee, EVERY)
        for _ in range(PATIENCE):
            if not self.play.journal.open_intents():
                return
            self.block(min(int(base_fee * self.dice.choice((1.0, 1.3, 2.5))), DEAREST * GWEI), 12)

    def block(self, base_fee, seconds):
        self.play.chain.mine(base_fee, seconds, self._move)
        self.play.tick()

    def _move(self, timestamp, base_fee):
        self.play.vault.market.step(self.price, timestamp=timestamp, base_fee=base_fee)


def acted(play, kind):
    """What was decided to do, oldest first, with the base fee then and what became of it."""
    return [
        (base_fee_at(play, record.block_number), intent, outcome)
        for record in play.journal.decisions()
        if record.kind is kind and record.decision.action is Action.TRADE
        for intent, outcome in play.journal.transactions_of(record.id)
    ]


def base_fee_at(play, block_number):
    return int(play.chain.rpc.call("eth_getBlockByNumber", hex(block_number), False)["baseFeePerGas"], 16)


def test_over_a_day_of_1_to_60_gwei_every_hedge_is_sent_and_no_duty_is_too_dear(large, journal):
    with stage(large, journal) as play:
        day = Day(play)
        for number in range(LOOKS):
            day.look(number)
            assert play.is_hedged()

        hedges, beats = acted(play, Kind.HEDGE), acted(play, Kind.HEARTBEAT)
        for _, intent, outcome in (*hedges, *beats):
            assert intent.attempts, f"{intent.call.purpose}: {outcome.detail}"
            assert outcome.result is Result.CONFIRMED, f"{intent.call.purpose}: {outcome.detail}"
        fees = [base_fee for base_fee, _, _ in hedges]
        assert len(hedges) >= 5
        assert quantiles(fees, n=4)[1] > 10 * GWEI  # they fall into the dear hours
        assert min(outcome.gas_used for _, _, outcome in hedges) > 2_000_000  # of a book that is as large as real ones
        cheap = [one for one in range(play.first_block + 1, play.chain.head) if base_fee_at(play, one) <= MAX_BASE_FEE]
        assert len(beats) >= len(cheap) // 3 > 0
        play.check()


def test_at_800_gwei_only_what_is_worth_it_is_sent(vault, journal):
    """Delta is three bands away, which may cost more than an ether in a day; a rally makes it five."""
    with stage(vault, journal) as play:
        day = Day(play)
        day.block(800 * GWEI, 12)
        [(_, intent, outcome)] = acted(play, Kind.HEDGE)
        assert (outcome.result, intent.attempts) == (Result.REFUSED, ())
        assert "gas at a base fee of 800.00 gwei cost more than the 1." in outcome.detail
        assert play.used_nonces() == play.first_nonce

        day.price *= 1.03
        day.block(800 * GWEI, 12)
        day.block(800 * GWEI, 12)

        _, (_, intent, outcome), *_ = acted(play, Kind.HEDGE)
        assert outcome.result is Result.CONFIRMED
        assert outcome.gas_used * outcome.gas_price > 10**18
        assert acted(play, Kind.HEARTBEAT) == []
        play.come_to_rest()
        play.check()
