"""VaR, CVaR and their components: definitions, published values, and errors against repeated draws."""

import numpy as np
import pytest
from scipy.stats import norm

from keeper.risk.errors import RiskError
from keeper.risk.tail import components, tail_risk, tail_weights


def test_of_a_hundred_scenarios_the_90_percent_tail_is_the_worst_ten():
    pnl = -np.arange(1.0, 101.0)

    risk = tail_risk(np.random.default_rng(1).permutation(pnl), 0.9)

    assert risk.var == 90.0  # the smallest loss that 90 of 100 do not exceed
    assert risk.cvar == pytest.approx(95.5)


def test_the_scenario_on_the_edge_counts_in_part():
    # Rockafellar and Uryasev (2002), proposition 8: with 10 scenarios the worst 1.5 make the 85 % tail.
    pnl = -np.arange(1.0, 11.0)

    risk = tail_risk(pnl, 0.85)

    assert risk.var == 9.0
    assert risk.cvar == pytest.approx((10.0 + 0.5 * 9.0) / 1.5)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99, 0.993])
def test_cvar_is_the_minimum_of_the_function_of_rockafellar_and_uryasev(level):
    losses = np.random.default_rng(2).standard_t(3, 1_000)

    risk = tail_risk(-losses, level)

    at = [t + np.maximum(losses - t, 0.0).mean() / (1.0 - level) for t in losses]
    assert risk.cvar == pytest.approx(min(at), rel=1e-12)


def test_the_errors_are_the_deviation_of_repeated_draws():
    rng = np.random.default_rng(3)

    drawn = [tail_risk(rng.standard_normal(5_000), 0.99) for _ in range(400)]

    for measure, error in (("var", "var_error"), ("cvar", "cvar_error")):
        deviation = np.std([getattr(risk, measure) for risk in drawn])
        assert np.mean([getattr(risk, error) for risk in drawn]) == pytest.approx(deviation, rel=0.12)


def test_normal_draws_give_the_normal_quantile_and_tail_mean_within_their_errors():
    risk = tail_risk(np.random.default_rng(4).standard_normal(200_000), 0.99)

    quantile = norm.ppf(0.99)
    assert abs(risk.var - quantile) < 3 * risk.var_error < 0.05
    assert abs(risk.cvar - norm.pdf(quantile) / 0.01) < 3 * risk.cvar_error < 0.05


def test_components_sum_to_cvar():
    pnl = np.random.default_rng(5).standard_t(3, (3_000, 32))

    parts = components(pnl, 0.99)

    assert parts.sum() == pytest.approx(tail_risk(pnl.sum(axis=1), 0.99).cvar, rel=1e-14)


def test_a_component_is_what_cvar_grows_by_with_the_position():
    pnl = np.random.default_rng(6).normal(size=(5_000, 4)) * [1.0, 2.0, 3.0, -1.0]
    grown = pnl * [1.0, 1.0 + 1e-6, 1.0, 1.0]

    growth = (tail_risk(grown.sum(axis=1), 0.95).cvar - tail_risk(pnl.sum(axis=1), 0.95).cvar) / 1e-6

    assert components(pnl, 0.95)[1] == pytest.approx(growth, rel=1e-6)


def test_a_hedge_has_a_negative_component():
    moves = np.random.default_rng(7).normal(size=2_000)

    long, hedge = components(np.stack([moves, -0.6 * moves], axis=1), 0.95)

    assert hedge == pytest.approx(-0.6 * long)


def test_weights_are_a_probability_that_no_tail_exceeds():
    weights = tail_weights(np.random.default_rng(8).normal(size=777), 0.99)

    assert weights.sum() == pytest.approx(1.0)
    assert 0.0 <= weights.min() <= weights.max() <= 1.0 / 7.77 + 1e-15


@pytest.mark.parametrize(
    ("pnl", "level", "why"),
    [
        (np.zeros(99), 0.99, "no tail"),
        (np.zeros(0), 0.5, "no tail"),
        (np.zeros(100), 1.0, "no tail"),
        (np.zeros(100), 0.0, "no tail"),
        (np.array([0.0, np.nan]), 0.5, "not a finite number"),
        (np.array([0.0, -np.inf]), 0.5, "not a finite number"),
    ],
)
def test_what_has_no_tail_is_refused(pnl, level, why):
    with pytest.raises(RiskError, match=why):
        tail_risk(pnl, level)
