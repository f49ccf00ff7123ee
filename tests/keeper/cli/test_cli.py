"""The commands as an operator runs them: against a vault on a fork, and with everything that can be set wrongly."""

import json
import resource
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from keeper.cli import cli
from keeper.domain.decision import Action, Decision, DeltaChange, Leg
from keeper.domain.policy import Policy
from keeper.domain.units import WAD
from keeper.execution.journal import Journal
from keeper.execution.records import Attempt, Call, Kind, Outcome, Result
from keeper.market.reader import read_snapshot
from keeper.operations.queue import read_queue, request_redeem
from tests.keeper.vault_on_fork import SPOT, account_of, write_key


def keel(*args):
    return CliRunner().invoke(cli, args)


def set_rpc_url(folder, url):
    settings = (folder / "keel.toml").read_text().splitlines()
    (folder / "keel.toml").write_text("\n".join([f'rpc_url = "{url}"', *settings[1:]]))


def recorded(vault, action=Action.TRADE):
    """A journal with one decision at the newest block, mined as one transaction."""
    snapshot = read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    decision = Decision(
        snapshot.block_number,
        snapshot.block_hash,
        action,
        "delta was outside its band",
        legs=(Leg(0, 0, 20 * 10**18, 3_010 * 10**18),),
        deltas=(DeltaChange(0, -22.5, -2.5, 6.6),),
        binding=(("idle cash", 0.25),),
    )
    journal = Journal("sqlite:///keel.sqlite")
    call = Call("rebalance 0", vault.deployment.address("Vault"), b"\x01")
    _, intent = journal.record_action(decision, Policy(), snapshot, call, account="0x01", timestamp=snapshot.timestamp)
    intent = journal.record_attempt(intent, Attempt(0, "0xaa", b"\x02", 1, 1))
    journal.record_outcome(intent, Outcome(Result.CONFIRMED, "", "0xaa", 26_450_001, "0xbb", 912_345, 1))
    journal.close()
    return decision


def test_help_teaches_with_an_example_for_each_command():
    for command in ("run", "status", "explain"):
        shown = keel(command, "--help")
        assert shown.exit_code == 0
        assert f"  keel {command} " in shown.output or f"  keel {command}\n" in shown.output


def test_help_is_fast():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "keeper.cli", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    # 0.06 s of a processor; importing web3 alone takes longer. What else the machine does meanwhile does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_help_imports_nothing_heavy():
    heavy = ("web3", "numpy", "sqlalchemy", "rich", "pydantic")
    code = f"import sys, keeper.cli; print([m for m in {heavy} if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert shown.stdout.strip() == "[]"


def test_a_dry_run_once_records_in_a_journal_of_its_own_and_sends_nothing(vault, folder):
    before = vault.w3.eth.get_block_number()

    ended = keel("run", "--dry-run", "--once")

    assert ended.exit_code == 0, ended.output
    assert not (folder / "keel.sqlite").exists()
    assert Journal("sqlite:///keel-dry-run.sqlite").last_block() == before
    assert vault.w3.eth.get_block_number() == before


def test_a_dry_run_needs_no_passphrase(folder, monkeypatch):
    monkeypatch.delenv("KEEL_PASSPHRASE")

    assert keel("run", "--dry-run", "--once").exit_code == 0
    assert keel("run", "--once").exit_code == 5


def test_run_once_hedges_the_vault(vault, folder):
    ended = keel("run", "--once")

    assert ended.exit_code == 0, ended.output
    record = Journal("sqlite:///keel.sqlite").last_decision()
    assert record.decision.action is Action.TRADE
    assert vault.read("Hedger", "sequence") == 1


def test_run_once_says_by_its_exit_code_that_it_refused(vault, folder):
    vault.market.warp(4_000)

    assert keel("run", "--once").exit_code == 4


def test_status_shows_the_vault_as_json(vault, folder):
    shown = keel("status", "--json")

    found = json.loads(shown.output)
    assessment = vault.read("Vault", "assessment")
    assert found["nav_bid"] == pytest.approx(assessment[0] / 1e18)
    assert [each["underlying"] for each in found["exposures"]] == ["ETH", "BTC"]
    assert [each["delta"] for each in found["exposures"]] == pytest.approx([delta / 1e18 for delta in assessment[10]])
    assert found["share_price"] == pytest.approx(vault.read("Vault", "convertToAssets", 10**18) / 1e6, abs=2e-6)
    assert found["mode"] == "normal"
    assert [venue["underlying"] for venue in found["venues"]] == ["ETH", "ETH", "BTC", "BTC", "ETH"]
    assert [venue["health"] for venue in found["venues"]] == [None] * 5
    assert sorted(size for _, size in found["positions"]) == [-50.0, -10.0]
    assert found["last_decision"] is None
    assert not (folder / "keel.sqlite").exists()


def test_status_shows_the_vault_to_people(vault, folder):
    recorded(vault)

    shown = keel("status").output

    assert vault.deployment.address("Vault") in shown
    assert "uniswap_v3_spot" in shown
    assert "-3000-C" in shown
    assert "delta was outside its band" in shown


def test_explain_tells_a_recorded_block_without_a_node(vault, folder):
    decision = recorded(vault)
    set_rpc_url(folder, "")

    shown = keel("explain", str(decision.block_number)).output

    assert f"Block {decision.block_number}" in shown
    for part in ("delta was outside its band", "-22.5000", "3,010.00", "idle cash (0.25)", "912,345 gas"):
        assert part in shown


def test_explain_tells_what_was_posted_beside_the_hedge(vault, folder):
    decision = recorded(vault)
    set_rpc_url(folder, "")
    posted = "0x" + "cc" * 32
    reason = "post the slice of ETH 2026-11-27 08:00 UTC at 58.00%"
    journal = Journal("sqlite:///keel.sqlite")
    posts = replace(decision, action=Action.TRADE, reason=reason, legs=())
    call = Call("post ETH 2026-11-27 08:00 UTC", vault.deployment.address("VolOracle"), b"")
    _, intent = journal.record_action(posts, Policy(), None, call, account="0x02", timestamp=0, kind=Kind.POST)
    intent = journal.record_attempt(intent, Attempt(0, posted, b"\x02", 1, 1))
    journal.record_outcome(intent, Outcome(Result.CONFIRMED, "", posted, 26_450_001, "0xbb", 160_000, 1))
    journal.close()

    shown = " ".join(keel("explain", str(decision.block_number)).output.split())

    assert "delta was outside its band" in shown
    assert f"Beside it, post: {reason}" in shown
    assert "Transaction post ETH 2026-11-27 08:00 UTC: confirmed in block 26450001" in shown
    assert f"post, trade {reason}" in " ".join(keel("explain", posted).output.split())


def test_explain_as_json_holds_all_that_was_seen(vault, folder):
    decision = recorded(vault)

    found = json.loads(keel("explain", str(decision.block_number), "--json").output)

    assert found["decision"]["legs"][0]["delta_change"] == 20 * 10**18
    assert found["snapshot"]["block_hash"] == decision.block_hash
    assert found["transactions"][0]["result"] == "confirmed"


_DUTIES = 3  # settle, fund and heartbeat: a transaction and a block each; what else is due comes after the decision


def test_explain_tells_of_a_settlement_and_the_decision_after_it(vault, folder):
    expiry = min(slot >> 215 & 0xFFFFFFFF for slot in vault.read("OptionBook", "live_book"))
    vault.market.step(3_300, timestamp=expiry - 60)
    settled_at = vault.market.step(3_310, timestamp=expiry + 60).block_number
    keel("run", "--once")

    shown = keel("explain", str(settled_at)).output.replace("\n", " ")

    assert "First, settle: settle ETH" in shown
    assert "Transaction settle ETH" in shown
    assert f"Block {settled_at + _DUTIES}, " in shown


def test_explain_now_decides_and_records_nothing(vault, folder):
    shown = keel("explain", "now")

    assert shown.exit_code == 0, shown.output
    assert f"Block {vault.w3.eth.get_block_number()}" in shown.output
    assert not (folder / "keel.sqlite").exists()


def test_explain_names_the_nearest_blocks_when_there_is_no_decision(vault, folder):
    decision = recorded(vault)

    shown = keel("explain", "7")

    assert shown.exit_code == 1
    assert "has no decision on block 7" in shown.output
    assert f"The nearest ones are on {decision.block_number}." in shown.output


@pytest.mark.parametrize("block", ["yesterday", "1.5", "9" * 30, "0x12"])
def test_explain_takes_a_block_or_now(folder, block):
    shown = keel("explain", block)

    assert shown.exit_code == 2
    assert f"'{block}' is neither a block number, nor a transaction's hash, nor `now`" in shown.output


@pytest.mark.parametrize("command", [("run", "--once"), ("status",), ("explain", "now")])
def test_a_node_that_cannot_be_reached_is_one_message_without_its_url(folder, command):
    set_rpc_url(folder, "http://127.0.0.1:9/v3/SECRET")

    shown = keel(*command)

    assert shown.exit_code == 3
    assert "Error: The node at http://127.0.0.1:9/... cannot be reached.\nCheck that it runs" in shown.output
    assert "SECRET" not in shown.output
    assert "Traceback" not in shown.output


def test_no_node_is_told_from_a_dead_one(folder):
    set_rpc_url(folder, "")

    shown = keel("status")

    assert shown.exit_code == 2
    assert "No node is configured" in shown.output


def test_a_chain_without_a_manifest_says_what_to_do(folder):
    (folder / "deployments" / "1.json").unlink()

    shown = keel("status")

    assert shown.exit_code == 2
    assert "There is no deployment manifest deployments/1.json." in shown.output


def test_a_wrong_passphrase_is_the_keys_error(folder, monkeypatch):
    monkeypatch.setenv("KEEL_PASSPHRASE", "wrong secret")

    shown = keel("run", "--once")

    assert shown.exit_code == 5
    assert "wrong secret" not in shown.output


def test_a_key_without_the_keepers_role_is_the_keys_error(vault, folder):
    write_key(folder / "keeper.json", "stranger")

    shown = keel("run", "--once")

    assert shown.exit_code == 5
    assert f"{account_of('stranger').address} has not the KEEPER role of the vault's Hedger" in shown.output
    assert not (folder / "keel.sqlite").exists()
    assert keel("run", "--dry-run", "--once").exit_code == 0


def test_output_that_cannot_be_written_is_told_with_what_was_done(vault, folder):
    command = [sys.executable, "-m", "keeper.cli", "queue", "settle", "--account", "keeper.json"]
    request_redeem(vault.sender("depositor"), vault.deployment, 1_000 * WAD)
    vault.market.step(SPOT, timestamp=read_queue(vault.w3, vault.deployment).closes_at + 300)

    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True)

    assert ended.returncode == 1
    assert (
        "Error: Standard output cannot be written to: No space left on device.\nWhat was done is done:" in ended.stderr
    )
    assert "USDC for 1,000.000000 shares in block" in ended.stderr


def test_standard_streams_may_be_closed(vault, folder, monkeypatch):
    monkeypatch.delenv("KEEL_PASSPHRASE")
    keel_without = f"{sys.executable} -m keeper.cli run --once"

    nobody_to_ask = subprocess.run(f"{keel_without} <&-", shell=True, capture_output=True, text=True)
    nobody_to_tell = subprocess.run(f"{keel_without} --dry-run >&- 2>&-", shell=True)

    assert nobody_to_ask.returncode == 5
    assert "There is no passphrase for keeper.json." in nobody_to_ask.stderr
    assert nobody_to_tell.returncode == 0


def test_a_damaged_journal_is_the_journals_error(folder):
    (folder / "keel.sqlite").write_bytes(b"not a database" * 100)

    shown = keel("run", "--once")

    assert shown.exit_code == 6
    assert "is damaged" in shown.output


def test_a_mistake_in_the_settings_is_one_message(folder):
    (folder / "keel.toml").write_text("poll_second = 1.0")

    shown = keel("status")

    assert shown.exit_code == 2
    assert shown.output.startswith("Error: keel.toml: there is no key `poll_second`")


def test_a_manifest_of_another_chain_is_refused(vault, folder):
    manifest = json.loads((folder / "deployments" / "1.json").read_text()) | {"chain_id": 10}
    (folder / "deployments" / "1.json").write_text(json.dumps(manifest))

    shown = keel("run", "--once")

    assert shown.exit_code == 2
    assert "is of chain 10, the node serves chain 1" in shown.output


def test_an_unexpected_error_has_no_traceback_unless_asked_for(folder, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr("keeper.operations.status.read_status", broken)

    assert keel("status").output.startswith("Unexpected error: ZeroDivisionError: of the test\n")
    assert isinstance(keel("--debug", "status").exception, ZeroDivisionError)


def test_explain_now_says_what_else_is_due(vault, folder):
    request_redeem(vault.sender("depositor"), vault.deployment, 1_000 * WAD)
    vault.market.step(SPOT, timestamp=read_queue(vault.w3, vault.deployment).closes_at + 300)

    shown = keel("explain", "now")

    assert shown.exit_code == 0, shown.output
    assert "First, redeem: settle redemptions of epoch" in shown.output
