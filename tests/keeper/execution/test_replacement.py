"""What waits, is dropped, reorganised or overtaken comes to one end, and its nonce with it (faults 3 to 6)."""

import pytest

from keeper.chain.rpc import Connection
from keeper.domain.decision import DeltaChange
from keeper.errors import RpcError, RpcUnavailableError
from keeper.execution.executor import REPLACE_AFTER
from keeper.execution.finality import FINAL_DEPTH
from keeper.execution.records import FEE_FLOOR, Result
from keeper.execution.states import State
from tests.keeper.execution.rebalances import BUY_2, an_intent, exposure, nonce, states_of

GWEI = 10**9


class LosingConnection(Connection):
    """Its sends never arrive, and it does not say so."""

    def send_raw(self, transaction):
        raise RpcUnavailableError("The node did not answer.")


class LaggingConnection(Connection):
    """Does not know of the account's newest transaction."""

    def request(self, method, *params):
        answer = super().request(method, *params)
        return hex(int(answer, 16) - 1) if method == "eth_getTransactionCount" else answer


class PlainConnection(Connection):
    """A node without eth_simulateV1."""

    def request(self, method, *params):
        if method == "eth_simulateV1":
            raise RpcError(method, "the method eth_simulateV1 does not exist", code=-32601)
        return super().request(method, *params)


@pytest.fixture
def waiting(vault, journal, make_executor):
    """A rebalance that a node has and no block: the executor, the decision's record and the intent."""
    vault.market.rpc.call("evm_setAutomine", False)
    record, intent = an_intent(vault, journal)
    executor = make_executor(wait_seconds=0)
    assert executor.execute(intent) is None
    [intent] = journal.open_intents()
    return executor, record, intent


def keep_waiting(vault, intent, blocks=1, seconds=12):
    """Blocks come, and the mempool keeps what it has."""
    vault.market.rpc.call("anvil_dropAllTransactions")
    for _ in range(blocks):
        vault.market.warp(seconds)
    for attempt in intent.attempts[-1:]:
        vault.market.rpc.call("eth_sendRawTransaction", "0x" + attempt.raw.hex())


def mine(vault):
    vault.market.rpc.call("evm_mine")


def branch_off(vault):
    """From here on blocks can be reorganised away."""
    _usual_base_fee(vault)
    return vault.market.rpc.call("evm_snapshot")


def reorganise(vault, branch, timestamp=None):
    """Another block takes the place of all that came since the branch began, and the mempool forgets."""
    assert vault.market.rpc.call("evm_revert", branch)
    vault.market.rpc.call("anvil_dropAllTransactions")
    vault.market.step(3_000, timestamp=timestamp)
    _usual_base_fee(vault)


def _usual_base_fee(vault):
    """Anvil takes blocks back, but not the base fee that came of them: that of another test's spike."""
    vault.market.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))


def outcome_of(journal, record):
    [(intent, outcome)] = journal.transactions_of(record.id)
    return intent, outcome


def test_what_waits_for_blocks_is_replaced_with_fees_that_nodes_take_and_acts_once(vault, journal, waiting):
    """Fault 3."""
    executor, record, intent = waiting
    keep_waiting(vault, intent, blocks=REPLACE_AFTER)

    executor.reconcile()

    [replaced] = journal.open_intents()
    first, second = replaced.attempts
    assert second.nonce == first.nonce
    assert second.max_fee >= 1.1 * first.max_fee
    assert second.priority_fee >= 1.1 * first.priority_fee
    mine(vault)
    assert executor.reconcile() == ()
    intent, outcome = outcome_of(journal, record)
    assert (outcome.result, outcome.tx_hash) == (Result.CONFIRMED, second.tx_hash)
    assert exposure(vault) == 20 * 10**18
    expected = [State.PLANNED, State.SIGNED, State.SENT, State.REPLACED, State.SENT, State.MINED]
    assert states_of(journal, intent) == expected


class SuggestingConnection(Connection):
    """Others offer proposers 6 gwei now."""

    def request(self, method, *params):
        return hex(6 * GWEI) if method == "eth_maxPriorityFeePerGas" else super().request(method, *params)


def test_what_waits_in_a_spike_of_tips_is_replaced_by_what_nodes_suggest(vault, journal, waiting, make_executor):
    """Fault 3: at an eighth more each, 1 gwei would take sixteen replacements to get there."""
    _, _, intent = waiting
    assert intent.attempts[0].priority_fee == GWEI
    keep_waiting(vault, intent, blocks=REPLACE_AFTER)

    make_executor(SuggestingConnection, wait_seconds=0).reconcile()

    [intent] = journal.open_intents()
    assert intent.attempts[-1].priority_fee == 6 * GWEI


def test_a_paused_keeper_looks_and_sends_nothing(vault, journal, waiting):
    executor, record, intent = waiting
    keep_waiting(vault, intent, blocks=REPLACE_AFTER)

    assert executor.reconcile(sends=False) == (intent,)

    mine(vault)
    assert executor.reconcile(sends=False) == ()
    assert outcome_of(journal, record)[1].result is Result.CONFIRMED


def test_it_is_not_replaced_before_it_has_waited(vault, journal, waiting):
    executor, _, intent = waiting
    keep_waiting(vault, intent, blocks=REPLACE_AFTER - 1)

    executor.reconcile()

    assert journal.open_intents() == (intent,)


def test_what_would_fail_by_now_is_replaced_by_nothing_and_frees_its_nonce(vault, journal, waiting):
    executor, record, intent = waiting
    used = nonce(vault)
    keep_waiting(vault, intent, blocks=REPLACE_AFTER, seconds=600)

    executor.reconcile()
    mine(vault)

    assert executor.reconcile() == ()
    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.CANCELLED
    assert outcome.gas_used == 21_000
    assert intent.attempts[-1].is_empty
    assert "rebalance: expired" in journal.steps_of(intent.id)[3].detail
    assert nonce(vault) == used + 1
    assert exposure(vault) == 0


def test_a_spike_of_the_base_fee_is_followed_up_to_the_ceiling(vault, journal, make_executor):
    """Fault 3: nobody takes what pays less than the base fee."""
    record, intent = an_intent(vault, journal)
    make_executor(LosingConnection, wait_seconds=0).execute(intent)
    [left] = journal.open_intents()
    spike = 2 * left.attempts[0].max_fee
    vault.market.step(3_000, base_fee=spike)

    assert make_executor().reconcile() == ()

    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.CONFIRMED
    assert len(intent.attempts) == 2
    assert intent.attempts[1].max_fee > spike
    assert exposure(vault) == 20 * 10**18


def test_beyond_the_ceiling_it_is_given_up(vault, journal, make_executor):
    """Fault 3: a hedge is worth what is at risk without it, and no more."""
    record, intent = an_intent(vault, journal)
    make_executor(LosingConnection, wait_seconds=0).execute(intent)
    vault.market.step(3_000, base_fee=500 * GWEI)

    assert make_executor().reconcile() == ()

    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.ABANDONED
    assert "at a base fee of" in outcome.detail
    assert "cost more than the 0.0500 ether that it may" in outcome.detail
    assert len(intent.attempts) == 1


def test_what_waits_for_a_base_fee_that_it_may_not_pay_frees_its_nonce(vault, journal, waiting):
    """Fault 3: it would hold up everything after it for as long as the spike lasts, a hedge that may cost more too."""
    executor, record, intent = waiting
    used = nonce(vault)
    vault.market.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(500 * GWEI))
    mine(vault)
    _usual_base_fee(vault)  # anvil takes nothing that its next block could not have; the head is what is looked at
    vault.market.rpc.call("eth_sendRawTransaction", "0x" + intent.attempts[0].raw.hex())

    executor.reconcile()
    mine(vault)

    assert executor.reconcile() == ()
    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.CANCELLED
    assert "cost more than the 0.0500 ether that it may" in journal.steps_of(intent.id)[3].detail
    assert outcome.gas_used * outcome.gas_price < FEE_FLOOR
    assert nonce(vault) == used + 1


def test_what_costs_more_than_it_may_is_not_signed(vault, journal, make_executor):
    record, intent = an_intent(vault, journal, fee_ceiling=10**12)

    outcome = make_executor().execute(intent)

    assert outcome.result is Result.REFUSED
    assert outcome_of(journal, record)[0].attempts == ()


def test_a_reorganisation_un_confirms_and_the_same_transaction_is_mined_again(vault, journal, make_executor):
    """Fault 5."""
    record, intent = an_intent(vault, journal)
    executor, branch = make_executor(), branch_off(vault)
    first = executor.execute(intent)
    reorganise(vault, branch)
    assert exposure(vault) == 0

    assert executor.reconcile() == ()

    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.CONFIRMED, outcome.detail
    assert outcome.tx_hash == first.tx_hash
    assert outcome.block_hash != first.block_hash
    assert states_of(journal, intent)[2:5] == [State.SENT, State.MINED, State.UNCONFIRMED]
    assert exposure(vault) == 20 * 10**18


def test_a_restarted_keeper_finds_that_a_reorganisation_took_its_block(vault, journal, make_executor):
    """Fault 5, and 1: start-up and recovery are one path. What would fail by now is planned again."""
    record, intent = an_intent(vault, journal)
    branch = branch_off(vault)
    make_executor().execute(intent)
    reorganise(vault, branch, timestamp=record.timestamp + 600)

    assert make_executor().reconcile() == ()

    intent, outcome = outcome_of(journal, record)
    assert (outcome.result, outcome.detail) == (Result.ABANDONED, "no node knows it, and now: rebalance: expired")
    assert exposure(vault) == 0


def test_what_is_deep_enough_is_final(vault, journal, make_executor):
    _, intent = an_intent(vault, journal)
    executor = make_executor()
    executor.execute(intent)
    vault.market.rpc.call("anvil_mine", hex(FINAL_DEPTH - 1))
    executor.reconcile()
    assert len(journal.mined_intents()) == 1

    mine(vault)
    executor.reconcile()

    assert journal.mined_intents() == ()
    assert states_of(journal, intent)[-1] is State.FINAL


def test_what_was_given_up_and_is_mined_nevertheless_is_told(vault, journal, make_executor):
    record, intent = an_intent(vault, journal)
    make_executor(LosingConnection, wait_seconds=0).execute(intent)
    vault.market.step(3_000, timestamp=record.timestamp + 600)
    executor = make_executor()
    executor.reconcile()
    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.ABANDONED

    vault.market.rpc.call("eth_sendRawTransaction", "0x" + intent.attempts[0].raw.hex())
    mine(vault)
    executor.reconcile()

    assert outcome_of(journal, record)[1].result is Result.FAILED
    assert exposure(vault) == 0


def test_what_was_given_up_long_ago_and_is_mined_nevertheless_is_told_before_the_next_is_signed(
    vault, journal, make_executor, caplog
):
    """Fault 6: nobody else used the nonce that the chain counts and the journal does not."""
    executor = make_executor()
    executor.execute(an_intent(vault, journal, leg=BUY_2)[1])
    record, intent = an_intent(vault, journal, leg=BUY_2)
    make_executor(LosingConnection, wait_seconds=0).execute(intent)
    vault.market.step(3_000, timestamp=record.timestamp + 600)
    executor.reconcile()
    vault.market.rpc.call("anvil_mine", hex(FINAL_DEPTH + 1))
    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.ABANDONED

    vault.market.rpc.call("eth_sendRawTransaction", "0x" + intent.attempts[0].raw.hex())
    mine(vault)
    executor.reconcile()
    executor.execute(an_intent(vault, journal, leg=BUY_2)[1])

    late = outcome_of(journal, record)[1]
    assert (late.result, late.tx_hash) == (Result.FAILED, intent.attempts[0].tx_hash)
    assert journal.next_nonce(vault.keeper.address) == nonce(vault)
    assert "was given up and is mined nevertheless" in caplog.text
    assert "used elsewhere" not in caplog.text


def test_a_gap_of_nonces_is_filled_with_nothing(vault, journal, make_executor):
    """Fault 6: a transaction of the key that the keeper had counted is reorganised away."""
    branch, gap = branch_off(vault), nonce(vault)
    vault.send("keeper", "Vault", "checkpoint")
    vault.market.rpc.call("evm_setAutomine", False)
    record, intent = an_intent(vault, journal)
    executor = make_executor(wait_seconds=0)
    executor.execute(intent)
    raw = journal.open_intents()[0].attempts[0].raw
    reorganise(vault, branch)
    vault.market.rpc.call("eth_sendRawTransaction", "0x" + raw.hex())

    executor.reconcile()
    mine(vault)

    assert executor.reconcile() == ()
    intent, outcome = outcome_of(journal, record)
    assert outcome.result is Result.CONFIRMED
    assert [(one.nonce, one.is_empty) for one in intent.attempts] == [(gap + 1, False), (gap, True)]
    assert nonce(vault) == gap + 2


def test_a_nonce_that_was_used_elsewhere_is_left_to_who_used_it(vault, journal, make_executor):
    """Fault 6: the next transaction has the chain's nonce, not one more than the journal's."""
    executor = make_executor()
    executor.execute(an_intent(vault, journal)[1])
    vault.send("keeper", "Vault", "checkpoint")
    assert journal.next_nonce(vault.keeper.address) == nonce(vault) - 1

    outcome = executor.execute(an_intent(vault, journal, leg=BUY_2)[1])

    assert outcome.result is Result.CONFIRMED
    assert exposure(vault) == 22 * 10**18


def test_a_node_that_does_not_know_of_what_was_mined_is_not_believed(vault, journal, make_executor):
    """Fault 6: a nonce from before would be taken for free."""
    make_executor().execute(an_intent(vault, journal)[1])
    record, intent = an_intent(vault, journal, leg=BUY_2)

    with pytest.raises(RpcUnavailableError, match=r"counts \d+ transactions of 0x"):
        make_executor(LaggingConnection).execute(intent)

    assert outcome_of(journal, record)[0].attempts == ()


def test_a_rebalance_that_would_not_do_what_was_planned_is_not_signed(vault, journal, make_executor):
    planned = DeltaChange(underlying=0, before=-23.0, after=6.0, band=6.7)
    _, intent = an_intent(vault, journal, deltas=(planned,))

    outcome = make_executor().execute(intent)

    assert outcome.result is Result.REFUSED
    assert outcome.detail.startswith("ETH delta would come to -3.")
    assert exposure(vault) == 0


def test_a_node_that_cannot_simulate_is_asked_for_the_call_and_its_gas(vault, journal, make_executor):
    outcome = make_executor(PlainConnection).execute(an_intent(vault, journal)[1])

    assert outcome.result is Result.CONFIRMED
    assert exposure(vault) == 20 * 10**18
