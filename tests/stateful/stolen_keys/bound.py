"""The published bound on what stolen keys can cost within 24 hours, from the parameters of the deployed contracts.

docs/stolen_keys.md derives each line; everything is a share of NAV.
"""

from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol
from tests.stateful.stolen_keys.heist import AWAY, FEED_ERROR, RECORDED


def bound(protocol: Protocol) -> dict[str, float]:
    """The most that each channel can cost. A bucket that is full at the theft gives its capacity and a day's refill."""
    budgets = protocol.hedger.budgets()
    losses = budgets.loss_capacity + budgets.loss_per_day
    emergencies = budgets.emergency_capacity + budgets.emergency_per_day
    away = budgets.turnover_capacity + budgets.turnover_per_day
    return {
        RECORDED: (losses + emergencies) / WAD,
        AWAY: away / WAD * FEED_ERROR,
    }
