"""VolOracle.set_bounds, tighten_bounds, and the anchor: at-the-money volatility near the median of its seven days."""

import pytest

from tests.contracts.chain import DAY, HOUR, WAD, events, reverts
from tests.contracts.protocol import ETH, Bounds, load, wad

LONGEST_DAY = 28 * HOUR


def test_the_governor_sets_bounds(protocol):
    bounds = Bounds(max_vol=wad(0.5))

    protocol.vol_oracle.set_bounds(bounds, sender=protocol.governor)

    (event,) = events(protocol.vol_oracle, "BoundsSet")
    assert event.bounds == bounds == protocol.vol_oracle.bounds()
    with reverts("vol: at-the-money out of bounds"):
        protocol.post_slice(vol=0.6)


@pytest.mark.parametrize("role", ["guardian", "vol_poster", "stranger"])
def test_setting_bounds_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.vol_oracle.set_bounds(Bounds(), sender=getattr(protocol, role))


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(min_vol=0),
        Bounds(min_vol=3 * WAD),
        Bounds(max_vol=wad(6.5536)),  # more than a sample of the week can hold
        Bounds(min_half_spread=wad(0.3)),
        Bounds(vol_per_day=wad(0.51)),
        Bounds(vol_per_hour=wad(0.51)),
        Bounds(carry_per_day=wad(0.51)),
    ],
)
def test_impossible_bounds_are_refused(protocol, bounds):
    with reverts("vol: bounds"):
        load("VolOracle").deploy(protocol.governor, bounds)


# ---------------------------------------------------------------- tighter at once

TIGHTER = {"min_half_spread": 1, "max_half_spread": -1}


@pytest.mark.parametrize("name", TIGHTER)
def test_the_guardian_tightens_each_bound_of_the_spread_and_loosens_none(protocol, name):
    """Invariants 40 and 41."""
    now = Bounds()
    tighter = now._replace(**{name: getattr(now, name) + TIGHTER[name]})
    looser = now._replace(**{name: getattr(now, name) - TIGHTER[name]})

    with reverts("vol: loosens"):
        protocol.vol_oracle.tighten_bounds(looser, sender=protocol.guardian)
    protocol.vol_oracle.tighten_bounds(tighter, sender=protocol.guardian)

    assert protocol.vol_oracle.bounds() == tighter


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("name", [name for name in Bounds._fields if name not in TIGHTER])
def test_what_lets_the_surface_follow_its_market_the_guardian_leaves_alone(protocol, name, step):
    """Invariant 40: at a speed of nothing the vault would be valued, and its exits paid, at the surface of that day."""
    with reverts("vol: stops posts"):
        protocol.vol_oracle.tighten_bounds(
            Bounds()._replace(**{name: getattr(Bounds(), name) + step}), sender=protocol.guardian
        )


@pytest.mark.parametrize("role", ["vol_poster", "keeper", "stranger"])
def test_tightening_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.vol_oracle.tighten_bounds(Bounds(), sender=getattr(protocol, role))


@pytest.mark.parametrize(
    ("bounds", "posted", "closer", "farther", "reason"),
    [
        ({"max_vol": wad(0.5)}, {"vol": 0.6}, {"vol": 0.58}, {"vol": 0.61}, "vol: at-the-money out of bounds"),
        (
            {"min_half_spread": wad(0.15)},
            {"half_spread": 0.02},
            {"half_spread": 0.05},
            {"half_spread": 0.02},
            "vol: half-spread",
        ),
        ({"max_carry": wad(0.01)}, {"carry": -0.06}, {"carry": -0.03}, {"carry": -0.061}, "vol: carry out of bounds"),
    ],
)
def test_what_a_tighter_bound_leaves_outside_may_only_come_closer(protocol, bounds, posted, closer, farther, reason):
    """Else the speed limit would keep it out for ever."""
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, **posted)
    protocol.vol_oracle.set_bounds(Bounds(**bounds), sender=protocol.governor)

    with reverts(reason):
        protocol.post_slice(expiry, **farther)
    protocol.post_slice(expiry, **closer)


# ---------------------------------------------------------------- anchor


def raise_fast(protocol, expiry, vol, top):
    """Post upwards at the speed limit of a day, once a day, until `top`."""
    while vol + 0.05 <= top + 1e-9:
        protocol.post_slice(expiry, vol=vol + 0.049)
        protocol.market.pass_time(70 * 60)
        vol = min(vol + 0.0985, top)
        protocol.post_slice(expiry, vol=vol)
        protocol.market.pass_time(LONGEST_DAY)
    return vol


def test_volatility_stays_within_25_points_of_the_median_of_seven_days(protocol):
    expiry = protocol.expiry(60)
    protocol.post_slice(expiry, vol=0.6)
    vol = raise_fast(protocol, expiry, 0.6, 0.797)
    protocol.post_slice(expiry, vol=vol + 0.04)
    protocol.market.pass_time(70 * 60)

    with reverts("vol: far from its week"):
        protocol.post_slice(expiry, vol=0.8505)
    protocol.post_slice(expiry, vol=0.8495)


def test_the_median_follows_when_four_days_have_passed_up_there(protocol):
    expiry = protocol.expiry(60)
    protocol.post_slice(expiry, vol=0.6)
    vol = raise_fast(protocol, expiry, 0.6, 0.797)
    for _ in range(4):
        protocol.market.pass_time(DAY)
        protocol.post_slice(expiry, vol=vol)

    protocol.post_slice(expiry, vol=vol + 0.049)
    protocol.market.pass_time(70 * 60)
    protocol.post_slice(expiry, vol=vol + 0.098)

    assert protocol.vol_oracle.vol(ETH, expiry, 0) / WAD == pytest.approx(vol + 0.098)


def test_a_day_without_posts_counts_with_the_volatility_that_was_in_force(protocol):
    expiry = protocol.expiry(60)
    protocol.post_slice(expiry, vol=0.6)
    vol = raise_fast(protocol, expiry, 0.6, 0.797)
    protocol.market.pass_time(4 * DAY)

    protocol.post_slice(expiry, vol=vol + 0.049)
    protocol.market.pass_time(70 * 60)
    protocol.post_slice(expiry, vol=vol + 0.098)


def test_posting_often_makes_no_difference_to_the_median(protocol):
    """One sample a day, whatever is posted within it: it cannot be stuffed."""
    expiry = protocol.expiry(60)
    protocol.post_slice(expiry, vol=0.6)
    vol = raise_fast(protocol, expiry, 0.6, 0.797)
    for _ in range(8):
        protocol.post_slice(expiry, vol=vol)
    protocol.post_slice(expiry, vol=vol + 0.04)
    protocol.market.pass_time(70 * 60)

    with reverts("vol: far from its week"):
        protocol.post_slice(expiry, vol=0.8505)
