"""`keel demo` on a terminal: progress bar, summary, report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keeper.simulation.demo import DemoSettings, run_demo
from keeper.simulation.path import MarketPath
from keeper.simulation.report.page import write_report
from keeper.simulation.report.summary import summary_table, write_summary


def run(path: MarketPath, folder: Path) -> bool:
    """Run the demo, write `report.html` and `summary.json` into ``folder``. Returns whether the books balance.

    Raises:
        KeelError: the story could not be told to its end.
    """
    console = Console()
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=1.0)
        record = run_demo(
            DemoSettings(path, folder), lambda what, share: bar.update(task, description=what, completed=share)
        )
        bar.update(task, description="done", completed=1.0)
    write_report(record, folder / "report.html")
    write_summary(record, folder / "summary.json")
    console.print(summary_table(record))
    console.print(f"Report: {folder / 'report.html'}   Numbers: {folder / 'summary.json'}")
    for check in record.checks:
        if not check.holds:
            console.print(f"[red]The books do not balance: {check.name}: {check.expected} against {check.actual}")
    return record.books_balance
