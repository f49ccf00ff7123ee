"""The queue as depositors use it: `keel redeem --queue`, `keel queue ...`, `keel status`."""

import json

import pytest
from click.testing import CliRunner

from keeper.cli import cli
from keeper.operations.queue import read_queue
from tests.keeper.vault_on_fork import SPOT, account_of


def status_of_mine(keel):
    return json.loads(keel("queue", "status", account_of("depositor").address, "--json").output)


def test_shares_are_queued_settled_and_claimed_by_commands(vault, keel):
    asked = keel("redeem", "1000", "--queue", signed=True)
    assert asked.exit_code == 0, asked.output
    assert "1,000.000000 shares queued in block" in asked.output
    assert "until then `keel queue cancel` takes them back" in asked.output
    assert status_of_mine(keel)["mine"]["pending"] == 1_000

    vault.market.step(SPOT, timestamp=read_queue(vault.w3, vault.deployment).closes_at + 300)
    assert status_of_mine(keel)["can_settle"] is True
    settled = keel("queue", "settle", signed=True)
    assert settled.exit_code == 0, settled.output

    claimable = status_of_mine(keel)["mine"]["claimable_usdc"]
    claimed = keel("queue", "claim", signed=True)
    assert claimed.exit_code == 0, claimed.output
    assert f"{claimable:,.6f} USDC for 1,000.000000 shares in block" in claimed.output
    assert status_of_mine(keel)["mine"]["claimable"] == 0


def test_a_request_is_cancelled_by_a_command(vault, keel):
    keel("redeem", "1000", "--queue", signed=True)

    back = keel("queue", "cancel", signed=True)

    assert back.exit_code == 0, back.output
    assert "1,000.000000 shares are back in block" in back.output
    assert status_of_mine(keel)["pending"] == 0


def test_the_status_shows_the_queue_and_the_fees(vault, keel):
    keel("redeem", "1000", "--queue", signed=True)

    found = json.loads(keel("status", "--json").output)
    shown = keel("status").output

    management, performance = vault.read("Vault", "terms")[1:]
    assert (found["fees"]["management"], found["fees"]["performance"]) == (management / 1e18, performance / 1e18)
    owed = vault.read("Vault", "effective_supply") - vault.read("Vault", "totalSupply")
    assert found["fees"]["owed_shares"] == pytest.approx(owed / 1e18)
    assert found["queue"]["pending"] == 1_000
    for words in ("1.00% a year, 10.00% of gains", "takes requests until", "1,000.000000 shares, of the close at"):
        assert words in shown


@pytest.mark.parametrize(
    ("args", "signed", "code", "message"),
    [
        (("redeem", "all", "--queue", "extra"), True, 2, "unexpected extra argument"),
        (("redeem", "5", "--queue"), True, 1, "5.000000 shares are fewer than the queue takes, 100 or all that you"),
        (("redeem", "1e9", "--queue"), True, 2, "1E+9 is not a positive amount below a billion"),
        (("redeem", "9e8", "--queue"), True, 2, "shares.\nNothing was sent.\nIs it the right account?"),
        (("queue", "status", "0x12"), False, 2, "'0x12' is not an address.\nCopy it again"),
        (("queue", "claim"), True, 1, "The queue has no USDC for"),
        (("queue", "cancel"), True, 1, "has no request that can be cancelled"),
        (("queue", "settle"), True, 1, "Nobody waits in the queue"),
        (("queue", "claim"), False, 2, "Missing option '--account'"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_sent(vault, keel, args, signed, code, message):
    block = vault.w3.eth.block_number

    shown = keel(*args, signed=signed)

    assert shown.exit_code == code
    assert message in shown.output
    assert vault.w3.eth.block_number == block


def test_help_has_an_example_for_each_command():
    for command in ("status", "cancel", "claim", "settle"):
        assert f"  keel queue {command}" in CliRunner().invoke(cli, ["queue", command, "--help"]).output
