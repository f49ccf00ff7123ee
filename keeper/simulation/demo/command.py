"""`keel demo` on a terminal: progress bar, summary, report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keeper.simulation.demo.path import MarketPath
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.report.page import write_report
from keeper.simulation.demo.report.summary import summary_table, write_summary
from keeper.simulation.demo.run import DemoSettings, finish, is_interrupted, resume_demo, run_demo

_INTERRUPTED: Final = 130  # as shells have it for SIGINT
_Tell = Callable[[str, float], None]


def run(path: MarketPath, folder: Path) -> bool:
    """Run the demo, write `report.html` and `summary.json` into ``folder``. Returns whether the books balance.

    Raises:
        KeelError: the story could not be told to its end.
    """
    console = Console()
    if is_interrupted(folder):
        console.print(f"The interrupted demo in {folder} is given up for a new one (--resume would have gone on).")
    return _show(console, folder, lambda tell: run_demo(DemoSettings(path, folder), tell))


def resume(folder: Path) -> bool:
    """Go on with the interrupted demo in ``folder``; the rest as `run`.

    Raises:
        CheckpointError: there is none that can be used.
        KeelError: the story could not be told to its end.
    """
    return _show(Console(), folder, lambda tell: resume_demo(folder, tell))


def _show(console: Console, folder: Path, demo: Callable[[_Tell], DemoRecord]) -> bool:
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=1.0)
            record = demo(lambda what, share: bar.update(task, description=what, completed=share))
            bar.update(task, description="done", completed=1.0)
    except KeyboardInterrupt:
        again = f"To go on: keel demo --resume --out {folder}" if is_interrupted(folder) else "It had hardly begun."
        console.print(f"Interrupted. {again}")
        sys.exit(_INTERRUPTED)
    write_report(record, folder / "report.html")
    write_summary(record, folder / "summary.json")
    finish(folder)
    console.print(summary_table(record))
    console.print(f"Report: {folder / 'report.html'}   Numbers: {folder / 'summary.json'}")
    for check in record.checks:
        if not check.holds:
            console.print(f"[red]The books do not balance: {check.name}: {check.expected} against {check.actual}")
    return record.books_balance
