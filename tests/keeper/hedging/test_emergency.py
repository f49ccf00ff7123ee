"""The legs of a step of `de_risk`, from a snapshot alone."""

from dataclasses import replace

import pytest

from keeper.domain.units import WAD
from keeper.hedging.emergency import DE_RISK_HEALTH, slippage, step, towards

ALLOWED = 5 * 10**15
SPOT, SHORT = 0, 1


@pytest.fixture
def with_delta(snapshot_of):
    """A snapshot whose delta is so many units of ETH."""

    def make(units, **changes):
        snapshot = snapshot_of()
        assessment = replace(snapshot.assessment, delta=(int(units * WAD), 0), **changes)
        return replace(snapshot, assessment=assessment)

    return make


def units_of(legs):
    return {leg.venue: leg.delta_change / WAD for leg in legs}


def test_what_a_leg_may_lose_grows_with_time():
    assert (slippage(0), slippage(900), slippage(1_800), slippage(7_200)) == (
        5 * 10**15,
        175 * 10**14,
        30 * 10**15,
        30 * 10**15,
    )


def test_inside_every_limit_there_is_nothing_to_do(with_delta):
    assert step(with_delta(0.1), ALLOWED) == ()


def test_too_short_a_book_buys_a_quarter_of_what_is_beyond_its_band(with_delta):
    snapshot = with_delta(-60)
    a = snapshot.assessment
    beyond = 60 - 0.02 * a.nav_mid / a.spot[0]

    (leg,) = step(snapshot, ALLOWED)

    assert leg.venue == SPOT
    assert leg.delta_change / WAD == pytest.approx(beyond / 4, rel=2e-3)
    assert leg.limit_price == a.spot[0] * 1005 // 1000


def test_too_long_a_book_sells(with_delta):
    (leg,) = step(with_delta(60), ALLOWED)

    assert leg.venue == SHORT
    assert leg.delta_change < 0
    assert leg.limit_price == with_delta(60).assessment.spot[0] * 995 // 1000


def test_a_part_of_a_step_is_a_part_of_it(with_delta):
    (whole,), (half,) = step(with_delta(60), ALLOWED), step(with_delta(60), ALLOWED, parts=2)

    assert half.delta_change == pytest.approx(whole.delta_change / 2, rel=1e-5)


def test_below_initial_margin_delta_inside_its_band_is_traded_away(with_delta):
    inside = with_delta(3)
    poor = with_delta(3, nav_mid=inside.assessment.maintenance, nav_bid=inside.assessment.maintenance)

    assert step(inside, ALLOWED) == ()
    assert sum(units_of(step(poor, ALLOWED)).values()) < 0


def test_an_ill_venue_gets_collateral_first(with_delta):
    snapshot = with_delta(0)
    venues = tuple(
        replace(venue, state=replace(venue.state, health=DE_RISK_HEALTH - 1)) if venue.index == SHORT else venue
        for venue in snapshot.venues
    )

    (leg,) = step(replace(snapshot, venues=venues), ALLOWED)

    assert (leg.venue, leg.delta_change) == (SHORT, 0)


def test_a_position_shrinks_before_another_grows(with_delta):
    snapshot = with_delta(0)
    venues = tuple(
        replace(venue, state=replace(venue.state, exposure=4 * WAD)) if venue.index == SPOT else venue
        for venue in snapshot.venues
    )

    legs = towards(replace(snapshot, venues=venues), 0, -10 * WAD, ALLOWED)

    assert [(leg.venue, leg.delta_change / WAD) for leg in legs] == [(SPOT, -4), (SHORT, -6)]
