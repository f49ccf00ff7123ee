"""What depositors' commands are tested with."""

import pytest
from click.testing import CliRunner

from keeper.chain.deployments import save
from keeper.cli import cli
from tests.keeper.vault_on_fork import PASSPHRASE, write_key


@pytest.fixture
def keel(vault, tmp_path, monkeypatch):
    """`keel(command, ...)` in a folder with settings and manifest; the depositor's key signs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    write_key(tmp_path / "depositor.json", "depositor")
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\n')
    save(vault.deployment)

    def run(*args, signed=False):
        account = ["--account", "depositor.json"] if signed else []
        return CliRunner().invoke(cli, [*args, *account])

    return run
