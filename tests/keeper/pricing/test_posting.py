"""What is posted to VolOracle: the real contract on revm takes it, and nothing that goes farther."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.domain.series import next_expiry
from keeper.domain.snapshot import VolSlice
from keeper.domain.units import DAY, HOUR, WAD, YEAR, to_wad
from keeper.pricing.calibration import calibrate
from keeper.pricing.posting import half_spreads, plan, targets, threshold
from keeper.pricing.vol_oracle import Oracle, allowance, refusal, size
from tests.keeper.pricing.chains import recordings, snapshots
from tests.keeper.pricing.oracle import BOUNDS, FRIDAY, RealOracle, slice_of

NOW = FRIDAY - 2 * DAY - HOUR
WEEK = 7 * DAY
EXPIRY = FRIDAY + 4 * WEEK
WORTH = to_wad(0.005)
TENTH = to_wad(0.001)  # of a point of volatility


@dataclass(frozen=True)
class Shape:
    """A slice without its expiry and time."""

    vol: float = 0.6
    rho: float = -0.2
    curvature: float = 0.6
    carry: float = 0.0
    half_spread: float = 0.02

    def at(self, expiry: int, time: int) -> VolSlice:
        return slice_of(self.vol, expiry, time, self.rho, self.curvature, self.carry, self.half_spread)

    def moved(self, vol: float, rho: float, curvature: float, carry: float, half_spread: float) -> Shape:
        by = (vol, rho, curvature, carry, half_spread)
        now = (self.vol, self.rho, self.curvature, self.carry, self.half_spread)
        return Shape(*(a + b for a, b in zip(now, by, strict=True)))


def shapes(*ranges: tuple[float, float]) -> st.SearchStrategy[Shape]:
    return st.builds(Shape, *(st.floats(*one) for one in ranges))


def steps(vol: float) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*(st.floats(-most, most) for most in (vol, 0.2, 0.2, 0.1, 0.05)))


OPENINGS = shapes((0.4, 2.5), (-0.6, 0.6), (0.3, 1.0), (-0.3, 0.3), (0.06, 0.15))
ANYTHING = shapes((0.15, 3.3), (-0.98, 0.98), (0.05, 1.9), (-0.8, 0.8), (0.0, 0.4))


@pytest.fixture(scope="module")
def oracle() -> RealOracle:
    return RealOracle()


def posted(oracle: RealOracle, expiry: int, target: VolSlice) -> None:
    """As far towards the target as the contract allows."""
    found = plan(oracle.state(target.posted_at), expiry, target, target.posted_at, target.posted_at, 0)
    if found.post is not None:
        oracle.post(expiry, found.post)


def farther(state: Oracle, expiry: int, one: VolSlice, target: VolSlice) -> VolSlice | None:
    """On the straight line in θ, ψ and ρψ the first slice that the oracle counts as a tenth of a point more; None if
    the target is nearer than that."""
    allowed = allowance(state, expiry, one.posted_at)
    assert allowed is not None
    (t, p, s, h), (tt, pp, ss, hh) = (
        (x.theta, x.theta * x.phi / WAD, x.rho * x.theta / WAD * x.phi / WAD, x.half_spread) for x in (one, target)
    )
    for i in range(1, 2001):
        a = i / 2000
        theta, psi, skew = t + a * (tt - t), p + a * (pp - p), s + a * (ss - s)
        tried = replace(
            target,
            theta=round(theta),
            phi=int(psi / theta * WAD) // 10**6 * 10**6,
            rho=round(skew / psi * WAD) // 10**9 * 10**9,
            half_spread=round(h + a * (hh - h)) // 10**9 * 10**9,
        )
        if size(allowed.was, tried, expiry) >= size(allowed.was, one, expiry) + TENTH:
            return tried
    return None


# ---------------------------------------------------------------- the mirror


@given(OPENINGS, ANYTHING, steps(0.06), st.booleans(), st.integers(-3, 9), st.integers(0, 50 * HOUR))
def test_the_mirror_refuses_what_the_contract_refuses_for_the_same_reason(
    oracle: RealOracle, opening: Shape, other: Shape, step: tuple[float, ...], near: bool, weeks: int, wait: int
) -> None:
    with oracle.reverted_after():
        oracle.post(EXPIRY, opening.at(EXPIRY, NOW))
        posted(oracle, EXPIRY + 3 * WEEK, opening.at(EXPIRY + 3 * WEEK, NOW))
        expiry, time = EXPIRY + weeks * WEEK, NOW + wait
        new = (opening.moved(*step) if near else other).at(expiry, time)
        if new.half_spread < 0 or new.phi < 0 or abs(new.rho) >= WAD:
            return  # the contract's types refuse it

        assert refusal(oracle.state(time), expiry, new) == oracle.refusal(expiry, new)


# ---------------------------------------------------------------- as far as it goes


@given(OPENINGS, st.lists(steps(0.05), max_size=3), ANYTHING, steps(0.2), st.booleans(), st.integers(60, 30 * HOUR))
def test_a_slice_goes_as_far_as_the_contract_accepts_and_not_a_tenth_of_a_point_less(
    oracle: RealOracle,
    opening: Shape,
    way: list[tuple[float, ...]],
    other: Shape,
    step: tuple[float, ...],
    near: bool,
    wait: int,
) -> None:
    with oracle.reverted_after():
        oracle.post(EXPIRY, opening.at(EXPIRY, NOW))
        for i, by in enumerate(way):  # uses up some of the room
            posted(oracle, EXPIRY, opening.moved(*by).at(EXPIRY, NOW + i + 1))
        time = NOW + wait
        state = oracle.state(time)
        target = (opening.moved(*step) if near else other).at(EXPIRY, time)

        found = plan(state, EXPIRY, target, time, time, 0)

        assert found.post is not None, found.reason
        assert oracle.refusal(EXPIRY, found.post) == ""
        beyond = farther(state, EXPIRY, found.post, found.target)
        if beyond is None:
            assert found.distance - found.step < TENTH
        else:
            assert oracle.refusal(EXPIRY, beyond) == "vol: too fast"


@given(OPENINGS, steps(0.03), ANYTHING, steps(0.05), st.booleans(), st.integers(1, 7), st.integers(0, 30 * HOUR))
def test_a_new_expiry_starts_as_near_to_the_market_as_its_neighbours_allow(
    oracle: RealOracle,
    opening: Shape,
    slope: tuple[float, ...],
    other: Shape,
    step: tuple[float, ...],
    near: bool,
    weeks: int,
    wait: int,
) -> None:
    last, expiry = EXPIRY + 5 * WEEK, EXPIRY + (weeks if weeks != 5 else -2) * WEEK
    with oracle.reverted_after():
        oracle.post(EXPIRY, opening.at(EXPIRY, NOW))
        posted(oracle, last, opening.moved(*slope).at(last, NOW))
        time = NOW + wait
        state = oracle.state(time)
        target = (opening.moved(*step) if near else other).at(expiry, time)

        found = plan(state, expiry, target, time, time, WORTH)

        assert found.post is not None, found.reason
        assert oracle.refusal(expiry, found.post) == ""
        beyond = farther(state, expiry, found.post, found.target)
        if beyond is None:
            assert found.distance - found.step < TENTH
        else:
            assert oracle.refusal(expiry, beyond) == "vol: far from its neighbours"


@given(OPENINGS, steps(0.1), st.integers(60, 2 * DAY), st.integers(0, 120), st.integers(0, 1))
def test_it_is_accepted_in_any_block_that_it_may_get_into(
    oracle: RealOracle, opening: Shape, step: tuple[float, ...], wait: int, late: int, weeks: int
) -> None:
    expiry = FRIDAY + weeks * WEEK
    with oracle.reverted_after():
        oracle.post(expiry, opening.at(expiry, NOW))
        time = NOW + wait

        found = plan(oracle.state(time), expiry, opening.moved(*step).at(expiry, time), time, time + 120, 0)

        assert found.post is not None, found.reason
        assert oracle.refusal(expiry, replace(found.post, posted_at=time + late)) == ""


def test_what_narrower_bounds_left_outside_comes_inside(oracle: RealOracle) -> None:
    with oracle.reverted_after():
        oracle.post(EXPIRY, Shape(vol=0.6).at(EXPIRY, NOW))
        oracle.set_bounds(replace(BOUNDS, max_vol=to_wad(0.5)))

        found = plan(oracle.state(NOW + 60), EXPIRY, Shape(vol=0.8).at(EXPIRY, NOW + 60), NOW + 60, NOW + 60, WORTH)

        assert found.post is not None
        assert found.post.theta < Shape(vol=0.56).at(EXPIRY, NOW + 60).theta
        assert oracle.refusal(EXPIRY, found.post) == ""


# ---------------------------------------------------------------- what is worth a post


@pytest.mark.parametrize(
    ("move", "age", "is_posted", "moves"),
    [
        (0.004, 600, False, False),
        (0.004, HOUR, True, False),
        (0.006, 600, True, True),
        (-0.006, 600, True, True),
        (0.0, 110 * 60, True, False),
    ],
)
def test_noise_moves_no_slice_and_age_posts_it_again(
    oracle: RealOracle, move: float, age: int, is_posted: bool, moves: bool
) -> None:
    with oracle.reverted_after():
        oracle.post(EXPIRY, Shape().at(EXPIRY, NOW))
        time = NOW + age

        found = plan(oracle.state(time), EXPIRY, Shape(vol=0.6 + move).at(EXPIRY, time), time, time + 60, WORTH)

        assert (found.post is not None, found.step > to_wad(0.001)) == (is_posted, moves)


def test_a_change_of_carry_counts_as_the_volatility_that_is_worth_as_much(oracle: RealOracle) -> None:
    """Half of the forward's change at the money: 3 % a year over a month is 0.86 % / 2 of spot, 0.9 points of vol."""
    with oracle.reverted_after():
        oracle.post(EXPIRY, Shape().at(EXPIRY, NOW))
        time = NOW + 600
        small, large = (
            plan(oracle.state(time), EXPIRY, Shape(carry=b).at(EXPIRY, time), time, time, WORTH) for b in (0.01, 0.03)
        )

    assert small.post is None
    assert large.post is not None
    assert large.post.carry == to_wad(0.03)


def test_a_day_of_refreshing_is_left_when_the_market_has_used_up_the_day(oracle: RealOracle) -> None:
    with oracle.reverted_after():
        oracle.post(EXPIRY, Shape(vol=0.6).at(EXPIRY, NOW))
        for hour in range(24):
            time = NOW + HOUR * (1 + hour)
            found = plan(oracle.state(time), EXPIRY, Shape(vol=0.9).at(EXPIRY, time), time, time + 60, WORTH)
            assert found.post is not None, (hour, found.reason)
            oracle.post(EXPIRY, found.post)

        assert sqrt(found.post.theta / found.target.theta) < 0.85


def test_gas_counts_against_what_the_difference_could_cost() -> None:
    assert threshold(to_wad(0.02)) == to_wad(0.005)
    assert threshold(to_wad(0.02), gas_cost=1.0, vega_at_stake=70_000.0) == to_wad(0.005)
    assert threshold(to_wad(0.02), gas_cost=10.0, vega_at_stake=700.0) == pytest.approx(10 / 700 * WAD)


# ---------------------------------------------------------------- recorded


@pytest.mark.skipif(not recordings(), reason="the recorded option chains are not here")
def test_a_recorded_month_is_posted_without_a_refusal_and_mostly_inside_the_spread(oracle: RealOracle) -> None:
    """Once a day, the next three Fridays; the crash of the month after is not in it."""
    [file] = [path for path in recordings() if path.stem == "eth_2026-01"]
    days = list(snapshots(file))[::4]
    inside = []
    with oracle.reverted_after():
        for day in days:
            now = int(day.time.timestamp())
            found = calibrate(day.quotes)
            first = next_expiry(now + DAY)
            fridays = [first, first + WEEK, first + 2 * WEEK]
            spot = float(found.surface.forward[0])
            wanted = targets(found.surface, half_spreads(found), spot, now, fridays)
            for expiry in fridays:
                state, target = oracle.state(now), wanted[expiry]
                planned = plan(state, expiry, target, now, now, threshold(target.half_spread))
                new = planned.post if state.held else target  # the first is the governor's
                assert new is not None, planned.reason
                oracle.post(expiry, new)  # or it is Reverted
                vol = sqrt(new.theta / WAD * YEAR / (expiry - now))
                market = float(found.surface.atm_vol((expiry - now) / YEAR))
                inside.append(abs(vol - market) <= new.half_spread / WAD)

    assert sum(inside) > 0.9 * len(inside)
