"""The lease: of several keepers of one vault that share a journal, one acts, and the others stand by.

There is one row per vault. Its token grows each time it changes hands, and whatever a keeper writes to the journal is
conditional on its own token in the same database transaction. Nothing is sent that was not written before, so that a
keeper that was frozen for however long, and does not know that another has taken over, cannot sign for it: its first
write is refused. Time is the database's own, and no keeper's: it decides when a silent one is replaced, not who may
write.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from keeper.errors import LeaseError
from keeper.execution.database import clock_ms, make_engine, parse_url, sentences, writing
from keeper.execution.migrate import require_schema
from keeper.execution.schema import LeaseRow

LONGEST: Final = 600.0  # seconds that a lease may last
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the lease; ``seconds`` are left of it, none or less when it may be taken."""

    machine: str
    token: int
    seconds: float


def holder_of(url: str, chain_id: int, vault: str) -> Holder | None:
    """Who has a vault's lease, None where nobody ever had. Raises JournalError."""
    lease = Lease(url, chain_id, vault, machine="", seconds=0.0)
    try:
        return lease.holder()
    finally:
        lease.close()


class Lease:
    """One keeper's view of it. For one thread.

    Args:
        machine: Its name. A keeper that starts takes over at once from an earlier one of the same machine, which has
            died, or is meant to be replaced; from another machine's only when that one has been silent for long enough.
        seconds: For which nobody else takes over after the last sign of life.
        clock: This process's, forward only: it spares the database, and nothing is decided by it.

    Raises (the methods too):
        JournalError: the database cannot be used, or holds no journal of this version.
    """

    def __init__(
        self,
        url: str,
        chain_id: int,
        vault: str,
        machine: str,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parsed = parse_url(url)
        self.machine, self._seconds, self._clock = machine, seconds, clock
        self._label = parsed.render_as_string(hide_password=True)
        self._engine = make_engine(parsed)
        self._writer = writing(self._engine)
        self._now_ms = clock_ms(self._engine)
        self._row = (LeaseRow.chain_id == chain_id, LeaseRow.vault == vault)
        self._key = {"chain_id": chain_id, "vault": vault}
        self._token: int | None = None
        self._starts = True
        self._renewed_at = 0.0
        with sentences(self._label):
            require_schema(self._engine, self._label)

    @property
    def is_held(self) -> bool:
        """As far as this keeper knows."""
        return self._token is not None

    def close(self) -> None:
        """Give it back, so that another need not wait, and close the connections."""
        with contextlib.suppress(Exception):  # what cannot be given back expires
            if self._token is not None:
                with self._writer.begin() as connection:
                    connection.execute(self._mine().values(expires_ms=0))
        self._token = None
        self._engine.dispose()

    def acquire(self) -> bool:
        """Renew it, or take it where it is free. Whether this keeper may act now."""
        if self._token is not None:
            return self.renew()
        with sentences(self._label):
            found = self._read()
            if found is not None and not self._is_free(found):
                self._starts = False
                return False
            self._token = self._take(is_new=found is None)
        return self._token is not None

    def renew(self) -> bool:
        """Show life, unless that was done a moment ago. False when another has it: this keeper may not act."""
        if self._token is None:
            return False
        if self._clock() < self._renewed_at + self._seconds / 3:
            return True
        with sentences(self._label), self._writer.begin() as connection:
            if not self._extend(connection):
                self._token = None
        self._renewed_at = self._clock()
        return self._token is not None

    def require(self, session: Session) -> None:
        """Refuse what a session is about to write unless the lease is held, and until it has committed.

        Raises:
            LeaseError: another keeper has taken over.
        """
        if self._token is None or not self._extend(session):
            self._token = None
            raise self.lost()
        self._renewed_at = self._clock()

    def check(self, session: Session) -> None:
        """As `require`, without showing life: what another thread writes must not hide that the loop has stalled.

        Raises:
            LeaseError: another keeper has taken over, or could.
        """
        mine = (*self._row, LeaseRow.token == self._token, LeaseRow.expires_ms > self._now_ms)
        if self._token is None or session.scalar(sa.select(LeaseRow.token).where(*mine).with_for_update()) is None:
            raise self.lost()

    def holder(self) -> Holder | None:
        """Who has it; None where nobody ever had."""
        with sentences(self._label):
            return self._read()

    def lost(self) -> LeaseError:
        """The error of a keeper that would act and may not."""
        found = self.holder()
        return LeaseError(
            f"The vault is kept by {found.machine if found else 'another keeper'} now, not by {self.machine}.",
            kept="Nothing was decided or sent; what was sent before is in the journal that both share.",
            todo="This keeper stands by. To let it act, stop the other one.",
        )

    # ------------------------------------------------------------------ internals

    def _read(self) -> Holder | None:
        query = sa.select(LeaseRow.machine, LeaseRow.token, LeaseRow.expires_ms, self._now_ms).where(*self._row)
        with self._engine.connect() as connection:
            found = connection.execute(query).first()
        if found is None:
            return None
        machine, token, expires_ms, now_ms = found
        return Holder(machine, token, (expires_ms - now_ms) / 1000)

    def _is_free(self, found: Holder) -> bool:
        is_over = not 0 < found.seconds <= LONGEST  # longer than any: the database's clock was set back
        return is_over or (self._starts and found.machine == self.machine)

    def _take(self, *, is_new: bool) -> int | None:
        """The new token; None where another was faster, or is writing right now."""
        try:
            with Session(self._writer) as session, session.begin():
                row = session.scalar(sa.select(LeaseRow).where(*self._row).with_for_update(skip_locked=True))
                now_ms = session.scalar(sa.select(self._now_ms)) or 0
                if row is None and not is_new:
                    return None
                if row is None:
                    row = LeaseRow(**self._key, machine="", token=0, expires_ms=0)
                    session.add(row)
                elif not self._is_free(Holder(row.machine, row.token, (row.expires_ms - now_ms) / 1000)):
                    return None
                before = row.machine
                row.machine, row.token = self.machine, row.token + 1
                row.expires_ms = now_ms + int(1000 * self._seconds)
                token = row.token
        except IntegrityError:
            return None
        self._starts = False
        self._renewed_at = self._clock()
        _LOG.warning("%s keeps the vault now%s, token %d", self.machine, before and f", before: {before}", token)
        return token

    def _mine(self) -> sa.Update:
        return sa.update(LeaseRow).where(*self._row, LeaseRow.token == self._token)

    def _extend(self, connection: Session | sa.Connection) -> bool:
        """Show life, and keep the row locked to the end of the transaction. False when another has it."""
        until = self._now_ms + int(1000 * self._seconds)
        return connection.scalar(self._mine().values(expires_ms=until).returning(LeaseRow.token)) is not None
