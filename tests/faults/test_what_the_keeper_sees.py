"""Answers that are wrong or of another block, prices that are none, solvers without an answer: the keeper acts on what
it can trust or not at all. Faults by the numbers of RELIABILITY, on the rig."""

import numpy as np
import pytest

from keeper.domain.decision import Action
from keeper.execution.records import Result
from keeper.hedging import solver
from keeper.hedging.program import SolverError
from tests.faults.rig import Faults
from tests.faults.stage import GWEI, stage
from tests.keeper.vault_on_fork import SPOT


@pytest.fixture
def play(vault, journal):
    with stage(vault, journal) as found:
        yield found


def outcomes(play):
    return [outcome.result for _, outcome in play.transactions() if outcome is not None]


@pytest.mark.parametrize("logs", [0, 2])
def test_what_happened_is_read_from_state_and_receipts_and_no_log_is_counted(play, logs):
    """Fault 8: missing or doubled, logs change nothing."""
    for node in play.nodes:
        node.faults = Faults(logs=logs)
    play.tick()
    play.play(2)

    assert outcomes(play) == [Result.CONFIRMED]
    assert play.chain.fired["doubled logs" if logs else "missing logs"] > 0
    assert all("eth_getLogs" not in node.methods for node in play.nodes)
    play.come_to_rest()
    play.check()


def test_nodes_whose_answers_are_of_two_blocks_never_mix_them_in_one_decision(play):
    """Fault 9: the head is a block behind what they answer by name; all is read by the head's hash."""
    for node in play.nodes:
        node.faults = Faults(mixes=1)
    for price in (3_000, 3_060, 2_950):
        play.chain.mine(GWEI, move=lambda at, fee, price=price: play.vault.market.step(price, timestamp=at))
        play.tick()

    assert play.chain.fired["answers of two blocks"] > 0
    for record in play.journal.decisions():
        if record.snapshot is not None:
            block = play.vault.w3.eth.get_block(record.block_hash)
            assert record.snapshot.timestamp == block["timestamp"]
            price = play.vault.read("PriceOracle", "read", 0, block=block["number"])[0]
            assert record.snapshot.readings[0].price_wad == price
    play.come_to_rest()
    play.check()


def after(play, seconds=12, **move):
    """The keeper's decision on a block in which the market moves like this."""
    play.chain.mine(GWEI, seconds, move=lambda at, fee: play.vault.market.step(timestamp=at, **move))
    return play.tick()


def test_a_price_of_next_to_nothing_is_refused_and_nothing_is_sent(play):
    """Fault 10: the least that the feed can say, far from its pools."""
    used = play.used_nonces()
    record = after(play, price={"ETH": 0.01, "BTC": 90_000}, pools=False)

    assert record.decision.action is not Action.TRADE
    assert play.used_nonces() == used
    assert play.chain.pool == {}


def test_a_price_that_jumps_is_in_doubt_until_the_pools_follow(play):
    """Fault 10: margin counts both prices meanwhile; a trade would be held to the oracle's."""
    record = after(play, price=1.2 * SPOT, pools=False)

    assert record.snapshot.readings[0].doubt
    assert outcomes(play).count(Result.FAILED) == 0


def test_a_stale_price_is_refused_until_there_is_a_round_again(play):
    """Fault 10."""
    play.chain.mine(GWEI, 4_000)
    refused = play.tick()
    assert refused.decision.action is Action.REFUSE
    assert "oracle: stale" in refused.decision.reason
    assert play.chain.pool == {}

    after(play, price=SPOT)
    play.come_to_rest()
    play.check()


def not_a_number(program, *_):
    n, m = len(program.linear), len(program.rows)
    return np.full(n, np.nan), np.full(m, np.nan), np.zeros(0 if program.tail is None else len(program.tail.base)), True


@pytest.mark.parametrize("interior", [not_a_number, lambda *_: None])
def test_a_solver_that_gives_nan_or_gives_up_is_replaced_by_the_second(play, monkeypatch, interior):
    """Fault 11."""
    monkeypatch.setattr(solver, "interior_point", interior)

    play.tick()

    play.come_to_rest()
    assert Result.CONFIRMED in outcomes(play)
    play.check()


def test_without_any_solver_nothing_is_done_until_one_answers(play, monkeypatch):
    """Fault 11: the time limit of the second one is an error like any other."""

    def too_late(_):
        raise SolverError("HiGHS says kTimeLimit")

    with monkeypatch.context() as broken:
        broken.setattr(solver, "interior_point", lambda *_: None)
        broken.setattr(solver, "cutting_planes", too_late)
        record = play.tick()
        assert record.decision.action is Action.REFUSE
        assert "no hedge could be computed" in record.decision.reason
        assert play.chain.pool == {}

    play.come_to_rest()
    play.check()


def test_a_market_that_moves_in_the_very_block_costs_gas_and_no_more(play):
    """Fault 12: the contract holds each leg to its limit price, and the keeper decides again."""
    play.tick()
    after(play, price=1.03 * SPOT)
    assert outcomes(play) == [Result.FAILED]

    play.come_to_rest()
    assert Result.CONFIRMED in outcomes(play)
    play.check()
