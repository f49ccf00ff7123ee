"""`keel doctor`: each line passes, or says what is wrong and what to do about it."""

import dataclasses
import json
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from keeper.chain.abi import function
from keeper.chain.deployments import save
from keeper.chain.rpc import Connection
from keeper.cli import cli
from keeper.domain.units import WAD
from keeper.errors import RpcUnavailableError
from keeper.execution.database import make_engine, parse_url
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.operations import doctor
from keeper.operations.roles import Role
from tests.keeper.vault_on_fork import PASSPHRASE, account_of, write_key


@pytest.fixture
def folder(vault, tmp_path, monkeypatch):
    """A working directory as a careful operator has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    save(vault.deployment)
    write_key(tmp_path / "keeper.json", "keeper")
    (tmp_path / "keeper.json").chmod(0o600)
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\nkeystore = "keeper.json"\n')
    return tmp_path


def examined(*args):
    """The findings by name, and the exit code."""
    ended = CliRunner().invoke(cli, ["doctor", "--json", *args])
    found = json.loads(ended.stdout)["findings"]
    return {one["name"]: one for one in found}, ended.exit_code


def failing(findings):
    return {name for name, one in findings.items() if not one["passed"]}


def test_a_vault_and_a_keeper_that_are_right_pass_every_line(folder):
    findings, exit_code = examined()

    assert failing(findings) == set(), findings
    assert exit_code == 0
    assert set(findings) == {
        *(
            "journal",
            "orders",
            "key file",
            "node",
            "clock",
            "other nodes",
            "manifest",
            "lease",
            "gas",
            "code",
            "roles",
            "keeper's key",
            "guardian's key",
            "quoter's key",
            "vol poster's key",
        ),
        *("approvals", "feeds", "surface", "mode", "valuation"),
    }
    assert not (folder / "keel.sqlite").exists()  # it looks, and makes nothing


def test_to_look_makes_nothing_in_an_empty_database(folder, database_url):
    settings = (folder / "keel.toml").read_text()
    (folder / "keel.toml").write_text(f'journal_url = "{database_url}"\n{settings}')
    before = set(folder.iterdir())

    findings, _ = examined()

    assert failing(findings) == set(), findings
    assert "none yet: `keel run` makes it" in findings["journal"]["what"]
    assert set(folder.iterdir()) - before == set()
    if not database_url.startswith("sqlite"):
        engine = make_engine(parse_url(database_url))
        assert sa.inspect(engine).get_table_names() == []
        engine.dispose()


def test_somebody_elses_database_is_not_changed_by_a_look(folder):
    with closing(sqlite3.connect(folder / "keel.sqlite")) as other:
        other.execute("CREATE TABLE invoices (amount INTEGER)")
    before = (folder / "keel.sqlite").read_bytes()

    findings, _ = examined()

    assert failing(findings) == {"journal", "orders", "lease"}
    assert "is not a journal of Keel" in findings["journal"]["what"]
    assert (folder / "keel.sqlite").read_bytes() == before
    assert not list(folder.glob("keel.sqlite-*"))


def test_people_read_a_line_each(folder):
    (folder / "keeper.json").chmod(0o644)

    shown = CliRunner().invoke(cli, ["doctor"])

    assert shown.exit_code == 1
    assert "no  key file" in shown.output
    assert "chmod 600" in shown.output
    assert "ok  node" in shown.output


def test_who_keeps_the_vault_is_said(vault, folder):
    url = f"sqlite:///{folder / 'keel.sqlite'}"
    Journal(url).close()
    lease = Lease(url, vault.deployment.chain_id, vault.deployment.address("Vault"), "alpha", seconds=30.0)
    assert examined()[0]["lease"]["what"] == "no machine has kept the vault yet"

    lease.acquire()
    assert "alpha keeps the vault" in examined()[0]["lease"]["what"]

    lease.close()
    assert examined()[0]["lease"]["what"] == "alpha was the last to keep the vault"


def test_each_line_that_fails_says_what_to_do(vault, folder):
    """Everything wrong at once: each finding is its own, and none hides another."""
    (folder / "keeper.json").chmod(0o640)
    (folder / "keel.sqlite").write_bytes(b"not a database" * 100)
    rpc = vault.market.rpc
    rpc.call("anvil_setBalance", vault.keeper.address, hex(10**15))
    vault.send("guardian", "Hedger", "revoke_role", vault.keeper.address, int(Role.KEEPER))
    rpc.call("anvil_setCode", vault.deployment.address("OptionPricer"), "0x00")
    vault.market.warp(8_000)  # every feed of an hour is stale, and so is the surface

    findings, exit_code = examined()

    assert exit_code == 1
    expected = {
        "journal",
        "orders",
        "lease",
        "key file",
        "gas",
        "code",
        "roles",
        "keeper's key",
        "feeds",
        "surface",
        "mode",
        "valuation",
    }
    assert failing(findings) == expected, findings
    assert all(findings[name]["todo"] for name in expected)
    assert findings["code"]["what"].endswith(": OptionPricer")
    assert "ETH is" in findings["feeds"]["what"]
    assert "Hedger: roles of keeper" in findings["roles"]["what"]


def test_a_key_that_is_a_guardian_as_well_is_no_keeper(vault, folder):
    write_key(folder / "guardian.json", "guardian")
    (folder / "guardian.json").chmod(0o600)
    (folder / "keel.toml").write_text(f'rpc_url = "{vault.url}"\nkeystore = "guardian.json"\n')

    findings, _ = examined()

    assert "has not the KEEPER role of Hedger and OptionBook" in findings["keeper's key"]["what"]


@pytest.mark.parametrize(
    ("role", "ether", "words"),
    [
        ("guardian", WAD, ""),
        ("guardian", 0, "has 0.0000 ether"),
        ("stranger", WAD, "has not the GUARDIAN role"),
    ],
)
def test_a_guardians_key_must_be_able_to_act(vault, folder, role, ether, words):
    vault.market.rpc.call("anvil_setBalance", account_of(role).address, hex(ether))
    write_key(folder / "twin.json", role)
    (folder / "secret").write_text(PASSPHRASE)
    settings = (folder / "keel.toml").read_text()
    twin = 'guardian_keystore = "twin.json"\nguardian_passphrase_file = "secret"\n'
    (folder / "keel.toml").write_text(settings + twin)

    finding = examined()[0]["guardian's key"]

    assert finding["passed"] is (not words)
    assert words in finding["what"]
    assert bool(finding["todo"]) is bool(words)


def test_a_quoters_key_must_be_a_quoters(vault, folder):
    write_key(folder / "quoter.json", "stranger")
    (folder / "secret").write_text(PASSPHRASE)
    settings = (folder / "keel.toml").read_text()
    server = 'quoter_keystore = "quoter.json"\nquoter_passphrase_file = "secret"\n'
    (folder / "keel.toml").write_text(settings + server)

    finding = examined()[0]["quoter's key"]

    assert f"{account_of('stranger').address} has not the QUOTER role of the vault's OptionBook" in finding["what"]
    assert not finding["passed"]


@pytest.mark.parametrize(
    ("role", "ether", "words"),
    [
        ("vol_poster", WAD, ""),
        ("vol_poster", 0, "has 0.0000 ether"),
        ("stranger", WAD, "has not the VOL_POSTER role of the vault's VolOracle"),
        ("keeper", WAD, "The vol poster's key is the keeper's"),
    ],
)
def test_a_vol_posters_key_must_be_able_to_post(vault, folder, role, ether, words):
    vault.market.rpc.call("anvil_setBalance", account_of(role).address, hex(ether))
    write_key(folder / "poster.json", role)
    (folder / "secret").write_text(PASSPHRASE)
    settings = (folder / "keel.toml").read_text()
    poster = 'poster_keystore = "poster.json"\nposter_passphrase_file = "secret"\n[surface]\neth = "quotes.parquet"\n'
    (folder / "keel.toml").write_text(settings + poster)

    finding = examined()[0]["vol poster's key"]

    assert finding["passed"] is (not words)
    assert words in finding["what"]
    assert bool(finding["todo"]) is bool(words)


def test_a_passphrase_file_is_tried(vault, folder):
    (folder / "secret").write_text("wrong")
    (folder / "secret").chmod(0o600)
    (folder / "keel.toml").write_text(
        f'rpc_url = "{vault.url}"\nkeystore = "keeper.json"\npassphrase_file = "secret"\n'
    )

    findings, _ = examined()

    assert "does not open keeper.json" in findings["key file"]["what"]


def test_an_approval_that_was_left_is_found(vault, folder):
    """The venue approves Aave in each call and takes it back; here one is left as if a call had forgotten it."""
    venue = next(one for one in vault.deployment.venues if one.kind == "aave_v3_short")
    contract = vault.w3.eth.contract(address=venue.address, abi=[])
    usdc = vault.read("Vault", "asset")
    aave = vault.connection.request(
        "eth_call", {"to": contract.address, "data": "0x" + function("AaveV3Short", "AAVE").encode().hex()}, "latest"
    )
    rpc = vault.market.rpc
    rpc.call("anvil_impersonateAccount", venue.address)
    vault.market.fund_eth(venue.address, WAD)
    approve = "0x095ea7b3" + aave[2:] + (5).to_bytes(32).hex()
    digest = rpc.call("eth_sendTransaction", {"from": venue.address, "to": usdc, "data": approve})
    assert vault.w3.eth.wait_for_transaction_receipt(digest)["status"] == 1

    findings, _ = examined()

    assert failing(findings) == {"approvals"}
    assert f"aave_v3_short {venue.index} to 0x{aave[-40:]}" in findings["approvals"]["what"]


def test_a_manifest_of_other_roles_is_named(vault, folder):
    roles = dict(vault.deployment.roles) | {"quoter": account_of("stranger").address}
    save(dataclasses.replace(vault.deployment, roles=roles))

    findings, _ = examined()

    assert "OptionBook: roles of quoter" in findings["roles"]["what"]


def test_without_a_node_what_is_here_is_still_examined(folder):
    (folder / "keel.toml").write_text('rpc_url = "http://127.0.0.1:1"\nkeystore = "keeper.json"\n')

    findings, exit_code = examined()

    assert failing(findings) == {"node"}
    assert set(findings) == {"journal", "orders", "key file", "node"}
    assert exit_code == 1


@pytest.mark.parametrize(
    ("behind", "has_own_time", "passed"),
    [
        (4.0, False, True),
        (-20.0, False, False),
        (1_000.0, False, False),
        (1_000_000.0, True, True),
    ],
)
def test_a_clock_agrees_with_the_chain_but_on_a_local_one(behind, has_own_time, passed):
    finding = doctor.clock_finding(behind, has_own_time)

    assert finding.passed is passed
    assert bool(finding.todo) is not passed


class OtherNode(Connection):
    """A fault: a node that is of another chain, behind, or on a fork."""

    def __init__(self, url, chain=1, behind=0, digest=None):
        super().__init__(url)
        self._chain, self._behind, self._digest = chain, behind, digest

    @property
    def chain_id(self):
        return self._chain

    def header(self, block_hash=None):
        head = super().header(block_hash)
        return dataclasses.replace(head, number=head.number - self._behind)

    def request(self, method, *params):
        answer = super().request(method, *params)
        return answer | {"hash": self._digest} if self._digest and method == "eth_getBlockByNumber" else answer


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({}, "1 agree with"),
        ({"chain": 10}, "serves chain 10"),
        ({"behind": 9}, "is at block"),
        ({"digest": "0xff"}, "has 0xff"),
    ],
)
def test_nodes_that_disagree_are_named(vault, fault, words):
    """Fault 7. Both are behind one host, so that they look the same where the key in the URL is hidden."""
    finding = doctor.agreement_finding(vault.connection, [OtherNode(vault.url, **fault)])

    assert words in finding.what
    assert finding.passed is (fault == {})
    assert finding.passed or f"node 2, {vault.connection.label}, {words}" in finding.what


def test_a_node_to_compare_with_that_does_not_answer_fails_its_line_only(folder):
    findings, _ = examined("--compare", "http://127.0.0.1:1/key-in-the-path")

    assert failing(findings) == {"other nodes"}
    assert "key-in-the-path" not in json.dumps(findings)


def test_a_journal_that_is_there_is_opened(tmp_path):
    Journal(f"sqlite:///{tmp_path}/keel.sqlite").close()

    assert doctor.journal_finding(f"sqlite:///{tmp_path}/keel.sqlite").what.endswith("empty")
    assert not doctor.journal_finding(f"sqlite:///{tmp_path}/nowhere/keel.sqlite").passed


@pytest.mark.parametrize("error", [KeyError("governor"), RpcUnavailableError("The node is gone.")])
def test_whatever_stands_in_the_way_of_a_check_is_said_with_something_to_do(error):
    def fail():
        raise error

    finding = doctor._checked("roles", fail)

    assert not finding.passed
    assert "governor" in finding.what or "gone" in finding.what
    assert finding.todo


def test_the_error_of_a_check_is_its_finding():
    def unavailable():
        raise RpcUnavailableError("The node is gone.", todo="Start it.")

    finding = doctor._checked("feeds", unavailable)

    assert finding == doctor.Finding("feeds", False, "The node is gone.", "Start it.")
