"""The schema of a journal: made new, checked when it is opened, brought to today's by `keel upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from keeper.errors import JournalError
from keeper.execution.database import make_engine, parse_url, sentences, writing
from keeper.execution.schema import REVISION, Base, revisions

_FIRST: Final = "0001"  # made without Alembic, which does not know of it
_FIRST_TABLE: Final = "schema_version"
_MAKING: Final = 0x6B65656C  # key of an advisory lock: "keel"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def exists(url: str) -> bool:
    """Whether there is a journal, of whatever version, at a URL. To look makes nothing and changes nothing.

    Raises:
        JournalError: not a database URL, the database cannot be read, or it is somebody else's.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        return False
    label = parsed.render_as_string(hide_password=True)
    engine = make_engine(parsed, read_only=True)
    try:
        with sentences(label), engine.connect() as connection:
            if _revision(connection) is not None:
                return True
            _require_empty(connection, label)
            return False
    finally:
        engine.dispose()


def open_schema(engine: Engine, label: str) -> None:
    """Make the tables where there are none.

    Raises:
        JournalError: of another version of Keel, or somebody else's.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found is None:
        with writing(engine).begin() as connection:
            _create(connection, label)
    require_schema(engine, label)


def require_schema(engine: Engine, label: str) -> None:
    """
    Raises:
        JournalError: there is no journal, or it is of another version of Keel.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found == REVISION:
        return
    if found is None:
        raise _none_yet(label)
    is_older = found < REVISION
    raise JournalError(
        f"The journal {label} has schema {found}, this version of Keel writes {REVISION}.",
        kept="Nothing was written to it.",
        todo="Stop every keeper that uses it, and run `keel upgrade`: open transactions are kept."
        if is_older
        else "Use the version of Keel that wrote it, or start a new journal.",
    )


def upgrade(url: str) -> tuple[str, str]:
    """Bring a journal to this version's schema, whole or not at all. Returns its revisions before and after.

    Raises:
        JournalError: there is none, it is not Keel's or of a later version, or it cannot be written.
    """
    from alembic import command
    from alembic.config import Config

    parsed = parse_url(url)
    label = parsed.render_as_string(hide_password=True)
    if not exists(url):
        raise _none_yet(label)
    engine = make_engine(parsed)
    try:
        with sentences(label), writing(engine).begin() as connection:
            found = _revision(connection)
            if found is None:
                raise _none_yet(label)
            if found > REVISION:
                raise JournalError(
                    f"The journal {label} has schema {found}, this version of Keel knows them up to {REVISION}.",
                    kept="Nothing was written to it.",
                    todo="Use the version of Keel that wrote it.",
                )
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            if found == _FIRST:
                command.stamp(config, _FIRST)
            command.upgrade(config, REVISION)
            return found, REVISION
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str | None:
    """None where there is no journal."""
    tables = sa.inspect(connection).get_table_names()
    if revisions.name in tables:
        return str(connection.scalar(sa.select(revisions.c.version_num)))
    return _FIRST if _FIRST_TABLE in tables else None


def _create(connection: Connection, label: str) -> None:
    """Make the tables, whole or not at all; of two processes that try, the second finds them."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
    if _revision(connection) is not None:
        return
    _require_empty(connection, label)
    Base.metadata.create_all(connection)
    revisions.create(connection)
    connection.execute(sa.insert(revisions).values(version_num=REVISION))


def _none_yet(label: str) -> JournalError:
    return JournalError(f"There is no journal at {label} yet.", todo="`keel run` makes it; or check `journal_url`.")


def _require_empty(connection: Connection, label: str) -> None:
    if sa.inspect(connection).get_table_names():
        raise JournalError(
            f"The database {label} is not a journal of Keel.",
            kept="Nothing was written to it.",
            todo="Set `journal_url` in keel.toml to another one.",
        )
