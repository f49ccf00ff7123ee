"""VolOracle.post, posted, vol: what can be posted at all, by whom, and what it means."""

import math

import pytest

from tests.contracts.chain import DAY, HOUR, WAD, events, reverts
from tests.contracts.protocol import ETH, wad

YEAR = 365 * DAY


def post(protocol, expiry, theta, rho=0, phi=0, carry=0, half_spread=2 * WAD // 100, sender=None):
    protocol.vol_oracle.post(ETH, expiry, theta, rho, phi, carry, half_spread, sender=sender or protocol.vol_poster)


def theta_of(protocol, expiry, vol):
    return round(vol**2 * (expiry - protocol.market.now) / YEAR * 10**9) * 10**9


def test_a_slice_is_stored_as_posted(protocol):
    expiry = protocol.expiry(28)

    protocol.post_slice(expiry, vol=0.6, rho=-0.3, phi=1.5, carry=-0.05, half_spread=0.03)

    (event,) = events(protocol.vol_oracle, "SlicePosted")
    stored, _ = protocol.vol_oracle.posted(ETH, expiry)
    assert (event.underlying, event.expiry, event.slice) == (ETH, expiry, stored)
    assert stored.theta == theta_of(protocol, expiry, 0.6)
    assert (stored.rho, stored.phi, stored.carry) == (wad(-0.3), wad(1.5), wad(-0.05))
    assert (stored.half_spread, stored.posted_at) == (wad(0.03), protocol.market.now)


@pytest.mark.parametrize("k", [-0.5, -0.1, 0.0, 0.2, 0.7])
def test_volatility_is_essvi(protocol, k):
    """Hendriks and Martini (2019): w(k) = θ/2 (1 + ρφk + sqrt((φk + ρ)² + 1 − ρ²))."""
    expiry, rho, phi = protocol.expiry(28), -0.3, 1.5
    protocol.post_slice(expiry, vol=0.6, rho=rho, phi=phi)
    tenor = (expiry - protocol.market.now) / YEAR
    theta = theta_of(protocol, expiry, 0.6) / WAD
    w = theta / 2 * (1 + rho * phi * k + math.sqrt((phi * k + rho) ** 2 + 1 - rho**2))

    assert protocol.vol_oracle.vol(ETH, expiry, wad(k)) / WAD == pytest.approx(math.sqrt(w / tenor), abs=1e-12)


def test_volatility_stays_the_same_as_time_passes(protocol):
    expiry = protocol.expiry(28)
    protocol.post_slice(expiry, vol=0.6)
    posted = protocol.vol_oracle.vol(ETH, expiry, 0)
    protocol.market.pass_time(10 * DAY)

    assert protocol.vol_oracle.vol(ETH, expiry, 0) == posted


@pytest.mark.parametrize("role", ["vol_poster", "guardian", "keeper", "stranger"])
def test_the_first_slice_of_an_underlying_is_the_governors(protocol, role):
    """Nothing is there to measure it by: a stolen poster's key could put it anywhere in the range."""
    with reverts("roles: not allowed"):
        post(protocol, protocol.expiry(), WAD // 100, sender=getattr(protocol, role))


@pytest.mark.parametrize("role", ["governor", "guardian", "keeper", "stranger"])
@pytest.mark.parametrize("weeks", [0, 1], ids=["again", "a new expiry"])
def test_posting_refuses_others(protocol, role, weeks):
    expiry = protocol.expiry(14)
    protocol.post_slice(expiry)

    with reverts("roles: not allowed"):
        post(protocol, expiry + weeks * 7 * DAY, WAD // 100, sender=getattr(protocol, role))


def test_once_all_slices_have_expired_the_governor_begins_anew(protocol):
    expiry = protocol.expiry(7)
    protocol.post_slice(expiry)
    protocol.market.pass_time(expiry - protocol.market.now)

    with reverts("roles: not allowed"):
        post(protocol, expiry + 7 * DAY, WAD // 100)
    protocol.post_slice(expiry + 7 * DAY, vol=1.2)

    assert protocol.vol_oracle.expiries(ETH) == [expiry + 7 * DAY]


def test_expiries_are_those_of_series(protocol):
    expiry = protocol.expiry(28)

    with reverts("vol: expiry off the grid"):
        post(protocol, expiry + HOUR, WAD // 100, sender=protocol.governor)
    with reverts("vol: expiry too far"):
        post(protocol, protocol.expiry(90), WAD // 10, sender=protocol.governor)


def test_without_a_slice_there_is_no_volatility(protocol):
    with reverts("vol: no slice"):
        protocol.vol_oracle.posted(ETH, protocol.expiry())
    with reverts("vol: no slice"):
        protocol.vol_oracle.vol(ETH, protocol.expiry(), 0)


def test_an_expired_slice_is_refused(protocol):
    with reverts("vol: expired"):
        post(protocol, protocol.market.now, WAD // 100)


@pytest.mark.parametrize("vol", [0.199, 3.001])
def test_at_the_money_volatility_has_bounds(protocol, vol):
    with reverts("vol: at-the-money out of bounds"):
        protocol.post_slice(vol=vol)


@pytest.mark.parametrize("carry", [0.501, -0.501])
def test_carry_has_bounds(protocol, carry):
    with reverts("vol: carry out of bounds"):
        protocol.post_slice(carry=carry)


@pytest.mark.parametrize("half_spread", [0.019, 0.201])
def test_half_spread_has_bounds(protocol, half_spread):
    with reverts("vol: half-spread"):
        protocol.post_slice(half_spread=half_spread)


@pytest.mark.parametrize("rho", [0.901, -0.901, 1.0, -1.0, 1.5])
def test_rho_has_bounds(protocol, rho):
    with reverts("vol: rho out of bounds"):
        protocol.post_slice(rho=rho)


def test_butterfly_arbitrage_is_refused(protocol):
    """Gatheral and Jacquier (2014), theorem 4.2: θφ²(1 + |ρ|) ≤ 4."""
    expiry = protocol.expiry(28)
    theta = theta_of(protocol, expiry, 0.6) / WAD
    most = math.sqrt(4 / theta / 1.5)

    with reverts("vol: butterfly arbitrage"):
        protocol.post_slice(expiry, rho=0.5, phi=most * 1.001)
    protocol.post_slice(expiry, rho=0.5, phi=most * 0.999)


@pytest.mark.parametrize(
    "parameters",
    [
        {"theta": 2**64},
        {"phi": 2**64 * 10**6},
        {"rho": 2 * WAD},
        {"rho": -2 * WAD},
        {"carry": 2 * WAD},
        {"half_spread": 2 * WAD},
    ],
)
def test_what_does_not_fit_the_slot_is_refused(protocol, parameters):
    with reverts("vol: not representable"):
        post(protocol, protocol.expiry(), **{"theta": WAD // 100, **parameters})
