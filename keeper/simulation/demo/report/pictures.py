"""The report's charts: what is drawn, in what colour's role, and how each is read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keeper.domain.series import EXPIRY_HOUR
from keeper.risk.attribution import Attribution
from keeper.simulation.demo.record import DeltaMove, DemoRecord, TradeRecord, UnderlyingStep
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.charts import Band, Chart, Event, Lane, Level, Line, Move, Panel
from keeper.simulation.demo.report.measures import active, in_band, performance


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its heading and the sentence that says how to read it."""

    key: str
    heading: str
    reading: str
    chart: Chart


def figures_of(record: DemoRecord) -> dict[str, Figure]:
    """All of them by key, in the order of the report."""
    made = (
        _nav(record),
        _pnl(record),
        _market(record),
        _delta(record),
        _margin(record),
        _limits(record),
        _modes(record),
    )
    return {figure.key: figure for figure in made}


def terms(label: str) -> tuple[int, float, str] | None:
    """Expiry (seconds), strike and type of a label such as ``ETH-20NOV26-3000-C``; None if it is not one."""
    try:
        _, date, strike, kind = label.split("-")
        expiry = datetime.strptime(date, "%d%b%y").replace(hour=EXPIRY_HOUR, tzinfo=UTC)
        return int(expiry.timestamp()), float(strike), {"C": "call", "P": "put"}[kind]
    except (ValueError, KeyError):
        return None


def _chart(record: DemoRecord, label: str, panels: tuple[Panel, ...], lanes: tuple[Lane, ...] = ()) -> Chart:
    return Chart(
        label=label,
        times=tuple(step.timestamp for step in record.steps),
        panels=panels,
        events=_events(record),
        squeeze_until=record.crash_from,
        lanes=lanes,
    )


def _events(record: DemoRecord) -> tuple[Event, ...]:
    expiries: dict[int, int] = {}
    for series in dict.fromkeys(fill.series for fill in record.fills):
        found = terms(series)
        if found:
            expiries[found[0]] = expiries.get(found[0], 0) + 1
    begin, end = record.steps[0].timestamp, record.steps[-1].timestamp
    inside = {expiry: count for expiry, count in expiries.items() if begin <= expiry <= end}
    return tuple(Event(t, f"{n} series {'expires' if n == 1 else 'expire'}") for t, n in inside.items())


def _strikes(record: DemoRecord, symbol: str) -> tuple[Level, ...]:
    kinds: dict[float, set[str]] = {}
    for fill in record.fills:
        found = terms(fill.series)
        if found and fill.symbol == symbol:
            kinds.setdefault(found[1], set()).add(found[2])
    return tuple(
        Level(strike, f"{strike:,.0f} {' + '.join(sorted(names))}", "strike", kept=False)
        for strike, names in kinds.items()
    )


def _thousands(value: float) -> str:
    return figures.number(value / 1000, 0)


def _per_cent(value: float) -> str:
    return f"{figures.number(100 * value, 0)} %"


def _spread(values: tuple[float, ...]) -> float:
    return max(values) - min(values)


def _digits_for(values: tuple[float, ...]) -> Callable[[float], str]:
    """Axis labels in thousands with as many digits as the range of the values needs."""
    finite = tuple(v for v in values if v == v)
    digits = 0 if _spread(finite) > 8_000 else 1 if _spread(finite) > 800 else 2
    return lambda value: figures.number(value / 1000, digits)


def _of(record: DemoRecord, u: int, read: Callable[[UnderlyingStep], float]) -> tuple[float, ...]:
    """A number of one underlying at every step."""
    return tuple(read(step.underlyings[u]) for step in record.steps)


def _market(record: DemoRecord) -> Figure:
    shown = active(record)
    return Figure(
        "market",
        "The market",
        "The oracle's price marks the book, the pool's price is what a hedge pays; each dot is a rebalance, each faint "
        "line a strike. Below, the volatility on chain follows the market as fast as its speed limit lets it.",
        _chart(
            record,
            f"Price of {_symbols(record)} and volatility over time",
            (
                *(_price(record, u, height=270 if len(shown) == 1 else 220) for u in shown),
                _basis(record, shown),
                *(_vol(record, u) for u in shown),
            ),
        ),
    )


def _symbols(record: DemoRecord) -> str:
    return " and ".join(record.underlyings[u] for u in active(record))


def _price(record: DemoRecord, u: int, height: float) -> Panel:
    symbol = record.underlyings[u]
    return Panel(
        title=f"{symbol} price, USDC",
        tick=lambda v: figures.number(v, 0),
        read=lambda v: figures.number(v, 2),
        height=height,
        lines=(
            Line(f"{symbol} in the pool", _of(record, u, lambda s: s.pool_price), "pool"),
            Line(f"{symbol} by the oracle", _of(record, u, lambda s: s.price), "market"),
        ),
        moves=tuple(
            Move(trade.timestamp, delta.price, "rebalance", _what(trade, delta))
            for trade in record.trades
            for delta in trade.deltas
            if delta.symbol == symbol and delta.before != delta.after
        ),
        levels=_strikes(record, symbol),
    )


def _basis(record: DemoRecord, shown: tuple[int, ...]) -> Panel:
    return Panel(
        title="Pool price against oracle price, %",
        tick=lambda v: figures.number(100 * v, 2, signed=True),
        read=lambda v: f"{figures.number(100 * v, 3, signed=True)} %",
        height=90,
        lines=tuple(
            Line(
                f"{record.underlyings[u]} pool against oracle",
                _of(record, u, lambda s: s.pool_price / s.price - 1),
                _nth("basis", u, shown),
            )
            for u in shown
        ),
        levels=(Level(0.0, "", "axis"),),
    )


def _vol(record: DemoRecord, u: int) -> Panel:
    symbol = record.underlyings[u]
    return Panel(
        title=f"{symbol} at-the-money volatility, % a year",
        tick=_per_cent,
        read=figures.percent,
        height=130,
        lines=(
            Line(f"{symbol} market volatility", _of(record, u, lambda s: s.market_vol), "vol"),
            Line(f"{symbol} posted volatility", _of(record, u, lambda s: s.posted_vol), "posted", stepped=True),
        ),
    )


def _nav(record: DemoRecord) -> Figure:
    nav = performance(record)
    panel = Panel(
        title="Net asset value, thousand USDC",
        tick=_digits_for((*nav.hedged, *nav.unhedged)),
        read=figures.usdc,
        height=300,
        lines=(
            Line("Static collateral, never hedged", nav.unhedged, "unhedged"),
            Line("Hedged by the keeper", nav.hedged, "hedged"),
        ),
        levels=(Level(nav.start, "USDC, simply held", "start"),),
        share_of=nav.start,
    )
    return Figure(
        "nav",
        "The vault against static collateral",
        "Both lines hold the same deposits, premiums and options, marked at mid. The dashed one backs them with "
        "collateral and never hedges, as a vault of covered options does; the gap is what the hedges earned or cost. "
        "Later deposits and redemptions are taken out.",
        _chart(record, "Net asset value with and without hedging", (panel,)),
    )


def _pnl(record: DemoRecord) -> Figure:
    lines = tuple(
        Line(name, tuple(itertools.accumulate(read(step.pnl) for step in record.steps)), role)
        for name, read, role in _PNL
    )
    panel = Panel(
        title="Profit and loss since the start, thousand USDC",
        tick=_digits_for(tuple(value for line in lines for value in line.values)),
        read=lambda v: figures.usdc(v, signed=True),
        height=280,
        lines=lines,
        levels=(Level(0.0, "", "axis"),),
    )
    return Figure(
        "pnl",
        "Where profit and loss came from",
        "Each step is explained by the book's own Greeks before it and by how prices and posted volatilities then "
        "moved; what this leaves is the residual, and the parts sum to the change in NAV. Options and hedges of all "
        "underlyings together.",
        _chart(record, "Cumulative profit and loss by source", (panel,)),
    )


_PNL: tuple[tuple[str, Callable[[Attribution], float], str], ...] = (
    ("Theta and premium", lambda p: p.theta + p.premium, "hedge"),
    ("Gamma", lambda p: p.gamma, "gamma"),
    ("Vega", lambda p: p.vega, "vega"),
    ("Net delta", lambda p: p.delta, "basis"),
    ("Costs and carry", lambda p: p.costs + p.carry, "maintenance"),
    ("Residual", lambda p: p.residual, "gap second"),
    ("Total", lambda p: p.total, "hedged"),
)


def _modes(record: DemoRecord) -> Figure:
    steps = record.steps
    lanes = (
        Lane(
            "The vault's mode",
            tuple(s.mode for s in steps),
            {"normal": "calm", "reduce-only": "alert", "frozen": "alarm"},
        ),
        Lane(
            "Oracle",
            tuple("in doubt" if s.doubt else "sound" for s in steps),
            {"sound": "calm", "in doubt": "alert"},
        ),
        Lane(
            "The keeper's first decision of each step",
            tuple(s.action for s in steps),
            {"trade": "busy", "hold": "calm", "refuse": "alarm"},
        ),
    )
    return Figure(
        "modes",
        "Modes over time",
        "Reduce-only stops deposits and sales and lets hedges, settlement and exits go on. In doubt, oracle and pools "
        "disagree and initial margin is half as much again. A refusal is a decision that someone should look at.",
        _chart(record, "Mode of the vault, doubt of the oracle and decisions of the keeper", (), lanes),
    )


def _delta(record: DemoRecord) -> Figure:
    panels = tuple(panel for u in active(record) for panel in (_hedge(record, u), _net_delta(record, u)))
    return Figure(
        "delta",
        "Delta, before and after each rebalance",
        "The hedge mirrors the options. In the panels of net delta, each stem is one rebalance, from net delta before "
        "(hollow) to after (filled); it should end inside the shaded target band.",
        _chart(record, "Delta of the options, the hedge and both", panels),
    )


def _hedge(record: DemoRecord, u: int) -> Panel:
    symbol = record.underlyings[u]
    return Panel(
        title=f"Delta of options and hedge, {symbol}",
        tick=_units,
        read=lambda v: figures.units(v, signed=True),
        height=170,
        lines=(
            Line(f"{symbol} options", _of(record, u, lambda s: s.option_delta), "unhedged"),
            Line(f"{symbol} hedge", _of(record, u, lambda s: s.delta - s.option_delta), "hedge"),
        ),
    )


def _net_delta(record: DemoRecord, u: int) -> Panel:
    symbol = record.underlyings[u]
    band = _of(record, u, lambda s: s.band)
    return Panel(
        title=f"Net delta, {symbol}",
        tick=_units,
        read=lambda v: figures.units(v, signed=True),
        height=200,
        lines=(Line(f"{symbol} net, after each step", _of(record, u, lambda s: s.delta), "hedged"),),
        bands=(Band(f"{symbol} target band", tuple(-b for b in band), band, "target"),),
        moves=tuple(
            Move(trade.timestamp, d.after, _role(d), _what(trade, d), d.before)
            for trade in record.trades
            for d in trade.deltas
            if d.symbol == symbol and d.before != d.after
        ),
    )


def _units(value: float) -> str:
    return figures.number(value, 0 if abs(value) >= 10 or value == 0 else 1 if abs(value) >= 0.5 else 2)


def _role(delta: DeltaMove) -> str:
    return "rebalance" if in_band(delta) else "outside"


def _margin(record: DemoRecord) -> Figure:
    steps = record.steps
    equity = Panel(
        title="Equity and margin, thousand USDC",
        tick=_thousands,
        read=figures.usdc,
        height=240,
        lines=(
            Line("Equity (NAV at bid)", tuple(s.nav_bid for s in steps), "hedged"),
            Line("Initial margin", tuple(s.initial_margin for s in steps), "initial"),
            Line("Maintenance margin", tuple(s.maintenance_margin for s in steps), "maintenance"),
        ),
        levels=(Level(0.0, "", "axis"),),
    )
    gap = Panel(
        title="Gap headroom, thousand USDC",
        tick=_thousands,
        read=figures.usdc,
        height=130,
        lines=(Line("Gap headroom", tuple(s.gap_headroom for s in steps), "gap"),),
        levels=(Level(0.0, "", "axis"),),
    )
    return Figure(
        "margin",
        "Margin",
        "Equity must stay above initial margin to trade and above maintenance margin to be left alone. Gap headroom is "
        "what would remain if each underlying fell or rose by half at once, whichever is worse, with nothing rehedged.",
        _chart(record, "Equity against margin requirements, and gap headroom", (equity, gap)),
    )


def _limits(record: DemoRecord) -> Figure:
    steps, shown = record.steps, active(record)
    greeks = tuple(
        line
        for u in shown
        for line in (
            Line(f"{record.underlyings[u]} gamma", _of(record, u, lambda s: s.gamma_use), _nth("gamma", u, shown)),
            Line(f"{record.underlyings[u]} vega", _of(record, u, lambda s: s.vega_use), _nth("vega", u, shown)),
        )
    )
    margin = Line("Initial margin of equity", tuple(_use(s.initial_margin, s.nav_bid) for s in steps), "initial")
    panel = Panel(
        title="Share of the limit in use, %",
        tick=_per_cent,
        read=figures.percent,
        height=210,
        lines=(*greeks, margin),
        levels=(Level(0.0, "", "axis"), Level(1.0, "limit", "limit")),
    )
    return Figure(
        "limits",
        "How close the limits came",
        "Each line is one limit's use. Above 100 % the contracts refuse whatever would use more of it; the market can "
        "still push a line there, as sold options gain gamma when the price nears their strikes.",
        _chart(record, "Use of the gamma, vega and margin limits", (panel,)),
    )


def _nth(role: str, u: int, shown: tuple[int, ...]) -> str:
    """The role of a line that there is for each underlying: the second is drawn thinner."""
    return role if u == shown[0] else f"{role} second"


def _use(requirement: float, equity: float) -> float:
    return requirement / equity if equity > 0 else float("nan")


def _what(trade: TradeRecord, delta: DeltaMove) -> str:
    return (
        f"Rebalance {trade.sequence}, {figures.time(trade.timestamp)} UTC: {delta.symbol} delta "
        f"{figures.units(delta.before, signed=True)} to {figures.units(delta.after, signed=True)}, "
        f"band ±{figures.units(delta.band)}"
    )
