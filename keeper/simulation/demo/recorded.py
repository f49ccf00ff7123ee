"""Recorded candles as a market path: moved to the demo's spots as returns, at their own time of day.

The narrowest candles set the steps. A candle becomes one step, at its close; what happened within it is left out. As in
every step of a demo the price is there from the step's beginning: an expiry is fixed at the close of the candle that
begins then. Wider candles of another underlying are interpolated between their closes, straight in the logarithm: it
moves in small steps too, but more smoothly than it did. An underlying without a file follows one that has one, by a
fixed share of its returns and of its volatility.

Volatility at the money is a recorded index (the same columns, in points), else an exponentially weighted mean of the
squared returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.domain.series import EXPIRY_HOUR, UNDERLYINGS
from keeper.domain.times import parse_utc, utc_minute
from keeper.domain.units import DAY, HOUR, YEAR
from keeper.domain.valuation import FloatArray
from keeper.forecast.ewma import LAMBDA, ewma
from keeper.market.recordings import NOT_STARTED, RecordingError
from keeper.simulation.demo.candles import Candles, read
from keeper.simulation.demo.path import BETAS, EXPIRY_WITHIN, START_VOLS, MarketPath, MarketStep, base_fee

LONGEST_DAYS: Final = 14
_SHORTEST_CANDLE: Final = 60  # seconds; the chain needs a few blocks for the keeper's answer
_WARM_UP: Final = 7 * DAY  # of returns before the window
_VOL_RANGE: Final = (0.30, 3.00)  # below, no option market has quoted ETH for long; above, VolOracle takes nothing
_VOL_AGE: Final = DAY  # of the newest volatility that still counts
_POINTS: Final = (5.0, 500.0)  # what a volatility index in points may read
_CALM_SEED: Final = 1
_BETA: Final = dict(zip(UNDERLYINGS, BETAS, strict=True))
_START_VOL: Final = dict(zip(UNDERLYINGS, START_VOLS, strict=True))


@dataclass(frozen=True, slots=True)
class _Grid:
    """The ends of the steps, seconds; the first step begins at ``begin``."""

    begin: int
    spacing: int
    steps: int

    @property
    def end(self) -> int:
        return self.begin + self.steps * self.spacing

    @property
    def times(self) -> NDArray[np.int64]:
        """The beginning and the ends of all steps, shape (steps + 1,)."""
        return self.begin + self.spacing * np.arange(self.steps + 1)


def underlying_of(text: str) -> tuple[str, Path]:
    """Which underlying a `--prices` or `--vol` is for, and its file.

    It is said, as in ``BTC=candles.csv``, or the file's name begins with it (``btc_1h.parquet``); else it is ETH.

    Raises:
        RecordingError: there is no such underlying.
    """
    symbol, said, file = text.partition("=")
    if said and not Path(text).exists():
        if symbol.upper() not in UNDERLYINGS:
            raise RecordingError(
                f"{symbol!r} in {text} is not an underlying of the demo.", f"Write {' or '.join(UNDERLYINGS)}=FILE."
            )
        return symbol.upper(), Path(file)
    name = Path(text).name.upper()
    return next((symbol for symbol in UNDERLYINGS if name.startswith(symbol)), UNDERLYINGS[0]), Path(text)


def by_underlying(texts: tuple[str, ...], option: str) -> dict[str, Path]:
    """Files of an option that was given once per underlying.

    Raises:
        RecordingError: an underlying is not known or has two files.
    """
    found: dict[str, Path] = {}
    for text in texts:
        symbol, file = underlying_of(text)
        if symbol in found:
            raise RecordingError(
                f"{option} has two files for {symbol}: {found[symbol]} and {file}.",
                f"Say which underlying each is for, as in {option} {UNDERLYINGS[-1]}={file.name}.",
            )
        found[symbol] = file
    return found


def recorded(
    prices: Mapping[str, Path],
    start: str | None = None,
    end: str | None = None,
    vols: Mapping[str, Path] | None = None,
) -> MarketPath:
    """A window of recorded prices as a path.

    Args:
        prices: Candles of at least one underlying, by its symbol.
        start, end: UTC dates (their midnight) or date-times; what all files have by default. Candles close by ``end``.
        vols: Recorded volatility indices in points, by symbol; without one an EWMA of the returns' squares.

    Raises:
        RecordingError: a file cannot be read or is wrong, or the window is empty, too long or has gaps.
    """
    files = {symbol: _read_prices(file) for symbol, file in prices.items()}
    grid = _grid(tuple(files.values()), start, end)
    indices = {symbol: _index(read(file), grid) for symbol, file in (vols or {}).items()}
    leader = next(symbol for symbol in UNDERLYINGS if symbol in files)
    logs = {symbol: _logs(candles, grid) for symbol, candles in files.items()}
    sigmas = {symbol: _ewma(candles, grid, _START_VOL[symbol]) for symbol, candles in files.items()} | indices
    for symbol in UNDERLYINGS:
        beta = _BETA[symbol] / _BETA[leader]
        logs.setdefault(symbol, beta * logs[leader])
        sigmas.setdefault(symbol, beta * sigmas[leader])
    relative = np.exp(np.stack([logs[symbol] for symbol in UNDERLYINGS], axis=1))
    vol = np.clip(np.stack([sigmas[symbol] for symbol in UNDERLYINGS], axis=1), *_VOL_RANGE)
    falls = np.maximum.accumulate(-np.minimum(logs[UNDERLYINGS[0]], 0.0))
    steps = zip(relative[1:].tolist(), vol[1:].tolist(), falls[1:].tolist(), strict=True)
    return MarketPath(
        title=f"{_sources(files, leader, grid)}, {utc_minute(grid.begin)} to {utc_minute(grid.end)} UTC",
        steps=tuple(MarketStep(tuple(price), tuple(sigma), base_fee(fall)) for price, sigma, fall in steps),
        spacing=grid.spacing,
        vols=tuple(vol[0].tolist()),
        first_expiry=_first_expiry(grid),
        seed=_CALM_SEED,
    )


def _sources(files: Mapping[str, Candles], leader: str, grid: _Grid) -> str:
    """Where each underlying's prices are from."""
    parts = []
    for symbol in UNDERLYINGS:
        if symbol in files:
            wide = files[symbol].spacing != grid.spacing
            parts.append(f"{symbol} {files[symbol].name}{' (interpolated)' if wide else ''}")
        else:
            parts.append(f"{symbol} at {_BETA[symbol] / _BETA[leader]:g} of {leader}'s returns")
    return ", ".join(parts)


def _first_expiry(grid: _Grid) -> int:
    """Seconds from the beginning to the 08:00 UTC nearest to three quarters of it; else to one after its end.

    The round that fixes an expiry comes with the step after it: there must be one.
    """
    length = grid.end - grid.begin
    first = (EXPIRY_HOUR * HOUR - grid.begin) % DAY or DAY
    inside = range(first, length - grid.spacing + 1, DAY)
    if inside:
        return min(inside, key=lambda offset: abs(offset - EXPIRY_WITHIN * length))
    return first if first > length + HOUR else first + DAY


# ---------------------------------------------------------------- the window


def _read_prices(file: Path) -> Candles:
    candles = read(file)
    if not _SHORTEST_CANDLE <= candles.spacing <= HOUR:
        raise RecordingError(
            f"The candles of {file} are {candles.spacing} s apart; a replay needs a minute to an hour.",
            "Use other candles: the oracles would be stale between wider ones.",
        )
    return candles


def _grid(files: tuple[Candles, ...], start: str | None, end: str | None) -> _Grid:
    """The steps: candles of the narrowest file, whole and without gaps.

    Raises:
        RecordingError: see `recorded`.
    """
    candles = min(files, key=lambda each: each.spacing)
    begin = max(each.span[0] for each in files) if start is None else parse_utc(start, "--from", kept=NOT_STARTED)
    finish = min(each.span[1] for each in files) if end is None else parse_utc(end, "--to", kept=NOT_STARTED)
    if finish <= begin:
        what = "The files have no time in common." if start is end is None else ""
        raise RecordingError(
            what or f"The window ends at {utc_minute(finish)}, before it begins.",
            f"{'. '.join(each.its for each in files)}. Choose --from before --to.",
        )
    if finish - begin > LONGEST_DAYS * DAY:
        raise RecordingError(
            f"The window of {candles.name} is {(finish - begin) / DAY:.1f} days long; {LONGEST_DAYS} is the most.",
            f"{candles.its}: choose a part with --from and --to.",
        )
    window = candles.between(begin, finish)
    if len(window.times) < 2:
        raise RecordingError(
            f"{candles.name} has no two candles between {utc_minute(begin)} and {utc_minute(finish)} UTC.",
            f"{candles.its}, not all of it perhaps: choose another --from and --to.",
        )
    # As if a candle just outside of the window opened there.
    window.require_whole(begin - 1, finish - candles.spacing + 1)
    return _Grid(int(window.times[0]), window.spacing, len(window.times))


def _logs(candles: Candles, grid: _Grid) -> FloatArray:
    """Logarithms of price at the beginning and after each step, less that at the beginning, shape (steps + 1,).

    Raises:
        RecordingError: see `recorded`.
    """
    window = _window(candles, grid)
    knots = np.concatenate((window.times[:1], window.times + window.spacing))
    logs = np.interp(grid.times, knots, np.log(np.concatenate((window.open[:1], window.close))))
    return np.asarray(logs - logs[0])


def _window(candles: Candles, grid: _Grid) -> Candles:
    window = candles.covering(grid.begin, grid.end)
    window.require_whole(grid.begin - window.spacing, grid.end)
    return window


# ---------------------------------------------------------------- volatility


def _ewma(candles: Candles, grid: _Grid, start_vol: float) -> FloatArray:
    """Annualised volatility at the beginning and after each step by the candles that have closed, shape (steps + 1,).

    RiskMetrics' λ is per hour here, whatever the candles' width: half of the weight is on the last 11. It begins with
    ``start_vol``, a week before the window where there are candles.
    """
    window = _window(candles, grid)
    begin = int(window.times[0])
    before = candles.between(begin - _WARM_UP, begin)
    before.require_sane()
    closes = np.concatenate((before.open[:1], before.close, window.open[: not before.close.size], window.close))
    times = np.concatenate((before.times, window.times)) + candles.spacing
    seconds = np.diff(times, prepend=times[0] - candles.spacing)
    squares = np.diff(np.log(closes)) ** 2 * YEAR / seconds
    variances = ewma(squares, LAMBDA ** (seconds / HOUR), start_vol**2)
    known = np.searchsorted(times, grid.times, side="right")  # how many candles have closed by then
    return np.asarray(np.sqrt(variances[known]))


def _index(index: Candles, grid: _Grid) -> FloatArray:
    """The index (1.0 = 100 points) at the beginning and after each step, shape (steps + 1,).

    Raises:
        RecordingError: the index is not there all the time, or is not in points.
    """
    times = grid.times
    rows = np.searchsorted(index.times + index.spacing, times, side="right") - 1
    ages = times - (index.times[rows] + index.spacing)
    missing = np.flatnonzero((rows < 0) | (ages > _VOL_AGE))
    if missing.size:
        raise RecordingError(
            f"{index.name} has no volatility at {utc_minute(int(times[missing[0]]))} UTC, nor in the day before.",
            "Leave out --vol: the candles' own volatility is used then.",
        )
    used = index.between(int(index.times[rows[0]]), int(index.times[rows[-1]]) + index.spacing)
    used.require_sane()
    if np.any((used.close < _POINTS[0]) | (used.close > _POINTS[1])):
        raise RecordingError(
            f"{index.name} does not look like points of volatility: it goes from {used.close.min():g}"
            f" to {used.close.max():g}.",
            "55 points are 55 % a year.",
        )
    return np.asarray(index.close[rows] / 100)
