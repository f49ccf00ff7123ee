"""The surface follows its market while the keeper runs: by the rules of `keel surface post`, one post at a time, with a
key and nonces of its own, and never before the hedge."""

import http.server
import threading
import time

import pytest

from keeper.chain.rpc import Connection
from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.safety import KillLevels, Order
from keeper.domain.units import MINUTE, WAD
from keeper.execution.executor import REPLACE_AFTER
from keeper.execution.orders import Orders
from keeper.execution.records import Kind, Result
from keeper.market.posting import OLDEST, PATIENCE
from keeper.market.quote_source import QuoteSource
from keeper.runtime.guard import Guard
from keeper.runtime.lookout import Lookout
from keeper.runtime.loop import Keeper
from keeper.runtime.poster import AGAIN_AFTER, Poster
from tests.keeper.chain_files import synthetic
from tests.keeper.vault_on_fork import ETH, SPOT, VOL, account_of

GWEI = 10**9
POLICY = Policy()
POSTER = account_of("vol_poster").address
PATIENT = 120.0  # seconds that a test waits for the other thread


class PowerCut(BaseException):
    """Ends the process, whatever it catches."""


def power_cut(*_):
    raise PowerCut


@pytest.fixture(autouse=True)
def a_block_of_its_own(vault):
    """To look at: of the block that it was taken back to, anvil has no state any more once there is another."""
    vault.market.step(SPOT)


@pytest.fixture
def quotes(vault, tmp_path):
    """`quotes(vol_ratio)` records the market as it is now; returns the file."""

    def record(vol_ratio=0.95, age=0):
        synthetic(tmp_path / "quotes.parquet", vault.now() - age, vol_ratio=vol_ratio)
        return tmp_path / "quotes.parquet"

    return record


@pytest.fixture
def make_lookout(vault, quotes):
    """Lookouts at the recorded market, or at another place."""
    opened = []

    def make(at=None):
        source = QuoteSource(at or str(quotes()), seconds=PATIENT)
        lookout = Lookout(Connection(vault.url), vault.deployment, {ETH: source}, fetch_every=0.0)
        opened.append(lookout.__enter__())
        return lookout

    yield make
    for one in opened:
        one.__exit__(None, None, None)


@pytest.fixture
def make_poster(vault, journal):
    """Posters, each as after a start of the process."""

    def make(lookout, *, dry_run=False):
        account = None if dry_run else account_of("vol_poster")
        return Poster(vault.connection, account, POLICY, journal, lookout)

    return make


@pytest.fixture
def no_blocks_come(vault):
    """But those of the test."""
    mine(vault)
    vault.market.rpc.call("evm_setAutomine", False)


def mine(vault, base_fee=GWEI, seconds=12):
    rpc = vault.market.rpc
    rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    rpc.call("evm_setNextBlockTimestamp", vault.now() + seconds)
    rpc.call("evm_mine")


def follow(vault, poster, *, sends=True):
    return list(poster.follow(vault.connection.header(), sends=sends))


def look_and_post(vault, poster, lookout):
    """Two rounds: one that asks for a look, and one that posts what it found."""
    ended = follow(vault, poster)
    assert lookout.wait(PATIENT)
    return [*ended, *follow(vault, poster)]


def ended_of(vault, poster, ended):
    """How the one post has ended, whose block comes by itself."""
    give_up = time.monotonic() + PATIENT
    while not ended and time.monotonic() < give_up:
        time.sleep(0.05)
        ended = follow(vault, poster)
    [(_, outcome)] = ended
    return outcome


def nonce(vault):
    return vault.w3.eth.get_transaction_count(POSTER)


def vols(vault):
    """What is posted at the money, by expiry."""
    return {e: vault.read("VolOracle", "vol", ETH, e, 0) / WAD for e in vault.read("VolOracle", "expiries", ETH)}


def posts(journal):
    return [record for record in journal.decisions() if record.kind is Kind.POST]


def test_the_surface_follows_its_market_slice_by_slice_and_then_rests(vault, journal, make_lookout, make_poster):
    lookout, before = make_lookout(), nonce(vault)
    poster = make_poster(lookout)
    assert all(vol == pytest.approx(VOL, abs=1e-3) for vol in vols(vault).values())

    for _ in range(3):
        outcome = ended_of(vault, poster, look_and_post(vault, poster, lookout))
        assert outcome.result is Result.CONFIRMED
    assert look_and_post(vault, poster, lookout) == []

    assert nonce(vault) == before + 3
    told = [record.decision.reason for record in posts(journal)]
    assert all(any(f"UTC at {vol:.2%}: 60.00% is posted" in one for one in told) for vol in vols(vault).values())
    assert [record.decision.action for record in posts(journal)] == [Action.TRADE] * 3


def test_a_post_that_waits_for_a_block_does_not_hold_up_the_hedge(
    vault, journal, make_lookout, make_poster, no_blocks_come
):
    lookout = make_lookout()
    poster = make_poster(lookout)
    assert look_and_post(vault, poster, lookout) == []
    [post] = journal.open_intents(POSTER)

    record = keeper_of(vault, journal, poster).tick()

    assert record.decision.action is Action.TRADE
    [hedge] = journal.open_intents(vault.keeper.address)
    mine(vault)
    keeper_of(vault, journal, poster).tick()
    assert journal.outcome_of(hedge).result is Result.CONFIRMED
    assert journal.outcome_of(post).result is Result.CONFIRMED


def test_a_hedge_that_waits_for_a_block_does_not_hold_up_a_post(
    vault, journal, make_lookout, make_poster, no_blocks_come
):
    lookout = make_lookout()
    poster = make_poster(lookout)
    keeper = keeper_of(vault, journal, poster)
    keeper.tick()
    [hedge] = journal.open_intents(vault.keeper.address)
    assert lookout.wait(PATIENT)
    vault.market.rpc.call("anvil_dropAllTransactions")
    mine(vault)

    keeper.tick()

    assert [one.id for one in journal.open_intents(vault.keeper.address)] == [hedge.id]
    assert len(journal.open_intents(POSTER)) == 1


def test_after_a_crash_between_storing_and_sending_the_same_post_is_sent_and_no_other(
    vault, journal, make_lookout, make_poster, no_blocks_come, monkeypatch
):
    lookout, before = make_lookout(), nonce(vault)
    doomed = make_poster(lookout)
    monkeypatch.setattr(doomed._executor, "_send", power_cut)
    with pytest.raises(PowerCut):
        look_and_post(vault, doomed, lookout)
    [left] = journal.open_intents(POSTER)

    again = make_poster(lookout)
    assert follow(vault, again) == []
    mine(vault)
    [(intent, outcome)] = follow(vault, again)

    assert (outcome.result, outcome.tx_hash) == (Result.CONFIRMED, left.attempts[0].tx_hash)
    assert len(intent.attempts) == 1
    assert nonce(vault) == before + 1
    assert len(posts(journal)) == 1


def test_a_post_that_is_not_mined_in_time_is_taken_back_and_planned_anew(
    vault, journal, make_lookout, make_poster, no_blocks_come
):
    """It would post volatilities of some time ago as if they were of now."""
    lookout = make_lookout()
    poster, before = make_poster(lookout), vols(vault)
    look_and_post(vault, poster, lookout)
    [waiting] = journal.open_intents(POSTER)
    vault.market.rpc.call("anvil_dropAllTransactions")
    for _ in range(REPLACE_AFTER):
        mine(vault, seconds=PATIENCE // 2)
    vault.market.rpc.call("eth_sendRawTransaction", "0x" + waiting.attempts[0].raw.hex())

    follow(vault, poster)
    mine(vault)
    [(_, outcome)] = follow(vault, poster)

    assert outcome.result is Result.CANCELLED
    assert vols(vault) == before
    assert lookout.wait(PATIENT)
    mine(vault, seconds=AGAIN_AFTER)
    follow(vault, poster)
    mine(vault)
    [(_, outcome)] = follow(vault, poster)
    assert outcome.result is Result.CONFIRMED


def test_a_post_waits_for_fees_that_it_is_worth(vault, journal, make_lookout, make_poster, no_blocks_come):
    lookout = make_lookout()
    poster = make_poster(lookout)
    mine(vault, base_fee=300 * GWEI)

    [(_, refused)] = look_and_post(vault, poster, lookout)

    assert refused.result is Result.REFUSED
    assert "cost more than the 0.0200 ether that it may" in refused.detail
    mine(vault, base_fee=GWEI)
    assert follow(vault, poster) == []  # not before a minute is over
    mine(vault, seconds=AGAIN_AFTER)
    look_and_post(vault, poster, lookout)
    assert len(journal.open_intents(POSTER)) == 1


def test_a_source_that_does_not_answer_delays_no_block(vault, journal, quotes, make_lookout, make_poster):
    answers, body = threading.Event(), quotes().read_bytes()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answers.wait(PATIENT)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lookout = make_lookout(f"http://127.0.0.1:{server.server_port}/chain.parquet")
        keeper = keeper_of(vault, journal, make_poster(lookout), wait_seconds=PATIENT)
        assert keeper.tick().decision.action is Action.TRADE
        vault.market.step(SPOT)
        assert keeper.tick() is not None
        assert posts(journal) == []

        answers.set()
        assert lookout.wait(PATIENT)
        vault.market.step(SPOT)
        keeper.tick()
        server.shutdown()

    [record] = posts(journal)
    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED


def test_a_paused_keeper_posts_nothing(vault, journal, make_lookout, make_poster, tmp_path):
    orders, lookout, before = Orders(f"sqlite:///{tmp_path}/keel.sqlite"), make_lookout(), nonce(vault)
    guard = Guard(vault.connection, vault.deployment, orders, KillLevels(), POLICY.margin_tolerance)
    keeper = keeper_of(vault, journal, make_poster(lookout), guard=guard, wait_seconds=PATIENT)
    keeper.tick()
    assert lookout.wait(PATIENT)
    orders.give(Order.PAUSE, "for the test")
    vault.market.step(SPOT)

    keeper.tick()

    assert nonce(vault) == before
    assert posts(journal) == []
    orders.lift("go on")
    vault.market.step(SPOT)
    keeper.tick()
    assert nonce(vault) == before + 1
    orders.close()


def test_a_poster_that_fails_at_every_block_does_not_stop_the_hedge(
    vault, journal, make_lookout, make_poster, tmp_path, monkeypatch
):
    def fail(*_, **__):
        raise ValueError("no such thing")
        yield

    orders, poster = Orders(f"sqlite:///{tmp_path}/keel.sqlite"), make_poster(make_lookout())
    monkeypatch.setattr(poster, "follow", fail)
    guard = Guard(vault.connection, vault.deployment, orders, KillLevels(max_errors=2), POLICY.margin_tolerance)
    keeper = keeper_of(vault, journal, poster, guard=guard, wait_seconds=PATIENT)

    for _ in range(4):
        record = keeper.tick()
        vault.market.step(SPOT)

    assert guard.standing() == ()
    assert record.decision.action is not Action.REFUSE
    orders.close()


def test_a_dry_run_records_what_it_would_post_and_posts_nothing(vault, journal, make_lookout, make_poster):
    lookout, before = make_lookout(), vault.w3.eth.block_number

    look_and_post(vault, make_poster(lookout, dry_run=True), lookout)

    [record] = posts(journal)
    assert record.decision.action is Action.TRADE
    assert journal.transactions_of(record.id) == ()
    assert vault.w3.eth.block_number == before


def test_old_quotes_are_not_posted_and_that_is_recorded_once(vault, journal, quotes, make_lookout, make_poster):
    lookout, before = make_lookout(str(quotes(age=OLDEST + MINUTE))), nonce(vault)
    poster = make_poster(lookout)

    for _ in range(3):
        look_and_post(vault, poster, lookout)
        vault.market.step(SPOT, timestamp=vault.now() + MINUTE)

    [record] = posts(journal)
    assert record.decision.action is Action.HOLD
    assert "the surface of ETH cannot be posted: The quotes of" in record.decision.reason
    assert nonce(vault) == before


def keeper_of(vault, journal, poster, **options):
    options = {"services": (), "wait_seconds": 0.0, "poll_seconds": 0.01} | options
    return Keeper(vault.connection, vault.deployment, vault.keeper, POLICY, journal, poster=poster, **options)
