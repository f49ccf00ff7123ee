"""The keeper's numerics against the libraries that one would otherwise use; goals are QUANT.md's."""

from __future__ import annotations

from tests.bench import delta, forecast, frontier, hedging, pricing, quoting, risk, simulated, surface
from tests.bench.results import Row


def run() -> list[Row]:
    """All rows."""
    groups = (pricing, surface, forecast, delta, hedging, frontier, simulated, risk, quoting)
    return [entry for group in groups for entry in group.run()]
