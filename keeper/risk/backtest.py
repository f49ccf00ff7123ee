"""Whether a series of value-at-risk forecasts was exceeded as often as it said, and on days that it did not foresee.

Kupiec (1995), proportion of failures: with x exceptions in n days at a probability p each,
LR = -2·ln[(1-p)^(n-x)·p^x] + 2·ln[(1-x/n)^(n-x)·(x/n)^x] is χ² with one degree of freedom.
Christoffersen (1998), independence: n_ij days in state j after a day in state i (1 = an exception), π_ij their share;
LR = -2·ln[(1-π)^(n00+n10)·π^(n01+n11)] + 2·ln[(1-π01)^n00·π01^n01·(1-π11)^n10·π11^n11] is χ² with one degree, and both
together, conditional coverage, with two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, xlogy

from keeper.domain.valuation import FloatArray
from keeper.risk.errors import RiskError


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """The test statistic, and the probability of one as large if the model is right."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """Of forecasts for ``days`` days with ``exceptions`` losses above them; ``clustered`` came a day after another."""

    days: int
    exceptions: int
    clustered: int
    coverage: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio

    def passes(self, significance: float = 0.05) -> bool:
        """No test rejects: neither the number of exceptions nor their order, nor both together."""
        return min(t.p_value for t in (self.coverage, self.independence, self.conditional)) >= significance


def backtest(pnl: FloatArray, var: FloatArray, level: float) -> Backtest:
    """What was won or lost (n,) against the value at risk that was forecast for the same days (n,), + is a loss.

    Raises:
        RiskError: fewer than two days, a level that is not between 0 and 1, shapes that differ, or anything not finite.
    """
    if pnl.shape != var.shape or len(pnl) < 2 or not (np.isfinite(pnl).all() and np.isfinite(var).all()):
        raise RiskError(
            f"Profits and losses {pnl.shape} and forecasts {var.shape} must be finite, as many, and two at least.",
            kept="Nothing was tested.",
            todo="Give one forecast for each day.",
        )
    hits = -pnl > var
    before, after = hits[:-1], hits[1:]
    follows = tuple((int((before == i).sum()), int((after & (before == i)).sum())) for i in (False, True))
    coverage = kupiec(int(hits.sum()), len(hits), level)
    independence = christoffersen(*follows)
    return Backtest(
        days=len(hits),
        exceptions=int(hits.sum()),
        clustered=follows[1][1],
        coverage=coverage,
        independence=independence,
        conditional=conditional_coverage(coverage, independence),
    )


def kupiec(exceptions: int, days: int, level: float) -> LikelihoodRatio:
    """Whether as many days had an exception as should.

    Raises:
        RiskError: a level that is not between 0 and 1, or more exceptions than days.
    """
    if not 0.0 < level < 1.0 or not 0 <= exceptions <= days or days == 0:
        raise RiskError(
            f"{exceptions} exceptions in {days} days at level {level} cannot be tested.",
            kept="Nothing was tested.",
            todo="Give at least one day, and a level between 0 and 1.",
        )
    found, said = (_log_likelihood(days, exceptions, p) for p in (exceptions / days, 1.0 - level))
    return _ratio(2.0 * (found - said), 1)


def christoffersen(after_none: tuple[int, int], after_one: tuple[int, int]) -> LikelihoodRatio:
    """Whether exceptions come no more often after another: days, and exceptions among them, after a day without one
    and after a day with one."""
    days, hits = (a + b for a, b in zip(after_none, after_one, strict=True))
    apart = sum(_log_likelihood(n, x, x / max(n, 1)) for n, x in (after_none, after_one))
    return _ratio(2.0 * (apart - _log_likelihood(days, hits, hits / max(days, 1))), 1)


def conditional_coverage(coverage: LikelihoodRatio, independence: LikelihoodRatio) -> LikelihoodRatio:
    """Both at once."""
    return _ratio(coverage.statistic + independence.statistic, 2)


def _log_likelihood(days: int, hits: int, probability: float) -> float:
    return float(xlogy(hits, probability) + xlogy(days - hits, 1.0 - probability))


def _ratio(statistic: float, degrees: int) -> LikelihoodRatio:
    ratio = max(statistic, 0.0)  # rounding may take an exact zero below it
    return LikelihoodRatio(ratio, float(chdtrc(degrees, ratio)))
