"""The story in miniature on the fork: one hour of crash, the real keeper process, settlement and redemption."""

from contextlib import closing
from pathlib import Path

import pytest

from keeper.domain.decision import Action
from keeper.execution.journal import Journal
from keeper.execution.records import Kind, Result
from keeper.risk.attribution import Attribution
from keeper.risk.performance import max_drawdown
from keeper.simulation.demo.path import built_in
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.report.measures import performance
from keeper.simulation.demo.run import DemoSettings, run_demo

pytestmark = pytest.mark.timeout(3_600)  # a story takes minutes on a busy machine

ETH, BTC = 0, 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def story(folder: Path) -> DemoRecord:
    return run_demo(DemoSettings(built_in(hours=1.0, seed=7), folder), lambda *_: None)


def test_the_books_balance_to_the_unit(story: DemoRecord) -> None:
    assert story.books_balance, [check for check in story.checks if not check.holds]


def test_profit_by_source_is_the_change_of_the_depositors_wealth(story: DemoRecord) -> None:
    end = story.steps[-1]
    pnl = sum((step.pnl for step in story.steps), Attribution())

    # What the redeemer left behind by leaving at the bid stays with the others and is in both.
    assert pnl.total == pytest.approx(end.nav_mid - end.deposited, abs=1e-6)
    assert pnl.unhedged == pytest.approx(end.nav_unhedged - end.deposited, abs=1e-6)
    assert end.deposited == pytest.approx(sum(flow.usdc for flow in story.flows), abs=1e-6)


def test_the_hedges_profit_is_explained_but_for_rounding(story: DemoRecord) -> None:
    pnl = sum((step.pnl for step in story.steps), Attribution())

    assert abs(pnl.hedge_residual) < 0.01
    assert pnl.costs == pytest.approx(-sum(t.fees + t.impact + t.basis for t in story.trades))
    assert pnl.premium == pytest.approx(sum(fill.edge for fill in story.fills), abs=1e-6)


def test_three_depositors_sell_a_dozen_options_on_two_underlyings_over_three_expiries(story: DemoRecord) -> None:
    symbols, expiries, kinds = zip(
        *((fill.symbol, fill.series.split("-")[1], fill.series[-1]) for fill in story.fills), strict=True
    )

    assert len({flow.who for flow in story.flows if flow.usdc > 0} - {"nobody"}) == 3
    assert len({fill.series for fill in story.fills}) >= 12
    assert (set(symbols), set(kinds), len(set(expiries))) == ({"ETH", "BTC"}, {"C", "P"}, 3)


def test_the_market_crashes_and_the_hedge_holds(story: DemoRecord) -> None:
    start, nav = story.steps[0], performance(story)

    for u in (ETH, BTC):
        assert min(step.underlyings[u].price for step in story.steps) / start.underlyings[u].price <= 0.65
        assert story.steps[-1].underlyings[u].market_vol >= 1.5 * start.underlyings[u].market_vol
    assert max_drawdown(nav.unhedged) / nav.start >= 0.10
    assert max_drawdown(nav.hedged) < max_drawdown(nav.unhedged) / 4


def test_no_hedge_is_refused_for_what_gas_costs_in_a_crash(story: DemoRecord, folder: Path) -> None:
    with closing(Journal(f"sqlite:///{folder / 'keeper.sqlite'}")) as journal:
        duties = [record for record in journal.decisions() if record.decision.action is Action.TRADE]
        ends = [outcome for record in duties for _, outcome in journal.transactions_of(record.id) if outcome]

    assert max(step.base_fee_gwei for step in story.steps) > 20
    assert [end.detail for end in ends if end.result is Result.REFUSED and "cost more" in end.detail] == []
    assert sum(end.result is Result.CONFIRMED for end in ends) >= len(story.trades)


def test_every_rebalance_brings_delta_into_its_band_or_closer(story: DemoRecord) -> None:
    assert len(story.trades) >= 5
    for trade in story.trades:
        for delta in trade.deltas:
            # Debt bears interest from the block that was decided on to the one that was mined.
            assert abs(delta.after) <= max(delta.band, abs(delta.before)) * (1 + 1e-6), trade


def test_the_first_expiry_is_settled_and_paid(story: DemoRecord) -> None:
    assert len(story.settlements) == 5
    for row in story.settlements:
        assert row.paid == pytest.approx(row.payout * row.size, abs=1e-5)
    assert any(row.paid > 0 for row in story.settlements)


def test_one_depositor_leaves_at_once_one_through_the_queue_and_one_stays(story: DemoRecord) -> None:
    """What may leave at once is a share of NAV a day while options are open: the rest queues."""
    queued, instant, rest = sorted(story.redemptions, key=lambda one: (one.requested_at, one.kind))

    assert (queued.who, queued.kind) == ("third depositor", "queued")
    assert (instant.who, instant.kind) == ("second depositor", "instant")
    assert (rest.who, rest.kind) == ("second depositor", "queued")
    assert (queued.shares, instant.shares + rest.shares) == pytest.approx((200_000, 300_000), rel=1e-6)  # fees had run
    assert instant.usdc < 0.081 * 10**6
    assert instant.note.endswith("the rest queues")
    stay = {flow.who for flow in story.flows if flow.usdc > 0} - {queued.who, instant.who}
    assert stay == {"first depositor", "nobody"}


def test_the_queue_pays_what_it_settles_after_the_epoch_closes_at_nine(story: DemoRecord) -> None:
    queued = next(one for one in story.redemptions if one.kind == "queued")

    assert queued.requested_at > story.crash_from
    for one in story.redemptions:
        assert one.fills or one.kind == "instant"
    for fill in queued.fills:
        assert queued.requested_at < fill.timestamp
        assert fill.timestamp % 86_400 >= 9 * 3_600
    assert queued.claimed_shares == pytest.approx(sum(fill.shares for fill in queued.fills))
    assert queued.usdc == pytest.approx(sum(fill.shares * fill.price for fill in queued.fills), abs=1e-5)


def test_costs_add_up_to_what_the_vault_lost_against_the_oracle(story: DemoRecord) -> None:
    """The vault records at least the shortfall against the oracle; the TWAP can only add to it."""
    for trade in story.trades:
        assert trade.fees + trade.impact + trade.basis <= trade.recorded_loss + 0.02, trade


def test_the_journal_has_a_decision_for_every_step(story: DemoRecord, folder: Path) -> None:
    journal = Journal(f"sqlite:///{folder / 'keeper.sqlite'}")
    decided = [record for record in journal.decisions() if record.kind is Kind.HEDGE]
    open_intents = journal.open_intents()
    journal.close()

    assert len(decided) >= len(story.steps)
    assert not [record.decision.reason for record in decided if record.decision.action is Action.REFUSE]
    assert open_intents == ()
