"""A vault without options is brought to rest: every hedge closes by the same part, inside the loss budget."""

from dataclasses import replace

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.units import WAD, to_wad
from keeper.errors import KeelError
from keeper.execution.rehearsal import objection
from keeper.hedging.unwind import close_hedges
from keeper.venues.uniswap_v3 import average_price
from tests.keeper.hedging.conftest import after_trades, option, pool_at

POLICY = Policy()


def with_pools(snapshot, index, pools):
    venues = (replace(one, pools=pools) if one.index == index else one for one in snapshot.venues)
    return replace(snapshot, venues=tuple(venues))


def test_a_small_hedge_is_closed_at_once_and_whole(snapshot_of):
    decision = close_hedges(snapshot_of(held=5.0), POLICY)

    assert decision.action is Action.TRADE
    [leg] = decision.legs
    assert (leg.venue, leg.delta_change) == (0, -5 * WAD)
    assert 0.9925 * 3_000 * WAD < leg.limit_price < 3_000 * WAD
    assert decision.deltas[0].after == 0.0


def test_a_long_and_a_short_close_by_the_same_part(snapshot_of):
    snapshot = snapshot_of(held=200.0, debt=100.0, loss_budget=0.0004)

    decision = close_hedges(snapshot, POLICY)

    sold, bought = (leg.delta_change for leg in decision.legs)
    assert sold < 0 < bought
    assert sold == pytest.approx(-2 * bought, rel=1e-9)
    change = decision.deltas[0]
    assert 0 < change.after < change.before


def test_a_part_costs_no_more_than_the_policys_share_of_the_loss_budget(snapshot_of):
    snapshot = snapshot_of(held=200.0, loss_budget=0.0004)

    [leg] = close_hedges(snapshot, POLICY).legs

    nav = snapshot.assessment.nav_bid / WAD
    worst = -leg.delta_change / WAD * 3_000 * snapshot.vault.budgets.leg_slippage / WAD
    assert worst <= POLICY.max_loss_use * 0.0004 * nav * 1.01


def test_an_empty_budget_waits_and_an_empty_vault_is_at_rest(snapshot_of):
    assert "waits" in close_hedges(snapshot_of(held=5.0, loss_budget=0.0), POLICY).reason
    assert "no option and no hedge is left" in close_hedges(snapshot_of(), POLICY).reason


def test_the_deepest_pool_is_traded_in(snapshot_of):
    snapshot = snapshot_of(held=5.0)
    venue = snapshot.venues[0]
    pools = (pool_at(3_000, depth=40e3), pool_at(3_000, depth=40e6), pool_at(3_000, depth=4e6))

    [leg] = close_hedges(with_pools(snapshot, venue.index, pools), POLICY).legs

    assert (leg.pool, leg.delta_change) == (1, -5 * WAD)


def test_a_pool_that_is_too_shallow_for_all_of_it_takes_what_it_can(snapshot_of):
    snapshot = with_pools(snapshot_of(held=20.0), 0, (pool_at(3_000, depth=2e6),))

    decision = close_hedges(snapshot, POLICY)

    [leg] = decision.legs
    sold = -leg.delta_change / WAD
    assert 1 < sold < 10
    assert average_price(snapshot.venues[0].pools[0], -sold) * WAD > leg.limit_price


def test_a_pool_whose_price_is_not_allowed_is_waited_for(snapshot_of):
    decision = close_hedges(with_pools(snapshot_of(held=20.0), 0, (pool_at(2_900),)), POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason == "unwinding: waits for a pool that takes enough at a price that is allowed"


def test_what_is_left_and_not_worth_its_gas_stays(snapshot_of):
    decision = close_hedges(snapshot_of(held=0.01), POLICY)

    assert decision.action is Action.HOLD
    assert "no hedge that is worth its gas" in decision.reason


def test_a_part_is_what_the_rehearsal_finds_though_the_chain_counts_in_integers(snapshot_of):
    snapshot = snapshot_of(held=211.7, loss_budget=0.00033)
    decision = close_hedges(snapshot, POLICY)
    assert 0 < decision.deltas[0].after < decision.deltas[0].before

    after = after_trades(snapshot, decision.legs)

    assert objection(decision, snapshot, after.assessment) == ""


def test_hedges_of_options_stay(snapshot_of):
    with pytest.raises(KeelError, match="its hedges stay"):
        close_hedges(snapshot_of((option(True, 3_000, -5),), held=5.0), POLICY)


def test_a_vault_that_keeper_and_chain_see_differently_is_left_alone(snapshot_of):
    snapshot = snapshot_of(held=5.0)
    wrong = replace(snapshot.assessment, nav_bid=snapshot.assessment.nav_bid + to_wad(50))

    assert close_hedges(replace(snapshot, assessment=wrong), POLICY).action is Action.REFUSE
