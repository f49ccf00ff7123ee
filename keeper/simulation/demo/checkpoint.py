"""Checkpoints of a demo: its chain, the keeper's journal and the story at one moment, so that it can go on from there.

One file, replaced as a whole: a power cut leaves the last one or the one before. Journal and chain are of the same
block, so a keeper that starts on them finds nothing that it has not done, and nothing done that it does not know.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keeper.errors import KeelError

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.simulation.demo.observer import Watched
    from keeper.simulation.demo.path import MarketPath
    from keeper.simulation.demo.story import Progress, Story

NAME: Final = "demo.checkpoint"
_VERSION: Final = 2
_WIRING: Final = ("w3", "deployment")  # of a ledger: what ties it to this process


class CheckpointError(KeelError):
    """There is no checkpoint that can be used."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``upstream`` is the hash of the mainnet block that was forked, ``chain`` anvil's state on top of it."""

    version: int
    path: MarketPath
    upstream: str
    chain: bytes
    journal: bytes
    deployment: Deployment
    progress: Progress
    watched: Watched
    ledger: dict[str, Any]

    def restore(self, story: Story) -> None:
        """Put everything in place for a story on a fork of the same mainnet in the state ``chain``.

        Raises:
            CheckpointError: it is another mainnet.
        """
        if story.fork.upstream_hash() != self.upstream:
            raise CheckpointError(
                "The demo was begun on another mainnet: another block or node, or another snapshot.",
                kept="Nothing was changed.",
                todo="Set KEEL_MAINNET_RPC and KEEL_MAINNET_BLOCK as they were, or begin anew without --resume.",
            )
        for name in ("", "-wal", "-shm"):
            (story.folder / f"keeper.sqlite{name}").unlink(missing_ok=True)
        (story.folder / "keeper.sqlite").write_bytes(self.journal)
        story.deployment, story.progress = self.deployment, self.progress
        story.set_up(self.watched)
        for name, value in self.ledger.items():
            setattr(story.ledger, name, value)


def take(story: Story) -> None:
    """Write the checkpoint of a story whose keeper is done with the newest block."""
    checkpoint = Checkpoint(
        version=_VERSION,
        path=story.path,
        upstream=story.fork.upstream_hash(),
        chain=story.fork.dump_state(),
        journal=_copy_of(story.keeper.journal_path),
        deployment=story.deployment,
        progress=story.progress,
        watched=story.observer.watched,
        ledger={f.name: getattr(story.ledger, f.name) for f in fields(story.ledger) if f.name not in _WIRING},
    )
    target = story.folder / NAME
    draft = target.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        pickle.dump(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def read(folder: Path) -> Checkpoint:
    """The checkpoint in a demo's folder.

    Raises:
        CheckpointError: there is none, or it is damaged or of another version of Keel.
    """
    todo = "Begin anew without --resume."
    try:
        with (folder / NAME).open("rb") as file:
            found = _Unpickler(file).load()
    except FileNotFoundError:
        finished = (folder / "summary.json").exists()
        state = (
            "The demo in it has finished." if finished else "No demo was interrupted there after its options were sold."
        )
        raise CheckpointError(f"There is nothing to resume in {folder}. {state}", kept="", todo=todo) from None
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint in {folder} cannot be read: {error.strerror}.", kept="Nothing was changed.", todo=todo
        ) from None
    except Exception as error:  # a damaged pickle raises about anything
        raise CheckpointError(
            f"The checkpoint in {folder} is damaged or of another version of Keel ({type(error).__name__}).",
            kept="Nothing was changed.",
            todo=todo,
        ) from None
    if not isinstance(found, Checkpoint) or found.version != _VERSION:
        raise CheckpointError(
            f"The checkpoint in {folder} is of another version of Keel.", kept="Nothing was changed.", todo=todo
        )
    return found


def _copy_of(database: Path) -> bytes:
    """A consistent copy of a SQLite database that others have open."""
    source, copy = sqlite3.connect(f"file:{database}?mode=ro", uri=True), sqlite3.connect(":memory:")
    try:
        source.backup(copy)
        return copy.serialize()
    finally:
        source.close()
        copy.close()


class _Unpickler(pickle.Unpickler):
    """Makes Keel's own values only: a checkpoint is data, not a program."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        own = module.startswith("keeper.") and isinstance(found, type) and found.__module__ == module
        if own:
            return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a checkpoint")
