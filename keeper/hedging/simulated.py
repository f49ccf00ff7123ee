"""A book hedged in delta along simulated paths: what is left of it at the end, path by path.

The delta of a whole book depends on one number per step, the spot: it is tabulated over its logarithm once per step,
with the gamma, and read by cubic Hermite interpolation. The error is h⁴/384 times a fourth derivative that is of the
order of 1/(σ√T)⁴ for an option: nodes every 0.4 σ√T of the shortest keep it below 1e-4 of the book's size, up to the
last step. Paths go through a step some thousands at a time, so that what they need stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.pricing.black76 import greeks, price

Array = npt.NDArray[np.float64]

_CHUNK = 4_096  # paths at a time
_SPACING = 0.4  # of the smallest σ√T
_REACH = 7.0  # standard deviations of the path on either side: who goes further is hedged as at the end of the table


@dataclass(frozen=True)
class OptionBook:
    """Options of one underlying, (n,) each: sizes in units (+ long), volatilities, years to expiry."""

    size: Array
    strike: Array
    is_call: npt.NDArray[np.bool_]
    vol: Array
    years: Array


@dataclass(frozen=True)
class DeltaTable:
    """The delta of a book by the logarithm of spot: cubics (4, nodes - 1) between nodes that are ``spacing`` apart."""

    first: float
    spacing: float
    coefficients: Array

    def at(self, log_spot: Array) -> Array:
        """Units, of the shape of ``log_spot``; beyond the table its last value."""
        place = log_spot - self.first
        place *= 1.0 / self.spacing
        np.clip(place, 0.0, self.coefficients.shape[1] * (1 - 1e-15), out=place)
        cell = place.astype(np.intp)
        place -= cell
        units: Array = self.coefficients[3].take(cell, mode="clip")
        for coefficients in self.coefficients[2::-1]:
            units *= place
            units += coefficients.take(cell, mode="clip")
        return units


def delta_table(book: OptionBook, elapsed: float, low: float, high: float) -> DeltaTable:
    """The book's delta ``elapsed`` years on, for logarithms of spot between ``low`` and ``high``."""
    years = book.years - elapsed
    nodes = 2 + int((high - low) / (_SPACING * float(np.min(book.vol * np.sqrt(years)))))
    x = np.linspace(low, high, nodes)
    spacing = float(x[1] - x[0])
    spot = np.exp(x)[:, None]
    found = greeks(spot, book.strike, book.vol, years, book.is_call)
    delta, slope = found.delta @ book.size, (found.gamma * spot) @ book.size * spacing
    rise = np.diff(delta)
    left, right = slope[:-1], slope[1:]
    return DeltaTable(low, spacing, np.array([delta[:-1], left, 3 * rise - 2 * left - right, left + right - 2 * rise]))


def hedged_pnl(
    book: OptionBook, spot: float, vol: float, horizon: float, steps: int, draws: Callable[[], Array]
) -> Array:
    """P&L of the book and its hedge over ``horizon`` years, rebalanced ``steps`` times without cost, (paths,).

    Args:
        vol: Of the path; the options' own are what they are hedged and valued at.
        draws: Standard normal numbers of one step for all paths, (paths,).
    """
    dt = horizon / steps
    deviation, drift = vol * np.sqrt(dt), -vol * vol * dt / 2
    start = float(np.log(spot))
    noise = draws()
    log_spot, now, gained = np.full_like(noise, start), np.full_like(noise, spot), np.zeros_like(noise)
    for step in range(steps):
        reach = _REACH * vol * np.sqrt(max(step, 1) * dt)
        centre = start + drift * step
        table = delta_table(book, step * dt, centre - reach, centre + reach)
        noise = draws() if step else noise
        for first in range(0, len(noise), _CHUNK):
            part = slice(first, first + _CHUNK)
            held = table.at(log_spot[part])
            log_spot[part] += drift + deviation * noise[part]
            after = np.exp(log_spot[part])
            gained[part] -= held * (after - now[part])
            now[part] = after
    left = np.maximum(book.years - horizon, 0.0)
    for size, strike, is_call, own_vol, years, at_end in zip(
        book.size, book.strike, book.is_call, book.vol, book.years, left, strict=True
    ):
        begun = price(spot, strike, own_vol, years, is_call)
        gained += size * (price(now, strike, own_vol, at_end, is_call) - begun)
    return gained
