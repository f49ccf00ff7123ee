"""Deploy, deposit, redeem as people run them: by `keel`, and by `ape run` on a network of ape's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from keeper.chain.deployments import load, save
from keeper.cli import cli
from keeper.domain.units import USDC, WAD
from keeper.operations.contracts import usdc_of
from keeper.operations.seed import SEED
from tests.keeper.vault_on_fork import PASSPHRASE, account_of, write_key

PROJECT = Path(__file__).parents[3]
ROLES = ("guardian", "keeper", "quoter", "vol_poster")


@pytest.fixture
def folder(vault, tmp_path, monkeypatch):
    """Settings without a node and without a manifest yet, and a key file for each person."""
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    for role in ("deployer", "newcomer", "keeper"):
        write_key(tmp_path / f"{role}.json", role)
        vault.market.fund_eth(account_of(role).address, 10 * WAD)
    vault.market.fund_usdc(account_of("newcomer").address, 1_000 * USDC)
    vault.market.fund_usdc(account_of("deployer").address, SEED)
    (tmp_path / "keel.toml").write_text(
        f'deployment = "{tmp_path}/1.json"\njournal_url = "sqlite:///{tmp_path}/keel.sqlite"\n'
    )
    return tmp_path


def roles_as_options(**changes):
    accounts = {role: account_of(role).address for role in ROLES} | changes
    return [word for role, address in accounts.items() for word in (f"--{role.replace('_', '-')}", address)]


@pytest.fixture
def keel(vault, folder):
    """`keel(command, ...)` on the fork; `by` is who signs."""

    def run(*args, by=None):
        account = ["--account", str(folder / f"{by}.json")] if by else []
        command = [*args, *account, "--config", str(folder / "keel.toml")]
        return CliRunner().invoke(cli, command, env={"KEEL_RPC_URL": vault.url})

    return run


@pytest.fixture
def ape_run(vault, folder):
    """`ape run SCRIPT ...` as a process of its own, on the fork, which outlives it."""

    def run(*args, by=None):
        account = ["--account", str(folder / f"{by}.json")] if by else []
        network = ["--network", f"ethereum:mainnet:{vault.url}"]
        command = [Path(sys.executable).with_name("ape"), "run", *args, *account, *network]
        shown = subprocess.run(
            [*command, "--config", folder / "keel.toml"], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert shown.returncode == 0, shown.stdout + shown.stderr
        return shown.stdout

    return run


def usdc(vault, role):
    return usdc_of(vault.w3, vault.deployment).functions.balanceOf(account_of(role).address).call()


@pytest.mark.slow
def test_ape_runs_every_script_on_one_network(vault, folder, ape_run):
    deployed = ape_run("deploy", *roles_as_options(), by="deployer")
    assert load(folder / "1.json", 1).address("Vault") in deployed

    deposited = ape_run("deposit", "400", by="newcomer")
    assert "400.000000 USDC for 400.0000" in deposited  # fees have run since the first deposit

    shown = ape_run("status", "--json")
    assert json.loads(shown[shown.index("{") :])["nav_mid"] == pytest.approx(500)  # ape greets first

    ape_run("run_keeper", "--dry-run", "--once")
    assert (folder / "keel-dry-run.sqlite").exists()

    redeemed = ape_run("redeem", "all", by="newcomer")
    assert " shares for 399.9999" in redeemed  # the rest is the management fee of some seconds
    assert usdc(vault, "newcomer") == pytest.approx(1_000 * USDC, abs=20)


def test_a_script_tells_an_error_as_keel_does(vault, folder):
    command = [Path(sys.executable).with_name("ape"), "run", "status", "--network", vault.url]

    shown = subprocess.run([*command, "--config", folder / "keel.toml"], cwd=PROJECT, capture_output=True, text=True)

    assert shown.returncode == 2
    assert f"Error: There is no deployment manifest {folder}/1.json.\nDeploy first" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_deploying_again_is_refused(vault, folder, keel):
    first = keel("deploy", *roles_as_options(), by="deployer")
    again = keel("deploy", *roles_as_options(), by="deployer")

    assert (first.exit_code, again.exit_code) == (0, 2)
    assert "deploying Vault" in first.output
    assert f"There is a deployment already: {folder}/1.json" in again.output


def test_shares_come_and_go_for_usdc(vault, folder, keel):
    save(vault.deployment, folder / "1.json")

    shown = keel("deposit", "500.5", by="newcomer")
    assert shown.exit_code == 0, shown.output
    assert usdc(vault, "newcomer") == 499_500_000

    assert keel("redeem", "100", by="newcomer").exit_code == 0
    assert keel("redeem", "all", by="newcomer").exit_code == 0
    assert vault.read("Vault", "balanceOf", account_of("newcomer").address) == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("deposit", "a lot"), "'a lot' is not a number"),
        (("deposit", "0"), "0 is not a positive amount below a billion with at most 6 decimals"),
        (("deposit", "nan"), "NaN is not a positive amount"),
        (("deposit", "0.0000001"), "1E-7 is not a positive amount below a billion with at most 6 decimals"),
        (("redeem", "half"), "'half' is not a number"),
        (("redeem", "1"), "has 0.000000 shares"),
        (("redeem", "all"), "has 0.000000 shares"),
        (("deploy", *roles_as_options(guardian="0x12")), "The guardian is '0x12', not an address"),
        (("deploy", *roles_as_options(vol_poster="0x" + "0" * 40)), "The vol poster is '0x000000"),
        (("deploy", *roles_as_options(), "--parameters", "nowhere.toml"), "There is no config file nowhere.toml"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_sent(vault, folder, keel, args, message):
    save(vault.deployment, folder / "1.json")
    block = vault.w3.eth.block_number

    shown = keel(*args, by="newcomer")

    assert shown.exit_code == 2
    assert message in shown.output
    assert vault.w3.eth.block_number == block


def test_the_passphrase_file_of_the_keeper_is_not_tried_on_another_key(vault, folder, keel):
    save(vault.deployment, folder / "1.json")
    with (folder / "keel.toml").open("a") as settings:
        settings.write('passphrase_file = "the-keepers"\n')

    assert keel("deposit", "500", by="newcomer").exit_code == 0


def test_help_has_an_example_for_each_command():
    for command in ("deploy", "deposit", "redeem"):
        assert f"  keel {command} " in CliRunner().invoke(cli, [command, "--help"]).output


def test_a_network_whose_variable_is_not_set_is_said(folder):
    command = [Path(sys.executable).with_name("ape"), "run", "status", "--network", ""]

    shown = subprocess.run([*command, "--config", folder / "keel.toml"], cwd=PROJECT, capture_output=True, text=True)

    assert shown.returncode == 2
    assert "--network is empty: name a network, or the URL of a node." in shown.stderr
    assert "Traceback" not in shown.stderr
