"""The numbers of a demo run: what `summary.json`, the terminal and the report all show."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from keeper.domain.units import HOUR
from keeper.risk.attribution import Attribution
from keeper.risk.performance import max_drawdown
from keeper.simulation.demo.record import DemoRecord, RedemptionRecord, StepRecord
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.explained import by_cause
from keeper.simulation.demo.report.measures import (
    active,
    attribution,
    costs,
    ends_in_band,
    fall_begins,
    highest_vol,
    idleness,
    lowest_price,
    performance,
)

_OF_THE_FIRST = ("price_start", "price_low", "price_end", "price_low_ratio", "vol_start", "vol_high", "vol_high_ratio")


def utc(timestamp: int) -> str:
    """ISO 8601, to the second."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summarise(record: DemoRecord) -> dict[str, object]:
    """The run's numbers: USDC and units as in the record, shares of 1.0, times in UTC.

    Drawdowns are the deepest fall from an earlier peak of `performance`, as a share of the starting NAV. Ratios of
    price and volatility are to `fall_begins`; outside ``underlyings`` they are the first underlying's. What has no
    value (no rebalance, no margin) is None.

    Raises:
        ValueError: there is no step with a positive NAV.
    """
    nav = performance(record)
    last = record.steps[-1]
    by_underlying = {record.underlyings[u]: _underlying(record, u) for u in range(len(record.underlyings))}
    first = by_underlying[record.underlyings[0]]
    cover = [step.nav_bid / step.initial_margin for step in record.steps if step.initial_margin > 0]
    trades = record.trades
    idle = idleness(record)
    pnl = [attribution(record, u) for u in range(len(record.underlyings))]
    spent = costs(record)
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
        **{key: first[key] for key in _OF_THE_FIRST},
        "underlyings": by_underlying,
        "nav_start": nav.start,
        "nav_end": last.nav_mid,
        "nav_if_collateral_were_held": last.deposited,
        "nav_if_never_hedged": last.nav_unhedged,
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
        "costs": spent,
        "costs_total": sum(spent.values()),
        "profit": sources(sum(pnl, Attribution())),
        "profit_total": sum(each.total for each in pnl),
        "profit_unhedged": sum(each.unhedged for each in pnl),
        "profit_by_underlying": {symbol: sources(each) for symbol, each in zip(record.underlyings, pnl, strict=True)},
        "unattributed": last.nav_mid - last.deposited - sum(each.total for each in pnl),
        "lowest_equity_to_initial_margin": min(cover) if cover else None,
        "lowest_gap_headroom": min(step.gap_headroom for step in record.steps),
        "highest_gamma_use": max(one.gamma_use for step in record.steps for one in step.underlyings),
        "highest_vega_use": max(one.vega_use for step in record.steps for one in step.underlyings),
        "fills": len(record.fills),
        "premiums": sum(fill.premium if fill.vault_sells else -fill.premium for fill in record.fills),
        "settled_series": len(record.settlements),
        "settled_paid": sum(settlement.paid for settlement in record.settlements),
        "premium_over_mid": sum(fill.edge for fill in record.fills),
        "causes": causes(record),
        "redemption_requests": [_request(one) for one in record.redemptions],
        "hours_reduce_only": _hours(record, lambda step: step.mode != "normal"),
        "hours_in_doubt": _hours(record, lambda step: step.doubt),
        "deposits": sum(flow.usdc > 0 for flow in record.flows),
        "deposited": sum(flow.usdc for flow in record.flows if flow.usdc > 0),
        "redemptions": sum(flow.usdc < 0 for flow in record.flows),
        "redeemed": -sum(flow.usdc for flow in record.flows if flow.usdc < 0),
    }


def sources(pnl: Attribution) -> dict[str, float]:
    """Profit and loss by source, options and hedges together, USDC."""
    return {
        "premium over mid": pnl.premium,
        "delta": pnl.delta,
        "gamma": pnl.gamma,
        "vega": pnl.vega,
        "theta": pnl.theta,
        "carry": pnl.carry,
        "trading costs": pnl.costs,
        "residual": pnl.residual,
    }


def causes(record: DemoRecord) -> dict[str, float]:
    """The hedged vault's profit and loss by cause, USDC; what kept delta outside its band is told apart."""
    found: dict[str, float] = {}
    for row in by_cause(record, tuple(range(len(record.underlyings)))):
        label = f"{row.label}: {row.meaning}" if row.label == "Delta outside the band" else row.label
        found[label.lower()] = row.total
    return found


def _request(one: RedemptionRecord) -> dict[str, object]:
    return {**asdict(one), "price": one.price, "waited": one.waited}


def _hours(record: DemoRecord, holds: Callable[[StepRecord], bool]) -> float:
    """How long something was so: from each step at which it was to the next one."""
    pairs = itertools.pairwise(record.steps)
    return sum(later.timestamp - step.timestamp for step, later in pairs if holds(step)) / HOUR


def _underlying(record: DemoRecord, u: int) -> dict[str, float]:
    begins = fall_begins(record).underlyings[u]
    low, high = lowest_price(record, u), highest_vol(record, u)
    return {
        "price_start": begins.price,
        "price_low": low,
        "price_end": record.steps[-1].underlyings[u].price,
        "price_low_ratio": low / begins.price,
        "vol_start": begins.market_vol,
        "vol_high": high,
        "vol_high_ratio": high / begins.market_vol,
    }


def write_summary(record: DemoRecord, path: Path) -> None:
    """`summarise` as JSON. Folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summarise(record), indent=2, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")


def summary_table(record: DemoRecord) -> Table:
    """The story in a few rows, for the terminal."""
    nav = performance(record)
    begins, last = fall_begins(record), record.steps[-1]
    paid = sum(s.paid for s in record.settlements)
    table = Table(title=f"Keel demo · {record.market} · {record.hours:g} h", title_justify="left", show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")

    def change(values: Sequence[float]) -> str:
        return figures.percent(values[-1] / nav.start - 1, signed=True)

    def deepest(values: Sequence[float]) -> str:
        return f"{figures.percent(-max_drawdown(values) / nav.start, signed=True)} from its peak"

    for u in active(record):
        was, low, high = begins.underlyings[u], lowest_price(record, u), highest_vol(record, u)
        fall = figures.percent(low / was.price - 1, signed=True)
        table.add_row(was.symbol, fall, f"{was.price:,.0f} to {low:,.0f} USDC")
        rise = f"{figures.percent(was.market_vol)} to {figures.percent(high)}"
        table.add_row(f"{was.symbol} volatility", f"×{high / was.market_vol:.2f}", rise)
    table.add_row("vault, hedged", change(nav.hedged), deepest(nav.hedged))
    table.add_row("the same, unhedged", change(nav.unhedged), deepest(nav.unhedged))
    table.add_row(
        "share price", f"{last.share_price:.6f}", f"from {record.steps[0].share_price:.6f} USDC, marked at bid"
    )
    inside = sum(map(ends_in_band, record.trades))
    table.add_row("rebalances", f"{len(record.trades)}", f"{inside} ended inside the delta band")
    table.add_row("turnover", figures.usdc(sum(t.turnover for t in record.trades)), "USDC")
    spent = costs(record)
    table.add_row("costs", figures.usdc(sum(spent.values())), escape(figures.parts(spent)))
    pnl = sum((attribution(record, u) for u in range(len(record.underlyings))), Attribution())
    table.add_row("profit", figures.usdc(pnl.total, signed=True), escape(figures.parts(sources(pnl))))
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
