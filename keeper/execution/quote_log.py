"""The audit log of the quote server, in the journal's database: what was asked, and what was answered.

A quote is written before it is handed out, so that whoever takes over (this process after a crash, another machine)
knows of every one that somebody may fill.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keeper.execution.database import clear, make_engine, parse_url, sentences, writing
from keeper.execution.lease import Lease
from keeper.execution.migrate import require_schema
from keeper.execution.schema import QuoteRow


@dataclass(frozen=True, slots=True)
class Asked:
    """A request at chain time ``at``; ``series`` is its identifier, 0 where there is none, ``size`` units in WAD."""

    at: int
    taker: str
    series: int
    vault_sells: bool
    size: int


@dataclass(frozen=True, slots=True)
class Answered:
    """``answer`` is the JSON that went out; ``digest`` (0x-hex), nonce and expiry of a signed quote, or why there is
    none: ``refusal``."""

    answer: str
    refusal: str = ""
    digest: str = ""
    nonce: int = 0
    expires_at: int = 0


@dataclass(slots=True)
class _Entry:
    asked: Asked
    answered: Answered
    is_done: bool = False
    error: Exception | None = None


class QuoteLog:
    """The log in the journal at a SQLAlchemy URL.

    Args:
        lease: Without it no signed quote is written. None for who is alone.

    Raises (the methods too):
        JournalError: there is no journal of this version, or it cannot be read or written.
        LeaseError: another keeper has taken over.
    """

    def __init__(self, url: str, lease: Lease | None = None) -> None:
        parsed = parse_url(url)
        self._lease = lease
        self._arriving, self._writing = threading.Lock(), threading.Lock()
        self._entries: list[_Entry] = []  # that wait for the disk
        self.label = parsed.render_as_string(hide_password=True)
        self._engine = make_engine(parsed)
        self._writer = writing(self._engine)
        with sentences(self.label):
            require_schema(self._engine, self.label)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    @clear
    def write(self, asked: Asked, answered: Answered) -> None:
        """Write a request with its answer. Those that come while the disk is busy are written together, by the first
        of them whose turn it is: a commit waits for the disk, and the loop's journal waits for commits.
        """
        mine = _Entry(asked, answered)
        with self._arriving:
            self._entries.append(mine)
        with self._writing:
            if not mine.is_done:
                with self._arriving:
                    entries, self._entries = self._entries, []
                self._write(entries)
        if mine.error is not None:
            raise mine.error

    def _write(self, entries: Sequence[_Entry]) -> None:
        """In one transaction; without the lease none of it."""
        try:
            with Session(self._writer) as session:
                if self._lease is not None and any(entry.answered.digest for entry in entries):
                    self._lease.check(session)
                session.add_all(_row(entry.asked, entry.answered) for entry in entries)
                session.commit()
        except Exception as error:
            for entry in entries:
                entry.error = error
        for entry in entries:
            entry.is_done = True

    @clear
    def signed_since(self, last: int, at: int, life: int) -> tuple[tuple[int, Asked, Answered], ...]:
        """Signed quotes with a number above ``last`` that may be filled at chain time ``at``, each with its number;
        none lives longer than ``life`` seconds."""
        conditions = (QuoteRow.id > last, QuoteRow.asked_at >= at - life, QuoteRow.expires_at >= at)
        with Session(self._engine) as session:
            rows = session.scalars(sa.select(QuoteRow).where(*conditions).order_by(QuoteRow.id)).all()
            return tuple((row.id, *_entry(row)) for row in rows)

    @clear
    def find(self, digest: str) -> tuple[Asked, Answered] | None:
        """A signed quote by its digest."""
        with Session(self._engine) as session:
            row = session.scalar(sa.select(QuoteRow).where(QuoteRow.digest == digest))
            return None if row is None else _entry(row)


def _row(asked: Asked, answered: Answered) -> QuoteRow:
    is_signed = bool(answered.digest)
    return QuoteRow(
        asked_at=asked.at,
        taker=asked.taker,
        series=str(asked.series),
        vault_sells=asked.vault_sells,
        size=str(asked.size),
        answer=answered.answer,
        refusal=answered.refusal,
        digest=answered.digest or None,
        nonce=str(answered.nonce) if is_signed else None,
        expires_at=answered.expires_at if is_signed else None,
    )


def _entry(row: QuoteRow) -> tuple[Asked, Answered]:
    asked = Asked(row.asked_at, row.taker, int(row.series), row.vault_sells, int(row.size))
    answered = Answered(row.answer, row.refusal, row.digest or "", int(row.nonce or 0), row.expires_at or 0)
    return asked, answered
