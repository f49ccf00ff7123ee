"""ETH and BTC options in one vault: hedged in one decision, settled each at its own fixing, stopped by either feed."""

import dataclasses

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import WAD
from keeper.errors import KeelError, SnapshotError
from keeper.execution.records import Kind, Result
from keeper.market.reader import read_snapshot
from keeper.operations.options import claim
from keeper.operations.vault import deposit, redeem
from keeper.risk import mirror
from keeper.risk.limits import check_rebalance
from keeper.risk.valuation import margin_mismatch, value
from keeper.runtime.loop import Keeper
from tests.keeper.vault_on_fork import BTC, BTC_SPOT, ETH, account_of

POLICY = Policy()


@pytest.fixture
def mixed(vault):
    """Beside its ETH options the vault has sold a BTC call that expires with the first of them."""
    call = vault.list_series(is_call=True, strike=BTC_SPOT, underlying=BTC)
    vault.sell(call, 1.5)
    return vault


@pytest.fixture
def keeper(vault, journal):
    return Keeper(vault.connection, vault.deployment, vault.keeper, POLICY, journal, poll_seconds=0.01)


def snapshot_of(vault):
    return read_snapshot(vault.connection, vault.deployment, vault.keeper.address)


def venue_of(snapshot, underlying, kind):
    return next(v for v in snapshot.venues if (v.state.underlying, v.kind) == (underlying, kind))


def assert_the_keeper_sees_what_the_contracts_see(vault):
    """The float valuation to the gate's tolerance, the integer mirror to the last unit."""
    snapshot = snapshot_of(vault)
    risks = mirror.option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)
    cash = (snapshot.vault.idle - snapshot.vault.owed) * 10**12

    assert margin_mismatch(value(snapshot), snapshot) < POLICY.margin_tolerance
    assert mirror.assess(risks, [venue.state for venue in snapshot.venues], cash) == snapshot.assessment


def test_one_rebalance_hedges_both_underlyings(mixed, keeper, journal):
    before = snapshot_of(mixed)

    record = keeper.tick()

    assert record.decision.action is Action.TRADE, record.decision.reason
    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED, outcome.detail
    assert {before.venues[leg.venue].state.underlying for leg in record.decision.legs} == {ETH, BTC}
    after = snapshot_of(mixed)
    assert after.vault.sequence == before.vault.sequence + 1
    for u, change in enumerate(record.decision.deltas):
        assert abs(before.assessment.delta[u]) / WAD > change.band
        assert abs(after.assessment.delta[u]) / WAD < change.band
        # What the fill's price impact takes from the NAV and moves in the pools is far below a thousandth of a unit.
        assert after.assessment.delta[u] / WAD == pytest.approx(change.after, abs=1e-3 * change.band + 0.01)
    assert "ETH delta" in record.decision.reason
    assert "BTC delta" in record.decision.reason


def test_short_btc_puts_are_hedged_by_borrowing_wbtc(vault, keeper, journal):
    vault.sell(vault.list_series(is_call=False, strike=BTC_SPOT, underlying=BTC), 1.5)

    record = keeper.tick()

    [(_, outcome)] = journal.transactions_of(record.id)
    assert outcome.result is Result.CONFIRMED, outcome.detail
    after = snapshot_of(vault)
    short = venue_of(after, BTC, VenueKind.AAVE_V3_SHORT)
    assert short.state.exposure < -WAD // 2
    assert short.state.health == pytest.approx(1.8 * WAD, rel=1e-6)
    assert short.lending.debt_wad == -short.state.exposure
    assert short.lending.debt_wad % 10**10 == 0
    assert abs(after.assessment.delta[BTC]) / WAD < record.decision.deltas[BTC].band


def test_keeper_and_contracts_agree_before_and_after_a_hedge(mixed, keeper):
    assert_the_keeper_sees_what_the_contracts_see(mixed)

    assert keeper.tick().decision.action is Action.TRADE

    assert_the_keeper_sees_what_the_contracts_see(mixed)
    mixed.market.step({"ETH": 2_760, "BTC": 97_300}, timestamp=mixed.now() + 3_000)
    assert_the_keeper_sees_what_the_contracts_see(mixed)


def test_a_move_of_one_underlying_is_answered_in_its_own_venues(mixed, keeper):
    keeper.tick()

    mixed.market.step({"ETH": 3_000, "BTC": 93_000}, quiet=300)
    record = keeper.tick()

    seen = record.snapshot
    assert record.decision.action is Action.TRADE, record.decision.reason
    assert {seen.venues[leg.venue].state.underlying for leg in record.decision.legs} == {BTC}
    assert "BTC delta" in record.decision.reason
    assert "ETH delta" not in record.decision.reason


def test_both_expiries_are_settled_at_their_own_fixings_paid_and_a_depositor_leaves(mixed, keeper, journal):
    keeper.tick()
    book = snapshot_of(mixed).book
    expiry = min(position.series.expiry for position in book)
    expiring = [position.series for position in book if position.series.expiry == expiry]
    mixed.market.step({"ETH": 3_200, "BTC": 93_000}, timestamp=expiry - 600)
    keeper.tick()
    mixed.market.step({"ETH": 3_210, "BTC": 94_000}, timestamp=expiry + 60)

    keeper.tick()

    settled = [record for record in journal.decisions() if record.kind is Kind.SETTLE]
    assert {series.underlying for series in expiring} == {ETH, BTC}
    assert [journal.transactions_of(record.id)[0][1].result for record in settled] == [Result.CONFIRMED] * 2
    assert mixed.read("PriceOracle", "fixing", ETH, expiry) == 3_210 * WAD
    assert mixed.read("PriceOracle", "fixing", BTC, expiry) == 94_000 * WAD
    usdc = mixed.w3.eth.contract(address=mixed.read("Vault", "asset"), abi=mixed.contract("Vault").abi)
    holder = account_of("taker").address
    had = usdc.functions.balanceOf(holder).call()
    for series in expiring:
        claim(mixed.sender("taker"), mixed.deployment, series)
    assert usdc.functions.balanceOf(holder).call() - had == (50 * 210 + 1.5 * 4_000) * 10**6

    redeem(mixed.sender("depositor"), mixed.deployment, 80_000 * WAD)  # of a million: a day's flow
    assert usdc.functions.balanceOf(account_of("depositor").address).call() > 75_000 * 10**6


@pytest.fixture
def silent_btc(mixed):
    """BTC/USD has had no round for longer than its limit of age; ETH/USD is fresh."""
    mixed.market.warp(3_950)
    mixed.market.step({"ETH": 3_000})
    return mixed


def test_with_a_stale_btc_feed_the_keeper_refuses_and_names_it(silent_btc, keeper, journal):
    record = keeper.tick()

    assert record.decision.action is Action.REFUSE
    assert "BTC price, PriceOracle.read(1): oracle: stale" in record.decision.reason
    assert "ETH price" not in record.decision.reason
    assert journal.transactions_of(record.id) == ()


def test_with_a_stale_btc_feed_deposits_and_exits_say_why(silent_btc):
    reason = r"its oracle has no price of BTC \(.*oracle: stale\)\. Nothing was sent\."
    silent_btc.market.fund_usdc(account_of("stranger").address, 1_000 * 10**6)

    with pytest.raises(KeelError, match=reason):
        redeem(silent_btc.sender("depositor"), silent_btc.deployment, WAD)
    with pytest.raises(KeelError, match=reason):
        deposit(silent_btc.sender("stranger"), silent_btc.deployment, 1_000 * 10**6)


def test_with_a_fresh_btc_round_everything_goes_on(silent_btc, keeper):
    keeper.tick()

    silent_btc.market.step({"BTC": BTC_SPOT}, quiet=300)

    assert keeper.tick().decision.action is Action.TRADE
    redeem(silent_btc.sender("depositor"), silent_btc.deployment, WAD)


def test_a_feed_that_only_the_contracts_know_of_still_stops_the_reader(silent_btc):
    """An old manifest without BTC's feed: the vault's own assessment tells."""
    feeds = {symbol: feed for symbol, feed in silent_btc.deployment.feeds.items() if symbol != "BTC"}
    old = dataclasses.replace(silent_btc.deployment, feeds=feeds)

    with pytest.raises(SnapshotError, match=r"Vault\.assessment\(\): oracle: stale"):
        read_snapshot(silent_btc.connection, old, silent_btc.keeper.address)


def test_what_is_decided_for_a_mixed_book_the_contract_would_let_stand(mixed, keeper):
    """The verdict of the mirrored check on the chain's own assessments around the rebalance."""
    before = snapshot_of(mixed)

    keeper.tick()

    assert check_rebalance(before.assessment, snapshot_of(mixed).assessment, before.limits).stands
