"""The delta of least variance: Hull and White's formula, and the market of Heston where it should win."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.interpolate import RectBivariateSpline

from keeper.forecast.delta import MinimumVariance, Moves, fit_minimum_variance
from keeper.forecast.errors import ForecastError
from keeper.pricing.bates import Bates, bates_price
from keeper.pricing.black76 import greeks, price
from keeper.pricing.implied import implied_vol

Array = npt.NDArray[np.float64]

DAY = 1 / 365
MONTH = 30 * DAY


def moves_of(seed: int, count: int = 500) -> Moves:
    rng = np.random.default_rng(seed)
    delta = rng.uniform(-1.0, 1.0, count)
    return Moves(
        spot=rng.uniform(1000.0, 4000.0, count),
        years=rng.uniform(0.01, 0.5, count),
        delta=delta,
        vega=rng.uniform(10.0, 500.0, count),
        change=rng.normal(0.0, 100.0, count),
        missed=np.zeros(count),
    )


def test_the_coefficients_that_made_the_errors_are_found() -> None:
    truth = MinimumVariance(-0.25, 0.12, 0.08)
    moves = moves_of(1)
    extra = truth.delta(moves.delta, moves.vega, moves.spot, moves.years) - moves.delta

    found = fit_minimum_variance(replace(moves, missed=extra * moves.change))

    assert (found.a, found.b, found.c) == pytest.approx((-0.25, 0.12, 0.08))


def test_hull_and_whites_formula() -> None:
    model = MinimumVariance(-0.25, 0.12, 0.08)

    call, put = model.delta([0.4, -0.6], 300.0, 3000.0, 0.25)

    correction = 300.0 / (3000.0 * 0.5) * (-0.25 + 0.12 * 0.4 + 0.08 * 0.16)
    assert call == pytest.approx(0.4 + correction)
    assert put == pytest.approx(call - 1.0)  # parity


def test_hedges_that_missed_nothing_leave_the_delta_alone() -> None:
    moves = moves_of(2)

    found = fit_minimum_variance(moves)

    np.testing.assert_array_equal(found.delta(moves.delta, moves.vega, moves.spot, moves.years), moves.delta)


def test_too_few_moves_and_holes_are_refused() -> None:
    moves = moves_of(3)

    for wrong in (
        moves_of(3, count=99),
        replace(moves, missed=moves.missed * np.nan),
        replace(moves, years=0 * moves.years),
    ):
        with pytest.raises(ForecastError, match="teach no delta"):
            fit_minimum_variance(wrong)


# ---------------------------------------------------------------- Heston


@dataclass(frozen=True)
class Hedged:
    """Moves of a day, and what the delta of a smile that moves with the price misses of each."""

    moves: Moves
    partial: Array


def implied(model: Bates, years: float) -> RectBivariateSpline:
    """Implied volatility by variance and log-moneyness, from exact prices on a grid."""
    variances, k = np.geomspace(0.05, 1.6, 40), np.linspace(-0.6, 0.6, 61)
    vols = []
    for variance in variances:
        prices = bates_price(replace(model, variance=variance), 1.0, np.exp(k), years, k >= 0.0)
        found = implied_vol(prices, 1.0, np.exp(k), years, k >= 0.0)
        assert found.ok.all()
        vols.append(found.vol)
    return RectBivariateSpline(variances, k, np.array(vols))


def heston_day(model: Bates, seed: int, paths: int = 4000, steps: int = 48) -> Hedged:
    """A day of 30-day options of seven strikes, from the model's variance; full-truncation Euler (Lord et al. 2010)."""
    rng = np.random.default_rng(seed)
    v, x, dt = np.full(paths, model.variance), np.zeros(paths), DAY / steps
    rho, across = model.correlation, np.sqrt(1.0 - model.correlation**2)
    for _ in range(steps):
        z, w = rng.standard_normal((2, paths)) * np.sqrt(np.maximum(v, 0.0) * dt)
        x += z - 0.5 * np.maximum(v, 0.0) * dt
        pull = model.reversion * (model.long_variance - np.maximum(v, 0.0)) * dt
        v += pull + model.vol_of_variance * (rho * z + across * w)
    k = np.tile(np.linspace(-0.3, 0.3, 7), paths)
    change, later = np.repeat(np.expm1(x), 7), np.repeat(np.clip(v, 0.05, 1.6), 7)
    before, after = implied(model, MONTH), implied(model, MONTH - DAY)
    k_after = k - np.log1p(change)

    first = greeks(1.0, np.exp(k), before.ev(model.variance, k), MONTH, k >= 0.0)
    last = price(1.0 + change, np.exp(k), after.ev(later, k_after), MONTH - DAY, k >= 0.0)

    missed = last - first.price - first.delta * change - first.theta * DAY
    ones = np.ones(len(k))
    moves = Moves(ones, MONTH * ones, first.delta, first.vega, change, missed)
    return Hedged(moves, missed + first.vega * before.ev(model.variance, k, dy=1) * change)


@pytest.mark.parametrize("variance", [0.36, 0.5, 0.64])
def test_in_hestons_market_it_cuts_the_variance_and_a_smile_that_moves_with_the_price_adds_to_it(
    variance: float,
) -> None:
    """QUANT.md, Delta: κ = 3, ξ = 2, ρ = -.7, 30 days, daily moves: 11 to 21 % less, and 39 to 52 % more."""
    model = Bates(variance, reversion=3.0, long_variance=variance, vol_of_variance=2.0, correlation=-0.7)
    learnt, seen = heston_day(model, 1), heston_day(model, 2)

    found = fit_minimum_variance(learnt.moves)

    moves = seen.moves
    extra = found.delta(moves.delta, moves.vega, moves.spot, moves.years) - moves.delta
    base = moves.missed.var()
    assert 0.11 < 1.0 - (moves.missed - extra * moves.change).var() / base < 0.21
    assert 0.39 < seen.partial.var() / base - 1.0 < 0.52
