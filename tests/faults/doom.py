"""The end of a process, inside it: before or after a write of the journal or a send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.faults.stage import InTurn

MOMENTS = ("crash before a write", "crash after a write", "crash before a send", "crash after a send")


class Crash(BaseException):
    """The process ends here. Nobody catches it."""


class Doom:
    """Ends the process at the ``left``-th moment of a kind from now."""

    def __init__(self) -> None:
        self.moment, self.left = "", 0

    def at(self, moment: str) -> None:
        """This moment has come."""
        if moment == self.moment:
            self.left -= 1
            if self.left == 0:
                raise Crash(moment)

    @contextmanager
    def over_writes(self) -> Iterator[None]:
        """Of every database of this process."""

        def before(_: Session) -> None:
            self.at("crash before a write")

        def after(_: Session) -> None:
            self.at("crash after a write")

        sa.event.listen(Session, "before_commit", before)
        sa.event.listen(Session, "after_commit", after)
        try:
            yield
        finally:
            sa.event.remove(Session, "before_commit", before)
            sa.event.remove(Session, "after_commit", after)


class DoomedEndpoints(InTurn):
    """The process may end before or after a send."""

    def __init__(self, urls: list[str], doom: Doom, clock: Callable[[], float]) -> None:
        super().__init__(urls, clock)
        self._doom = doom

    def send_raw(self, transaction: bytes) -> str:
        self._doom.at("crash before a send")
        try:
            return super().send_raw(transaction)
        finally:
            self._doom.at("crash after a send")
