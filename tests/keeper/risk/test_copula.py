"""The Student-t copula: parameters come back, marginals stay history's, and extremes come together."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from keeper.forecast.errors import ForecastError
from keeper.risk.copula import Dependence, fit_dependence, student_t_copula
from keeper.risk.errors import RiskError
from keeper.risk.scenarios import Scenarios

DAY = 1.0 / 365.0
CORRELATION = np.array([[1.0, 0.8, -0.3], [0.8, 1.0, -0.2], [-0.3, -0.2, 1.0]])


def student(freedom, size, seed):
    """Multivariate Student-t draws."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((size, 3)) @ np.linalg.cholesky(CORRELATION).T
    return normal * np.sqrt(freedom / rng.chisquare(freedom, (size, 1)))


def constant(moves):
    return np.ones(len(moves) + 1)


@pytest.fixture(scope="module")
def history():
    """Skewed, fat-tailed factors with a copula of four degrees."""
    moves = 0.02 * student(4.0, 3_000, 1) + 0.1 * np.expm1(0.2 * student(4.0, 3_000, 1).clip(-6, 6))
    return Scenarios(DAY, moves[:, :2], moves[:, 2:])


@pytest.mark.parametrize("freedom", [3.0, 6.0, 12.0])
def test_the_dependence_is_found_whatever_the_marginals(freedom):
    draws = student(freedom, 6_000, 2)

    found = fit_dependence(np.stack([np.sinh(draws[:, 0]), np.exp(draws[:, 1] / 4), draws[:, 2]], axis=1))

    assert found.correlation == pytest.approx(CORRELATION, abs=0.04)
    assert found.freedom == pytest.approx(freedom, rel=0.2)


def test_every_factor_keeps_its_own_distribution(history):
    drawn = student_t_copula(history, 40_000, np.random.default_rng(3), variances=constant)

    for ours, theirs in zip(drawn.moves.T, history.moves.T, strict=True):
        for q in (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98):
            below = (ours <= np.quantile(theirs, q)).mean()
            assert below == pytest.approx(q, abs=0.006)


def test_factors_are_tied_as_history_ties_them(history):
    drawn = student_t_copula(history, 20_000, np.random.default_rng(4), variances=constant).moves

    for i, j in ((0, 1), (0, 2), (1, 2)):
        ours, theirs = (kendalltau(m[:, i], m[:, j]).statistic for m in (drawn, history.moves))
        assert ours == pytest.approx(theirs, abs=0.02)
    worst = [(m <= np.quantile(m, 0.01, axis=0))[:, :2] for m in (drawn, history.moves)]
    together = [both.all(axis=1).sum() / both[:, 0].sum() for both in worst]
    assert together[0] == pytest.approx(together[1], abs=0.15)
    assert together[0] > 0.4  # a normal copula of this correlation has a quarter


def test_a_draw_may_be_worse_than_all_that_was_recorded(history):
    drawn = student_t_copula(history, 20_000, np.random.default_rng(5), variances=constant)

    assert (drawn.moves.min(axis=0) < history.moves.min(axis=0)).all()
    assert (drawn.moves.max(axis=0) > history.moves.max(axis=0)).all()


def test_the_generator_decides_the_draws_and_nothing_else_does(history):
    one, same, other = (student_t_copula(history, 500, np.random.default_rng(seed)).moves for seed in (6, 6, 7))

    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_pairs_that_do_not_go_together_are_made_a_correlation():
    rng = np.random.default_rng(8)
    one = rng.standard_normal(500)
    residuals = np.stack([one, one + 1e-9 * rng.standard_normal(500), -one], axis=1)

    found = fit_dependence(residuals)

    assert np.linalg.eigvalsh(found.correlation)[0] > 0.0
    assert np.diag(found.correlation) == pytest.approx(1.0)


def test_a_dependence_of_other_factors_is_refused(history):
    with pytest.raises(RiskError, match="2 factors does not fit a history of 3"):
        student_t_copula(history, 10, np.random.default_rng(9), dependence=Dependence(np.eye(2), 4.0))


def test_a_history_without_enough_of_a_tail_is_refused(history):
    with pytest.raises(ForecastError):
        student_t_copula(history.with_moves(history.moves[:150]), 10, np.random.default_rng(10))
