"""Two keepers of one vault (fault 13): one acts, the other stands by, and the chain takes a decision once."""

import pytest
from web3.exceptions import ContractLogicError

from keeper.chain.abi import function
from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.safety import WatchLevels
from keeper.errors import LeaseError
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.execution.records import Kind, Result
from keeper.runtime.lending import lending
from keeper.runtime.loop import SERVICES, Keeper
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch

POLICY = Policy()
NO_LENDING = [service for service in SERVICES if service is not lending]


class Machine:
    """A keeper as on a machine of its own: its own connections to the database that it shares."""

    def __init__(self, name, vault, url):
        self.journal = Journal(url)
        self.lease = Lease(url, vault.deployment.chain_id, vault.deployment.address("Vault"), name, seconds=30.0)
        self.metrics = Metrics()
        self.watch = Watch(vault.connection, WatchLevels(), self.metrics)
        self.keeper = Keeper(
            vault.connection,
            vault.deployment,
            vault.keeper,
            POLICY,
            self.journal,
            poll_seconds=0.01,
            services=NO_LENDING,
            watch=self.watch,
            lease=self.lease,
        )

    def freeze(self):
        """It is late with everything: another finds its lease expired, and it knows nothing of that."""
        with self.lease._writer.begin() as connection:
            connection.execute(self.lease._mine().values(expires_ms=1))

    def close(self):
        self.lease.close()
        self.journal.close()


@pytest.fixture
def machines(vault, database_url):
    """Alpha, which acts, and beta."""
    pair = Machine("alpha", vault, database_url), Machine("beta", vault, database_url)
    pair[0].lease.acquire()
    yield pair
    for machine in pair:
        machine.close()


def test_one_acts_and_the_other_stands_by_and_says_so(vault, machines):
    alpha, beta = machines
    assert beta.keeper.tick() is None

    record = alpha.keeper.tick()

    assert record.decision.action is Action.TRADE
    assert vault.read("Hedger", "sequence") == 1
    assert beta.keeper.tick() is None
    health = beta.watch.health()
    assert (health.alive, health.role, health.leader) == (True, "standby", "alpha")
    assert alpha.watch.health().role == "active"
    block = vault.w3.eth.block_number
    assert (health.block, health.conditions) == (block, ())
    value = beta.metrics.registry.get_sample_value
    assert (value("keel_leader"), value("keel_block_number")) == (0, block)
    assert len(alpha.journal.decisions()) == len(beta.journal.decisions()) > 0


def test_the_other_takes_over_where_the_first_was_and_does_nothing_again(vault, machines):
    alpha, beta = machines
    alpha.keeper.tick()
    beta.keeper.tick()
    before = vault.w3.eth.get_transaction_count(vault.keeper.address)
    alpha.freeze()

    record = beta.keeper.tick()

    assert record.decision.action is Action.HOLD
    assert vault.w3.eth.get_transaction_count(vault.keeper.address) == before
    assert beta.watch.health().role == "active"
    assert "took-over" in beta.watch.health().conditions
    assert beta.metrics.registry.get_sample_value("keel_leader") == 1


def test_duties_are_done_once(vault, machines):
    alpha, beta = machines
    alpha.keeper.tick()
    vault.market.warp(1_300)  # a sign of life is due
    alpha.keeper.tick()
    alpha.freeze()

    beta.keeper.tick()

    beats = [record for record in beta.journal.decisions() if record.kind is Kind.HEARTBEAT]
    assert len(beats) == 1


def test_a_keeper_that_was_frozen_after_its_decision_signs_nothing(vault, machines):
    alpha, beta = machines
    signed = as_it_signs(alpha, lambda: None)
    decide = alpha.keeper._decide

    def frozen(*inputs):
        decision = decide(*inputs)
        signed.clear()  # what was due before it
        take_over(alpha, beta)
        return decision

    alpha.keeper._decide = frozen

    with pytest.raises(LeaseError, match="kept by beta now, not by alpha"):
        alpha.keeper.tick()

    assert signed == []
    assert_one_rebalance(vault, beta)


def test_what_a_frozen_keeper_signs_is_never_handed_to_a_node(vault, machines):
    alpha, beta = machines
    signed, sent = as_it_signs(alpha, lambda: take_over(alpha, beta)), []
    alpha.keeper._connection.send_raw = sent.append

    with pytest.raises(LeaseError, match="kept by beta now, not by alpha"):
        alpha.keeper.tick()

    assert (len(signed), sent) == (1, [])
    assert_one_rebalance(vault, beta)


def test_what_was_stored_before_the_freeze_is_carried_out_once_by_the_other(vault, machines):
    """And sent once more by the first, when it thaws: the same bytes."""
    alpha, beta = machines
    connection = alpha.keeper._connection
    send_raw = connection.send_raw

    def late(raw):
        connection.send_raw = send_raw
        take_over(alpha, beta)
        return send_raw(raw)

    connection.send_raw = late

    with pytest.raises(LeaseError, match="kept by beta now, not by alpha"):
        alpha.keeper.tick()

    assert_one_rebalance(vault, beta)


def test_a_transaction_of_the_loser_that_reaches_the_chain_changes_nothing(vault, machines):
    """The last line of defence: the contract takes each sequence number once, from whatever nonce."""
    alpha, _ = machines
    alpha.keeper.tick()
    [won] = [each for each in ends(alpha.journal) if each[0].call.purpose == "rebalance 0"]
    before = vault.read("Vault", "assessment")

    loser = {
        "to": won[0].call.target,
        "data": won[0].call.data,
        "nonce": vault.w3.eth.get_transaction_count(vault.keeper.address),
        "chainId": 1,
        "gas": 3_000_000,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 10**9,
    }
    raw = vault.keeper.sign_transaction(loser).raw_transaction
    receipt = vault.w3.eth.wait_for_transaction_receipt(vault.w3.eth.send_raw_transaction(raw))

    assert receipt["status"] == 0
    assert vault.read("Hedger", "sequence") == 1
    assert vault.read("Vault", "assessment")[10] == pytest.approx(before[10], rel=1e-6)  # deltas
    with pytest.raises(ContractLogicError, match="sequence"):
        vault.w3.eth.call({key: loser[key] for key in ("to", "data")} | {"from": vault.keeper.address})


def as_it_signs(machine, act):
    """Have something happen while a machine signs its rebalance. Returns the list of all that it signs."""
    signed, account, hedger = [], machine.keeper._account, machine.keeper._deployment.address("Hedger")
    rebalance = function("Hedger", "rebalance").selector

    class Slow:
        address = account.address

        def sign_transaction(self, transaction):
            if transaction["to"] == hedger and transaction["data"][:4] == rebalance:
                act()
            done = account.sign_transaction(transaction)
            signed.append(bytes(done.raw_transaction))
            return done

    machine.keeper._executor._account = Slow()
    return signed


def take_over(alpha, beta):
    alpha.freeze()
    assert beta.keeper.tick() is not None


def ends(journal):
    return [each for record in journal.decisions() for each in journal.transactions_of(record.id)]


def assert_one_rebalance(vault, machine):
    assert vault.read("Hedger", "sequence") == 1
    done = [outcome.result for intent, outcome in ends(machine.journal) if outcome and intent.attempts]
    assert done == [Result.CONFIRMED] * len(done)
    assert machine.journal.open_intents() == ()
    machine.keeper.tick()
    assert vault.read("Hedger", "sequence") == 1
