"""Kupiec's and Christoffersen's tests: published examples, and the size of the tests on models that are right."""

import numpy as np
import pytest

from keeper.risk.backtest import backtest, christoffersen, conditional_coverage, kupiec
from keeper.risk.errors import RiskError


def test_jorions_bank_of_20_exceptions_in_252_days():
    # P. Jorion, Value at Risk, 3rd edition (2007), section 6.3: 95 % VaR, 6 of the 20 came after another.
    coverage = kupiec(20, 252, 0.95)
    independence = christoffersen((232, 14), (20, 6))

    assert coverage.statistic == pytest.approx(3.91, abs=0.005)
    assert independence.statistic == pytest.approx(9.53, abs=0.005)
    assert conditional_coverage(coverage, independence).statistic == pytest.approx(13.44, abs=0.005)


def test_jorions_bank_of_6_exceptions_in_252_days():
    # The same, chapter 6, question 10: 99 % VaR, 4 of the 6 came after another.
    coverage, independence = kupiec(6, 252, 0.99), christoffersen((246, 2), (6, 4))

    assert coverage.statistic == pytest.approx(3.498, abs=0.001)
    assert coverage.p_value > 0.05
    assert independence.statistic == pytest.approx(25.837, abs=0.001)
    assert independence.p_value < 0.001


@pytest.mark.parametrize(
    ("level", "days", "fewest", "most"),
    [  # Kupiec (1995), as in Jorion's table 6.2: exceptions that are not rejected at 5 %
        (0.99, 252, 1, 6),  # Jorion prints no lower end here: no exception at all has 5.07
        (0.99, 510, 2, 10),
        (0.99, 1000, 5, 16),
        (0.95, 252, 7, 19),
        (0.95, 510, 17, 35),
        (0.95, 1000, 38, 64),
    ],
)
def test_kupiecs_regions_of_no_rejection(level, days, fewest, most):
    kept = [x for x in range(days // 5) if kupiec(x, days, level).p_value >= 0.05]

    assert (kept[0], kept[-1]) == (fewest, most)


def test_a_right_model_passes_about_as_often_as_it_should():
    rng = np.random.default_rng(1)
    var = np.full(1_000, 1.6448536269514722)

    passed = [backtest(rng.standard_normal(1_000), var, 0.95).coverage.p_value >= 0.05 for _ in range(400)]

    assert np.mean(passed) == pytest.approx(0.95, abs=0.035)


def test_exceptions_that_come_in_a_row_fail_independence_alone():
    pnl = np.where(np.arange(1_000) % 200 < 10, -2.0, 0.0)  # five runs of ten: 5 % as it should be

    found = backtest(pnl, np.ones(1_000), 0.95)

    assert (found.days, found.exceptions, found.clustered) == (1_000, 50, 45)
    assert found.coverage.p_value > 0.99
    assert found.independence.p_value < 1e-6
    assert not found.passes()


def test_no_exceptions_at_all_are_too_few_but_not_clustered():
    found = backtest(np.zeros(1_000), np.ones(1_000), 0.99)

    assert found.coverage.p_value < 1e-4
    assert found.independence.p_value == 1.0
    assert not found.passes()


def test_a_loss_of_exactly_the_value_at_risk_is_no_exception():
    assert backtest(np.full(10, -1.0), np.ones(10), 0.9).exceptions == 0


@pytest.mark.parametrize(
    ("pnl", "var", "level"),
    [
        (np.zeros(5), np.zeros(4), 0.99),
        (np.zeros(1), np.zeros(1), 0.99),
        (np.array([0.0, np.nan]), np.zeros(2), 0.99),
        (np.zeros(5), np.zeros(5), 1.0),
    ],
)
def test_what_cannot_be_tested_is_refused(pnl, var, level):
    with pytest.raises(RiskError):
        backtest(pnl, var, level)
