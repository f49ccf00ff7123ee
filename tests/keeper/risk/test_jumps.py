"""Joint Bates scenarios: option prices of the closed form, what is common and what is not, and the fit by moments."""

from dataclasses import replace

import numpy as np
import pytest

from keeper.pricing.bates import Bates, bates_price
from keeper.risk.errors import RiskError
from keeper.risk.jumps import JointBates, bates, fit_bates
from keeper.risk.scenarios import Scenarios

DAY = 1.0 / 365.0
ETH = Bates(0.4, 5.0, 0.35, 1.2, -0.3, 12.0, -0.02, 0.09)
BTC = Bates(0.2, 5.0, 0.18, 0.9, -0.1, 12.0, -0.01, 0.06)
JOINT = JointBates((ETH, BTC), np.array([[1.0, 0.8], [0.8, 1.0]]), np.array([[1.0, 0.9], [0.9, 1.0]]))


@pytest.mark.parametrize("underlying", [0, 1])
def test_options_on_the_scenarios_cost_what_the_model_says(underlying):
    years = 0.1
    drawn = bates(JOINT, years, 60_000, np.random.default_rng(1), steps=60)

    price = np.exp(drawn.log_return[:, underlying])
    strikes = np.array([0.7, 0.9, 1.0, 1.1, 1.3])
    payoffs = np.maximum(price[:, None] - strikes, 0.0)
    error = payoffs.std(axis=0) / np.sqrt(len(price))
    exact = bates_price(JOINT.models[underlying], 1.0, strikes, years, True)
    assert (np.abs(payoffs.mean(axis=0) - exact) < 3.5 * error).all()
    assert price.mean() == pytest.approx(1.0, abs=0.004)  # a martingale


def test_the_30_day_volatility_follows_the_variance():
    drawn = bates(JOINT, DAY, 20_000, np.random.default_rng(2))

    # ∂ln σ₃₀/∂v · ξ√v · ρ√dt against the return's √(v·dt): the regression slope of the diffusion.
    together = np.cov(drawn.log_return[:, 0], drawn.log_vol[:, 0])
    assert np.corrcoef(drawn.log_return[:, 0], drawn.log_vol[:, 0])[0, 1] == pytest.approx(-0.3 * 0.75, abs=0.05)
    assert together[1, 1] > 0.0
    assert abs(drawn.log_vol.mean()) < 0.01


def test_without_volatility_of_variance_at_its_mean_volatility_stands_still():
    still = replace(ETH, variance=0.35, vol_of_variance=0.0)

    drawn = bates(JointBates((still,), np.eye(1), np.eye(1)), DAY, 100, np.random.default_rng(3))

    assert drawn.log_vol == pytest.approx(0.0, abs=1e-12)


def test_underlyings_jump_together():
    calm = [replace(m, variance=1e-6, long_variance=1e-6, vol_of_variance=1e-3) for m in (ETH, BTC)]

    drawn = bates(replace(JOINT, models=tuple(calm)), 1.0 / 12.0, 20_000, np.random.default_rng(4))

    jumped = np.abs(drawn.log_return - np.median(drawn.log_return, axis=0)) > 0.005
    assert (jumped[:, 0] == jumped[:, 1]).mean() > 0.9
    assert jumped.any(axis=1).mean() == pytest.approx(1.0 - np.exp(-1.0), abs=0.03)  # one a month is expected


def test_a_jump_may_move_volatility_too():
    calm = tuple(replace(m, vol_of_variance=0.0, variance=m.long_variance) for m in JOINT.models)
    model = replace(JOINT, models=calm, vol_jump_mean=0.2, vol_jump_deviation=0.05)

    drawn = bates(model, 0.1, 20_000, np.random.default_rng(9))

    jumps = 12.0 * 0.1  # expected; a compound Poisson sum has mean λμ and variance λ(μ² + δ²)
    assert drawn.log_vol[:, 0].mean() == pytest.approx(jumps * 0.2, rel=0.03)
    assert drawn.log_vol[:, 0].var() == pytest.approx(jumps * (0.2**2 + 0.05**2), rel=0.05)
    assert np.array_equal(drawn.log_vol[:, 0], drawn.log_vol[:, 1])


def test_the_fit_finds_what_jumps_do_to_volatility():
    jumping = tuple(replace(m, jump_mean=-0.2, jump_deviation=0.02, variance=m.long_variance) for m in JOINT.models)
    history = bates(
        replace(JOINT, models=jumping, vol_jump_mean=0.15, vol_jump_deviation=0.05),
        DAY,
        8_000,
        np.random.default_rng(10),
    )

    found = fit_bates(history)

    assert found.vol_jump_mean == pytest.approx(0.15, abs=0.03)
    assert found.vol_jump_deviation == pytest.approx(0.05, abs=0.03)


def test_the_fit_finds_a_models_moments():
    model = replace(
        JOINT,
        models=tuple(
            replace(m, jump_mean=mean, jump_deviation=0.02)
            for m, mean in ((replace(ETH, variance=0.35), -0.2), (replace(BTC, variance=0.18), -0.15))
        ),
    )
    history = bates(model, DAY, 8_000, np.random.default_rng(5))

    found = fit_bates(history)

    for ours, theirs in zip(found.models, model.models, strict=True):
        assert ours.jumps_per_year == pytest.approx(12.0, rel=0.25)
        assert ours.jump_mean == pytest.approx(theirs.jump_mean, abs=0.03)
        assert ours.long_variance == pytest.approx(theirs.long_variance, rel=0.1)
        assert ours.correlation == pytest.approx(theirs.correlation, abs=0.05)
    assert found.correlation[0, 1] == pytest.approx(0.8, abs=0.03)


def test_a_fitted_model_moves_prices_and_volatility_as_much_as_history_did():
    history = bates(JOINT, DAY, 4_000, np.random.default_rng(6))
    history = Scenarios(DAY, history.log_return, history.log_vol[:, :1])

    again = bates(fit_bates(history), DAY, 40_000, np.random.default_rng(7))

    assert again.log_return.std(axis=0) == pytest.approx(history.log_return.std(axis=0), rel=0.15)
    assert again.log_vol[:, 0].std() == pytest.approx(history.log_vol[:, 0].std(), rel=0.25)


def test_a_history_without_jumps_gives_a_model_without():
    rng = np.random.default_rng(8)
    moves = np.clip(rng.standard_normal((400, 3)), -2.0, 2.0) * 0.02

    found = fit_bates(Scenarios(DAY, moves[:, :2], moves[:, 2:]))

    assert [m.jumps_per_year for m in found.models] == [0.0, 0.0]
    assert np.isfinite(bates(found, DAY, 100, rng).moves).all()


def test_what_is_no_joint_model_is_refused():
    with pytest.raises(RiskError, match="no correlation"):
        JointBates((ETH, BTC), np.array([[1.0, 1.2], [1.2, 1.0]]), np.eye(2))
    with pytest.raises(RiskError, match="no correlation"):
        JointBates((ETH, BTC), np.eye(3), np.eye(2))
    with pytest.raises(RiskError, match="different rates"):
        JointBates((ETH, replace(BTC, jumps_per_year=3.0)), np.eye(2), np.eye(2))
