"""Hedger.rebalance: hedges in real venues, inside limits, budgets and bands."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, events, reverts
from tests.contracts.protocol import DECISION, ETH, LOOSE, SHORT, SPOT, fault, wad


@pytest.fixture
def loose(funded):
    """No bands: what is tested is the trade itself."""
    funded.loosen()
    return funded


def test_buys_spot(funded, sold):
    before = funded.vault.assessment()

    funded.rebalance(funded.leg(SPOT, 5))

    (leg,) = events(funded.hedger, "LegTraded")
    after = funded.vault.assessment()
    assert leg.units == 5 * WAD
    assert funded.market.weth.balanceOf(funded.spot) == funded.spot.held() == 5 * WAD
    assert after.delta[ETH] - before.delta[ETH] == 5 * WAD
    assert before.nav_mid - after.nav_mid == leg.loss


def test_sells_spot(hedged):
    idle = hedged.vault.idle()

    hedged.rebalance(hedged.leg(SPOT, -3))

    (leg,) = events(hedged.hedger, "LegTraded")
    assert leg.units == -3 * WAD
    assert hedged.spot.held() == 4 * WAD
    assert (hedged.vault.idle() - idle) * 10**12 == leg.usdc > 8_950 * WAD


def test_opens_a_short(funded, sold):
    before = funded.vault.assessment()

    funded.rebalance(funded.leg(SHORT, -1))

    after, state = funded.vault.assessment(), funded.short.state(3_000 * WAD)
    assert abs(after.delta[ETH] - before.delta[ETH] + WAD) <= 1
    assert abs(state.health - 18 * WAD // 10) < WAD // 10**6
    assert state.equity > 0
    assert 0 < before.nav_mid - after.nav_mid < 5 * WAD  # the pool's fee on 3,000 USDC is 1.50


def test_closes_a_short_and_returns_all_collateral(hedged):
    hedged.rebalance(hedged.leg(SHORT, 3))

    (leg,) = events(hedged.hedger, "LegTraded")
    state = hedged.short.state(3_000 * WAD)
    assert abs(leg.units - 2 * WAD) <= 1  # no more than the debt
    assert (state.exposure, state.equity) == (0, 0)


def test_a_leg_of_zero_restores_the_shorts_collateral(hedged):
    hedged.market.move(3_150)
    fallen = hedged.short.state(3_150 * WAD).health

    hedged.rebalance(hedged.leg(SHORT, 0))

    assert fallen < 173 * WAD // 100
    assert abs(hedged.short.state(3_150 * WAD).health - 18 * WAD // 10) < WAD // 10**6


def test_collateral_beyond_the_target_comes_back(hedged):
    hedged.market.move(2_700)
    idle = hedged.vault.idle()

    hedged.rebalance(hedged.leg(SHORT, 0), hedged.leg(SPOT, -2))

    assert hedged.vault.idle() > idle + 2 * 2_680 * USDC + 900 * USDC


def test_several_legs_in_one_call(funded, sold):
    funded.rebalance(funded.leg(SPOT, 2), funded.leg(SPOT, 2, pool=1), funded.leg(SHORT, -1))

    assert [(leg.venue, leg.sequence) for leg in events(funded.hedger, "LegTraded")] == [(0, 0), (0, 0), (1, 0)]


def test_emits_rebalanced_with_the_decision(funded, sold):
    before = funded.vault.assessment().nav_bid

    funded.rebalance(funded.leg(SPOT, 5))

    (event,) = events(funded.hedger, "Rebalanced")
    legs = events(funded.hedger, "LegTraded")
    assert (event.sequence, event.decision_hash) == (0, DECISION)
    assert (event.nav_before, event.nav_after) == (before, funded.vault.assessment().nav_bid)
    assert event.loss == sum(leg.loss for leg in legs) > 0


def test_leaves_no_approval_and_keeps_the_ledger(hedged):
    """Invariants 22 and 47."""
    for legs in ([hedged.leg(SHORT, 1)], [hedged.leg(SPOT, -1), hedged.leg(SHORT, -1)], [hedged.leg(SHORT, 5)]):
        hedged.rebalance(*legs)

        assert hedged.ledger_problems([hedged.depositor]) == []


# ---------------------------------------------------------------- who, when, in what order


@pytest.mark.parametrize("role", ["governor", "guardian", "stranger"])
def test_refuses_others(funded, role):
    with reverts("roles: not allowed"):
        funded.hedger.rebalance([], 0, funded.market.now, DECISION, sender=getattr(funded, role))


def test_of_two_keepers_the_second_is_refused(funded):
    funded.rebalance(sequence=0)

    with reverts("rebalance: sequence"):
        funded.rebalance(sequence=0)
    assert funded.hedger.sequence() == 1


def test_after_the_deadline_it_is_refused(funded):
    with reverts("rebalance: expired"):
        funded.rebalance(deadline=funded.market.now - 1)


def test_in_its_last_second_it_is_not(funded):
    funded.rebalance(deadline=funded.market.now)

    assert funded.hedger.sequence() == 1


def test_a_deadline_beyond_two_minutes_is_refused(funded):
    with reverts("rebalance: deadline too far"):
        funded.rebalance(deadline=funded.market.now + 121)


def test_unknown_venue_is_refused(funded):
    with reverts():
        funded.rebalance(funded.leg(2, 1))


def test_goes_on_while_reduce_only(funded, sold):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    funded.rebalance(funded.leg(SPOT, 5))

    assert funded.spot.held() == 5 * WAD


# ---------------------------------------------------------------- price


@pytest.mark.parametrize(
    ("venue", "units", "limit"), [(SPOT, 5, 3_000.5), (SPOT, -5, 2_999.5), (SHORT, -5, 2_999.5), (SHORT, 5, 3_000.5)]
)
def test_a_worse_average_than_the_limit_price_is_refused(loose, venue, units, limit):
    if venue == SPOT and units < 0:
        loose.rebalance(loose.leg(SPOT, 5))
    if venue == SHORT and units > 0:
        loose.rebalance(loose.leg(SHORT, -5))

    with reverts("venue: limit price"):
        loose.rebalance(loose.leg(venue, units, limit=limit))


def test_a_spot_purchase_above_its_limit_is_not_paid_with_a_gift(loose):
    loose.market.mint(loose.spot.address, 1_000 * USDC)

    with reverts("venue: limit price"):
        loose.rebalance(loose.leg(SPOT, 5, limit=3_000.5))


def test_slippage_beyond_its_budget_is_refused_whatever_the_limit_price(loose):
    loose.market.push_pool(3_024)

    with reverts("hedge: slippage"):
        loose.rebalance(loose.leg(SPOT, 5, limit=3_100))


def test_slippage_is_measured_on_sales_too(loose):
    loose.rebalance(loose.leg(SPOT, 5))
    loose.market.push_pool(2_976)

    with reverts("hedge: slippage"):
        loose.rebalance(loose.leg(SPOT, -5, limit=0))


def test_loss_is_measured_against_the_worse_of_oracle_and_twap(loose):
    """The pool has been one per cent below the oracle: buying at the oracle's price is a loss against the TWAP."""
    loose.market.push_pool(2_970)
    loose.market.wait(360)
    twap = loose.price_oracle.read(ETH).twap
    loose.market.push_pool(2_998)

    loose.rebalance(loose.leg(SPOT, 10))

    (leg,) = events(loose.hedger, "LegTraded")
    assert leg.loss == -leg.usdc - 10 * twap
    assert leg.loss > 280 * WAD


def test_a_gain_is_no_credit_for_a_loss(loose):
    loose.market.push_pool(2_985)

    loose.rebalance(loose.leg(SPOT, 5), loose.leg(SPOT, 5, pool=1))

    gain, loss = events(loose.hedger, "LegTraded")
    (total,) = events(loose.hedger, "Rebalanced")
    assert gain.usdc > -15_000 * WAD
    assert gain.loss == 0
    assert total.loss == loss.loss > 0


# ---------------------------------------------------------------- loss budget


def test_losses_drain_the_budget_as_a_share_of_nav(loose):
    nav = loose.vault.assessment().nav_bid

    loose.rebalance(loose.leg(SPOT, 50))

    (event,) = events(loose.hedger, "Rebalanced")
    assert 2 * WAD // 1000 - loose.hedger.loss_budget() == event.loss * WAD // nav + 1


def test_an_empty_budget_stops_losing_trades_until_it_refills(loose):
    loose.loosen(loss_capacity=wad(0.0001), loss_per_day=wad(0.0001))
    loose.rebalance(loose.leg(SPOT, 50))  # 75 of the 100 USDC

    with reverts("budget: exhausted"):
        loose.rebalance(loose.leg(SPOT, 50))
    loose.market.wait(DAY)
    loose.rebalance(loose.leg(SPOT, 50))

    assert loose.hedger.loss_budget() < wad(0.00003)


@pytest.fixture
def under_water(funded, sold):
    """Ten calls deep in the money and a short, with next to no cash."""
    funded.rebalance(funded.leg(SHORT, -1))
    funded.overwrite("idle", 2_000 * USDC)
    funded.market.move(6_000)
    assert funded.vault.assessment().nav_bid < 0
    return funded


def test_without_nav_budgets_are_shares_of_maintenance_margin(under_water):
    """Or nobody could bring it towards neutral any more."""
    before = under_water.vault.assessment()

    under_water.rebalance(under_water.leg(SHORT, 1.1))  # the debt has grown by interest

    (total,) = events(under_water.hedger, "Rebalanced")
    assert under_water.short.state(6_000 * WAD).exposure == 0
    assert total.loss > 0
    assert wad(0.002) - under_water.hedger.loss_budget() == total.loss * WAD // before.maintenance + 1


# ---------------------------------------------------------------- what it leaves


def test_out_of_the_delta_band_is_refused(funded):
    """The target band is 2 % of NAV: 20,000 USDC of delta."""
    with reverts("risk: delta band"):
        funded.rebalance(funded.leg(SPOT, 7))


def test_gross_leverage_is_limited(funded):
    funded.risk.set_limits(LOOSE._replace(gross_leverage=wad(0.01)), sender=funded.governor)

    with reverts("risk: gross leverage"):
        funded.rebalance(funded.leg(SPOT, 4))


def test_of_a_breach_something_must_improve(funded, series):
    funded.sell(series, 20 * WAD)  # delta -31,000 USDC: beyond the target, inside the hard band

    with reverts("risk: no breach improves"):
        funded.rebalance()
    funded.rebalance(funded.leg(SPOT, 1))


def test_a_breach_must_not_grow(funded, series):
    funded.sell(series, 20 * WAD)

    with reverts("risk: delta band"):
        funded.rebalance(funded.leg(SHORT, -1))


def test_cash_that_is_owed_cannot_be_spent(funded, sold):
    funded.overwrite("owed", funded.vault.idle())

    with reverts("vault: not enough idle cash"):
        funded.rebalance(funded.leg(SPOT, 1))


# ---------------------------------------------------------------- lying venues


@pytest.fixture
def liar(loose):
    venue = fault("LyingVenue")
    loose.vault.list_venue(venue, ETH, sender=loose.governor)
    return venue


def test_a_venue_that_trades_more_than_asked_is_refused(loose, liar):
    liar.pretend(2 * WAD, 0)

    with reverts("vault: venue traded too much"):
        loose.rebalance(loose.leg(2, 1))


def test_a_venue_that_claims_to_return_what_it_kept_is_refused(loose, liar):
    liar.pretend(0, 1_000 * USDC)

    with reverts("vault: venue kept USDC"):
        loose.rebalance(loose.leg(2, 0))


# ---------------------------------------------------------------- legs of zero


@pytest.fixture
def exposed(hedged):
    """Delta far outside its band, and a short that has lost health."""
    hedged.sell(hedged.book.live_book()[0] >> 87 << 87, 12 * WAD)
    hedged.market.move(3_150)
    return hedged


def test_a_leg_of_zero_that_restores_health_stands_whatever_else_is_in_breach(exposed):
    before = exposed.vault.assessment()
    assert abs(before.delta[ETH]) * 3_150 > before.nav_bid * 2 // 100

    exposed.rebalance(exposed.leg(SHORT, 0))

    (total,) = events(exposed.hedger, "Rebalanced")
    assert (total.loss, total.turnover) == (0, 0)
    assert abs(exposed.short.state(3_150 * WAD).health - 18 * WAD // 10) < WAD // 10**6


def test_it_does_not_excuse_a_leg_that_restores_nothing(exposed):
    exposed.vault.list_venue(fault("LyingVenue"), ETH, sender=exposed.governor)

    with reverts("risk: no breach improves"):
        exposed.rebalance(exposed.leg(SHORT, 0), exposed.leg(2, 0))


def test_it_does_not_excuse_a_trade(exposed):
    with reverts("risk: no breach improves"):
        exposed.rebalance(exposed.leg(SHORT, 0), exposed.leg(SPOT, 0.01))


def test_what_takes_collateral_out_is_checked_like_a_trade(exposed):
    exposed.rebalance(exposed.leg(SHORT, 0))
    exposed.market.move(3_060)

    with reverts("risk: no breach improves"):
        exposed.rebalance(exposed.leg(SHORT, 0))
