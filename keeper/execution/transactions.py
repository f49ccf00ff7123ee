"""The journal's half about transactions: intents, signed attempts, and the steps from state to state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, aliased

from keeper.errors import JournalError
from keeper.execution.database import clear
from keeper.execution.lease import Lease
from keeper.execution.records import MINED_RESULTS, Attempt, Call, Intent, Outcome, Result, Step
from keeper.execution.schema import AttemptRow, IntentRow, StepRow
from keeper.execution.states import FOLLOWING, OPEN, State

_TAKEN: Final = sa.or_(
    IntentRow.state == State.MINED, IntentRow.state == State.FINAL
)  # of these the nonce is used, by its own transaction


class TransactionLog:
    """What was signed, and what became of it.

    Every method that writes returns the intent as it is then, and refuses a step that the state machine does not have,
    or from a state that is not the journal's any more.

    Raises (every method):
        JournalError: the journal cannot be used, or the step is refused.
        LeaseError: those that write, when another keeper has taken over.
    """

    def __init__(self, label: str, engine: Engine, writer: Engine) -> None:
        self.label, self._engine, self._writer = label, engine, writer
        self._lease: Lease | None = None

    def fenced_by(self, lease: Lease) -> None:
        """From now on nothing is written unless the lease is held: LeaseError is raised instead."""
        self._lease = lease

    # ------------------------------------------------------------------ writing

    @clear
    def adopt(self, account: str) -> None:
        """What was written before there were several accounts was the keeper's: it is this one's from here on."""
        with Session(self._writer) as session, session.begin():
            session.execute(sa.update(IntentRow).where(IntentRow.account == "").values(account=account))

    @clear
    def record_attempt(self, intent: Intent, attempt: Attempt, why: str = "") -> Intent:
        """Write a signed transaction, before it is sent; ``why`` it is another one is for people."""
        state = State.REPLACED if intent.attempts else State.SIGNED
        what = "empty, " if attempt.is_empty else ""
        detail = f"{what}nonce {attempt.nonce}, at most {attempt.max_fee / 1e9:.3f} gwei{why and f': {why}'}"
        with self._writing() as session:
            session.add(
                AttemptRow(
                    intent_id=intent.id,
                    nonce=attempt.nonce,
                    tx_hash=attempt.tx_hash,
                    raw=attempt.raw,
                    max_fee=str(attempt.max_fee),
                    priority_fee=str(attempt.priority_fee),
                    block_number=attempt.block_number,
                    is_empty=attempt.is_empty,
                )
            )
            self._step(session, intent, StepRow(state=state, detail=detail, tx_hash=attempt.tx_hash))
        return replace(intent, attempts=(*intent.attempts, attempt), state=state)

    @clear
    def record_state(self, intent: Intent, state: State, detail: str = "") -> Intent:
        """Write a step; nothing where it is in that state already."""
        if state is intent.state:
            return intent
        with self._writing() as session:
            self._step(session, intent, StepRow(state=state, detail=detail))
        return replace(intent, state=state)

    @clear
    def record_outcome(self, intent: Intent, outcome: Outcome) -> Intent:
        """Write how an intent ended: mined in a block, or without."""
        state = State.MINED if outcome.result in MINED_RESULTS else State.ENDED
        with self._writing() as session:
            self._step(
                session,
                intent,
                StepRow(
                    state=state,
                    detail=outcome.detail,
                    result=outcome.result,
                    tx_hash=outcome.tx_hash,
                    block_number=outcome.block_number,
                    block_hash=outcome.block_hash,
                    gas_used=outcome.gas_used,
                    gas_price=None if outcome.gas_price is None else str(outcome.gas_price),
                ),
            )
        return replace(intent, state=state)

    # ------------------------------------------------------------------ reading

    @clear
    def open_intents(self, account: str | None = None) -> tuple[Intent, ...]:
        """Intents whose end is not known, oldest first: what a crash, a lost reply or a reorganisation left behind.

        Of one account, here and below, or of all.
        """
        return self._intents(IntentRow.state.in_(OPEN), _by(account))

    @clear
    def mined_intents(self, account: str | None = None) -> tuple[tuple[Intent, Outcome], ...]:
        """Intents that are mined and not final yet, newest first, each with its outcome."""
        with Session(self._engine) as session:
            rows = session.scalars(
                sa.select(IntentRow).where(IntentRow.state == State.MINED, _by(account)).order_by(IntentRow.id.desc())
            ).all()
            found = ((_intent(session, row), _outcome_of(session, row)) for row in rows)
            return tuple((intent, outcome) for intent, outcome in found if outcome is not None)

    @clear
    def given_up(self, since_block: int, account: str | None = None) -> tuple[Intent, ...]:
        """Intents that ended without being mined though something was signed after a block: it may turn up still.

        Not those whose very transaction a later intent has.
        """
        return self._given_up(AttemptRow.block_number > since_block, account)

    @clear
    def given_up_with(self, nonces: range, account: str) -> tuple[Intent, ...]:
        """The same, however long ago something with one of these nonces was signed."""
        return self._given_up(AttemptRow.nonce.between(nonces.start, nonces.stop - 1), account)

    @clear
    def next_nonce(self, account: str) -> int:
        """One more than the newest nonce of an account that was seen mined; 0 when there is none."""
        newest = sa.select(sa.func.max(IntentRow.id)).where(_TAKEN, _by(account)).scalar_subquery()
        with Session(self._engine) as session:
            used = session.scalar(sa.select(sa.func.max(AttemptRow.nonce)).where(AttemptRow.intent_id == newest))
        return 0 if used is None else used + 1

    @clear
    def transactions_of(self, decision_id: int) -> tuple[tuple[Intent, Outcome | None], ...]:
        """The intents of a decision with their outcomes, oldest first; None while it is open."""
        query = sa.select(IntentRow).where(IntentRow.decision_id == decision_id).order_by(IntentRow.id)
        with Session(self._engine) as session:
            rows = session.scalars(query).all()
            return tuple((_intent(session, row), _outcome_of(session, row)) for row in rows)

    @clear
    def outcome_of(self, intent: Intent) -> Outcome | None:
        """How an intent ended; None while it is open."""
        with Session(self._engine) as session:
            return _outcome_of(session, session.get_one(IntentRow, intent.id))

    @clear
    def steps_of(self, intent_id: int) -> tuple[Step, ...]:
        """The steps of an intent, oldest first."""
        query = sa.select(StepRow).where(StepRow.intent_id == intent_id).order_by(StepRow.id)
        with Session(self._engine) as session:
            return tuple(Step(State(row.state), row.detail, _outcome(row)) for row in session.scalars(query))

    # ------------------------------------------------------------------ internals

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A session that commits at its end: all of it, while the lease is held, or nothing."""
        with Session(self._writer) as session, session.begin():
            if self._lease is not None:
                self._lease.require(session)
            yield session

    def _plan(self, session: Session, decision_id: int, call: Call, account: str, fee_ceiling: int) -> Intent:
        """A new intent, not committed yet."""
        row = IntentRow(
            decision_id=decision_id,
            purpose=call.purpose,
            target=call.target,
            data=call.data,
            state=State.PLANNED,
            fee_ceiling=str(fee_ceiling),
            account=account,
        )
        session.add(row)
        session.flush()
        session.add(StepRow(intent_id=row.id, state=State.PLANNED, detail=""))
        return _intent(session, row)

    def _step(self, session: Session, intent: Intent, step: StepRow) -> None:
        state = State(step.state)
        if state not in FOLLOWING[intent.state]:
            raise JournalError(
                f"{intent.call.purpose} is {intent.state} and cannot become {state}.",
                kept="Nothing was written.",
                todo="Report it: this is a mistake in Keel.",
            )
        here = sa.update(IntentRow).where(IntentRow.id == intent.id, IntentRow.state == intent.state)
        moved = session.execute(here.values(state=state).returning(IntentRow.id)).scalar()
        if moved is None:
            raise JournalError(
                f"{intent.call.purpose} is not {intent.state} any more in the journal {self.label}.",
                kept="Nothing was written.",
                todo="Another process writes to it: stop that one, or use another journal.",
            )
        step.intent_id = intent.id
        session.add(step)

    def _given_up(self, condition: sa.ColumnElement[bool], account: str | None) -> tuple[Intent, ...]:
        later = aliased(AttemptRow)
        shared = sa.exists().where(later.tx_hash == AttemptRow.tx_hash, later.intent_id > AttemptRow.intent_id)
        signed = sa.select(AttemptRow.intent_id).where(condition, ~shared)
        return self._intents(IntentRow.state == State.ENDED, IntentRow.id.in_(signed), _by(account))

    def _intents(self, *conditions: sa.ColumnElement[bool]) -> tuple[Intent, ...]:
        query = sa.select(IntentRow).where(*conditions).order_by(IntentRow.id)
        with Session(self._engine) as session:
            return tuple(_intent(session, row) for row in session.scalars(query).all())


def _by(account: str | None) -> sa.ColumnElement[bool]:
    return sa.true() if account is None else IntentRow.account == account


def _intent(session: Session, row: IntentRow) -> Intent:
    return Intent(
        id=row.id,
        decision_id=row.decision_id,
        call=Call(row.purpose, row.target, row.data),
        attempts=_attempts(session, row.id),
        state=State(row.state),
        fee_ceiling=int(row.fee_ceiling),
        account=row.account,
    )


def _attempts(session: Session, intent_id: int) -> tuple[Attempt, ...]:
    rows = session.scalars(sa.select(AttemptRow).where(AttemptRow.intent_id == intent_id).order_by(AttemptRow.id))
    return tuple(
        Attempt(
            nonce=row.nonce,
            tx_hash=row.tx_hash,
            raw=row.raw,
            max_fee=int(row.max_fee),
            priority_fee=int(row.priority_fee),
            block_number=row.block_number,
            is_empty=row.is_empty,
        )
        for row in rows
    )


def _outcome_of(session: Session, row: IntentRow) -> Outcome | None:
    """The last one, of an intent that is not open (again)."""
    if State(row.state) in OPEN:
        return None
    query = sa.select(StepRow).where(StepRow.intent_id == row.id, StepRow.result.is_not(None))
    last = session.scalar(query.order_by(StepRow.id.desc()).limit(1))
    return None if last is None else _outcome(last)


def _outcome(row: StepRow) -> Outcome | None:
    if row.result is None:
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
