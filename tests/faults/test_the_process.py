"""The keeper's own machine fails: its key, its clocks, its sleep. Faults by the numbers of RELIABILITY, on the rig."""

import signal

import pytest

from keeper.errors import AccountError
from keeper.execution.records import Result
from keeper.hedging.brief import answer
from tests.faults.killing import killing
from tests.faults.stage import GWEI, stage
from tests.faults.storm import storm

pytestmark = pytest.mark.timeout(3_600)  # on a busy machine


class BrokenSigner:
    """A signer that is down as long as a test says so."""

    def __init__(self, account):
        self.account, self.address, self.is_down = account, account.address, True

    def sign_transaction(self, transaction):
        if self.is_down:
            raise AccountError("The signer does not answer.")
        return self.account.sign_transaction(transaction)


def test_a_signer_that_is_down_burns_no_nonce_and_people_hear_of_it_at_once(arena, tmp_path):
    """Fault 15."""
    with storm(arena, tmp_path) as play:
        signer = BrokenSigner(arena.keeper)
        play.keeper._executor._account = signer
        play.tick()
        assert [end.result for _, end in play.transactions()] == [Result.UNSIGNED] * len(play.transactions())
        assert "signer-down" in {message.condition.key for message in play.told}
        assert play.journal.open_intents() == ()
        assert play.used_nonces() == play.first_nonce

        signer.is_down = False
        play.come_to_rest()
        play.check()


def test_a_signer_that_goes_down_leaves_what_was_sent_as_it_is(vault, journal):
    """Fault 15: nothing outbids it meanwhile."""
    with stage(vault, journal) as play:
        play.tick()
        signer = play.keeper._executor._account = BrokenSigner(vault.keeper)
        [intent] = journal.open_intents()
        play.play(4, base_fee=2 * intent.attempts[0].max_fee)
        assert [one.attempts for one in journal.open_intents()] == [intent.attempts]

        signer.is_down = False
        play.play(1, base_fee=2 * intent.attempts[0].max_fee)
        assert len(journal.open_intents()[0].attempts) == 2
        play.come_to_rest()
        play.check()


def test_a_clock_of_the_host_that_jumps_changes_no_decision(arena, tmp_path):
    """Fault 16: decisions go by the chain's time, waits by a clock that only goes forward."""
    with storm(arena, tmp_path, services=()) as play:
        for seconds in (0, -100_000, 10**9, -(10**9)):
            play.wall = seconds
            play.calm()
            play.tick()

        play.come_to_rest()
        play.check()
        records = [record for record in play.journal.decisions() if record.snapshot is not None]
        assert len(records) >= 4
        for record in records:
            assert answer(record.snapshot, record.policy, record.brief).legs == record.decision.legs
        assert play.halts() == set()


def test_a_host_that_sleeps_finds_its_transaction_expired_and_hedges_once(vault, journal):
    """Fault 16: its monotonic clock stood still as well."""
    with stage(vault, journal) as play:
        play.tick()
        play.chain.evict()
        play.chain.mine(GWEI, seconds=1_500)
        play.tick()
        ends = [end for _, end in play.transactions() if end is not None]
        assert (ends[0].result, ends[0].detail) == (
            Result.ABANDONED,
            "no node knows it, and now: rebalance: expired",
        )

        play.come_to_rest()
        assert vault.read("Hedger", "sequence") == 1
        play.check()


def test_a_contract_with_huge_and_hostile_words_is_refused_in_a_short_line(vault, journal):
    """Fault 20: a hundred thousand bytes of escape sequences, in the answer of every view."""
    fill = "7f" + b"\x1b[2J\n<b>".ljust(32, b"\x1b").hex()  # the word that is returned, at 0 and at 0x8000
    code = "0x" + fill + "5f52" + fill + "61800052" + "620186a0" + "5f" + "fd"
    with stage(vault, journal) as play:
        vault.market.rpc.call("anvil_setCode", vault.deployment.address("Hedger"), code)

        record = play.tick()

        assert record.decision.reason.isprintable()
        assert len(record.decision.reason) < 5_000
        assert "refused to answer" in record.decision.reason
        assert play.chain.pool == {}


def test_sigterm_in_mid_send_ends_the_process_in_order_and_the_next_one_goes_on(arena, tmp_path):
    """Fault 21: no new work, and the journal knows what was sent."""
    with killing(arena, tmp_path) as play:
        play.arm("eth_sendRawTransaction", 1, "before", by=signal.SIGTERM)
        assert play.machine.process.wait(1_200) == 0, play.machine.log
        [intent] = play.journal.open_intents()
        assert [one.tx_hash for one in intent.attempts] == [one.hash for one in play.chain.pool.values()]

        play.restart()
        play.come_to_rest()
        play.check()
