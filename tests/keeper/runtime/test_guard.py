"""The keeper asks before it acts: orders stop it at the next block, the kill switch stops it by itself and stays."""

from dataclasses import replace

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.safety import Cause, KillLevels, Order
from keeper.domain.units import USDC, WAD
from keeper.errors import JournalError
from keeper.execution.orders import OPERATOR, Orders
from keeper.execution.records import Kind, Result
from keeper.market.reader import read_snapshot
from keeper.runtime import guard
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.twin import GuardianTwin
from tests.keeper.vault_on_fork import ETH, SPOT, account_of

POLICY = Policy()


@pytest.fixture
def orders(journal, tmp_path):
    opened = Orders(f"sqlite:///{tmp_path}/keel.sqlite")
    yield opened
    opened.close()


def a_twin(vault, journal):
    return GuardianTwin(vault.connection, vault.deployment, account_of("guardian"), POLICY, journal)


@pytest.fixture
def make_guard(vault, journal, orders):
    def make(twin=False, **levels):
        guardian = a_twin(vault, journal) if twin else None
        return Guard(
            vault.connection, vault.deployment, orders, KillLevels(**levels), POLICY.margin_tolerance, guardian
        )

    return make


@pytest.fixture
def make_keeper(vault, journal, make_guard):
    def make(guard=None, **options):
        options = {"poll_seconds": 0.01, "guard": guard or make_guard()} | options
        return Keeper(vault.connection, vault.deployment, vault.keeper, POLICY, journal, **options)

    return make


def nonce(vault, role="keeper"):
    return vault.w3.eth.get_transaction_count(account_of(role).address)


def reviewed(vault, guard, tampered=lambda snapshot: snapshot):
    """As the loop does at a block."""
    snapshot = read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    block = vault.connection.header(snapshot.block_hash)
    guard.tell_twin(block)
    return guard.review(block, tampered(snapshot))


def with_initial(snapshot, wad):
    return replace(snapshot, assessment=replace(snapshot.assessment, initial=wad))


def test_a_vault_that_is_well_is_hedged(vault, make_keeper):
    before = nonce(vault)

    record = make_keeper().tick()

    assert record.decision.action is Action.TRADE
    assert nonce(vault) > before


def test_a_pause_stops_everything_at_the_next_block_and_resume_lets_it_go_on(vault, orders, make_keeper):
    keeper, before = make_keeper(), nonce(vault)
    orders.give(Order.PAUSE, "for the test")

    record = keeper.tick()

    assert record.decision.action is Action.REFUSE
    assert record.decision.reason.startswith(
        "nothing is sent, pause by the operator: for the test; it would be: trade:"
    )
    assert record.decision.legs == ()
    assert nonce(vault) == before  # no hedge, and no heartbeat either

    orders.lift("go on")
    vault.market.step(SPOT)
    assert keeper.tick().decision.action is Action.TRADE


def test_a_pause_outlives_the_keeper(vault, orders, make_keeper):
    orders.give(Order.PAUSE, "before the restart")

    assert make_keeper().tick().decision.action is Action.REFUSE


def test_stopped_quotes_leave_the_hedge_alone(orders, make_keeper, make_guard):
    orders.give(Order.STOP_QUOTES, "odd surface")
    guard = make_guard()

    record = make_keeper(guard).tick()

    assert record.decision.action is Action.TRADE
    assert guard.quotes_stopped() == "stop-quotes by the operator: odd surface"


def test_a_paused_keeper_shows_no_sign_of_life_on_chain(vault, orders, make_keeper):
    """The dead-man switch: whoever waits for the keeper must learn that nobody hedges."""
    beat_at = vault.read("Hedger", "heartbeat_at")
    orders.give(Order.PAUSE, "for the test")
    vault.market.step(SPOT, timestamp=vault.now() + 1_200)

    make_keeper().tick()

    assert vault.read("Hedger", "heartbeat_at") == beat_at


def test_keeper_and_chain_that_disagree_stop_it_at_once_and_after_a_minute_for_good(vault, orders, make_guard):
    guard = make_guard()

    first = reviewed(vault, guard, lambda s: with_initial(s, s.assessment.initial + WAD))
    assert "disagree by" in first.refusal
    assert orders.standing() == ()

    vault.market.step(SPOT, timestamp=vault.now() + 61)
    second = reviewed(vault, guard, lambda s: with_initial(s, s.assessment.initial + WAD))
    assert second.refusal
    assert [one.cause for one in orders.standing()] == [Cause.VALUATION]
    assert reviewed(vault, guard).refusal.startswith("kill switch (valuation)")  # they agree again, and it stays


def test_a_switch_that_cannot_compute_counts_as_tripped_while_it_cannot(vault, orders, make_guard):
    """Fault 19."""
    guard = make_guard()

    blind = reviewed(vault, guard, lambda s: replace(s, readings=()))

    assert blind.refusal.startswith("kill switch (blind): the kill switch cannot compute")
    assert [trip.cause for trip in blind.trips] == [Cause.BLIND]
    assert orders.standing() == ()
    assert reviewed(vault, guard).refusal == ""


def test_while_the_switch_cannot_compute_nothing_else_is_sent_either(vault, make_keeper, monkeypatch):
    """Fault 19: no sign of life, no settlement, until a review lets the keeper act again."""
    keeper = make_keeper()
    keeper.tick()
    monkeypatch.setattr(guard, "value", None)
    vault.market.step(SPOT)
    assert "cannot compute" in keeper.tick().decision.reason
    before, beat_at = nonce(vault), vault.read("Hedger", "heartbeat_at")

    vault.market.step(SPOT, timestamp=vault.now() + 1_200)
    keeper.tick()

    assert nonce(vault) == before
    monkeypatch.undo()
    for _ in range(3):
        vault.market.step(SPOT)
        keeper.tick()
    assert vault.read("Hedger", "heartbeat_at") > beat_at


def test_orders_that_cannot_be_read_stop_the_keeper(vault, orders, make_keeper, tmp_path):
    """Fault 14."""
    keeper, before = make_keeper(), nonce(vault)
    orders.close()
    for leftover in tmp_path.glob("keel.sqlite-*"):
        leftover.unlink()
    (tmp_path / "keel.sqlite").write_bytes(b"no database" * 1_000)

    with pytest.raises(JournalError):
        keeper.tick()

    assert nonce(vault) == before


def test_a_fall_of_the_share_price_stops_quotes_and_the_guardian_stops_new_business(vault, orders, make_guard):
    """The highest price is the contracts' own; here the vault loses a sixth of what it had idle."""
    guard, before = make_guard(twin=True, max_drawdown=0.05), nonce(vault, "guardian")

    verdict = reviewed(
        vault, guard, lambda s: replace(s, vault=replace(s.vault, effective_supply=s.vault.effective_supply * 11 // 10))
    )
    vault.market.step(SPOT)

    assert [trip.cause for trip in verdict.trips if trip.lasts] == [Cause.DRAWDOWN]
    assert [one.order for one in orders.standing()] == [Order.STOP_QUOTES]
    assert vault.read("CircuitBreaker", "latched")
    assert nonce(vault, "guardian") == before + 1


def test_the_guardian_acts_once(vault, orders, make_guard):
    orders.give(Order.PAUSE, "they disagree", Cause.VALUATION)
    guard, before = make_guard(twin=True), nonce(vault, "guardian")

    for _ in range(3):
        reviewed(vault, guard)
        vault.market.step(SPOT, timestamp=vault.now() + 120)

    assert nonce(vault, "guardian") == before + 1


def test_a_guardian_without_ether_does_not_hold_up_the_keepers_own_stop(vault, orders, make_guard):
    vault.market.rpc.call("anvil_setBalance", account_of("guardian").address, "0x0")
    guard = make_guard(twin=True, max_margin_use=0.001)

    verdict = reviewed(vault, guard)

    assert verdict.refusal == ""  # margin stops quotes only
    assert [one.cause for one in orders.standing()] == [Cause.MARGIN]
    assert not vault.read("CircuitBreaker", "latched")


def test_a_paused_operator_does_not_close_the_vault(vault, orders, make_guard):
    orders.give(Order.PAUSE, "by hand")

    reviewed(vault, make_guard(twin=True))

    assert not vault.read("CircuitBreaker", "latched")


def test_gas_beyond_its_budget_pauses_the_keeper(vault, orders, make_guard):
    guard, ether = make_guard(max_gas_a_day=1.0), 10**18
    reviewed(vault, guard, lambda s: replace(s, keeper_balance_wei=9 * ether))

    verdict = reviewed(vault, guard, lambda s: replace(s, keeper_balance_wei=7 * ether))

    assert "2.0000 ether have left the keeper's account in a day" in verdict.refusal
    assert [one.cause for one in orders.standing()] == [Cause.GAS]


def test_errors_in_an_hour_pause_the_keeper_and_are_forgotten_when_it_goes_on(vault, orders, make_keeper, make_guard):
    def explode(snapshot, policy):
        raise ZeroDivisionError("no vol")

    guard = make_guard(max_errors=2)
    keeper = make_keeper(guard, decide=explode)
    for _ in range(3):
        keeper.tick()
        vault.market.step(SPOT)
    assert [one.cause for one in orders.standing()] == [Cause.ERRORS]

    orders.lift("the bug is mended")

    assert reviewed(vault, guard).refusal == ""
    assert orders.standing() == ()


def test_an_unwinding_vault_recalls_what_is_lent_and_hedges_what_is_left(vault, journal, orders, make_keeper):
    keeper = make_keeper()
    keeper.tick()
    venue = next(one for one in vault.deployment.venues if one.kind == "aave_v3_lending")
    lent = vault.w3.eth.contract(address=venue.address, abi=_WITHDRAWABLE).functions.withdrawable()
    assert lent.call() > 100 * USDC  # the keeper lends idle cash
    orders.give(Order.UNWIND, "retired")
    vault.market.step(SPOT)

    record = keeper.tick()

    assert lent.call() < 100 * USDC
    assert record.kind is Kind.HEDGE
    assert record.decision.action is not Action.REFUSE


def test_when_no_option_is_left_the_hedges_are_closed(vault, journal, orders, make_keeper):
    keeper = make_keeper()
    keeper.tick()
    assert any(abs(one.state.exposure) for one in _venues(vault))
    orders.give(Order.UNWIND, "retired")
    book = read_snapshot(vault.connection, vault.deployment, vault.keeper.address).book
    for expiry in sorted({position.series.expiry for position in book}):
        vault.market.step(SPOT, timestamp=expiry - 60)
        vault.market.step(SPOT, timestamp=expiry + 60)
        keeper.tick()
    assert read_snapshot(vault.connection, vault.deployment, vault.keeper.address).book == ()

    for _ in range(4):
        vault.market.step(SPOT, timestamp=vault.now() + 600)
        record = keeper.tick()

    assert record.decision.reason == "unwinding: no option and no hedge is left"
    assert all(abs(one.state.exposure) < 10**12 for one in _venues(vault))
    [(_, outcome)] = [
        journal.transactions_of(one.id)[0]
        for one in journal.decisions()
        if one.decision.reason.startswith("unwinding") and one.decision.legs
    ][-1:]
    assert outcome.result is Result.CONFIRMED
    assert vault.read("Vault", "assessment")[10][ETH] == pytest.approx(0, abs=10**12)


def test_the_operator_and_the_switch_are_told_apart(orders, make_guard):
    orders.give(Order.PAUSE, "by hand", OPERATOR)
    orders.give(Order.PAUSE, "3 ether", Cause.GAS)

    assert make_guard().paused() == "pause by the operator: by hand; kill switch (gas): 3 ether"


_WITHDRAWABLE = [
    {
        "type": "function",
        "name": "withdrawable",
        "stateMutability": "view",
        "inputs": [],
        "outputs": [{"name": "", "type": "uint256"}],
    }
]


def _venues(vault):
    return read_snapshot(vault.connection, vault.deployment, vault.keeper.address).venues
