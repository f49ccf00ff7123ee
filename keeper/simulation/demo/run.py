"""Keel's story once, in small, on a fork: deposit, sell options, hedge through a crash, settle, redeem.

Three depositors bring 1,000,000 USDC and takers buy thirteen options on ETH and BTC over three expiries. A quiet day
passes in hourly steps, then the market takes its path, a crash as a rule, while the keeper, one live process, hedges.
Each expiry on the way is fixed and paid. In the crash a depositor asks for redemption through the queue, and is paid
after its close; after it another one redeems, at once what the vault lets go in a day and the rest through the queue,
and the books are checked to the unit.
"""

from __future__ import annotations

import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keeper.domain.series import UNDERLYINGS
from keeper.errors import ConfigError
from keeper.operations.seed import NOBODY
from keeper.simulation.demo import checkpoint
from keeper.simulation.demo.accounting import checks
from keeper.simulation.demo.cast import DEPOSITS, TAKERS
from keeper.simulation.demo.path import MarketPath
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.story import Story
from keeper.simulation.fork import Fork

_LEFT_BEHIND: Final = ("keeper.*", "report.html", "summary.json", checkpoint.NAME)


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the market does, where everything goes, and how many seconds pass between checkpoints."""

    path: MarketPath
    folder: Path
    checkpoint_seconds: float = 15.0


def run_demo(settings: DemoSettings, progress: Callable[[str, float], None]) -> DemoRecord:
    """Run the story on a fresh fork. What an earlier demo left in the folder is removed.

    Args:
        progress: Called with what is going on and the share of the story that is done.

    Raises:
        ConfigError: the folder cannot be used.
        KeelError: a part of the story could not be carried out; what there is stays in the folder.
    """
    with _folder(settings.folder):
        for pattern in _LEFT_BEHIND:
            for stale in settings.folder.glob(pattern):
                stale.unlink()
        progress("forking mainnet", 0.0)
        with Fork() as fork:
            story = Story(settings.path, settings.folder, fork, progress)
            story.open()
            return _tell(story, settings.checkpoint_seconds)


def resume_demo(folder: Path, progress: Callable[[str, float], None], checkpoint_seconds: float = 15.0) -> DemoRecord:
    """Go on with an interrupted demo from its last checkpoint. What came after it is told anew.

    Raises:
        CheckpointError: there is none that can be used.
        KeelError: as `run_demo`.
    """
    found = checkpoint.read(folder)
    with _folder(folder):
        progress("forking mainnet", 0.0)
        with Fork(state=found.chain) as fork:
            story = Story(found.path, folder, fork, progress)
            found.restore(story)
            return _tell(story, checkpoint_seconds)


def is_interrupted(folder: Path) -> bool:
    """Whether a demo in the folder can be resumed."""
    return (folder / checkpoint.NAME).exists()


def finish(folder: Path) -> None:
    """The demo in the folder is over, and what it leaves is written: there is nothing to resume any more."""
    (folder / checkpoint.NAME).unlink(missing_ok=True)


def _tell(story: Story, checkpoint_seconds: float) -> DemoRecord:
    """The story from where it is to its end, with a checkpoint before each stretch of so many seconds."""
    before, began = story.progress.seconds, time.monotonic()
    with story.keeper:
        story.let_keeper_act()
        story.observer.look()
        checkpoint.take(story)
        taken = time.monotonic()
        for _ in story.hedge():
            if time.monotonic() - taken >= checkpoint_seconds:
                story.progress.seconds = before + time.monotonic() - began
                checkpoint.take(story)
                taken = time.monotonic()
        story.close()
    return record_of(story, before + time.monotonic() - began)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """The folder, there and writable and ours alone.

    Raises:
        ConfigError: it is not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        lock = (folder / "demo.lock").open("w")
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be used: {error.strerror}.",
            kept="Nothing was started.",
            todo="Choose another one with --out.",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"Another demo is running in {folder}.", kept="Nothing was started.", todo="Choose another --out."
            ) from None
        yield


def record_of(story: Story, seconds: float) -> DemoRecord:
    """Check the books and put everything together."""
    story.tell("checking the books", 0.98)
    snapshot, chronicle = story.observer.read(), story.observer.chronicle
    return DemoRecord(
        market=story.path.title,
        seed=story.path.seed,
        hours=story.path.hours,
        seconds=seconds,
        crash_from=story.progress.path_from,
        underlyings=UNDERLYINGS[: len(snapshot.readings)],
        steps=tuple(story.observer.steps),
        trades=tuple(story.ledger.trades),
        fills=tuple(chronicle.fills),
        settlements=tuple(chronicle.settlements),
        flows=tuple(chronicle.flows),
        redemptions=tuple(chronicle.redemptions),
        checks=checks(
            story.fork.w3,
            story.deployment,
            snapshot,
            chronicle,
            story.ledger,
            depositors=[NOBODY, *(story.cast.address(who) for who in DEPOSITS)],
            holders=[story.cast.address(who) for who in TAKERS],
        ),
    )
