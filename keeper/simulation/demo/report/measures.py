"""What is worked out from a demo's record: performance, what the keeper did not do, and where the money went."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from keeper.risk.attribution import Attribution
from keeper.simulation.demo.record import DeltaMove, DemoRecord, PoolCost, StepRecord, TradeRecord

_NUMBER = re.compile(r"[-+−]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
_IN_BAND = 1 + 1e-9  # the record's floats were integers on chain


@dataclass(frozen=True, slots=True)
class Performance:
    """NAV in USDC at each step as if nobody had come or gone after the first; NaN while nobody has deposited.

    ``start`` is what the depositors had brought by the first step at which the vault owns something. Later deposits
    and redemptions are taken out of all series, so that what moves them is the market and the hedge alone.
    ``unhedged`` is the peers' vault, which backs the same options with static collateral; depositors who kept their
    USDC would have ``start`` throughout.
    """

    start: float
    hedged: tuple[float, ...]
    unhedged: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Idleness:
    """A kind of reason for which the keeper did not trade: how often, and its latest wording."""

    action: str
    kind: str
    count: int
    first: int
    last: int
    example: str


def performance(record: DemoRecord) -> Performance:
    """
    Raises:
        ValueError: there is no step with a positive NAV.
    """
    base = next((i for i, step in enumerate(record.steps) if step.nav_mid > 0), None)
    if base is None:
        raise ValueError("the record has no step at which the vault owns anything")
    start = record.steps[base].deposited

    def adjusted(nav: float, i: int) -> float:
        return nav - (record.steps[i].deposited - start) if i >= base else math.nan

    return Performance(
        start=start,
        hedged=tuple(adjusted(step.nav_mid, i) for i, step in enumerate(record.steps)),
        unhedged=tuple(adjusted(step.nav_unhedged, i) for i, step in enumerate(record.steps)),
    )


def in_band(delta: DeltaMove) -> bool:
    """Whether net delta is inside its target band after the rebalance."""
    return abs(delta.after) <= delta.band * _IN_BAND


def ends_in_band(trade: TradeRecord) -> bool:
    """Whether that is so for every underlying."""
    return all(map(in_band, trade.deltas))


def trade_cost(trade: TradeRecord) -> float:
    """Fees, impact, basis and gas of a rebalance, USDC."""
    return trade.fees + trade.impact + trade.basis + trade.gas


def fall_begins(record: DemoRecord) -> StepRecord:
    """The last step before the path: what price and volatility are compared with."""
    before = [step for step in record.steps if step.timestamp <= record.crash_from]
    return before[-1] if before else record.steps[0]


def active(record: DemoRecord) -> tuple[int, ...]:
    """Indices of the underlyings in which an option or a hedge was traded; all of them where none was."""
    traded = {fill.symbol for fill in record.fills} | {pool.symbol for trade in record.trades for pool in trade.pools}
    found = tuple(u for u, symbol in enumerate(record.underlyings) if symbol in traded)
    return found or tuple(range(len(record.underlyings)))


def lowest_price(record: DemoRecord, underlying: int) -> float:
    """USDC, over all steps."""
    return min(step.underlyings[underlying].price for step in record.steps)


def highest_vol(record: DemoRecord, underlying: int) -> float:
    """The market's at-the-money volatility, over all steps."""
    return max(step.underlyings[underlying].market_vol for step in record.steps)


def attribution(record: DemoRecord, underlying: int) -> Attribution:
    """Profit and loss of one underlying by source, over all steps."""
    return sum((step.underlyings[underlying].pnl for step in record.steps), Attribution())


def pool_cost(record: DemoRecord, symbol: str, read: Callable[[PoolCost], float]) -> float:
    """A cost of one underlying's trades in whole cents per pool, so that every table that tells it agrees, USDC."""
    paid = [pool for trade in record.trades for pool in trade.pools if pool.symbol == symbol]
    names = dict.fromkeys(pool.pool for pool in paid)
    return sum(round(sum(read(pool) for pool in paid if pool.pool == name), 2) for name in names)


def costs(record: DemoRecord) -> dict[str, float]:
    """What hedging cost, by cause, USDC; the gas is the keeper's and not in NAV."""

    def paid(read: Callable[[PoolCost], float]) -> float:
        return sum(pool_cost(record, symbol, read) for symbol in record.underlyings)

    return {
        "pool fees": paid(lambda pool: pool.fees),
        "price impact": paid(lambda pool: pool.impact),
        "pool away from oracle": paid(lambda pool: pool.basis),
        "interest": -sum(attribution(record, u).carry for u in range(len(record.underlyings))),
        "gas (paid by the keeper)": sum(trade.gas for trade in record.trades),
    }


def idleness(record: DemoRecord) -> tuple[Idleness, ...]:
    """The steps that ended in a decision not to trade by kind of reason, the most frequent first.

    A kind is a reason's text up to its first colon, with its numbers left out.
    """
    kinds: dict[tuple[str, str], list[StepRecord]] = {}
    for step in record.steps:
        if step.action in ("hold", "refuse"):
            kind = _NUMBER.sub("…", step.reason.split(":")[0]).strip() or "no reason given"
            kinds.setdefault((step.action, kind), []).append(step)
    found = [
        Idleness(action, kind, len(steps), steps[0].timestamp, steps[-1].timestamp, steps[-1].reason)
        for (action, kind), steps in kinds.items()
    ]
    return tuple(sorted(found, key=lambda idle: -idle.count))
