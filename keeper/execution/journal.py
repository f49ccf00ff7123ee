"""The journal: every decision with what it saw, and every transaction from intent to outcome. Written first, then done.

SQLite by default, in WAL mode with full synchronisation: what `record_*` returned from has survived a power cut.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.errors import JournalError
from keeper.execution.database import make_engine, parse_url, sentences, writing
from keeper.execution.records import (
    Attempt,
    Call,
    Intent,
    Kind,
    Outcome,
    Record,
    Result,
    decision_hash,
    from_text,
    to_text,
)
from keeper.execution.schema import (
    SCHEMA_VERSION,
    AttemptRow,
    Base,
    DecisionRow,
    IntentRow,
    OutcomeRow,
    SchemaVersion,
)

P = ParamSpec("P")
R = TypeVar("R")


def _clear(method: Callable[Concatenate[Journal, P], R]) -> Callable[Concatenate[Journal, P], R]:
    """Database errors as sentences."""

    @functools.wraps(method)
    def guarded(self: Journal, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with sentences(self.label):
            return method(self, *args, **kwargs)

    return guarded


class Journal:
    """The journal at a SQLAlchemy URL, as in `sqlite:///keel.sqlite`; made when it is not there yet.

    Raises (the methods too):
        JournalError: locked, corrupt, not a journal, of another schema, or the URL is not one.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.label = parsed.render_as_string(hide_password=True)
        self._engine = make_engine(parsed)
        self._writer = writing(self._engine)
        with sentences(self.label):
            self._open()

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    # ------------------------------------------------------------------ decisions

    @_clear
    def record_decision(
        self,
        decision: Decision,
        policy: Policy,
        snapshot: Snapshot | None,
        *,
        timestamp: int,
        kind: Kind = Kind.HEDGE,
    ) -> Record:
        """Write a decision. The same one again (after a crash) is not written twice."""
        with Session(self._writer) as session:
            row = _decision_row(session, decision, policy, snapshot, timestamp, kind)
            session.commit()
            return _record(row)

    @_clear
    def record_action(
        self,
        decision: Decision,
        policy: Policy,
        snapshot: Snapshot | None,
        call: Call,
        *,
        timestamp: int,
        kind: Kind = Kind.HEDGE,
    ) -> tuple[Record, Intent]:
        """Write a decision together with the call that it wants made, once: both or neither."""
        with Session(self._writer) as session:
            row = _decision_row(session, decision, policy, snapshot, timestamp, kind)
            intent = IntentRow(decision_id=row.id, purpose=call.purpose, target=call.target, data=call.data)
            session.add(intent)
            session.commit()
            return _record(row), _intent(intent, ())

    @_clear
    def last_decision(self, kind: Kind | None = Kind.HEDGE) -> Record | None:
        """The newest decision of a kind, or of any."""
        return self._newest(sa.true() if kind is None else DecisionRow.kind == kind)

    @_clear
    def last_block(self) -> int | None:
        """Number of the newest block with a hedging decision; cheap, for those who wait for it."""
        with Session(self._engine) as session:
            return session.scalar(
                sa.select(sa.func.max(DecisionRow.block_number)).where(DecisionRow.kind == Kind.HEDGE)
            )

    @_clear
    def is_done_with(self, block_number: int) -> bool:
        """Whether a hedging decision on this or a later block is there and what it wanted has been tried; cheap.

        A trade that was decided on and abandoned, because the keeper died before it signed, is decided again.
        """
        is_open = sa.exists().where(IntentRow.id.not_in(sa.select(OutcomeRow.intent_id)))
        newest = (
            sa.select(DecisionRow.id, DecisionRow.block_number, DecisionRow.action)
            .where(DecisionRow.kind == Kind.HEDGE)
            .order_by(DecisionRow.block_number.desc(), DecisionRow.id.desc())
            .limit(1)
        )
        with Session(self._engine) as session:
            found = session.execute(newest).first()
            if found is None or found.block_number < block_number or session.scalar(sa.select(is_open)):
                return False
            tried = sa.exists().where(
                IntentRow.decision_id == found.id,
                OutcomeRow.intent_id == IntentRow.id,
                OutcomeRow.result != Result.ABANDONED,
            )
            return found.action != Action.TRADE or bool(session.scalar(sa.select(tried)))

    @_clear
    def decision_at(self, block_number: int, kind: Kind = Kind.HEDGE) -> Record | None:
        """The newest decision of a kind at a block: after a reorganisation there may be several."""
        return self._newest(sa.and_(DecisionRow.block_number == block_number, DecisionRow.kind == kind))

    @_clear
    def decisions(self, first_block: int = 0, last_block: int | None = None) -> tuple[Record, ...]:
        """Decisions of all kinds from block to block, oldest first."""
        query = sa.select(DecisionRow).where(DecisionRow.block_number >= first_block).order_by(DecisionRow.id)
        if last_block is not None:
            query = query.where(DecisionRow.block_number <= last_block)
        with Session(self._engine) as session:
            return tuple(_record(row) for row in session.scalars(query))

    @_clear
    def nearest_blocks(self, block_number: int) -> tuple[int | None, int | None]:
        """The nearest blocks before and after one that have a hedging decision."""
        with Session(self._engine) as session:
            hedges = DecisionRow.kind == Kind.HEDGE
            number = DecisionRow.block_number
            before = session.scalar(sa.select(sa.func.max(number)).where(hedges, number < block_number))
            after = session.scalar(sa.select(sa.func.min(number)).where(hedges, number > block_number))
            return before, after

    # ------------------------------------------------------------------ transactions

    @_clear
    def record_attempt(self, intent: Intent, attempt: Attempt) -> Intent:
        """Write a signed transaction, before it is sent."""
        with Session(self._writer) as session:
            session.add(
                AttemptRow(
                    intent_id=intent.id,
                    nonce=attempt.nonce,
                    tx_hash=attempt.tx_hash,
                    raw=attempt.raw,
                    max_fee=str(attempt.max_fee),
                    priority_fee=str(attempt.priority_fee),
                )
            )
            session.commit()
        return replace(intent, attempts=(*intent.attempts, attempt))

    @_clear
    def record_outcome(self, intent: Intent, outcome: Outcome) -> None:
        """Write how an intent ended.

        Raises:
            JournalError: it has ended before.
        """
        with Session(self._writer) as session:
            session.add(
                OutcomeRow(
                    intent_id=intent.id,
                    result=outcome.result,
                    detail=outcome.detail,
                    tx_hash=outcome.tx_hash,
                    block_number=outcome.block_number,
                    block_hash=outcome.block_hash,
                    gas_used=outcome.gas_used,
                    gas_price=None if outcome.gas_price is None else str(outcome.gas_price),
                )
            )
            session.commit()

    @_clear
    def open_intents(self) -> tuple[Intent, ...]:
        """Intents without an outcome, oldest first: what a crash or a lost reply left behind."""
        query = sa.select(IntentRow).outerjoin(OutcomeRow).where(OutcomeRow.intent_id.is_(None)).order_by(IntentRow.id)
        with Session(self._engine) as session:
            return tuple(_intent(row, _attempts(session, row.id)) for row in session.scalars(query).all())

    @_clear
    def transactions_of(self, decision_id: int) -> tuple[tuple[Intent, Outcome | None], ...]:
        """The intents of a decision with their outcomes, oldest first."""
        query = sa.select(IntentRow).where(IntentRow.decision_id == decision_id).order_by(IntentRow.id)
        with Session(self._engine) as session:
            rows = session.scalars(query).all()
            return tuple(
                (_intent(row, _attempts(session, row.id)), _outcome(session.get(OutcomeRow, row.id))) for row in rows
            )

    # ------------------------------------------------------------------ internals

    def _newest(self, condition: sa.ColumnElement[bool]) -> Record | None:
        query = (
            sa.select(DecisionRow)
            .where(condition)
            .order_by(DecisionRow.block_number.desc(), DecisionRow.id.desc())
            .limit(1)
        )
        with Session(self._engine) as session:
            row = session.scalar(query)
            return None if row is None else _record(row)

    def _open(self) -> None:
        if SchemaVersion.__tablename__ not in sa.inspect(self._engine).get_table_names():
            self._create()
        with Session(self._engine) as session:
            versions: Sequence[int] = session.scalars(sa.select(SchemaVersion.version)).all()
        if list(versions) != [SCHEMA_VERSION]:
            raise JournalError(
                f"The journal {self.label} has schema {versions[0] if versions else 'none'}, "
                f"this version of Keel writes {SCHEMA_VERSION}.",
                kept="Nothing was written to it.",
                todo="Use the version of Keel that wrote it, or start a new journal.",
            )

    def _create(self) -> None:
        """Make the tables, whole or not at all; of two processes that try, the second finds them."""
        with self._writer.begin() as connection:
            tables = sa.inspect(connection).get_table_names()
            if SchemaVersion.__tablename__ in tables:
                return
            if tables:
                raise JournalError(
                    f"The database {self.label} is not a journal of Keel.",
                    kept="Nothing was written to it.",
                    todo="Set `journal_url` in keel.toml to another one.",
                )
            Base.metadata.create_all(connection)
            connection.execute(sa.insert(SchemaVersion).values(version=SCHEMA_VERSION))


def _decision_row(
    session: Session, decision: Decision, policy: Policy, snapshot: Snapshot | None, timestamp: int, kind: Kind
) -> DecisionRow:
    """The row of a decision, added unless it is there."""
    digest = decision_hash(decision, policy, snapshot)
    same = (
        DecisionRow.kind == kind,
        DecisionRow.block_hash == decision.block_hash,
        DecisionRow.decision_hash == digest,
    )
    row = session.scalar(sa.select(DecisionRow).where(*same))
    if row is None:
        row = DecisionRow(
            kind=kind,
            block_number=decision.block_number,
            block_hash=decision.block_hash,
            timestamp=timestamp,
            action=decision.action,
            reason=decision.reason,
            decision=to_text(decision),
            policy=to_text(policy),
            snapshot=zlib.compress(to_text(snapshot).encode()) if snapshot is not None else b"",
            decision_hash=digest,
        )
        session.add(row)
        session.flush()
    return row


def _record(row: DecisionRow) -> Record:
    return Record(
        id=row.id,
        kind=Kind(row.kind),
        block_number=row.block_number,
        block_hash=row.block_hash,
        timestamp=row.timestamp,
        decision=from_text(Decision, row.decision),
        policy=from_text(Policy, row.policy),
        snapshot=from_text(Snapshot, zlib.decompress(row.snapshot)) if row.snapshot else None,
        decision_hash=row.decision_hash,
    )


def _attempts(session: Session, intent_id: int) -> tuple[Attempt, ...]:
    rows = session.scalars(sa.select(AttemptRow).where(AttemptRow.intent_id == intent_id).order_by(AttemptRow.id))
    return tuple(Attempt(row.nonce, row.tx_hash, row.raw, int(row.max_fee), int(row.priority_fee)) for row in rows)


def _intent(row: IntentRow, attempts: tuple[Attempt, ...]) -> Intent:
    return Intent(row.id, row.decision_id, Call(row.purpose, row.target, row.data), attempts)


def _outcome(row: OutcomeRow | None) -> Outcome | None:
    if row is None:
        return None
    return Outcome(
        result=Result(row.result),
        detail=row.detail,
        tx_hash=row.tx_hash,
        block_number=row.block_number,
        block_hash=row.block_hash,
        gas_used=row.gas_used,
        gas_price=None if row.gas_price is None else int(row.gas_price),
    )
