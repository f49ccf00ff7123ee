"""Why the vault made or lost what it did: profit by source, and the hedged vault's by cause, each summing exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keeper.risk.attribution import Attribution, HedgingError
from keeper.risk.performance import max_drawdown
from keeper.simulation.demo.record import DemoRecord, PoolCost
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.measures import attribution, performance, pool_cost

_COSTS = "paid for hedging"
_NEVER = "no step began outside it"
_ROUNDING = 1e-6  # USDC, of floats
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


def by_source(record: DemoRecord, shown: tuple[int, ...]) -> tuple[tuple[Row, float], ...]:
    """Each source of the hedged vault's profit, and what it is without the hedge. The residual is the rest."""
    pnl = [attribution(record, u) for u in shown]
    traded = [-sum(pool_cost(record, record.underlyings[u], read) for read in (_fees, _impact, _basis)) for u in shown]

    def of(read: Callable[[Attribution], float]) -> tuple[float, ...]:
        return tuple(read(p) for p in pnl)

    rows = (
        (
            Row("Premium over mid", "what takers paid above the mark, or sold below it", of(lambda p: p.premium)),
            sum(p.premium for p in pnl),
        ),
        (
            Row("Delta", "price moves times net delta, options and hedge", of(lambda p: p.delta)),
            sum(p.option_delta for p in pnl),
        ),
        (Row("Gamma", "half of gamma times squared price moves", of(lambda p: p.gamma)), sum(p.gamma for p in pnl)),
        (Row("Vega", "moves of posted volatility times vega", of(lambda p: p.vega)), sum(p.vega for p in pnl)),
        (
            Row("Theta", "time that passed: what sold options decay by", of(lambda p: p.theta)),
            sum(p.theta for p in pnl),
        ),
        (Row("Carry", "interest of the venues, earned less paid", of(lambda p: p.carry)), 0.0),
        (Row("Trading costs", "pool fees, price impact, distance from the oracle", tuple(traded)), 0.0),
    )
    rest = _rest("Residual", "higher orders, cross terms, rounding", pnl, [row for row, _ in rows])
    return (*rows, (rest, sum(p.unhedged for p in pnl) - sum(unhedged for _, unhedged in rows)))


def by_cause(record: DemoRecord, shown: tuple[int, ...]) -> tuple[Row, ...]:
    """The hedged vault's profit and loss by what caused it, gas not among it. The residual is what the rest lacks."""
    pnl = [attribution(record, u) for u in shown]
    error = [sum((step.underlyings[u].error for step in record.steps), HedgingError()) for u in shown]
    outside = [_outside(record, u) for u in shown]
    reasons = dict.fromkeys(reason for found in outside for reason in found) or {_NEVER: None}

    def pools(read: Callable[[PoolCost], float]) -> tuple[float, ...]:
        return tuple(-pool_cost(record, record.underlyings[u], read) for u in shown)

    rows = (
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
        Row("Pool fees", _COSTS, pools(_fees)),
        Row("Price impact", _COSTS, pools(_impact)),
        Row("Pools away from the oracle", _COSTS, pools(_basis)),
    )
    return (*rows, _rest("Residual", "higher orders and cross terms of ordinary moves, rounding", pnl, rows))


def _fees(pool: PoolCost) -> float:
    return pool.fees


def _impact(pool: PoolCost) -> float:
    return pool.impact


def _basis(pool: PoolCost) -> float:
    return pool.basis


def _rest(label: str, meaning: str, pnl: Sequence[Attribution], rows: Sequence[Row]) -> Row:
    """What the rows lack to the whole."""
    return Row(label, meaning, tuple(p.total - sum(row.amounts[k] for row in rows) for k, p in enumerate(pnl)))


def in_words(rows: tuple[Row, ...], start: float) -> str:
    """The causes that matter, the largest first: at least a fiftieth of the largest and of a basis point of NAV."""
    merged: dict[str, float] = {}
    for row in rows:
        label = "trading costs" if row.meaning == _COSTS else row.label[0].lower() + row.label[1:]
        merged[label] = merged.get(label, 0.0) + row.total
    ranked = sorted(merged.items(), key=lambda item: -abs(item[1]))
    least = max(abs(ranked[0][1]) / 50, start / 10_000)
    gave = [f"{label} {figures.number(amount, 0)}" for label, amount in ranked if amount >= least]
    took = [f"{label} {figures.number(-amount, 0)}" for label, amount in ranked if amount <= -least]
    whole = sum(merged.values())
    verb = "made" if whole >= 0 else "lost"
    words = f"The hedged vault {verb} {figures.number(abs(whole), 0)} USDC."
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
        if abs(one.error.delta_outside) > _ROUNDING:
            found[reason] = found.get(reason, 0.0) + one.error.delta_outside
        reason = one.outside_because
    return found
