"""Orders as an operator gives them: asked first, with a reason that is kept, and on chain with a guardian's key."""

import json

import pytest
from click.testing import CliRunner

from keeper.cli import cli
from keeper.domain.decision import Action
from keeper.execution.journal import Journal
from tests.keeper.vault_on_fork import write_key


def keel(*args):
    return CliRunner().invoke(cli, args)


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A folder without anything: orders need no node."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    return tmp_path


def stands():
    return [(one["order"], one["reason"]) for one in json.loads(keel("orders", "--json").stdout)["standing"]]


@pytest.mark.parametrize("command", ["pause", "stop-quotes", "unwind"])
def test_an_order_needs_a_reason_and_a_yes(empty, command):
    assert keel(command).exit_code == 2
    unasked = keel(command, "--reason", "a test")
    assert unasked.exit_code == 2
    assert "Give --yes" in unasked.output
    assert keel(command, "--yes", "--reason", "  ").exit_code == 2
    assert stands() == []

    given = keel(command, "--yes", "--reason", "a test")

    assert given.exit_code == 0, given.output
    assert f"{command} by the operator since" in given.output
    assert stands() == [(command, "a test")]


def test_resume_lifts_what_stands_and_keeps_both_reasons(empty):
    keel("pause", "--yes", "--reason", "a leak")
    keel("unwind", "--yes", "--reason", "retired")

    lifted = keel("resume", "--only", "pause", "--yes", "--reason", "mended")

    assert "Lifted: pause by the operator" in lifted.output
    assert stands() == [("unwind", "retired")]
    history = json.loads(keel("orders", "--json").stdout)["history"]
    assert [one["reason"] for one in history] == ["a leak", "retired", "mended"]
    assert "No such order stands" in keel("resume", "--only", "pause", "--yes", "--reason", "again").output


@pytest.mark.parametrize("command", ["pause", "stop-quotes", "unwind"])
def test_no_quote_is_signed_while_any_order_stands(empty, command):
    wanted = ("options", "quote", "ETH-27NOV26-3000-C", "1", "--account", "quoter.json")
    assert "No node is configured" in keel(*wanted).output  # it goes on as far as it can
    keel(command, "--yes", "--reason", "a leak")

    refused = keel(*wanted)

    assert refused.exit_code == 1
    assert f"No quote may be signed: {command} by the operator" in refused.output


def test_orders_are_shown_to_people(empty):
    assert "No order stands" in keel("orders").output
    keel("pause", "--yes", "--reason", "a leak")

    shown = keel("orders").output

    assert "What stands: pause" in shown
    assert "a leak" in shown


def test_a_paused_keeper_runs_and_says_why_it_sends_nothing(vault, folder):
    keel("pause", "--yes", "--reason", "a test")

    ended = keel("run", "--once")

    assert ended.exit_code == 4, ended.output
    last = Journal("sqlite:///keel.sqlite").last_decision()
    assert last.decision.action is Action.REFUSE
    assert "pause by the operator: a test" in last.decision.reason
    assert vault.read("Hedger", "sequence") == 0


def test_status_says_what_stands(vault, folder):
    keel("stop-quotes", "--yes", "--reason", "a test")

    [order] = json.loads(keel("status", "--json").stdout)["orders"]

    assert order.startswith("stop-quotes by the operator since")
    assert "stop-quotes by the operator" in keel("status").stdout


def test_a_guardian_stops_new_business_and_takes_a_stolen_key_its_roles(vault, folder):
    write_key(folder / "guardian.json", "guardian")

    given = keel(
        *("pause", "--yes", "--reason", "the key is stolen", "--account", "guardian.json", "--revoke-keeper"),
    )

    assert given.exit_code == 0, given.output
    assert vault.read("CircuitBreaker", "latched")
    for contract in ("Hedger", "OptionBook"):
        assert vault.read(contract, "roles_of", vault.keeper.address) == 0
    assert keel("run", "--once").exit_code == 5  # the key may do nothing


def test_the_order_stands_even_where_the_chain_refuses(vault, folder):
    write_key(folder / "stranger.json", "stranger")

    given = keel("stop-quotes", "--yes", "--reason", "a test", "--account", "stranger.json")

    assert given.exit_code != 0
    assert "not allowed" in given.output
    assert stands() == [("stop-quotes", "a test")]


def test_a_guardians_key_that_is_none_is_found_at_the_start(vault, folder):
    settings = (folder / "keel.toml").read_text()
    write_key(folder / "stranger.json", "stranger")
    (folder / "secret").write_text("a passphrase of the tests\n")
    (folder / "keel.toml").write_text(
        'guardian_keystore = "stranger.json"\nguardian_passphrase_file = "secret"\n' + settings
    )

    ended = keel("run", "--once")

    assert ended.exit_code == 5
    assert "has not the GUARDIAN role" in ended.output
