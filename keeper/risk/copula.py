"""Scenarios from a Student-t copula: history's filtered residuals factor by factor, tied by a dependence with tails.

The correlation comes from Kendall's τ, ρ = sin(πτ/2), and the degrees of freedom from the likelihood of the ranks given
that correlation (McNeil, Frey and Embrechts 2005, section 5.5). Each factor keeps its own distribution: its recorded
residuals inside, generalised Pareto tails beyond a tenth on either side (McNeil and Frey 2000), so that a draw may be
worse than all that was recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, stdtr, stdtrit
from scipy.stats import kendalltau, rankdata

from keeper.domain.valuation import FloatArray
from keeper.forecast.tails import Tail, fit_tail
from keeper.risk.errors import RiskError
from keeper.risk.scenarios import Scenarios, Variances, ewma_variances, filtered

_TAIL = 0.1
_LEAST_EIGENVALUE = 1e-6
_FREEDOM = (2.1, 60.0)


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """Of K factors: correlation (K, K) and degrees of freedom; the fewer, the more extremes come together."""

    correlation: FloatArray
    freedom: float


@dataclass(frozen=True, slots=True, eq=False)
class _Marginal:
    """One factor's residuals: sorted, and what is beyond them."""

    inside: FloatArray
    below: Tail
    above: Tail

    def quantile(self, u: FloatArray) -> FloatArray:
        n = len(self.inside)
        found = np.interp(u, (np.arange(n) + 0.5) / n, self.inside)
        low, high = u < self.below.share, u > 1.0 - self.above.share
        found[low] = [-self.below.var(1.0 - p) for p in u[low].tolist()]
        found[high] = [self.above.var(p) for p in u[high].tolist()]
        return found


def fit_dependence(residuals: FloatArray) -> Dependence:
    """Of residuals (n, K), whatever their distributions."""
    n, factors = residuals.shape
    correlation = np.eye(factors)
    for i in range(factors):
        for j in range(i):
            tau = kendalltau(residuals[:, i], residuals[:, j]).statistic
            correlation[i, j] = correlation[j, i] = np.sin(0.5 * np.pi * tau)
    values, vectors = np.linalg.eigh(correlation)  # pairs that were measured one by one may not go together
    correlation = (vectors * np.maximum(values, _LEAST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(correlation))
    correlation /= np.outer(scale, scale)
    ranks = rankdata(residuals, axis=0) / (n + 1)
    inverse = np.linalg.inv(correlation)
    log_det = np.linalg.slogdet(correlation)[1]

    def loss(freedom: float) -> float:
        x = stdtrit(freedom, ranks)
        joint = 0.5 * (freedom + factors) * np.log1p(np.einsum("ni,ij,nj->n", x, inverse, x) / freedom)
        alone = 0.5 * (freedom + 1.0) * np.log1p(np.square(x) / freedom).sum(axis=1)
        whole = gammaln(0.5 * (freedom + factors)) + (factors - 1) * gammaln(0.5 * freedom)
        return float((joint - alone).mean() - whole + factors * gammaln(0.5 * (freedom + 1.0)) + 0.5 * log_det)

    freedom = float(minimize_scalar(loss, bounds=_FREEDOM, method="bounded", options={"xatol": 0.01}).x)
    return Dependence(correlation, freedom)


def student_t_copula(
    history: Scenarios,
    size: int,
    rng: np.random.Generator,
    *,
    variances: Variances = ewma_variances,
    dependence: Dependence | None = None,
) -> Scenarios:
    """``size`` scenarios of the horizon of ``history``.

    Args:
        dependence: Fitted before; by default it is fitted to ``history``.

    Raises:
        RiskError: see `filtered`, or a dependence of other factors.
        ForecastError: too few moves for tails.
    """
    found = filtered(history, variances)
    tied = fit_dependence(found.residuals) if dependence is None else dependence
    factors = found.residuals.shape[1]
    if tied.correlation.shape != (factors, factors):
        raise RiskError(
            f"A dependence of {len(tied.correlation)} factors does not fit a history of {factors}.",
            kept="No scenarios were made.",
            todo="Fit the dependence to the same history.",
        )
    normal = rng.standard_normal((size, factors)) @ np.linalg.cholesky(tied.correlation).T
    student = normal * np.sqrt(tied.freedom / rng.chisquare(tied.freedom, (size, 1)))
    u = stdtr(tied.freedom, student)
    draws = np.stack([_marginal(r).quantile(p) for r, p in zip(found.residuals.T, u.T, strict=True)], axis=1)
    return history.with_moves(draws * found.deviation)


def _marginal(residuals: FloatArray) -> _Marginal:
    return _Marginal(np.sort(residuals), fit_tail(-residuals, _TAIL), fit_tail(residuals, _TAIL))
