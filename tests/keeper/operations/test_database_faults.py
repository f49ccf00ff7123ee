"""Fault 14: with a database that is locked, full, damaged or of another schema the keeper stops before it signs.

What it says has what happened, what was kept and what to do; when that is done, it goes on where it was.
"""

import shutil
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import pytest

from keeper.chain.deployments import save
from keeper.config import load
from keeper.domain.decision import Action
from keeper.errors import JournalError, LeaseError
from keeper.execution import database
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease, holder_of
from keeper.operations import run as operation
from keeper.runtime import loop
from keeper.runtime.lending import lending
from keeper.runtime.loop import SERVICES, Keeper
from tests.keeper.vault_on_fork import PASSPHRASE, write_key


@pytest.fixture
def folder(vault, tmp_path, monkeypatch):
    """A working directory with a keeper that has hedged the vault; now the market has moved."""
    monkeypatch.chdir(tmp_path)
    save(vault.deployment)
    write_key(tmp_path / "keeper.json", "keeper")
    (tmp_path / "secret").write_text(PASSPHRASE)
    (tmp_path / "keel.toml").write_text(
        f'rpc_url = "{vault.url}"\nkeystore = "keeper.json"\npassphrase_file = "secret"\nmachine = "alpha"\n'
    )
    without_lending = [service for service in SERVICES if service is not lending]  # the hedge is all that is due
    monkeypatch.setattr(operation, "Keeper", partial(Keeper, services=without_lending))
    run()
    assert vault.read("Hedger", "sequence") == 1
    vault.market.step(3_100)
    return tmp_path


def run(**options):
    return operation.run_keeper(load(environment={}), once=True, **{"dry_run": False} | options)


@contextmanager
def locked(path):
    with pytest.MonkeyPatch.context() as patch, closing(sqlite3.connect(path, isolation_level=None)) as other:
        patch.setattr(database, "_BUSY_TIMEOUT", 0.05)
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(path):
    """A quota: no page more than there are."""
    with closing(sqlite3.connect(path)) as looking:
        [pages] = looking.execute("PRAGMA page_count").fetchone()
    configure = database._configure

    def within_quota(connection, record):
        configure(connection, record)
        connection.execute(f"PRAGMA max_page_count={pages}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_configure", within_quota)
        yield


@contextmanager
def damaged(path):
    backup = path.with_suffix(".backup")
    shutil.copy(path, backup)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))  # its header is right
    yield
    shutil.move(backup, path)


@contextmanager
def of_schema(path, revision):
    def write(value):
        with closing(sqlite3.connect(path)) as other:
            [before] = other.execute("SELECT version_num FROM alembic_version").fetchone()
            other.execute("UPDATE alembic_version SET version_num = ?", (value,))
            other.commit()
            return before

    today = write(revision)
    yield
    write(today)


def older(path):
    return of_schema(path, "0002")


def newer(path):
    return of_schema(path, "9999")


FAULTS = [
    (locked, "cannot be used: database is locked", "the keeper does nothing that it cannot record", "stop that one"),
    (full, "cannot be used: database or disk is full", "What was recorded before is unchanged", "Make room"),
    (damaged, "is damaged: database disk image is malformed", "Nothing was written to it", "Restore it from a backup"),
    (older, "has schema 0002", "Nothing was written to it", "run `keel upgrade`: open transactions are kept"),
    (newer, "has schema 9999", "Nothing was written to it", "Use the version of Keel that wrote it"),
]


@pytest.mark.parametrize(("fault", "what", "kept", "todo"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_a_database_that_cannot_be_used_stops_the_keeper_before_it_signs(vault, folder, fault, what, kept, todo):
    before = vault.w3.eth.get_transaction_count(vault.keeper.address)

    with fault(folder / "keel.sqlite"), pytest.raises(JournalError) as raised:
        run()

    assert vault.w3.eth.get_transaction_count(vault.keeper.address, "pending") == before
    error = raised.value
    assert (what in error.what, kept in error.kept, todo in error.todo) == (True, True, True), str(error)
    record = run()
    assert record.decision.action is Action.TRADE
    assert vault.read("Hedger", "sequence") == 2


def test_a_lock_that_begins_after_the_decision_stops_the_keeper_before_it_signs(vault, folder):
    before = vault.w3.eth.get_transaction_count(vault.keeper.address)
    rebalance_call = loop.rebalance_call

    with ExitStack() as opened:
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(database, "_BUSY_TIMEOUT", 0.05)

        def when_decided(*args):
            opened.enter_context(locked(folder / "keel.sqlite"))
            return rebalance_call(*args)

        patch.setattr(loop, "rebalance_call", when_decided)
        with pytest.raises(JournalError, match="database is locked"):
            run()

    assert vault.w3.eth.get_transaction_count(vault.keeper.address, "pending") == before
    run()
    assert vault.read("Hedger", "sequence") == 2


def test_without_its_server_the_keeper_stops_and_a_dry_run_says_which_database_it_needs(vault, folder, postgres):
    before = vault.w3.eth.get_transaction_count(vault.keeper.address)
    url = postgres.new_database()
    settings = load(environment={})
    elsewhere = settings.model_copy(update={"journal_url": "postgresql://keel@127.0.0.1:1/keel"})
    without = settings.model_copy(update={"journal_url": url})

    with pytest.raises(JournalError, match="See that the database's server runs"):
        operation.run_keeper(elsewhere, dry_run=False, once=True)
    with pytest.raises(JournalError, match=r"-dry-run.* does not exist.*Create the database"):
        operation.run_keeper(without, dry_run=True, once=True)

    assert vault.w3.eth.get_transaction_count(vault.keeper.address, "pending") == before


def test_a_dry_run_writes_to_its_own_database_and_takes_no_lease(vault, folder):
    chain, address = vault.deployment.chain_id, vault.deployment.address("Vault")
    url = f"sqlite:///{folder / 'keel.sqlite'}"
    Journal(url).close()  # what is in the log of writes goes into the file
    before = (folder / "keel.sqlite").read_bytes()

    record = run(dry_run=True)

    assert record.decision.action is Action.TRADE
    assert (folder / "keel.sqlite").read_bytes() == before
    assert holder_of(f"sqlite:///{folder / 'keel-dry-run.sqlite'}", chain, address) is None
    assert vault.read("Hedger", "sequence") == 1


def test_one_look_at_a_vault_that_another_machine_keeps_says_so(vault, folder):
    url, address = f"sqlite:///{folder / 'keel.sqlite'}", vault.deployment.address("Vault")
    other = Lease(url, vault.deployment.chain_id, address, "beta", seconds=600.0)
    assert other.acquire()  # alpha has given it back

    with pytest.raises(LeaseError, match="The vault is kept by beta now, not by alpha"):
        run()

    assert vault.read("Hedger", "sequence") == 1
    other.close()
    run()
    assert vault.read("Hedger", "sequence") == 2
