"""Filtered historical scenarios: history rescaled to the present, and nothing else changed."""

import numpy as np
import pytest

from keeper.forecast import garch
from keeper.risk.errors import RiskError
from keeper.risk.scenarios import Scenarios, ewma_variances, filtered, filtered_historical, lognormal

DAY = 1.0 / 365.0


def constant(moves):
    """Variances that never change."""
    return np.ones(len(moves) + 1)


@pytest.fixture
def history():
    """Two prices and one volatility index whose variances rise and fall together."""
    rng = np.random.default_rng(1)
    calm_and_wild = np.exp(0.8 * np.sin(np.arange(2_000) / 60.0))[:, None]
    moves = calm_and_wild * rng.standard_normal((2_000, 3)) * [0.03, 0.025, 0.04]
    return Scenarios(DAY, moves[:, :2], moves[:, 2:])


def test_where_variance_never_changes_the_scenarios_are_history(history):
    scenarios = filtered_historical(history, constant)

    assert scenarios.moves == pytest.approx(history.moves)
    assert scenarios.horizon == DAY


def test_a_scenario_is_a_days_move_in_todays_deviations(history):
    scenarios = filtered_historical(history)

    # RiskMetrics by hand, for the first factor.
    variance = [float(np.square(history.log_return[:, 0]).mean())]
    for move in history.log_return[:, 0]:
        variance.append(0.94 * variance[-1] + 0.06 * move**2)
    deviation = np.sqrt(variance)
    assert scenarios.log_return[:, 0] == pytest.approx(history.log_return[:, 0] * deviation[-1] / deviation[:-1])


def test_filtering_takes_the_changes_of_variance_out(history):
    found = filtered(history)

    def persistence(series):
        return np.corrcoef(np.abs(series[:-1]), np.abs(series[1:]))[0, 1]

    assert found.residuals.std(axis=0) == pytest.approx(1.0, abs=0.05)
    for raw, residual in zip(history.moves.T, found.residuals.T, strict=True):
        assert persistence(raw) > 0.15
        assert abs(persistence(residual)) < 0.08


def test_after_a_wild_week_the_scenarios_are_wider(history):
    wild = history.with_moves(np.concatenate([history.moves[:-7], 4.0 * history.moves[-7:]]))

    assert filtered_historical(wild).moves.std() > 1.5 * filtered_historical(history).moves.std()


def test_garch_may_say_what_is_expected_of_a_day(history):
    scenarios = filtered_historical(history, lambda moves: garch.fit(moves).variances(moves))

    fitted = garch.fit(history.log_return[:, 0])
    deviation = np.sqrt(fitted.variances(history.log_return[:, 0]))
    assert scenarios.log_return[:, 0] == pytest.approx(history.log_return[:, 0] * deviation[-1] / deviation[:-1])


def test_moves_of_one_day_stay_together(history):
    tied = Scenarios(DAY, history.log_return, 0.5 * history.log_return[:, :1])

    scenarios = filtered_historical(tied)

    assert scenarios.log_vol == pytest.approx(0.5 * scenarios.log_return[:, :1])


def test_what_is_expected_of_a_day_does_not_know_that_day(history):
    moves = history.log_return[:, 0].copy()
    expected = ewma_variances(moves)
    moves[1_500] *= -1.0  # same square, so that the start stays

    assert ewma_variances(moves) == pytest.approx(expected)
    assert ewma_variances(np.append(moves[:1_500], 0.0))[1_500] == pytest.approx(expected[1_500], rel=1e-6)


@pytest.mark.parametrize(
    ("returns", "vols"),
    [
        (np.zeros((3, 2)), np.zeros((4, 2))),
        (np.zeros((3, 2)), np.zeros((3, 3))),
        (np.zeros(3), np.zeros((3, 1))),
        (np.full((3, 2), np.nan), np.zeros((3, 1))),
        (np.zeros((3, 2)), np.full((3, 1), np.inf)),
    ],
)
def test_what_are_no_scenarios_is_refused(returns, vols):
    with pytest.raises(RiskError, match="no scenarios"):
        Scenarios(DAY, returns, vols)


def test_a_short_history_and_one_that_stands_still_are_refused(history):
    for past in (history.with_moves(history.moves[:99]), history.with_moves(history.moves * [1.0, 0.0, 1.0])):
        with pytest.raises(RiskError, match="no history"):
            filtered_historical(past)


def test_without_a_past_prices_are_lognormal_with_the_given_volatilities_and_correlation():
    vols = np.array([0.6, 0.5])

    scenarios = lognormal(vols, 0.8, DAY)

    moves = scenarios.log_return
    assert moves.mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-15)
    assert moves.std(axis=0) == pytest.approx(vols * np.sqrt(DAY), rel=0.001)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.8, abs=0.001)
    tails = np.quantile(moves / (vols * np.sqrt(DAY)), [0.01, 0.05, 0.95, 0.99], axis=0)
    assert tails == pytest.approx(np.array([[-2.326] * 2, [-1.645] * 2, [1.645] * 2, [2.326] * 2]), abs=0.05)
    assert not scenarios.log_vol.any()


def test_lognormal_scenarios_are_the_same_each_time():
    once, again = (lognormal(np.array([0.6]), 0.8, DAY) for _ in range(2))

    assert np.array_equal(once.moves, again.moves)
    assert once.log_return.shape == (2_000, 1)
