"""Hedger.de_risk: anyone brings the book closer to its limits once a breach has lasted.

At 1,000,000 USDC half a per cent is 5,000, or 1.67 units of ETH at 3,000; sixty short calls are 32 units of delta, of
which the target band allows 6.7.
"""

import boa
import pytest

from tests.contracts.chain import DAY, USDC, WAD, events, reverts
from tests.contracts.protocol import BTC_SPOT, ETH, LOOSE, SHORT, SPOT, Budgets, fault, wad

MINUTE = 60
TARGET = LOOSE._replace(delta_target=wad(0.02))


@pytest.fixture
def adrift(funded, series):
    """Short sixty calls and not hedged: delta is 10 % of NAV, five times the target band."""
    funded.loosen()
    funded.sell(series, 60 * WAD)
    funded.risk.set_limits(TARGET, sender=funded.governor)
    return funded


@pytest.fixture
def open_to_all(adrift):
    """The same after half an hour, at the loss that legs may have at first."""
    adrift.last(30 * MINUTE)
    assert adrift.hedger.opens_at() == adrift.market.now
    return adrift


def excess(protocol):
    """Of delta over its band, USDC in WAD."""
    a = protocol.vault.assessment()
    return protocol.risk.breaches(a, a.nav_mid)[3]


def confirm(protocol, seconds):
    protocol.market.wait(seconds)
    protocol.hedger.record_breach(sender=protocol.stranger)


# ---------------------------------------------------------------- when


def test_before_the_breach_has_lasted_it_is_closed(adrift):
    """Invariant 33. Nobody is liquidated on the spot."""
    adrift.last(30 * MINUTE - 1)

    with reverts("derisk: not open"):
        adrift.de_risk(adrift.leg(SPOT, 2))


def test_without_a_record_it_is_closed_however_old_the_breach(adrift):
    adrift.market.wait(DAY)

    with reverts("derisk: not open"):
        adrift.de_risk(adrift.leg(SPOT, 2))


def test_a_record_that_was_not_confirmed_does_not_open_it(open_to_all):
    open_to_all.market.wait(10 * MINUTE + 1)

    with reverts("derisk: not open"):
        open_to_all.de_risk(open_to_all.leg(SPOT, 2))


def test_once_it_has_lasted_anyone_brings_delta_closer(open_to_all):
    """Invariant 43. With a dead keeper anyone can unwind."""
    before = open_to_all.vault.assessment()

    open_to_all.de_risk(open_to_all.leg(SPOT, 5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    after = open_to_all.vault.assessment()
    assert step.caller == open_to_all.stranger
    assert after.delta[ETH] - before.delta[ETH] == 5 * WAD
    assert 0 < step.loss < step.moved // 200
    assert open_to_all.ledger_problems([open_to_all.depositor]) == []


def test_a_whole_step_takes_a_minute_and_a_part_of_one_its_part(open_to_all):
    """Invariant 43: a step of dust does not use up everybody's minute."""
    units = excess(open_to_all) / 4 / 3_000 / WAD
    open_to_all.de_risk(open_to_all.leg(SPOT, units / 10**5))
    assert open_to_all.hedger.step_budget() == pytest.approx(WAD - WAD // 10**5, rel=1e-3)

    open_to_all.de_risk(open_to_all.leg(SPOT, units * 0.99))

    open_to_all.market.pass_time(30)
    assert open_to_all.hedger.step_budget() == pytest.approx(0.51 * WAD, rel=1e-2)
    units = excess(open_to_all) / 4 / 3_000 / WAD
    with reverts("derisk: a step a minute"):
        open_to_all.de_risk(open_to_all.leg(SPOT, units * 0.6))
    open_to_all.de_risk(open_to_all.leg(SPOT, units * 0.5))


def test_cutting_a_step_in_pieces_moves_no_more(open_to_all):
    """Invariant 38. Each part takes less than a second: the excess shrinks meanwhile, and 0.88 of a step are moved."""
    whole = excess(open_to_all) / 4 / 3_000 / WAD
    taken = 0
    with reverts("derisk: a step a minute"):
        for _ in range(61):
            open_to_all.de_risk(open_to_all.leg(SPOT, whole / 61))
            taken += 1

    assert 0.85 < taken / 61 < 0.9


def test_it_goes_on_in_reduce_only(open_to_all):
    open_to_all.breaker.set_reduce_only(True, sender=open_to_all.guardian)

    open_to_all.de_risk(open_to_all.leg(SPOT, 2))


def test_the_keepers_rebalance_is_not_fenced_out_by_it(open_to_all):
    open_to_all.de_risk(open_to_all.leg(SPOT, 2))

    open_to_all.rebalance(open_to_all.leg(SPOT, 28), sequence=0)


# ---------------------------------------------------------------- how much


def test_a_step_is_at_most_a_quarter_of_the_excess(open_to_all):
    units = excess(open_to_all) / 4 / 3_000 / WAD

    with reverts("derisk: too much at once"):
        open_to_all.de_risk(open_to_all.leg(SPOT, units + 0.001))
    open_to_all.de_risk(open_to_all.leg(SPOT, units - 0.001))


def test_all_legs_of_a_step_count(open_to_all):
    units = excess(open_to_all) / 4 / 3_000 / WAD

    with reverts("derisk: too much at once"):
        open_to_all.de_risk(open_to_all.leg(SPOT, units * 0.6), open_to_all.leg(SPOT, units * 0.6, pool=1))


def test_or_half_a_per_cent_of_nav_so_that_it_comes_to_an_end(open_to_all):
    open_to_all.rebalance(open_to_all.leg(SPOT, 24))
    assert 0 < excess(open_to_all) < 20_000 * WAD

    open_to_all.de_risk(open_to_all.leg(SPOT, 1.6))

    assert excess(open_to_all) < 20_000 * WAD - 4_500 * WAD


def test_step_by_step_it_reaches_the_band_and_strikes_the_record(open_to_all):
    """Invariant 43. The last step goes a little into the band."""
    steps = 0
    while open_to_all.hedger.breach().since:
        a = open_to_all.vault.assessment()
        over = excess(open_to_all)
        open_to_all.de_risk(open_to_all.leg(SPOT, (max(over / 4, a.nav_bid / 200)) / 3_000 / WAD - 0.001))
        open_to_all.market.wait(MINUTE)
        steps += 1

    assert excess(open_to_all) == 0
    assert 5 <= steps <= 20


# ---------------------------------------------------------------- which legs


def test_away_from_neutral_is_the_wrong_way(open_to_all):
    with reverts("derisk: wrong way"):
        open_to_all.de_risk(open_to_all.leg(SHORT, -1))


def test_beyond_neutral_is_the_wrong_way(funded, sold):
    """Delta of 5.3 is in breach of a tiny band, and a leg of six would end on the other side."""
    funded.loosen()
    funded.risk.set_limits(LOOSE._replace(delta_target=1), sender=funded.governor)
    funded.overwrite("idle", 3_600_000 * USDC)  # half a per cent is six units
    funded.last(30 * MINUTE)

    with reverts("derisk: wrong way"):
        funded.de_risk(funded.leg(SPOT, 5.9))
    funded.de_risk(funded.leg(SPOT, 5.0))


def test_an_underlying_inside_its_band_is_left_alone(both):
    both.loosen()
    both.rebalance(both.leg(SPOT, 20))
    both.rebalance(both.leg(BTC_SPOT, 0.1))
    both.risk.set_limits(TARGET, sender=both.governor)
    both.last(30 * MINUTE)

    with reverts("derisk: wrong way"):
        both.de_risk(both.leg(SPOT, -1), both.leg(BTC_SPOT, -0.05))
    both.de_risk(both.leg(SPOT, -1))


def test_what_brings_nothing_closer_is_refused(open_to_all):
    with reverts("derisk: nothing better"):
        open_to_all.de_risk()


def test_while_margin_is_in_breach_delta_inside_its_band_may_be_traded_away(adrift):
    adrift.risk.set_limits(LOOSE, sender=adrift.governor)
    adrift.overwrite("idle", 60_000 * USDC)
    a = adrift.vault.assessment()
    breaches = adrift.risk.breaches(a, a.nav_mid)
    assert breaches[0] > 0
    assert breaches[3] == 0
    adrift.last(30 * MINUTE)

    adrift.de_risk(adrift.leg(SPOT, 7))

    after = adrift.vault.assessment()
    assert after.nav_mid - after.maintenance > a.nav_mid - a.maintenance


def test_no_limit_may_end_farther_from_its_band(open_to_all):
    """With leverage in breach a hedge that adds to it is refused, though delta would be closer."""
    open_to_all.risk.set_limits(LOOSE._replace(delta_target=wad(0.02), gross_leverage=0), sender=open_to_all.governor)

    with reverts("derisk: a limit worse"):
        open_to_all.de_risk(open_to_all.leg(SPOT, 2))


@pytest.fixture
def overhedged(funded, series):
    """Short sixty straddles and four units long of a band of nothing: each that is sold adds 1,310 USDC to margin."""
    funded.loosen()
    funded.sell(series, 60 * WAD)
    funded.sell(funded.list_series(is_call=False), 60 * WAD)
    funded.rebalance(funded.leg(SPOT, 6))
    funded.risk.set_limits(LOOSE._replace(delta_target=1), sender=funded.governor)
    return funded


def spare(protocol, usdc):
    """Let the vault have this much more than initial margin at bid marks."""
    a = protocol.vault.assessment()
    protocol.overwrite("idle", protocol.vault.idle() - (a.nav_bid - a.initial) // 10**12 + usdc * USDC)
    protocol.last(30 * MINUTE)


def test_nobody_takes_a_healthy_vault_below_initial_margin(overhedged):
    """Invariant 32. At middle marks, by which its breaches are measured, there would be 430 USDC more."""
    spare(overhedged, 100)

    with reverts("derisk: margin"):
        overhedged.de_risk(overhedged.leg(SPOT, -0.1))
    overhedged.de_risk(overhedged.leg(SPOT, -0.05))


def test_below_it_at_bid_marks_delta_is_mended_all_the_same(overhedged):
    spare(overhedged, -50)

    overhedged.de_risk(overhedged.leg(SPOT, -0.1))


def test_leverage_in_breach_lets_a_position_shrink_on_both_sides(funded, sold):
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 25), funded.leg(SHORT, -20))
    funded.risk.set_limits(TARGET._replace(gross_leverage=wad(0.05)), sender=funded.governor)
    funded.last(30 * MINUTE)
    gross = funded.vault.assessment().gross

    funded.de_risk(funded.leg(SPOT, -3), funded.leg(SHORT, 3))

    assert funded.vault.assessment().gross == pytest.approx(gross - 18_000 * WAD, rel=1e-6)
    with reverts("derisk: wrong way"), boa.env.anchor():
        funded.market.wait(MINUTE)
        funded.de_risk(funded.leg(SPOT, 1), funded.leg(SHORT, -1))


# ---------------------------------------------------------------- health of a venue


@pytest.fixture
def ill(hedged):
    """The short's health is 1.29 after a rise to 4,200; nothing else is in breach."""
    hedged.loosen()
    hedged.market.move(4_200)
    hedged.last(30 * MINUTE)
    return hedged


def test_collateral_of_an_ill_venue_is_restored_by_anyone(ill):
    ill.de_risk(ill.leg(SHORT, 0))

    (step,) = events(ill.hedger, "DeRisked")
    assert (step.moved, step.bounty) == (0, 0)
    assert abs(ill.short.state(4_200 * WAD).health - 18 * WAD // 10) < WAD // 10**6
    assert ill.hedger.breach().since == 0


def test_a_healthy_venue_is_left_alone(open_to_all):
    open_to_all.rebalance(open_to_all.leg(SPOT, 6), open_to_all.leg(SHORT, -1))

    with reverts("derisk: venue is healthy"):
        open_to_all.de_risk(open_to_all.leg(SHORT, 0))


def test_without_cash_its_debt_is_repaid(ill):
    """Health comes before delta: buying back half of it is away from neutral, and stays inside the band."""
    ill.overwrite("owed", ill.vault.idle())
    ill.risk.set_limits(LOOSE, sender=ill.governor)

    ill.de_risk(ill.leg(SHORT, 1.1, limit=4_220))

    assert ill.short.state(4_200 * WAD).exposure == pytest.approx(-0.9 * WAD, rel=1e-3)
    assert abs(ill.short.state(4_200 * WAD).health - 18 * WAD // 10) < WAD // 10**6


def test_what_does_not_help_an_ill_venue_is_refused(ill):
    venue = fault("LyingVenue")
    venue.fall_ill(12 * WAD // 10)
    ill.vault.list_venue(venue, ETH, sender=ill.governor)

    with reverts("derisk: health"):
        ill.de_risk(ill.leg(2, 0))


def test_while_nothing_else_is_in_breach_a_healthy_position_stays(ill):
    with reverts("derisk: wrong way"):
        ill.de_risk(ill.leg(SPOT, -1))


# ---------------------------------------------------------------- price


def test_what_a_leg_may_lose_grows_from_half_a_per_cent_to_three_in_half_an_hour(adrift):
    """The pool is 1.5 % off: 1.25 % is allowed after nine minutes, 1.58 % after thirteen."""
    adrift.last(30 * MINUTE)
    adrift.market.push_pool(3_044)
    leg = adrift.leg(SPOT, 2, limit=3_200)

    with reverts("hedge: slippage"):
        adrift.de_risk(leg)
    confirm(adrift, 9 * MINUTE)
    with reverts("hedge: slippage"):
        adrift.de_risk(leg)
    confirm(adrift, 4 * MINUTE)
    adrift.de_risk(leg)


def test_it_never_grows_beyond_three_per_cent(adrift):
    adrift.last(120 * MINUTE)
    adrift.market.push_pool(3_093)

    with reverts("hedge: slippage"):
        adrift.de_risk(adrift.leg(SPOT, 2, limit=3_200))
    adrift.market.push_pool(3_080)
    adrift.de_risk(adrift.leg(SPOT, 0.5, limit=3_200))


# ---------------------------------------------------------------- what it costs


def test_losses_come_from_the_emergency_bucket_alone(open_to_all):
    base = open_to_all.vault.assessment().nav_bid
    before = open_to_all.hedger.loss_budget(), open_to_all.hedger.turnover_budget()

    open_to_all.de_risk(open_to_all.leg(SPOT, 1.5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    assert step.loss > 0
    assert wad(0.001) - open_to_all.hedger.emergency_budget() == step.loss * WAD // base + 1
    assert (open_to_all.hedger.loss_budget(), open_to_all.hedger.turnover_budget()) == before


def test_an_empty_emergency_bucket_stops_what_loses(open_to_all):
    """Invariant 37."""
    open_to_all.loosen(emergency_capacity=wad(0.000001))
    open_to_all.risk.set_limits(TARGET, sender=open_to_all.governor)

    with reverts("budget: exhausted"):
        open_to_all.de_risk(open_to_all.leg(SPOT, 2))


def test_the_bounty_is_five_basis_points_of_what_was_moved(open_to_all):
    usdc = open_to_all.market.usdc
    before, idle = usdc.balanceOf(open_to_all.stranger), open_to_all.vault.idle()

    open_to_all.de_risk(open_to_all.leg(SPOT, 5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    (leg,) = events(open_to_all.hedger, "LegTraded")
    assert step.bounty == pytest.approx(7.5 * USDC, abs=1)
    assert usdc.balanceOf(open_to_all.stranger) - before == step.bounty
    assert open_to_all.vault.idle() == idle + leg.usdc // 10**12 - step.bounty


def test_the_bounty_drains_the_emergency_bucket(open_to_all):
    base = open_to_all.vault.assessment().nav_bid

    open_to_all.de_risk(open_to_all.leg(SPOT, 5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    spent = wad(0.001) - open_to_all.hedger.emergency_budget()
    assert spent == pytest.approx((step.loss + step.bounty * 10**12) * WAD / base, abs=3)


def test_there_is_no_bounty_for_less_than_half_a_per_cent_of_nav(open_to_all):
    """Invariant 38. Cutting a step in many brings nothing."""
    open_to_all.de_risk(open_to_all.leg(SPOT, 1.5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    assert step.bounty == 0


def test_the_bounty_is_no_more_than_the_bucket_has_left(open_to_all):
    open_to_all.loosen(emergency_capacity=wad(0.00001))
    open_to_all.risk.set_limits(TARGET, sender=open_to_all.governor)
    base = open_to_all.vault.assessment().nav_bid

    open_to_all.de_risk(open_to_all.leg(SPOT, 5))

    (step,) = events(open_to_all.hedger, "DeRisked")
    assert 0 < step.bounty < 5 * USDC
    assert step.loss + step.bounty * 10**12 <= wad(0.00001) * base // WAD
    assert open_to_all.hedger.emergency_budget() < 10**8


def test_the_bounty_is_no_more_than_free_cash(open_to_all):
    open_to_all.overwrite("owed", open_to_all.vault.idle() - 15_010 * USDC)
    open_to_all.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=open_to_all.governor)

    open_to_all.de_risk(open_to_all.leg(SPOT, 5, limit=3_002))

    (step,) = events(open_to_all.hedger, "DeRisked")
    assert 0 < step.bounty < 5 * USDC
    assert open_to_all.vault.cash() < 10**12


def test_without_nav_it_goes_on_and_costs_a_share_of_maintenance_margin(adrift):
    adrift.overwrite("idle", 34_000 * USDC)
    adrift.market.move(3_600)
    adrift.loosen(emergency_capacity=wad(0.01))
    before = adrift.vault.assessment()
    assert before.nav_mid < 0
    adrift.last(10 * MINUTE)

    adrift.de_risk(adrift.leg(SPOT, 8))

    (step,) = events(adrift.hedger, "DeRisked")
    after = adrift.vault.assessment()
    spent = wad(0.01) - adrift.hedger.emergency_budget()
    assert spent == pytest.approx((step.loss + step.bounty * 10**12) * WAD / before.maintenance, rel=1e-3)
    assert after.nav_mid - after.maintenance > before.nav_mid - before.maintenance


# ---------------------------------------------------------------- tightening


def test_the_guardian_tightens_the_keepers_budgets_at_once(protocol):
    """Invariant 40 and 41."""
    tighter = Budgets(loss_capacity=wad(0.001), loss_per_day=0, turnover_capacity=wad(0.01))

    protocol.hedger.tighten_budgets(tighter, sender=protocol.guardian)

    assert protocol.hedger.budgets() == tighter


@pytest.mark.parametrize("field", Budgets._fields)
def test_the_guardian_loosens_nothing(protocol, field):
    """Invariant 40."""
    looser = Budgets()._replace(**{field: getattr(Budgets(), field) + 1})

    with reverts("rebalance: not tighter"):
        protocol.hedger.tighten_budgets(looser, sender=protocol.guardian)


@pytest.mark.parametrize("field", ["emergency_capacity", "emergency_per_day", "distress_per_day"])
def test_the_guardian_takes_nothing_from_emergencies(protocol, field):
    """Invariant 40. It pays for nothing but moves towards neutral: without it risk would grow."""
    with reverts("rebalance: not tighter"):
        protocol.hedger.tighten_budgets(Budgets()._replace(**{field: 0}), sender=protocol.guardian)


@pytest.mark.parametrize("role", ["keeper", "stranger"])
def test_others_tighten_nothing(protocol, role):
    with reverts("roles: not allowed"):
        protocol.hedger.tighten_budgets(Budgets(), sender=getattr(protocol, role))


def test_what_anyone_trades_counts_as_hedging_too(open_to_all):
    """Attack A29. Or the keeper would lend himself strangers' hands."""
    open_to_all.hedger.set_budgets(
        Budgets(hedging_capacity=0, hedging_per_day=0, emergency_capacity=wad(0.01)), sender=open_to_all.governor
    )

    open_to_all.de_risk(open_to_all.leg(SPOT, 1))

    (event,) = events(open_to_all.hedger, "DeRisked")
    assert event.loss == pytest.approx((15 + 1.5) * WAD, rel=0.01)
