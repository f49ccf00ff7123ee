"""Hedging bands of one underlying: published values, limits, and the dynamic program that they approximate."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.hedging.bands import (
    fixed_and_proportional,
    fixed_cost,
    leland_vol,
    staying_time,
    whalley_wilmott,
    zakamouline,
)
from keeper.hedging.indifference import Market, region
from keeper.pricing.black76 import greeks
from tests.keeper.hedging import frontier

PUBLISHED = {"gamma": 0.02, "spot": 5_000.0, "cost": 0.0005, "aversion": 1.0, "rate": 0.0, "years": 0.25}


def test_whalley_and_wilmotts_band() -> None:
    assert whalley_wilmott(**PUBLISHED) == pytest.approx(0.1144714, abs=5e-8)


def test_zakamoulines_band() -> None:
    band = zakamouline(vol=0.2, **PUBLISHED)

    assert band.without_options == pytest.approx(1e-5)
    assert band.of_options == pytest.approx(0.0209437, abs=5e-8)
    assert band.change == pytest.approx(0.1687518, abs=5e-8)


def test_short_gamma_is_hedged_at_a_higher_volatility_and_long_gamma_at_a_lower() -> None:
    short, long = (zakamouline(**{**PUBLISHED, "gamma": gamma}, vol=0.2).vol for gamma in (-0.02, 0.02))

    assert short == pytest.approx(0.2 * np.sqrt(1.1687518))
    assert long == pytest.approx(0.2 * np.sqrt(1 - 0.1687518))


def test_lelands_volatility_pays_for_the_expected_trading() -> None:
    """The extra variance times Γ S²/2 is what trading σ S |Γ| √(2δt/π) costs per interval, by λ S."""
    vol, cost, interval, spot, gamma = 0.6, 0.0005, 1 / 365, 3_000.0, 1e-3

    dearer, cheaper = (leland_vol(vol, cost, interval, is_short_gamma=short) for short in (True, False))

    traded = gamma * spot * vol * np.sqrt(2 * interval / np.pi)
    assert gamma * spot**2 * (dearer**2 - vol**2) * interval / 2 == pytest.approx(cost * spot * traded)
    assert dearer**2 + cheaper**2 == pytest.approx(2 * vol**2)


costs = st.floats(1e-6, 0.05)
fixed = st.floats(1e-6, 1e3)
gammas = st.floats(1e-6, 1.0)
spots = st.floats(1.0, 1e5)
aversions = st.floats(1e-8, 10.0)


@given(gammas, spots, costs, fixed, aversions)
def test_the_band_of_both_costs_solves_its_conditions(
    gamma: float, spot: float, cost: float, fixed: float, aversion: float
) -> None:
    """V'(l) = V'(h) = λS and V(h) - V(l) = k + λS(h - l), V' the cubic that the module names."""
    inner, outer = fixed_and_proportional(gamma, spot, cost, fixed, aversion)

    b = aversion / (3 * gamma**2)
    a = b * (outer**2 + outer * inner + inner**2)
    gained = (outer**2 - inner**2) * a / 2 - (outer**4 - inner**4) * b / 4
    assert 0 <= inner <= outer
    assert a * inner - b * inner**3 == pytest.approx(cost * spot, rel=1e-6, abs=1e-9 * b * outer**3)
    assert gained == pytest.approx(fixed + cost * spot * (outer - inner), rel=1e-6, abs=1e-9 * b * outer**4)


@given(gammas, spots, costs, fixed, aversions)
def test_with_one_cost_alone_the_bands_are_those_of_that_cost(
    gamma: float, spot: float, cost: float, fixed: float, aversion: float
) -> None:
    of_both = fixed_and_proportional(gamma, spot, [cost, 0.0], [0.0, fixed], aversion)

    half, centred = float(whalley_wilmott(gamma, spot, cost, aversion)), float(fixed_cost(gamma, fixed, aversion))
    assert of_both[0] == pytest.approx([half, 0.0], rel=1e-9, abs=1e-9 * centred)
    assert of_both[1] == pytest.approx([half, centred], rel=1e-9)


def one_step(
    gamma: float, spot: float, vol: float, cost: float, fixed: float, aversion: float, years: float
) -> tuple[float, float, float]:
    """Who counts the variance of some years: where his trades end and begin, and what that costs a year in the long
    run, by risk and by trades, delta being a Brownian motion of deviation Γσ S."""
    curvature = aversion * (vol * spot) ** 2 * years
    low = cost * spot / curvature
    high = low + np.sqrt(2 * fixed / curvature)
    per_year = curvature / 2 if high == low else (fixed + cost * spot * (high - low)) / (high**2 - low**2)
    risk = aversion * (vol * spot) ** 2 * (high**2 + low**2) / 12
    return low, high, risk + per_year * (gamma * vol * spot) ** 2


vols = st.floats(0.05, 3.0)


@given(gammas, spots, vols, costs, fixed, aversions)
def test_who_assumes_the_staying_time_has_the_band_of_his_costs(
    gamma: float, spot: float, vol: float, cost: float, fixed: float, aversion: float
) -> None:
    by_cost, by_fixed = staying_time(gamma, spot, vol, [cost, 0.0], [0.0, fixed], aversion)

    half = float(whalley_wilmott(gamma, spot, cost, aversion))
    assert one_step(gamma, spot, vol, cost, 0.0, aversion, by_cost)[:2] == pytest.approx((half, half), rel=1e-9)
    low, high, _ = one_step(gamma, spot, vol, 0.0, fixed, aversion, by_fixed)
    assert (low, high) == (0.0, pytest.approx(float(fixed_cost(gamma, fixed, aversion)), rel=1e-9))


@given(gammas, spots, vols, costs, fixed, aversions, st.floats(-2.0, 2.0))
def test_no_other_time_costs_less_and_the_best_band_hardly_does(
    gamma: float, spot: float, vol: float, cost: float, fixed: float, aversion: float, other: float
) -> None:
    years = float(staying_time(gamma, spot, vol, cost, fixed, aversion))
    paid = one_step(gamma, spot, vol, cost, fixed, aversion, years)[2]

    assert paid <= one_step(gamma, spot, vol, cost, fixed, aversion, years * np.exp(other))[2] * (1 + 1e-12)
    low, high = fixed_and_proportional(gamma, spot, cost, fixed, aversion)
    trades = (fixed + cost * spot * (high - low)) / (high**2 - low**2) * (gamma * vol * spot) ** 2
    assert paid <= 1.031 * (aversion * (vol * spot) ** 2 * (high**2 + low**2) / 12 + trades)


def test_the_less_gamma_the_longer_delta_stays_and_for_ever_without() -> None:
    """Also where the square of gamma is no number any more."""
    times = staying_time([0.1, 1e-5, 1e-50, 1e-150, 1e-170, 0.0], 3_000.0, 0.6, 0.0005, [[5.0], [0.0]], 1e-5)

    assert (np.diff(times[:, :4]) > 0.0).all()
    assert (times[:, 4:] == np.inf).all()


def test_derman_and_kamals_hedging_error() -> None:
    """One month at the money, σ = .2, r = .05, premium 2.51207: sd .427 with 21 rebalances, .217 with 84."""
    years, rate, vol, count = 1 / 12, 0.05, 0.2, 40_000
    rng = np.random.default_rng(11)
    premium = greeks(100.0, 100.0, vol, years, True, carry=rate, rate=rate).price
    assert premium == pytest.approx(2.51207, abs=5e-6)
    for steps, published in ((21, 0.427), (84, 0.217)):
        dt = years / steps
        spot, held, cash = np.full(count, 100.0), np.zeros(count), np.full(count, float(premium))
        for step in range(steps):
            found = greeks(spot, 100.0, vol, years - step * dt, True, carry=rate, rate=rate).delta
            cash = (cash - (found - held) * spot) * np.exp(rate * dt)
            held = found
            spot = spot * np.exp((rate - vol**2 / 2) * dt + vol * np.sqrt(dt) * rng.standard_normal(count))
        error = cash + held * spot - np.maximum(spot - 100.0, 0.0)

        assert error.std() == pytest.approx(published, abs=0.004)


# ---------------------------------------------------------------- the dynamic program


@functools.cache
def _paths() -> frontier.Array:
    return frontier.paths(8_000, 250, seed=4)


def test_without_costs_the_program_is_black_and_scholes() -> None:
    free = replace(frontier.MARKET, cost=0.0)
    found = region(free, frontier.payoff, 0.5, frontier.HOLDINGS, steps=400)

    spot = np.array([85.0, 95.0, 100.0, 110.0])
    low, high = found.at(0.25, spot)

    assert found.liability == pytest.approx(float(frontier.call(100.0, 0.25, 1.0)[0]), abs=0.03)
    delta = frontier.call(spot, 0.25, 0.75)[1]
    assert low == pytest.approx(delta, abs=0.02)
    assert high == pytest.approx(delta, abs=0.02)


@pytest.mark.parametrize(("cost", "aversion"), [(0.002, 0.3), (0.001, 0.1)])
def test_with_small_costs_the_region_is_whalley_and_wilmotts_band(cost: float, aversion: float) -> None:
    """Who looks in steps gets out by 0.5826 standard deviations of a step before trading (Broadie, Glasserman and Kou
    1997): the region is narrower by that, on both sides."""
    steps, vol = 300, 0.25
    market = Market(spot=100.0, vol=vol, rate=0.0, drift=0.0, cost=cost, years=1.0)
    found = region(market, frontier.payoff, aversion, np.linspace(0.0, 1.0, 601), steps)

    low, high = found.at(0.5, 100.0)

    gamma = float(greeks(100.0, 100.0, vol, 0.5, True).gamma)
    overshoot = 0.5826 * gamma * 100.0 * vol / np.sqrt(steps)
    assert high - low + 2 * overshoot == pytest.approx(2 * whalley_wilmott(gamma, 100.0, cost, aversion), rel=0.04)


def test_the_programs_price_is_what_following_it_costs() -> None:
    aversion = 0.4
    found = frontier.optimal_region(aversion, 250)

    followed = frontier.outcomes(frontier.paths(8_000, 250, seed=4, on_lattice=True), frontier.optimal(found))

    premium = float(frontier.call(100.0, 0.25, 1.0)[0])
    expected = (found.liability - premium) * np.exp(frontier.MARKET.rate)
    assert frontier.certain(followed, aversion) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("aversion", [0.4, 0.8, 1.2])
def test_zakamoulines_band_costs_within_four_per_cent_of_the_optimum(aversion: float) -> None:
    best = frontier.outcomes(_paths(), frontier.optimal(frontier.optimal_region(aversion, 250)))
    theirs = frontier.outcomes(_paths(), frontier.zakamouline(aversion))

    assert frontier.certain(theirs, aversion) <= 1.04 * frontier.certain(best, aversion)


def test_no_other_band_has_a_better_certainty_equivalent() -> None:
    aversion = 0.5
    best = frontier.outcomes(_paths(), frontier.optimal(frontier.optimal_region(aversion, 250)))

    others = (
        frontier.asymptotic_band(aversion),
        frontier.zakamouline(aversion),
        *(frontier.fixed_band(half) for half in (0.05, 0.1, 0.15)),
        *(frontier.leland(interval, 250) for interval in (5, 10, 25)),
    )
    for rule in others:
        assert frontier.certain(best, aversion) < frontier.certain(frontier.outcomes(_paths(), rule), aversion)


@pytest.mark.parametrize("fixed", [0.0, 4.5])
def test_what_the_hedge_program_charges_for_delta_is_the_same_for_every_volatility(fixed: float) -> None:
    """c = γσ²S²H: a wrong volatility makes no wrong region."""
    vol = np.array([0.2, 0.6, 1.5])

    years = staying_time(0.01, 3_000.0, vol, 0.0005, fixed, 3e-5)

    assert vol**2 * years == pytest.approx(0.6**2 * years[1], rel=1e-12)
