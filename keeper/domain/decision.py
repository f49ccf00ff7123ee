"""What the keeper decided, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keeper.domain.offer import Fill, Offer


class Action(StrEnum):
    """TRADE submits the legs, HOLD is a decision not to; REFUSE: the keeper must not act and someone should look."""

    TRADE = "trade"
    HOLD = "hold"
    REFUSE = "refuse"


class Rule(StrEnum):
    """Which of the keeper's two rules decides: HEDGE the book, or CLOSE what hedges a book without options."""

    HEDGE = "hedge"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Brief:
    """What a decision depends on besides snapshot and policy.

    ``offers`` are makers', and ``vega_budget_wad`` is OptionBook.vega_budget for what is taken of them.
    ``last_rebalance`` is how many legs the newest one had and the gas that it took; without one the policy's counts.
    """

    rule: Rule = Rule.HEDGE
    offers: tuple[Offer, ...] = ()
    vega_budget_wad: int = 0
    last_rebalance: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One trade, as `Hedger.rebalance` takes it: units of the underlying and USDC per unit, WAD."""

    venue: int
    pool: int
    delta_change: int
    limit_price: int


@dataclass(frozen=True, slots=True)
class Costs:
    """Expected costs in USDC: pool fee, price impact, gas, and a day's carry of the new exposure."""

    fee: float = 0.0
    impact: float = 0.0
    gas: float = 0.0
    carry: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.fee + self.impact + self.gas + self.carry


@dataclass(frozen=True, slots=True)
class DeltaChange:
    """Delta of one underlying around the decision, units; ``band`` is the contracts' target band at the current NAV."""

    underlying: int
    before: float
    after: float
    band: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One block's decision: pure function of a snapshot, a policy and a brief.

    ``risk_before`` and ``risk_after`` are the objective's terms of variance and CVaR in USDC; ``binding`` names the
    limits that stopped the solver from going further, with their shadow prices in USDC per unit of the row. ``fills``
    are of makers' offers: worth taking with the hedge that follows, while the legs count on none of them.
    """

    block_number: int
    block_hash: str
    action: Action
    reason: str
    legs: tuple[Leg, ...] = ()
    deltas: tuple[DeltaChange, ...] = ()
    costs: Costs = Costs()
    risk_before: float = 0.0
    risk_after: float = 0.0
    binding: tuple[tuple[str, float], ...] = ()
    fills: tuple[Fill, ...] = ()
