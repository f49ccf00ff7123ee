"""Exponentially weighted means and covariances against textbook values; shrinkage against the published formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keeper.forecast.covariance import correlation, ewma_covariance, shrunk_covariance
from keeper.forecast.errors import ForecastError
from keeper.forecast.ewma import ewma

returns_of_two = st.integers(2, 40).flatmap(lambda n: arrays(np.float64, (n, 2), elements=st.floats(-0.5, 0.5)))


def test_hulls_volatility() -> None:
    """Hull, "Options, Futures, and Other Derivatives", 10th ed., example 23.1: λ = .9, 1 % a day, then a return of 2 %:
    a variance of .00013, 1.14 % a day."""
    after = ewma([0.02**2], 0.90, 0.01**2)[-1]

    assert after == pytest.approx(0.00013)
    assert np.sqrt(after) == pytest.approx(0.0114, abs=5e-5)


def test_hulls_covariance() -> None:
    """Hull, 23.7: λ = .95, correlation .6, 1 % and 2 % a day, then returns of .5 % and 2.5 %: .981 %, 2.028 % and
    .6044."""
    x, y = 0.005, 0.025
    variance_x, variance_y, covariance = (
        ewma([product], 0.95, before)[-1]
        for product, before in ((x * x, 0.01**2), (y * y, 0.02**2), (x * y, 0.6 * 0.01 * 0.02))
    )

    assert np.sqrt(variance_x) == pytest.approx(0.00981, abs=5e-6)
    assert np.sqrt(variance_y) == pytest.approx(0.02028, abs=5e-6)
    assert covariance == pytest.approx(0.00012025)
    assert correlation([[variance_x, covariance], [covariance, variance_y]])[0, 1] == pytest.approx(0.6044, abs=5e-5)


def test_weights_may_differ_by_value() -> None:
    assert ewma([1.0, 5.0], [0.5, 0.9], 3.0).tolist() == pytest.approx([3.0, 2.0, 2.3])


def test_ewma_covariance_is_the_closed_sum() -> None:
    r = np.array([[0.01, 0.02], [-0.03, -0.01], [0.02, 0.05]])
    products = np.einsum("ti,tj->tij", r, r)
    expected = 0.94**3 * products.mean(axis=0) + 0.06 * sum(0.94 ** (2 - t) * products[t] for t in range(3))

    np.testing.assert_allclose(ewma_covariance(r), 365 * expected, rtol=1e-14)


def test_ledoit_wolf_as_scikit_learn_1_9_has_it() -> None:
    r = [[1.0, 2.5], [2.0, 3.0], [-3.0, -4.5], [0.5, -1.5], [-1.0, -2.0], [0.5, 2.5]]

    found = shrunk_covariance(r)

    assert found.intensity == pytest.approx(0.30457733747921045, rel=1e-13)
    expected = [[3.408230289006195, 2.839642538626557], [2.839642538626557, 7.175103044327138]]
    np.testing.assert_allclose(found.covariance / 365, expected, rtol=1e-13)


def test_shrinkage_nears_the_truth_when_days_are_few_and_vanishes_when_they_are_many() -> None:
    """Ledoit and Wolf (2004), theorems 2.1 and 3.2, for 20 assets."""
    truth = np.diag(np.linspace(0.5, 1.5, 20))
    rng = np.random.default_rng(1)

    few, many = (rng.standard_normal((n, 20)) @ np.sqrt(truth) for n in (25, 20_000))

    sample, shrunk = np.cov(few.T, bias=True), shrunk_covariance(few)
    assert np.linalg.norm(shrunk.covariance / 365 - truth) < 0.5 * np.linalg.norm(sample - truth)
    assert shrunk.intensity > 0.5
    assert shrunk_covariance(many).intensity < 0.05


@given(returns_of_two)
def test_a_covariance_is_symmetric_and_never_negative(returns) -> None:
    for found in (ewma_covariance(returns), shrunk_covariance(returns).covariance):
        assert np.array_equal(found, found.T)
        assert np.linalg.eigvalsh(found).min() >= -1e-12 * max(1.0, np.trace(found))


@given(returns_of_two, st.floats(0.1, 10.0))
def test_a_covariance_does_not_know_the_order_of_assets_and_scales_with_the_square(returns, scale) -> None:
    for estimate in (ewma_covariance, lambda r: shrunk_covariance(r).covariance):
        once = estimate(returns)
        np.testing.assert_allclose(estimate(returns[:, ::-1]), once[::-1, ::-1], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(estimate(scale * returns), scale**2 * once, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("wrong", [[[0.1, 0.2]], [0.1, 0.2], [[0.1, np.nan], [0.1, 0.2]]])
def test_what_has_no_covariance_is_refused(wrong) -> None:
    for estimate in (ewma_covariance, shrunk_covariance):
        with pytest.raises(ForecastError, match="have no covariance"):
            estimate(wrong)
