"""The keeper's lending of idle USDC: how much, when, and that a vault on the fork earns it."""

import pytest

from keeper.domain.policy import Policy
from keeper.domain.units import USDC
from keeper.execution.records import Kind
from keeper.market.reader import read_snapshot
from keeper.risk.valuation import margin_mismatch, value
from keeper.runtime.lending import LEAST, change_of
from keeper.runtime.loop import Keeper
from keeper.simulation.chain.addresses import USDC as USDC_TOKEN
from tests.keeper.vault_on_fork import AAVE_FROZEN as FROZEN
from tests.keeper.vault_on_fork import configure_aave

BUFFER = 100_000 * USDC


@pytest.mark.parametrize(
    ("free", "withdrawable", "change"),
    [
        (1_000_000, 0, 850_000),  # down to one and a half buffers
        (200_000, 500_000, 0),  # not more than two
        (120_000, 500_000, 0),
        (100_000, 500_000, 0),  # the buffer is whole
        (90_000, 500_000, -60_000),
        (90_000, 20_000, -20_000),  # as much as there is
        (90_000, 5_000, 0),  # not worth its gas
        (-50_000, 500_000, -200_000),  # more is owed than idle
    ],
)
def test_what_is_lent_and_recalled(free, withdrawable, change):
    assert change_of(free * USDC, BUFFER, withdrawable * USDC) == change * USDC


def test_no_more_is_lent_than_aave_takes():
    assert change_of(1_000_000 * USDC, BUFFER, 0, room=300_000 * USDC) == 300_000 * USDC
    assert change_of(1_000_000 * USDC, BUFFER, 0, room=0) == 0
    assert change_of(90_000 * USDC, BUFFER, 500_000 * USDC, room=0) == -60_000 * USDC


def test_a_frozen_reserve_is_lent_nothing(vault, journal):
    configure_aave(vault, USDC_TOKEN, FROZEN, 1)
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, poll_seconds=0.01)

    keeper.tick()

    assert not [record for record in journal.decisions() if record.kind is Kind.LEND]


def test_after_a_change_nothing_changes():
    for free in range(0, 2_000_000, 10_000):
        change = change_of(free * USDC, BUFFER, 10**15)
        assert change_of(free * USDC - change, BUFFER, 10**15) == 0


def test_a_small_vault_lends_nothing():
    assert change_of(LEAST, LEAST // 20, 0) == 0


def test_a_vault_on_the_fork_lends_and_still_sees_what_the_chain_sees(vault, journal):
    """The first hedge may take a part of the buffer; what it took is recalled once, and then nothing more changes."""
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, poll_seconds=0.01)
    idle = vault.read("Vault", "idle")

    for _ in range(3):
        keeper.tick()
        vault.market.step(3_000)
    told = [record.decision.reason for record in journal.decisions() if record.kind is Kind.LEND]
    keeper.tick()

    assert [reason.split()[0] for reason in told] in (["lend"], ["lend", "recall"])
    assert len([record for record in journal.decisions() if record.kind is Kind.LEND]) == len(told)
    seen = read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    assert seen.vault.idle < idle / 4
    assert seen.vault.withdrawable > idle / 2
    assert margin_mismatch(value(seen), seen) < Policy().margin_tolerance
