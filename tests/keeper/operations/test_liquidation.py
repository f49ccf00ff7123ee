"""`keel derisk`, `keel auction`, and what `keel status` says of both."""

import json

import pytest
from click.testing import CliRunner

from keeper.chain.deployments import save
from keeper.cli import cli
from keeper.domain.times import utc_second
from keeper.domain.units import DAY
from keeper.operations.queue import request_redeem
from tests.keeper.vault_on_fork import PASSPHRASE, SPOT, account_of, write_key

MINUTE = 60
NAV_MID, MAINTENANCE = 1, 3  # of an assessment


@pytest.fixture
def keel(vault, tmp_path, monkeypatch):
    """`keel(command, ...)` in a folder with settings and manifest; a stranger's key signs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    for who in ("stranger", "taker"):
        write_key(tmp_path / f"{who}.json", who)
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\n')
    save(vault.deployment)

    def run(*args, signed=True, who="stranger"):
        account = ["--account", f"{who}.json"] if signed else []
        return CliRunner().invoke(cli, [*args[:2], *account, *args[2:]])

    return run


def health(vault):
    a = vault.read("Vault", "assessment")
    return a[NAV_MID] / a[MAINTENANCE]


def lose(vault, amount):
    """Idle USDC is gone, and the Vault knows it."""
    address, idle = vault.contract("Vault").address, vault.read("Vault", "idle")
    slot = next(s for s in range(100) if int.from_bytes(vault.w3.eth.get_storage_at(address, s)) == idle)
    vault.market.rpc.call("anvil_setStorageAt", address, hex(slot), f"0x{idle - amount:064x}")
    vault.market.rpc.call("evm_mine")


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


@pytest.fixture
def auctioned(vault, keel):
    """Cash is lost until equity is 0.9 of maintenance margin; five minutes later anyone opens the auction."""
    a = vault.read("Vault", "assessment")
    lost = (a[NAV_MID] - a[MAINTENANCE] * 9 // 10) // 10**12
    lose(vault, lost)
    recorded = keel("derisk", "--record")
    wait(vault, 5)
    opened = keel("auction", "open")
    assert (recorded.exit_code, opened.exit_code) == (0, 0), recorded.output + opened.output
    return vault


def test_an_auction_is_opened_seen_and_bid_in_by_commands(auctioned, keel):
    """Invariant 43, attack A25: the taker sells calls, a stranger writes puts, and health rises with each."""
    again = keel("auction", "open")
    wait(auctioned, 10)
    labels = [row[0] for row in json.loads(keel("status", "--json", signed=False).output)["positions"]]
    calls, puts = (next(label for label in labels if label.endswith(kind)) for kind in "CP")
    seen = [health(auctioned)]

    sold = keel("auction", "bid", calls, "1", who="taker")
    seen.append(health(auctioned))
    poor = keel("auction", "bid", puts, "0.5", "--write")
    auctioned.market.fund_usdc(account_of("stranger").address, 2_000 * 10**6)
    wrote = keel("auction", "bid", puts, "0.5", "--write")
    seen.append(health(auctioned))

    assert again.exit_code == 1
    assert "The auction is open already." in again.output
    assert "open since" in keel("status", signed=False).output
    assert sold.exit_code == 0, sold.output
    assert f"1 {calls} for " in sold.output
    assert "Writing takes more collateral than" in poor.output
    assert wrote.exit_code == 0, wrote.output
    assert seen == sorted(seen)
    assert auctioned.read("ClearingHouse", "escrow", auctioned.read("Vault", "asset")) == 1_400 * 10**6


def test_a_bid_below_what_the_bidder_accepts_is_not_made(auctioned, keel):
    label = json.loads(keel("status", "--json", signed=False).output)["positions"][0][0]

    refused = keel("auction", "bid", label, "1", "--least", "100000", who="taker")

    assert refused.exit_code == 1
    assert "auction: price below the least" in refused.output


def test_a_queue_is_not_rescued_early_and_the_command_says_when(vault, keel):
    """Seven days after the close, which `keel queue status` knows."""
    nobody = keel("auction", "open", "--for-queue")
    shares = vault.read("Vault", "balanceOf", account_of("depositor").address)
    request_redeem(vault.sender("depositor"), vault.deployment, shares)
    closes_at = vault.read("RedemptionQueue", "epoch_closes_at", vault.read("RedemptionQueue", "epoch"))
    vault.market.step(SPOT, timestamp=closes_at + MINUTE)

    early = keel("auction", "open", "--for-queue")

    assert nobody.exit_code == early.exit_code == 1
    assert "Nobody waits." in nobody.output
    assert f"It may be opened from {utc_second(closes_at + 7 * DAY)}" in early.output


@pytest.mark.parametrize(
    ("size", "least", "said"),
    [
        ("0", "0", "0 is not a positive amount"),
        ("-1", "0", "-1 is not a positive amount"),
        ("0.1234567891", "0", "at most 9 decimals"),
        ("nan", "0", "NaN is not a positive amount"),
        ("1", "-1", "-1 is not a positive amount"),
        ("1", "nan", "NaN is not a positive amount"),
        ("1", "0.0000001", "at most 6 decimals"),
        ("one", "0", "'one' is not a number"),
    ],
)
def test_amounts_that_cannot_be_right_are_refused_in_words(keel, size, least, said):
    refused = keel("auction", "bid", "--least", least, "--", "ETH-27NOV26-3000-C", size)

    assert refused.exit_code in (1, 2)
    assert said in refused.output
    assert "Traceback" not in refused.output
