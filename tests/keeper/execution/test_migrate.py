"""A journal of the previous version becomes one of this version with everything in it, or stays as it is (fault 22)."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.errors import JournalError, RpcUnavailableError
from keeper.execution.executor import Executor
from keeper.execution.journal import Journal
from keeper.execution.migrate import upgrade
from keeper.execution.migrations.versions import r0001_journal
from keeper.execution.records import FEE_FLOOR, Attempt, Call, Outcome, Result
from keeper.execution.schema import REVISION, Base
from keeper.execution.states import State
from tests.keeper.execution import rebalances


class Silent(Connection):
    """Its sends never arrive, and it does not say so."""

    def send_raw(self, transaction):
        raise RpcUnavailableError("The node did not answer.")


DECISION = Decision(100, "0x" + "ab" * 32, Action.TRADE, "for the test")
MINED = Outcome(Result.CONFIRMED, "", "0x01", 101, "0xcd", 900_000, 2**65)
REFUSED = Outcome(Result.REFUSED, "margin: below initial")


def first_version_of(path, journal, at):
    """What the first version would have written at `at` for all that is in a journal of today at `path`."""
    engine = sa.create_engine(f"sqlite:///{at}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        r0001_journal.upgrade()
    engine.dispose()
    journal.close()
    with closing(sqlite3.connect(at)) as old:
        old.execute("ATTACH ? AS today", (str(path),))
        decisions = (
            "id, kind, block_number, block_hash, timestamp, action, reason, decision, policy, snapshot, decision_hash,"
            " created_at"
        )
        old.execute(f"INSERT INTO decisions SELECT {decisions} FROM today.decisions")
        intents = "id, decision_id, purpose, target, data, created_at"
        old.execute(f"INSERT INTO intents SELECT {intents} FROM today.intents")
        attempts = "id, intent_id, nonce, tx_hash, raw, max_fee, priority_fee, created_at"
        old.execute(f"INSERT INTO attempts SELECT {attempts} FROM today.attempts")
        outcomes = "intent_id, result, detail, tx_hash, block_number, block_hash, gas_used, gas_price, created_at"
        old.execute(f"INSERT INTO outcomes SELECT {outcomes} FROM today.steps WHERE result IS NOT NULL")
        old.commit()
    return f"sqlite:///{at}"


def an_intent(journal, nonce=None):
    record, intent = journal.record_action(DECISION, Policy(), None, Call("rebalance 7", "0x01", b"\x12"), timestamp=0)
    if nonce is not None:
        intent = journal.record_attempt(intent, Attempt(nonce, f"0x0{nonce}", b"\x02\x03", 2**70, 5))
    return record, intent


@pytest.fixture
def old_url(tmp_path, journal):
    """One intent mined, one refused, one planned, and one signed whose end is not known."""
    journal.record_outcome(an_intent(journal, nonce=1)[1], MINED)
    journal.record_outcome(an_intent(journal, nonce=2)[1], REFUSED)
    an_intent(journal)
    an_intent(journal, nonce=3)
    return first_version_of(tmp_path / "keel.sqlite", journal, tmp_path / "old.sqlite")


def test_a_journal_of_the_previous_version_is_left_alone_until_it_is_upgraded(old_url):
    """Fault 14."""
    with pytest.raises(JournalError, match=r"has schema 0001, this version of Keel writes .*run `keel upgrade`"):
        Journal(old_url)


def test_an_upgrade_keeps_every_transaction_and_what_is_known_of_it(old_url):
    assert upgrade(old_url) == ("0001", REVISION)

    journal = Journal(old_url)
    [record] = journal.decisions()
    (mined, end), (refused, no), (planned, _), (signed, unknown) = journal.transactions_of(record.id)
    assert (mined.state, end) == (State.MINED, MINED)
    assert (refused.state, no) == (State.ENDED, REFUSED)
    assert (planned.state, planned.attempts) == (State.PLANNED, ())
    assert (signed.state, unknown) == (State.AMBIGUOUS, None)
    assert signed.attempts == (Attempt(3, "0x03", b"\x02\x03", 2**70, 5),)
    assert signed.fee_ceiling == FEE_FLOOR
    assert journal.open_intents() == (planned, signed)
    assert record.decision == DECISION
    assert (record.brief, record.environment, journal.is_intact(record)) == (None, "", True)
    journal.close()


def test_what_an_earlier_version_had_signed_is_carried_out_once_after_the_upgrade(tmp_path, vault, journal):
    """Fault 22: an upgrade with an open transaction."""
    record, intent = rebalances.an_intent(vault, journal)
    Executor(Silent(vault.url), vault.keeper, journal).execute(intent)
    [signed] = journal.open_intents()
    url = first_version_of(tmp_path / "keel.sqlite", journal, tmp_path / "old.sqlite")
    upgrade(url)
    journal = Journal(url)

    assert Executor(vault.connection, vault.keeper, journal, poll_seconds=0.01).reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert (outcome.result, outcome.tx_hash) == (Result.CONFIRMED, signed.attempts[0].tx_hash)
    assert rebalances.exposure(vault) == 20 * 10**18
    journal.close()


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(old_url):
    upgrade(old_url)

    assert upgrade(old_url) == (REVISION, REVISION)


def test_an_upgraded_journal_has_the_tables_of_a_new_one(old_url):
    upgrade(old_url)

    engine = sa.create_engine(old_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(tmp_path, old_url):
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as old:
        old.execute("CREATE TABLE steps (in_the_way TEXT)")
        before = sorted(old.execute("SELECT sql FROM sqlite_master").fetchall(), key=str)

    with pytest.raises(JournalError, match="table steps already exists"):
        upgrade(old_url)

    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as old:
        assert sorted(old.execute("SELECT sql FROM sqlite_master").fetchall(), key=str) == before


def test_only_a_journal_is_upgraded(tmp_path):
    with pytest.raises(JournalError, match="There is no journal"):
        upgrade(f"sqlite:///{tmp_path / 'none.sqlite'}")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(JournalError, match="is not a journal of Keel"):
        upgrade(f"sqlite:///{tmp_path / 'other.sqlite'}")
