"""The database under the journal: SQLite made safe for one writer and several readers, and its errors as sentences."""

from __future__ import annotations

import functools
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from keeper.errors import JournalError

_BUSY_TIMEOUT: Final = 5.0  # seconds to wait for another writer
_POSTGRES: Final = "postgresql+psycopg"
# A server, or a keeper, that has gone without a word must not be waited for. Who was frozen in the middle of a
# transaction loses it, so that another machine can take over. Times are stored without a zone: they are UTC.
_POSTGRES_OPTIONS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c timezone=UTC -c lock_timeout=5s -c idle_in_transaction_session_timeout=10s",
}
_BEGIN: Final = "keel_begin"  # execution option: the statement that begins a transaction on SQLite

P = ParamSpec("P")
R = TypeVar("R")
L = TypeVar("L", bound="Labelled")


def dry_run_url(url: str) -> str:
    """The journal of dry runs beside a live one: another file (or database), never the same.

    Raises:
        JournalError: not a database URL.
    """
    parsed = parse_url(url)
    path = Path(parsed.database or "journal")
    dry = parsed.set(database=str(path.with_name(f"{path.stem}-dry-run{path.suffix}")))
    return dry.render_as_string(hide_password=False)


def parse_url(url: str) -> sa.URL:
    """
    Raises:
        JournalError: not a database URL.
    """
    try:
        return make_url(url)
    except ArgumentError:
        raise JournalError(
            "The journal's URL is not a database URL.", todo="Set `journal_url` as in sqlite:///keel.sqlite."
        ) from None


def make_engine(url: sa.URL, *, read_only: bool = False) -> Engine:
    """Connections to the database; a SQLite file is made when it is not there.

    Args:
        read_only: For who only looks: the database refuses every change, and a file that is not there is not made.

    Raises:
        JournalError: there is no driver for this kind of database, it is one in memory, or the file cannot be made.
    """
    if url.drivername == "postgresql":
        url = url.set(drivername=_POSTGRES)  # the driver that Keel brings
    if url.get_backend_name() != "sqlite":
        options = _POSTGRES_OPTIONS if url.drivername == _POSTGRES else {}
        if options and read_only:
            options = options | {"options": f"{options['options']} -c default_transaction_read_only=on"}
        try:
            return sa.create_engine(url, connect_args=options, pool_pre_ping=True)
        except (ImportError, ArgumentError):
            raise JournalError(
                f"There is no driver for the journal's database, {url.drivername}.",
                kept="Nothing was started.",
                todo="Set `journal_url` as in sqlite:///keel.sqlite, or install the driver.",
            ) from None
    if not url.database or url.database == ":memory:":
        raise JournalError(
            "A journal in memory forgets what was sent.",
            kept="Nothing was started.",
            todo="Set `journal_url` to a file, as in sqlite:///keel.sqlite.",
        )
    if read_only:
        where = url.set(database=f"file:{quote(url.database)}").update_query_dict({"mode": "ro", "uri": "true"})
        return sa.create_engine(where, connect_args={"timeout": _BUSY_TIMEOUT})
    try:
        _make_file(Path(url.database))
    except (OSError, ValueError) as error:
        raise JournalError(
            f"The journal {url.database} cannot be made: {getattr(error, 'strerror', error)}.",
            kept="Nothing was started.",
            todo="Check the folder and the rights on it, or change `journal_url`.",
        ) from None
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # signed transactions are nobody else's business


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _configure(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver would begin late, and never for the creation of tables
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Once per file. SQLite's own waiting does not cover it when two processes open a new file at once."""
    give_up = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def writing(engine: Engine) -> Engine:
    """The same database for writers: they take SQLite's write lock at once, since one that has to upgrade a read lock
    is refused without waiting."""
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def clock_ms(engine: Engine) -> sa.ColumnElement[int]:
    """The database's own clock in a query, milliseconds since 1970; within a transaction it goes on."""
    if engine.dialect.name == "sqlite":
        return sa.cast((sa.func.julianday("now") - 2_440_587.5) * 86_400_000, sa.BigInteger)
    return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1_000, sa.BigInteger)


@contextmanager
def sentences(label: str) -> Iterator[None]:
    """Database errors as JournalError; ``label`` names the journal."""
    kept = "What was recorded before is unchanged; the keeper does nothing that it cannot record."
    try:
        yield
    except IntegrityError as error:
        raise JournalError(f"The journal {label} refuses the record: {error.orig}.", kept=kept) from error
    except (InterfaceError, PoolTimeoutError, DatabaseError, zlib.error, ValueError) as error:
        if _is_damage(error):
            raise JournalError(
                f"The journal {label} is damaged: {str(getattr(error, 'orig', error)).splitlines()[0]}.",
                kept="Nothing was written to it.",
                todo="Restore it from a backup, or set it aside and start a new one.",
            ) from error
        reason = str(getattr(error, "orig", error)).splitlines()[0].rstrip(".")
        todo = _todo(reason.lower(), is_file=isinstance(getattr(error, "orig", None), sqlite3.Error))
        raise JournalError(f"The journal {label} cannot be used: {reason}.", kept=kept, todo=todo) from error


def _is_damage(error: Exception) -> bool:
    """Of Postgres, which has a class of states for it: what a machine that was frozen in a transaction hears when it
    wakes is an internal error, too."""
    if isinstance(error, OperationalError | InterfaceError | ProgrammingError | PoolTimeoutError):
        return False
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state is None or str(state).startswith("XX")


class Labelled(Protocol):
    """Something in a database."""

    @property
    def label(self) -> str:
        """Names the database for people, without its password."""


def clear(method: Callable[Concatenate[L, P], R]) -> Callable[Concatenate[L, P], R]:
    """A method whose database errors are `sentences`."""

    @functools.wraps(method)
    def guarded(self: L, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with sentences(self.label):
            return method(self, *args, **kwargs)

    return guarded


def _todo(reason: str, *, is_file: bool) -> str:
    if "locked" in reason or "lock timeout" in reason:
        return "Another process writes to it: stop that one, or use another journal."
    if "full" in reason or "no space" in reason:
        return "Make room where the journal is, then start again."
    if "does not exist" in reason:
        return "Create the database, or change `journal_url`. A dry run has one of its own: its name ends in -dry-run."
    if is_file:
        return "Check the disk and the rights on the file, then start again."
    return "See that the database's server runs, can be reached and lets the keeper in, then start again."
