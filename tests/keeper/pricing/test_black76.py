"""Black-76 in floats: published values, edges, and identities. RELIABILITY.md (26) to (28)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.pricing.black76 import greeks, price
from keeper.pricing.errors import PricingError

spots = st.floats(1.0, 1e5)
moneyness = st.floats(-1.0, 1.0)
vols = st.floats(0.05, 3.0)
tenors = st.floats(0.003, 1.0)
carries = st.floats(-0.5, 0.5)


def discounted(spot: float, strike: float, rate: float, vol: float, years: float, is_call: bool) -> float:
    """Black-Scholes without dividends through Black-76: forward at the rate, discounted at the rate."""
    return math.exp(-rate * years) * float(price(spot * math.exp(rate * years), strike, vol, years, is_call))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(discounted(42, 40, 0.1, 0.2, 0.5, True), 4.759422, id="Hull call"),
        pytest.param(discounted(42, 40, 0.1, 0.2, 0.5, False), 0.808599, id="Hull put"),
        pytest.param(discounted(60, 65, 0.08, 0.3, 0.25, True), 2.133368, id="Haug call"),
    ],
)
def test_published_values(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, abs=5e-7)


def test_vectorised_equals_one_by_one() -> None:
    strikes = np.linspace(1000.0, 9000.0, 50)[:, None]
    is_call = np.array([True, False])

    together = price(3000.0, strikes, 0.7, 0.1, is_call)

    one_by_one = [[float(price(3000.0, k, 0.7, 0.1, c)) for c in is_call] for k in strikes.ravel()]
    assert together.tolist() == one_by_one


@given(spots, moneyness, vols, tenors)
def test_put_call_parity(forward: float, k: float, vol: float, years: float) -> None:
    strike = forward * math.exp(k)

    difference = price(forward, strike, vol, years, True) - price(forward, strike, vol, years, False)

    assert difference == pytest.approx(forward - strike, abs=1e-12 * forward)


@given(spots, moneyness, vols, tenors, carries, st.booleans())
def test_greeks_equal_finite_differences(
    spot: float, k: float, vol: float, years: float, carry: float, is_call: bool
) -> None:
    strike = spot * math.exp(carry * years + k * vol * math.sqrt(years))  # one standard deviation: nothing vanishes
    step = 1e-3 * spot * vol * math.sqrt(years)

    def value(s: float = spot, v: float = vol, t: float = years) -> float:
        return float(price(s * math.exp(carry * t), strike, v, t, is_call))

    own = greeks(spot, strike, vol, years, is_call, carry)

    up, down = value(s=spot + step), value(s=spot - step)
    assert own.price == pytest.approx(value(), rel=1e-12)
    assert own.delta == pytest.approx((up - down) / (2 * step), abs=1e-5)
    assert own.gamma * step == pytest.approx((up - 2 * value() + down) / step, abs=1e-7)
    assert own.vega == pytest.approx((value(v=vol * 1.001) - value(v=vol * 0.999)) / (0.002 * vol), rel=1e-4)
    theta = (value(t=years * 0.9999) - value(t=years * 1.0001)) / (0.0002 * years)
    assert own.theta == pytest.approx(theta, rel=1e-5, abs=1e-5 * spot)


@pytest.mark.parametrize(("strike", "call_delta"), [(90.0, 1.0), (100.0, 0.5), (110.0, 0.0)])
@pytest.mark.parametrize(("vol", "years"), [(0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
def test_without_time_or_volatility_an_option_is_its_intrinsic_value(
    strike: float, call_delta: float, vol: float, years: float
) -> None:
    call = greeks(100.0, strike, vol, years, True)
    put = greeks(100.0, strike, vol, years, False)

    assert call.price == max(100.0 - strike, 0.0)
    assert put.price == max(strike - 100.0, 0.0)
    assert (call.delta, put.delta) == (call_delta, call_delta - 1.0)
    assert np.isfinite([call.gamma, call.vega, call.theta, put.gamma, put.vega, put.theta]).all()


def test_without_volatility_the_value_is_the_forward_intrinsic_value() -> None:
    value = greeks(100.0, 100.0, 0.0, 1.0, True, carry=0.1)

    assert value.price == pytest.approx(100.0 * math.exp(0.1) - 100.0)
    assert value.delta == pytest.approx(math.exp(0.1))


@given(st.floats(1e-3, 1e7), st.floats(1e-3, 1e7), st.floats(0, 20), st.floats(0, 20), st.booleans())
def test_nothing_is_ever_nan(spot: float, strike: float, vol: float, years: float, is_call: bool) -> None:
    values = greeks(spot, strike, vol, years, is_call)

    assert np.isfinite([values.price, values.delta, values.gamma, values.vega, values.theta]).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0.0, 1.0, 1.0, 1.0), "forward"),
        ((1.0, -1.0, 1.0, 1.0), "strike"),
        ((1.0, 1.0, -0.1, 1.0), "vol"),
        ((1.0, 1.0, 1.0, -1.0), "years"),
        ((1.0, 1.0, math.nan, 1.0), "vol"),
        ((math.inf, 1.0, 1.0, 1.0), "forward"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[float, float, float, float], name: str) -> None:
    with pytest.raises(PricingError, match=name):
        price(*arguments, True)
