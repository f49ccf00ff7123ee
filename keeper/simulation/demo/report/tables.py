"""The report's tables: what stands in which column, written for people. The page knows how to lay any of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keeper.domain.units import HOUR
from keeper.simulation.demo.record import DemoRecord, RedemptionRecord
from keeper.simulation.demo.report import figures
from keeper.simulation.demo.report.explained import Row, alternatives, by_cause, by_source
from keeper.simulation.demo.report.measures import active, idleness


@dataclass(frozen=True, slots=True)
class Cell:
    """Text and its classes in the style sheet; ``detail`` is a smaller second line."""

    text: str
    role: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as (heading, classes); "num" columns are aligned to the right. ``empty`` is said where no row is."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    total: tuple[Cell, ...] = ()


def tables_of(record: DemoRecord) -> dict[str, Table]:
    """All of them by name."""
    return {
        "alternatives": _alternatives(record),
        "sources": _sources(record),
        "causes": _causes(record),
        "pools": _pools(record),
        "fills": _fills(record),
        "settlements": _settlements(record),
        "flows": _flows(record),
        "redemptions": _redemptions(record),
        "idleness": _idleness(record),
        "checks": _checks(record),
    }


def _money(value: float) -> str:
    return figures.number(value, 2, signed=True)


def _alternatives(record: DemoRecord) -> Table:
    return Table(
        (("The same deposits", ""), ("At the end, USDC", "num"), ("Change", "num"), ("Worst fall from a peak", "num")),
        tuple(
            (
                Cell(one.name, f"{one.role}-text strong" if one.role else "", one.meaning),
                Cell(figures.number(one.end, 0)),
                Cell(figures.percent(one.change, signed=True)),
                Cell(figures.percent(-one.fall, signed=True)),
            )
            for one in alternatives(record)
        ),
        "",
    )


def _sources(record: DemoRecord) -> Table:
    shown = active(record)
    found = by_source(record, shown)
    rows = [row for row, _ in found]
    without = _cents([unhedged for _, unhedged in found])
    body, total = _amounts(rows)
    unhedged = Cell(_money(sum(without)), "soft")
    return Table(
        (("Source", ""), *_symbols(record, shown), ("Never hedged", "num")),
        tuple((*cells, Cell(_money(amount), "soft")) for cells, amount in zip(body, without, strict=True)),
        "",
        (*total, unhedged),
    )


def _causes(record: DemoRecord) -> Table:
    shown = active(record)
    body, total = _amounts(by_cause(record, shown))
    return Table((("Cause", ""), *_symbols(record, shown)), body, "", total)


def _symbols(record: DemoRecord, shown: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    one_each = tuple((f"{record.underlyings[u]}, USDC", "num") for u in shown) if len(shown) > 1 else ()
    return (*one_each, ("Together, USDC" if one_each else "USDC", "num strong"))


def _amounts(rows: Sequence[Row]) -> tuple[tuple[tuple[Cell, ...], ...], tuple[Cell, ...]]:
    """Rows and their total; what is printed adds up both ways."""
    columns = [_cents([row.amounts[k] for row in rows]) for k in range(len(rows[0].amounts))]

    def cells(amounts: Sequence[float]) -> tuple[Cell, ...]:
        each = tuple(Cell(_money(amount)) for amount in amounts) if len(amounts) > 1 else ()
        return (*each, Cell(_money(sum(amounts)), "strong"))

    body = tuple(
        (Cell(row.label, "", row.meaning), *cells([column[i] for column in columns])) for i, row in enumerate(rows)
    )
    return body, (Cell("Total"), *cells([sum(column) for column in columns]))


def _cents(amounts: Sequence[float]) -> list[float]:
    """Rounded to the cent; the last, which is what the others lack, takes the rounding."""
    rounded = [round(amount, 2) for amount in amounts[:-1]]
    return [*rounded, round(sum(amounts), 2) - sum(rounded)]


def _pools(record: DemoRecord) -> Table:
    names = dict.fromkeys(pool.pool for trade in record.trades for pool in trade.pools)
    rows, totals = [], [0.0, 0.0, 0.0]
    for name in names:
        paid = [pool for trade in record.trades for pool in trade.pools if pool.pool == name]
        amounts = [
            round(amount, 2)
            for amount in (sum(p.fees for p in paid), sum(p.impact for p in paid), sum(p.basis for p in paid))
        ]
        totals = [a + b for a, b in zip(totals, amounts, strict=True)]
        rows.append((Cell(name, "nowrap"), *(Cell(figures.number(a, 2)) for a in (*amounts, sum(amounts)))))
    headings = ("Pool", "Fees, USDC", "Impact, USDC", "Away from the oracle, USDC", "Together, USDC")
    return Table(
        tuple((heading, "num" if i else "") for i, heading in enumerate(headings)),
        tuple(rows),
        "No swap was made.",
        (Cell("Total"), *(Cell(figures.number(a, 2)) for a in (*totals, sum(totals)))),
    )


def _fills(record: DemoRecord) -> Table:
    received = sum(fill.premium if fill.vault_sells else -fill.premium for fill in record.fills)
    edges = sum(
        round(sum(fill.edge for fill in record.fills if fill.symbol == symbol), 2) for symbol in record.underlyings
    )
    return Table(
        (
            ("Time, UTC", "nowrap"),
            ("Series", "nowrap"),
            ("The vault", ""),
            ("Size, units", "num"),
            ("Price, USDC", "num"),
            ("Mid, USDC", "num"),
            ("Premium, USDC", "num"),
            ("Over mid, USDC", "num"),
            ("Volatility", "num"),
        ),
        tuple(
            (
                Cell(figures.time(fill.timestamp)),
                Cell(fill.series),
                Cell("sells" if fill.vault_sells else "buys"),
                Cell(figures.units(fill.size)),
                Cell(figures.number(fill.price)),
                Cell(figures.number(fill.mid)),
                Cell(_money(fill.premium if fill.vault_sells else -fill.premium)),
                Cell(_money(fill.edge)),
                Cell(figures.percent(fill.vol)),
            )
            for fill in record.fills
        ),
        "No option was traded.",
        (
            Cell("Received less paid"),
            *(Cell("") for _ in range(5)),
            Cell(_money(received)),
            Cell(_money(edges)),
            Cell(""),
        ),
    )


def _settlements(record: DemoRecord) -> Table:
    return Table(
        (
            ("Time, UTC", "nowrap"),
            ("Series", "nowrap"),
            ("Fixing, USDC", "num"),
            ("Payout a unit, USDC", "num"),
            ("Size, units", "num"),
            ("Owed to holders, USDC", "num"),
            ("Claimed, USDC", "num"),
        ),
        tuple(
            (
                Cell(figures.time(row.timestamp)),
                Cell(row.series),
                Cell(figures.number(row.fixing)),
                Cell(figures.number(row.payout)),
                Cell(figures.units(row.size)),
                Cell(figures.number(row.owed)),
                Cell(figures.number(row.paid)),
            )
            for row in record.settlements
        ),
        "No series expired.",
        (
            Cell("Total"),
            *(Cell("") for _ in range(4)),
            Cell(figures.number(sum(row.owed for row in record.settlements))),
            Cell(figures.number(sum(row.paid for row in record.settlements))),
        ),
    )


def _flows(record: DemoRecord) -> Table:
    return Table(
        (
            ("Time, UTC", "nowrap"),
            ("Who", ""),
            ("", ""),
            ("USDC", "num"),
            ("Shares", "num"),
            ("USDC a share", "num"),
        ),
        tuple(
            (
                Cell(figures.time(flow.timestamp)),
                Cell(figures.name(flow.who)),
                Cell("deposits" if flow.usdc > 0 else "is paid", "", flow.note),
                Cell(_money(flow.usdc)),
                Cell(_money(flow.shares)),
                Cell(figures.number(abs(flow.usdc / flow.shares), 6) if flow.shares else ""),
            )
            for flow in record.flows
        ),
        "Nobody came or went.",
    )


def _redemptions(record: DemoRecord) -> Table:
    return Table(
        (
            ("Who", ""),
            ("Requested, UTC", "nowrap"),
            ("Shares", "num"),
            ("How", ""),
            ("Filled", "num"),
            ("USDC a share", "num"),
            ("Claimed, UTC", "nowrap"),
            ("Paid, USDC", "num"),
            ("Waited", "num"),
        ),
        tuple(
            (
                Cell(figures.name(one.who)),
                Cell(figures.time(one.requested_at)),
                Cell(figures.number(one.shares)),
                Cell(_how(one), "", one.note),
                Cell(figures.percent(_filled(one))),
                Cell(figures.number(one.price, 6) if one.price is not None else "–"),
                Cell(figures.time(one.claimed_at) if one.claimed_at is not None else "not yet"),
                Cell(figures.number(one.usdc)),
                Cell(_waited(one)),
            )
            for one in record.redemptions
        ),
        "Nobody redeemed.",
    )


def _how(one: RedemptionRecord) -> str:
    if one.kind == "instant":
        return "at once"
    fills = ", ".join(f"epoch {fill.epoch}: {figures.percent(fill.filled)}" for fill in one.fills)
    return f"queue, {fills}" if fills else "queue, no epoch yet"


def _filled(one: RedemptionRecord) -> float:
    filled = one.claimed_shares if one.kind == "instant" else sum(fill.shares for fill in one.fills)
    return filled / one.shares if one.shares else 0.0


def _waited(one: RedemptionRecord) -> str:
    if one.waited is None:
        return "still waits"
    return "0 h" if one.waited == 0 else f"{one.waited / HOUR:.1f} h"


def _idleness(record: DemoRecord) -> Table:
    return Table(
        (("Decision", ""), ("Times", "num"), ("Reason", ""), ("First and last, UTC", "nowrap")),
        tuple(
            (
                Cell(idle.action, "bad-text" if idle.action == "refuse" else ""),
                Cell(figures.exact(idle.count)),
                Cell(idle.kind, "", "" if idle.example == idle.kind else idle.example),
                Cell(figures.time(idle.first), "", figures.time(idle.last)),
            )
            for idle in idleness(record)
        ),
        "It traded at every step.",
    )


def _checks(record: DemoRecord) -> Table:
    rows = []
    for check in record.checks:
        off = figures.exact(check.actual - check.expected, signed=True)
        rows.append(
            (
                Cell(check.name),
                Cell(("at least " if check.at_least else "") + figures.exact(check.expected)),
                Cell(figures.exact(check.actual)),
                Cell(check.unit, "soft"),
                Cell("✓ holds", "good-text") if check.holds else Cell(f"✗ off by {off}", "bad-text strong"),
            )
        )
    return Table(
        (("Check", ""), ("Expected", "num"), ("Actual", "num"), ("Unit", "nowrap"), ("Result", "nowrap")),
        tuple(rows),
        "No check was made.",
    )
