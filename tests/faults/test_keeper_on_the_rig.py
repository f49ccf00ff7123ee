"""The keeper on nodes and a chain that fail: one action, journal and chain agree, and delta comes into its band.

Faults by the numbers of RELIABILITY. Each test plays one of them and then lets the chain come to rest.
"""

import pytest

from keeper.execution.records import Result
from keeper.execution.states import State
from tests.faults.rig import Faults
from tests.faults.stage import stage


@pytest.fixture
def play(vault, journal):
    with stage(vault, journal) as found:
        yield found


def outcomes(play):
    return [outcome.result for _, outcome in play.transactions() if outcome is not None]


def test_without_faults_the_book_is_hedged_once(play):
    play.tick()

    play.come_to_rest()

    assert outcomes(play).count(Result.CONFIRMED) == len(play.on_chain())
    play.check()


def test_lost_replies_to_every_send_are_no_second_action(play):
    """Fault 2."""
    for node in play.nodes:
        node.faults = Faults(lost_sends=1.0)
    play.tick()
    assert [intent.state for intent in play.journal.open_intents()] == [State.AMBIGUOUS]
    play.play(3)

    play.come_to_rest()
    play.check()


def test_what_the_mempool_evicts_is_sent_again(play):
    """Fault 4."""
    play.tick()
    play.chain.evict()
    play.play(1)

    play.come_to_rest()
    assert play.chain.dropped == 1
    play.check()


def test_a_base_fee_spike_is_outbid_by_the_rules_of_the_mempool(play):
    """Fault 3: the first transaction stays in the mempool, and each replacement pays a tenth more."""
    play.tick()
    [intent] = play.journal.open_intents()
    play.play(1, base_fee=2 * intent.attempts[0].max_fee)
    play.play(2, base_fee=2 * intent.attempts[0].max_fee)

    play.come_to_rest()
    assert any(len(intent.attempts) > 1 for intent, _ in play.transactions())
    play.check()


@pytest.mark.parametrize(("depth", "requeue"), [(1, True), (3, False), (12, True), (12, False)])
def test_a_reorganisation_is_found_and_everything_comes_to_its_place_again(play, depth, requeue):
    """Fault 5: un-confirm, value again, plan again; whether nodes kept what was in the blocks or not."""
    play.tick()
    play.play(depth)
    assert Result.CONFIRMED in outcomes(play)

    play.chain.reorganise(depth, requeue=requeue)
    play.tick()

    play.come_to_rest()
    steps = [step.state for intent, _ in play.transactions() for step in play.journal.steps_of(intent.id)]
    assert State.UNCONFIRMED in steps
    play.check()


@pytest.mark.parametrize("requeue", [True, False])
def test_what_was_found_in_a_block_newer_than_the_head_is_watched_too(play, requeue):
    """Faults 5 and 9: the receipt was of the next block already, and a reorganisation takes just that one."""
    play.tick()
    for node in play.nodes:
        node.faults = Faults(mixes=1)
    play.play(1)
    [(intent, outcome)] = play.transactions()
    assert (outcome.result, outcome.block_number) == (Result.CONFIRMED, play.chain.head)
    for node in play.nodes:
        node.faults = Faults()

    play.chain.reorganise(1, requeue=requeue)
    play.tick()

    assert State.UNCONFIRMED in [step.state for step in play.journal.steps_of(intent.id)]
    play.come_to_rest()
    play.check()


def test_a_majority_of_dead_nodes_halts_the_keeper_and_one_dead_node_does_not(play):
    """Fault 7."""
    play.nodes[0].faults = Faults(is_down=True)
    play.nodes[1].faults = Faults(is_down=True)
    play.play(2)
    assert play.errors == 2
    assert play.journal.decisions() == ()

    play.nodes[1].faults = Faults()
    for _ in range(20):  # until its ban is over
        play.play(1)
    assert Result.CONFIRMED in outcomes(play)
    play.come_to_rest()
    play.check()


def test_a_restart_at_any_moment_loses_nothing(play):
    """Fault 1: start-up and recovery are one path."""
    for blocks in (0, 1, 0, 2):
        play.tick()
        play.restart()
        play.play(blocks)

    play.come_to_rest()
    play.check()


def test_a_relay_has_a_transaction_first_and_the_nodes_when_it_waits_too_long(vault, journal):
    with stage(vault, journal, relay=True) as play:
        play.tick()
        sends = [node.methods.count("eth_sendRawTransaction") for node in play.nodes]
        assert sends == [0, 0, 0]
        assert len(play.chain.pool) == 1
        play.chain.evict()  # the relay's block never comes
        play.play(4)

        assert sum(node.methods.count("eth_sendRawTransaction") for node in play.nodes) > 0
        play.come_to_rest()
        play.check()
