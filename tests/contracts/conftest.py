"""The protocol deployed once per session in titanoboa; each test runs inside an anchor that its plugin reverts."""

from collections.abc import Iterator

import boa
import pytest

from keeper.simulation.driver import MarketDriver
from keeper.simulation.fork import Fork
from tests.contracts.chain import USDC, WAD, Market
from tests.contracts.protocol import SHORT, SPOT, Protocol

_TWAP_STEPS = 3
_TWAP_STEP = 150  # seconds: three of them fill the window of five minutes


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    """Mainnet's protocols in titanoboa, ETH at 3,000 everywhere and a TWAP of five minutes behind it."""
    with Fork() as fork:
        driver = MarketDriver(fork.w3)
        for _ in range(_TWAP_STEPS):
            driver.step(3000.0, timestamp=driver.timestamp() + _TWAP_STEP)
        with boa.fork(fork.url, block_identifier="latest", allow_dirty=True, cache_dir=None):
            market = Market()
            market.wait(12)
            yield market


@pytest.fixture(scope="session")
def deployed(market: Market) -> Protocol:
    """The protocol; tests take `protocol`, whose changes are reverted."""
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


@pytest.fixture
def series(funded: Protocol) -> int:
    """An open call struck at 3,000 with an expiry in one to two weeks, nothing sold yet."""
    return funded.open_series()


@pytest.fixture
def sold(funded: Protocol, series: int) -> int:
    """That series after the taker has bought ten."""
    funded.sell(series, 10 * WAD)
    return series


@pytest.fixture
def hedged(funded: Protocol, sold: int) -> Protocol:
    """With those calls sold and positions in both venues."""
    funded.rebalance(funded.leg(SPOT, 7), funded.leg(SHORT, -2))
    return funded
