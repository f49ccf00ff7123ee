"""One vault, deployed once; each test has a fork of its own that goes on from there: no reorganisation is undone.

At the end, what the storms were made of; in a whole run of them all of it must have happened.
"""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper.chain.deployments import Deployment
from keeper.execution.journal import Journal
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork, start_upstream
from tests.faults.seeds import EXPECTED, FIRED, KILLED, READY, SEEDS
from tests.keeper.vault_on_fork import VaultOnFork, vault_on_fork

_fired: Counter[str] = Counter()
_ready: list[float] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what has happened in the storms; with -n it comes here from the workers."""
    for name, value in report.user_properties if report.when == "call" else []:
        if name == FIRED:
            _fired.update(value)
            _fired["seeds"] += 1
        if name == READY:
            _ready.extend(value)


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_whole = not hasattr(session.config, "workerinput") and _fired["seeds"] == SEEDS + KILLED
    if is_whole and any(_fired[fault] == 0 for fault in EXPECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _fired["seeds"] == 0:
        return
    terminalreporter.section(f"{_fired['seeds']:,} storms, and what they were made of")
    for fault in sorted({*EXPECTED, *_fired} - {"seeds"}):
        never = "" if _fired[fault] else "   in a whole run this must happen"
        terminalreporter.line(f"{_fired[fault]:>9,}  {fault}{never}")
    if _ready:
        median, slowest = statistics.median(_ready), max(_ready)
        what = "from the start after a kill -9 to its first decision"
        terminalreporter.line(f"{len(_ready):>9,}  {what}: median {median:.1f} s, slowest {slowest:.1f} s")


@dataclass(frozen=True)
class World:
    """A chain with a vault on it: what is forked, and what the fork adds."""

    upstream: str
    state: bytes
    deployment: Deployment


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    upstream = start_upstream()
    with Fork(upstream.url) as fork:
        vault = vault_on_fork(fork.url, fork.w3)
        state = fork.dump_state()
    yield World(upstream.url, state, vault.deployment)
    upstream.stop()


@pytest.fixture
def vault(world: World) -> Iterator[VaultOnFork]:
    """A vault with 1,000,000 USDC that is short calls and puts and has no hedge yet, on a chain of its own."""
    with Fork(world.upstream, world.state) as fork:
        yield VaultOnFork(fork.url, fork.w3, MarketDriver(fork.w3), world.deployment)


@pytest.fixture(scope="session")
def _arena(world: World) -> Iterator[VaultOnFork]:
    with Fork(world.upstream, world.state) as fork:
        yield VaultOnFork(fork.url, fork.w3, MarketDriver(fork.w3), world.deployment)


@pytest.fixture
def arena(_arena: VaultOnFork) -> Iterator[VaultOnFork]:
    """As `vault`, on one chain for all, which is taken back afterwards."""
    before = _arena.market.rpc.call("evm_snapshot")
    yield _arena
    assert _arena.market.rpc.call("evm_revert", before)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")
    yield opened
    opened.close()
