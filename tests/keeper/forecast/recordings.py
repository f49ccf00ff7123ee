"""Recorded candles as days."""

from __future__ import annotations

from functools import cache

from keeper.forecast.realised import Days, days_of
from keeper.simulation.demo.candles import read
from keeper.simulation.paths import data_dir

UNDERLYINGS = ("ETH", "BTC")


def has_candles() -> bool:
    """Whether there are recorded hourly candles of both underlyings."""
    folder = data_dir()
    return folder is not None and all((folder / "prices" / f"{u.lower()}_1h.parquet").is_file() for u in UNDERLYINGS)


@cache
def recorded_days(underlying: str) -> Days:
    """All days of an underlying's hourly candles, January 2018 to March 2026."""
    folder = data_dir()
    assert folder is not None, "ask has_candles first"
    candles = read(folder / "prices" / f"{underlying.lower()}_1h.parquet")
    return days_of(candles.times, candles.open, candles.high, candles.low, candles.close, candles.spacing)
