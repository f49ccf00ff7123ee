"""What every command on a deployed vault begins with: settings, a node, the manifest of its chain, the keeper's key."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keeper.chain import accounts, deployments
from keeper.chain.deployments import Deployment
from keeper.chain.endpoints import connect_to
from keeper.chain.rpc import Connection
from keeper.chain.signer import RemoteSigner, open_key, remote_address
from keeper.config import RPC_URL_VARIABLE, Settings
from keeper.errors import AccountError, ConfigError
from keeper.execution.database import dry_run_url
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


@dataclass(frozen=True)
class Session:
    """A connected node that serves the deployment's chain."""

    settings: Settings
    connection: Connection
    deployment: Deployment

    def journal(self, *, dry_run: bool = False) -> Journal:
        """The live journal, or that of dry runs. Raises JournalError."""
        url = self.settings.journal_url
        return Journal(dry_run_url(url) if dry_run else url)

    def lease(self) -> Lease:
        """This machine's on the vault, not taken yet. Raises JournalError."""
        settings, vault = self.settings, self.deployment.address("Vault")
        machine = settings.machine or socket.gethostname()
        return Lease(settings.journal_url, self.deployment.chain_id, vault, machine, settings.lease_seconds)

    def keeper_address(self) -> str:
        """Of the configured key, else the one in the manifest; no passphrase is needed.

        Raises:
            AccountError: there is neither.
        """
        remote = remote_address(self.settings.keystore)
        if remote is not None:
            return remote
        if self.settings.keystore:
            return accounts.keystore_address(accounts.keystore_path(self.settings.keystore))
        address = self.deployment.roles.get("keeper")
        if address is None:
            raise AccountError(
                "No keeper is known: the manifest names none and `keystore` is not set.",
                todo="Set `keystore` in keel.toml.",
            )
        return address

    def account(self, ask: Callable[[str], str] | None = None) -> LocalAccount:
        """The configured key, decrypted. Raises AccountError."""
        return unlock(self.settings, ask)

    def signer(self, ask: Callable[[str], str] | None = None) -> LocalAccount | RemoteSigner:
        """As `account`, or the remote signer's key that the settings name. Raises KeelError."""
        settings = self.settings
        return open_key(settings.keystore, settings.signer_url, lambda _: self.account(ask))


def unlock(settings: Settings, ask: Callable[[str], str] | None = None) -> LocalAccount:
    """The configured key, decrypted. Raises AccountError."""
    return accounts.unlock(accounts.keystore_path(settings.keystore), settings.passphrase_file, ask=ask)


def connect(settings: Settings) -> Connection:
    """A node that answers.

    Raises:
        ConfigError, RpcUnavailableError, RpcError
    """
    if not settings.rpc_url:
        raise ConfigError(
            "No node is configured.",
            todo=f"Set `rpc_url` in keel.toml, or {RPC_URL_VARIABLE}, as in http://127.0.0.1:8545.",
        )
    connection = connect_to(settings.rpc_url, timeout=settings.rpc_timeout_seconds, quorum=settings.rpc_quorum)
    _ = connection.chain_id  # asks it
    return connection


def open_session(settings: Settings) -> Session:
    """Connect, and load the manifest of the node's chain.

    Raises:
        ConfigError, ManifestError, RpcUnavailableError, RpcError
    """
    connection = connect(settings)
    chain_id = connection.chain_id
    return Session(settings, connection, deployments.load(manifest_of(settings, chain_id), chain_id))


def manifest_of(settings: Settings, chain_id: int) -> Path:
    """The configured manifest, else the chain's own."""
    return Path(settings.deployment) if settings.deployment else deployments.manifest_path(chain_id)
