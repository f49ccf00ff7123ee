"""Fault 1: the process ends at a write of the journal or at a send, at each of them once, and is started again.

Whatever was on its way then, it is one economic action, and journal and chain agree.
"""

import pytest

from tests.faults.doom import MOMENTS
from tests.faults.stage import GWEI
from tests.faults.storm import storm

pytestmark = pytest.mark.timeout(3_600)  # on a busy machine


def a_hedge_with_everything_in_its_way(play):
    """It is outbid, forgotten by the mempool, mined and reorganised away."""
    play.tick()
    spike = 3 * max([one.max_fee for intent in play.journal.open_intents() for one in intent.attempts], default=GWEI)
    for evicted in (False, True, False):
        if evicted:
            play.chain.evict()
        play.chain.mine(spike)
        play.tick()
    for _ in range(2):
        play.chain.mine(GWEI)
        play.tick()
    play.chain.reorganise(2, requeue=False)
    play.tick()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_crash_at_any_moment_leaves_one_action_and_no_gap(arena, tmp_path, moment):
    rpc, last = arena.market.rpc, 0
    for number in range(1, 100):
        before, folder = rpc.call("evm_snapshot"), tmp_path / str(number)
        folder.mkdir()
        with storm(arena, folder, services=()) as play:
            play.doom.moment, play.doom.left = moment, number
            a_hedge_with_everything_in_its_way(play)
            play.doom.moment = ""
            crashed = play.fired[moment]

            play.come_to_rest()

            play.check()
            assert arena.read("Hedger", "sequence") == 1
        assert rpc.call("evm_revert", before)
        if not crashed:
            break
        last = number

    assert last >= (10 if "write" in moment else 3)
    assert not crashed
