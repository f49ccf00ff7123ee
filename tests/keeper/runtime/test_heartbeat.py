"""The duty to show that the keeper lives: on time, and only while every limit holds."""

from dataclasses import replace

import pytest

from keeper.domain.policy import Policy
from keeper.execution.records import Kind, Result
from keeper.runtime.heartbeat import EVERY, MAX_BASE_FEE, heartbeat
from keeper.runtime.loop import Keeper


@pytest.fixture
def duties(vault):
    def find():
        return list(heartbeat(vault.connection, vault.deployment, vault.connection.header()))

    return find


@pytest.fixture
def hedged(vault, journal):
    """After the keeper has brought every limit into its band, a minute ago."""
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, poll_seconds=0.01)
    keeper.tick()
    vault.market.step(3_000)
    assert vault.read("Hedger", "limits_hold")
    return keeper


def test_a_rebalance_that_mends_everything_is_one(vault, hedged, duties):
    assert vault.now() - vault.read("Hedger", "heartbeat_at") < EVERY
    assert duties() == []


def test_it_is_due_after_twenty_minutes(vault, hedged, duties):
    for _ in range(3):
        vault.market.step(3_000, timestamp=vault.now() + EVERY // 3)

    (duty,) = duties()

    assert duty.kind is Kind.HEARTBEAT
    assert duty.reason.startswith("show that the keeper lives")


def test_while_gas_is_dear_it_waits(vault, hedged):
    vault.market.step(3_000, timestamp=vault.now() + EVERY)
    head = vault.connection.header()

    def due_at(base_fee):
        return list(heartbeat(vault.connection, vault.deployment, replace(head, base_fee=base_fee)))

    assert due_at(MAX_BASE_FEE)
    assert not due_at(MAX_BASE_FEE + 1)


def test_the_loop_sends_it(vault, journal, hedged):
    vault.market.step(3_000, timestamp=vault.now() + EVERY)

    hedged.tick()

    (sent,) = [record for record in journal.decisions() if record.kind is Kind.HEARTBEAT]
    ((_, outcome),) = journal.transactions_of(sent.id)
    assert outcome.result is Result.CONFIRMED, outcome.detail
    assert vault.now() - vault.read("Hedger", "heartbeat_at") < 60


def test_in_breach_it_waits_for_the_hedge(vault, duties):
    """The book is short of three times its delta band."""
    vault.market.step(3_000, timestamp=vault.now() + EVERY)

    assert not vault.read("Hedger", "limits_hold")
    assert duties() == []


def test_with_a_stale_oracle_it_waits(vault, hedged, duties):
    vault.market.warp(4_000)

    assert duties() == []
