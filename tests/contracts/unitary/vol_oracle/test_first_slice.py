"""VolOracle.post of an expiry that has no slice yet: near its neighbours, with their window, speed and past."""

import math

import pytest

from tests.contracts.chain import DAY, HOUR, WAD, reverts
from tests.contracts.protocol import ETH

WEEK = 7 * DAY


@pytest.fixture
def neighbours(protocol):
    """Slices of 70 % in four to five weeks and of 50 % four weeks later. Returns their expiries."""
    near = protocol.expiry(28)
    protocol.post_slice(near, vol=0.7, carry=0.02, half_spread=0.04)
    far = near + 4 * WEEK
    vol = 0.7
    while vol > 0.5:  # what lies near at first may move from there
        protocol.post_slice(far, vol=vol, carry=0.02, half_spread=0.04)
        vol -= 0.0499
        protocol.market.pass_time(12 * HOUR + 28 * HOUR)
    protocol.post_slice(far, vol=0.5, carry=0.02, half_spread=0.04)
    protocol.market.pass_time(28 * HOUR)
    return near, far


def between(protocol, near, far, expiry, first=0.7, last=0.5):
    """At-the-money volatility interpolated linearly in total variance."""
    t, t1, t2 = (when - protocol.market.now for when in (expiry, near, far))
    return math.sqrt((first**2 * t1 * (t2 - t) + last**2 * t2 * (t - t1)) / (t * (t2 - t1)))


def window(protocol, expiry):
    _, found = protocol.vol_oracle.posted(ETH, expiry)
    return [amount / WAD for amount in found]


@pytest.mark.parametrize("weeks", [1, 2, 3])
@pytest.mark.parametrize("direction", [1, -1])
def test_it_lies_within_three_points_of_its_neighbours_total_variance(protocol, neighbours, weeks, direction):
    near, far = neighbours
    expiry = near + weeks * WEEK
    middle = between(protocol, near, far, expiry)

    with reverts("vol: far from its neighbours"):
        protocol.post_slice(expiry, vol=middle + direction * 0.0302, carry=0.02, half_spread=0.04)
    protocol.post_slice(expiry, vol=middle + direction * 0.0298, carry=0.02, half_spread=0.04)


@pytest.mark.parametrize(("side", "vol"), [("before the first", 0.7), ("after the last", 0.5)])
def test_outside_of_them_it_lies_within_three_points_of_the_nearest(protocol, neighbours, side, vol):
    near, far = neighbours
    expiry = near - WEEK if side == "before the first" else far + WEEK

    with reverts("vol: far from its neighbours"):
        protocol.post_slice(expiry, vol=vol + 0.0302, carry=0.02, half_spread=0.04)
    protocol.post_slice(expiry, vol=vol - 0.0298, carry=0.02, half_spread=0.04)


def test_its_wings_and_its_half_spread_count(protocol, neighbours):
    near, far = neighbours
    expiry = near + 2 * WEEK
    middle = between(protocol, near, far, expiry)

    for change in ({"half_spread": 0.009}, {"half_spread": 0.0701}, {"rho": -0.9, "phi": 2}):
        with reverts("vol: far from its neighbours"):
            protocol.post_slice(expiry, **{"vol": middle, "carry": 0.02, "half_spread": 0.04, **change})


def test_its_carry_lies_near_theirs(protocol, neighbours):
    near, far = neighbours
    expiry = near + 2 * WEEK
    middle = between(protocol, near, far, expiry)

    with reverts("vol: far from its neighbours"):
        protocol.post_slice(expiry, vol=middle, carry=0.0701, half_spread=0.04)
    protocol.post_slice(expiry, vol=middle, carry=0.0699, half_spread=0.04)


def test_what_it_is_away_from_them_is_in_its_window(protocol, neighbours):
    near, far = neighbours
    expiry = near + 2 * WEEK
    middle = between(protocol, near, far, expiry)

    protocol.post_slice(expiry, vol=middle - 0.02, carry=0.03, half_spread=0.04)

    assert window(protocol, expiry) == pytest.approx([0, 0.02, 0.01, 0], abs=3e-4)


def test_it_takes_over_the_larger_of_its_neighbours_windows(protocol, neighbours):
    near, far = neighbours
    protocol.post_slice(near, vol=0.74, carry=0.02, half_spread=0.04)
    protocol.post_slice(far, vol=0.47, carry=0.02, half_spread=0.04)
    expiry = near + 2 * WEEK
    middle = between(protocol, near, far, expiry, 0.74, 0.47)

    protocol.post_slice(expiry, vol=middle, carry=0.02, half_spread=0.04)

    assert window(protocol, expiry) == pytest.approx([0.04, 0.03, 0, 0], abs=1e-3)


def test_it_has_no_more_speed_left_than_they_have(protocol, neighbours):
    _, far = neighbours
    protocol.post_slice(far, vol=0.46, carry=0.02, half_spread=0.04)
    expiry = far + WEEK
    protocol.post_slice(expiry, vol=0.46, carry=0.02, half_spread=0.04)

    with reverts("vol: too fast"):
        protocol.post_slice(expiry, vol=0.445, carry=0.02, half_spread=0.04)


def test_it_stands_on_the_past_of_the_one_before_it(protocol):
    """The median of its seven days is theirs: a new expiry is no way to leave it behind."""
    expiry = protocol.expiry(60)
    protocol.post_slice(expiry, vol=0.4)
    for vol in (0.449, 0.498, 0.547, 0.596, 0.645):
        protocol.post_slice(expiry, vol=vol)
        protocol.market.pass_time(15 * HOUR)

    with reverts("vol: far from its week"):
        protocol.post_slice(expiry + WEEK, vol=0.67)
    protocol.post_slice(expiry + WEEK, vol=0.645)
