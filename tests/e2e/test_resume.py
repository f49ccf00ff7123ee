"""A demo whose process is killed goes on from its checkpoint to the end that it would have had."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from keeper.execution.journal import Journal
from keeper.simulation.demo.checkpoint import read
from keeper.simulation.demo.path import START_VOLS, built_in, quiet
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.run import resume_demo

pytestmark = pytest.mark.timeout(3_600)  # a story takes minutes on a busy machine

PATH = built_in(hours=0.5, seed=5)
KEEPER = 60  # seconds that its blocks may come after a step
# The demo in a process of its own, with checkpoints at every step; it says how far it is.
DEMO = """
import sys
from pathlib import Path
from keeper.simulation.demo.run import DemoSettings, run_demo
from keeper.simulation.demo.path import built_in
run_demo(DemoSettings(built_in(0.5, 5), Path(sys.argv[1]), 0.0), lambda _, share: print(share, flush=True))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a demo that was killed at a random step on its path."""
    folder = tmp_path_factory.mktemp("interrupted")
    until = random.Random(3).uniform(0.6, 0.9)
    with subprocess.Popen([sys.executable, "-c", DEMO, str(folder)], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if float(line) >= until:
                break
        demo.kill()
    assert demo.returncode < 0, "it ended before it was killed"
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> int:
    """Steps that were done at the checkpoint."""
    return read(folder).progress.steps_done


@pytest.fixture(scope="module")
def story(folder: Path, done: int) -> DemoRecord:
    return resume_demo(folder, lambda *_: None)


def test_it_goes_on_from_the_middle(done: int, story: DemoRecord) -> None:
    assert 0 < done < len(story.steps) - 1


def test_the_market_takes_the_path_that_it_would_have_taken(story: DemoRecord) -> None:
    hours = sum(step.timestamp <= story.crash_from + KEEPER for step in story.steps)
    path = [*quiet(hours, START_VOLS, PATH.seed), *PATH.steps]
    after = len(story.steps) - len(path)  # until the queue has paid, and a row for the redemption at once

    assert after >= 1
    for u, first in enumerate(story.steps[0].underlyings):
        spot = first.price / path[0].prices[u]
        expected = [spot * step.prices[u] for step in (*path, *PATH.steps[-1:] * after)]
        assert [step.underlyings[u].price for step in story.steps] == pytest.approx(expected, rel=1e-6)
    times = [step.timestamp for step in story.steps]
    assert times == sorted(times)


def test_the_books_of_the_whole_balance(story: DemoRecord) -> None:
    assert story.books_balance, [check for check in story.checks if not check.holds]
    assert {flow.who for flow in story.flows} >= {"first depositor", "second depositor", "third depositor"}
    assert len(story.settlements) == 5


def test_each_rebalance_is_there_once(story: DemoRecord, folder: Path) -> None:
    journal = Journal(f"sqlite:///{folder / 'keeper.sqlite'}")
    open_intents = journal.open_intents()
    journal.close()

    first = story.trades[0].sequence
    assert [trade.sequence for trade in story.trades] == list(range(first, first + len(story.trades)))
    assert open_intents == ()
