"""Prices with stochastic variance and jumps, against published values and their limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.pricing.bates import Bates, bates_price
from keeper.pricing.black76 import price
from keeper.pricing.errors import PricingError

LEWIS = Bates(variance=0.04, reversion=4.0, long_variance=0.25, vol_of_variance=1.0, correlation=-0.5)
ETH = Bates(0.5, 3.0, 0.6, 2.0, -0.7, jumps_per_year=12.0, jump_mean=-0.05, jump_deviation=0.08)

models = st.builds(
    Bates,
    variance=st.floats(0.01, 2.0),
    reversion=st.floats(0.1, 10.0),
    long_variance=st.floats(0.01, 2.0),
    vol_of_variance=st.floats(0.0, 3.0),
    correlation=st.floats(-0.95, 0.95),
    jumps_per_year=st.floats(0.0, 30.0),
    jump_mean=st.floats(-0.2, 0.2),
    jump_deviation=st.floats(0.0, 0.2),
)


def test_the_reference_prices_of_lewis() -> None:
    """QUANT.md, value 3: S = 100, r = 1 %, q = 2 %, T = 1, calls at 80 to 120."""
    strikes = np.array([80.0, 90.0, 100.0, 110.0, 120.0])

    calls = math.exp(-0.01) * bates_price(LEWIS, 100.0 * math.exp(0.01 - 0.02), strikes, 1.0, True)

    published = [26.774758743998854, 20.933349000596710, 16.070154917028834, 12.132211516709845, 9.024913483457836]
    np.testing.assert_allclose(calls, published, rtol=1e-13)


def test_jumps_alone_are_mertons_model() -> None:
    """QUANT.md, value 5: S = K = 100, T = 1/2, r = 5 %, σ = 20 %, λ = 1, μ = -10 %, δ = 15 %."""
    merton = Bates(0.04, 1.0, 0.04, 0.0, 0.0, jumps_per_year=1.0, jump_mean=-0.1, jump_deviation=0.15)

    call = math.exp(-0.025) * bates_price(merton, 100.0 * math.exp(0.025), 100.0, 0.5, True)

    assert call == pytest.approx(8.448590383316306, rel=1e-13)


@pytest.mark.parametrize("years", [1 / 365, 7 / 365, 0.25, 2.0])
def test_constant_variance_without_jumps_is_black_76(years: float) -> None:
    strikes = 100.0 * np.exp(np.linspace(-3.0, 3.0, 13) * 0.6 * math.sqrt(years))

    values = bates_price(Bates(0.36, 1.0, 0.36, 0.0, 0.0), 100.0, strikes, years, True)

    np.testing.assert_allclose(values, price(100.0, strikes, 0.6, years, True), atol=1e-12)


@pytest.mark.parametrize("years", [1 / 365, 7 / 365, 30 / 365, 1.0])
def test_twice_the_nodes_change_nothing(years: float, monkeypatch: pytest.MonkeyPatch) -> None:
    strikes = 3000.0 * np.exp(np.linspace(-4.0, 4.0, 17) * 0.7 * math.sqrt(years))
    values = bates_price(ETH, 3000.0, strikes, years, True)

    monkeypatch.setattr("keeper.pricing.bates._NODES", 96)

    np.testing.assert_allclose(bates_price(ETH, 3000.0, strikes, years, True), values, atol=1e-12 * 3000.0)


@settings(deadline=None)
@given(models, st.floats(0.003, 2.0))
def test_prices_keep_parity_bounds_and_convexity_in_the_strike(model: Bates, years: float) -> None:
    forward, rounding = 100.0, 1e-9
    spread = math.sqrt(model.expected_variance(years))
    strikes = forward * np.exp(np.linspace(-3.0, 3.0, 41) * min(spread, 1.0))

    calls, puts = (bates_price(model, forward, strikes, years, side) for side in (True, False))

    np.testing.assert_allclose(calls - puts, forward - strikes, atol=1e-10)
    assert ((calls <= forward) & (calls >= np.maximum(forward - strikes, 0.0))).all()
    slope = np.diff(calls) / np.diff(strikes)
    assert ((slope >= -1.0 - rounding) & (slope <= rounding)).all()
    assert (np.diff(slope) >= -rounding).all()


@pytest.mark.parametrize("years", [0.0, -1.0, math.nan, math.inf])
def test_a_tenor_without_meaning_is_refused(years: float) -> None:
    with pytest.raises(PricingError, match="years"):
        bates_price(LEWIS, 100.0, 100.0, years, True)


@pytest.mark.parametrize("change", [{"variance": -0.1}, {"correlation": 1.1}, {"jump_mean": math.nan}])
def test_a_model_without_meaning_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(PricingError, match="not a Bates model"):
        Bates(**{**{f: getattr(LEWIS, f) for f in Bates.__slots__}, **change})
