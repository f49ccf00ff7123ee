"""What the keeper decides, on snapshots made by hand."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from keeper.domain.decision import Action, Brief, Decision, Leg
from keeper.domain.policy import Policy
from keeper.domain.snapshot import PoolState, Snapshot, Surface
from keeper.domain.units import USDC, WAD, to_wad
from keeper.hedging.brief import answer
from keeper.hedging.decide import decide, instruments_of
from keeper.hedging.legs import Trade, executable, restoring_legs
from keeper.risk.limits import check_rebalance
from keeper.venues.uniswap_v3 import average_price
from tests.keeper.hedging.conftest import after_trades, make_snapshot, option

SNAPSHOTS = Callable[..., Snapshot]
POLICY = Policy()
BOLD = replace(POLICY, risk_aversion=1e6)
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


def test_a_policy_without_a_smallest_trade_sends_none_of_nothing(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(False, 3_000, -60),)), replace(POLICY, min_trade=0.0))

    assert decision.action is Action.TRADE
    assert all(leg.delta_change for leg in decision.legs)


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


def test_nothing_is_sent_that_mends_no_breached_limit_by_a_tenth(snapshot_of: SNAPSHOTS) -> None:
    """Margin, gap and delta are far beyond their limits and the budgets are enough for a thirtieth of the hedge."""
    book = tuple(
        option(True, 3_000 * m, size) for m, size in ((0.8, -42), (0.95, -31), (1, -29), (1.05, -53), (1.2, -41))
    )

    decision = decide(snapshot_of(book, idle=200_000, loss_budget=0.0, emergency_budget=0.00005), POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason.startswith("delta of ETH is outside its band, but the limits leave no trade")


def test_missing_collateral_is_restored_by_a_leg_of_zero(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),), debt=28.0, health=1.55)

    decision = decide(snapshot, POLICY)

    assert [(leg.venue, leg.delta_change) for leg in decision.legs] == [(SHORT, 0)]


def test_the_whole_debt_is_closed_when_almost_all_would_be(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of(debt=60.0, idle=800_000), BOLD)

    assert decision.legs[0].delta_change > 60 * WAD


def test_a_decision_is_a_function_of_its_inputs(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60), option(True, 3_300, -40)))

    assert decide(snapshot, POLICY) == decide(snapshot, POLICY)


def test_an_empty_loss_bucket_stops_costly_hedges(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(False, 3_000, -60),), loss_budget=0.0, emergency_budget=0.0), POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason.startswith("delta of ETH is outside its band, but the limits leave no trade")


def test_with_an_empty_loss_bucket_the_emergency_bucket_pays_for_hedges(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),), loss_budget=0.0)

    decision = decide(snapshot, POLICY)

    [change], [leg] = decision.deltas, decision.legs
    assert decision.action is Action.TRADE
    assert 0 <= change.after < change.before
    lost = -leg.delta_change / WAD * (3_000 - average_price(snapshot.venues[SHORT].pools[0], leg.delta_change / WAD))
    assert 0 < lost <= POLICY.max_loss_use * 0.001 * snapshot.assessment.nav_bid / WAD


@pytest.mark.parametrize("twap", [3_000.0, 3_080.0])
def test_a_twap_that_comes_behind_does_not_hold_a_hedge_back(snapshot_of: SNAPSHOTS, twap: float) -> None:
    """Selling at 3,000 what a crash has made long: the TWAP counts only for what is traded away from neutral."""
    [leg] = decide(snapshot_of((option(False, 3_000, -240),), twap=twap), POLICY).legs
    [unhindered] = decide(snapshot_of((option(False, 3_000, -240),)), POLICY).legs

    assert leg.venue == unhindered.venue
    assert leg.delta_change == pytest.approx(unhindered.delta_change, abs=2e-6 * WAD)  # legs are rounded to 1e-6
    assert leg.limit_price == pytest.approx(unhindered.limit_price, rel=1e-9)


def test_what_is_traded_away_from_neutral_fits_in_the_turnover_bucket(snapshot_of: SNAPSHOTS) -> None:
    """Who counts the carry of a month closes a spot position beside a short: half of that goes away from neutral."""
    patient = replace(BOLD, risk_horizon_days=30.0)
    free = decide(snapshot_of(held=60.0, debt=60.0, turnover_budget=1.0), patient)
    rationed = decide(snapshot_of(held=60.0, debt=60.0, turnover_budget=0.02), patient)

    def away(decision: Decision) -> float:
        [change] = decision.deltas
        traded = sum(abs(leg.delta_change) for leg in decision.legs) / WAD
        return 3_000 * (traded + abs(change.after) - abs(change.before)) / 2

    assert away(free) > 30_000
    nav = snapshot_of(held=60.0, debt=60.0).assessment.nav_bid / WAD
    assert away(rationed) == pytest.approx(patient.max_loss_use * 0.02 * nav, rel=1e-4)
    assert "turnover" in dict(rationed.binding)


def test_hedges_beyond_their_bucket_leave_room_for_what_they_count_as(snapshot_of: SNAPSHOTS) -> None:
    """They count as losing half a per cent more: 0.1 % of NAV pays for 20 % of NAV at most."""
    book = (option(False, 3_000, -240),)
    free = decide(snapshot_of(book, loss_budget=0.001), BOLD)
    counted = decide(snapshot_of(book, loss_budget=0.001, hedging_budget=0.0), BOLD)

    def hedged(decision: Decision) -> float:
        return sum(abs(leg.delta_change) for leg in decision.legs) / WAD * 3_000

    nav = snapshot_of(book).assessment.nav_bid / WAD
    assert hedged(counted) < hedged(free)
    assert hedged(counted) * 0.005 <= BOLD.max_loss_use * 0.001 * nav
    assert "hedging bucket" in dict(counted.binding)


@pytest.mark.parametrize(("loss_budget", "depth"), [(0.0005, 40e6), (0.002, 50e6), (0.002, 4e9)])
def test_the_loss_that_the_contract_records_fits_in_the_bucket(
    snapshot_of: SNAPSHOTS, loss_budget: float, depth: float
) -> None:
    """Price impact counts: else the vault would refuse the same hedge at every block."""
    snapshot = snapshot_of((option(False, 3_000, -240),), loss_budget=loss_budget, depth=depth)

    decision = decide(snapshot, POLICY)

    pool, nav = snapshot.venues[SHORT].pools[0], snapshot.assessment.nav_bid / WAD
    [units] = [leg.delta_change / WAD for leg in decision.legs]
    assert units < -10
    assert units * (average_price(pool, units) - 3_000) <= POLICY.max_loss_use * loss_budget * nav


def test_a_delta_outside_its_band_waits_until_the_budgets_leave_more_than_a_crumb(snapshot_of: SNAPSHOTS) -> None:
    """Budgets refill by the second: what they leave just after a trade is not worth the gas of another."""

    def with_left(budget: float) -> Decision:
        book = (option(False, 3_000, -25),)
        empty = {"loss_budget": 0.0, "hedging_budget": 0.0}
        return decide(snapshot_of(book, emergency_budget=budget, base_fee_gwei=50.0, **empty), POLICY)

    crumb, more = with_left(0.00005), with_left(0.00012)

    assert crumb.action is Action.HOLD
    assert crumb.reason.startswith("delta of ETH is outside its band, but the limits leave no trade worth its gas")
    [change] = more.deltas
    assert more.action is Action.TRADE
    assert change.before > change.after > change.band


def test_a_pool_without_liquidity_is_not_traded_in(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),))
    dry = replace(snapshot.venues[SHORT].pools[0], liquidity=0)
    unborn = replace(dry, sqrt_price_x96=0)
    wet = snapshot.venues[SHORT].pools[0]
    venues = tuple(replace(venue, pools=(dry, unborn, wet)) for venue in snapshot.venues)

    decision = decide(replace(snapshot, venues=venues), POLICY)

    assert [leg.pool for leg in decision.legs] == [2]
    nowhere = tuple(replace(venue, pools=(dry,)) for venue in snapshot.venues)
    assert decide(replace(snapshot, venues=nowhere), POLICY).action is Action.HOLD


def test_an_aave_venue_without_its_lending_data_is_refused(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),))
    venues = (snapshot.venues[SPOT], replace(snapshot.venues[SHORT], lending=None))

    decision = decide(replace(snapshot, venues=venues), POLICY)

    assert decision.action is Action.REFUSE
    assert "venue 1 is an Aave venue without lending data" in decision.reason


def test_a_vault_without_venues_says_that_nothing_can_be_done(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(replace(snapshot_of((option(False, 3_000, -60),)), venues=()), POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason.startswith("delta of ETH is outside its band, but the limits leave no trade")


def test_a_venue_sells_no_more_in_all_its_pools_than_it_holds(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of(held=60.0, idle=800_000)
    spot = snapshot.venues[SPOT]
    pools = (*spot.pools, *_renamed(spot.pools))

    decision = decide(replace(snapshot, venues=(replace(spot, pools=pools), snapshot.venues[SHORT])), BOLD)

    assert sorted(leg.pool for leg in decision.legs if leg.venue == SPOT) == [0, 1]
    assert 59 * WAD < -sum(leg.delta_change for leg in decision.legs if leg.venue == SPOT) <= 60 * WAD


def test_a_venue_buys_back_no_more_in_all_its_pools_than_it_owes(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of(debt=60.0, idle=800_000)
    short = snapshot.venues[SHORT]
    pools = (*short.pools, *_renamed(short.pools))

    decision = decide(replace(snapshot, venues=(snapshot.venues[SPOT], replace(short, pools=pools))), BOLD)

    assert sorted(leg.pool for leg in decision.legs if leg.venue == SHORT) == [0, 1]
    assert 59 * WAD < sum(leg.delta_change for leg in decision.legs if leg.venue == SHORT) <= 60 * WAD


def test_no_more_legs_than_a_rebalance_takes(snapshot_of: SNAPSHOTS) -> None:
    """Of many shallow pools the largest trades come first; the rest is for the next block."""
    snapshot = snapshot_of((option(True, 3_000, -60),), depth=20e6)
    [pool] = snapshot.venues[SPOT].pools
    pools = iter([replace(pool, address=f"0x{i:040x}") for i in range(12)])
    spots = [replace(snapshot.venues[SPOT], index=i, pools=tuple(next(pools) for _ in range(4))) for i in range(3)]

    decision = decide(replace(snapshot, venues=tuple(spots)), replace(POLICY, risk_aversion=1e4))

    assert decision.action is Action.TRADE
    assert len(decision.legs) == 8
    assert abs(decision.deltas[0].after - decision.deltas[0].before) == pytest.approx(
        sum(leg.delta_change for leg in decision.legs) / WAD, abs=1e-4
    )
    # Twelve pools are alike, so that the search ends before it has proven its choice: the decision says by how much.
    said = re.search(r"other pools may save up to ([0-9.]+) USDC", decision.reason)
    assert said is not None
    assert 0 < float(said[1]) < decision.costs.total


def test_a_choice_of_pools_that_is_proven_best_needs_no_caveat(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(True, 3_000, -60),)), POLICY)

    assert decision.action is Action.TRADE
    assert "other pools" not in decision.reason


@pytest.mark.parametrize(("base_fee_gwei", "legs"), [(0.1, 2), (200.0, 1)])
def test_a_hedge_is_split_over_two_pools_where_that_saves_more_than_gas(
    snapshot_of: SNAPSHOTS, base_fee_gwei: float, legs: int
) -> None:
    """Half the trade through each pool moves its price half as far: worth about 50 USDC here, and a leg of gas."""
    snapshot = snapshot_of((option(True, 3_000, -60),), base_fee_gwei=base_fee_gwei)
    spot = snapshot.venues[SPOT]
    pools = (*spot.pools, *_renamed(spot.pools))

    decision = decide(replace(snapshot, venues=(replace(spot, pools=pools), snapshot.venues[SHORT])), POLICY)

    assert [leg.venue for leg in decision.legs] == [SPOT] * legs
    gas = POLICY.rebalance_gas + POLICY.leg_gas * (legs - 1)
    assert decision.costs.gas == pytest.approx(gas * base_fee_gwei * 1e-9 * 3_000)
    sizes = [leg.delta_change for leg in decision.legs]
    assert max(sizes) == pytest.approx(min(sizes), rel=1e-4)


def test_the_second_leg_through_a_pool_expects_the_price_that_the_first_leaves(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -60),), held=15.0, idle=900_000, depth=80e6)

    first, second = decide(snapshot, POLICY).legs

    pool = snapshot.venues[SPOT].pools[0]
    assert (first.venue, second.venue) == (SPOT, SHORT)
    both = (first.delta_change + second.delta_change) / WAD
    worth = average_price(pool, both) * both - average_price(pool, first.delta_change / WAD) * first.delta_change / WAD
    expected = worth * WAD / second.delta_change
    assert second.limit_price / WAD == pytest.approx(expected * (1 - POLICY.limit_slippage))
    assert second.limit_price < first.limit_price


def test_a_leg_that_another_leaves_no_acceptable_price_waits_for_the_next_block(snapshot_of: SNAPSHOTS) -> None:
    decision = decide(snapshot_of((option(False, 3_000, -60),), held=10.0, idle=900_000, depth=11e6), POLICY)

    [leg] = decision.legs
    assert (leg.venue, leg.delta_change / WAD) == (SPOT, pytest.approx(-10, abs=1e-4))
    assert decision.deltas[0].after == pytest.approx(decision.deltas[0].before - 10, abs=1e-4)


@pytest.mark.parametrize("idle", [40_000.0, 60_000.0, 90_000.0])
def test_a_short_that_lacks_collateral_is_extended_only_as_far_as_the_cash_goes(
    snapshot_of: SNAPSHOTS, idle: float
) -> None:
    """A trade brings the whole short to its health target, so what is missing already is paid as well."""
    snapshot = snapshot_of((option(False, 3_000, -60),), debt=10.0, health=1.3, idle=idle)

    decision = decide(snapshot, POLICY)

    assert sum(_sent_ahead(snapshot, leg) for leg in decision.legs if leg.venue == SHORT) <= idle


def _sent_ahead(snapshot: Snapshot, leg: Leg) -> float:
    """AaveV3Short._funding of borrowing and selling more, USDC."""
    lending = snapshot.venues[SHORT].lending
    assert lending is not None
    sold = -leg.delta_change / WAD
    debt = lending.debt_wad / WAD + sold
    required = debt * 3_000 * lending.health_target / lending.liquidation_threshold
    return required - lending.collateral_usdc / USDC - sold * leg.limit_price / WAD


def test_two_shorts_are_restored_only_as_far_as_the_cash_goes(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(False, 3_000, -30),), debt=14.0, health=1.55, idle=20_000.0)
    both = (snapshot.venues[SHORT], replace(snapshot.venues[SHORT], index=2))
    missing = 14 * 3_000 * (1.8 - 1.55) / 0.78

    legs = restoring_legs(replace(snapshot, venues=(snapshot.venues[SPOT], *both)), ())

    assert missing < 20_000 < 2 * missing
    assert [(leg.venue, leg.delta_change) for leg in legs] == [(SHORT, 0)]


def test_trades_that_together_pass_the_ticks_that_were_read_are_not_sent_together(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of(debt=60.0)
    [pool] = snapshot.venues[SPOT].pools
    narrow = (replace(pool, ticks=((pool.tick - 20, 0), (pool.tick + 20, 0))),)
    snapshot = replace(snapshot, venues=tuple(replace(venue, pools=narrow) for venue in snapshot.venues))
    spot, short = instruments_of(snapshot)
    assert spot.pool_address == short.pool_address

    trades = tuple(Trade(instrument, 0.6 * spot.buy.capacity) for instrument in (spot, short))

    assert [executable((trade,), snapshot) for trade in trades] == [(trade,) for trade in trades]
    assert executable(trades, snapshot) == trades[:1]


def _renamed(pools: tuple[PoolState, ...]) -> tuple[PoolState, ...]:
    return tuple(replace(pool, address="0x" + "44" * 20) for pool in pools)


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


def test_gas_is_counted_as_the_last_rebalance_took_it(snapshot_of: SNAPSHOTS) -> None:
    """Of two legs and 3,000,000 gas, one leg is worth 2,700,000."""
    snapshot = snapshot_of((option(True, 3_000, -60),), base_fee_gwei=10.0)

    decision = answer(snapshot, POLICY, Brief(last_rebalance=(2, 3_000_000)))

    assert len(decision.legs) == 1
    assert decision.costs.gas == pytest.approx((3_000_000 - POLICY.leg_gas) * 10e-9 * 3_000)
