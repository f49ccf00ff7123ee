"""The protocol deployed once per session in titanoboa; each test runs inside an anchor that its plugin reverts."""

from collections.abc import Iterator

import boa
import pytest

from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork
from tests.contracts.chain import USDC, Market
from tests.contracts.protocol import Protocol


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    """Mainnet's protocols in titanoboa, ETH at 3,000 everywhere and a TWAP of five minutes behind it."""
    with Fork() as fork:
        driver = MarketDriver(fork.w3)
        for _ in range(3):
            driver.step(3000.0, timestamp=driver.timestamp() + 150)
        with boa.fork(fork.url, block_identifier="latest", allow_dirty=True, cache_dir=None):
            market = Market()
            market.wait(12)
            yield market


@pytest.fixture(scope="session")
def deployed(market: Market) -> Protocol:
    return Protocol(market)


@pytest.fixture
def protocol(deployed: Protocol) -> Protocol:
    """Deployed and empty."""
    return deployed


@pytest.fixture
def funded(protocol: Protocol) -> Protocol:
    """With a first deposit of 1,000,000 USDC by the depositor."""
    protocol.deposit(1_000_000 * USDC)
    return protocol
