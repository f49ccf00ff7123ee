"""What the tests of transactions share."""

import pytest

from keeper.chain.rpc import Connection
from keeper.execution.executor import Executor

PATIENCE = 60.0  # seconds for a receipt, where it comes


@pytest.fixture
def make_executor(vault, journal):
    """Executors of the keeper's account, each as after a start of the process."""

    def make(kind=Connection, **options):
        options = {"wait_seconds": PATIENCE, "poll_seconds": 0.01, "vault": vault.deployment.address("Vault")} | options
        return Executor(kind(vault.url), vault.keeper, journal, **options)

    return make
