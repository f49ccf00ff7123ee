"""Why the vault made or lost what it did: profit by source, and the hedged vault's by cause, each summing exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keeper.risk.attribution import Attribution, HedgingError
from keeper.simulation.record import DemoRecord, PoolCost
from keeper.simulation.report.measures import attribution, max_drawdown, performance

_OUTSIDE = {
    "loss budget": "the loss budget was used up",
    "cash": "idle cash was short",
    "margin": "margin was short",
    "other limits": "another limit held the hedge back",
    "keeper refused": "the keeper refused to act",
    "moved after the rebalance": "no limit: the options' delta moved after the rebalance",
    "no trade worth its cost": "no limit: the trade was not worth its cost",
    "": "no limit: between two decisions",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One source or cause: USDC per underlying."""

    label: str
    meaning: str
    amounts: tuple[float, ...]

    @property
    def total(self) -> float:
        """Of all underlyings."""
        return sum(self.amounts)


@dataclass(frozen=True, slots=True)
class Alternative:
    """What the same deposits would have become, USDC; ``fall`` is the deepest one from an earlier peak."""

    name: str
    meaning: str
    end: float
    change: float
    fall: float
    role: str = ""


def alternatives(record: DemoRecord) -> tuple[Alternative, ...]:
    """The vault against what the depositors could have done instead, later comings and goings taken out."""
    nav = performance(record)
    found = [
        _alternative("The vault", "sells options and hedges them", nav.hedged, nav.start, "hedged"),
        _alternative(
            "Static collateral", "sells the same options and never hedges them", nav.unhedged, nav.start, "unhedged"
        ),
        Alternative("USDC, held", "does nothing", nav.start, 0.0, 0.0),
    ]
    base = next(i for i, step in enumerate(record.steps) if step.nav_mid > 0)
    shares = [
        sum(now.price / was.price for now, was in zip(step.underlyings, record.steps[base].underlyings, strict=True))
        / len(record.underlyings)
        for step in record.steps[base:]
    ]
    mix = " and ".join(record.underlyings)
    held = tuple(nav.start * share for share in shares)
    found.append(_alternative(f"{mix}, held", "for context: equal parts bought at the start", held, nav.start, ""))
    return tuple(found)


_SOURCES: tuple[tuple[str, str, Callable[[Attribution], float], Callable[[Attribution], float]], ...] = (
    (
        "Premium over mid",
        "what takers paid above the mark, or sold below it",
        lambda p: p.premium,
        lambda p: p.premium,
    ),
    ("Delta", "the price times net delta, options and hedge", lambda p: p.delta, lambda p: p.option_delta),
    ("Gamma", "half of gamma times the squared move", lambda p: p.gamma, lambda p: p.gamma),
    ("Vega", "posted volatility times vega", lambda p: p.vega, lambda p: p.vega),
    ("Theta", "time that passed: what sold options decay by", lambda p: p.theta, lambda p: p.theta),
    ("Carry", "interest of the venues, earned less paid", lambda p: p.carry, lambda p: 0.0),
    ("Trading costs", "pool fees, impact, distance from the oracle", lambda p: p.costs, lambda p: 0.0),
    ("Residual", "higher orders and cross terms", lambda p: p.residual, lambda p: p.option_residual),
)


def by_source(record: DemoRecord, shown: tuple[int, ...]) -> tuple[tuple[Row, float], ...]:
    """Each source of the hedged vault's profit, and its total without the hedge."""
    pnl = [attribution(record, u) for u in shown]
    return tuple(
        (Row(label, meaning, tuple(hedged(p) for p in pnl)), sum(unhedged(p) for p in pnl))
        for label, meaning, hedged, unhedged in _SOURCES
    )


def by_cause(record: DemoRecord, shown: tuple[int, ...]) -> tuple[Row, ...]:
    """The hedged vault's profit and loss by what caused it; the rows sum to the whole, gas not among them."""
    pnl = [attribution(record, u) for u in shown]
    error = [sum((step.underlyings[u].error for step in record.steps), HedgingError()) for u in shown]
    outside = [_outside(record, u) for u in shown]
    reasons = dict.fromkeys(reason for found in outside for reason in found)

    def pools(read: Callable[[PoolCost], float]) -> tuple[float, ...]:
        paid = [pool for trade in record.trades for pool in trade.pools]
        return tuple(-sum(read(pool) for pool in paid if pool.symbol == record.underlyings[u]) for u in shown)

    return (
        Row("Premium over mid", "earned at the sale", tuple(p.premium for p in pnl)),
        Row("Theta", "earned as the sold options decay", tuple(p.theta for p in pnl)),
        Row(
            "Gamma of ordinary moves",
            "moves of up to three standard deviations of their step: a book that is neutral at every step has this too",
            tuple(e.gamma for e in error),
        ),
        Row(
            "Gaps",
            "gamma and everything beyond it in larger moves, before anyone could trade",
            tuple(e.gaps for e in error),
        ),
        Row("Delta inside the band", "what the target band lets stand", tuple(e.delta_inside for e in error)),
        *(
            Row(
                "Delta outside the band",
                _OUTSIDE.get(reason, reason),
                tuple(found.get(reason, 0.0) for found in outside),
            )
            for reason in reasons
        ),
        Row("Vega", "posted volatility moved", tuple(p.vega for p in pnl)),
        Row("Carry", "interest of the venues", tuple(p.carry for p in pnl)),
        Row("Pool fees", "costs", pools(lambda pool: pool.fees)),
        Row("Price impact", "costs", pools(lambda pool: pool.impact)),
        Row("Pools away from the oracle", "costs", pools(lambda pool: pool.basis)),
        Row("Residual", "higher orders and cross terms of ordinary moves", tuple(e.residual for e in error)),
    )


def in_words(rows: tuple[Row, ...], start: float, write: Callable[[float], str]) -> str:
    """The causes that matter, the largest first: at least a fiftieth of the largest and of a basis point of NAV."""
    merged: dict[str, float] = {}
    for row in rows:
        label = "trading costs" if row.meaning == "costs" else row.label[0].lower() + row.label[1:]
        merged[label] = merged.get(label, 0.0) + row.total
    ranked = sorted(merged.items(), key=lambda item: -abs(item[1]))
    least = max(abs(ranked[0][1]) / 50, start / 10_000)
    gave = [f"{label} {write(amount)}" for label, amount in ranked if amount >= least]
    took = [f"{label} {write(-amount)}" for label, amount in ranked if amount <= -least]
    whole = sum(merged.values())
    verb = "made" if whole >= 0 else "lost"
    words = f"The hedged vault {verb} {write(abs(whole))} USDC."
    if took:
        words += f" Taken: {', '.join(took)}."
    if gave:
        words += f" Given: {', '.join(gave)}."
    return words


def _alternative(name: str, meaning: str, values: tuple[float, ...], start: float, role: str) -> Alternative:
    return Alternative(name, meaning, values[-1], values[-1] / start - 1, max_drawdown(values) / start, role)


def _outside(record: DemoRecord, u: int) -> Mapping[str, float]:
    """P&L of net delta beyond its band, by what had kept it there when the price moved."""
    found: dict[str, float] = {}
    reason = ""
    for step in record.steps:
        one = step.underlyings[u]
        if one.error.delta_outside:
            found[reason] = found.get(reason, 0.0) + one.error.delta_outside
        reason = one.outside_because
    return found
