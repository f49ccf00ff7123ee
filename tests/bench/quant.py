"""The keeper's numerics against the libraries that one would otherwise use; goals are QUANT.md's."""

from __future__ import annotations

from tests.bench import delta, forecast, hedging, pricing, risk, surface
from tests.bench.results import Row


def run() -> list[Row]:
    """All rows."""
    return [*pricing.run(), *surface.run(), *forecast.run(), *delta.run(), *hedging.run(), *risk.run()]
