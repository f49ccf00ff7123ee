"""Where the commands are run."""

import pytest

from keeper.chain.deployments import save
from tests.keeper.vault_on_fork import PASSPHRASE, write_key


@pytest.fixture
def folder(vault, tmp_path, monkeypatch):
    """A working directory with settings, manifest and key, as an operator has it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    save(vault.deployment)
    write_key(tmp_path / "keeper.json", "keeper")
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\nkeystore = "keeper.json"\npoll_seconds = 0.01\n')
    return tmp_path
