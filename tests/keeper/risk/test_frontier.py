"""Least CVaR for a carry: Rockafellar and Uryasev's portfolio, and properties of the frontier."""

import numpy as np
import pytest
from scipy.stats import norm, qmc

from keeper.risk.errors import RiskError
from keeper.risk.frontier import efficient_frontier, least_cvar
from keeper.risk.tail import tail_risk

# Rockafellar and Uryasev (2000): tables 1 and 2, mean monthly returns and covariances of the S&P 500, a portfolio of
# long-term U.S. government bonds, and small caps; table 3, the portfolio of least variance with a return of R = .011.
MEAN = np.array([0.0101110, 0.0043532, 0.0137058])
COVARIANCE = np.array(
    [
        [0.00324625, 0.00022983, 0.00420395],
        [0.00022983, 0.00049937, 0.00019247],
        [0.00420395, 0.00019247, 0.00764097],
    ]
)
RETURN = 0.011
PORTFOLIO = np.array([0.452013, 0.115573, 0.432414])
# Table 4: VaR and CVaR of it. With normal returns it is the one of least CVaR too (their proposition 4.1).
TABLE_4 = {0.90: (0.067847, 0.096975), 0.95: (0.090200, 0.115908), 0.99: (0.132128, 0.152977)}


@pytest.fixture(scope="module")
def returns():
    """Quasi-random normal returns, as in their section 5, (32,768, 3), with exactly these means and covariances."""
    normal = norm.ppf(qmc.Sobol(3, seed=1).random_base2(15))
    normal -= normal.mean(axis=0)
    white = normal @ np.linalg.inv(np.linalg.cholesky(np.cov(normal.T, bias=True))).T
    return MEAN + white @ np.linalg.cholesky(COVARIANCE).T


def test_their_portfolio_has_the_least_variance_of_that_return():
    # The conditions of Lagrange: Σx is a combination of the means and of ones.
    rows = np.stack([MEAN, np.ones(3)])
    system = np.block([[COVARIANCE, rows.T], [rows, np.zeros((2, 2))]])
    x = np.linalg.solve(system, [0.0, 0.0, 0.0, RETURN, 1.0])[:3]

    assert x == pytest.approx(PORTFOLIO, abs=2e-6)
    assert x @ COVARIANCE @ x == pytest.approx(0.00378529, abs=5e-9)


@pytest.mark.parametrize("level", TABLE_4)
def test_its_value_at_risk_and_cvar_are_their_table_4(returns, level):
    var, cvar = TABLE_4[level]
    deviation = np.sqrt(PORTFOLIO @ COVARIANCE @ PORTFOLIO)
    quantile = norm.ppf(level)

    found = tail_risk(returns @ PORTFOLIO, level)

    assert quantile * deviation - RETURN == pytest.approx(var, abs=1e-6)  # closed forms
    assert norm.pdf(quantile) / (1 - level) * deviation - RETURN == pytest.approx(cvar, abs=1e-6)
    assert found.var == pytest.approx(var, rel=4e-3)
    assert found.cvar == pytest.approx(cvar, rel=1e-3)


@pytest.mark.parametrize("level", TABLE_4)
def test_the_program_finds_their_portfolio(returns, level):
    found = least_cvar(returns, MEAN, RETURN, level, 0.0, 1.0, total=1.0)

    # As close as the sample's own tail is to the normal one: CVaR is flat around its minimum.
    assert found.x == pytest.approx(PORTFOLIO, abs=0.02)
    assert found.x.sum() == pytest.approx(1.0)
    assert found.carry == pytest.approx(RETURN)
    assert found.cvar == pytest.approx(TABLE_4[level][1], rel=0.001)
    assert found.cvar <= tail_risk(returns @ PORTFOLIO, level).cvar + 1e-6


@pytest.fixture
def market():
    rng = np.random.default_rng(3)
    return rng.standard_t(4, (1_000, 6)) @ rng.normal(size=(6, 6)), np.array([0.1, 0.2, 0.0, 0.3, 0.1, 0.05])


def test_along_the_frontier_carry_and_cvar_rise(market):
    pnl, carry = market

    frontier = efficient_frontier(pnl, carry, 0.95, -1.0, 1.0, points=6)

    assert [point.carry for point in frontier] == pytest.approx(np.linspace(0.0, 0.75, 6), abs=1e-5)
    cvars = [point.cvar for point in frontier]
    assert cvars[0] == pytest.approx(0.0, abs=1e-9)  # no carry: nothing at risk
    assert (np.diff(cvars, 2) > -1e-6).all(), "the frontier is convex"
    assert (np.diff(cvars) > 0.0).all()


def test_no_other_sizes_of_that_carry_have_less_cvar(market):
    pnl, carry = market
    best = least_cvar(pnl, carry, 0.4, 0.95, -1.0, 1.0)
    rng = np.random.default_rng(4)

    for _ in range(300):
        other = np.clip(best.x + rng.normal(size=6) * 10.0 ** rng.uniform(-4, 0), -1.0, 1.0)
        if carry @ other >= 0.4:
            assert tail_risk(pnl @ other, 0.95).cvar >= best.cvar - 1e-9


def test_the_unit_of_money_does_not_matter(market):
    pnl, carry = market

    dollars = least_cvar(pnl, carry, 0.4, 0.95, -1.0, 1.0)
    millions = least_cvar(pnl * 1e-6, carry * 1e-6, 0.4e-6, 0.95, -1.0, 1.0)

    assert millions.x == pytest.approx(dollars.x, abs=1e-7)
    assert millions.cvar == pytest.approx(dollars.cvar * 1e-6)


def test_a_carry_that_the_bounds_do_not_allow_is_refused(market):
    with pytest.raises(RiskError, match="Ask for less carry"):
        least_cvar(*market, 0.8, 0.95, -1.0, 1.0)
