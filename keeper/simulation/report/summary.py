"""The numbers of a demo run: what `summary.json`, the terminal and the report all show."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from keeper.simulation.record import DemoRecord, StepRecord, TradeRecord
from keeper.simulation.report import figures

_NUMBER = re.compile(r"[-+−]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")
_IN_BAND = 1 + 1e-9  # the record's floats were integers on chain


@dataclass(frozen=True, slots=True)
class Performance:
    """NAV in USDC at each step as if nobody had come or gone after ``start``; NaN before it.

    ``start`` is the NAV of the first step at which the vault owns something. Later deposits and redemptions are taken
    out of both series, so that what moves them is the market and the hedge alone. A step contains what came or went
    before its second; in the same second only the first step does.
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
    since = record.steps[base].timestamp
    flows = [sum(f.usdc for f in record.flows if since < f.timestamp < step.timestamp) for step in record.steps]
    later = [i >= base for i in range(len(record.steps))]
    return Performance(
        start=record.steps[base].nav_mid,
        hedged=tuple(s.nav_mid - f if on else math.nan for s, f, on in zip(record.steps, flows, later, strict=True)),
        unhedged=tuple(
            s.nav_unhedged - f if on else math.nan for s, f, on in zip(record.steps, flows, later, strict=True)
        ),
    )


def max_drawdown(values: Sequence[float]) -> float:
    """The deepest fall from an earlier peak, in the values' own unit; 0 if they never fall. NaNs are skipped."""
    peak, deepest = -math.inf, 0.0
    for x in values:
        if not math.isnan(x):
            peak = max(peak, x)
            deepest = max(deepest, peak - x)
    return deepest


def ends_in_band(trade: TradeRecord) -> bool:
    """Whether net delta after the rebalance is inside the target band."""
    return abs(trade.delta_after) <= trade.band * _IN_BAND


def trade_cost(trade: TradeRecord) -> float:
    """Fees, impact, basis and gas of a rebalance, USDC."""
    return trade.fees + trade.impact + trade.basis + trade.gas


def fall_begins(record: DemoRecord) -> StepRecord:
    """The last step before the path: what price and volatility are compared with."""
    before = [step for step in record.steps if step.timestamp <= record.crash_from]
    return before[-1] if before else record.steps[0]


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


def utc(timestamp: int) -> str:
    """ISO 8601, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summarise(record: DemoRecord) -> dict[str, object]:
    """The run's numbers: USDC and units as in the record, shares of 1.0, times in UTC.

    Drawdowns are the deepest fall from an earlier peak of `performance`, as a share of the starting NAV. Ratios of
    price and volatility are to `fall_begins`. What has no value (no rebalance, no margin) is None.

    Raises:
        ValueError: there is no step with a positive NAV.
    """
    nav = performance(record)
    begins, last = fall_begins(record), record.steps[-1]
    price_low = min(step.price for step in record.steps)
    vol_high = max(step.market_vol for step in record.steps)
    cover = [step.nav_bid / step.initial_margin for step in record.steps if step.initial_margin > 0]
    trades = record.trades
    idle = idleness(record)
    return {
        "market": record.market,
        "seed": record.seed,
        "hours": record.hours,
        "seconds": record.seconds,
        "steps": len(record.steps),
        "started_at": utc(record.steps[0].timestamp),
        "fall_began_at": utc(record.crash_from),
        "ended_at": utc(last.timestamp),
        "books_balance": record.books_balance,
        "checks": [{**asdict(check), "holds": check.holds} for check in record.checks],
        "price_start": begins.price,
        "price_low": price_low,
        "price_end": last.price,
        "price_low_ratio": price_low / begins.price,
        "vol_start": begins.market_vol,
        "vol_high": vol_high,
        "vol_high_ratio": vol_high / begins.market_vol,
        "nav_start": nav.start,
        "nav_end": last.nav_mid,
        "nav_per_share_start": record.steps[0].share_price,
        "nav_per_share_end": last.share_price,
        "change_hedged": nav.hedged[-1] / nav.start - 1,
        "change_unhedged": nav.unhedged[-1] / nav.start - 1,
        "max_drawdown_hedged": max_drawdown(nav.hedged) / nav.start,
        "max_drawdown_unhedged": max_drawdown(nav.unhedged) / nav.start,
        "rebalances": len(trades),
        "delta_in_band_after_rebalance": sum(map(ends_in_band, trades)) / len(trades) if trades else None,
        "turnover": sum(trade.turnover for trade in trades),
        "holds": sum(i.count for i in idle if i.action == "hold"),
        "refusals": sum(i.count for i in idle if i.action == "refuse"),
        "costs": dict(record.costs),
        "costs_total": sum(record.costs.values()),
        "profit": dict(record.profit),
        "profit_total": sum(record.profit.values()),
        "lowest_equity_to_initial_margin": min(cover) if cover else None,
        "lowest_gap_headroom": min(step.gap_headroom for step in record.steps),
        "highest_gamma_use": max(step.gamma_use for step in record.steps),
        "highest_vega_use": max(step.vega_use for step in record.steps),
        "fills": len(record.fills),
        "premiums": sum(fill.premium if fill.vault_sells else -fill.premium for fill in record.fills),
        "settled_series": len(record.settlements),
        "settled_paid": sum(settlement.paid for settlement in record.settlements),
        "deposits": sum(flow.usdc > 0 for flow in record.flows),
        "deposited": sum(flow.usdc for flow in record.flows if flow.usdc > 0),
        "redemptions": sum(flow.usdc < 0 for flow in record.flows),
        "redeemed": -sum(flow.usdc for flow in record.flows if flow.usdc < 0),
    }


def write_summary(record: DemoRecord, path: Path) -> None:
    """`summarise` as JSON. Folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summarise(record), indent=2, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")


def summary_table(record: DemoRecord) -> Table:
    """The story in a few rows, for the terminal."""
    nav = performance(record)
    begins, last = fall_begins(record), record.steps[-1]
    low = min(step.price for step in record.steps)
    high = max(step.market_vol for step in record.steps)
    paid = sum(s.paid for s in record.settlements)
    table = Table(title=f"Keel demo · {record.market} · {record.hours:g} h", title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")

    def change(values: Sequence[float]) -> str:
        return figures.percent(values[-1] / nav.start - 1, signed=True)

    def deepest(values: Sequence[float]) -> str:
        return f"{figures.percent(-max_drawdown(values) / nav.start, signed=True)} from its peak"

    table.add_row(
        "ETH", figures.percent(low / begins.price - 1, signed=True), f"{begins.price:,.0f} to {low:,.0f} USDC"
    )
    table.add_row(
        "volatility",
        f"×{high / begins.market_vol:.2f}",
        f"{figures.percent(begins.market_vol)} to {figures.percent(high)}",
    )
    table.add_row("vault, hedged", change(nav.hedged), deepest(nav.hedged))
    table.add_row("the same, unhedged", change(nav.unhedged), deepest(nav.unhedged))
    table.add_row(
        "share price", f"{last.share_price:.6f}", f"from {record.steps[0].share_price:.6f} USDC, marked at bid"
    )
    inside = sum(map(ends_in_band, record.trades))
    table.add_row("rebalances", f"{len(record.trades)}", f"{inside} ended inside the delta band")
    table.add_row("turnover", figures.usdc(sum(t.turnover for t in record.trades)), "USDC")
    table.add_row("costs", figures.usdc(sum(record.costs.values())), escape(figures.parts(record.costs)))
    table.add_row(
        "profit", figures.usdc(sum(record.profit.values()), signed=True), escape(figures.parts(record.profit))
    )
    table.add_row("options filled", f"{len(record.fills)}", f"{len({f.series for f in record.fills})} series")
    table.add_row("settled", f"{len(record.settlements)}", f"{figures.usdc(paid)} USDC paid to holders")
    cover = [step.nav_bid / step.initial_margin for step in record.steps if step.initial_margin > 0]
    if cover:
        table.add_row("equity / initial margin", f"{min(cover):.2f}", "at its lowest")
    redeemed = -sum(flow.usdc for flow in record.flows if flow.usdc < 0)
    table.add_row("redeemed", figures.usdc(redeemed), "USDC")
    failed = [check.name for check in record.checks if not check.holds]
    verdict = "[bold green]balance[/]" if record.books_balance else "[bold red]DO NOT BALANCE[/]"
    table.add_row(
        "books", verdict, escape(", ".join(failed)) if failed else f"{len(record.checks)} checks, to the unit"
    )
    table.add_row("took", f"{record.seconds:.0f} s", f"{len(record.steps)} steps")
    return table
