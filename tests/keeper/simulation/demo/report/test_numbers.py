"""The demo's numbers: what the summary, the terminal and the report all show, and where profit and loss came from."""

import io
import itertools
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from keeper.risk.attribution import HedgingError
from keeper.simulation.demo.record import BookCheck
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.charts import Chart, Lane, draw, readings, ticks
from keeper.simulation.demo.report.explained import Row, alternatives, by_cause, by_source, in_words
from keeper.simulation.demo.report.measures import active, attribution, costs, idleness, performance
from keeper.simulation.demo.report.page import bars
from keeper.simulation.demo.report.pictures import terms
from keeper.simulation.demo.report.schema import DESCRIPTIONS
from keeper.simulation.demo.report.summary import summarise, summary_table, write_summary
from keeper.simulation.demo.report.tables import tables_of
from tests.keeper.simulation.demo.report.made_record import made_record
from tests.keeper.simulation.demo.report.tiny_record import step, tiny_record


def printed(table):
    console = Console(width=120, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


@pytest.fixture
def tiny():
    return tiny_record()


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


def test_a_cost_is_the_same_to_the_cent_in_every_table():
    record = made_record()
    tables = tables_of(record)

    pools = [cell.text for cell in tables["pools"].total[1:]]
    causes = {row[0].text: row[-1].text for row in tables["causes"].rows}
    sources = {row[0].text: row[-2].text for row in tables["sources"].rows}
    spent = costs(record)

    kinds = ("pool fees", "price impact", "pool away from oracle")
    assert [figures.number(spent[kind]) for kind in kinds] == pools[:3]
    assert [causes[name][1:] for name in ("Pool fees", "Price impact", "Pools away from the oracle")] == pools[:3]
    assert sources["Trading costs"][1:] == pools[3]


@pytest.mark.parametrize("name", ["sources", "causes"])
def test_what_is_printed_adds_up_in_rows_and_columns(name):
    def amount(cell):
        return round(float(cell.text.replace("−", "-").replace(",", "")) * 100)

    table = tables_of(made_record())[name]
    rows = [[amount(cell) for cell in row[1:]] for row in table.rows]
    total = [amount(cell) for cell in table.total[1:]]

    assert [sum(column) for column in zip(*rows, strict=True)] == total
    assert all(eth + btc == together for eth, btc, together, *_ in (*rows, total))


def test_every_number_of_the_summary_is_described(tiny):
    assert set(summarise(tiny)) == set(DESCRIPTIONS)


# ------------------------------------------------------------------ where it came from, and why


def test_causes_and_sources_sum_to_the_same_profit():
    record = made_record()
    shown = active(record)

    sources = [row for row, _ in by_source(record, shown)]
    causes = by_cause(record, shown)

    for k, u in enumerate(shown):
        profit = attribution(record, u).total
        assert sum(row.amounts[k] for row in sources) == pytest.approx(profit)
        assert sum(row.amounts[k] for row in causes) == pytest.approx(profit)


def test_sources_say_what_the_options_alone_would_have_made(tiny):
    found = by_source(tiny, (0,))

    assert sum(row.total for row, _ in found) == pytest.approx(2.0)
    assert sum(unhedged for _, unhedged in found) == pytest.approx(1.75)
    assert {row.label: (row.total, unhedged) for row, unhedged in found}["Delta"] == (4.0, 2.0)


def test_delta_outside_its_band_is_told_by_what_had_kept_it_there():
    record = made_record()
    kept = HedgingError(delta_outside=-70.0)
    first, second, third, *rest = record.steps

    def with_eth(one, **values):
        eth, btc = one.underlyings
        return replace(one, underlyings=(replace(eth, error=HedgingError(), **values), btc))

    changed = (
        with_eth(first, outside_because="cash"),
        with_eth(second, outside_because=""),
        *(with_eth(one) for one in (third, *rest)),
    )
    eth = replace(changed[1].underlyings[0], error=kept)
    changed = (changed[0], replace(changed[1], underlyings=(eth, changed[1].underlyings[1])), *changed[2:])

    rows = by_cause(replace(record, steps=changed), (0,))

    found = {row.meaning: row.total for row in rows if row.label == "Delta outside the band"}
    assert found == {"idle cash was short": -70.0}


def test_the_causes_are_told_in_words_the_largest_first():
    rows = (Row("Gaps", "", (-300.0,)), Row("Theta", "", (100.0,)), Row("Pool fees", "paid for hedging", (-50.0,)))

    words = in_words(rows, start=10_000.0)

    assert words == "The hedged vault lost 250 USDC. Taken: gaps 300, trading costs 50. Given: theta 100."


def test_depositors_could_have_held_their_usdc_instead(tiny):
    vault, static, held, mix = alternatives(tiny)

    assert (vault.end, static.end, held.end) == pytest.approx((1002.0, 920.0, 1000.0))
    assert (held.change, held.fall) == (0.0, 0.0)
    assert mix.change == pytest.approx(2400 / 3100 - 1)


def test_modes_are_strips_that_change_where_the_state_does():
    chart = Chart("states", (0, 10, 20, 30), (), lanes=(Lane("mode", ("a", "a", "b", "a"), {"a": "calm", "b": "bad"}),))

    svg = draw(chart, 1040)

    assert re.findall(r'class="state (\w+)"', svg) == ["calm", "bad", "calm"]
    assert readings(chart)["values"] == [["a", "a", "b", "a"]]


def test_a_chart_says_how_much_narrower_the_quiet_day_is_drawn():
    even = Chart("even", (0, 50, 100), (), squeeze_until=10)
    squeezed = Chart("squeezed", (0, 50, 100), (), squeeze_until=50)

    assert even.squeezed is None
    assert squeezed.squeezed == pytest.approx(5.0)  # a sixth of the width for what is as long as the rest


def test_bars_share_one_zero():
    gain, loss = bars({"loss": -25.0, "gain": 75.0})

    assert (gain.label, gain.begin, gain.length) == ("Gain", 25.0, 75.0)
    assert (loss.label, loss.begin, loss.length) == ("Loss", 0.0, 25.0)
