"""Joint scenarios of prices and volatilities over one horizon, and those that history gives.

Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper 1999; Hull and White 1998): each recorded day's
moves, divided by the deviations that were expected of that day and multiplied by those of the day ahead. The moves of
one day stay together, so that their dependence is history's own, tails included.

What is expected of a day comes from an argument: by default RiskMetrics' exponentially weighted variance, or any other
that is known before the day, such as GARCH's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from keeper.domain.valuation import FloatArray
from keeper.forecast.ewma import LAMBDA, ewma
from keeper.risk.errors import RiskError

Variances = Callable[[FloatArray], FloatArray]
"""From moves (n,), oldest first, to the variance expected of each before it and of the one after the last, (n + 1,)."""

_LEAST = 100  # moves
_HALF = 1_000  # of the lognormal ones
_GOLDEN = (5**0.5 - 1.0) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """S equally likely moves of U underlyings, or as many past ones, oldest first.

    Attributes:
        horizon: Years.
        log_return: ln of the price at the horizon over the price now, (S, U).
        log_vol: ln of the 30-day at-the-money volatility then over now, (S, U), or (S, 1) where one index stands for
            all underlyings.
    """

    horizon: float
    log_return: FloatArray
    log_vol: FloatArray

    def __post_init__(self) -> None:
        """
        Raises:
            RiskError: shapes that do not fit, or anything that is not finite.
        """
        returns, vols = self.log_return, self.log_vol
        fits = returns.ndim == vols.ndim == 2 and len(returns) == len(vols) and vols.shape[1] in (1, returns.shape[1])
        if not fits or not (np.isfinite(returns).all() and np.isfinite(vols).all() and self.horizon >= 0.0):
            raise RiskError(
                f"Moves of prices {returns.shape} and volatilities {vols.shape} over {self.horizon} years are no "
                "scenarios.",
                kept="Nothing was valued.",
                todo="Give finite moves, a row for each scenario and a column for each underlying.",
            )

    @property
    def moves(self) -> FloatArray:
        """All factors side by side: returns, then volatilities, (S, K)."""
        return np.concatenate([self.log_return, self.log_vol], axis=1)

    def with_moves(self, moves: FloatArray) -> Scenarios:
        """Others over the same horizon, from factors as `moves` gives them."""
        underlyings = self.log_return.shape[1]
        return Scenarios(self.horizon, moves[:, :underlyings], moves[:, underlyings:])


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """History without its changing variance: ``residuals`` (n, K) have variance of about one; ``deviation`` (K,) is
    what is expected of the horizon ahead."""

    residuals: FloatArray
    deviation: FloatArray


def ewma_variances(moves: FloatArray) -> FloatArray:
    """RiskMetrics' variance before each move and after the last; it starts from the mean square of all."""
    squares = np.square(moves)
    return ewma(squares, LAMBDA, float(squares.mean()))


def filtered(history: Scenarios, variances: Variances = ewma_variances) -> Filtered:
    """Residuals of each factor by its own variances.

    Raises:
        RiskError: fewer than 100 moves, or a factor that never moves.
    """
    return filtered_moves(history.moves, variances)


def filtered_moves(moves: FloatArray, variances: Variances = ewma_variances) -> Filtered:
    """The same of moves of any factors, (n, K), oldest first.

    Raises:
        RiskError: see `filtered`.
    """
    if len(moves) < _LEAST or moves.size == 0 or not moves.any(axis=0).all():
        raise RiskError(
            f"{len(moves)} past moves, or a price or volatility that stands still, are no history.",
            kept="No scenarios were made.",
            todo=f"Give {_LEAST} moves or more of prices and volatilities that were traded.",
        )
    expected = np.sqrt(np.stack([variances(column) for column in moves.T], axis=1))
    return Filtered(moves / expected[:-1], expected[-1])


def filtered_historical(history: Scenarios, variances: Variances = ewma_variances) -> Scenarios:
    """A scenario for each past move, rescaled to what is expected now. Nothing is drawn, so it needs no generator.

    Raises:
        RiskError: see `filtered`.
    """
    found = filtered(history, variances)
    return history.with_moves(found.residuals * found.deviation)


def lognormal(vols: FloatArray, correlation: float, horizon: float) -> Scenarios:
    """Where no past is known: prices of one or two underlyings move by annual ``vols`` (U,), and volatilities stay.

    Always the same points, a Fibonacci lattice's and their opposites: nothing is drawn here either.
    """
    points = np.arange(_HALF)
    first, second = ndtri((points + 0.5) / _HALF), ndtri((points + 1.0) * _GOLDEN % 1.0)
    normal = np.stack([first, correlation * first + np.sqrt(1.0 - correlation**2) * second], axis=1)[:, : len(vols)]
    moves = np.concatenate([normal, -normal]) * vols * np.sqrt(horizon)
    return Scenarios(horizon, moves, np.zeros((len(moves), 1)))
