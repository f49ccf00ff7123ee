"""The journal: every decision with what it saw, and every transaction from intent to outcome. Written first, then done.

SQLite by default, in WAL mode with full synchronisation: what `record_*` returned from has survived a power cut.
"""

from __future__ import annotations

import zlib

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from keeper.domain.decision import Action, Brief, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.execution.database import clear, make_engine, parse_url, sentences, writing
from keeper.execution.environment import environment
from keeper.execution.migrate import open_schema
from keeper.execution.records import (
    BESIDE,
    FEE_FLOOR,
    Call,
    Intent,
    Kind,
    Record,
    Result,
    from_text,
    hash_of_texts,
    to_text,
)
from keeper.execution.schema import AttemptRow, DecisionRow, IntentRow, StepRow
from keeper.execution.states import OPEN
from keeper.execution.transactions import TransactionLog

_LATELY = 200  # transactions: a book of so long ago may be another one


class Journal(TransactionLog):
    """The journal at a SQLAlchemy URL, as in `sqlite:///keel.sqlite`; made when it is not there yet.

    Raises (the methods too):
        JournalError: locked, corrupt, not a journal, of another schema, or the URL is not one.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        engine = make_engine(parsed)
        super().__init__(parsed.render_as_string(hide_password=True), engine, writing(engine))
        with sentences(self.label):
            open_schema(engine, self.label)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    # ------------------------------------------------------------------ decisions

    @clear
    def record_decision(
        self,
        decision: Decision,
        policy: Policy,
        snapshot: Snapshot | None,
        *,
        timestamp: int,
        kind: Kind = Kind.HEDGE,
        brief: Brief | None = None,
        wanted: Decision | None = None,
    ) -> Record:
        """Write a decision. The same one again (after a crash) is not written twice."""
        with self._writing() as session:
            return _record(_decision_row(session, decision, policy, snapshot, brief, wanted, timestamp, kind))

    @clear
    def record_action(
        self,
        decision: Decision,
        policy: Policy,
        snapshot: Snapshot | None,
        call: Call,
        *,
        account: str,
        timestamp: int,
        kind: Kind = Kind.HEDGE,
        brief: Brief | None = None,
        fee_ceiling: int = FEE_FLOOR,
    ) -> tuple[Record, Intent]:
        """Write a decision together with the call that it wants made, once: both or neither.

        ``account`` is who makes it, ``fee_ceiling`` what its transaction may cost, wei.
        """
        with self._writing() as session:
            row = _decision_row(session, decision, policy, snapshot, brief, None, timestamp, kind)
            return _record(row), self._plan(session, row.id, call, account, fee_ceiling)

    @clear
    def last_decision(self, kind: Kind | None = Kind.HEDGE) -> Record | None:
        """The newest decision of a kind, or of any."""
        return self._newest(sa.true() if kind is None else DecisionRow.kind == kind)

    @clear
    def last_block(self) -> int | None:
        """Number of the newest block with a hedging decision; cheap, for those who wait for it."""
        with Session(self._engine) as session:
            return session.scalar(
                sa.select(sa.func.max(DecisionRow.block_number)).where(DecisionRow.kind == Kind.HEDGE)
            )

    @clear
    def is_done_with(self, block_number: int) -> bool:
        """Whether a hedging decision on this or a later block is there and what it wanted has been tried; cheap.

        A trade that was decided on and abandoned, because the keeper died before it signed, is decided again.
        """
        is_open = sa.exists().where(
            IntentRow.state.in_(OPEN), IntentRow.decision_id == DecisionRow.id, DecisionRow.kind.not_in(BESIDE)
        )
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
                StepRow.intent_id == IntentRow.id,
                StepRow.result != Result.ABANDONED,
            )
            return found.action != Action.TRADE or bool(session.scalar(sa.select(tried)))

    @clear
    def decision_at(self, block_number: int, kind: Kind = Kind.HEDGE) -> Record | None:
        """The newest decision of a kind at a block: after a reorganisation there may be several."""
        return self._newest(sa.and_(DecisionRow.block_number == block_number, DecisionRow.kind == kind))

    @clear
    def decisions(self, first_block: int = 0, last_block: int | None = None) -> tuple[Record, ...]:
        """Decisions of all kinds from block to block, oldest first."""
        query = sa.select(DecisionRow).where(DecisionRow.block_number >= first_block).order_by(DecisionRow.id)
        if last_block is not None:
            query = query.where(DecisionRow.block_number <= last_block)
        with Session(self._engine) as session:
            return tuple(_record(row) for row in session.scalars(query))

    @clear
    def nearest_blocks(self, block_number: int) -> tuple[int | None, int | None]:
        """The nearest blocks before and after one that have a hedging decision."""
        with Session(self._engine) as session:
            hedges = DecisionRow.kind == Kind.HEDGE
            number = DecisionRow.block_number
            before = session.scalar(sa.select(sa.func.max(number)).where(hedges, number < block_number))
            after = session.scalar(sa.select(sa.func.min(number)).where(hedges, number > block_number))
            return before, after

    @clear
    def record_of(self, intent: Intent) -> Record:
        """The decision behind an intent."""
        with Session(self._engine) as session:
            return _record(session.get_one(DecisionRow, intent.decision_id))

    @clear
    def record_of_transaction(self, tx_hash: str) -> Record | None:
        """The newest decision that a transaction was signed for."""
        query = (
            sa.select(DecisionRow)
            .join(IntentRow, IntentRow.decision_id == DecisionRow.id)
            .join(AttemptRow, AttemptRow.intent_id == IntentRow.id)
            .where(AttemptRow.tx_hash == tx_hash)
            .order_by(DecisionRow.id.desc())
            .limit(1)
        )
        with Session(self._engine) as session:
            row = session.scalar(query)
            return None if row is None else _record(row)

    @clear
    def last_rebalance(self) -> tuple[int, int] | None:
        """Legs and gas of the newest rebalance that succeeded, as far back as it is worth looking."""
        lately = sa.select(StepRow).where(StepRow.result == Result.CONFIRMED).order_by(StepRow.id.desc()).limit(_LATELY)
        step = aliased(StepRow, lately.subquery())
        query = (
            sa.select(DecisionRow.decision, step.gas_used)
            .join(IntentRow, IntentRow.decision_id == DecisionRow.id)
            .join(step, step.intent_id == IntentRow.id)
            .where(DecisionRow.kind == Kind.HEDGE)
            .order_by(step.id.desc())
            .limit(1)
        )
        with Session(self._engine) as session:
            found = session.execute(query).first()
        return None if found is None else (len(from_text(Decision, found.decision).legs), int(found.gas_used or 0))

    @clear
    def is_intact(self, record: Record) -> bool:
        """Whether what is stored of a record has the hash that was recorded with it."""
        with Session(self._engine) as session:
            row = session.get_one(DecisionRow, record.id)
            snapshot = zlib.decompress(row.snapshot).decode() if row.snapshot else ""
            return hash_of_texts(row.decision, row.policy, snapshot, row.brief) == row.decision_hash

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


def _decision_row(
    session: Session,
    decision: Decision,
    policy: Policy,
    snapshot: Snapshot | None,
    brief: Brief | None,
    wanted: Decision | None,
    timestamp: int,
    kind: Kind,
) -> DecisionRow:
    """The row of a decision, added unless it is there."""
    texts = [_text(part) for part in (decision, policy, snapshot, brief)]
    digest = hash_of_texts(*texts)
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
            decision=texts[0],
            policy=texts[1],
            snapshot=zlib.compress(texts[2].encode()) if snapshot is not None else b"",
            decision_hash=digest,
            brief=texts[3],
            wanted=_text(wanted) if wanted != decision else "",
            environment=environment() if brief is not None else "",
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
        brief=from_text(Brief, row.brief) if row.brief else None,
        wanted=from_text(Decision, row.wanted) if row.wanted else None,
        environment=row.environment,
    )


def _text(value: Decision | Policy | Snapshot | Brief | None) -> str:
    return "" if value is None else to_text(value)
