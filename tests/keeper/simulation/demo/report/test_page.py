"""The demo's report: everything in one file, nothing of it executable."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from keeper.simulation.demo.record import BookCheck, CashFlow
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.explained import by_cause
from keeper.simulation.demo.report.measures import costs
from keeper.simulation.demo.report.page import headline, render, write_report
from keeper.simulation.demo.report.summary import summarise, summary_table
from keeper.simulation.demo.report.tables import tables_of
from tests.keeper.simulation.demo.report.made_record import made_record
from tests.keeper.simulation.demo.report.tiny_record import tiny_record

HOSTILE = "<script>alert(1)</script>\"'&</style>"


@pytest.fixture
def tiny():
    return tiny_record()


class Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.text += data


def test_the_headline_has_the_fall_and_both_losses(tiny):
    assert headline(tiny).replace("\u00a0", " ") == (
        "ETH fell 25.0 % in 30 minutes. The vault fell 2.0 % from its peak; unhedged it would have fallen 12.5 %."
    )


def test_the_report_loads_nothing_from_anywhere(tmp_path):
    path = tmp_path / "new" / "report.html"

    write_report(made_record(), path)

    html = path.read_text(encoding="utf-8")
    loads = [
        value
        for _, attributes in Page(html).tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href") and not value.startswith("#")
    ]
    assert loads == []
    assert not re.search(r"https?:|@import|url\(|fetch\(|import\(|XMLHttpRequest", html)
    assert len(html) < 1_000_000


def test_the_report_has_each_trade_fill_settlement_flow_cost_and_check():
    record = made_record()

    text = Page(render(record)).text

    for one in record.trades:
        assert one.reason in text
        assert one.transaction in text
        assert all(leg in text for leg in one.legs)
        for moved in one.deltas:
            change = f"{figures.units(moved.before, signed=True)} → {figures.units(moved.after, signed=True)}"
            assert moved.before == moved.after or f"{moved.symbol} {change}" in text
    assert len(record.trades) > 10
    assert all(fill.series in text for fill in record.fills)
    assert all(figures.number(settlement.paid) in text for settlement in record.settlements)
    assert all(figures.number(flow.usdc, signed=True) in text for flow in record.flows)
    assert all(figures.number(cost) in text for cost in costs(record).values())
    for cause in by_cause(record, (0, 1))[:-1]:
        assert all(figures.number(amount, signed=True) in text for amount in cause.amounts)
    for check in record.checks:
        assert check.name in text
        assert text.count(figures.exact(check.expected)) >= 2


def test_every_cell_of_a_table_names_its_column_for_narrow_screens():
    tables = tables_of(made_record())

    labels = [
        attributes["data-label"] for tag, attributes in Page(render(made_record())).tags if "data-label" in attributes
    ]

    for table in tables.values():
        assert {len(row) for row in table.rows} <= {len(table.columns)}
        assert len(table.total) in (0, len(table.columns))
        assert all(labels.count(heading) >= len(table.rows) for heading, _ in table.columns)


def test_each_redemption_says_how_long_it_took():
    text = Page(render(made_record())).text

    assert "queue, epoch 1: 60.0\u00a0%" in text
    assert "9.0 h" in text
    assert "at once" in text


def test_the_report_draws_every_line_at_every_width():
    record = made_record()

    html = render(record)

    svgs = re.findall(r'<svg class="w\d+".*?</svg>', html, re.DOTALL)
    assert len(svgs) == 3 * 7
    for svg in svgs:
        assert len(re.findall(r'data-x="([^"]*)"', svg)[0].split(",")) == len(record.steps)
        assert not re.search(r"[^a-z](nan|inf)[^a-z]", svg)
    moves = sum(moved.before != moved.after for trade in record.trades for moved in trade.deltas)
    delta = [svg for svg in svgs if "Net delta" in svg]
    assert len(delta) == 3
    assert all(svg.count('class="move rebalance"') == moves for svg in delta)


def test_each_legend_has_a_read_out_for_every_line_at_every_step():
    record = made_record()

    figures_found = re.findall(r"<figure data-chart>.*?</figure>", render(record), re.DOTALL)

    assert len(figures_found) == 7
    for figure in figures_found:
        data = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', figure, re.DOTALL)[0])
        assert len(data["times"]) == len(record.steps)
        assert len(data["values"]) == figure.count("<output>")
        assert {len(values) for values in data["values"]} == {len(record.steps)}


def test_a_trade_that_ends_outside_its_band_is_marked(tiny):
    html = render(tiny)

    assert Page(html).text.count("Net delta ended outside the band.") == 1
    assert html.count('class="move outside"') == 3


def test_a_check_that_fails_is_told_with_its_difference(tiny):
    failing = BookCheck("the one that fails", 1_000_000, 999_999, "1e-6 USDC")

    text = Page(render(replace(tiny, checks=(*tiny.checks, failing)))).text

    assert "They do not all hold." in text
    assert "✗ off by −1" in text
    assert "NOT balanced" in text


def test_hostile_text_is_shown_and_never_run(tiny):
    hostile = replace(
        tiny,
        steps=tuple(replace(one, reason=HOSTILE) for one in tiny.steps),
        trades=(
            replace(tiny.trades[0], reason=HOSTILE, legs=(HOSTILE,), transaction=HOSTILE, binding=((HOSTILE, 1.0),)),
        ),
        fills=(replace(tiny.fills[0], series=HOSTILE),),
        settlements=(replace(tiny.settlements[0], series=HOSTILE),),
        flows=(CashFlow(0, HOSTILE, 1000.0, 1000.0),),
        checks=(BookCheck(HOSTILE, 1, 1, HOSTILE),),
    )
    plain = Page(render(tiny))

    page = Page(render(hostile))

    assert [tag for tag, _ in page.tags if tag == "script"] == [tag for tag, _ in plain.tags if tag == "script"]
    assert "alert(1)" not in "".join(re.findall(r"<script.*?</script>", render(hostile), re.DOTALL))
    assert page.text.count(HOSTILE) >= 8


def test_a_run_in_which_nothing_happened_still_has_a_report(tiny):
    idle = replace(tiny, steps=tiny.steps[:1], trades=(), fills=(), settlements=(), flows=(), checks=())

    text = Page(render(idle)).text

    assert summarise(idle)["delta_in_band_after_rebalance"] is None
    assert summarise(idle)["books_balance"] is False
    assert summary_table(idle).row_count > 10
    for sentence in (
        "The keeper made no trade.",
        "No option was traded.",
        "No series expired.",
        "Nobody came or went.",
        "No check was made.",
    ):
        assert sentence in text
