"""The contracts' mathematics against mpmath: invariants 26, 27 and 45."""

import mpmath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeper.pricing import fixed_point
from keeper.pricing.errors import PricingError
from keeper.pricing.normal_table import build_table, normal_table
from tests.keeper.evm import Deployed, Reverted

ONE = 2**64
MIN_S = fixed_point.MIN_S

dollars = st.integers(10**15, 10**24)  # 0.001 to 1,000,000 USDC, WAD
log_moneyness = st.floats(-2.0, 2.0)
total_vol = st.one_of(st.integers(0, 4 * ONE), st.integers(0, ONE // 1000), st.sampled_from([0, 1, MIN_S - 1, MIN_S]))
quantile = st.integers(-9 * ONE, 9 * ONE)


def reference_call(forward: int, strike: int, s: int) -> mpmath.mpf:
    """Black (1976), with the floor of 1e-6 that the contract documents for s."""
    f, k, v = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.mpf(max(s, MIN_S)) / ONE
    d1 = mpmath.log(f / k) / v + v / 2
    return f * mpmath.ncdf(d1) - k * mpmath.ncdf(d1 - v)


def x_of(forward: int, strike: int) -> int:
    """ln(F/K) in Q64."""
    return int(mpmath.nint(mpmath.log(mpmath.mpf(forward) / strike) * ONE))


def strike_at(forward: int, k: float) -> int:
    return int(forward * mpmath.exp(k))


def noise(forward: int, strike: int) -> int:
    """Twice the error that the table's 7.8e-15 may leave in a price."""
    return (forward + strike) * 16 // 10**15 + 2


@given(quantile)
@example(0)
@example(1)
@example(-1)
@example(8 * ONE)
@example(-8 * ONE)
@example(8 * ONE - 1)
def test_cdf_is_within_8e15_of_phi(onchain_math: Deployed, x: int) -> None:
    with mpmath.workdps(40):
        expected = mpmath.ncdf(mpmath.mpf(x) / ONE)
        error = abs(mpmath.mpf(onchain_math("cdf", x)) / 2**80 - expected)

    assert error <= 8e-15


@given(quantile)
def test_pdf_is_within_1e15_of_the_density(onchain_math: Deployed, x: int) -> None:
    with mpmath.workdps(40):
        error = abs(mpmath.mpf(onchain_math("pdf", x)) / 10**18 - mpmath.npdf(mpmath.mpf(x) / ONE))

    assert error <= 6e-15  # phi(8) = 5e-15 is where it is cut to zero


def test_the_checked_in_table_is_the_one_that_its_formula_gives() -> None:
    assert build_table() == normal_table()


@settings(max_examples=300)
@given(dollars, log_moneyness, total_vol)
def test_call_is_within_1e13_of_spot(onchain_math: Deployed, forward: int, k: float, s: int) -> None:
    with mpmath.workdps(40):
        strike = strike_at(forward, k)
        error = abs(
            onchain_math("call", forward, strike, x_of(forward, strike), s) - reference_call(forward, strike, s)
        )

    assert error <= forward * 1e-13 + 2


@given(dollars, st.floats(-25.0, 25.0), st.integers(0, 20 * ONE))
def test_call_far_from_the_money_is_within_twice_the_table_error(
    onchain_math: Deployed, forward: int, k: float, s: int
) -> None:
    with mpmath.workdps(40):
        strike = max(strike_at(forward, k), 1)
        error = abs(
            onchain_math("call", forward, strike, x_of(forward, strike), s) - reference_call(forward, strike, s)
        )

    assert error <= noise(forward, strike)


@given(dollars, log_moneyness, total_vol)
def test_call_lies_between_intrinsic_value_and_forward(onchain_math: Deployed, forward: int, k: float, s: int) -> None:
    strike = strike_at(forward, k)

    price = onchain_math("call", forward, strike, x_of(forward, strike), s)

    assert max(forward - strike, 0) <= price <= forward + noise(forward, strike)


def test_no_rounding_of_the_logarithm_can_push_a_call_below_its_intrinsic_value(onchain_math: Deployed) -> None:
    """The guard itself: with x far from ln(F/K) the formula alone would give nothing."""
    forward, strike = 2000 * 10**18, 1000 * 10**18

    assert onchain_math("call", forward, strike, -10 * ONE, ONE // 10) == forward - strike


@given(dollars, log_moneyness, total_vol, st.floats(1.0, 1.5))
def test_call_rises_with_the_forward_and_falls_with_the_strike(
    onchain_math: Deployed, forward: int, k: float, s: int, factor: float
) -> None:
    strike = strike_at(forward, k)
    higher_forward, higher_strike = int(forward * factor), int(strike * factor)

    price = onchain_math("call", forward, strike, x_of(forward, strike), s)
    with_forward = onchain_math("call", higher_forward, strike, x_of(higher_forward, strike), s)
    with_strike = onchain_math("call", forward, higher_strike, x_of(forward, higher_strike), s)

    assert with_forward >= price - noise(higher_forward, strike)
    assert with_strike <= price + noise(forward, higher_strike)


@given(dollars, log_moneyness, total_vol, st.integers(0, ONE))
def test_call_rises_with_volatility(onchain_math: Deployed, forward: int, k: float, s: int, more: int) -> None:
    strike = strike_at(forward, k)
    x = x_of(forward, strike)

    assert onchain_math("call", forward, strike, x, s + more) >= onchain_math("call", forward, strike, x, s) - noise(
        forward, strike
    )


@given(dollars, log_moneyness, total_vol)
def test_the_mirror_of_black76_is_exact(onchain_math: Deployed, forward: int, k: float, s: int) -> None:
    strike = strike_at(forward, k)
    x = x_of(forward, strike)

    assert onchain_math("call", forward, strike, x, s) == fixed_point.call(forward, strike, x, s)
    assert onchain_math("d1", x, s) == fixed_point.d1(x, s)


@given(quantile)
def test_the_mirror_of_the_normal_distribution_is_exact(onchain_math: Deployed, x: int) -> None:
    assert onchain_math("cdf", x) == fixed_point.cdf(x)
    assert onchain_math("pdf", x) == fixed_point.pdf(x)


@given(st.one_of(st.integers(0, 2**200), st.integers(0, 10**19)))
def test_the_mirror_of_the_logarithm_is_exact(onchain_math: Deployed, x: int) -> None:
    assert onchain_math("ln", x) == fixed_point.wad_ln(x)


@given(st.one_of(st.integers(-50 * 10**18, 135 * 10**18), st.integers(-(10**18), 10**18)))
def test_the_mirror_of_the_exponential_is_exact(onchain_math: Deployed, x: int) -> None:
    assert onchain_math("exp", x) == fixed_point.wad_exp(x)


@pytest.mark.parametrize(("function", "mirror", "x"), [("ln", "wad_ln", -1), ("exp", "wad_exp", 136 * 10**18)])
def test_the_mirror_refuses_what_the_contract_refuses(
    onchain_math: Deployed, function: str, mirror: str, x: int
) -> None:
    with pytest.raises(Reverted) as reverted:
        onchain_math(function, x)

    with pytest.raises(PricingError, match=str(reverted.value)):
        getattr(fixed_point, mirror)(x)


@pytest.mark.parametrize(("a", "b", "quotient"), [(7, 2, 3), (-7, 2, -3), (7, -2, -3), (-7, -2, 3), (0, -2, 0)])
def test_division_truncates_towards_zero(a: int, b: int, quotient: int) -> None:
    assert fixed_point.tdiv(a, b) == quotient
