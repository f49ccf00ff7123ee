"""A journal of the previous version becomes one of this version with everything in it, or stays as it is (fault 22)."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.errors import JournalError, RpcUnavailableError
from keeper.execution.database import make_engine, parse_url
from keeper.execution.executor import Executor
from keeper.execution.journal import Journal
from keeper.execution.migrate import upgrade
from keeper.execution.migrations.versions import r0001_journal, r0002_states, r0003_two_machines, r0004_inputs
from keeper.execution.orders import Orders
from keeper.execution.records import FEE_FLOOR, Attempt, Call, Outcome, Result
from keeper.execution.schema import REVISION, BalanceRow, Base, OrderRow, revisions
from keeper.execution.states import State
from tests.keeper.execution import rebalances


class Silent(Connection):
    """Its sends never arrive, and it does not say so."""

    def send_raw(self, transaction):
        raise RpcUnavailableError("The node did not answer.")


DECISION = Decision(100, "0x" + "ab" * 32, Action.TRADE, "for the test")
MINED = Outcome(Result.CONFIRMED, "", "0x01", 101, "0xcd", 900_000, 2**65)
REFUSED = Outcome(Result.REFUSED, "margin: below initial")
VERSIONS = (r0001_journal, r0002_states, r0003_two_machines, r0004_inputs)
KEEPER = "0xkeeper"
REVISIONS = tuple(version.revision for version in VERSIONS)


def earlier(today, at, revision):
    """What an earlier version would have written at a URL for all that is in a journal of today."""
    source, target = (make_engine(parse_url(url)) for url in (today, at))
    with target.begin() as old, Operations.context(MigrationContext.configure(old)):
        for version in VERSIONS[: 1 + REVISIONS.index(revision)]:
            version.upgrade()
        if revision != "0001":  # which was made without Alembic
            revisions.create(old)
            old.execute(sa.insert(revisions).values(version_num=revision))
    with source.connect() as new, target.begin() as old:
        tables = sa.MetaData()
        tables.reflect(old)
        for name in ("decisions", "intents", "attempts", "outcomes" if revision == "0001" else "steps"):
            there = tables.tables[name]
            columns = [column.name for column in there.columns if column.name != "id"]  # they count from one again
            origin = Base.metadata.tables["steps" if name == "outcomes" else name]
            query = sa.select(*(origin.c[column] for column in columns)).order_by(origin.c.id)
            if name == "outcomes":
                query = query.where(origin.c.result.is_not(None))
            for row in new.execute(query).mappings():
                old.execute(sa.insert(there).values(**row))
    source.dispose()
    target.dispose()
    return at


def an_intent(journal, nonce=None):
    call = Call("rebalance 7", "0x01", b"\x12")
    record, intent = journal.record_action(DECISION, Policy(), None, call, account=KEEPER, timestamp=0)
    if nonce is not None:
        intent = journal.record_attempt(intent, Attempt(nonce, f"0x0{nonce}", b"\x02\x03", 2**70, 5))
    return record, intent


@pytest.fixture
def today(tmp_path, journal):
    """URL of a journal with one intent mined, one refused, one planned, and one signed whose end is not known."""
    journal.record_outcome(an_intent(journal, nonce=1)[1], MINED)
    journal.record_outcome(an_intent(journal, nonce=2)[1], REFUSED)
    an_intent(journal)
    an_intent(journal, nonce=3)
    journal.close()
    return f"sqlite:///{tmp_path / 'keel.sqlite'}"


@pytest.fixture(params=REVISIONS)
def old_url(request, today, database_url):
    """The same as each earlier version had it, on SQLite and on Postgres."""
    return earlier(today, database_url, request.param)


def test_a_journal_of_the_previous_version_is_left_alone_until_it_is_upgraded(old_url):
    """Fault 14."""
    for opens in (Journal, Orders):
        with pytest.raises(JournalError, match=r"has schema 000\d, this version of Keel writes .*run `keel upgrade`"):
            opens(old_url)


def test_an_upgrade_keeps_every_transaction_and_what_is_known_of_it(old_url):
    before, after = upgrade(old_url)

    assert after == REVISION
    journal = Journal(old_url)
    [record] = journal.decisions()
    (mined, end), (refused, no), (planned, _), (signed, unknown) = journal.transactions_of(record.id)
    assert (mined.state, end) == (State.MINED, MINED)
    assert (refused.state, no) == (State.ENDED, REFUSED)
    assert (planned.state, planned.attempts) == (State.PLANNED, ())
    assert (signed.state, unknown) == (State.AMBIGUOUS if before == "0001" else State.SIGNED, None)
    assert signed.attempts == (Attempt(3, "0x03", b"\x02\x03", 2**70, 5),)
    assert signed.fee_ceiling == FEE_FLOOR
    assert journal.open_intents() == (planned, signed)
    assert {one.account for one in (mined, refused, planned, signed)} == {""}
    assert record.decision == DECISION
    assert (record.brief, record.environment, journal.is_intact(record)) == (None, "", True)
    journal.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_an_earlier_version_had_signed_is_carried_out_once_after_the_upgrade(
    tmp_path, vault, journal, database_url, revision
):
    """Fault 22: an upgrade with an open transaction."""
    record, intent = rebalances.an_intent(vault, journal)
    Executor(Silent(vault.url), vault.keeper, journal).execute(intent)
    [signed] = journal.open_intents()
    journal.close()
    url = earlier(f"sqlite:///{tmp_path / 'keel.sqlite'}", database_url, revision)
    upgrade(url)
    journal = Journal(url)
    journal.adopt(vault.keeper.address)

    assert Executor(vault.connection, vault.keeper, journal, poll_seconds=0.01).reconcile() == ()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert (outcome.result, outcome.tx_hash) == (Result.CONFIRMED, signed.attempts[0].tx_hash)
    assert rebalances.exposure(vault) == 20 * 10**18
    journal.close()


def test_what_was_written_before_there_were_accounts_is_the_keepers(old_url):
    upgrade(old_url)
    journal = Journal(old_url)

    journal.adopt(KEEPER)
    journal.adopt("0xnewkeeper")  # what has an account keeps it

    assert len(journal.open_intents(KEEPER)) == 2
    assert journal.open_intents("0xnewkeeper") == ()
    assert journal.next_nonce(KEEPER) == 2
    journal.close()


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(old_url):
    upgrade(old_url)

    assert upgrade(old_url) == (REVISION, REVISION)


def test_an_upgraded_journal_has_the_tables_of_a_new_one(old_url):
    upgrade(old_url)

    engine = make_engine(parse_url(old_url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(today, database_url):
    url = earlier(today, database_url, "0001")
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE leases (in_the_way TEXT)"))  # of the last revision but one
        before = sorted(sa.inspect(connection).get_table_names())

    with pytest.raises(JournalError, match=r"leases.* already exists"):
        upgrade(url)

    with engine.connect() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == before
        assert connection.scalar(sa.text("SELECT count(*) FROM outcomes")) == 2
    engine.dispose()


def test_orders_that_stood_before_they_were_the_journals_own_stand_after_the_upgrade(today, database_url):
    """They were in tables made beside it when the first was given."""
    url = earlier(today, database_url, "0002")
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        for row in (OrderRow, BalanceRow):
            row.__table__.create(connection)
        at = datetime(2026, 1, 5, 10)
        given = {"order": "pause", "cause": "gas", "stands": True, "reason": "3 ether gone", "created_at": at}
        connection.execute(sa.insert(OrderRow).values(given))
        connection.execute(sa.insert(BalanceRow).values(timestamp=1_000, wei="500", spent="0"))
    engine.dispose()

    upgrade(url)

    orders = Orders(url)
    assert [(one.order, one.cause, one.reason) for one in orders.standing()] == [("pause", "gas", "3 ether gone")]
    assert orders.standing()[0].at == int(at.replace(tzinfo=UTC).timestamp())
    assert orders.see_balance(1_012, 400, since=0) == 100
    orders.close()


def test_only_a_journal_is_upgraded(tmp_path):
    with pytest.raises(JournalError, match="There is no journal"):
        upgrade(f"sqlite:///{tmp_path / 'none.sqlite'}")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(JournalError, match="is not a journal of Keel"):
        upgrade(f"sqlite:///{tmp_path / 'other.sqlite'}")
