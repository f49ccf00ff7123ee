"""What every suite shares: the upstream of forks, and `fork`, one isolated fork of mainnet per test.

The same fork tests run under plain `pytest`, `pytest -n 2` and
`ape test --network ethereum:mainnet-fork:foundry`; they don't know which.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from web3 import Web3

from keeper.simulation.anvil import Anvil
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork, start_upstream
from keeper.simulation.rpc import Rpc
from tests.postgres import Postgres

# Time limits per example would fail on a busy machine; fixtures are reverted per example by titanoboa's plugin.
_PROFILE = {"deadline": None, "suppress_health_check": list(hypothesis.HealthCheck), "print_blob": True}
hypothesis.settings.register_profile("fast", max_examples=20, derandomize=True, **_PROFILE)
hypothesis.settings.register_profile("stress", max_examples=1_000, **_PROFILE)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_upstream: Anvil | None = None


def _needs_upstream(config: pytest.Config) -> bool:
    """Only suites on a fork need it; the pure ones shouldn't wait for it."""
    network = config.getoption("--network", default=None) or ""
    return "fork" in network


def _answers(url: str) -> bool:
    return Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 10})).is_connected()


def _start_upstream() -> None:
    """Set KEEL_UPSTREAM to a running anvil, once per process. Workers of -n start their own: 0.1 s each."""
    global _upstream
    url = os.environ.get("KEEL_UPSTREAM")
    if not url:
        _upstream = start_upstream()
        os.environ["KEEL_UPSTREAM"] = _upstream.url
    elif not _answers(url):  # ape would say so after 20 s, as an internal error
        raise pytest.UsageError("nothing answers at KEEL_UPSTREAM: unset it to use the snapshot")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before ape connects: put our `anvil` and the pip-installed Vyper on PATH, and serve the upstream."""
    own_bin = str(Path(sys.executable).parent)
    if own_bin not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = own_bin + os.pathsep + os.environ["PATH"]
    if _needs_upstream(config):
        _start_upstream()


def pytest_unconfigure() -> None:
    global _upstream
    if _upstream is not None:
        _upstream.stop()
        _upstream = None
        del os.environ["KEEL_UPSTREAM"]


@dataclass(frozen=True)
class ForkChain:
    """A running fork: `market` has taken over its feeds already."""

    url: str
    w3: Web3
    rpc: Rpc
    market: MarketDriver


def _ape_fork_url() -> str | None:
    """The URL of the fork that ape is connected to, if this is `ape test` on mainnet-fork."""
    if "ape" not in sys.modules:
        return None
    import ape

    provider = ape.networks.active_provider
    if provider is None or provider.network.name != "mainnet-fork":
        return None
    return str(provider.web3.provider.endpoint_uri)


@pytest.fixture(scope="session")
def mainnet_fork() -> Iterator[ForkChain]:
    """The session's fork. Tests use `fork`, which isolates them from each other."""
    url = _ape_fork_url()
    if url is not None:
        yield _connect(url)
        return
    _start_upstream()
    with Fork() as fork:
        yield _connect(fork.url)


def _connect(url: str) -> ForkChain:
    w3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 120}))
    return ForkChain(url, w3, Rpc(url), MarketDriver(w3))


@pytest.fixture
def fork(mainnet_fork: ForkChain) -> Iterator[ForkChain]:
    """A fork in its first state, with the market at the snapshot's prices; reverted after the test."""
    snapshot = mainnet_fork.rpc.call("evm_snapshot")
    yield mainnet_fork
    mainnet_fork.rpc.call("anvil_dropAllTransactions")
    mainnet_fork.rpc.call("evm_setAutomine", True)
    if not mainnet_fork.rpc.call("evm_revert", snapshot):
        pytest.exit("the fork could not be reverted: later tests would see this test's state", returncode=3)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server; it runs when a test is given it, and must when that test ends."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database: a file, or one on a server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def mainnet_in_process(pytestconfig: pytest.Config) -> Iterator[Any]:
    """The one chain of all contract suites: titanoboa deploys on the one that was opened last."""
    from tests.contracts.mainnet import in_process

    with in_process(bool(pytestconfig.getoption("--gas-profile"))) as market:
        yield market


@pytest.fixture
def market(fork: ForkChain) -> MarketDriver:
    """Moves the market of `fork`."""
    return fork.market


@pytest.fixture
def new_account(fork: ForkChain) -> Callable[[str], str]:
    """`new_account("depositor")`: an account of that role that can send transactions, with 100 ether."""

    def make(role: str) -> str:
        account = Web3.to_checksum_address(Web3.keccak(text=f"test account: {role}")[12:])
        fork.rpc.call("anvil_impersonateAccount", account)
        fork.rpc.call("anvil_setBalance", account, hex(100 * 10**18))
        return account

    return make
