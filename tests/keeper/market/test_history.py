"""Daily closes come from the feeds' own rounds, and what is decided with them can be repeated from the record."""

from dataclasses import replace

import numpy as np
import pytest

from keeper.domain.policy import Policy
from keeper.domain.units import DAY, HOUR
from keeper.hedging.decide import decide
from keeper.market.history import DAYS, History
from keeper.runtime.loop import Keeper
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork
from tests.keeper.market.test_reader import CountingConnection
from tests.keeper.vault_on_fork import BTC_SPOT, SPOT, vault_on_fork

PAST = 120  # days that the feeds have lived through before the vault
MOVES = np.random.default_rng(11).standard_t(5, size=(PAST, 2)) * 0.03
CLOSES = np.array([SPOT, BTC_SPOT]) * np.exp(-np.cumsum(MOVES[::-1], axis=0))[::-1]  # so that they lead to today's


@pytest.fixture(scope="module")
def vault():
    """A vault on a market with a past: of two rounds a day the later one is the close."""
    with Fork() as fork:
        market = MarketDriver(fork.w3)
        first = market.timestamp() // DAY * DAY + DAY
        for day, (eth, btc) in enumerate(CLOSES):
            for hour, factor in ((6, 1.01), (20, 1.0)):
                at = first + day * DAY + hour * HOUR
                market.step({"ETH": eth * factor, "BTC": btc * factor}, timestamp=at, pools=False)
        market.warp(8 * HOUR)
        yield vault_on_fork(fork.url, fork.w3)


def closes_of(vault, connection=None, history=None):
    connection, history = connection or vault.connection, history or History(vault.deployment)
    block = connection.header()
    return history.closes(connection, block, block.timestamp)


def test_a_days_close_is_the_last_round_before_midnight(vault):
    closes = closes_of(vault)

    assert len(closes) == DAYS + 1
    assert np.array(closes[-PAST:]) / 1e8 == pytest.approx(CLOSES, rel=1e-7)


def test_before_a_feeds_first_round_there_is_no_price(vault):
    assert closes_of(vault)[0] == (0, 0)


def test_what_is_known_is_not_asked_for_again(vault):
    connection, history = CountingConnection(vault.url), History(vault.deployment)
    first = closes_of(vault, connection, history)
    connection.requests = 0

    assert closes_of(vault, connection, history) == first
    assert connection.requests == 1  # for the header


def test_a_live_decision_counts_the_tail_and_is_repeated_from_its_record(vault, journal):
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, dry_run=True, services=())

    keeper.tick()

    record = journal.last_decision()
    assert decide(record.snapshot, record.policy) == record.decision
    assert "no tail is priced" not in record.decision.reason
    without = decide(replace(record.snapshot, closes=()), record.policy)
    assert "no tail is priced: 0 past moves" in without.reason
    assert record.decision.risk_before > without.risk_before > 0


def test_too_short_a_history_is_said_and_variance_counts_alone(vault, journal):
    Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, dry_run=True, services=()).tick()
    snapshot = journal.last_decision().snapshot

    short, none = (decide(replace(snapshot, closes=snapshot.closes[-days:]), Policy()) for days in (100, 1))

    assert "99 past moves" in short.reason
    assert "0 past moves" in none.reason
    assert short.legs == none.legs == decide(snapshot, replace(Policy(), tail_aversion=0.0)).legs
