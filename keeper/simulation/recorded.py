"""Recorded candles as a market path: checked, moved to the demo's spot as returns, at their own time of day.

A file holds the columns time (UTC, of the candle's open), open, high, low, close, and volume, which is not used, as
parquet or csv. A candle becomes one step, at its close; what happened within it is left out. As in every step of a demo
the price is there from the step's beginning: an expiry is fixed at the close of the candle that begins then.
Volatility at the money is a recorded index (the same columns, in points), else an exponentially weighted mean of the
squared returns.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from keeper.domain.units import YEAR
from keeper.domain.valuation import FloatArray
from keeper.errors import KeelError
from keeper.simulation.path import EXPIRY_WITHIN, HOUR, START_VOL, MarketPath, MarketStep, base_fee

LONGEST_DAYS: Final = 14
_DAY: Final = 24 * HOUR
_EXPIRY_HOUR: Final = 8  # UTC
_PRICES: Final = ("open", "high", "low", "close")
_SHORTEST_CANDLE: Final = 60  # seconds; the chain needs a few blocks for the keeper's answer
_WARM_UP: Final = 7 * _DAY  # of returns before the window
_DECAY: Final = 0.94  # an hour, RiskMetrics' λ: half of the weight is on the last 11 hours
_VOL_RANGE: Final = (0.30, 3.00)  # below, no option market has quoted ETH for long; above, VolOracle takes nothing
_VOL_AGE: Final = _DAY  # of the newest volatility that still counts
_POINTS: Final = (5.0, 500.0)  # what a volatility index in points may read
_CALM_SEED: Final = 1


class RecordingError(KeelError):
    """A recording, or the window of it that was asked for, cannot be replayed."""

    exit_code = 2

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what, kept="Nothing was started.", todo=todo)


@dataclass(frozen=True, slots=True)
class Candles:
    """Times of opening in seconds, rising; four prices each; ``spacing`` is the usual distance in seconds."""

    name: str
    times: NDArray[np.int64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    spacing: int

    def between(self, start: int, end: int) -> Candles:
        """Those that open at ``start`` or later and close by ``end``."""
        rows = slice(
            int(np.searchsorted(self.times, start)), int(np.searchsorted(self.times, end - self.spacing, side="right"))
        )
        prices = (self.open[rows], self.high[rows], self.low[rows], self.close[rows])
        return Candles(self.name, self.times[rows], *prices, self.spacing)


def recorded(prices: Path, start: str | None = None, end: str | None = None, vol: Path | None = None) -> MarketPath:
    """A window of recorded prices as a path.

    Args:
        start, end: UTC dates (their midnight) or date-times; the file's own by default. Candles close by ``end``.
        vol: Recorded volatility index in points; without it an EWMA of the returns' squares.

    Raises:
        RecordingError: a file cannot be read or is wrong, or the window is empty, too long or has gaps.
    """
    candles = _read(prices)
    if not _SHORTEST_CANDLE <= candles.spacing <= HOUR:
        raise RecordingError(
            f"The candles of {prices} are {candles.spacing} s apart; a replay needs a minute to an hour.",
            "Use other candles: the oracles would be stale between wider ones.",
        )
    window = _window(candles, start, end)
    begin, finish = int(window.times[0]), int(window.times[-1]) + window.spacing
    vols = _ewma(candles, window) if vol is None else _index(_read(vol), window)
    relative = window.close / window.open[0]
    falls = np.maximum.accumulate(-np.minimum(np.log(relative), 0.0))
    steps = zip(relative, vols[1:], falls, strict=True)
    return MarketPath(
        title=f"{prices.name}, {_say(begin)} to {_say(finish)} UTC",
        steps=tuple(MarketStep(float(price), float(v), base_fee(float(fall))) for price, v, fall in steps),
        spacing=window.spacing,
        vol=float(vols[0]),
        first_expiry=_first_expiry(begin, finish, window.spacing),
        seed=_CALM_SEED,
    )


def _first_expiry(begin: int, finish: int, spacing: int) -> int:
    """Seconds from ``begin`` to the 08:00 UTC nearest to three quarters of the window; else to one after its end.

    The round that fixes an expiry comes with the step after it: there must be one.
    """
    length = finish - begin
    first = (_EXPIRY_HOUR * HOUR - begin) % _DAY or _DAY
    inside = range(first, length - spacing + 1, _DAY)
    if inside:
        return min(inside, key=lambda offset: abs(offset - EXPIRY_WITHIN * length))
    return first if first > length + HOUR else first + _DAY


# ---------------------------------------------------------------- the window


def _window(candles: Candles, start: str | None, end: str | None) -> Candles:
    """The candles that are replayed: checked, without gaps.

    Raises:
        RecordingError: see `recorded`.
    """
    has = int(candles.times[0]), int(candles.times[-1]) + candles.spacing
    begin = has[0] if start is None else _instant(start, "--from")
    finish = has[1] if end is None else _instant(end, "--to")
    its = f"It has candles from {_say(has[0])} to {_say(has[1])} UTC"
    if finish <= begin:
        raise RecordingError(f"The window ends at {_say(finish)}, before it begins.", "Choose --from before --to.")
    if finish - begin > LONGEST_DAYS * _DAY:
        raise RecordingError(
            f"The window of {candles.name} is {(finish - begin) / _DAY:.1f} days long; {LONGEST_DAYS} is the most.",
            f"{its}: choose a part with --from and --to.",
        )
    window = candles.between(begin, finish)
    if len(window.times) < 2:
        raise RecordingError(
            f"{candles.name} has no two candles between {_say(begin)} and {_say(finish)} UTC.",
            f"{its}, not all of it perhaps: choose another --from and --to.",
        )
    # The window's ends as if a candle just outside of it opened there.
    edges = [begin - 1, *window.times.tolist(), finish - candles.spacing + 1]
    for last, following in itertools.pairwise(edges):
        if following - last > candles.spacing:
            raise RecordingError(
                f"{candles.name} has a gap: no candle opens between {_say(last)} and {_say(following)} UTC.",
                f"{its}: choose --from and --to on one side of the gap.",
            )
    if np.any(np.diff(window.times) != candles.spacing):
        raise RecordingError(f"The candles of {candles.name} are not evenly spaced.", "Use candles of one width.")
    _require_sane(window)
    return window


def _require_sane(candles: Candles) -> None:
    """
    Raises:
        RecordingError: a value is missing, not positive, or outside of its candle.
    """
    columns = {name: getattr(candles, name) for name in _PRICES}
    for name, column in columns.items():
        wrong = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
        if wrong.size:
            raise RecordingError(
                f"{candles.name}: {name} is {column[wrong[0]]:g} at {_say(int(candles.times[wrong[0]]))} UTC.",
                "Mend the file, or choose a window that does not hold it, nor begins within a week after it.",
            )
    bodies = np.minimum(candles.open, candles.close), np.maximum(candles.open, candles.close)
    outside = np.flatnonzero((candles.low > bodies[0]) | (candles.high < bodies[1]))
    if outside.size:
        when = _say(int(candles.times[outside[0]]))
        raise RecordingError(
            f"{candles.name}: open or close is outside of low to high at {when} UTC.", "Check the file's columns."
        )


def _instant(text: str, option: str) -> int:
    """Seconds of a date or date-time, UTC where it names no zone."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RecordingError(
            f"{option} {text!r} is neither a date nor a date-time.",
            "Write 2024-08-05 or 2024-08-05T13:30, in UTC.",
        ) from None
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def _say(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M")


# ---------------------------------------------------------------- volatility


def _ewma(candles: Candles, window: Candles) -> FloatArray:
    """Annualised volatility before the window and after each of its candles, shape (candles + 1,).

    J.P. Morgan/Reuters, RiskMetrics (1996), 5.2: σ² ← λσ² + (1 − λ)r², with λ per hour whatever the candles' width.
    """
    begin = int(window.times[0])
    before = candles.between(begin - _WARM_UP, begin)
    _require_sane(before)
    closes = np.concatenate((before.open[:1], before.close, window.open[: not before.close.size], window.close))
    times = np.concatenate((before.times, window.times)) + candles.spacing
    seconds = np.diff(times, prepend=times[0] - candles.spacing)
    squares = np.diff(np.log(closes)) ** 2 * YEAR / seconds
    variance, path = START_VOL**2, [START_VOL**2]
    for square, weight in zip(squares, _DECAY ** (seconds / HOUR), strict=True):
        variance = weight * variance + (1 - weight) * square
        path.append(variance)
    return _within_range(np.sqrt(path[-len(window.times) - 1 :]))


def _index(index: Candles, window: Candles) -> FloatArray:
    """The index (1.0 = 100 points) before the window and after each of its candles, shape (candles + 1,).

    Raises:
        RecordingError: the index is not there all the time, or is not in points.
    """
    times = np.concatenate((window.times, window.times[-1:] + window.spacing))
    rows = np.searchsorted(index.times + index.spacing, times, side="right") - 1
    ages = times - (index.times[rows] + index.spacing)
    missing = np.flatnonzero((rows < 0) | (ages > _VOL_AGE))
    if missing.size:
        raise RecordingError(
            f"{index.name} has no volatility at {_say(int(times[missing[0]]))} UTC, nor in the day before.",
            "Leave out --vol: the candles' own volatility is used then.",
        )
    used = index.between(int(index.times[rows[0]]), int(index.times[rows[-1]]) + index.spacing)
    _require_sane(used)
    if np.any((used.close < _POINTS[0]) | (used.close > _POINTS[1])):
        raise RecordingError(
            f"{index.name} does not look like points of volatility: it goes from {used.close.min():g}"
            f" to {used.close.max():g}.",
            "55 points are 55 % a year.",
        )
    return _within_range(index.close[rows] / 100)


def _within_range(vols: FloatArray) -> FloatArray:
    return np.asarray(np.clip(vols, *_VOL_RANGE))


# ---------------------------------------------------------------- files


def _read(path: Path) -> Candles:
    """
    Raises:
        RecordingError: the file cannot be read, lacks a column, or its times are not sorted.
    """
    table = _table(path)
    lacks = [name for name in ("time", *_PRICES) if name not in table.column_names]
    if lacks:
        raise RecordingError(
            f"{path} has no column {', '.join(lacks)}.", "Its columns must be time, open, high, low, close."
        )
    times = _times(table["time"], path)
    if len(times) < 2:
        raise RecordingError(f"{path} has {len(times)} candles.", "Two are the least.")
    steps = np.diff(times)
    if np.any(steps <= 0):
        at = _say(int(times[int(np.flatnonzero(steps <= 0)[0]) + 1]))
        raise RecordingError(f"{path} is not sorted: {at} UTC is not after the row before it.", "Sort it by time.")
    columns = {name: _numbers(table[name], name, path) for name in _PRICES}
    return Candles(path.name, times, **columns, spacing=int(np.median(steps)))


def _table(path: Path) -> Any:
    import pyarrow.csv  # heavy
    import pyarrow.parquet

    readers = {".parquet": pyarrow.parquet.read_table, ".csv": pyarrow.csv.read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise RecordingError(f"{path} is neither .parquet nor .csv.", "Convert it to one of them.")
    try:
        with path.open("rb") as file:
            return reader(file)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0].rstrip(".")
        raise RecordingError(f"{path} cannot be read: {reason}.", "Check its name and that it is whole.") from None
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise RecordingError(f"{path} is not a {path.suffix} file: {reason}.", "Check that it is whole.") from None


def _times(column: Any, path: Path) -> NDArray[np.int64]:
    import pyarrow

    kind = column.type
    if not (pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)) or column.null_count:
        raise RecordingError(
            f"The column time of {path} is not a date and time in every row.", "Write 2024-08-05 13:30:00, in UTC."
        )
    seconds: NDArray[np.int64] = column.to_numpy().astype("datetime64[s]").astype(np.int64)
    return seconds


def _numbers(column: Any, name: str, path: Path) -> FloatArray:
    import pyarrow

    try:
        return np.asarray(column.cast(pyarrow.float64()).to_numpy(), dtype=np.float64)
    except pyarrow.ArrowException:
        raise RecordingError(f"The column {name} of {path} holds something else than numbers.", "Mend it.") from None
