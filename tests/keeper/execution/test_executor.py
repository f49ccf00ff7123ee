"""One economic action per intent, whatever breaks between signing and the receipt (RELIABILITY, keeper faults 1-4)."""

import pytest
from web3.logs import DISCARD

from keeper.chain.rpc import Connection
from keeper.domain.decision import Leg
from keeper.errors import RpcError, RpcUnavailableError
from keeper.execution.executor import Executor
from keeper.execution.records import Result
from tests.keeper.execution.rebalances import an_intent, exposure, nonce


class LosingConnection(Connection):
    """Loses sends: before they reach the node, or only the reply."""

    reaches_node = True

    def send_raw(self, transaction):
        if self.reaches_node:
            super().send_raw(transaction)
        raise RpcUnavailableError("The node did not answer.")


class CountingConnection(Connection):
    sends = 0

    def send_raw(self, transaction):
        self.sends += 1
        return super().send_raw(transaction)


class RefusingConnection(Connection):
    """Takes no transaction at all."""

    def send_raw(self, transaction):
        raise RpcError("eth_sendRawTransaction", "unauthorized")


class PowerCut(BaseException):
    """The process ends here."""


def test_a_rebalance_is_made_once_and_logs_the_decisions_hash(vault, journal, make_executor):
    record, intent = an_intent(vault, journal)

    outcome = make_executor().execute(intent)

    assert outcome.result is Result.CONFIRMED
    assert exposure(vault) == 20 * 10**18
    [(intent, recorded)] = journal.transactions_of(record.id)
    assert recorded == outcome
    assert len(intent.attempts) == 1
    receipt = vault.w3.eth.get_transaction_receipt(outcome.tx_hash)
    assert (outcome.block_number, outcome.gas_used) == (receipt["blockNumber"], receipt["gasUsed"])
    event = vault.contract("Hedger").events.Rebalanced().process_receipt(receipt, errors=DISCARD)[0]
    assert "0x" + event["args"]["decision_hash"].hex() == record.decision_hash
    assert journal.open_intents() == ()


def test_what_would_revert_is_not_sent_and_the_reason_is_kept(vault, journal, make_executor):
    nothing_held = Leg(venue=0, pool=0, delta_change=-20 * 10**18, limit_price=2_990 * 10**18)
    record, intent = an_intent(vault, journal, nothing_held)
    before = nonce(vault)

    outcome = make_executor().execute(intent)

    assert (outcome.result, outcome.detail) == (Result.REFUSED, "venue: more than held")
    [(intent, recorded)] = journal.transactions_of(record.id)
    assert (intent.attempts, recorded) == ((), outcome)
    assert nonce(vault) == before


def test_of_two_rebalances_with_one_sequence_the_second_is_refused(vault, journal, make_executor):
    _, intent = an_intent(vault, journal)
    _, again = an_intent(vault, journal)
    executor = make_executor()
    executor.execute(intent)

    outcome = executor.execute(again)

    assert (outcome.result, outcome.detail) == (Result.REFUSED, "rebalance: sequence")
    assert exposure(vault) == 20 * 10**18


def test_after_a_crash_between_storing_and_sending_the_stored_transaction_is_sent(
    vault, journal, make_executor, monkeypatch
):
    """Fault 1: exactly one economic action."""
    record, intent = an_intent(vault, journal)
    doomed = make_executor()
    monkeypatch.setattr(doomed, "_send", _power_cut)
    with pytest.raises(PowerCut):
        doomed.execute(intent)
    [left] = journal.open_intents()

    in_flight = make_executor().reconcile()

    assert in_flight == ()
    assert exposure(vault) == 20 * 10**18
    [(intent, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED
    assert intent.attempts == left.attempts
    assert outcome.tx_hash == left.attempts[0].tx_hash


def test_after_a_crash_before_signing_nothing_is_done(vault, journal, make_executor, monkeypatch):
    record, intent = an_intent(vault, journal)
    doomed = make_executor()
    monkeypatch.setattr(doomed, "_sign", _power_cut)
    with pytest.raises(PowerCut):
        doomed.execute(intent)

    assert make_executor().reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.ABANDONED
    assert exposure(vault) == 0


def _power_cut(*_):
    raise PowerCut


def test_a_lost_reply_is_found_mined_and_not_sent_again(vault, journal, make_executor):
    """Fault 2: the send was accepted, the reply lost."""
    record, intent = an_intent(vault, journal)
    assert make_executor(LosingConnection).execute(intent) is None
    [left] = journal.open_intents()
    vault.w3.eth.wait_for_transaction_receipt(left.attempts[0].tx_hash)
    connection = CountingConnection(vault.url)

    in_flight = Executor(connection, vault.keeper, journal).reconcile()

    assert in_flight == ()
    assert connection.sends == 0
    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED
    assert exposure(vault) == 20 * 10**18


def test_what_waits_in_the_mempool_stays_in_flight_and_is_then_found(vault, journal, make_executor):
    vault.market.rpc.call("evm_setAutomine", False)
    _, intent = an_intent(vault, journal)
    executor = make_executor(wait_seconds=0)

    assert executor.execute(intent) is None
    assert [left.call.purpose for left in executor.reconcile()] == ["rebalance 0"]

    vault.market.rpc.call("evm_mine")
    assert executor.reconcile() == ()
    assert exposure(vault) == 20 * 10**18


def test_a_transaction_that_the_mempool_dropped_is_sent_again_as_it_was(vault, journal, make_executor):
    """Fault 4."""
    vault.market.rpc.call("evm_setAutomine", False)
    record, intent = an_intent(vault, journal)
    make_executor(wait_seconds=0).execute(intent)
    vault.market.rpc.call("anvil_dropAllTransactions")
    vault.market.rpc.call("evm_setAutomine", True)

    assert make_executor().reconcile() == ()

    [(intent, outcome)] = journal.transactions_of(record.id)
    assert (len(intent.attempts), outcome.result) == (1, Result.CONFIRMED)
    assert exposure(vault) == 20 * 10**18


def test_a_dropped_transaction_that_would_fail_by_now_is_given_up(vault, journal, make_executor):
    record, intent = an_intent(vault, journal)
    executor = make_executor(LosingConnection)
    executor._connection.reaches_node = False
    executor.execute(intent)
    vault.market.step(3_000, timestamp=record.timestamp + 600)

    assert executor.reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert (outcome.result, outcome.detail) == (Result.ABANDONED, "no node knows it, and now: rebalance: expired")
    assert exposure(vault) == 0


def test_what_is_mined_too_late_has_failed_and_only_cost_gas(vault, journal, make_executor):
    """Fault 12: the contract checks again."""
    vault.market.rpc.call("evm_setAutomine", False)
    record, intent = an_intent(vault, journal)
    executor = make_executor(wait_seconds=0)
    executor.execute(intent)
    vault.market.warp(600)

    assert executor.reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.FAILED
    assert exposure(vault) == 0


def test_when_the_nonce_was_used_elsewhere_the_intent_is_superseded(vault, journal, make_executor):
    """Fault 6."""
    record, intent = an_intent(vault, journal)
    executor = make_executor(LosingConnection)
    executor._connection.reaches_node = False
    executor.execute(intent)
    vault.send("keeper", "Vault", "checkpoint")

    assert executor.reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.SUPERSEDED
    assert exposure(vault) == 0


def test_a_keeper_without_ether_is_told_so_by_the_node_and_burns_no_nonce(vault, journal, make_executor):
    """Fault 15: low gas. Who is told before: tests/keeper/runtime/test_watch.py."""
    _, intent = an_intent(vault, journal)
    vault.market.rpc.call("anvil_setBalance", vault.keeper.address, "0x1")
    before = nonce(vault)

    outcome = make_executor().execute(intent)

    assert outcome.result is Result.REFUSED
    assert "insufficient" in outcome.detail.lower()
    assert nonce(vault) == before


def test_what_the_relay_refuses_the_node_gets(vault, journal, make_executor):
    """A relay whose key has lapsed says so to every transaction: the vault is hedged in sight rather than not."""
    _, intent = an_intent(vault, journal)

    outcome = make_executor(relay=RefusingConnection(vault.url)).execute(intent)

    assert outcome.result is Result.CONFIRMED
    assert exposure(vault) == 20 * 10**18


def test_waiting_for_a_receipt_can_be_interrupted(vault, journal, make_executor):
    """Fault 21: SIGTERM in mid-send keeps the journal."""
    vault.market.rpc.call("evm_setAutomine", False)
    _, intent = an_intent(vault, journal)
    waits = []
    executor = make_executor(sleep=lambda seconds: waits.append(seconds) is None)

    assert executor.execute(intent) is None

    assert len(waits) == 1
    assert len(journal.open_intents()) == 1


def test_a_call_by_someone_without_the_role_is_refused_with_the_contracts_reason(vault, journal):
    _, intent = an_intent(vault, journal)
    stranger = vault.sender("stranger").account

    outcome = Executor(vault.connection, stranger, journal).execute(intent)

    assert (outcome.result, outcome.detail) == (Result.REFUSED, "roles: not allowed")
