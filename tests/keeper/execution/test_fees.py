"""Fees: enough to be mined and to replace, never more than what is at risk without the transaction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.gas import bids, fees, suggested_priority_fee
from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision, DeltaChange
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Reading
from keeper.errors import RpcError
from keeper.execution.ceiling import fee_ceiling
from keeper.execution.records import FEE_FLOOR

GWEI = 10**9
GAS = 2_000_000
WAD = 10**18


class Prices:
    """All of a snapshot that the ceiling looks at."""

    keeper_balance_wei = 100 * WAD

    def __init__(self, ether, bitcoin):
        self.readings = (Reading(ether * WAD, 0, 0, False), Reading(bitcoin * WAD, 0, 0, False))


def a_decision(*deltas, risk_before=0.0):
    return Decision(1, "0x", Action.TRADE, "", deltas=deltas, risk_before=risk_before)


def test_without_a_need_for_more_the_bids_are_the_usual_ones():
    assert fees(10 * GWEI, GAS, WAD) == bids(10 * GWEI)


def test_a_ceiling_cuts_the_bid_down_as_long_as_the_next_block_would_take_it():
    assert fees(10 * GWEI, GAS, 12 * GWEI * GAS) == (12 * GWEI, GWEI)
    assert fees(10 * GWEI, GAS, 11 * GWEI * GAS) == (11 * GWEI, GWEI)
    assert fees(10 * GWEI, GAS, 11 * GWEI * GAS - 1) is None


@given(
    base_fee=st.integers(0, 10**12),
    old=st.tuples(st.integers(1, 10**12), st.integers(0, 10**10)),
    ceiling=st.integers(0, 10**19),
    suggested=st.integers(GWEI, 10 * GWEI),
)
def test_a_replacement_is_a_tenth_dearer_can_be_mined_and_stays_below_the_ceiling(base_fee, old, ceiling, suggested):
    chosen = fees(base_fee, GAS, ceiling, old, suggested)

    if chosen is None:
        most = ceiling // GAS
        assert most < max(-(-old[0] * 9 // 8), base_fee + max(GWEI, -(-old[1] * 9 // 8)))
        return
    max_fee, priority = chosen
    assert 10 * max_fee >= 11 * old[0]
    assert 10 * priority >= 11 * old[1]
    assert max_fee >= base_fee + priority
    assert max_fee * GAS <= ceiling


def test_in_a_spike_of_tips_a_replacement_bids_what_nodes_suggest():
    assert fees(10 * GWEI, GAS, WAD, (21 * GWEI, GWEI), suggested=6 * GWEI) == (26 * GWEI, 6 * GWEI)


def test_a_suggestion_keeps_nothing_from_being_signed_that_the_ceiling_allows_without_it():
    old = (8 * GWEI, GWEI // 2)

    assert fees(10 * GWEI, GAS, 13 * GWEI * GAS, old, suggested=6 * GWEI) == (13 * GWEI, 3 * GWEI)
    assert fees(10 * GWEI, GAS, 11 * GWEI * GAS, old, suggested=6 * GWEI) == (11 * GWEI, GWEI)


class Suggesting(Connection):
    """A node that suggests so much, or nothing at all."""

    def __init__(self, suggestion):
        super().__init__("http://127.0.0.1:1")
        self.suggestion = suggestion

    def request(self, method, *params):
        assert method == "eth_maxPriorityFeePerGas"
        if self.suggestion is None:
            raise RpcError(method, "the method does not exist")
        return hex(self.suggestion)


@pytest.mark.parametrize(
    ("suggestion", "taken"), [(0, GWEI), (GWEI // 100, GWEI), (3 * GWEI, 3 * GWEI), (10**15, 10 * GWEI), (None, GWEI)]
)
def test_what_a_node_suggests_is_taken_within_bounds(suggestion, taken):
    """One node alone may lie, or not know the method."""
    assert suggested_priority_fee(Suggesting(suggestion)) == taken


def test_a_hedge_may_cost_what_its_delta_may_lose_in_a_day():
    """20 ETH at 3,000 USDC and 60 % a year: 1.645 × 60,000 × 0.6 × sqrt(1 d / 1 a) = 3,099.8 USDC."""
    change = DeltaChange(0, before=-22.0, after=-2.0, band=6.0)

    ceiling = fee_ceiling(a_decision(change), Policy(), Prices(3_000, 90_000))

    assert ceiling / WAD == pytest.approx(3_099.8 / 3_000, rel=1e-3)


def test_losses_of_both_underlyings_count():
    ether, bitcoin = DeltaChange(0, -22.0, -2.0, 6.0), DeltaChange(1, 1.0, 0.0, 0.2)

    both = fee_ceiling(a_decision(ether, bitcoin), Policy(), Prices(3_000, 90_000))

    alone = fee_ceiling(a_decision(ether), Policy(), Prices(3_000, 90_000))
    assert both / alone == pytest.approx((60_000 + 90_000) / 60_000)


def test_what_takes_no_delta_away_may_cost_what_half_a_band_may_lose():
    """Collateral that keeps a short from liquidation moves no delta, and must not wait for gas to be cheap."""
    collateral, grows = DeltaChange(0, 3.0, 3.0, 6.0), DeltaChange(0, 1.0, -2.0, 6.0)
    half = fee_ceiling(a_decision(DeltaChange(0, 3.0, 0.0, 6.0)), Policy(), Prices(3_000, 90_000))

    assert half > FEE_FLOOR
    assert fee_ceiling(a_decision(collateral), Policy(), Prices(3_000, 90_000)) == half
    assert fee_ceiling(a_decision(grows), Policy(), Prices(3_000, 90_000)) == half


def test_it_may_cost_what_it_is_worth_to_the_objective_where_that_is_more():
    worth = replace(a_decision(), risk_before=600.0)

    assert fee_ceiling(worth, Policy(), Prices(3_000, 90_000)) == pytest.approx(0.2 * WAD)


def test_none_may_cost_more_than_the_account_has():
    """At 100 gwei and 3,000,000 gas a node wants 0.96 ether for a bid of the usual height, and takes a lower one."""
    poor = Prices(3_000, 90_000)
    poor.keeper_balance_wei = int(0.75 * WAD)

    ceiling = fee_ceiling(a_decision(DeltaChange(0, -22.0, -2.0, 6.0)), Policy(), poor)

    assert ceiling == poor.keeper_balance_wei
    assert fees(100 * GWEI, int(1.6 * 3_000_000), ceiling)[0] >= 101 * GWEI


def test_a_small_one_may_cost_the_floor():
    assert fee_ceiling(a_decision(), Policy(), Prices(3_000, 90_000)) == FEE_FLOOR
    assert fee_ceiling(a_decision(risk_before=1e9), Policy(), Prices(0, 90_000)) == FEE_FLOOR
