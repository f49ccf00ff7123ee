"""Sharpe, Sortino and drawdown: worked by hand, and Lo's error against repeated draws."""

import numpy as np
import pytest

from keeper.risk.errors import RiskError
from keeper.risk.performance import max_drawdown, risk_adjusted


def test_ratios_by_hand():
    returns = np.array([0.02, -0.01, 0.03, 0.00])

    found = risk_adjusted(returns, 4.0)

    assert found.sharpe == pytest.approx(0.01 / np.sqrt(0.001 / 3.0) * 2.0)  # squares around the mean: 0.001
    assert found.sortino == pytest.approx(0.01 / np.sqrt(0.0001 / 4.0) * 2.0)  # one shortfall, of 0.01


def test_sortino_measures_from_its_target():
    found = risk_adjusted(np.array([0.02, 0.00]), 1.0, target=0.01)

    assert found.sortino == pytest.approx(0.0)
    assert risk_adjusted(np.array([0.02, 0.01]), 1.0).sortino == np.inf


def test_the_error_of_sharpe_is_the_deviation_of_repeated_draws():
    rng = np.random.default_rng(1)

    found = [risk_adjusted(0.1 + rng.standard_normal(365), 365.0) for _ in range(800)]

    assert np.std([one.sharpe for one in found]) == pytest.approx(found[0].sharpe_error, rel=0.1)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01], [0.01, np.nan]])
def test_what_has_no_risk_is_refused(returns):
    with pytest.raises(RiskError):
        risk_adjusted(np.array(returns), 365.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 2.0, 3.0), 0.0),
        ((3.0, 2.0, 1.0), 2.0),
        ((5.0, 3.0, 9.0, 6.5, 8.0), 2.5),
        ((float("nan"), 4.0, 1.0), 3.0),
        ((), 0.0),
    ],
)
def test_drawdown_is_the_deepest_fall_from_an_earlier_peak(values, expected):
    assert max_drawdown(values) == expected
