"""`keel governance`: the owner announces, waits, makes and drops calls; a Safe's owner gets the transaction to sign."""

import json

import pytest
from click.testing import CliRunner

from keeper.chain.sender import Sender
from keeper.cli import cli
from keeper.domain.units import USDC, WAD
from tests.keeper.vault_on_fork import account_of, write_key

KEEPER_ROLE = 4
DAY = 86_400


@pytest.fixture
def folder(folder):
    """With the keys of governor, guardian and a stranger."""
    for role in ("governor", "guardian", "stranger"):
        write_key(folder / f"{role}.json", role)
    return folder


def keel(*args, by="governor"):
    signed = () if by is None else ("--account", f"{by}.json")
    return CliRunner().invoke(cli, ["governance", *args, *signed])


def pending():
    return json.loads(keel("pending", "--json", by=None).output)["pending"]


def pass_time(vault, seconds):
    vault.market.warp(seconds)


def grant(vault):
    """Announce that the stranger becomes a keeper of the Hedger."""
    return keel("submit", "Hedger", "grant_role", account_of("stranger").address, "KEEPER")


def test_a_call_is_announced_in_words_waits_and_is_made(vault, folder):
    announced = grant(vault)
    (call,) = pending()

    assert announced.exit_code == 0
    assert "which can be made after 48 hours" in announced.output
    assert call["what"] == f"Hedger.grant_role({account_of('stranger').address.lower()}, {KEEPER_ROLE})"
    assert call["state"] == "waits"
    early = keel("accept", call["id"][:10])
    assert early.exit_code == 1
    assert "cannot be made: it waits until" in early.output

    pass_time(vault, 2 * DAY)
    assert [one["state"] for one in pending()] == ["ready"]
    made = keel("accept", call["id"][:10])

    assert made.exit_code == 0, made.output
    assert vault.read("Hedger", "roles_of", account_of("stranger").address) == KEEPER_ROLE
    assert pending() == []


def test_structs_are_json_lists_and_numbers_may_have_exponents(vault, folder):
    thresholds = "[0.2e18, 50e6, 0.8e18, 0.08e18, 0.08e18, 0.08e18, 0.08e18]"
    assert keel("submit", "CircuitBreaker", "set_thresholds", thresholds).exit_code == 0
    (call,) = pending()
    pass_time(vault, 2 * DAY)

    keel("accept", call["id"])

    assert list(vault.read("CircuitBreaker", "thresholds"))[:2] == [WAD // 5, 50 * USDC]


@pytest.mark.parametrize("by", ["governor", "guardian"])
def test_owner_and_guardian_drop_a_call(vault, folder, by):
    grant(vault)
    (call,) = pending()

    dropped = keel("revoke", call["id"][:10], by=by)

    assert dropped.exit_code == 0, dropped.output
    assert pending() == []


def test_a_function_is_given_up(vault, folder):
    keel("abdicate", "Vault", "list_venue")
    (call,) = pending()
    pass_time(vault, 7 * DAY)

    keel("accept", call["id"])

    refused = keel("submit", "Vault", "list_venue", "Vault", "0")
    assert refused.exit_code == 1
    assert "timelock: abdicated" in refused.output


def test_what_a_tightening_has_voided_is_said(vault, folder):
    grant(vault)
    (call,) = pending()
    pass_time(vault, 2 * DAY)
    vault.send("guardian", "Hedger", "revoke_role", account_of("quoter").address, KEEPER_ROLE)

    refused = keel("accept", call["id"])

    assert [one["state"] for one in pending()] == ["void"]
    assert refused.exit_code == 1
    assert "its contract was tightened after it was announced" in refused.output
    assert "Revoke it and submit it anew" in refused.output


def test_an_expired_call_is_said(vault, folder):
    grant(vault)
    (call,) = pending()
    pass_time(vault, 17 * DAY)

    refused = keel("accept", call["id"])

    assert [one["state"] for one in pending()] == ["expired"]
    assert "it has expired at" in refused.output


def test_for_a_safe_the_transaction_is_printed_and_nothing_is_sent(vault, folder):
    """What is printed does the same when the owner sends it."""
    block = vault.w3.eth.block_number
    shown = keel("submit", "Hedger", "grant_role", account_of("stranger").address, "KEEPER", "--for-safe", by=None)
    assert vault.w3.eth.block_number == block
    transaction = json.loads(shown.output)
    assert transaction["to"] == vault.deployment.address("Governance")

    owner = Sender(vault.w3, account_of("governor"))
    decoded = vault.contract("Governance").decode_function_input(transaction["data"])
    owner.send(vault.contract("Governance").functions.submit(**decoded[1]), "submit")

    assert [one["state"] for one in pending()] == ["waits"]


@pytest.mark.parametrize(
    ("args", "by", "said"),
    [
        (
            ("submit", "Hedger", "grant_role", "0x12", "KEEPER"),
            "governor",
            "account is '0x12', not a value of type address",
        ),
        (
            ("submit", "Hedger", "grant_role", "keeper"),
            "governor",
            "takes 2 arguments: account (address), role (uint256)",
        ),
        (
            ("submit", "Hedger", "grant_role", "keeper", "BOSS"),
            "governor",
            "role is 'BOSS', not a value of type uint256",
        ),
        (("submit", "Hedger", "grand_role", "keeper", "KEEPER"), "governor", "Hedger has no function 'grand_role'"),
        (("submit", "Hedgehog", "grant_role", "keeper", "4"), "governor", "no contract 'Hedgehog'"),
        (("submit", "CircuitBreaker", "set_thresholds", "[1"), "governor", "[1 is not a JSON list"),
        (("submit", "CircuitBreaker", "set_thresholds", "[1]"), "governor", "not a value of type [kill_drawdown"),
        (("submit", "Hedger", "grant_role", "keeper", "4.5"), "governor", "role is '4.5', not a value"),
        (("submit", "Hedger", "hand_over", "[1]"), "governor", "governor is [1], not a value of type address"),
        (
            ("submit", "CircuitBreaker", "set_reduce_only", "maybe"),
            "governor",
            "latched is 'maybe', not a value of type bool",
        ),
        (("submit", "OptionBook", "delist_series", "1e80"), "governor", "does not take 1e80"),
        (("submit", "Hedger", "grant_role", "keeper", "4"), "stranger", "The owner of the Governance is"),
        (("submit", "Hedger", "grant_role", "keeper", "4"), None, "Who signs?"),
        (("submit", "Hedger", "grant_role", "keeper", "4", "--for-safe"), "governor", "Who signs?"),
        (("accept", "0x1234"), "governor", "'0x1234' is the beginning of no pending call's id (there are: none)"),
        (("revoke", "x"), "governor", "'x' is the beginning of no pending call's id"),
        (("abdicate", "Vault", "fly"), "governor", "Vault has no function 'fly'"),
    ],
)
def test_mistakes_are_told_and_send_nothing(vault, folder, args, by, said):
    block = vault.w3.eth.block_number

    shown = keel(*args, by=by)

    assert shown.exit_code in (1, 2)
    assert said in shown.output
    assert "Traceback" not in shown.output
    assert vault.w3.eth.block_number == block


def test_an_id_that_two_calls_share_is_refused(vault, folder):
    grant(vault)
    keel("submit", "Hedger", "grant_role", account_of("stranger").address, "QUOTER")

    refused = keel("accept", "0x")

    assert "more than one pending call" in refused.output
