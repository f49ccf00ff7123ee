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

USES = 40  # of one arena: 3 GB after 250 storms
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


class Arena:
    """One chain for many tests, and now and then a new one: anvil keeps in memory what was reverted."""

    def __init__(self, world: World) -> None:
        self._world, self._used = world, 0
        self._fork: Fork | None = None

    def vault(self) -> VaultOnFork:
        """As it was deployed."""
        if self._fork is None or self._used % USES == 0:
            self.stop()
            self._fork = Fork(self._world.upstream, self._world.state).start()
            self._vault = VaultOnFork(
                self._fork.url, self._fork.w3, MarketDriver(self._fork.w3), self._world.deployment
            )
        self._used += 1
        return self._vault

    def stop(self) -> None:
        if self._fork is not None:
            self._fork.stop()


@pytest.fixture(scope="session")
def _arena(world: World) -> Iterator[Arena]:
    arena = Arena(world)
    yield arena
    arena.stop()


@pytest.fixture
def arena(_arena: Arena) -> Iterator[VaultOnFork]:
    """As `vault`, on one chain for many, which is taken back afterwards."""
    vault = _arena.vault()
    before = vault.market.rpc.call("evm_snapshot")
    yield vault
    assert vault.market.rpc.call("evm_revert", before)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")
    yield opened
    opened.close()
