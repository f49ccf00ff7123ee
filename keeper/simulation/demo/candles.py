"""Candles in files: read and checked.

A file holds the columns time (UTC, of the candle's open), open, high, low, close, and volume, which is not used, as
parquet or csv.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from keeper.domain.times import utc_minute
from keeper.domain.valuation import FloatArray
from keeper.market.recordings import RecordingError, numbers, table_of, times_of

_PRICES: Final = ("open", "high", "low", "close")


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
        return self._rows(
            int(np.searchsorted(self.times, start)), int(np.searchsorted(self.times, end - self.spacing, side="right"))
        )

    def covering(self, start: int, end: int) -> Candles:
        """Those that hold some of the time from ``start`` to ``end``."""
        first = max(int(np.searchsorted(self.times, start, side="right")) - 1, 0)
        return self._rows(first, int(np.searchsorted(self.times, end)))

    def require_whole(self, before: int, after: int) -> None:
        """None is missing between a candle that opens at ``before`` and one that opens at ``after``, and all are sane.

        Raises:
            RecordingError: there is a gap, they are not evenly spaced, or a value cannot be.
        """
        for last, following in itertools.pairwise((before, *self.times.tolist(), after)):
            if following - last > self.spacing:
                raise RecordingError(
                    f"{self.name} has a gap: no candle opens"
                    f" between {utc_minute(last)} and {utc_minute(following)} UTC.",
                    "Choose --from and --to on one side of the gap, and within all files.",
                )
        if np.any(np.diff(self.times) != self.spacing):
            raise RecordingError(f"The candles of {self.name} are not evenly spaced.", "Use candles of one width.")
        self.require_sane()

    @property
    def span(self) -> tuple[int, int]:
        """From the first opening to the last close."""
        return int(self.times[0]), int(self.times[-1]) + self.spacing

    @property
    def its(self) -> str:
        """The span in words."""
        return f"It has candles from {utc_minute(self.span[0])} to {utc_minute(self.span[1])} UTC"

    def require_sane(self) -> None:
        """
        Raises:
            RecordingError: a value is missing, not positive, or outside of its candle.
        """
        columns = {name: getattr(self, name) for name in _PRICES}
        for name, column in columns.items():
            wrong = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
            if wrong.size:
                raise RecordingError(
                    f"{self.name}: {name} is {column[wrong[0]]:g} at {utc_minute(int(self.times[wrong[0]]))} UTC.",
                    "Mend the file, or choose a window that does not hold it, nor begins within a week after it.",
                )
        bodies = np.minimum(self.open, self.close), np.maximum(self.open, self.close)
        outside = np.flatnonzero((self.low > bodies[0]) | (self.high < bodies[1]))
        if outside.size:
            when = utc_minute(int(self.times[outside[0]]))
            raise RecordingError(
                f"{self.name}: open or close is outside of low to high at {when} UTC.", "Check the file's columns."
            )

    def _rows(self, first: int, end: int) -> Candles:
        rows = slice(first, end)
        prices = (self.open[rows], self.high[rows], self.low[rows], self.close[rows])
        return Candles(self.name, self.times[rows], *prices, self.spacing)


def read(path: Path) -> Candles:
    """The candles of a file.

    Raises:
        RecordingError: the file cannot be read, lacks a column, or its times are not sorted.
    """
    table = table_of(path, ("time", *_PRICES))
    times = times_of(table, "time", path)
    if len(times) < 2:
        raise RecordingError(f"{path} has {len(times)} candles.", "Two are the least.")
    steps = np.diff(times)
    if np.any(steps <= 0):
        at = utc_minute(int(times[int(np.flatnonzero(steps <= 0)[0]) + 1]))
        raise RecordingError(f"{path} is not sorted: {at} UTC is not after the row before it.", "Sort it by time.")
    columns = {name: numbers(table, name, path) for name in _PRICES}
    return Candles(path.name, times, **columns, spacing=int(np.median(steps)))
