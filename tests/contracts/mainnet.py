"""Mainnet's protocols in titanoboa, on revm or, where gas is traced, on py-evm."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import boa
import pytest

from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork
from keeper.simulation.paths import DATA_VARIABLE
from tests.contracts import revm
from tests.contracts.chain import Market
from tests.coverage import search

COVERAGE = "KEEL_COVERAGE"  # the folder for what is reached of contracts/; `make coverage` sets it
_FORK = {"block_identifier": "latest", "allow_dirty": True, "cache_dir": None}
_TWAP_STEPS = 3
_TWAP_STEP = 150  # seconds: three of them fill the window of five minutes


@contextlib.contextmanager
def in_process(traced: bool) -> Iterator[Market]:
    """The chain that titanoboa is on from now on: ETH at 3,000, BTC at 90,000, a TWAP of five minutes behind them."""
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(DATA_VARIABLE, "")  # these tests' figures are for bands of liquidity, whatever was recorded
            patch.delenv("KEEL_UPSTREAM", raising=False)
            fork = stack.enter_context(Fork())
        driver = MarketDriver(fork.w3)
        for _ in range(_TWAP_STEPS):
            driver.step(3000.0, timestamp=driver.timestamp() + _TWAP_STEP)
        with boa.fork(fork.url, **_FORK) if traced else _on_revm(fork.url):
            market = Market()
            market.wait(12)
            yield market


def _on_revm(url: str) -> contextlib.AbstractContextManager[object]:
    folder = os.environ.get(COVERAGE)
    return search.fork(url, Path(folder)) if folder else revm.fork(url)
