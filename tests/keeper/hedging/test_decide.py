"""What the keeper decides, on snapshots made by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot, Surface
from keeper.domain.units import WAD, to_wad
from keeper.hedging.decide import decide
from keeper.risk.limits import check_rebalance
from tests.keeper.hedging.conftest import after_trades, make_snapshot, option

SNAPSHOTS = Callable[..., Snapshot]
POLICY = Policy()
SPOT, SHORT = 0, 1  # venues of the snapshots


def test_an_empty_vault_is_left_alone(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(), POLICY)

    assert decision.action is Action.HOLD
    assert decision.legs == ()


def test_short_puts_are_hedged_by_shorting(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),))

    decision = decide(snapshot, POLICY)

    assert decision.action is Action.TRADE
    assert [leg.venue for leg in decision.legs] == [SHORT]
    assert decision.legs[0].delta_change < 0
    change = decision.deltas[0]
    assert abs(change.after) <= POLICY.band_use * change.band + 1e-6 < abs(change.before)


def test_short_calls_are_hedged_by_buying_spot(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(True, 3_000, -60),)), POLICY)

    assert [(leg.venue, leg.delta_change > 0) for leg in decision.legs] == [(SPOT, True)]


def test_spot_is_sold_before_anything_is_borrowed(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(held=60.0, idle=800_000), POLICY)

    assert [(leg.venue, leg.delta_change < 0) for leg in decision.legs] == [(SPOT, True)]


def test_debt_is_bought_back_before_spot_is_bought(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(debt=60.0, idle=800_000), POLICY)

    assert [(leg.venue, leg.delta_change > 0) for leg in decision.legs] == [(SHORT, True)]


def test_a_small_delta_is_not_worth_its_costs(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(held=0.3), POLICY)

    assert decision.action is Action.HOLD
    assert "no-trade region" in decision.reason
    assert decision.deltas[0].before == pytest.approx(0.3)


def test_dearer_gas_widens_the_no_trade_region(snapshot_of: SNAPSHOTS) -> None:
    """Inside the band only: outside it the keeper trades whatever gas costs."""
    bold = replace(POLICY, risk_aversion=300.0)

    assert decide(snapshot_of((option(False, 3_000, -12),), base_fee_gwei=0.1), bold).action is Action.TRADE
    assert decide(snapshot_of((option(False, 3_000, -12),), base_fee_gwei=1_000), bold).action is Action.HOLD
    assert decide(snapshot_of((option(False, 3_000, -60),), base_fee_gwei=1_000), bold).action is Action.TRADE


def test_more_risk_aversion_leaves_less_delta(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),))

    bold = decide(snapshot, replace(POLICY, risk_aversion=10.0)).deltas[0].after
    timid = decide(snapshot, replace(POLICY, risk_aversion=2_000.0)).deltas[0].after

    assert 0 <= timid < bold


def test_a_keeper_that_disagrees_with_the_chain_refuses(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),))
    off = replace(snapshot.assessment, maintenance=snapshot.assessment.maintenance + to_wad(1.0))

    decision = decide(replace(snapshot, assessment=off), POLICY)

    assert decision.action is Action.REFUSE
    assert decision.legs == ()
    assert "disagree" in decision.reason


def test_a_position_without_a_slice_is_refused(snapshot_of: SNAPSHOTS) -> None:
    snapshot = replace(snapshot_of((option(False, 3_000, -60),)), surface=Surface(()))

    decision = decide(snapshot, POLICY)

    assert decision.action is Action.REFUSE
    assert "valued" in decision.reason


def test_an_empty_loss_bucket_stops_costly_hedges(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(False, 3_000, -60),), loss_budget=0.0), POLICY)

    assert decision.action is Action.HOLD
    assert "outside its band" in decision.reason


def test_no_hedge_takes_more_cash_than_there_is(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(True, 3_000, -150),), idle=150_000, held=30.0)

    decision = decide(snapshot, POLICY)

    bought = sum(leg.delta_change for leg in decision.legs if leg.venue == SPOT) / WAD
    assert 0 < bought * 3_000 <= 150_000 - POLICY.min_idle * snapshot.assessment.nav_bid / WAD


def test_a_pool_too_far_from_the_oracle_is_not_traded_in(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(False, 3_000, -60),), pool=2_970.0), POLICY)

    assert decision.action is Action.HOLD


def test_limit_prices_stay_inside_the_legs_slippage(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -100),), pool=2_990.0, depth=20e6)

    for leg in decide(snapshot, POLICY).legs:
        assert abs(leg.limit_price / WAD / 3_000.0 - 1) <= 0.0075 + 1e-12


def test_nothing_is_sent_that_the_vault_would_refuse_for_gamma(snapshot_of: SNAPSHOTS) -> None:
    """Gamma beyond its band cannot be mended by delta: inside the delta band the contract takes no trade."""
    near = option(True, 3_000, -160)
    far = option(False, 3_000, 30)
    hedge = 160 * 0.52 + 30 * 0.48
    snapshot = snapshot_of((near, far), held=hedge, idle=900_000)
    assert snapshot.assessment.gamma[0] != 0

    decision = decide(snapshot, replace(POLICY, risk_aversion=10_000.0))

    assert decision.action is Action.HOLD
    assert "gamma" in decision.reason


def test_missing_collateral_is_restored_by_a_leg_of_zero(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),), debt=28.0, health=1.55)

    decision = decide(snapshot, POLICY)

    assert [(leg.venue, leg.delta_change) for leg in decision.legs] == [(SHORT, 0)]


def test_the_whole_debt_is_closed_when_almost_all_would_be(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(debt=60.0, idle=800_000), replace(POLICY, risk_aversion=1e6))

    assert decision.legs[0].delta_change > 60 * WAD


def test_a_decision_is_a_function_of_its_inputs(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60), option(True, 3_300, -40)))

    assert decide(snapshot, POLICY) == decide(snapshot, POLICY)


@settings(max_examples=80, deadline=None, phases=[Phase.generate])
@given(
    positions=st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2]), st.integers(-60, 20)),
        max_size=6,
        unique_by=lambda row: row[:2],
    ),
    held=st.floats(0, 80),
    debt=st.floats(0, 80),
    idle=st.floats(200_000, 2_000_000),
    twap=st.floats(0.98, 1.02),
)
def test_whatever_is_decided_the_contract_would_let_stand(
    positions: list[tuple[bool, float, int]], held: float, debt: float, idle: float, twap: float
) -> None:
    book = tuple(option(is_call, 3_000 * m, size) for is_call, m, size in positions if size)
    snapshot = make_snapshot(book, held=held, debt=debt, idle=idle, twap=3_000 * twap)
    assume(snapshot.assessment.nav_bid > 0)

    decision = decide(snapshot, POLICY)

    assert decision.action is not Action.REFUSE, decision.reason
    if any(leg.delta_change for leg in decision.legs):
        verdict = check_rebalance(
            snapshot.assessment, after_trades(snapshot, decision.legs).assessment, snapshot.limits
        )
        assert verdict.stands, verdict.reason
        before, after = snapshot.assessment.delta[0], after_trades(snapshot, decision.legs).assessment.delta[0]
        assert abs(after) < abs(before)
