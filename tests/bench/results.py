"""What a benchmark says: rows of ours against a peer, measured in the same run unless the name says otherwise."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
OUT = PROJECT / "out" / "bench.json"

_TURN_SECONDS = 0.005


@dataclass(frozen=True)
class Row:
    """``ratio`` is how many times better than the peer we are, above 1 in either unit; None where there is no peer."""

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str
    goal: str | None
    met: bool | None


def row(
    name: str,
    ours: float,
    unit: str,
    *,
    peer: float | None = None,
    ratio_goal: float | None = None,
    ours_goal: float | None = None,
) -> Row:
    """A row with its verdict. Rates (``.../s``) shall be high, everything else low; at most one goal."""
    is_rate = unit.endswith("/s")
    ratio = None if peer is None else (ours / peer if is_rate else peer / ours)
    goal, met = None, None
    if ratio_goal is not None and ratio is not None:
        goal, met = f"ratio >= {ratio_goal:g}", ratio >= ratio_goal
    elif ours_goal is not None:
        goal = f"{'>=' if is_rate else '<='} {ours_goal:g} {unit}"
        met = ours >= ours_goal if is_rate else ours <= ours_goal
    return Row(name, ours, peer, ratio, unit, goal, None if met is None else bool(met))  # of numpy's it may be


def medians(functions: Mapping[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Median seconds of each function. They take turns, so that a busy moment of the machine hits all of them.

    In its turn a short function is called for five milliseconds: its first call finds the processor's caches full of
    another's data, which doubles a tenth of a millisecond and is nothing to a peer that takes ten.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    calls = {}
    for name, function in functions.items():
        function()  # imports, caches and memory, once
        calls[name] = max(1, int(_TURN_SECONDS / _seconds(function)))
    for _ in range(runs):
        for name, function in functions.items():
            times[name] += [_seconds(function) for _ in range(calls[name])]
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def show(group: str, rows: list[Row]) -> None:
    """Print a table."""
    width = max(len(entry.name) for entry in rows)
    print(f"\n{group:<{width}} {'ours':>11} {'peer':>11} {'ratio':>8}  unit       goal")
    for entry in rows:
        peer = "" if entry.peer is None else _number(entry.peer)
        ratio = "" if entry.ratio is None else f"{entry.ratio:.2f}"
        verdict = "" if entry.goal is None else f"{entry.goal}: {'met' if entry.met else 'NOT MET'}"
        cells = f"{entry.name:<{width}} {_number(entry.ours):>11} {peer:>11} {ratio:>8}  {entry.unit:<10} {verdict}"
        print(cells.rstrip())


def _number(value: float) -> str:
    if value == int(value) and value < 1e8:
        return f"{int(value):,}"
    return f"{value:.3g}" if value < 1e4 else f"{value:,.0f}" if value < 1e8 else f"{value:.3g}"


def write(rows: list[Row]) -> None:
    """Write ``out/bench.json``."""
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(entry) for entry in rows], indent=2, ensure_ascii=False) + "\n")
    print(f"\n{OUT.relative_to(PROJECT)}: {len(rows)} rows")
