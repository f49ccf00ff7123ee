"""GJR-GARCH-t: Hull's example, the arch package's own recursion, and a process of known parameters."""

import numpy as np
import pytest
from arch.univariate import GARCH, StudentsT, ZeroMean

from keeper.forecast.errors import ForecastError
from keeper.forecast.garch import Garch, fit

TRUE = Garch(omega=2e-5, alpha=0.05, gamma=0.10, beta=0.85, freedom=5.0, start=4e-4)


def simulated(model: Garch, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(model.freedom, count) * np.sqrt((model.freedom - 2.0) / model.freedom)
    h, returns = model.start, []
    for shock in shocks:
        r = np.sqrt(h) * shock
        returns.append(r)
        h = model.omega + (model.alpha + model.gamma * (r < 0)) * r * r + model.beta * h
    return np.array(returns)


def test_hulls_garch() -> None:
    """Hull, "Options, Futures, and Other Derivatives", 10th ed., example 23.2: ω = .000002, α = .13, β = .86; 1.6 % a
    day, then a return of 1 %: .00023516, or 1.53 %; its long-run variance is .0002."""
    hull = Garch(0.000002, 0.13, 0.0, 0.86, 8.0, start=0.016**2)

    following = hull.variances([0.01])[-1]

    assert following == pytest.approx(0.00023516)
    assert hull.mean_ahead(following, 100_000) == pytest.approx(0.0002, rel=1e-3)


def test_the_variances_and_forecasts_are_those_of_the_arch_package() -> None:
    returns = simulated(TRUE, 1500, seed=1)
    model = ZeroMean(100.0 * returns, volatility=GARCH(p=1, o=1, q=1), distribution=StudentsT())
    theirs = model.fit(disp="off")

    ours = fit(returns)

    variances = ours.variances(returns)
    np.testing.assert_allclose(variances[:-1], np.square(theirs.conditional_volatility) / 1e4, rtol=1e-9)
    ahead = theirs.forecast(horizon=30, reindex=False).variance.to_numpy()[0] / 1e4
    assert variances[-1] == pytest.approx(ahead[0], rel=1e-9)
    assert ours.mean_ahead(variances[-1], 30) == pytest.approx(ahead.mean(), rel=1e-9)


def test_the_parameters_of_a_long_path_are_found() -> None:
    found = fit(simulated(TRUE, 20_000, seed=2))

    assert found.persistence == pytest.approx(TRUE.persistence, abs=0.02)
    assert found.gamma == pytest.approx(TRUE.gamma, abs=0.03)
    assert found.freedom == pytest.approx(TRUE.freedom, abs=0.6)


def test_a_fall_raises_the_variance_more_than_a_rise() -> None:
    assert TRUE.variances([-0.05])[-1] - TRUE.variances([0.05])[-1] == pytest.approx(0.10 * 0.05**2)


@pytest.mark.parametrize("returns", [np.full(100, 0.01), np.full(300, np.nan)])
def test_too_little_or_holes_are_refused(returns) -> None:
    with pytest.raises(ForecastError, match="GARCH needs 250 returns without holes"):
        fit(returns)
