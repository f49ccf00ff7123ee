"""Black-76 in floats: published values, edges, and identities. Invariants 26 to 28."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.pricing.black76 import Greeks, greeks, price
from keeper.pricing.errors import PricingError
from keeper.pricing.kernel import Method

spots = st.floats(1.0, 1e5)
moneyness = st.floats(-1.0, 1.0)
vols = st.floats(0.05, 3.0)
tenors = st.floats(0.003, 1.0)
carries = st.floats(-0.5, 0.5)


def all_finite(values: Greeks) -> bool:
    return all(np.isfinite(getattr(values, field.name)).all() for field in dataclasses.fields(values))


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


def test_a_merton_jump_price_is_a_mixture_of_black_scholes_prices() -> None:
    """QUANT.md, value 5: S = K = 100, r = 5 %, σ = 20 %, λ = 1, log-jumps of mean -10 % and deviation 15 %, T = 1/2."""
    rate, vol, intensity, mean, deviation, years = 0.05, 0.2, 1.0, -0.1, 0.15, 0.5
    average_jump = math.exp(mean + 0.5 * deviation**2) - 1.0
    n = np.arange(60)
    forward = 100.0 * np.exp((rate - intensity * average_jump) * years + n * (mean + 0.5 * deviation**2))
    jumped_vol = np.sqrt(vol**2 + n * deviation**2 / years)
    weight = np.exp(-intensity * years) * (intensity * years) ** n / np.array([math.factorial(i) for i in n])

    value = math.exp(-rate * years) * (weight * price(forward, 100.0, jumped_vol, years, True)).sum()

    assert value == pytest.approx(8.448590383316306, rel=1e-13)


def test_the_option_of_derman_and_kamal_has_their_price() -> None:
    """QUANT.md, value 4: one month, at the money, σ = 20 %, r = 5 %."""
    value = greeks(100.0, 100.0, 0.2, 1 / 12, True, carry=0.05, rate=0.05)

    assert value.price == pytest.approx(2.51207, abs=5e-6)


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


@given(spots, moneyness, vols, tenors)
def test_a_price_lies_between_intrinsic_value_and_the_underlying(
    forward: float, k: float, vol: float, years: float
) -> None:
    strike = forward * math.exp(k)

    call, put = price(forward, strike, vol, years, [True, False])

    assert max(forward - strike, 0.0) <= call <= forward
    assert max(strike - forward, 0.0) <= put <= strike


@given(spots, moneyness, vols, tenors, st.floats(1.001, 2.0), st.booleans())
def test_a_price_rises_with_volatility_and_time_and_a_call_with_the_forward(
    forward: float, k: float, vol: float, years: float, factor: float, is_call: bool
) -> None:
    strike = forward * math.exp(k)
    base = price(forward, strike, vol, years, is_call)
    rounding = 1e-15 * (forward + strike) * factor

    assert price(forward, strike, vol * factor, years, is_call) >= base - rounding
    assert price(forward, strike, vol, years * factor, is_call) >= base - rounding
    sign = 1.0 if is_call else -1.0
    assert sign * (price(forward * factor, strike, vol, years, is_call) - base) >= -rounding
    assert sign * (price(forward, strike * factor, vol, years, is_call) - base) <= rounding


@given(spots, moneyness, vols, tenors, st.floats(1e-6, 1e6), st.booleans())
def test_a_price_is_homogeneous_in_forward_and_strike(
    forward: float, k: float, vol: float, years: float, unit: float, is_call: bool
) -> None:
    strike = forward * math.exp(k)

    in_other_units = price(unit * forward, unit * strike, vol, years, is_call) / unit

    assert in_other_units == pytest.approx(price(forward, strike, vol, years, is_call), rel=1e-12, abs=1e-14 * forward)


@given(spots, moneyness, vols, tenors, carries, carries, st.booleans())
def test_greeks_equal_finite_differences(
    spot: float, k: float, vol: float, years: float, carry: float, rate: float, is_call: bool
) -> None:
    strike = spot * math.exp(carry * years + k * vol * math.sqrt(years))  # one standard deviation: nothing vanishes
    step = 1e-3 * spot * vol * math.sqrt(years)

    def value(s: float = spot, v: float = vol, t: float = years, b: float = carry, r: float = rate) -> float:
        return math.exp(-r * t) * float(price(s * math.exp(b * t), strike, v, t, is_call))

    own = greeks(spot, strike, vol, years, is_call, carry, rate)

    up, down = value(s=spot + step), value(s=spot - step)
    assert own.price == pytest.approx(value(), rel=1e-12)
    assert own.delta == pytest.approx((up - down) / (2 * step), abs=1e-5)
    assert own.gamma * step == pytest.approx((up - 2 * value() + down) / step, abs=1e-7)
    assert own.vega == pytest.approx((value(v=vol * 1.001) - value(v=vol * 0.999)) / (0.002 * vol), rel=1e-4)
    theta = (value(t=years * 0.9999) - value(t=years * 1.0001)) / (0.0002 * years)
    assert own.theta == pytest.approx(theta, rel=1e-5, abs=1e-5 * spot)
    rho = (value(b=carry + 1e-4, r=rate + 1e-4) - value(b=carry - 1e-4, r=rate - 1e-4)) / 2e-4
    assert own.rho == pytest.approx(rho, rel=1e-6, abs=1e-6 * spot * years)
    more, less = (greeks(spot, strike, vol * f, years, is_call, carry, rate) for f in (1.0001, 0.9999))
    assert own.vanna == pytest.approx((more.delta - less.delta) / (2e-4 * vol), rel=1e-5, abs=1e-6 / vol)
    assert own.volga == pytest.approx((more.vega - less.vega) / (2e-4 * vol), rel=1e-5, abs=1e-6 * own.vega / vol)


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
    assert all_finite(call)
    assert all_finite(put)


def test_without_volatility_the_value_is_the_forward_intrinsic_value() -> None:
    value = greeks(100.0, 100.0, 0.0, 1.0, True, carry=0.1)

    assert value.price == pytest.approx(100.0 * math.exp(0.1) - 100.0)
    assert value.delta == pytest.approx(math.exp(0.1))


@given(st.floats(1e-3, 1e7), st.floats(1e-3, 1e7), st.floats(0, 20), st.floats(0, 20), st.booleans())
def test_nothing_is_ever_nan(spot: float, strike: float, vol: float, years: float, is_call: bool) -> None:
    assert all_finite(greeks(spot, strike, vol, years, is_call))


@pytest.mark.parametrize("method", ["numpy", "kernel"])
def test_the_corners_of_the_domain_have_finite_prices_and_greeks(method: Method) -> None:
    sizes = np.array([1e-50, 1.0, 1.0 + 3e-16, 1e50])
    widths = np.array([0.0, 5e-324, 1e-101, 1e-99, 1e-8, 1.0, 1e5, 1e10])
    spot, strike, vol, years, is_call = np.meshgrid(sizes, sizes, widths, widths, [True, False])
    rate = np.where(years > 100.0, 0.0, 1.0)

    values = greeks(spot, strike, vol, years, is_call, carry=-rate, rate=rate, method=method)

    assert all_finite(values)
    assert (values.price >= 0.0).all()
    assert (np.abs(values.delta) <= 1.000_000_000_000_001 * np.exp(-2.0 * rate * years)).all()


def test_an_option_with_unlimited_volatility_is_worth_the_underlying_or_the_strike() -> None:
    assert price(100.0, 90.0, 1e6, 1.0, [True, False]).tolist() == [100.0, 90.0]


def test_without_options_there_are_no_prices() -> None:
    assert greeks(np.empty((0, 3)), 1.0, 0.5, 1.0, True).delta.shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0.0, 1.0, 1.0, 1.0), "forward"),
        ((1.0, -1.0, 1.0, 1.0), "strike"),
        ((1.0, 1.0, -0.1, 1.0), "vol"),
        ((1.0, 1.0, 1.0, -1.0), "years"),
        ((1.0, 1.0, math.nan, 1.0), "vol"),
        ((math.inf, 1.0, 1.0, 1.0), "forward"),
        ((1.0, math.inf, 1.0, 1.0), "strike"),
        ((1.0, 1.0, math.inf, 1.0), "vol"),
        ((1.0, 1.0, 1.0, math.nan), "years"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[float, float, float, float], name: str) -> None:
    with pytest.raises(PricingError, match=name):
        price(*arguments, True)


@pytest.mark.parametrize("growth", [{"carry": math.nan}, {"rate": math.inf}, {"carry": 101.0}, {"rate": -101.0}])
def test_a_growth_without_meaning_is_refused_by_name(growth: dict[str, float]) -> None:
    with pytest.raises(PricingError, match=next(iter(growth))):
        greeks(1.0, 1.0, 1.0, [0.5, 1.0], True, **growth)


@pytest.mark.parametrize("growth", [{"carry": math.nan}, {"rate": math.inf}, {"carry": 1e11}])
def test_a_growth_without_meaning_is_refused_even_without_time(growth: dict[str, float]) -> None:
    with pytest.raises(PricingError, match=next(iter(growth))):
        greeks(1.0, 1.0, 1.0, 0.0, True, **growth)
