"""`keel pause|resume|stop-quotes|unwind|orders`: what the operator orders every keeper that shares the journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from keeper.chain.sender import Sender
from keeper.config import Settings
from keeper.domain.safety import Order
from keeper.domain.times import utc_second
from keeper.errors import ConfigError, KeelError
from keeper.execution.journal import Journal
from keeper.execution.migrate import exists
from keeper.execution.orders import OPERATOR, Entry, Orders
from keeper.operations.contracts import bind
from keeper.operations.people import Ask, node_may_go
from keeper.operations.roles import Role
from keeper.operations.session import open_session, unlock

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_REASON: Final = 300


def open_orders(journal_url: str) -> Orders:
    """The orders beside a journal, which is made when it is not there: a keeper may be stopped before its first start.

    Raises:
        JournalError: the journal cannot be used.
    """
    Journal(journal_url).close()
    return Orders(journal_url)


def give(settings: Settings, order: Order, reason: str) -> tuple[Entry, ...]:
    """Give an order. Returns all that stand now.

    Raises:
        ConfigError: without a reason.
        JournalError: it could not be written: the keeper does not know of it.
    """
    orders = open_orders(settings.journal_url)
    try:
        orders.give(order, _checked(reason))
        return orders.standing()
    finally:
        orders.close()


def lift(settings: Settings, reason: str, only: Order | None) -> tuple[Entry, ...]:
    """Lift what stands, or one kind of order. Returns what stood. Raises as `give` does."""
    orders = open_orders(settings.journal_url)
    try:
        return orders.lift(_checked(reason), only)
    finally:
        orders.close()


def read(settings: Settings) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """What stands, and the newest entries. Raises JournalError."""
    orders = open_orders(settings.journal_url)
    try:
        return orders.standing(), orders.history()
    finally:
        orders.close()


def require_quotes(settings: Settings) -> None:
    """Any order stops quotes; where there is no journal there are no orders.

    Raises:
        KeelError: an order stands.
        JournalError: it cannot be told whether one does.
    """
    if not exists(settings.journal_url):
        return
    standing, _ = read(settings)
    if standing:
        raise KeelError(
            f"No quote may be signed: {'; '.join(map(in_words, standing))}.",
            kept="Nothing was signed.",
            todo="See `keel orders`; `keel resume` lifts what stands.",
        )


def stop_on_chain(settings: Settings, *, revoke_keeper: bool, ask: Ask = None) -> list[str]:
    """With a guardian's key: latch REDUCE_ONLY, so that nobody deposits and no option is sold; with `revoke_keeper`
    take the keeper's roles, too, so that nobody trades with its key. Returns the transactions in words.

    Raises:
        KeelError: of the kind of whatever stands in the way; the error names the first step that was not done.
    """
    session = open_session(settings)
    deployment, sender = session.deployment, Sender(session.connection.w3, unlock(settings, ask))
    done = []
    with node_may_go():
        breaker = bind(sender.w3, deployment, "CircuitBreaker").functions
        if not breaker.latched().call():
            receipt = sender.send(breaker.set_reduce_only(True), "stop new business")
            done.append(f"New business is stopped on chain: {receipt['transactionHash'].to_0x_hex()}")
        keeper = deployment.roles["keeper"]
        for contract in ("Hedger", "OptionBook") if revoke_keeper else ():
            functions = bind(sender.w3, deployment, contract).functions
            receipt = sender.send(functions.revoke_role(keeper, int(Role.KEEPER)), f"revoke KEEPER of {contract}")
            done.append(f"{keeper} is not {contract}'s keeper any more: {receipt['transactionHash'].to_0x_hex()}")
    return done


def _checked(reason: str) -> str:
    clean = " ".join(reason.split())
    if not clean or len(clean) > _LONGEST_REASON:
        raise ConfigError(
            f"A reason has between 1 and {_LONGEST_REASON} characters.",
            kept="Nothing was changed.",
            todo="Say with --reason why; it is kept.",
        )
    return clean


# ---------------------------------------------------------------- for people and programs


def in_words(entry: Entry) -> str:
    """As in ``pause by the kill switch (gas) since 2026-01-05 10:00:00 UTC: 2.1 ether ...``."""
    by = OPERATOR if entry.cause == OPERATOR else f"kill switch ({entry.cause})"
    return f"{entry.order} by the {by} since {utc_second(entry.at)}: {entry.reason}"


def to_json(standing: Sequence[Entry], history: Sequence[Entry]) -> dict[str, Any]:
    """Plain values."""
    return {"standing": [asdict(one) for one in standing], "history": [asdict(one) for one in history]}


def render(standing: Sequence[Entry], history: Sequence[Entry]) -> Table:
    """For a terminal."""
    title = f"What stands: {', '.join(one.order for one in standing)}" if standing else "No order stands"
    table = Table("time", "order", "cause", "", "reason", title=title, title_justify="left")
    for entry in history:
        stands = entry in standing
        change = "[bold]stands[/]" if stands else "given" if entry.stands else "lifted"
        table.add_row(utc_second(entry.at), entry.order, entry.cause, change, entry.reason)
    return table
