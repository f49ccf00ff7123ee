"""One vault, deployed once; each test has a fork of its own that goes on from there: no reorganisation is undone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeper.chain.deployments import Deployment
from keeper.execution.journal import Journal
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork, start_upstream
from tests.keeper.vault_on_fork import VaultOnFork, vault_on_fork


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


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(f"sqlite:///{tmp_path / 'keel.sqlite'}")
    yield opened
    opened.close()
