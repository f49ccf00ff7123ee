"""What limits people, and that they are told which limit it is: by `keel status`, and where a command refuses."""

import json

import pytest

from keeper.domain.series import Position
from keeper.domain.snapshot import Mode
from keeper.domain.times import utc_second
from keeper.domain.units import HOUR, USDC, WAD
from keeper.errors import KeelError
from keeper.operations.contracts import usdc_of
from keeper.operations.gates import facts, read_gates
from keeper.operations.queue import read_queue, request_redeem
from keeper.operations.vault import deposit, redeem, redeem_frozen
from tests.keeper.vault_on_fork import SPOT, account_of


def gates_of(vault):
    return read_gates(vault.connection, vault.deployment)


def shares_of(vault, role="depositor"):
    return vault.read("Vault", "balanceOf", account_of(role).address)


def contracts_exit_limit(vault):
    """What the depositor, who holds nearly all, could take: the contracts' own answer, USDC."""
    return vault.read("Vault", "maxWithdraw", account_of("depositor").address) / USDC


def redeem_all(vault):
    redeem(vault.sender("depositor"), vault.deployment, shares_of(vault))


def later(vault, seconds):
    """Prices go on, as a feed's heartbeat has them."""
    vault.market.step(SPOT, timestamp=vault.now() + seconds)


def wait_in_queue(vault, shares, seconds):
    """A request of the depositor, and so many seconds since its close."""
    request_redeem(vault.sender("depositor"), vault.deployment, shares)
    later(vault, read_queue(vault.w3, vault.deployment).closes_at - vault.now() + seconds)


def test_a_day_of_exits_limits_a_vault_with_open_options(vault):
    gates = gates_of(vault)

    assert (gates.mode, gates.because, gates.binding) == (Mode.NORMAL, (), "day")
    assert gates.exit_limit == pytest.approx(contracts_exit_limit(vault), abs=1e-6)
    assert gates.exit_limit == pytest.approx(0.08 * vault.read("Vault", "assessment")[0] / WAD, rel=1e-6)
    with pytest.raises(
        KeelError, match=r"USDC are what is left of a day's exits, 8% of NAV; 8% a day come back\..*--queue"
    ):
        redeem_all(vault)


def test_what_was_taken_is_gone_until_it_comes_back(vault):
    before = gates_of(vault)
    redeem(vault.sender("depositor"), vault.deployment, 40_000 * WAD)
    after = gates_of(vault)
    later(vault, HOUR)

    assert before.exit_flow.left == pytest.approx(0.08)
    assert after.exit_flow.left == pytest.approx(0.04, abs=0.001)
    assert gates_of(vault).exit_flow.left == pytest.approx(after.exit_flow.left + 0.08 / 24, rel=0.01)
    assert gates_of(vault).exit_limit == pytest.approx(contracts_exit_limit(vault), abs=1e-6)


def test_who_waits_in_the_queue_comes_first(vault):
    wait_in_queue(vault, shares_of(vault) - 1_000 * WAD, 300)

    gates = gates_of(vault)

    assert gates.binding == "queue"
    assert gates.due_shares > 900_000
    assert gates.exit_limit == pytest.approx(contracts_exit_limit(vault), abs=1e-6)
    with pytest.raises(KeelError, match=r"[\d,.]+ shares that wait in the queue come first\. Nothing was sent"):
        redeem_all(vault)


def test_the_limits_are_the_contracts_through_a_fall(vault):
    """Cash, margin, utilisation and the day change their order; the least is always what the contracts allow."""
    for price in (2_900, 2_700, 2_400):
        vault.market.step(price, quiet=300)
        assert gates_of(vault).exit_limit == pytest.approx(contracts_exit_limit(vault), abs=1e-6)


def test_reduce_only_says_why(vault):
    vault.send("guardian", "CircuitBreaker", "set_reduce_only", True)
    vault.market.fund_usdc(account_of("stranger").address, 1_000 * USDC)

    gates = gates_of(vault)

    assert gates.mode is Mode.REDUCE_ONLY
    assert [reason.split(" by")[0] for reason in gates.because] == ["latched"]
    assert gates.exit_limit == pytest.approx(contracts_exit_limit(vault), abs=1e-6)
    with pytest.raises(KeelError, match=r"takes no deposits now: it is reduce-only, latched by the guardian"):
        deposit(vault.sender("stranger"), vault.deployment, 1_000 * USDC)


def test_a_queue_that_is_not_paid_stops_new_business_after_48_hours(vault):
    wait_in_queue(vault, 1_000 * WAD, 300)
    vault.send("stranger", "RedemptionQueue", "settle_epoch")
    assert gates_of(vault).due_since is None
    wait_in_queue(vault, 1_000 * WAD, 47 * HOUR)
    before = gates_of(vault)

    later(vault, 2 * HOUR)

    assert before.mode is Mode.NORMAL
    gates = gates_of(vault)
    assert gates.mode is Mode.REDUCE_ONLY
    assert "are not paid after 48 hours" in gates.because[0]
    assert gates.time - gates.due_since == pytest.approx(49 * HOUR, abs=60)


def test_a_deposit_beyond_a_days_flow_says_how_much_goes(vault):
    newcomer = account_of("stranger").address
    vault.market.fund_usdc(newcomer, 200_000 * USDC)
    most = gates_of(vault).deposits

    with pytest.raises(KeelError, match=rf"{most:,.2f} USDC can be deposited now, not 200,000\.00"):
        deposit(vault.sender("stranger"), vault.deployment, 200_000 * USDC)

    deposit(vault.sender("stranger"), vault.deployment, int(most) * USDC)
    assert shares_of(vault, "stranger") > 0


def test_an_old_surface_lets_nobody_in(vault, keel):
    newcomer = account_of("stranger").address
    vault.market.fund_usdc(newcomer, 1_000 * USDC)

    later(vault, 3 * HOUR)

    with pytest.raises(KeelError, match="a volatility surface is older than two hours"):
        deposit(vault.sender("stranger"), vault.deployment, 1_000 * USDC)
    assert "closed: a volatility surface is older than two hours" in keel("status").output


def test_an_expired_series_is_settled_before_anybody_leaves(vault):
    expiry = min(Position.from_slot(slot).series.expiry for slot in vault.read("OptionBook", "live_book"))
    vault.market.step(SPOT, timestamp=expiry - 60)
    vault.market.step(SPOT, timestamp=expiry + 60)

    assert gates_of(vault).settle_first
    with pytest.raises(KeelError, match="an expired series has its price and is not settled"):
        redeem_all(vault)


@pytest.fixture
def frozen(vault):
    """A checkpoint has seen the price; then the feeds are silent for longer than their limit."""
    vault.send("stranger", "Vault", "checkpoint")
    vault.market.warp(4_000)
    return vault


def test_a_frozen_vault_says_what_is_missing_and_what_leaving_costs(frozen):
    gates = gates_of(frozen)

    assert gates.mode is Mode.FROZEN
    assert "no price of ETH (oracle: stale)" in gates.because
    assert (gates.exits, gates.utilisation) == (None, None)
    assert 0 < gates.frozen_price <= 0.9 * 1.05
    assert "`keel redeem --frozen` pays up to 0." in dict(facts(gates))["leaving at once"]


def test_a_holder_leaves_a_frozen_vault_for_what_was_shown(frozen):
    gates, usdc = gates_of(frozen), usdc_of(frozen.w3, frozen.deployment)

    redeem_frozen(frozen.sender("depositor"), frozen.deployment, 1_000 * WAD)

    paid = usdc.functions.balanceOf(account_of("depositor").address).call() / USDC
    assert paid == pytest.approx(1_000 * gates.frozen_price, rel=0.01)


def test_nobody_leaves_at_a_discount_while_there_is_a_price(vault):
    with pytest.raises(KeelError, match=r"knows what a share is worth.*Redeem without --frozen"):
        redeem_frozen(vault.sender("depositor"), vault.deployment, 1_000 * WAD)


# ---------------------------------------------------------------- the commands


def test_status_shows_every_limit_in_a_line_each(keel):
    shown, found = keel("status").output, json.loads(keel("status", "--json").output)

    for name in ("mode", "leaving at once", "depositing", "utilisation", "share price", "vega to trade", "governance"):
        assert f" {name} " in shown
    assert "8.00% of NAV left of 8%; 8% a day come back" in shown
    assert "0 pending calls" in shown
    assert "minutes ago" in shown
    assert found["people"]["exits"]["day"] == min(found["people"]["exits"].values())
    assert max(map(len, shown.splitlines())) <= 110


def test_status_shows_what_it_can_while_a_price_is_missing(frozen, keel):
    shown, found = keel("status"), json.loads(keel("status", "--json").output)

    assert shown.exit_code == 0, shown.output
    for words in (
        "not known: see mode",
        "frozen: no price of ETH",
        "keel redeem --frozen",
        "takes requests until",
        "heartbeat",
    ):
        assert words in shown.output
    assert (found["mode"], found["nav_bid"], found["exposures"]) == ("frozen", None, None)
    assert found["idle"] == frozen.read("Vault", "idle") / USDC
    assert found["safety"]["limits_hold"] is None
    assert len(found["positions"]) == 2


def test_a_frozen_vault_is_left_by_a_command(frozen, keel):
    left = keel("redeem", "1000", "--frozen", signed=True)

    assert left.exit_code == 0, left.output
    assert "1,000.000000 shares for " in left.output


def test_two_ways_to_leave_at_once_are_a_mistake(keel):
    assert "choose one" in keel("redeem", "1000", "--frozen", "--queue", signed=True).output


def test_the_governors_plans_are_counted(vault, keel):
    call = vault.contract("CircuitBreaker").functions.set_reduce_only(False)
    target = (vault.deployment.address("CircuitBreaker"), call._encode_transaction_data())
    vault.send("governor", "Governance", "submit", *target)

    assert "1 pending calls: see `keel governance pending`" in keel("status").output


def test_the_queue_says_from_when_it_stops_new_business(vault, keel):
    wait_in_queue(vault, 1_000 * WAD, 300)

    found = json.loads(keel("queue", "status", "--json").output)

    close = gates_of(vault).due_since
    assert found["overdue_at"] == utc_second(close + 48 * HOUR)
    assert found["rescue_at"] == utc_second(close + 7 * 24 * HOUR)
    assert "can be settled now; unpaid at " in keel("queue", "status").output
