"""A recorded hour on the fork, from a csv file to balanced books: calm volatility, a fall, and an expiry on the way."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keeper.risk.performance import max_drawdown
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.recorded import recorded
from keeper.simulation.demo.report.measures import performance
from keeper.simulation.demo.run import DemoSettings, run_demo

pytestmark = pytest.mark.timeout(3_600)  # a story takes minutes on a busy machine

SPACING = timedelta(minutes=5)
BEGIN = datetime(2024, 8, 5, 7, 30, tzinfo=UTC)
CLOSES = (2700.0, 2650.0, 2640.0, 2500.0, 2450.0, 2300.0, 2200.0, 2150.0, 2250.0, 2280.0, 2260.0, 2300.0)
OPENED = 2710.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def prices(folder: Path) -> Path:
    rows, last = ["time,open,high,low,close,volume"], OPENED
    for i, close in enumerate(CLOSES):
        rows.append(f"{BEGIN + i * SPACING:%Y-%m-%d %H:%M:%S},{last},{max(last, close)},{min(last, close)},{close},1")
        last = close
    (folder / "eth.csv").write_text("\n".join(rows) + "\n")
    return folder / "eth.csv"


@pytest.fixture(scope="module")
def vol(folder: Path) -> Path:
    """An index that doubles from a calm 35 points."""
    rows = ["time,open,high,low,close"]
    for hour, points in ((5, 35), (6, 35), (7, 70)):
        rows.append(f"2024-08-05 0{hour}:00:00,{points},{points},{points},{points}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder / "index.csv"


@pytest.fixture(scope="module")
def story(prices: Path, vol: Path, folder: Path) -> DemoRecord:
    return run_demo(DemoSettings(recorded({"ETH": prices}, vols={"ETH": vol}), folder / "out"), lambda *_: None)


def first_of_path(story: DemoRecord) -> int:
    """Index of the first step after the quiet day, whose last one may be followed by blocks of the keeper's."""
    return sum(step.timestamp <= story.crash_from + 60 for step in story.steps)


def test_the_recorded_returns_are_what_the_oracle_says(story: DemoRecord) -> None:
    begin = first_of_path(story)
    before, *prices = (step.underlyings[0].price for step in story.steps[begin - 1 : begin + len(CLOSES)])

    assert [price / before for price in prices] == pytest.approx([close / OPENED for close in CLOSES], rel=1e-4)


def test_the_recorded_time_of_day_is_kept(story: DemoRecord) -> None:
    begin = first_of_path(story)
    for i, step in enumerate(story.steps[begin : begin + len(CLOSES)]):
        off = step.timestamp - int((BEGIN + (i + 1) * SPACING).timestamp())
        assert math.remainder(off, 86400) == pytest.approx(0, abs=30)  # the keeper's blocks come after the step


def test_the_expiry_on_the_way_is_settled(story: DemoRecord) -> None:
    assert len(story.settlements) == 5
    assert any(row.paid > 0 for row in story.settlements)


def test_the_hedge_halves_the_loss_at_least_and_the_books_balance(story: DemoRecord) -> None:
    nav = performance(story)

    assert max_drawdown(nav.hedged) < max_drawdown(nav.unhedged) / 2
    assert story.books_balance, [check for check in story.checks if not check.holds]
