"""Hedger.loss_budget, turnover_budget, hedging_budget, emergency_budget, set_budgets: what hedges may cost.

At 1,000,000 USDC the loss bucket holds 2,000, the turnover bucket 80,000, that of hedging 170,000 and the
emergency bucket 1,000. A trade of ETH at 3,000 in the first pool costs 0.05 %: 1.50 a unit.
"""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, events, reverts
from tests.contracts.protocol import ETH, LOOSE, SHORT, SPOT, Budgets, wad

EMPTY = {"loss_capacity": 0, "loss_per_day": 0}


@pytest.fixture
def loose(funded):
    """No bands, and no ration of turnover."""
    funded.loosen()
    return funded


@pytest.fixture
def crashed(funded):
    """Thirty puts make the vault long; ETH falls by 5 % in two minutes, and the TWAP has seen little of it."""
    funded.loosen()
    puts = funded.open_series(is_call=False)
    funded.sell(puts, 30 * WAD)
    funded.market.pass_time(120)
    for pool in (funded.market.pool, funded.market.deep_pool):
        funded.market.push_pool(2_850, pool)
    funded.market.submit(2_850)
    reading = funded.price_oracle.read(ETH)
    assert (reading.price, reading.twap > 2_980 * WAD) == (2_850 * WAD, True)
    assert funded.vault.assessment().delta[ETH] > 15 * WAD
    return funded


def balances(protocol):
    hedger = protocol.hedger
    return hedger.loss_budget(), hedger.turnover_budget(), hedger.emergency_budget()


def test_all_start_full(protocol):
    assert balances(protocol) == (wad(0.002), wad(0.08), wad(0.001))


# ---------------------------------------------------------------- towards neutral and away


def test_a_hedge_in_a_crash_is_not_charged_for_the_twap_that_comes_behind(crashed):
    """Fifteen units at 140 below the TWAP would have booked over 2,000 USDC: the whole bucket, for a fair price."""
    delta = crashed.vault.assessment().delta[ETH]

    crashed.rebalance(crashed.leg(SHORT, -15))

    (leg,) = events(crashed.hedger, "LegTraded")
    (total,) = events(crashed.hedger, "Rebalanced")
    assert crashed.vault.assessment().delta[ETH] == pytest.approx(delta - 15 * WAD, rel=1e-9)
    assert leg.loss < 30 * WAD
    assert total.turnover == 0
    assert crashed.hedger.turnover_budget() == 1_000 * WAD


def test_a_position_that_is_opened_at_a_price_behind_the_twap_is_charged_for_it(crashed):
    """Selling ten more than the delta, at 2,850, while the TWAP says that ETH is still worth 140 more."""
    before = crashed.vault.assessment()
    missed = before.twap[ETH] - before.spot[ETH]

    crashed.rebalance(crashed.leg(SHORT, -(before.delta[ETH] / WAD) - 10))

    (leg,) = events(crashed.hedger, "LegTraded")
    (total,) = events(crashed.hedger, "Rebalanced")
    lost = before.nav_mid - crashed.vault.assessment().nav_mid
    assert leg.loss == pytest.approx(10 * missed + lost, rel=1e-6)
    assert total.turnover == pytest.approx(28_500 * WAD, rel=1e-6)


def test_legs_are_measured_at_the_delta_that_those_before_them_leave(funded, series):
    """Short 20 calls: net delta about -10.6. One purchase passes zero, the next is all away, the sale returns."""
    funded.sell(series, 20 * WAD)
    funded.risk.set_limits(LOOSE, sender=funded.governor)
    delta = funded.vault.assessment().delta[ETH]

    funded.rebalance(funded.leg(SPOT, 12), funded.leg(SPOT, 3), funded.leg(SHORT, -4))

    (total,) = events(funded.hedger, "Rebalanced")
    assert total.turnover == pytest.approx((15 * WAD + delta) * 3_000, rel=1e-6)
    share = total.turnover * WAD // total.nav_before + 1
    assert funded.hedger.turnover_budget() == wad(0.08) - share


def test_delta_of_one_underlying_is_not_neutral_for_the_other(both):
    both.risk.set_limits(LOOSE, sender=both.governor)
    both.rebalance(both.leg(SPOT, 10))
    before = both.hedger.turnover_budget()

    both.rebalance(both.leg(3, -0.3))  # BTC sold short: ETH bought is not what it brings closer to zero

    assert before - both.hedger.turnover_budget() == pytest.approx(wad(0.027), rel=1e-3)


# ---------------------------------------------------------------- turnover


def test_turnover_away_from_neutral_is_rationed(funded):
    funded.risk.set_limits(LOOSE, sender=funded.governor)

    with reverts("rebalance: turnover"):
        funded.rebalance(funded.leg(SPOT, 27))
    funded.rebalance(funded.leg(SPOT, 20))
    with reverts("rebalance: turnover"):
        funded.rebalance(funded.leg(SPOT, 7))
    funded.rebalance(funded.leg(SPOT, -20))  # the way back is free
    funded.market.wait(DAY)
    funded.rebalance(funded.leg(SPOT, 20))


# ---------------------------------------------------------------- hedging


def test_hedges_beyond_their_bucket_count_as_losing_half_a_per_cent_more(funded, sold):
    """Attack A29. Chainlink may be that far from the market; 6,000 USDC of delta are covered, 6,000 are not."""
    funded.loosen(hedging_capacity=wad(0.006), hedging_per_day=0)

    funded.rebalance(funded.leg(SPOT, 2))
    (covered,) = events(funded.hedger, "Rebalanced")
    funded.rebalance(funded.leg(SPOT, 2))
    (beyond,) = events(funded.hedger, "Rebalanced")

    assert beyond.loss - covered.loss == pytest.approx(30 * WAD, rel=1e-3)
    assert funded.hedger.hedging_budget() == 0
    assert funded.hedger.loss_budget() == pytest.approx(wad(0.002) - (covered.loss + beyond.loss) // 10**6, rel=1e-4)


def test_what_goes_away_from_neutral_takes_nothing_from_the_hedging_bucket(funded, sold):
    funded.loosen(hedging_capacity=wad(0.2))
    delta = funded.vault.assessment().delta[ETH]

    funded.rebalance(funded.leg(SPOT, 9))

    assert wad(0.2) - funded.hedger.hedging_budget() == pytest.approx(-delta * 3_000 // 10**6, rel=1e-3)


def test_below_maintenance_margin_hedges_count_as_what_they_cost(funded, sold):
    funded.loosen(hedging_capacity=0, hedging_per_day=0)
    funded.overwrite("idle", 10_500 * USDC)
    a = funded.vault.assessment()
    assert 0 < a.nav_bid < a.maintenance

    funded.rebalance(funded.leg(SPOT, 1))

    (total,) = events(funded.hedger, "Rebalanced")
    assert total.loss < 2 * WAD


# ---------------------------------------------------------------- losses and emergencies


def test_away_from_neutral_only_the_loss_bucket_pays(funded):
    funded.loosen(**EMPTY)

    with reverts("budget: exhausted"):
        funded.rebalance(funded.leg(SPOT, 1))
    assert funded.hedger.emergency_budget() == wad(0.001)


def test_towards_neutral_the_emergency_bucket_pays_what_the_loss_bucket_has_not(funded, sold):
    """Ten short calls: five bought back towards neutral lose 7.50 USDC, of which the loss bucket has 5."""
    funded.loosen(loss_capacity=wad(0.000005), loss_per_day=0)

    funded.rebalance(funded.leg(SPOT, 5))

    (total,) = events(funded.hedger, "Rebalanced")
    share = total.loss * WAD // total.nav_before + 1
    assert share > wad(0.000005)
    assert balances(funded)[::2] == (0, wad(0.001) - (share - wad(0.000005)))


def test_what_a_leg_loses_beyond_neutral_is_not_an_emergency(funded, sold):
    funded.loosen(**EMPTY)

    with reverts("budget: exhausted"):
        funded.rebalance(funded.leg(SPOT, 7))
    funded.rebalance(funded.leg(SPOT, 5))


def test_the_emergency_bucket_is_a_bucket_too(funded, sold):
    funded.loosen(**EMPTY, emergency_capacity=wad(0.000005))

    with reverts("budget: exhausted"):
        funded.rebalance(funded.leg(SPOT, 5))
    funded.rebalance(funded.leg(SPOT, 3))
    with reverts("budget: exhausted"):
        funded.rebalance(funded.leg(SPOT, 2))


def test_below_maintenance_margin_emergencies_refill_faster(funded, sold):
    """Twenty times: an hour brings 4 bp instead of a fifth of one."""
    funded.loosen(**EMPTY, emergency_capacity=wad(0.0009), emergency_per_day=wad(0.0005))
    funded.overwrite("idle", 10_500 * USDC)
    funded.market.push_pool(3_009)
    a = funded.vault.assessment()
    assert 0 < a.nav_bid < a.maintenance
    funded.rebalance(funded.leg(SPOT, 0.5))
    assert funded.hedger.emergency_budget() < wad(0.0005)
    funded.last(3_600)

    slow = funded.hedger.emergency_budget()
    funded.rebalance(funded.leg(SPOT, 0.5))

    (total,) = events(funded.hedger, "Rebalanced")
    share = total.loss * WAD // max(total.nav_before, a.maintenance) + 1
    assert slow < share < slow + wad(0.0004)


def test_the_faster_refill_begins_with_the_record_of_distress(funded, sold):
    """A day without refill in better times is not one at 1 %."""
    funded.loosen(**EMPTY, emergency_capacity=wad(0.0009), emergency_per_day=0)
    funded.overwrite("idle", 20_000 * USDC)
    funded.rebalance(funded.leg(SPOT, 0.5))
    funded.market.push_pool(3_009)
    funded.rebalance(funded.leg(SPOT, 0.5))
    funded.market.wait(DAY)
    a = funded.vault.assessment()
    funded.overwrite("idle", funded.vault.idle() - (a.nav_bid - a.maintenance * 9 // 10) // 10**12)

    funded.hedger.record_breach(sender=funded.stranger)
    with reverts("budget: exhausted"):
        funded.rebalance(funded.leg(SPOT, 0.7))
    funded.last(3_600)
    funded.rebalance(funded.leg(SPOT, 0.7))


# ---------------------------------------------------------------- governance


def test_set_budgets_replaces_them(protocol):
    budgets = Budgets(loss_capacity=wad(0.003))

    protocol.hedger.set_budgets(budgets, sender=protocol.governor)

    (event,) = events(protocol.hedger, "BudgetsSet")
    assert event.budgets == protocol.hedger.budgets() == budgets


def test_set_budgets_refuses_a_slippage_above_one(protocol):
    with reverts("rebalance: budgets"):
        protocol.hedger.set_budgets(Budgets(leg_slippage=WAD + 1), sender=protocol.governor)


@pytest.mark.parametrize("role", ["guardian", "keeper", "stranger"])
def test_set_budgets_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.hedger.set_budgets(Budgets(), sender=getattr(protocol, role))


TIGHTER = {
    "loss_capacity": 0,
    "loss_per_day": wad(0.001),
    "turnover_capacity": wad(0.04),
    "turnover_per_day": 0,
}


@pytest.mark.parametrize("role", ["guardian", "governor"])
def test_the_guardian_rations_the_keeper_at_once(protocol, role):
    """Invariant 41: risk reductions are instant."""
    protocol.hedger.tighten_budgets(Budgets(**TIGHTER), sender=getattr(protocol, role))

    (event,) = events(protocol.hedger, "BudgetsSet")
    assert event.budgets == Budgets(**TIGHTER)
    assert protocol.hedger.budgets() == Budgets(**TIGHTER)
    assert protocol.hedger.tightened_at() == protocol.market.now


@pytest.mark.parametrize("field", TIGHTER)
def test_tightening_loosens_no_field(protocol, field):
    """Invariant 40: the guardian can only reduce risk."""
    looser = Budgets(**TIGHTER)._replace(**{field: getattr(Budgets(), field) + 1})

    with reverts("rebalance: not tighter"):
        protocol.hedger.tighten_budgets(looser, sender=protocol.guardian)


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("field", sorted(set(Budgets._fields) - set(TIGHTER)))
def test_the_guardian_leaves_hedges_and_emergencies_what_they_have(protocol, field, change):
    """Invariant 40: without them nobody could unwind the vault when the keeper is dead, nor the keeper hedge it."""
    other = Budgets()._replace(**{field: getattr(Budgets(), field) + change})

    with reverts("rebalance: not tighter"):
        protocol.hedger.tighten_budgets(other, sender=protocol.guardian)


@pytest.mark.parametrize("role", ["keeper", "stranger"])
def test_tightening_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.hedger.tighten_budgets(Budgets(), sender=getattr(protocol, role))
