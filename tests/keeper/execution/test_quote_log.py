"""The audit log of quotes: what was signed is found again, and a machine without the lease writes no signed quote."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from keeper.errors import JournalError, LeaseError
from keeper.execution.database import make_engine, parse_url
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.execution.quote_log import Answered, Asked, QuoteLog
from keeper.execution.schema import LeaseRow

ASKED = Asked(1_000, "0x" + "11" * 20, 2**250 + 1, True, 5 * 10**18)
SIGNED = Answered('{"quote": {}}', "", "0x" + "ab" * 32, 2**64 + 7, 1_045)


@pytest.fixture
def url(database_url):
    Journal(database_url).close()
    return database_url


@pytest.fixture
def lease(url):
    held = Lease(url, 1, "0x" + "22" * 20, "alpha", 30.0)
    assert held.acquire()
    yield held
    held.close()


@pytest.fixture
def log(url, lease):
    opened = QuoteLog(url, lease)
    yield opened
    opened.close()


def test_a_signed_quote_is_found_by_its_digest_as_it_was_written(log):
    log.write(ASKED, SIGNED)

    assert log.find(SIGNED.digest) == (ASKED, SIGNED)
    assert log.find("0x" + "cd" * 32) is None


def test_only_signed_quotes_that_may_be_filled_are_given_again(log):
    log.write(ASKED, SIGNED)
    log.write(ASKED, Answered("", "margin"))
    log.write(ASKED, replace(SIGNED, digest="0x" + "cd" * 32, expires_at=1_040))

    [(first, *_), *rest] = log.signed_since(0, 1_040, 45)
    late = log.signed_since(0, 1_041, 45)

    assert [answered.digest[:4] for _, _, answered in rest] == ["0xcd"]
    assert [row for row, *_ in late] == [first]
    assert log.signed_since(first, 1_041, 45) == ()


def test_a_machine_that_has_lost_the_vault_hands_out_no_quote_and_may_still_say_why(url, log):
    engine = make_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(sa.update(LeaseRow).values(expires_ms=1))
    engine.dispose()

    with pytest.raises(LeaseError):
        log.write(ASKED, SIGNED)
    log.write(ASKED, Answered("", "margin"))

    assert log.find(SIGNED.digest) is None


def test_quotes_do_not_keep_the_lease_of_a_loop_that_has_stalled(url, log, lease):
    def expires():
        with make_engine(parse_url(url)).connect() as connection:
            return connection.scalar(sa.select(LeaseRow.expires_ms))

    before = expires()
    log.write(ASKED, SIGNED)

    assert expires() == before


def test_without_a_journal_there_is_no_log(tmp_path):
    with pytest.raises(JournalError):
        QuoteLog(f"sqlite:///{tmp_path / 'none.sqlite'}")
