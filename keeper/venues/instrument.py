"""The common form of a way to trade an underlying: the hedge problem knows no venue, only these numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


class VenueError(ValueError):
    """A venue cannot be traded in as it was read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Side:
    """Buying or selling through an instrument.

    Attributes:
        capacity: Largest trade, units; zero when the first unit already exceeds the contract's slippage limit.
        fee: Proportional cost, USDC per unit.
        impact: Quadratic cost, USDC per unit squared.
        cash: USDC that the vault's idle cash pays per unit; negative when it receives.
        carry: USDC per unit and day that the new exposure costs; negative when it saves.
        oracle_loss: What the contract records as loss, USDC per unit before impact.
    """

    capacity: float
    fee: float
    impact: float
    cash: float
    carry: float
    oracle_loss: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """One pool of one venue.

    Attributes:
        venue, pool: Indices as in ``Hedger.rebalance``.
        pool_address: Of the pool: instruments that share one share its depth.
        underlying: Index of the underlying.
        direction: +1 for a venue that holds the underlying, -1 for one that owes it.
        position: Units that the venue holds or owes: all its pools together can sell or buy back no more.
        room: Units by which all its pools together can add to that; infinite where nothing limits it.
        buy, sell: The two sides.
    """

    venue: int
    pool: int
    pool_address: str
    underlying: int
    name: str
    direction: int
    position: float
    buy: Side
    sell: Side
    room: float = inf


@dataclass(frozen=True, slots=True)
class Reference:
    """What the contract measures a trade towards neutral against: oracle price, largest loss of a leg as a share."""

    spot: float
    leg_slippage: float

    def loss_of_buying(self, price: float) -> float:
        """Recorded loss per unit of buying at ``price``, USDC."""
        return max(0.0, price - self.spot)

    def loss_of_selling(self, price: float) -> float:
        """Recorded loss per unit of selling at ``price``, USDC."""
        return max(0.0, self.spot - price)
