"""`keel derisk`, `keel auction`, and what `keel status` says of both."""

import json

import pytest
from click.testing import CliRunner

from keeper.chain.deployments import save
from keeper.cli import cli
from tests.keeper.vault_on_fork import PASSPHRASE, SPOT, write_key

MINUTE = 60


@pytest.fixture
def keel(vault, tmp_path, monkeypatch):
    """`keel(command, ...)` in a folder with settings and manifest; a stranger's key signs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    write_key(tmp_path / "stranger.json", "stranger")
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\n')
    save(vault.deployment)

    def run(*args, signed=True):
        account = ["--account", "stranger.json"] if signed else []
        return CliRunner().invoke(cli, [*args, *account])

    return run


def wait(vault, minutes):
    vault.market.step(SPOT, timestamp=vault.now() + minutes * MINUTE)


def test_a_breach_is_recorded_confirmed_and_mended_by_commands(vault, keel):
    """Invariant 43. The book is short of three times its delta band, and nobody runs the keeper."""
    before = vault.read("Vault", "assessment")[10][0]
    recorded = keel("derisk", "--record")
    assert recorded.exit_code == 0, recorded.output
    assert "limits: in breach since" in recorded.output
    for _ in range(4):
        wait(vault, 8)
        assert keel("derisk", "--record").exit_code == 0

    done = keel("derisk")

    assert done.exit_code == 0, done.output
    assert "USDC of hedges moved" in done.output
    assert abs(vault.read("Vault", "assessment")[10][0]) < abs(before)


def test_too_early_it_says_when(keel):
    never = keel("derisk")
    keel("derisk", "--record")
    early = keel("derisk")

    assert never.exit_code == early.exit_code == 1
    assert "Record the breach with `keel derisk --record`" in never.output
    assert "Confirm the breach every ten minutes until" in early.output


def test_status_tells_of_breach_and_heartbeat(keel):
    fresh = keel("status", signed=False).output
    keel("derisk", "--record")
    found = json.loads(keel("status", "--json", signed=False).output)["safety"]

    assert "in breach, not recorded" in fresh
    assert "heartbeat" in fresh
    assert found["limits_hold"] is False
    assert found["breach_since"] <= found["opens_at"] - 15 * MINUTE
    assert found["distressed_since"] is found["auction_since"] is None


def test_a_healthy_vault_is_not_for_sale(vault, keel):
    opened = keel("auction", "open")
    offered = keel("auction", "bid", "ETH-1JAN27-3000-C", "1")

    assert opened.exit_code == offered.exit_code == 1
    assert "auction: not for five minutes" in opened.output
    assert "The vault is not short of ETH-1JAN27-3000-C" in offered.output
    assert "It is short of ETH-" in offered.output


def test_a_bid_while_it_is_closed_says_how_to_open_it(vault, keel):
    label = json.loads(keel("status", "--json", signed=False).output)["positions"][0][0]

    offered = keel("auction", "bid", label, "1")

    assert offered.exit_code == 1
    assert "The auction is closed." in offered.output
    assert "keel auction open" in offered.output
