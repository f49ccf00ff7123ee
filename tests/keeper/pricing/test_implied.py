"""Implied volatility: exact over the whole domain, and a status where there is none."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lets_be_rational import implied_volatility_from_a_transformed_rational_guess as jaeckel

from keeper.pricing.black76 import greeks, price
from keeper.pricing.implied import Status, implied_vol
from keeper.pricing.kernel import Method

METHODS = ["numpy", "kernel"]
EPSILON = 2.0**-52


def exact_otm_price(forward: float, strike: float, vol: float, years: float) -> mp.mpf:
    """At the working precision of mpmath."""
    f, k = mp.mpf(forward), mp.mpf(strike)
    s = mp.mpf(vol) * mp.sqrt(mp.mpf(years))
    d1 = mp.log(f / k) / s + s / 2
    side = 1 if forward <= strike else -1
    return side * (f * mp.ncdf(side * d1) - k * mp.ncdf(side * (d1 - s)))


def relative_vega(forward: float, strike: float, vol: float, years: float) -> mp.mpf:
    """∂ln(price)/∂ln(vol)."""
    s = mp.mpf(vol) * mp.sqrt(mp.mpf(years))
    d1 = mp.log(mp.mpf(forward) / mp.mpf(strike)) / s + s / 2
    return forward * mp.npdf(d1) * s / exact_otm_price(forward, strike, vol, years)


@pytest.mark.parametrize("method", METHODS)
def test_the_volatility_is_as_exact_as_the_price_it_is_given(method: Method) -> None:
    """σ√T from 1e-6 to 10 and up to 30 standard deviations; prices from 50 digits (mpmath), rounded once.

    That rounding alone moves the answer by half a unit, divided by ∂ln(price)/∂ln(vol); ln(F/K) has a last digit too.
    """
    rng = np.random.default_rng(5)
    width = 10.0 ** rng.uniform(-6.0, 1.0, 600)
    strike = 100.0 * np.exp(np.clip(rng.uniform(-30.0, 30.0, 600) * width, -60.0, 60.0))
    strike[:20] = 100.0
    years = rng.uniform(0.001, 3.0, 600)
    vol = width / np.sqrt(years)
    with mp.workdps(50):
        rows = list(zip(strike.tolist(), vol.tolist(), years.tolist(), strict=True))
        prices = np.array([float(exact_otm_price(100.0, k, v, t)) for k, v, t in rows])
        slope = np.array([float(relative_vega(100.0, k, v, t)) for k, v, t in rows])
    usable = (prices > 1e-290) & (slope > 1e-3)

    implied = implied_vol(prices, 100.0, strike, years, strike >= 100.0, method=method)

    error = np.abs(implied.vol / vol - 1.0)
    assert usable.sum() > 550
    assert implied.ok[usable].all()
    assert (error <= EPSILON * (16.0 + 1.0 / slope))[usable].all()


@given(st.floats(1e-2, 1e6), st.floats(-5.0, 5.0), st.floats(0.01, 5.0), st.floats(1e-4, 5.0), st.booleans())
def test_a_price_of_ours_gives_its_volatility_back(
    forward: float, deviations: float, vol: float, years: float, is_call: bool
) -> None:
    """Within what the last digit of the price, which is of the size of intrinsic value plus time value, decides."""
    strike = forward * math.exp(deviations * vol * math.sqrt(years))
    value = greeks(forward, strike, vol, years, is_call)

    implied = implied_vol(value.price, forward, strike, years, is_call)

    decided = 4.0 * EPSILON * max(forward, strike) / float(value.vega * vol)
    if implied.ok:
        assert implied.vol == pytest.approx(vol, rel=1e-14 + decided)
    else:
        assert decided > 0.01


def test_ordinary_options_are_inverted_to_thirteen_digits() -> None:
    """QUANT.md's grid: up to four deviations out of the money, σ from 15 % to 200 %, two days to a year."""
    rng = np.random.default_rng(11)
    years, vol = rng.uniform(2 / 365, 1.0, 50_000), rng.uniform(0.15, 2.0, 50_000)
    strike = 100.0 * np.exp(rng.uniform(-4.0, 4.0, 50_000) * vol * np.sqrt(years))
    prices = price(100.0, strike, vol, years, strike >= 100.0)

    implied = implied_vol(prices, 100.0, strike, years, strike >= 100.0)

    assert implied.ok.all()
    assert np.abs(implied.vol / vol - 1.0).max() < 1e-13


def test_kernel_and_numpy_agree() -> None:
    rng = np.random.default_rng(6)
    years, vol = 10.0 ** rng.uniform(-5.0, 1.0, 50_000), 10.0 ** rng.uniform(-2.0, 1.0, 50_000)
    strike = 100.0 * np.exp(np.clip(rng.uniform(-8.0, 8.0, 50_000) * vol * np.sqrt(years), -50.0, 50.0))
    is_call = rng.random(50_000) < 0.5
    prices = price(100.0, strike, vol, years, is_call)

    compiled, by_numpy = (implied_vol(prices, 100.0, strike, years, is_call, method=m) for m in METHODS)

    assert compiled.status.tolist() == by_numpy.status.tolist()
    np.testing.assert_allclose(compiled.vol, by_numpy.vol, rtol=2e-14)


def test_it_agrees_with_jaeckels_own_code() -> None:
    """The package lets_be_rational, whose arguments are undiscounted price, F, K, T and the sign."""
    rng = np.random.default_rng(8)
    vol, years = rng.uniform(0.1, 2.0, 500), rng.uniform(0.01, 2.0, 500)
    strike = 100.0 * np.exp(rng.uniform(-4.0, 4.0, 500) * vol * np.sqrt(years))
    prices = price(100.0, strike, vol, years, strike >= 100.0)

    ours = implied_vol(prices, 100.0, strike, years, strike >= 100.0).vol

    rows = zip(prices.tolist(), strike.tolist(), years.tolist(), strict=True)
    theirs = [jaeckel(p, 100.0, k, t, 1 if k >= 100.0 else -1) for p, k, t in rows]
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("value", "forward", "strike", "years", "is_call", "status"),
    [
        (5.0, 100.0, 110.0, 0.5, True, Status.OK),
        (10.0, 110.0, 100.0, 0.5, True, Status.NO_TIME_VALUE),
        (0.0, 100.0, 110.0, 0.5, True, Status.NO_TIME_VALUE),
        (9.99, 110.0, 100.0, 0.5, True, Status.BELOW_INTRINSIC),
        (9.99, 100.0, 110.0, 0.5, False, Status.BELOW_INTRINSIC),
        (-1.0, 100.0, 110.0, 0.5, True, Status.BELOW_INTRINSIC),
        (100.0, 100.0, 110.0, 0.5, True, Status.ABOVE_FORWARD),
        (110.0, 100.0, 110.0, 0.5, False, Status.ABOVE_FORWARD),
        (5.0, 100.0, 110.0, 0.0, True, Status.EXPIRED),
        (math.nan, 100.0, 110.0, 0.5, True, Status.INVALID),
        (math.inf, 100.0, 110.0, 0.5, True, Status.INVALID),
        (5.0, math.nan, 110.0, 0.5, True, Status.INVALID),
        (5.0, 100.0, 0.0, 0.5, True, Status.INVALID),
        (5.0, -100.0, 110.0, 0.5, True, Status.INVALID),
        (5.0, 100.0, 110.0, -0.5, True, Status.INVALID),
        (5.0, 100.0, 110.0, math.inf, True, Status.INVALID),
    ],
)
def test_every_price_has_a_status_and_no_volatility_is_nan(
    value: float, forward: float, strike: float, years: float, is_call: bool, status: Status, method: Method
) -> None:
    implied = implied_vol(value, forward, strike, years, is_call, method=method)

    assert Status(int(implied.status)) is status
    assert (implied.vol > 0.0) == (status is Status.OK)
    assert np.isfinite(implied.vol)


@given(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
)
def test_no_input_whatever_gives_nan(value: float, forward: float, strike: float, years: float, is_call: bool) -> None:
    for columns in ((value, forward, strike, years), (value, abs(value) * 1.5, abs(value), 1.0)):
        for method in METHODS:
            implied = implied_vol(*columns, is_call, method=method)

            assert np.isfinite(implied.vol)
            assert (implied.vol > 0.0) == implied.ok


def test_an_in_the_money_price_gives_the_volatility_of_the_other_side() -> None:
    call, put = price(100.0, 80.0, 0.6, 0.25, [True, False])

    implied = implied_vol([call, put], 100.0, 80.0, 0.25, [True, False])

    assert implied.vol == pytest.approx([0.6, 0.6], rel=1e-13)


def test_one_bad_price_does_not_hide_the_others() -> None:
    implied = implied_vol([5.0, math.nan, 6.0], 100.0, 105.0, 0.5, True)

    assert implied.ok.tolist() == [True, False, True]
