"""Recorded candles as days."""

from __future__ import annotations

from functools import cache

from keeper.forecast.realised import Days, days_of
from keeper.simulation.demo.candles import Candles, read
from keeper.simulation.paths import data_dir

UNDERLYINGS = ("ETH", "BTC")


@cache
def candles_of(underlying: str, width: str) -> Candles | None:
    """All recorded candles of a width ("1h" from January 2018 to March 2026, "5m"); None where there are none."""
    folder = data_dir()
    file = folder / "prices" / f"{underlying.lower()}_{width}.parquet" if folder else None
    return read(file) if file and file.is_file() else None


def days_of_candles(candles: Candles) -> Days:
    """The days of a recording."""
    return days_of(candles.times, candles.open, candles.high, candles.low, candles.close, candles.spacing)


def has_candles() -> bool:
    """Whether there are recorded hourly candles of both underlyings."""
    return all(candles_of(underlying, "1h") is not None for underlying in UNDERLYINGS)


@cache
def recorded_days(underlying: str) -> Days:
    """All days of an underlying's hourly candles."""
    candles = candles_of(underlying, "1h")
    assert candles is not None, "ask has_candles first"
    return days_of_candles(candles)
