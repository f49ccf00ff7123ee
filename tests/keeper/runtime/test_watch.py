"""What the outside hears of a keeper: metrics are the chain's numbers, and each trouble has its condition."""

import math
import threading
from dataclasses import replace

import httpx
import pytest

from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.domain.safety import Cause, KillLevels, Order, WatchLevels
from keeper.domain.units import WAD
from keeper.errors import ConfigError
from keeper.execution.orders import Entry, Orders
from keeper.execution.records import Call, Intent, Kind, Record, Result
from keeper.hedging.decide import decide as decide_hedge
from keeper.runtime import guard
from keeper.runtime.alerts import Channel, Condition, Message, Severity
from keeper.runtime.channels import Channels
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from keeper.web.app import make_app
from keeper.web.server import Server
from tests.keeper.hedging.conftest import make_snapshot, option
from tests.keeper.vault_on_fork import SPOT


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return Watch(Connection("http://127.0.0.1:1"), WatchLevels(), Metrics(), clock)


def seen(
    watch, snapshot, *, standing=(), in_flight=(), action=Action.HOLD, reason="for the test", readable=True, blind=""
):
    """A block that was dealt with."""
    decision = Decision(snapshot.block_number, snapshot.block_hash, action, reason)
    header = Header(snapshot.block_number, snapshot.block_hash, snapshot.timestamp, snapshot.base_fee_wei)
    record = Record(
        *(1, Kind.HEDGE, header.number, header.hash, header.timestamp, decision, Policy(), snapshot, "0x00"),
    )
    watch.begins(header)
    watch.done(header, record, snapshot if readable else None, None, standing, in_flight, blind)
    return set(watch.health().conditions)


def at(snapshot, seconds):
    return replace(snapshot, timestamp=snapshot.timestamp + seconds)


def value(watch, name, **labels):
    return watch.metrics.registry.get_sample_value(name, labels)


def test_before_the_first_block_no_number_of_the_vault_looks_like_one(watch):
    """0 ether and an empty loss bucket are alerts: a keeper that is starting knows neither."""
    names = ("keel_keeper_ether", "keel_loss_budget_ratio", "keel_margin_use_ratio", "keel_block_number")

    assert all(math.isnan(value(watch, name)) for name in names)
    assert value(watch, "keel_polled_timestamp_seconds") > 0


def test_a_counter_shows_each_of_its_series_before_the_first_is_counted(watch):
    """Prometheus sees no increase in one that begins at 1."""
    assert all(value(watch, "keel_transactions_total", result=result) == 0 for result in Result)
    assert all(value(watch, "keel_decisions_total", action=action) == 0 for action in Action)
    assert all(value(watch, "keel_alerts_total", severity=severity) == 0 for severity in Severity)


def test_a_vault_that_is_well_has_no_condition_and_its_numbers_are_the_chains(watch):
    snapshot = make_snapshot((option(True, 3_000, -5),), held=2.0)

    assert seen(watch, snapshot) == set()

    chain = snapshot.assessment
    assert value(watch, "keel_nav_usdc", side="bid") == pytest.approx(chain.nav_bid / WAD)
    assert value(watch, "keel_delta_units", underlying="ETH") == pytest.approx(chain.delta[0] / WAD)
    assert value(watch, "keel_margin_usdc", kind="initial") == pytest.approx(chain.initial / WAD)
    assert value(watch, "keel_venue_exposure_units", venue="uniswap_v3_spot", underlying="ETH") == 2.0
    assert value(watch, "keel_loss_budget_ratio") == pytest.approx(1.0)
    assert value(watch, "keel_keeper_ether") == 1.0
    assert value(watch, "keel_decisions_total", action="hold") == 1.0


def test_little_gas_is_a_warning_and_next_to_none_is_critical(watch):
    """Fault 15."""
    little = replace(make_snapshot(), keeper_balance_wei=WAD // 10)
    assert seen(watch, little) == {"low-gas"}
    assert severity(watch, "low-gas") is Severity.WARNING

    seen(watch, replace(little, keeper_balance_wei=WAD // 100))
    assert severity(watch, "low-gas") is Severity.CRITICAL

    assert seen(watch, make_snapshot()) == set()


def test_a_delta_that_stays_outside_its_band_is_a_missed_hedge(watch):
    short = make_snapshot((option(True, 3_000, -50),))
    assert abs(short.assessment.delta[0]) / WAD > value_of_band(short)

    assert seen(watch, short) == set()
    assert seen(watch, at(short, 599)) == set()
    assert seen(watch, at(short, 600), action=Action.HOLD, reason="no gas") == {"missed-hedge"}
    assert "no gas" in text_of(watch, "missed-hedge")
    assert value(watch, "keel_delta_outside_seconds") == 600
    assert seen(watch, at(make_snapshot((option(True, 3_000, -5),), held=2.5), 612)) == set()


def test_margin_that_grows_tight_is_told_before_the_kill_switch_trips(watch):
    snapshot = make_snapshot((option(True, 3_000, -5),))
    tight = replace(snapshot.assessment, initial=int(snapshot.assessment.nav_bid * 0.8))

    assert "margin-headroom" in seen(watch, replace(snapshot, assessment=tight))
    assert WatchLevels().margin_use < KillLevels().max_margin_use


def test_a_transaction_without_an_end_is_stuck_after_three_minutes(watch, clock):
    snapshot, intent = make_snapshot(), Intent(7, 1, Call("rebalance 7", "0x00", b""))

    assert seen(watch, snapshot, in_flight=[intent]) == set()
    clock.now += 180
    assert seen(watch, at(snapshot, 180), in_flight=[intent]) == {"stuck-transaction"}
    assert value(watch, "keel_in_flight_seconds") == 180
    assert seen(watch, at(snapshot, 192)) == set()


def test_a_kill_switch_that_has_tripped_is_told_and_an_operators_order_is_not(watch):
    tripped = Entry(Order.PAUSE, Cause.GAS, True, "6 ether", 0)
    by_hand = Entry(Order.STOP_QUOTES, "operator", True, "a test", 0)

    assert seen(watch, make_snapshot(), standing=[tripped, by_hand]) == {"kill-switch-gas"}
    assert value(watch, "keel_order_stands", order="pause") == 1
    assert value(watch, "keel_order_stands", order="stop-quotes") == 1
    assert watch.health().orders == ("pause: 6 ether", "stop-quotes: a test")


def test_a_transaction_that_failed_is_told_for_ten_minutes(watch, clock):
    watch.ended(Intent(7, 1, Call("rebalance 7", "0x00", b"")), Result.FAILED, "the chain moved")

    assert seen(watch, make_snapshot()) == {"transaction-failed"}
    clock.now += 600
    assert seen(watch, make_snapshot()) == set()


def test_what_cannot_be_looked_at_has_not_ended(watch):
    seen(watch, replace(make_snapshot(), keeper_balance_wei=0))

    watch.node_failed("The node is gone.")

    assert "low-gas" in watch.health().conditions


def test_a_keeper_that_goes_on_refusing_says_why(watch, clock):
    refused = {"action": Action.REFUSE, "reason": "keeper and chain disagree"}
    assert seen(watch, make_snapshot(), **refused) == set()
    clock.now += 60
    assert seen(watch, make_snapshot(), **refused) == {"refusing"}
    assert "keeper and chain disagree" in text_of(watch, "refusing")
    assert seen(watch, make_snapshot()) == set()


def test_a_keeper_that_is_ordered_to_refuse_need_not_say_so(watch, clock):
    by_hand = Entry(Order.PAUSE, "operator", True, "a test", 0)
    for _ in range(2):
        clock.now += 60
        assert seen(watch, make_snapshot(), action=Action.REFUSE, standing=[by_hand]) == set()


def test_a_kill_switch_that_stays_blind_is_critical_until_it_sees_again(watch, clock):
    """Fault 19: nothing is hedged meanwhile, and no order stands that would say so."""
    snapshot = make_snapshot()
    blind = {"action": Action.REFUSE, "reason": "kill switch (blind)", "blind": "it cannot compute: KeyError: 7"}
    assert seen(watch, snapshot, **blind) == set()
    assert value(watch, "keel_kill_switch_blind") == 1
    clock.now += 60
    assert seen(watch, snapshot, **blind) == {"kill-switch-blind"}
    assert severity(watch, "kill-switch-blind") is Severity.CRITICAL
    assert "KeyError: 7" in text_of(watch, "kill-switch-blind")
    assert seen(watch, snapshot) == set()
    assert value(watch, "keel_kill_switch_blind") == 0


def test_a_node_that_brings_old_blocks_is_told_by_this_machines_clock():
    """Fault 7: with one node there is no other to compare it with."""
    snapshot, behind = make_snapshot(), Clock()
    watch = Watch(
        Connection("http://127.0.0.1:1"), WatchLevels(), Metrics(), world=lambda: snapshot.timestamp + behind.now
    )
    behind.now = 299.0
    assert seen(watch, snapshot) == set()
    behind.now = 3_600.0
    assert seen(watch, snapshot) == {"old-head"}
    assert severity(watch, "old-head") is Severity.CRITICAL
    assert value(watch, "keel_head_age_seconds") == 3_600
    assert seen(watch, at(snapshot, 3_590)) == set()


def test_a_chain_with_a_time_of_its_own_is_not_compared_with_this_machines_clock(watch):
    """Practice forks and tests: their blocks are of another year."""
    assert seen(watch, make_snapshot()) == set()
    assert math.isnan(value(watch, "keel_head_age_seconds"))


def test_a_vault_that_stays_unreadable_is_told(watch, clock):
    """Fault 10."""
    snapshot = make_snapshot()
    stale = {"action": Action.REFUSE, "reason": "oracle: stale", "readable": False}
    assert seen(watch, snapshot, **stale) == set()
    assert value(watch, "keel_chain_unreadable") == 1
    clock.now += 60
    assert seen(watch, snapshot, **stale) == {"unreadable"}
    assert "oracle: stale" in text_of(watch, "unreadable")
    assert seen(watch, snapshot) == set()


def severity(watch, key):
    return next(one.severity for one in watch._conditions if one.key == key)


def text_of(watch, key):
    return next(one.text for one in watch._conditions if one.key == key)


def value_of_band(snapshot):
    return snapshot.assessment.nav_bid / WAD * snapshot.limits.delta_target / WAD / SPOT


# ---------------------------------------------------------------- on a fork


@pytest.fixture
def make_watched(vault, journal, tmp_path, clock):
    """A keeper on the fork with its watch."""
    orders = Orders(f"sqlite:///{tmp_path}/keel.sqlite")

    def make(decide, **options):
        watch = Watch(vault.connection, WatchLevels(), Metrics(), clock)
        keeper = Keeper(
            *(vault.connection, vault.deployment, vault.keeper, Policy(), journal),
            decide=decide,
            poll_seconds=0.01,
            services=(),
            guard=Guard(vault.connection, vault.deployment, orders, KillLevels(), 1e-6),
            watch=watch,
            **options,
        )
        return keeper, watch

    yield make
    orders.close()


def hold(snapshot, policy):
    return Decision(snapshot.block_number, snapshot.block_hash, Action.HOLD, "for the test")


@pytest.fixture
def watched(make_watched):
    return make_watched(hold)


def test_the_loop_tells_the_chains_numbers(vault, watched):
    keeper, watch = watched

    keeper.tick()

    block = vault.w3.eth.get_block("latest")
    assert value(watch, "keel_block_number") == block["number"]
    assert value(watch, "keel_nav_usdc", side="bid") == pytest.approx(vault.read("Vault", "assessment")[0] / WAD)
    assert value(watch, "keel_valuation_mismatch") < 1e-6
    assert value(watch, "keel_drawdown_ratio") == pytest.approx(0, abs=0.01)
    assert value(watch, "keel_block_seconds_count") == 1
    assert watch.health().block == block["number"]


def test_the_loop_tells_that_the_kill_switch_is_blind(vault, watched, clock, monkeypatch):
    """Fault 19."""
    keeper, watch = watched
    monkeypatch.setattr(guard, "value", None)

    keeper.tick()
    clock.now += 60
    vault.market.step(SPOT)
    keeper.tick()

    assert watch.health().conditions == ("kill-switch-blind",)


def test_a_block_that_was_dealt_with_and_is_gone_is_a_reorganisation(vault, watched):
    """Fault 5, as far as people hear of it."""
    keeper, watch = watched
    vault.market.step(SPOT)
    keeper.tick()
    assert value(watch, "keel_reorgs_total") == 0

    vault.market.rpc.call("anvil_reorg", 1, [])
    keeper.tick()

    assert value(watch, "keel_reorgs_total") == 1
    assert "reorg" in watch.health().conditions


def test_a_transaction_that_ends_later_is_counted_when_it_does(vault, make_watched):
    keeper, watch = make_watched(decide_hedge, wait_seconds=0.05)
    vault.market.rpc.call("evm_setAutomine", False)
    keeper.tick()
    assert value(watch, "keel_transactions_total", result="confirmed") == 0

    vault.market.rpc.call("evm_setAutomine", True)
    vault.market.rpc.call("evm_mine")
    keeper.tick()

    assert value(watch, "keel_transactions_total", result="confirmed") == 1
    assert value(watch, "keel_in_flight_seconds") == 0


def test_a_keeper_that_waits_for_a_receipt_has_not_stalled(vault, make_watched, clock):
    """However long it is set to wait: systemd would restart it in the middle."""
    keeper, watch = make_watched(decide_hedge, wait_seconds=1.0)
    vault.market.rpc.call("evm_setAutomine", False)
    clock.now += 1_000

    keeper.tick()

    assert watch.health().alive


def test_a_loop_that_hangs_turns_health_to_503_and_back_when_it_goes_on(make_watched, clock):
    """Fault 17, with the loop really hanging in its decision."""
    hangs, goes_on = threading.Event(), threading.Event()

    def decide(snapshot, policy):
        hangs.set()
        assert goes_on.wait(120)
        return hold(snapshot, policy)

    keeper, watch = make_watched(decide)
    thread = threading.Thread(target=keeper.run)
    with Server(make_app(watch.health, watch.metrics.registry), "127.0.0.1:0") as server:
        thread.start()
        assert hangs.wait(120)
        assert httpx.get(f"{server.url}/health").status_code == 200
        clock.now += 180
        assert httpx.get(f"{server.url}/health").status_code == 503

        came_round = watch.metrics.polled
        before = came_round.collect()[0].samples[0].value
        goes_on.set()
        while came_round.collect()[0].samples[0].value == before:
            threading.Event().wait(0.01)
        assert httpx.get(f"{server.url}/health").status_code == 200
    keeper.stop()
    thread.join(120)
    assert not thread.is_alive()


# ---------------------------------------------------------------- channels


def test_an_alert_arrives_at_an_endpoint(endpoint):
    channels = Channels([f"json://127.0.0.1:{endpoint.server_port}/"], [])
    condition = Condition("low-gas", Severity.WARNING, "The keeper has 0.1 ether left.")

    assert channels.send(Message(condition, Channel.FIRST, "new"))

    received = endpoint.received.get(timeout=60)
    assert received["title"] == "Keel: low-gas: new"
    assert received["message"] == "The keeper has 0.1 ether left."
    assert received["type"] == "warning"


def test_an_endpoint_that_refuses_is_a_delivery_that_failed(endpoint):
    endpoint.status = 500
    channels = Channels([f"json://127.0.0.1:{endpoint.server_port}/"], [])

    assert not channels.send(Message(Condition("x", Severity.CRITICAL, "x"), Channel.SECOND, "new"))


def test_one_url_that_is_down_is_counted_and_not_a_reason_to_tell_the_others_again(endpoint):
    """Fault 18: it was sent to all of them every 15 seconds until the one that is down came back."""
    refusals = []
    port = endpoint.server_port
    channels = Channels([f"json://127.0.0.1:{port}/", "json://127.0.0.1:1/"], [], refused=lambda: refusals.append(1))

    assert channels.send(Message(Condition("x", Severity.CRITICAL, "x"), Channel.FIRST, "new"))

    assert len(refusals) == 1


def test_a_url_that_is_none_is_named_by_its_place_and_not_repeated():
    with pytest.raises(ConfigError, match=r"`alerts\.urls` number 2 is not a URL") as raised:
        Channels(["json://127.0.0.1:1/", "nothing://SECRET"], [])

    assert "SECRET" not in str(raised.value)
