"""`keel governance`: its commands with settings, a key and a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from keeper.chain.sender import Sender
from keeper.domain.times import utc_second
from keeper.operations import governance
from keeper.operations.people import Ask, node_may_go
from keeper.operations.session import open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper.config import Settings
    from keeper.operations.governance import Call, Pending
    from keeper.operations.session import Session


@dataclass(frozen=True, slots=True)
class Done:
    """A call of the Governance, and what it did in words; `transaction` is its hash, None when it was not sent."""

    call: Call
    said: str
    transaction: str | None


def read_pending(settings: Settings) -> list[Pending]:
    """What waits at the newest block. Raises KeelError of the kind of whatever stands in the way."""
    session = open_session(settings)
    with node_may_go():
        return governance.pending(session.connection.w3, session.deployment)


def submit(
    settings: Settings, contract: str, function: str, args: Sequence[str], for_safe: bool, ask: Ask = None
) -> Done:
    """Announce a call. Raises KeelError of the kind of whatever stands in the way."""
    session = open_session(settings)
    return _announce(session, governance.call_of(session.deployment, contract, function, args), for_safe, ask)


def abdicate(settings: Settings, contract: str, function: str, for_safe: bool, ask: Ask = None) -> Done:
    """Announce that a function is given up. Raises KeelError of the kind of whatever stands in the way."""
    session = open_session(settings)
    return _announce(session, governance.abdication(session.deployment, contract, function), for_safe, ask)


def accept(settings: Settings, id: str, for_safe: bool, ask: Ask = None) -> Done:
    """Make a pending call. Raises KeelError of the kind of whatever stands in the way."""
    session = open_session(settings)
    with node_may_go():
        pending = governance.require_pending(session.connection.w3, session.deployment, id)
        if not for_safe:  # owners of a Safe may sign before it is ready
            governance.require_ready(pending)
        call = governance.wrapped(session.deployment, "accept", pending.call)
        return _send(session, call, "accept", f"Done: {pending.what}.", for_safe, ask)


def revoke(settings: Settings, id: str, for_safe: bool, ask: Ask = None) -> Done:
    """Drop a pending call. Raises KeelError of the kind of whatever stands in the way."""
    session = open_session(settings)
    with node_may_go():
        pending = governance.require_pending(session.connection.w3, session.deployment, id)
        call = governance.revocation(session.deployment, pending.id)
        return _send(session, call, "revoke", f"Dropped: {pending.what}.", for_safe, ask)


def render(pending: Sequence[Pending]) -> Table:
    """For a terminal."""
    table = Table(title="Pending calls" if pending else "No pending calls", title_justify="left")
    for column in ("id", "call", "state", "from", "until"):
        table.add_column(column, overflow="fold")
    for one in pending:
        table.add_row(
            one.id[:10], one.what, one.state, utc_second(one.ready_at), utc_second(one.ready_at + governance.WINDOW)
        )
    return table


def _announce(session: Session, inner: Call, for_safe: bool, ask: Ask) -> Done:
    w3, deployment = session.connection.w3, session.deployment
    with node_may_go():
        delay = governance.delay_of(w3, deployment, inner)
        what = governance.in_words(deployment, inner)
        said = f"Announced {what}, which can be made after {delay // 3600} hours."
        return _send(session, governance.wrapped(deployment, "submit", inner), "submit", said, for_safe, ask)


def _send(session: Session, call: Call, action: str, said: str, for_safe: bool, ask: Ask) -> Done:
    if for_safe:
        return Done(call, said, None)
    sender = Sender(session.connection.w3, session.account(ask))
    receipt = governance.send(sender, session.deployment, call, action)
    return Done(call, said, receipt["transactionHash"].to_0x_hex())
