"""Tables of the journal. What is written is never changed, but for the state of an intent, which repeats its last step,
for the account of one that is older than accounts here, and for the lease.

A change here is a new revision in keeper/execution/migrations, and a new REVISION.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REVISION: Final = "0005"  # the newest of keeper/execution/migrations

# Alembic's own table, here so that a journal is opened without loading Alembic.
revisions = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """All tables."""


class DecisionRow(Base):
    """A decision with everything that it was made from, as texts, empty where there is none; `snapshot` compressed."""

    __tablename__ = "decisions"
    __table_args__ = (UniqueConstraint("kind", "block_hash", "decision_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
    block_number: Mapped[int] = mapped_column(index=True)
    block_hash: Mapped[str]
    timestamp: Mapped[int]
    action: Mapped[str]
    reason: Mapped[str]
    decision: Mapped[str]
    policy: Mapped[str]
    snapshot: Mapped[bytes] = mapped_column(LargeBinary)
    decision_hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=_now)
    brief: Mapped[str] = mapped_column(default="")
    wanted: Mapped[str] = mapped_column(default="")
    environment: Mapped[str] = mapped_column(default="")


class IntentRow(Base):
    """One call that is meant to be made once, by an account. `fee_ceiling` is what it may cost: wei, as text."""

    __tablename__ = "intents"

    id: Mapped[int] = mapped_column(primary_key=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
    purpose: Mapped[str]
    target: Mapped[str]
    data: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=_now)
    state: Mapped[str] = mapped_column(index=True)
    fee_ceiling: Mapped[str]
    account: Mapped[str]


class AttemptRow(Base):
    """A signed transaction of an intent, written before it is sent. Fees in wei, as text: they may pass 64 bits.

    Two intents may have the very same transaction: the node refused the first, and the same call is made again.
    """

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("intent_id", "tx_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    intent_id: Mapped[int] = mapped_column(ForeignKey("intents.id"), index=True)
    nonce: Mapped[int]
    tx_hash: Mapped[str] = mapped_column(index=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    max_fee: Mapped[str]
    priority_fee: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=_now)
    block_number: Mapped[int] = mapped_column(index=True)
    is_empty: Mapped[bool]


class StepRow(Base):
    """One step of an intent: its new state and, where nothing is left to do for now, how it ended."""

    __tablename__ = "steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    intent_id: Mapped[int] = mapped_column(ForeignKey("intents.id"), index=True)
    state: Mapped[str]
    detail: Mapped[str]
    result: Mapped[str | None]
    tx_hash: Mapped[str | None]
    block_number: Mapped[int | None]
    block_hash: Mapped[str | None]
    gas_used: Mapped[int | None]
    gas_price: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=_now)


class OrderRow(Base):
    """An order that was given (`stands`) or lifted."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[str]
    cause: Mapped[str]
    stands: Mapped[bool]
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=_now)


class BalanceRow(Base):
    """The keeper's ether whenever it has changed: `timestamp` is the chain's, `wei` and `spent` are texts."""

    __tablename__ = "balances"

    id: Mapped[int] = mapped_column(primary_key=True)
    timestamp: Mapped[int] = mapped_column(index=True)
    wei: Mapped[str]
    spent: Mapped[str]


class TroubleRow(Base):
    """Something that the kill switch counts, or times: `holds` from this chain time on, or not any more."""

    __tablename__ = "troubles"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
    timestamp: Mapped[int]
    holds: Mapped[bool]


class LeaseRow(Base):
    """Which machine keeps a vault: `token` grows with each change, `expires_ms` is by the database's own clock."""

    __tablename__ = "leases"

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    vault: Mapped[str] = mapped_column(primary_key=True)
    machine: Mapped[str]
    token: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class QuoteRow(Base):
    """What was asked of the quote server and what it answered: a signed quote (`digest`, `nonce`, `expires_at`), or
    why there is none (`refusal`). `asked_at` is chain time; `series`, `size` and `nonce` are texts of integers: they
    may pass 64 bits."""

    __tablename__ = "quotes"

    id: Mapped[int] = mapped_column(primary_key=True)
    asked_at: Mapped[int] = mapped_column(index=True)
    taker: Mapped[str] = mapped_column(index=True)
    series: Mapped[str]
    vault_sells: Mapped[bool]
    size: Mapped[str]
    answer: Mapped[str]
    refusal: Mapped[str]
    digest: Mapped[str | None] = mapped_column(unique=True)
    nonce: Mapped[str | None]
    expires_at: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=_now)
