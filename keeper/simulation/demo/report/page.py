"""The demo's report: one HTML file with everything in it. Pictures are SVG; nothing is ever loaded from a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keeper.risk.performance import max_drawdown
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.charts import WIDTHS, draw, readings
from keeper.simulation.demo.report.explained import by_cause, in_words
from keeper.simulation.demo.report.measures import (
    active,
    costs,
    ends_in_band,
    fall_begins,
    highest_vol,
    in_band,
    lowest_price,
    performance,
    trade_cost,
)
from keeper.simulation.demo.report.pictures import figures_of, terms
from keeper.simulation.demo.report.schema import DESCRIPTIONS
from keeper.simulation.demo.report.summary import summarise
from keeper.simulation.demo.report.tables import tables_of


@dataclass(frozen=True, slots=True)
class _Tile:
    value: str
    label: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class _Bar:
    """A labelled amount; ``begin`` and ``length`` place its bar, in per cent of the room that all bars share."""

    label: str
    amount: float
    begin: float
    length: float


def write_report(record: DemoRecord, path: Path) -> None:
    """Write the report of a run. Folders are made as needed.

    Raises:
        ValueError: there is no step with a positive NAV.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(record), encoding="utf-8")


def render(record: DemoRecord) -> str:
    """The report as HTML."""
    loader = PackageLoader("keeper.simulation.demo.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "usdc": figures.usdc,
        "number": figures.number,
        "exact": figures.exact,
        "percent": figures.percent,
        "units": figures.units,
        "time": figures.time,
        "name": figures.name,
    }
    template = environment.get_template("report.html")
    return template.render(
        record=record,
        summary=summarise(record),
        headline=headline(record),
        standfirst=_standfirst(record),
        tiles=_tiles(record),
        figures={
            key: {
                "figure": figure,
                "svgs": [draw(figure.chart, width) for width in WIDTHS],
                "readings": readings(figure.chart),
                "states": {state: role for lane in figure.chart.lanes for state, role in lane.roles.items()},
            }
            for key, figure in figures_of(record).items()
        },
        tables=tables_of(record),
        causes=in_words(by_cause(record, active(record)), performance(record).start),
        costs=bars(costs(record)),
        trade_cost=trade_cost,
        ends_in_band=ends_in_band,
        in_band=in_band,
        descriptions=DESCRIPTIONS,
        terms=terms,
        style=Markup(loader.get_source(environment, "report.css")[0]),
        script=Markup(loader.get_source(environment, "report.js")[0]),
    )


def headline(record: DemoRecord) -> str:
    """The run in one sentence."""
    nav = performance(record)
    falls = " and ".join(f"{record.underlyings[u]} {figures.percent(-_fall(record, u))}" for u in active(record))
    hedged, unhedged = max_drawdown(nav.hedged) / nav.start, max_drawdown(nav.unhedged) / nav.start
    return (
        f"{falls.replace(' ', ' fell ', 1)} in {figures.duration(record.hours)}. The vault fell "
        f"{figures.percent(hedged)} from its peak; unhedged it would have fallen {figures.percent(unhedged)}."
    )


def _fall(record: DemoRecord, u: int) -> float:
    """How far the price was at its lowest from where the path began, a share."""
    return lowest_price(record, u) / fall_begins(record).underlyings[u].price - 1


def bars(amounts: Mapping[str, float]) -> tuple[_Bar, ...]:
    """The amounts as bars from one common zero, the largest first."""
    low, high = min([0.0, *amounts.values()]), max([0.0, *amounts.values()])
    room = high - low or 1.0
    return tuple(
        _Bar(figures.name(key), amount, 100 * (min(amount, 0.0) - low) / room, 100 * abs(amount) / room)
        for key, amount in sorted(amounts.items(), key=lambda item: -item[1])
    )


def _standfirst(record: DemoRecord) -> str:
    nav = performance(record)
    trades, inside = len(record.trades), sum(map(ends_in_band, record.trades))
    rebalances = {0: "did not rebalance", 1: "rebalanced once"}.get(trades, f"rebalanced {trades} times")
    where = {0: "", 1: ", into the target band" if inside else ", outside the target band"}.get(
        trades, f", {'always' if inside == trades else f'{inside} of them'} ending inside the target band"
    )
    settled = len(record.settlements)
    return (
        f"The vault started with {figures.usdc(nav.start)} USDC and took {len(record.fills)} option trades "
        f"through signed quotes. Its keeper "
        f"{rebalances}{where}, for {figures.usdc(sum(costs(record).values()))} USDC of costs in all. "
        f"{settled} series settled on the way. At the end the hedged vault stood at "
        f"{figures.percent(nav.hedged[-1] / nav.start - 1, signed=True)}, the unhedged one at "
        f"{figures.percent(nav.unhedged[-1] / nav.start - 1, signed=True)}."
    )


def _tiles(record: DemoRecord) -> tuple[_Tile, ...]:
    nav = performance(record)
    failed = sum(not check.holds for check in record.checks)
    return (
        *(
            _Tile(figures.percent(_fall(record, u), signed=True), f"{record.underlyings[u]} at its lowest")
            for u in active(record)
        ),
        _Tile(f"×{_vol_rise(record):.2f}", "volatility at its highest"),
        _Tile(figures.percent(-max_drawdown(nav.hedged) / nav.start, signed=True), "worst fall, hedged", "hedged"),
        _Tile(
            figures.percent(-max_drawdown(nav.unhedged) / nav.start, signed=True), "worst fall, unhedged", "unhedged"
        ),
        _Tile(f"{len(record.trades)}", "rebalances"),
        _Tile("balanced", f"books, {len(record.checks)} checks to the unit", "good")
        if record.books_balance
        else _Tile("NOT balanced", f"books, {failed} of {len(record.checks)} checks fail", "bad"),
    )


def _vol_rise(record: DemoRecord) -> float:
    """The largest rise of a volatility, as a ratio."""
    return max(highest_vol(record, u) / fall_begins(record).underlyings[u].market_vol for u in active(record))
