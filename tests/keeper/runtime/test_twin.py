"""The guardian's transaction gets there: its fees rise with the base fee, a crash leaves nothing undone or done twice,
and the hedge does not wait for it."""

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.safety import Cause, KillLevels, Order
from keeper.execution.orders import Orders
from keeper.execution.records import Kind, Result
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.twin import GuardianTwin
from tests.keeper.vault_on_fork import account_of

GWEI = 10**9
POLICY = Policy()
GUARDIAN = account_of("guardian").address


class PowerCut(BaseException):
    """Ends the process, whatever it catches."""


def power_cut(*_):
    raise PowerCut


@pytest.fixture
def make_twin(vault, journal):
    """Twins, each as after a start of the process."""
    return lambda: GuardianTwin(vault.connection, vault.deployment, account_of("guardian"), POLICY, journal)


@pytest.fixture
def no_blocks_come(vault):
    """But those of the test."""
    vault.market.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    vault.market.rpc.call("evm_mine")
    vault.market.rpc.call("evm_setAutomine", False)


def mine(vault, base_fee=GWEI):
    vault.market.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    vault.market.rpc.call("evm_mine")


def stop(vault, twin):
    twin.follow(stops=True, block=vault.connection.header())


def is_latched(vault):
    return vault.read("CircuitBreaker", "latched")


def nonce(vault):
    return vault.w3.eth.get_transaction_count(GUARDIAN)


def test_a_stop_is_replaced_at_higher_fees_when_the_base_fee_rises_and_acts_once(
    vault, journal, make_twin, no_blocks_come
):
    twin, before = make_twin(), nonce(vault)
    stop(vault, twin)
    mine(vault, base_fee=200 * GWEI)
    assert not is_latched(vault)

    stop(vault, twin)

    [waiting] = journal.open_intents(GUARDIAN)
    first, second = waiting.attempts
    assert second.nonce == first.nonce
    assert second.max_fee > 200 * GWEI > first.max_fee
    mine(vault, base_fee=200 * GWEI)
    assert is_latched(vault)
    stop(vault, twin)
    assert journal.open_intents(GUARDIAN) == ()
    assert nonce(vault) == before + 1


def test_after_a_crash_between_storing_and_sending_the_same_stop_is_sent(
    vault, journal, make_twin, no_blocks_come, monkeypatch
):
    doomed, before = make_twin(), nonce(vault)
    monkeypatch.setattr(doomed._executor, "_send", power_cut)
    with pytest.raises(PowerCut):
        stop(vault, doomed)
    [left] = journal.open_intents(GUARDIAN)

    again = make_twin()
    stop(vault, again)
    mine(vault)
    stop(vault, again)

    assert is_latched(vault)
    assert nonce(vault) == before + 1
    [(intent, outcome)] = journal.transactions_of(left.decision_id)
    assert (outcome.result, outcome.tx_hash) == (Result.CONFIRMED, left.attempts[0].tx_hash)
    assert len(intent.attempts) == 1


def test_a_stop_that_was_sent_is_followed_to_its_end_after_the_order_is_lifted(
    vault, journal, make_twin, no_blocks_come
):
    twin = make_twin()
    stop(vault, twin)
    mine(vault)

    twin.follow(stops=False, block=vault.connection.header())

    assert journal.open_intents(GUARDIAN) == ()


def test_a_stop_that_waits_for_a_block_does_not_hold_up_the_hedge(vault, journal, make_twin, no_blocks_come, tmp_path):
    orders = Orders(f"sqlite:///{tmp_path}/keel.sqlite")
    orders.give(Order.STOP_QUOTES, "losses", Cause.DRAWDOWN)
    guard = Guard(vault.connection, vault.deployment, orders, KillLevels(), POLICY.margin_tolerance, make_twin())
    keeper = Keeper(
        vault.connection, vault.deployment, vault.keeper, POLICY, journal, services=(), guard=guard, wait_seconds=0.0
    )

    record = keeper.tick()

    assert record.decision.action is Action.TRADE
    [hedge] = journal.open_intents(vault.keeper.address)
    [stops] = journal.open_intents(GUARDIAN)
    assert journal.record_of(stops).kind is Kind.STOP
    mine(vault)
    assert keeper.tick().decision.action is not Action.REFUSE
    assert journal.outcome_of(hedge).result is Result.CONFIRMED
    assert is_latched(vault)
    orders.close()
