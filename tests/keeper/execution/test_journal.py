"""The journal gives back exactly what was recorded, and says clearly when it cannot."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.domain.decision import Action, Brief, Costs, Decision, DeltaChange, Leg, Rule
from keeper.domain.offer import Fill, Offer
from keeper.domain.policy import Policy
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import (
    Assessment,
    Budgets,
    Lending,
    Limits,
    Mode,
    PoolState,
    Reading,
    Snapshot,
    Surface,
    VaultState,
    Venue,
    VenueKind,
    VenueState,
    VolSlice,
)
from keeper.errors import JournalError
from keeper.execution.database import dry_run_url, sentences
from keeper.execution.environment import environment
from keeper.execution.journal import Journal
from keeper.execution.records import Attempt, Call, Kind, Outcome, Result, decision_hash, from_text, to_text
from keeper.execution.schema import REVISION
from keeper.execution.states import State

BLOCK = "0x" + "ab" * 32
POLICY = Policy()
CALL = Call("rebalance 7", "0x01", b"\x12\x34")
KEEPER, POSTER = "0xkeeper", "0xposter"

uints = st.integers(0, 2**256 - 1)
ints = st.integers(-(2**255), 2**255 - 1)
floats = st.floats(allow_nan=False)
texts = st.text(max_size=20)


def ints_for(kind, *names):
    return st.builds(kind, **dict.fromkeys(names, ints))


pairs = st.tuples(ints, ints)
series = st.builds(Series, underlying=uints, is_call=st.booleans(), expiry=uints, strike_wad=uints, ln_strike_wad=uints)
offers = st.builds(
    Offer,
    series=series,
    vault_sells=st.booleans(),
    **dict.fromkeys(("price_wad", "worth_wad", "size_wad", "min_fill_wad"), uints),
)
briefs = st.builds(
    Brief,
    rule=st.sampled_from(Rule),
    offers=st.lists(offers, max_size=2).map(tuple),
    vega_budget_wad=uints,
    last_rebalance=st.none() | st.tuples(uints, uints),
)
decisions = st.builds(
    Decision,
    block_number=uints,
    block_hash=texts,
    action=st.sampled_from(Action),
    reason=texts,
    legs=st.tuples(ints_for(Leg, "venue", "pool", "delta_change", "limit_price")),
    deltas=st.tuples(st.builds(DeltaChange, underlying=uints, before=floats, after=floats, band=floats)),
    costs=st.builds(Costs, fee=floats, impact=floats, gas=floats, carry=floats),
    risk_before=floats,
    risk_after=floats,
    binding=st.tuples(st.tuples(texts, floats)),
    fills=st.lists(st.builds(Fill, offer=offers, size_wad=ints), max_size=1).map(tuple),
)
vol_slices = ints_for(VolSlice, "theta", "rho", "phi", "carry", "half_spread", "posted_at")
pools = st.builds(
    PoolState,
    address=texts,
    fee_pips=uints,
    sqrt_price_x96=uints,
    liquidity=uints,
    tick=ints,
    usdc_is_token0=st.booleans(),
    token_decimals=uints,
)
lendings = st.builds(
    Lending,
    **dict.fromkeys(("borrow_rate", "supply_rate", "liquidation_threshold", "health_floor", "health_target"), floats),
    collateral_usdc=uints,
    debt_wad=uints,
)
venues = st.builds(
    Venue,
    index=uints,
    kind=st.sampled_from(VenueKind),
    address=texts,
    state=ints_for(VenueState, "underlying", "exposure", "equity", "stressed_down", "stressed_up", "health"),
    pools=st.tuples(pools),
    lending=st.none() | lendings,
)
budgets = ints_for(Budgets, *(field.name for field in fields(Budgets)))
snapshots = st.builds(
    Snapshot,
    **dict.fromkeys(("chain_id", "block_number", "timestamp", "base_fee_wei", "keeper_balance_wei"), uints),
    block_hash=texts,
    vault=st.builds(
        VaultState,
        **dict.fromkeys(("idle", "owed", "total_supply", "effective_supply", "sequence"), uints),
        **dict.fromkeys(("loss_budget", "turnover_budget", "hedging_budget", "emergency_budget"), uints),
        mode=st.sampled_from(Mode),
        budgets=budgets,
    ),
    limits=ints_for(
        Limits,
        *("delta_target", "delta_hard", "gamma_band", "vega_band"),
        *("notional_total", "notional_expiry", "notional_series", "gross_leverage"),
    ),
    readings=st.tuples(st.builds(Reading, price_wad=uints, twap_wad=uints, updated_at=uints, doubt=st.booleans())),
    book=st.tuples(
        st.builds(
            Position,
            series=series,
            size_wad=ints,
        )
    ),
    surface=st.builds(Surface, slices=st.tuples(st.tuples(uints, uints, vol_slices))),
    venues=st.lists(venues, max_size=2).map(tuple),
    assessment=st.builds(
        Assessment,
        **dict.fromkeys(("nav_bid", "nav_mid", "nav_ask", "maintenance", "initial", "gap_headroom"), ints),
        **dict.fromkeys(("gross", "short_notional"), ints),
        **dict.fromkeys(("spot", "twap", "delta", "gamma", "vega"), pairs),
        **dict.fromkeys(("doubt", "unfixed", "stale", "venue_failed"), st.booleans()),
    ),
    closes=st.lists(st.tuples(uints, uints), max_size=3).map(tuple),
)


def a_decision(block=100, reason="delta is in its band", action=Action.HOLD):
    return Decision(block, BLOCK, action, reason)


@given(decision=decisions, snapshot=snapshots)
@settings(deadline=None, max_examples=60)
def test_decisions_and_snapshots_survive_as_text_to_the_last_bit(decision, snapshot):
    assert from_text(Decision, to_text(decision)) == decision
    assert from_text(Snapshot, to_text(snapshot)) == snapshot
    assert to_text(from_text(Decision, to_text(decision))) == to_text(decision)  # equal is not the same: -0.0 and 0.0


@given(
    decision=decisions,
    snapshot=snapshots,
    policy=st.builds(Policy, risk_aversion=floats),
    brief=briefs,
    wanted=st.none() | decisions,
)
@settings(deadline=None, max_examples=20)
def test_a_record_is_read_back_as_it_was_written(tmp_path_factory, decision, snapshot, policy, brief, wanted):
    url = f"sqlite:///{tmp_path_factory.mktemp('journal') / 'keel.sqlite'}"
    decision = replace(decision, block_number=100, block_hash=BLOCK)
    journal = Journal(url)
    journal.record_decision(decision, policy, snapshot, timestamp=1_795_000_000, brief=brief, wanted=wanted)
    journal.close()

    again = Journal(url)
    record = again.decision_at(100)
    is_intact = again.is_intact(record)
    again.close()

    assert (record.decision, record.policy, record.snapshot, record.brief) == (decision, policy, snapshot, brief)
    assert record.wanted == (None if wanted == decision else wanted)
    assert record.environment == environment()
    assert record.timestamp == 1_795_000_000
    assert record.decision_hash == decision_hash(decision, policy, snapshot, brief)
    assert is_intact


def test_the_hash_depends_on_all_that_decided(journal):
    first = journal.record_decision(a_decision(), POLICY, None, timestamp=0)

    assert first.decision_hash != decision_hash(a_decision(reason="other"), POLICY, None)
    assert first.decision_hash != decision_hash(a_decision(), Policy(risk_aversion=1.0), None)
    assert first.decision_hash != decision_hash(a_decision(), POLICY, None, Brief())


@pytest.mark.parametrize("column", ["decision", "policy", "brief"])
def test_a_record_that_was_changed_is_not_intact(tmp_path, journal, column):
    record = journal.record_decision(a_decision(), POLICY, None, timestamp=0, brief=Brief(Rule.CLOSE, (), 7))
    assert journal.is_intact(record)
    with closing(sqlite3.connect(tmp_path / "keel.sqlite")) as rows:
        [[text]] = rows.execute(f"SELECT {column} FROM decisions").fetchall()
        changed = {"decision": ('"hold"', '"refuse"'), "policy": ("30.0", "30.000000000000004"), "brief": ("7", "8")}
        assert changed[column][0] in text
        rows.execute(f"UPDATE decisions SET {column} = ?", (text.replace(*changed[column]),))
        rows.commit()

    assert not journal.is_intact(journal.decision_at(100))


def test_a_transaction_leads_to_its_decision(journal):
    journal.record_decision(a_decision(99), POLICY, None, timestamp=0)
    record, intent = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)
    journal.record_attempt(intent, Attempt(3, "0xaa", b"\x02", 1, 1))

    assert journal.record_of_transaction("0xaa") == record
    assert journal.record_of_transaction("0xab") is None


def test_the_same_decision_is_recorded_once(journal):
    first = journal.record_decision(a_decision(), POLICY, None, timestamp=0)

    again = journal.record_decision(a_decision(), POLICY, None, timestamp=0)

    assert again.id == first.id
    assert len(journal.decisions()) == 1


def test_the_newest_decision_is_the_last_one_of_its_kind(journal):
    for block in (100, 101):
        journal.record_decision(a_decision(block), POLICY, None, timestamp=0)
    journal.record_decision(a_decision(102), POLICY, None, timestamp=0, kind=Kind.SETTLE)

    assert journal.last_decision().block_number == journal.last_block() == 101
    assert journal.last_decision(Kind.SETTLE).block_number == 102
    assert journal.last_decision(None).kind is Kind.SETTLE
    assert journal.decision_at(102) is None
    assert journal.nearest_blocks(102) == (101, None)
    assert [record.block_number for record in journal.decisions(101, 102)] == [101, 102]


def test_the_last_rebalance_is_the_newest_hedge_that_succeeded(journal):
    def a_call(block, gas, *, result=Result.CONFIRMED, kind=Kind.HEDGE, legs=1):
        leg = Leg(0, 0, 10**18, 10**18)
        decision = replace(a_decision(block), legs=(leg,) * legs)
        _, intent = journal.record_action(decision, POLICY, None, CALL, account=KEEPER, timestamp=0, kind=kind)
        intent = journal.record_attempt(intent, Attempt(block, f"0x{block}", b"\x02", 1, 1))
        journal.record_outcome(intent, Outcome(result, "", f"0x{block}", block, BLOCK, gas, 1))

    assert journal.last_rebalance() is None
    a_call(100, 2_000_000)
    a_call(101, 3_000_000, legs=2)
    a_call(102, 200_000, result=Result.FAILED)
    a_call(103, 1_600_000, kind=Kind.HEARTBEAT)

    assert journal.last_rebalance() == (2, 3_000_000)


def test_an_intent_is_open_until_its_outcome(journal):
    decision, intent = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)
    attempt = Attempt(nonce=3, tx_hash="0xaa", raw=b"\x02", max_fee=2**70, priority_fee=1)

    intent = journal.record_attempt(intent, attempt)

    assert journal.open_intents() == (intent,)
    assert intent.attempts == (attempt,)
    outcome = Outcome(Result.CONFIRMED, "", "0xaa", 101, BLOCK, 900_000, 2**65)
    intent = journal.record_outcome(intent, outcome)
    assert journal.open_intents() == ()
    assert journal.transactions_of(decision.id) == ((intent, outcome),)
    assert journal.outcome_of(intent) == outcome


def test_a_decision_that_is_acted_on_again_keeps_its_record_and_gets_a_new_intent(journal):
    first, _ = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)

    second, _ = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)

    assert second == first
    assert len(journal.transactions_of(first.id)) == 2


def a_signed_intent(journal, nonce=3, block_number=100, account=KEEPER):
    _, intent = journal.record_action(a_decision(), POLICY, None, CALL, account=account, timestamp=0)
    attempt = Attempt(nonce, f"0x{nonce:02x}{intent.id:02x}", b"\x02", 10**9, 1, block_number)
    return journal.record_attempt(intent, attempt)


MINED = Outcome(Result.CONFIRMED, "", "0xaa", 101, BLOCK, 900_000, 10**9)


def test_a_step_that_the_states_do_not_have_is_refused(journal):
    _, intent = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)

    with pytest.raises(JournalError, match="rebalance 7 is planned and cannot become mined"):
        journal.record_outcome(intent, MINED)

    assert journal.open_intents() == (intent,)


def test_of_two_that_move_an_intent_on_the_second_is_refused(journal):
    """Fault 13: what a process believes may be old."""
    intent = a_signed_intent(journal)
    journal.record_outcome(intent, Outcome(Result.REFUSED, "insufficient funds"))

    with pytest.raises(JournalError, match="rebalance 7 is not signed any more"):
        journal.record_outcome(intent, MINED)

    assert journal.outcome_of(intent).result is Result.REFUSED


def test_what_a_reorganisation_takes_away_is_open_again_and_its_history_is_kept(journal):
    """Fault 5."""
    intent = journal.record_outcome(a_signed_intent(journal), MINED)

    intent = journal.record_state(intent, State.UNCONFIRMED, "a reorganisation took block 101 away")

    assert journal.open_intents() == (intent,)
    assert journal.outcome_of(intent) is None
    assert journal.mined_intents() == ()
    again = journal.record_outcome(intent, replace(MINED, block_number=102))
    assert journal.mined_intents() == ((again, replace(MINED, block_number=102)),)
    states = [step.state for step in journal.steps_of(intent.id)]
    assert states == [State.PLANNED, State.SIGNED, State.MINED, State.UNCONFIRMED, State.MINED]


def test_the_next_nonce_follows_the_newest_that_was_mined(journal):
    assert journal.next_nonce(KEEPER) == 0
    journal.record_outcome(a_signed_intent(journal, nonce=6), MINED)
    final = journal.record_outcome(a_signed_intent(journal, nonce=7), MINED)
    journal.record_state(final, State.FINAL)
    journal.record_outcome(a_signed_intent(journal, nonce=9), Outcome(Result.SUPERSEDED))

    assert journal.next_nonce(KEEPER) == 8


def test_each_account_has_nonces_and_open_calls_of_its_own(journal):
    mined = journal.record_outcome(a_signed_intent(journal, nonce=7), MINED)
    given_up = journal.record_outcome(a_signed_intent(journal, nonce=8), Outcome(Result.SUPERSEDED))
    post = a_signed_intent(journal, nonce=2, account=POSTER)

    assert (journal.next_nonce(KEEPER), journal.next_nonce(POSTER)) == (8, 0)
    assert (journal.open_intents(KEEPER), journal.open_intents(POSTER)) == ((), (post,))
    assert (journal.mined_intents(KEEPER), journal.mined_intents(POSTER)) == (((mined, MINED),), ())
    assert (journal.given_up(95, KEEPER), journal.given_up(95, POSTER)) == ((given_up,), ())
    assert journal.open_intents() == (post,)


def test_a_hedge_is_done_with_whatever_becomes_of_a_post(journal):
    journal.record_decision(a_decision(100, action=Action.HOLD), POLICY, None, timestamp=0)

    journal.record_action(a_decision(), POLICY, None, CALL, account=POSTER, timestamp=0, kind=Kind.POST)

    assert journal.is_done_with(100)
    journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0, kind=Kind.HEARTBEAT)
    assert not journal.is_done_with(100)


def test_what_was_given_up_is_looked_for_unless_its_transaction_is_another_intents_by_now(journal):
    old = journal.record_outcome(a_signed_intent(journal, nonce=1, block_number=90), Outcome(Result.SUPERSEDED))
    recent = journal.record_outcome(a_signed_intent(journal, nonce=2), Outcome(Result.SUPERSEDED))
    refused = journal.record_outcome(a_signed_intent(journal, nonce=3), Outcome(Result.REFUSED))
    _, again = journal.record_action(a_decision(), POLICY, None, CALL, account=KEEPER, timestamp=0)
    journal.record_attempt(again, refused.attempts[0])

    assert journal.given_up(since_block=95) == (recent,)
    assert journal.given_up(since_block=80) == (old, recent)
    assert journal.given_up_with(range(1, 4), KEEPER) == (old, recent)
    assert journal.given_up_with(range(2, 4), KEEPER) == (recent,)
    assert journal.given_up_with(range(1, 4), POSTER) == ()


def test_dry_runs_have_a_file_of_their_own():
    assert dry_run_url("sqlite:///var/keel.sqlite") == "sqlite:///var/keel-dry-run.sqlite"
    assert dry_run_url("postgresql://keel:secret@db/keel") == "postgresql://keel:secret@db/keel-dry-run"


@pytest.mark.parametrize("url", ["foo://db/keel", "postgresql+nodriver://keel:secret@db/keel", "mysql://db/keel"])
def test_a_database_without_a_driver_is_named_without_its_password(url):
    with pytest.raises(JournalError, match="There is no driver for the journal's database") as raised:
        Journal(url)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_journal_in_memory_is_refused(url):
    """After a crash nobody would know what was sent."""
    with pytest.raises(JournalError, match="A journal in memory forgets what was sent"):
        Journal(url)


def test_a_journal_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(JournalError, match=r"cannot be made: (Not a directory|File exists)\. Nothing was started"):
        Journal(f"sqlite:///{tmp_path / 'file' / 'keel.sqlite'}")


def test_a_journal_that_is_locked_for_a_moment_is_waited_for(tmp_path, journal):
    other = sqlite3.connect(tmp_path / "keel.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()

    record = journal.record_decision(a_decision(), POLICY, None, timestamp=1)

    release.join()
    other.close()
    assert journal.last_decision() == record


def test_a_locked_journal_says_what_to_do(tmp_path, journal, monkeypatch):
    monkeypatch.setattr("keeper.execution.database._BUSY_TIMEOUT", 0.05)
    impatient = Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")
    other = sqlite3.connect(tmp_path / "keel.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(JournalError, match=r"cannot be used: database is locked.*Another process writes to it"):
        impatient.record_decision(a_decision(), POLICY, None, timestamp=0)

    other.execute("ROLLBACK")
    other.close()
    assert impatient.record_decision(a_decision(), POLICY, None, timestamp=0).id == 1
    impatient.close()


def test_a_new_journal_may_be_opened_by_several_processes_at_once(tmp_path):
    code = (
        "import sys; from keeper.execution.journal import Journal;"
        "sys.stdin.read(); [Journal(url).last_block() for url in sys.argv[1:]]"
    )
    urls = [f"sqlite:///{tmp_path / f'{n}.sqlite'}" for n in range(20)]
    processes = [subprocess.Popen([sys.executable, "-c", code, *urls], stdin=subprocess.PIPE) for _ in range(2)]

    for process in processes:
        process.stdin.close()

    assert [process.wait(120) for process in processes] == [0, 0]
    assert [Journal(url).last_block() for url in urls] == [None] * 20


def test_a_reader_does_not_hold_up_the_writer(tmp_path, journal):
    reader = sqlite3.connect(tmp_path / "keel.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM decisions").fetchall()

    record = journal.record_decision(a_decision(), POLICY, None, timestamp=0)

    assert record.id == 1
    reader.close()


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "keel.sqlite"
    path.write_bytes(b"these are my holiday plans, not a database" * 50)

    with pytest.raises(JournalError, match="is damaged: file is not a database"):
        Journal(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"these are my holiday plans")


def test_a_damaged_record_is_reported(tmp_path, journal):
    journal.record_decision(a_decision(), POLICY, None, timestamp=0)
    other = sqlite3.connect(tmp_path / "keel.sqlite")
    other.execute("UPDATE decisions SET decision = '{'")
    other.commit()
    other.close()

    with pytest.raises(JournalError, match="is damaged"):
        journal.last_decision()


def test_who_was_frozen_in_a_transaction_is_not_told_that_the_journal_is_damaged(postgres):
    """Postgres takes the transaction from him, so that another machine can take over, and says so when he wakes."""

    def freeze(journal):
        with sentences("of a test"), journal._writing() as session:
            session.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            time.sleep(0.5)
            session.execute(sa.text("SELECT 1"))

    with closing(Journal(postgres.new_database())) as journal:
        with pytest.raises(JournalError) as raised:
            freeze(journal)
        journal.record_decision(a_decision(), POLICY, None, timestamp=0)

    assert raised.value.what.startswith("The journal of a test cannot be used: terminating connection")
    assert "start again" in raised.value.todo


def test_somebody_elses_database_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / "keel.sqlite")
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()

    with pytest.raises(JournalError, match=r"is not a journal of Keel.*Nothing was written"):
        Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")


def test_what_operate_md_deletes_is_decisions_to_hold_that_are_old(tmp_path, journal):
    days = 86_400
    journal.record_decision(a_decision(1), POLICY, None, timestamp=0)
    journal.record_decision(a_decision(2, action=Action.REFUSE), POLICY, None, timestamp=0)
    journal.record_action(a_decision(3, action=Action.TRADE), POLICY, None, CALL, account=KEEPER, timestamp=0)
    journal.record_decision(a_decision(4), POLICY, None, timestamp=11 * days)
    journal.record_decision(a_decision(5), POLICY, None, timestamp=100 * days)
    text = (Path(__file__).parents[3] / "docs" / "operate.md").read_text()
    statements = text.partition("```sql\n")[2].partition("```")[0]

    with closing(sqlite3.connect(tmp_path / "keel.sqlite")) as rows:
        rows.execute("PRAGMA foreign_keys=ON")
        rows.executescript(statements)

    assert [record.block_number for record in journal.decisions()] == [2, 3, 4, 5]
    assert len(journal.open_intents()) == 1
    assert journal.last_block() == 5


def test_a_journal_of_another_version_is_left_alone(tmp_path, journal):
    other = sqlite3.connect(tmp_path / "keel.sqlite")
    other.execute("UPDATE alembic_version SET version_num = '9999'")
    other.commit()
    other.close()

    with pytest.raises(JournalError, match=f"has schema 9999, this version of Keel writes {REVISION}"):
        Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")


def test_the_file_is_for_its_owner_only(tmp_path, journal):
    assert (tmp_path / "keel.sqlite").stat().st_mode & 0o777 == 0o600


def test_what_is_not_a_url_says_so():
    with pytest.raises(JournalError, match="not a database URL"):
        Journal("keel.sqlite")
