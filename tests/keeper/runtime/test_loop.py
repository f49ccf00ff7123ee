"""The loop on a real vault: each block is decided once, recorded with what it saw, and acted on or refused."""

import dataclasses
import os
import signal
import threading
import time

import pytest

from keeper.chain.abi import function
from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.errors import RpcError, RpcUnavailableError, WrongChainError
from keeper.execution.records import Call, Kind, Result
from keeper.market.history import History
from keeper.market.reader import read_snapshot
from keeper.runtime.lending import lending
from keeper.runtime.loop import SERVICES, Keeper
from keeper.runtime.settlement import Duty
from keeper.simulation.chain.addresses import POOL_USDC_WETH_500

POLICY = Policy()


class SilentConnection(Connection):
    """Loses every send, as if the node had gone after signing."""

    def send_raw(self, transaction):
        raise RpcUnavailableError("The node did not answer.")


@pytest.fixture
def make_keeper(vault, journal):
    def make(connection=None, policy=POLICY, **options):
        services = [service for service in SERVICES if service is not lending]  # which would send one more at the start
        options = {"poll_seconds": 0.01, "wait_seconds": 60.0, "services": services} | options
        return Keeper(connection or vault.connection, vault.deployment, vault.keeper, policy, journal, **options)

    return make


def snapshot_of(vault):
    return read_snapshot(vault.connection, vault.deployment, vault.keeper.address, history=History(vault.deployment))


def delta_of(vault):
    return vault.read("Vault", "assessment")[10][0] / 1e18


def nonce(vault):
    return vault.w3.eth.get_transaction_count(vault.keeper.address)


def test_an_unhedged_book_is_hedged_into_its_band(vault, journal, make_keeper):
    band = 0.02 * 1_000_000 / 3_000
    before = delta_of(vault)

    record = make_keeper().tick()

    assert record.decision.action is Action.TRADE
    [(intent, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED, outcome.detail
    assert len(intent.attempts) == 1
    assert abs(delta_of(vault)) < band < abs(before)
    assert delta_of(vault) == pytest.approx(record.decision.deltas[0].after, abs=0.01)


def test_what_was_seen_is_recorded_with_the_decision(vault, journal, make_keeper):
    seen = snapshot_of(vault)

    record = make_keeper().tick()

    stored = journal.decision_at(seen.block_number)
    assert stored == record
    assert (stored.snapshot, stored.policy, stored.timestamp) == (seen, POLICY, seen.timestamp)


def test_each_block_is_decided_once(make_keeper, vault):
    keeper = make_keeper(decide=hold)

    assert keeper.tick() is not None
    assert keeper.tick() is None
    vault.market.step(3_001)
    assert keeper.tick() is not None


def hold(snapshot, policy):
    return Decision(snapshot.block_number, snapshot.block_hash, Action.HOLD, "for the test")


def explode(snapshot, policy):
    raise ZeroDivisionError("no vol")


def test_when_keeper_and_chain_disagree_nothing_is_sent(vault, journal, make_keeper, monkeypatch):
    def tampered(*args):
        true = read_snapshot(*args)
        worse = dataclasses.replace(true.assessment, initial=true.assessment.initial + 10**18)
        return dataclasses.replace(true, assessment=worse)

    monkeypatch.setattr("keeper.runtime.loop.read_snapshot", tampered)
    before = nonce(vault)

    record = make_keeper().tick()

    assert record.decision.action is Action.REFUSE
    assert "keeper and chain disagree by" in record.decision.reason
    assert journal.transactions_of(record.id) == ()
    assert nonce(vault) == before


def test_a_decision_that_fails_is_refused_with_its_error(make_keeper):
    record = make_keeper(decide=explode).tick()

    assert record.decision.action is Action.REFUSE
    assert record.decision.reason == "deciding failed: ZeroDivisionError: no vol"


def test_a_dead_oracle_is_refused_and_recorded(vault, journal, make_keeper):
    """Fault 10."""
    vault.market.warp(4_000)

    record = make_keeper().tick()

    assert record.decision.action is Action.REFUSE
    assert "PriceOracle.read(0): oracle: stale" in record.decision.reason
    assert journal.last_decision().snapshot is None


def test_a_dry_run_records_and_sends_nothing(vault, journal, make_keeper):
    before = nonce(vault)

    record = make_keeper(dry_run=True).tick()

    assert record.decision.action is Action.TRADE
    assert journal.transactions_of(record.id) == ()
    assert nonce(vault) == before


def test_while_a_transaction_is_in_flight_nothing_new_is_decided(vault, journal, make_keeper):
    """Fault 2: never decided again blindly."""
    vault.market.rpc.call("evm_setAutomine", False)
    keeper = make_keeper(wait_seconds=0.05)
    first = keeper.tick()
    pending = vault.market.rpc.call("eth_getBlockByNumber", "pending", False)["transactions"]
    vault.market.rpc.call("anvil_dropAllTransactions")
    vault.market.rpc.call("evm_mine")
    vault.market.rpc.call("eth_sendRawTransaction", "0x" + journal.open_intents()[0].attempts[0].raw.hex())

    second = keeper.tick()

    assert first.decision.action is Action.TRADE
    assert len(pending) == 1
    assert second.decision.action is Action.REFUSE
    assert "not known how this ends: rebalance" in second.decision.reason
    vault.market.rpc.call("evm_mine")
    assert keeper.tick().decision.action is Action.HOLD
    assert [result.result for _, result in journal.transactions_of(first.id)] == [Result.CONFIRMED]


def test_a_keeper_that_starts_after_a_crash_finishes_what_was_signed_and_does_it_once(vault, journal, make_keeper):
    crashed = make_keeper(connection=SilentConnection(vault.url))
    first = crashed.tick()

    record = make_keeper().tick()

    [(intent, outcome)] = journal.transactions_of(first.id)
    assert (len(intent.attempts), outcome.result) == (1, Result.CONFIRMED)
    assert vault.read("Hedger", "sequence") == 1
    assert record.block_number >= first.block_number


def test_an_expired_series_is_settled_once_its_round_exists_and_then_funded(vault, journal, make_keeper):
    expiry = min(position.series.expiry for position in snapshot_of(vault).book)
    vault.market.step(3_300, timestamp=expiry - 60)
    vault.market.warp(120)
    keeper = make_keeper(decide=hold)

    keeper.tick()
    waiting = journal.last_decision(Kind.SETTLE)
    vault.market.step(3_310, timestamp=expiry + 120)
    vault.market.step(3_400)
    record = keeper.tick()

    assert waiting.decision.action is Action.HOLD
    assert "waits for the oracle round" in waiting.decision.reason
    settled = journal.last_decision(Kind.SETTLE)
    assert settled.decision.action is Action.TRADE
    assert [end.result for _, end in journal.transactions_of(settled.id)] == [Result.CONFIRMED]
    assert vault.read("PriceOracle", "fixing", 0, expiry) == 3_310 * 10**18
    assert [position.series.expiry > expiry for position in record.snapshot.book] == [True]
    assert vault.read("ClearingHouse", "funded") == 50 * 310 * 10**6
    assert record.snapshot.vault.owed == 0
    assert journal.last_decision(Kind.FUND).decision.reason == "fund 15,500.00 of 15,500.00 USDC owed to option holders"


def test_an_expired_series_is_settled_at_a_base_fee_that_other_duties_wait_out(vault, journal, make_keeper):
    expiry = first_expiry(vault)
    vault.market.step(3_300, timestamp=expiry - 60)
    vault.market.step(3_310, timestamp=expiry + 120, base_fee=200 * 10**9)

    make_keeper(decide=hold).tick()

    assert vault.read("PriceOracle", "fixing", 0, expiry) == 3_310 * 10**18


def test_waiting_for_a_round_is_recorded_once_and_does_not_stop_the_hedging(vault, journal, make_keeper):
    expiry = min(position.series.expiry for position in snapshot_of(vault).book)
    vault.market.step(3_300, timestamp=expiry - 60)
    keeper = make_keeper(decide=hold)

    records = []
    for _ in range(3):
        vault.market.warp(60)
        records.append(keeper.tick())

    assert [record.decision.reason for record in records] == ["for the test"] * 3
    assert [record.kind for record in journal.decisions()].count(Kind.SETTLE) == 1


def test_a_dry_run_says_that_it_would_settle(vault, journal, make_keeper):
    expiry = min(position.series.expiry for position in snapshot_of(vault).book)
    vault.market.step(3_300, timestamp=expiry - 60)
    vault.market.step(3_300, timestamp=expiry + 60)

    record = make_keeper(dry_run=True, decide=hold).tick()

    assert record.decision.reason == "for the test"
    assert journal.last_decision(Kind.SETTLE).decision.action is Action.TRADE
    assert vault.read("PriceOracle", "fixing", 0, expiry) == 0


def test_a_settlement_that_is_refused_is_tried_again_after_a_minute(vault, journal, make_keeper):
    expiry = min(position.series.expiry for position in snapshot_of(vault).book)
    vault.market.step(3_300, timestamp=expiry - 60)
    vault.market.step(3_300, timestamp=expiry + 12)
    balance = vault.w3.eth.get_balance(vault.keeper.address)
    vault.market.rpc.call("anvil_setBalance", vault.keeper.address, "0x0")
    keeper = make_keeper(decide=hold)

    for _ in range(3):
        keeper.tick()
        vault.market.warp(12)
    refused = [record for record in journal.decisions() if record.kind is Kind.SETTLE]
    vault.market.rpc.call("anvil_setBalance", vault.keeper.address, hex(balance))
    vault.market.warp(60)
    keeper.tick()

    assert [end.result for record in refused for _, end in journal.transactions_of(record.id)] == [Result.REFUSED]
    assert vault.read("PriceOracle", "fixing", 0, expiry) == 3_300 * 10**18


def test_another_chain_is_refused_at_the_start(vault, journal):
    elsewhere = dataclasses.replace(vault.deployment, chain_id=10)

    with pytest.raises(WrongChainError, match="serves chain 1, the deployment is on chain 10"):
        Keeper(vault.connection, elsewhere, vault.keeper, POLICY, journal)


def test_run_follows_the_head_until_sigterm(vault, journal, make_keeper):
    before = signal.getsignal(signal.SIGTERM)
    blocks = []

    def drive():
        for price in (3_001, 3_002, 3_003):
            blocks.append(vault.market.step(price).block_number)
            wait_for(journal, blocks[-1])
        os.kill(os.getpid(), signal.SIGTERM)

    driver = threading.Thread(target=drive)
    driver.start()
    make_keeper(decide=hold).run()
    driver.join()

    recorded = [record.block_number for record in journal.decisions()]
    assert recorded[-3:] == blocks
    assert signal.getsignal(signal.SIGTERM) is before


class DyingConnection(Connection):
    """A node that can be cut off."""

    dead = False

    def request(self, method, *params):
        if self.dead:
            raise RpcUnavailableError("The node did not answer.")
        return super().request(method, *params)


def test_a_node_that_is_gone_for_a_while_is_waited_for(vault, journal, make_keeper):
    connection = DyingConnection(vault.url)
    keeper = make_keeper(connection=connection, decide=hold)

    def drive():
        wait_for(journal, vault.w3.eth.block_number)
        connection.dead = True
        block = vault.market.step(3_001).block_number
        time.sleep(0.1)
        blind = journal.last_block()
        connection.dead = False
        wait_for(journal, block)
        seen.extend((blind, journal.last_block(), block))
        keeper.stop()

    seen = []
    driver = threading.Thread(target=drive)
    driver.start()
    keeper.run()
    driver.join()

    blind, after, block = seen
    assert (blind, after) == (block - 1, block)


def wait_for(journal, block):
    deadline = time.monotonic() + 60
    while journal.last_block() != block:
        assert time.monotonic() < deadline, f"no decision on block {block}"
        time.sleep(0.005)


def test_once_deals_with_the_newest_block_and_ends(journal, make_keeper):
    make_keeper(decide=hold).run(once=True)

    assert len(journal.decisions()) == 1


def first_expiry(vault):
    return min(position.series.expiry for position in snapshot_of(vault).book)


def test_without_a_round_the_twap_of_the_expiry_is_recorded_once(vault, journal, make_keeper):
    """A governor who has to propose the fixing later is held to it."""
    expiry = first_expiry(vault)
    vault.market.step(3_300, timestamp=expiry - 600)
    keeper = make_keeper(decide=hold)
    vault.market.warp(660)

    keeper.tick()
    early = vault.read("PriceOracle", "twap_at", 0, expiry)
    vault.market.warp(900)
    for _ in range(2):
        keeper.tick()
        vault.market.warp(60)

    assert early == 0
    assert vault.read("PriceOracle", "twap_at", 0, expiry) == pytest.approx(3_300 * 10**18, rel=1e-3)
    told = [record for record in journal.decisions() if record.decision.reason.startswith("record TWAP of ETH at")]
    assert [record.kind for record in told] == [Kind.SETTLE]


def test_a_twap_that_the_pool_does_not_give_is_not_tried(vault, journal, make_keeper):
    vault.market.step(3_300, timestamp=first_expiry(vault) - 60)
    vault.market.warp(1_000)
    vault.market.rpc.call("anvil_setCode", POOL_USDC_WETH_500, "0x5f5ffd")  # reverts

    make_keeper(decide=hold).tick()

    assert not [record for record in journal.decisions() if "TWAP" in record.decision.reason]


def test_a_service_that_fails_stops_neither_the_others_nor_the_hedge(vault, journal, make_keeper):
    def broken(*_):
        raise ZeroDivisionError("of the test")
        yield

    def refused(*_):
        raise RpcError("eth_call", "execution reverted")
        yield

    def unanswered(*_):
        raise RpcUnavailableError("The node did not answer eth_getLogs within 10 s.")
        yield

    expiry = first_expiry(vault)
    vault.market.step(3_300, timestamp=expiry - 60)
    vault.market.step(3_310, timestamp=expiry + 120)
    others = [service for service in SERVICES if service is not lending]

    record = make_keeper(services=[broken, refused, unanswered, *others]).tick()

    assert vault.read("PriceOracle", "fixing", 0, expiry) == 3_310 * 10**18
    assert record.decision.action is not Action.REFUSE, record.decision.reason


def checkpoint(vault, subject, kind=Kind.LEND, reason="for the test"):
    """A duty that anyone may do at any time."""
    data = function("Vault", "checkpoint").encode()
    return Duty(kind, subject, Action.TRADE, reason, Call(subject, vault.deployment.address("Vault"), data))


def done(journal, kind=Kind.LEND):
    """The duties that were tried, oldest first."""
    records = [record for record in journal.decisions() if record.kind is kind]
    return [intent.call.purpose for record in records for intent, _ in journal.transactions_of(record.id)]


def test_the_hedge_comes_between_duties_that_an_expiry_does_not_need(vault, journal, make_keeper):
    def two(*_):
        yield from (checkpoint(vault, subject) for subject in ("one", "two") if subject not in done(journal))

    keeper = make_keeper(services=[two])

    record = keeper.tick()

    assert record.decision.action is Action.TRADE
    assert done(journal) == ["one"]
    vault.market.step(3_000)
    keeper.tick()
    assert done(journal) == ["one", "two"]


def test_a_duty_that_fails_is_tried_once_a_minute_whatever_its_reason_says(vault, journal, make_keeper):
    def failing(_, __, block):
        duty = checkpoint(vault, "doomed", reason=f"seen at {block.number}")
        yield dataclasses.replace(duty, call=dataclasses.replace(duty.call, data=b"nothing of the Vault's"))

    keeper = make_keeper(services=[failing], decide=hold)

    for _ in range(4):
        keeper.tick()
        vault.market.warp(12)
    assert done(journal) == ["doomed"]

    vault.market.warp(60)
    keeper.tick()
    assert done(journal) == ["doomed", "doomed"]


def test_a_keeper_that_is_told_to_stop_begins_no_further_duty(vault, journal, make_keeper):
    """Fault 21."""

    def stopping(*_):
        keeper.stop()
        yield from (checkpoint(vault, "one", Kind.SETTLE), checkpoint(vault, "two", Kind.SETTLE))

    keeper = make_keeper(services=[stopping], decide=hold)

    keeper.tick()

    assert done(journal, Kind.SETTLE) == ["one"]


class ForgetfulConnection(Connection):
    """Its answers about the newest block may be `told` before; where that is None, it looks."""

    told = ()

    def header(self, *arguments):
        first, *self.told = self.told or [None]
        return first or super().header(*arguments)


def test_on_a_head_from_before_what_was_done_nothing_is_done_again(vault, journal, make_keeper):
    """Lending has no sequence on chain: the same duty, found again at the old block, would be done twice."""
    connection = ForgetfulConnection(vault.url)
    before = connection.header()
    make_keeper(connection=connection, services=[lending]).tick()
    done = [record.id for record in journal.decisions() if record.decision.action is Action.TRADE]
    nonce = vault.w3.eth.get_transaction_count(vault.keeper.address)
    assert len(done) >= 1

    connection.told = [None, before]  # the first look is at what became of its transactions
    record = make_keeper(connection=connection, services=[lending]).tick()

    assert record.decision.action is Action.REFUSE
    assert "not decided again while it is not known how this ends" in record.decision.reason
    assert vault.w3.eth.get_transaction_count(vault.keeper.address) == nonce
