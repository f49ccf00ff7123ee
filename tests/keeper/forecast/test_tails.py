"""Peaks over threshold: the formulas against a published fit and scipy, the fit against scipy's likelihood."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import genpareto, t

from keeper.forecast.errors import ForecastError
from keeper.forecast.tails import Tail, fit_tail


@pytest.mark.parametrize(
    ("level", "quantile", "shortfall"), [(0.999, 94.28956, 191.3697), (0.9999, 304.62448, 609.3696)]
)
def test_the_danish_fire_losses(level: float, quantile: float, shortfall: float) -> None:
    """The manual of R's evir 1.7: gpd(danish, 10) and riskmeasures; 109 of 2,167 losses exceed 10 million kroner."""
    danish = Tail(threshold=10.0, shape=0.4968062, scale=6.9745523, share=109 / 2167)

    assert danish.var(level) == pytest.approx(quantile, rel=1e-6)
    assert danish.expected_shortfall(level) == pytest.approx(shortfall, rel=1e-6)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 1e-7, 0.2, 0.7])
def test_the_formulas_are_the_distributions_quantile_and_mean_beyond_it(shape: float) -> None:
    tail = Tail(threshold=0.04, shape=shape, scale=0.02, share=0.1)
    excess = genpareto(shape, loc=0.04, scale=0.02)

    for level in (0.9, 0.95, 0.99, 0.999):
        inside = 1.0 - (1.0 - level) / 0.1
        beyond = quad(excess.ppf, inside, 1.0)[0] / (1.0 - inside)
        assert tail.var(level) == pytest.approx(excess.ppf(inside), rel=1e-6)
        assert tail.expected_shortfall(level) == pytest.approx(beyond, rel=1e-4)


@pytest.mark.parametrize("count", [300, 3000])
@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.0, 0.2, 0.5, 0.9])
def test_the_fit_is_no_less_likely_than_scipys(shape: float, count: int) -> None:
    losses = genpareto.rvs(shape, scale=0.03, size=count, random_state=np.random.default_rng(7))

    tail = fit_tail(losses, share=0.5)

    excesses = losses[losses > tail.threshold] - tail.threshold
    theirs = genpareto.fit(excesses, floc=0.0)
    ours = genpareto.logpdf(excesses, tail.shape, scale=tail.scale).sum()
    assert len(excesses) == round(tail.share * count)
    assert ours >= genpareto.logpdf(excesses, *theirs).sum() - 1e-9
    assert (tail.shape, tail.scale) == pytest.approx((theirs[0], theirs[2]), abs=2e-3)


def test_the_tail_of_a_students_t_is_found() -> None:
    """Its shape is one by the degrees of freedom; quantiles beyond the threshold are the distribution's."""
    losses = t.rvs(4, size=200_000, random_state=np.random.default_rng(3))

    tail = fit_tail(losses, share=0.02)

    assert tail.shape == pytest.approx(0.25, abs=0.06)
    assert tail.var(0.99) == pytest.approx(t.ppf(0.99, 4), rel=0.02)
    assert tail.var(0.999) == pytest.approx(t.ppf(0.999, 4), rel=0.03)
    mean_beyond = quad(lambda p: t.ppf(p, 4), 0.999, 1.0)[0] / 0.001
    assert tail.expected_shortfall(0.999) == pytest.approx(mean_beyond, rel=0.06)


def test_a_tail_that_ends_at_once_is_fitted_as_the_shortest() -> None:
    """Uniform losses have ξ = -1."""
    tail = fit_tail(np.linspace(0.0, 1.0, 1001))

    assert -0.5 < tail.shape < -0.35
    assert 0.9 < tail.var(0.99) < 1.01


def test_losses_in_another_unit_have_the_same_shape() -> None:
    losses = t.rvs(3, size=2000, random_state=np.random.default_rng(4))

    once, scaled = fit_tail(losses), fit_tail(250.0 * losses)

    assert scaled.shape == pytest.approx(once.shape, abs=1e-6)
    assert scaled.var(0.99) == pytest.approx(250.0 * once.var(0.99), rel=1e-6)


def test_what_is_no_tail_is_refused() -> None:
    losses = np.linspace(0.0, 1.0, 1000)

    for wrong, share in ((losses[:100], 0.1), (losses, 0.0), (losses, 1.5), (np.full(1000, np.inf), 0.1)):
        with pytest.raises(ForecastError, match="are no tail"):
            fit_tail(wrong, share)
    with pytest.raises(ForecastError, match="all the same"):
        fit_tail(np.minimum(losses, 0.5))
    with pytest.raises(ForecastError, match="knows no quantile"):
        fit_tail(losses).var(0.5)
    with pytest.raises(ForecastError, match="has no mean"):
        Tail(1.0, 1.1, 1.0, 0.1).expected_shortfall(0.99)
