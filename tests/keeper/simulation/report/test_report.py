"""The demo's numbers and its report: the same figures everywhere, everything in one file, nothing of it executable."""

import io
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from keeper.simulation.record import BookCheck, CashFlow
from keeper.simulation.report import figures
from keeper.simulation.report.charts import ticks
from keeper.simulation.report.measures import costs, idleness, max_drawdown, performance
from keeper.simulation.report.page import bars, headline, render, write_report
from keeper.simulation.report.pictures import terms
from keeper.simulation.report.summary import summarise, summary_table, write_summary
from tests.keeper.simulation.report.made_record import made_record
from tests.keeper.simulation.report.tiny_record import step, tiny_record

HOSTILE = "<script>alert(1)</script>\"'&</style>"


def printed(table):
    console = Console(width=120, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def tiny():
    return tiny_record()


# ------------------------------------------------------------------ numbers


def test_the_summary_has_the_numbers_that_the_record_gives_by_hand(tiny):
    found = summarise(tiny)

    expected = {
        "market": "built-in crash, seed 7",
        "seed": 7,
        "hours": 0.5,
        "seconds": 3.0,
        "steps": 4,
        "started_at": "1970-01-01T00:00:00Z",
        "ended_at": "1970-01-01T00:06:40Z",
        "books_balance": True,
        "price_start": 3000.0,
        "price_low_ratio": pytest.approx(0.75),
        "vol_high_ratio": pytest.approx(1.6),
        "nav_start": 1000.0,
        "nav_end": 1202.0,
        "nav_per_share_start": 1.0,
        "nav_per_share_end": pytest.approx(1.202),
        # 1000, 1010, 1490 - 500, 1202 - 500 + 300: from 1010 to 990
        "max_drawdown_hedged": pytest.approx(0.020),
        "change_hedged": pytest.approx(0.002),
        # 1000, 1005, 1380 - 500, 1120 - 500 + 300: from 1005 to 880
        "max_drawdown_unhedged": pytest.approx(0.125),
        "change_unhedged": pytest.approx(-0.080),
        "rebalances": 4,
        "delta_in_band_after_rebalance": 0.75,
        "turnover": 400.0,
        # four trades of 0.5 - 0.05 + 0.25 and 2.0 of gas, less 0.125 of interest earned
        "costs_total": pytest.approx(10.675),
        "profit_total": pytest.approx(2.0),
        "profit_unhedged": pytest.approx(1.75),
        "lowest_equity_to_initial_margin": pytest.approx(1480 / 745),
        "lowest_gap_headroom": -5.0,
        "highest_gamma_use": 0.9,
        "fills": 2,
        "premiums": 40.0,
        "settled_series": 1,
        "deposits": 2,
        "deposited": 1500.0,
        "redemptions": 1,
        "redeemed": 300.0,
        "holds": 4,
        "refusals": 0,
    }
    assert {key: found[key] for key in expected} == expected


def test_nav_before_the_first_deposit_is_left_out(tiny):
    empty = step(-10, price=3000.0, nav=0.0, unhedged=0.0, deposited=0.0)

    nav = performance(replace(tiny, steps=(empty, *tiny.steps)))

    assert nav.start == 1000.0
    assert nav.hedged[0] != nav.hedged[0]
    assert nav.hedged[1:] == performance(tiny).hedged


def test_a_record_without_value_is_refused(tiny):
    with pytest.raises(ValueError, match="no step at which the vault owns anything"):
        summarise(replace(tiny, steps=()))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 2.0, 3.0), 0.0),
        ((3.0, 2.0, 1.0), 2.0),
        ((5.0, 3.0, 9.0, 6.5, 8.0), 2.5),
        ((float("nan"), 4.0, 1.0), 3.0),
        ((), 0.0),
    ],
)
def test_drawdown_is_the_deepest_fall_from_an_earlier_peak(values, expected):
    assert max_drawdown(values) == expected


def test_reasons_that_differ_only_in_their_numbers_are_one_kind():
    steps = (
        step(1, price=1.0, nav=1.0, unhedged=1.0, reason="delta is in the no-trade region: trading gains 1.20 USDC"),
        step(2, price=1.0, nav=1.0, unhedged=1.0, action="trade", reason="sell 3"),
        step(3, price=1.0, nav=1.0, unhedged=1.0, action="refuse", reason="margins differ by 2.0e-05 of notional"),
        step(4, price=1.0, nav=1.0, unhedged=1.0, reason="delta is in the no-trade region: trading gains 7.00 USDC"),
        step(5, price=1.0, nav=1.0, unhedged=1.0, action="refuse", reason="margins differ by 3 of notional"),
        step(6, price=1.0, nav=1.0, unhedged=1.0, reason="delta is in the no-trade region: trading gains 0.01 USDC"),
    )

    kinds = idleness(replace(made_record(hours=1), steps=steps))

    assert [(k.action, k.kind, k.count, k.first, k.last) for k in kinds] == [
        ("hold", "delta is in the no-trade region", 3, 1, 6),
        ("refuse", "margins differ by … of notional", 2, 3, 5),
    ]
    assert kinds[0].example.endswith("0.01 USDC")


def test_the_summary_is_written_as_json_with_every_digit_of_the_checks(tiny, tmp_path):
    path = tmp_path / "new" / "summary.json"

    write_summary(tiny, path)

    written = json.loads(path.read_text())
    assert written == json.loads(json.dumps(summarise(tiny)))
    assert written["checks"][1]["actual"] == 10**24 + 1


def test_the_terminals_table_tells_the_story_in_a_screen(tiny):
    table = summary_table(tiny)

    text = printed(table)

    assert table.row_count <= 16
    for part in (
        "−25.0\u00a0%",
        "×1.60",
        "−2.0\u00a0% from its peak",
        "−12.5\u00a0% from its peak",
        "3 ended inside",
        "balance",
    ):
        assert part in text


def test_the_terminals_table_names_the_check_that_fails(tiny):
    text = printed(summary_table(replace(tiny, checks=(BookCheck("idle [at the end]", 5, 4, "USDC"),))))

    assert "DO NOT BALANCE" in text
    assert "idle [at the end]" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (figures.number(-1234.5), "−1,234.50"),
        (figures.number(-0.001, signed=True), "0.00"),
        (figures.usdc(999.994), "999.99"),
        (figures.usdc(123456.7, signed=True), "+123,457"),
        (figures.percent(0.2801), "28.0\u00a0%"),
        (figures.percent(-0.00312, signed=True), "−0.31\u00a0%"),
        (figures.exact(-(10**24) - 1), "−1,000,000,000,000,000,000,000,001"),
        (figures.duration(1), "1\u00a0hour"),
        (figures.duration(0.25), "15\u00a0minutes"),
        (figures.name("pool_fees"), "Pool fees"),
    ],
)
def test_figures_are_written_for_people(text, expected):
    assert text == expected


def test_a_series_label_gives_its_terms():
    assert terms("ETH-20NOV26-3000-P") == (1_795_161_600, 3000.0, "put")
    assert terms("not a series") is None


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-8.3, 15.2), (0.0012, 0.0019), (993_000.0, 1_002_000.0)])
def test_axis_ticks_are_few_evenly_spaced_and_inside(low, high):
    found = ticks(low, high, 5)

    assert 3 <= len(found) <= 8
    assert low <= found[0] < found[-1] <= high
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps))


def test_bars_share_one_zero():
    gain, loss = bars({"loss": -25.0, "gain": 75.0})

    assert (gain.label, gain.begin, gain.length) == ("Gain", 25.0, 75.0)
    assert (loss.label, loss.begin, loss.length) == ("Loss", 0.0, 25.0)


# ------------------------------------------------------------------ the page


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
    assert all(figures.number(profit, signed=True) in text for profit in summarise(record)["profit"].values())
    for check in record.checks:
        assert check.name in text
        assert text.count(figures.exact(check.expected)) >= 2


def test_the_report_draws_every_line_at_every_width():
    record = made_record()

    html = render(record)

    svgs = re.findall(r'<svg class="w\d+".*?</svg>', html, re.DOTALL)
    assert len(svgs) == 3 * 5
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

    assert len(figures_found) == 5
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
