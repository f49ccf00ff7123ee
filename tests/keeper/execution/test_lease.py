"""The lease (fault 13): one keeper of several acts, whoever was frozen for however long writes nothing afterwards."""

import threading

import pytest
import sqlalchemy as sa

from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.errors import LeaseError
from keeper.execution.database import make_engine, parse_url
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease, holder_of
from keeper.execution.records import Attempt, Call, Outcome, Result
from keeper.execution.schema import LeaseRow
from keeper.execution.states import State

CHAIN, VAULT, SECONDS = 1, "0x" + "11" * 20, 30.0
DECISION = Decision(100, "0x" + "ab" * 32, Action.TRADE, "for the test")
CALL = Call("rebalance 7", "0x01", b"\x12")
KEEPER = "0xkeeper"


@pytest.fixture
def url(database_url):
    Journal(database_url).close()
    return database_url


@pytest.fixture
def make_lease(url):
    made = []

    def make(machine, vault=VAULT):
        made.append(Lease(url, CHAIN, vault, machine, SECONDS))
        return made[-1]

    yield make
    for lease in made:
        lease.close()


@pytest.fixture
def make_journal(url):
    made = []

    def make(lease):
        made.append(Journal(url))
        made[-1].fenced_by(lease)
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def expire(url):
    """As if a lease's time had passed by the database's clock."""

    def now():
        engine = make_engine(parse_url(url))
        with engine.begin() as connection:
            connection.execute(sa.update(LeaseRow).values(expires_ms=1))
        engine.dispose()

    return now


def an_action(journal):
    return journal.record_action(DECISION, Policy(), None, CALL, account=KEEPER, timestamp=0)[1]


def test_the_first_acts_and_the_second_stands_by(url, make_lease):
    first, second = make_lease("alpha"), make_lease("beta")

    assert [first.acquire(), second.acquire(), first.acquire(), second.acquire()] == [True, False, True, False]
    held = holder_of(url, CHAIN, VAULT)
    assert (held.machine, held.token) == ("alpha", 1)
    assert 0 < held.seconds <= SECONDS


def test_who_is_silent_for_a_lease_is_replaced_and_learns_it(url, make_lease, expire):
    first, second = make_lease("alpha"), make_lease("beta")
    first.acquire()
    expire()

    assert second.acquire()

    assert holder_of(url, CHAIN, VAULT).token == 2
    first._clock = lambda: 1e9  # long after its last sign of life
    assert not first.acquire()
    assert not first.is_held


def test_who_is_late_and_has_not_been_replaced_goes_on(make_lease, expire):
    lease = make_lease("alpha")
    lease.acquire()
    expire()
    lease._clock = lambda: 1e9

    assert lease.acquire()
    assert lease.holder().token == 1
    assert lease.holder().seconds > 0


def test_a_keeper_that_starts_again_on_its_machine_goes_on_at_once_and_what_was_there_before_does_not(make_lease):
    before = make_lease("alpha")
    before.acquire()

    after = make_lease("alpha")
    assert after.acquire()

    before._clock = lambda: 1e9
    assert not before.acquire()
    assert not before.acquire()  # it has started long ago: now it waits like any other
    assert after.acquire()


def test_what_is_given_back_is_free_at_once(make_lease):
    first, second = make_lease("alpha"), make_lease("beta")
    first.acquire()
    assert not second.acquire()

    first.close()

    assert second.acquire()


def test_a_lease_that_ends_in_the_far_future_is_over(url, make_lease):
    """Fault 16: the database's clock was set back by a year."""
    first, second = make_lease("alpha"), make_lease("beta")
    first.acquire()
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(sa.update(LeaseRow).values(expires_ms=LeaseRow.expires_ms + 365 * 86_400_000))
    engine.dispose()

    assert second.acquire()


def test_each_vault_has_its_own(make_lease):
    assert make_lease("alpha").acquire()
    assert make_lease("beta", vault="0x" + "22" * 20).acquire()


def test_of_many_that_want_it_at_once_one_gets_it(url, make_lease):
    leases = [make_lease(f"machine {i}") for i in range(8)]
    barrier, held = threading.Barrier(len(leases)), []

    def want(lease):
        barrier.wait()
        held.append(lease.acquire())

    threads = [threading.Thread(target=want, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(held) == [False] * 7 + [True]
    assert holder_of(url, CHAIN, VAULT).token == 1


def write_a_decision(journal, intent):
    journal.record_decision(DECISION, Policy(), None, timestamp=1)


def plan(journal, intent):
    journal.record_action(DECISION, Policy(), None, CALL, account=KEEPER, timestamp=0)


def sign(journal, intent):
    journal.record_attempt(intent, Attempt(1, "0x02", b"\x03", 2**70, 5))


def move(journal, intent):
    journal.record_state(intent, State.ENDED)


def end(journal, intent):
    journal.record_outcome(intent, Outcome(Result.REFUSED))


@pytest.mark.parametrize("write", [write_a_decision, plan, sign, move, end])
def test_who_was_replaced_writes_nothing_though_it_does_not_know_yet(make_lease, make_journal, expire, write):
    stale, new = make_lease("alpha"), make_lease("beta")
    stale.acquire()
    journal, other = make_journal(stale), make_journal(new)
    intent = an_action(journal)
    expire()
    new.acquire()
    assert stale.is_held

    with pytest.raises(LeaseError, match="The vault is kept by beta now, not by alpha"):
        write(journal, intent)

    assert other.open_intents() == (intent,)
    assert len(other.decisions()) == 1
    other.record_attempt(intent, Attempt(1, "0x02", b"\x03", 2**70, 5))


def test_writing_shows_life(make_lease, make_journal, expire):
    lease = make_lease("alpha")
    lease.acquire()
    expire()

    an_action(make_journal(lease))

    assert lease.holder().seconds > 0


def test_nobody_takes_over_between_a_check_and_the_write_that_it_is_for(url, make_lease, make_journal, expire):
    """On Postgres the taker passes by a row that is in use; SQLite has one writer at a time, and lets it wait."""
    first, second = make_lease("alpha"), make_lease("beta")
    first.acquire()
    expire()
    taken = []
    taker = threading.Thread(target=lambda: taken.append(second.acquire()))

    journal = make_journal(first)
    with journal._writing():
        taker.start()
        if url.startswith("postgres"):
            taker.join(60)
            assert taken == [False]
    taker.join(60)

    assert taken == [False]
    assert first.acquire()
