"""Monte Carlo of a hedged book, 100,000 paths of 720 hours and ten options, against numpy on every option and path."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from keeper.hedging.simulated import OptionBook, delta_table, hedged_pnl
from keeper.pricing.black76 import greeks
from tests.bench.results import Row, row
from tests.keeper.hedging.test_simulated import ten_options

Array = npt.NDArray[np.float64]

_PATHS, _STEPS = 100_000, 720
_SPOT, _VOL, _HORIZON = 3_000.0, 0.65, 30 / 365


def run() -> list[Row]:
    """All rows. Processor time of one run each: both take seconds."""
    book = ten_options()
    begun = time.process_time()
    ours = hedged_pnl(book, _SPOT, _VOL, _HORIZON, _STEPS, _draws())
    seconds = time.process_time() - begun
    begun = time.process_time()
    theirs = _naive(book)
    peer = time.process_time() - begun
    assert np.max(np.abs(ours - theirs)) < 1.0, "the peer hedges something else"
    error = max(_error(book, step * _HORIZON / _STEPS) for step in (0, 300, 600, _STEPS - 1))
    name = "Monte Carlo hedge, 100,000 x 720, 10 options"
    return [
        row(f"{name} (peer: naive numpy)", seconds, "s", peer=peer, ratio_goal=2.5),
        row(f"{name}: largest error of a hedge ratio", error, "of size", ours_goal=1e-4),
    ]


def _draws():  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    return lambda: rng.standard_normal(_PATHS)


def _naive(book: OptionBook) -> Array:
    dt, draws = _HORIZON / _STEPS, _draws()
    spot, gained = np.full(_PATHS, _SPOT), np.zeros(_PATHS)

    def d1(option: int, spots: Array, years: float) -> tuple[Array, float]:
        deviation = book.vol[option] * np.sqrt(years)
        return np.log(spots / book.strike[option]) / deviation + deviation / 2, deviation

    def worth(spots: Array, elapsed: float) -> Array:
        total = np.zeros_like(spots)
        for i in range(len(book.size)):
            d, deviation = d1(i, spots, book.years[i] - elapsed)
            call = spots * ndtr(d) - book.strike[i] * ndtr(d - deviation)
            total += book.size[i] * (call if book.is_call[i] else call - spots + book.strike[i])
        return total

    begun = worth(spot, 0.0)
    for step in range(_STEPS):
        held = np.zeros(_PATHS)
        for i in range(len(book.size)):
            d, _ = d1(i, spot, book.years[i] - step * dt)
            held += book.size[i] * (ndtr(d) - (0.0 if book.is_call[i] else 1.0))
        after = spot * np.exp(-(_VOL**2) * dt / 2 + _VOL * np.sqrt(dt) * draws())
        gained -= held * (after - spot)
        spot = after
    return gained + worth(spot, _HORIZON) - begun


def _error(book: OptionBook, elapsed: float) -> float:
    x = np.log(_SPOT) + np.random.default_rng(2).uniform(-0.9, 0.9, 20_000)
    table = delta_table(book, elapsed, np.log(_SPOT) - 1, np.log(_SPOT) + 1)
    exact = greeks(np.exp(x)[:, None], book.strike, book.vol, book.years - elapsed, book.is_call).delta @ book.size
    return float(np.max(np.abs(table.at(x) - exact)) / np.abs(book.size).sum())
