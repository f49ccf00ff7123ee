"""A rebalance of one leg on the vault of the tests, and what is seen of it."""

from keeper.domain.decision import Action, Decision, Leg
from keeper.domain.policy import Policy
from keeper.execution.executor import rebalance_call
from keeper.execution.records import FEE_FLOOR
from keeper.market.reader import read_snapshot

POLICY = Policy(deadline_seconds=100)
BUY_20 = Leg(venue=0, pool=0, delta_change=20 * 10**18, limit_price=3_010 * 10**18)
BUY_2 = Leg(venue=0, pool=0, delta_change=2 * 10**18, limit_price=3_010 * 10**18)


def an_intent(vault, journal, leg=BUY_20, deltas=(), fee_ceiling=FEE_FLOOR):
    """A decision to trade one leg, and the intent to do it."""
    snapshot = read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    decision = Decision(snapshot.block_number, snapshot.block_hash, Action.TRADE, "for the test", (leg,), deltas)
    call = rebalance_call(vault.deployment, decision, POLICY, snapshot)
    return journal.record_action(
        decision,
        POLICY,
        snapshot,
        call,
        account=vault.keeper.address,
        timestamp=snapshot.timestamp,
        fee_ceiling=fee_ceiling,
    )


def exposure(vault):
    snapshot = read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    return snapshot.venues[0].state.exposure


def nonce(vault):
    return vault.w3.eth.get_transaction_count(vault.keeper.address)


def states_of(journal, intent):
    return [step.state for step in journal.steps_of(intent.id)]
