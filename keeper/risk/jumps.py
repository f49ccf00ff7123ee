"""Scenarios from joint Bates models: stochastic variances that prices drive in part, and jumps that all prices share.

    dS_i/S_i = √v_i dW_i + (e^(J_i) - 1) dN - λ(e^(μ_i+δ_i²/2) - 1) dt,   dv_i = κ_i(θ_i - v_i) dt + ξ_i√v_i dZ_i

with correlated W_i, dZ_i = ρ_i dW_i + √(1 - ρ_i²) dZ, one Poisson process N and jointly normal J (Bates 1996 for each
underlying; `keeper.pricing.bates` prices options in it). Prices are martingales: no view of where they go. The variance
is simulated by full truncation (Lord, Koekkoek and van Dijk 2010), which is never negative where it matters.

The 30-day volatility of a scenario is the root of the variance that the model then expects of 30 days, jumps included.
Bates' jumps move prices alone. On the recorded days that is not enough (docs/quant.md): with every jump of prices the
logarithm of volatility may jump too, by a normal draw, as variance does in Duffie, Pan and Singleton (2000), section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from keeper.domain.valuation import FloatArray
from keeper.pricing.bates import Bates
from keeper.risk.errors import RiskError
from keeper.risk.scenarios import Scenarios, ewma_variances, filtered

TENOR = 30.0 / 365.0  # of the volatility whose move a scenario tells, years
_JUMP = 3.0  # deviations from which a day's return counts as a jump
_FEWEST_JUMPS = 3
_REVERSION = (1.0, 25.0)  # a year
_STEPS = 24  # of a horizon


@dataclass(frozen=True, slots=True, eq=False)
class JointBates:
    """One model for each underlying, all with the same intensity of jumps; correlations (U, U) of the W and of the J;
    mean and deviation of what a jump adds to ln of all volatilities: none in Bates' own model."""

    models: tuple[Bates, ...]
    correlation: FloatArray
    jump_correlation: FloatArray
    vol_jump_mean: float = 0.0
    vol_jump_deviation: float = 0.0

    def __post_init__(self) -> None:
        """
        Raises:
            RiskError: intensities that differ, or matrices that are no correlations of as many underlyings.
        """
        n = len(self.models)
        for matrix in (self.correlation, self.jump_correlation):
            if matrix.shape != (n, n) or not np.allclose(np.diag(matrix), 1.0) or np.linalg.eigvalsh(matrix)[0] < -1e-9:
                raise RiskError(
                    f"{matrix} is no correlation of {n} underlyings.",
                    kept="Nothing was simulated.",
                    todo="Give a symmetric matrix with ones on its diagonal and no negative eigenvalue.",
                )
        if len({model.jumps_per_year for model in self.models}) != 1:
            raise RiskError(
                "The underlyings jump at different rates, and jumps are common.",
                kept="Nothing was simulated.",
                todo="Give all models the same jumps_per_year.",
            )


def fit_bates(history: Scenarios) -> JointBates:
    """By moments of past moves, oldest first: crude, and with nothing to go astray.

    A day on which any return exceeds three of the deviations expected of it is a jump; λ, μ, δ, the jumps' correlation
    and what they do to volatility are those days'. Of the others: θ is the mean square return, ρ the correlation of
    return and volatility move, ξ makes the 30-day volatility's moves as large as they were, κ is the reversion of the
    volatility index (from its regression on its own level). v is the variance that is expected now, scaled to what is
    without jumps.

    Raises:
        RiskError: see `filtered`.
    """
    found = filtered(history)
    n = history.log_return.shape[1]
    per_year = 1.0 / history.horizon
    jumped = (np.abs(found.residuals[:, :n]) > _JUMP).any(axis=1)
    count = int(jumped.sum())
    if count < _FEWEST_JUMPS:
        jumped[:] = False
        count = 0
    calm = ~jumped
    returns = history.log_return
    vols = np.broadcast_to(history.log_vol, returns.shape)
    jumps = returns[jumped] if count else np.zeros((1, n))
    models = []
    for i in range(n):
        long_variance = float(np.square(returns[calm, i]).mean()) * per_year
        now = float(ewma_variances(np.where(jumped, 0.0, returns[:, i]))[-1]) / float(calm.mean()) * per_year
        reversion = float(np.clip(_reversion(vols[:, i]) * per_year, *_REVERSION))
        share = _weight(reversion)
        whole = long_variance + count / len(returns) * per_year * float(np.square(jumps[:, i]).mean())
        moves = float(vols[calm, i].std()) * np.sqrt(per_year)  # of ln vol, a year: share·ξ·√v/(2·whole)
        models.append(
            Bates(
                variance=now,
                reversion=reversion,
                long_variance=long_variance,
                vol_of_variance=moves * 2.0 * whole / (share * np.sqrt(long_variance)),
                correlation=float(np.corrcoef(returns[calm, i], vols[calm, i])[0, 1]),
                jumps_per_year=count / len(returns) * per_year,
                jump_mean=float(jumps[:, i].mean()),
                jump_deviation=float(jumps[:, i].std()),
            )
        )
    together = np.corrcoef(jumps.T) if count else np.eye(n)
    of_vol = history.log_vol[jumped] if count else np.zeros(1)
    return JointBates(
        models=tuple(models),
        correlation=np.atleast_2d(np.corrcoef(returns[calm].T)),
        jump_correlation=np.atleast_2d(together),
        vol_jump_mean=float(of_vol.mean()),
        vol_jump_deviation=float(of_vol.std()),
    )


def bates(model: JointBates, horizon: float, size: int, rng: np.random.Generator, *, steps: int = _STEPS) -> Scenarios:
    """``size`` scenarios over ``horizon`` years, in ``steps`` of the variances."""
    n = len(model.models)
    root, jump_root = (_root(matrix) for matrix in (model.correlation, model.jump_correlation))
    columns = np.array(
        [
            (m.variance, m.reversion, m.long_variance, m.vol_of_variance, m.correlation, m.jump_mean, m.jump_deviation)
            for m in model.models
        ]
    )
    start, reversion, long_variance, vol_of_variance, rho, jump_mean, jump_deviation = columns.T
    step = horizon / steps
    variance = np.tile(start, (size, 1))
    log_return = np.zeros((size, n))
    for _ in range(steps):
        price = rng.standard_normal((size, n)) @ root.T
        own = rho * price + np.sqrt(1.0 - rho * rho) * rng.standard_normal((size, 1))
        positive = np.maximum(variance, 0.0)
        deviation = np.sqrt(positive * step)
        log_return += deviation * price - 0.5 * positive * step
        variance += reversion * (long_variance - positive) * step + vol_of_variance * deviation * own
    intensity = model.models[0].jumps_per_year
    count = rng.poisson(intensity * horizon, (size, 1))
    sizes = rng.standard_normal((size, n)) @ jump_root.T
    average = np.expm1(jump_mean + 0.5 * np.square(jump_deviation))
    log_return += count * jump_mean + np.sqrt(count) * jump_deviation * sizes - intensity * horizon * average
    jumps = intensity * (np.square(jump_mean) + np.square(jump_deviation))
    share = np.array([_weight(rate) for rate in reversion.tolist()])
    expected = [long_variance + (v - long_variance) * share + jumps for v in (np.maximum(variance, 0.0), start)]
    vol_jump = count * model.vol_jump_mean + np.sqrt(count) * model.vol_jump_deviation * rng.standard_normal((size, 1))
    return Scenarios(horizon, log_return, 0.5 * np.log(expected[0] / expected[1]) + vol_jump)


def _weight(reversion: float) -> float:
    """Of the present variance in what is expected of the next 30 days."""
    decay = reversion * TENOR
    return -math.expm1(-decay) / decay if decay > 1e-12 else 1.0


def _reversion(moves: FloatArray) -> float:
    """Speed per period at which the sum of the moves returns to its mean."""
    level = np.concatenate([[0.0], np.cumsum(moves)])[:-1]
    slope = float(np.polyfit(level, moves, 1)[0])
    return -float(np.log1p(np.clip(slope, -0.9, 0.0)))


def _root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
