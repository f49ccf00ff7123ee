"""Orders that stand until they are lifted, the operator's and the kill switch's, and what the latter counts; all kept.

They are in the journal's database, so that they survive a restart and reach every keeper that shares it. As in the
journal nothing that was written is changed: an order stands while the newest row of its kind and cause gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keeper.domain.safety import Cause, Order
from keeper.execution.database import clear, make_engine, parse_url, sentences, writing
from keeper.execution.migrate import require_schema
from keeper.execution.schema import BalanceRow, OrderRow, TroubleRow

OPERATOR: Final = "operator"  # the cause of what a person has ordered
_ERROR: Final = "error"


@dataclass(frozen=True, slots=True)
class Entry:
    """An order given or lifted; ``cause`` is the kill switch's, or "operator"; ``at`` in seconds UTC."""

    order: Order
    cause: str
    stands: bool
    reason: str
    at: int


class Orders:
    """The orders in a journal's database.

    Raises (the methods too):
        JournalError: there is no journal of this version at the URL, or it cannot be read or written: who cannot read
            its orders acts on none of its own.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.label = parsed.render_as_string(hide_password=True)
        self._engine = make_engine(parsed)
        self._writer = writing(self._engine)
        with sentences(self.label):
            require_schema(self._engine, self.label)

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    @clear
    def give(self, order: Order, reason: str, cause: str = OPERATOR) -> None:
        """Let an order stand. One that stands for the same cause already is not given again."""
        with Session(self._writer) as session:
            if not any(entry.order is order and entry.cause == cause for entry in _standing(session)):
                session.add(OrderRow(order=order, cause=cause, stands=True, reason=reason))
                session.commit()

    @clear
    def lift(self, reason: str, only: Order | None = None) -> tuple[Entry, ...]:
        """Lift what stands, or only one kind of order. Returns what stood."""
        with Session(self._writer) as session:
            lifted = [entry for entry in _standing(session) if only in (None, entry.order)]
            for entry in lifted:
                session.add(OrderRow(order=entry.order, cause=entry.cause, stands=False, reason=reason))
                if entry.cause == Cause.ERRORS:  # whoever lifted it has seen them
                    session.add(TroubleRow(kind=_ERROR, timestamp=0, holds=False))
            session.commit()
            return tuple(lifted)

    @clear
    def standing(self) -> tuple[Entry, ...]:
        """What stands, oldest first."""
        with Session(self._engine) as session:
            return tuple(_standing(session))

    @clear
    def history(self, most: int = 50) -> tuple[Entry, ...]:
        """The newest entries, oldest first."""
        with Session(self._engine) as session:
            rows = session.scalars(sa.select(OrderRow).order_by(OrderRow.id.desc()).limit(most)).all()
            return tuple(_entry(row) for row in reversed(rows))

    @clear
    def see_balance(self, timestamp: int, wei: int, since: int) -> int:
        """Note the keeper's ether at a block. Returns what has left the account from chain time `since` on, in wei.

        Seen on the account and not counted from receipts: what somebody else spends with its key is spent, too.
        """
        with Session(self._engine) as session:
            newest = session.scalar(sa.select(BalanceRow).order_by(BalanceRow.id.desc()).limit(1))
        if newest is None or int(newest.wei) != wei:
            spent = 0 if newest is None else max(0, int(newest.wei) - wei)
            with Session(self._writer) as session:
                session.add(BalanceRow(timestamp=timestamp, wei=str(wei), spent=str(spent)))
                session.commit()
        with Session(self._engine) as session:  # texts: summed here
            return sum(map(int, session.scalars(sa.select(BalanceRow.spent).where(BalanceRow.timestamp >= since))))

    @clear
    def count_error(self, timestamp: int) -> None:
        """An unexpected error, or a transaction that failed, at this chain time."""
        with Session(self._writer) as session, session.begin():
            session.add(TroubleRow(kind=_ERROR, timestamp=timestamp, holds=True))

    @clear
    def errors(self, since: int) -> int:
        """How many after a chain time, without those that somebody has seen who let the keeper go on."""
        seen = sa.select(sa.func.max(TroubleRow.id)).where(TroubleRow.kind == _ERROR, ~TroubleRow.holds)
        newer = TroubleRow.id > sa.func.coalesce(seen.scalar_subquery(), 0)
        query = sa.select(sa.func.count()).where(TroubleRow.kind == _ERROR, newer, TroubleRow.timestamp > since)
        with Session(self._engine) as session:
            return session.scalar(query) or 0

    @clear
    def lasts(self, trouble: str, holds: bool, timestamp: int) -> int:
        """Note whether a trouble holds at a chain time. Returns for how many seconds it has; 0 while it does not."""
        query = sa.select(TroubleRow.holds, TroubleRow.timestamp).where(TroubleRow.kind == trouble)
        with Session(self._engine) as session:
            newest = session.execute(query.order_by(TroubleRow.id.desc()).limit(1)).first()
        if holds == (newest is not None and newest.holds):
            return max(0, timestamp - newest.timestamp) if holds and newest is not None else 0
        with Session(self._writer) as session, session.begin():
            session.add(TroubleRow(kind=trouble, timestamp=timestamp, holds=holds))
        return 0


def _standing(session: Session) -> list[Entry]:
    newest = sa.select(sa.func.max(OrderRow.id)).group_by(OrderRow.order, OrderRow.cause)
    rows = session.scalars(sa.select(OrderRow).where(OrderRow.id.in_(newest), OrderRow.stands).order_by(OrderRow.id))
    return [_entry(row) for row in rows]


def _entry(row: OrderRow) -> Entry:
    at = row.created_at if row.created_at.tzinfo else row.created_at.replace(tzinfo=UTC)  # SQLite forgets the zone
    return Entry(Order(row.order), row.cause, row.stands, row.reason, int(at.timestamp()))
