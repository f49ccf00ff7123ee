"""The fork that the keeper's edge is tested on: one vault per session, reverted after each test."""

from collections.abc import Iterator

import pytest

from keeper.simulation.fork import Fork
from tests.keeper.vault_on_fork import VaultOnFork, vault_on_fork


@pytest.fixture(scope="session")
def _deployed_vault() -> Iterator[VaultOnFork]:
    with Fork() as fork:
        yield vault_on_fork(fork.url, fork.w3)


@pytest.fixture
def vault(_deployed_vault: VaultOnFork) -> Iterator[VaultOnFork]:
    """A vault with 1,000,000 USDC that is short calls and puts and has no hedge yet."""
    rpc = _deployed_vault.market.rpc
    snapshot = rpc.call("evm_snapshot")
    yield _deployed_vault
    rpc.call("anvil_dropAllTransactions")
    rpc.call("evm_setAutomine", True)
    assert rpc.call("evm_revert", snapshot)
