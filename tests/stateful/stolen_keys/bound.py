"""The published bound on what stolen keys can cost within 24 hours, from the parameters of the deployed contracts.

docs/stolen_keys.md derives each line; everything is a share of NAV.
"""

from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol
from tests.stateful.stolen_keys.heist import AWAY, FEED_ERROR, RECORDED, TOWARDS


def bound(protocol: Protocol) -> dict[str, float]:
    """The most that each channel can cost. A bucket that is full at the theft gives its capacity and a day's refill."""
    hedges = protocol.hedger.budgets()
    losses = _day(hedges.loss_capacity, hedges.loss_per_day)
    emergencies = _day(hedges.emergency_capacity, hedges.emergency_per_day)
    return {
        RECORDED: losses + emergencies,
        AWAY: _day(hedges.turnover_capacity, hedges.turnover_per_day) * FEED_ERROR,
        TOWARDS: _day(hedges.hedging_capacity, hedges.hedging_per_day) * FEED_ERROR,
    }


def _day(capacity: int, per_day: int) -> float:
    return (capacity + per_day) / WAD
