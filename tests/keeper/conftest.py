"""What the keeper's edge is tested on: one vault on a fork per session, reverted after each test, and a journal."""

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeper.execution.journal import Journal
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


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new journal at `keel.sqlite` in the test's folder."""
    opened = Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")
    yield opened
    opened.close()


class Endpoint(http.server.HTTPServer):
    """Takes what apprise posts to `json://`, or refuses it when `status` says so."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Posted)
        self.received: queue.Queue[dict[str, str]] = queue.Queue()
        self.status = 200


class _Posted(http.server.BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        self.server.received.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what it waits for."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Where alerts arrive."""
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
