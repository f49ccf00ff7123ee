"""The report's charts: what is drawn, in what colour's role, and how each is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keeper.simulation.record import DemoRecord, TradeRecord
from keeper.simulation.report import figures
from keeper.simulation.report.charts import Band, Chart, Event, Level, Line, Move, Panel
from keeper.simulation.report.summary import ends_in_band, performance

_EXPIRY_HOUR = 8  # series expire at 08:00 UTC


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its heading and the sentence that says how to read it."""

    key: str
    heading: str
    reading: str
    chart: Chart


def figures_of(record: DemoRecord) -> dict[str, Figure]:
    """All of them by key, in the order of the report."""
    made = (_nav(record), _market(record), _delta(record), _margin(record), _limits(record))
    return {figure.key: figure for figure in made}


def terms(label: str) -> tuple[int, float, str] | None:
    """Expiry (seconds), strike and type of a label such as ``ETH-20NOV26-3000-C``; None if it is not one."""
    try:
        _, date, strike, kind = label.split("-")
        expiry = datetime.strptime(date, "%d%b%y").replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
        return int(expiry.timestamp()), float(strike), {"C": "call", "P": "put"}[kind]
    except (ValueError, KeyError):
        return None


def _chart(record: DemoRecord, label: str, panels: tuple[Panel, ...]) -> Chart:
    return Chart(
        label=label,
        times=tuple(step.timestamp for step in record.steps),
        panels=panels,
        events=_events(record),
        squeeze_until=record.crash_from,
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


def _strikes(record: DemoRecord) -> tuple[Level, ...]:
    kinds: dict[float, set[str]] = {}
    for fill in record.fills:
        found = terms(fill.series)
        if found:
            kinds.setdefault(found[1], set()).add(found[2])
    return tuple(
        Level(strike, f"{strike:,.0f} {' + '.join(sorted(names))}", "strike", kept=False)
        for strike, names in kinds.items()
    )


def _whole(value: float) -> str:
    return figures.number(value, 0)


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


def _market(record: DemoRecord) -> Figure:
    steps = record.steps
    price = Panel(
        title="ETH price, USDC",
        tick=_whole,
        read=lambda v: figures.number(v, 2),
        height=270,
        lines=(
            Line("Pool price", tuple(s.pool_price for s in steps), "pool"),
            Line("Oracle price", tuple(s.price for s in steps), "market"),
        ),
        moves=tuple(Move(t.timestamp, t.price, "rebalance", _what(t)) for t in record.trades),
        levels=_strikes(record),
    )
    gap = Panel(
        title="Pool price against oracle price, %",
        tick=lambda v: figures.number(100 * v, 2, signed=True),
        read=lambda v: f"{figures.number(100 * v, 3, signed=True)} %",
        height=90,
        lines=(Line("Pool against oracle", tuple(s.pool_price / s.price - 1 for s in steps), "basis"),),
        levels=(Level(0.0, "", "axis"),),
    )
    vol = Panel(
        title="At-the-money volatility, % a year",
        tick=_per_cent,
        read=figures.percent,
        height=130,
        lines=(
            Line("Market volatility", tuple(s.market_vol for s in steps), "vol"),
            Line("Posted volatility", tuple(s.posted_vol for s in steps), "posted", stepped=True),
        ),
    )
    return Figure(
        "market",
        "The market",
        "The oracle's price marks the book, the pool's price is what a hedge pays; each dot is a rebalance, each faint "
        "line a strike. At the bottom, the volatility on chain follows the market as fast as its speed limit lets it.",
        _chart(record, "Price of ETH and its volatility over time", (price, gap, vol)),
    )


def _nav(record: DemoRecord) -> Figure:
    nav = performance(record)
    panel = Panel(
        title="Net asset value, thousand USDC",
        tick=_digits_for((*nav.hedged, *nav.unhedged)),
        read=figures.usdc,
        height=300,
        lines=(
            Line("Unhedged", nav.unhedged, "unhedged"),
            Line("Hedged by the keeper", nav.hedged, "hedged"),
        ),
        levels=(Level(nav.start, "start", "start"),),
        share_of=nav.start,
    )
    return Figure(
        "nav",
        "The vault, hedged and unhedged",
        "Both lines hold the same deposits, premiums and options, marked at mid; the gap between them is what the "
        "hedges earned or cost. Later deposits and redemptions are taken out.",
        _chart(record, "Net asset value with and without hedging", (panel,)),
    )


def _delta(record: DemoRecord) -> Figure:
    steps = record.steps
    book = Panel(
        title="Delta of options and hedge, ETH",
        tick=lambda v: figures.number(v, 0) if abs(v) >= 10 or v == 0 else figures.number(v, 1),
        read=lambda v: figures.units(v, signed=True),
        height=200,
        lines=(
            Line("Options", tuple(s.option_delta for s in steps), "unhedged"),
            Line("Hedge", tuple(s.delta - s.option_delta for s in steps), "hedge"),
        ),
    )
    band = tuple(s.band for s in steps)
    net = Panel(
        title="Net delta, ETH",
        tick=lambda v: figures.number(v, 1),
        read=lambda v: figures.units(v, signed=True),
        height=230,
        lines=(Line("Net, after each step", tuple(s.delta for s in steps), "hedged"),),
        bands=(Band("Target band", tuple(-b for b in band), band, "target"),),
        moves=tuple(
            Move(t.timestamp, t.delta_after, "rebalance" if ends_in_band(t) else "outside", _what(t), t.delta_before)
            for t in record.trades
        ),
    )
    return Figure(
        "delta",
        "Delta, before and after each rebalance",
        "Above, the hedge mirrors the options. Below, each stem is one rebalance, from net delta before (hollow) to "
        "after (filled); it should end inside the shaded target band.",
        _chart(record, "Delta of the options, the hedge and both", (book, net)),
    )


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
        "what would remain if ETH halved or rose by half at once with nothing rehedged.",
        _chart(record, "Equity against margin requirements, and gap headroom", (equity, gap)),
    )


def _limits(record: DemoRecord) -> Figure:
    steps = record.steps
    panel = Panel(
        title="Share of the limit in use, %",
        tick=_per_cent,
        read=figures.percent,
        height=190,
        lines=(
            Line("Gamma band", tuple(s.gamma_use for s in steps), "gamma"),
            Line("Vega band", tuple(s.vega_use for s in steps), "vega"),
            Line("Initial margin of equity", tuple(_use(s.initial_margin, s.nav_bid) for s in steps), "initial"),
        ),
        levels=(Level(0.0, "", "axis"), Level(1.0, "limit", "limit")),
    )
    return Figure(
        "limits",
        "How close the limits came",
        "Each line is one limit's use. Above 100 % the contracts refuse whatever would use more of it; the market can "
        "still push a line there, as sold options gain gamma when the price nears their strikes.",
        _chart(record, "Use of the gamma, vega and margin limits", (panel,)),
    )


def _use(requirement: float, equity: float) -> float:
    return requirement / equity if equity > 0 else float("nan")


def _what(trade: TradeRecord) -> str:
    return (
        f"Rebalance {trade.sequence}, {figures.time(trade.timestamp)} UTC: delta "
        f"{figures.units(trade.delta_before, signed=True)} to {figures.units(trade.delta_after, signed=True)}, "
        f"band ±{figures.units(trade.band)}"
    )
