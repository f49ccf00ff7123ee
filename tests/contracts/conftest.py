"""The protocol deployed once per session in titanoboa; each test runs inside an anchor that its plugin reverts."""

import pytest

from tests.contracts.chain import USDC, WAD, Market
from tests.contracts.protocol import SHORT, SPOT, Protocol


@pytest.fixture(scope="session")
def market(mainnet_in_process: Market) -> Market:
    """Mainnet's protocols in titanoboa, ETH at 3,000, BTC at 90,000 and a TWAP of five minutes behind them."""
    return mainnet_in_process


_STAGES = ("deployed", "funded", "series", "sold", "hedged")


@pytest.fixture(scope="session")
def stages(market: Market) -> dict[str, Protocol]:
    """One deployment per stage of a vault's life, so that tests start there instead of trading their way to it."""
    return {stage: _reach(stage, Protocol(market)) for stage in _STAGES}


def _reach(stage: str, protocol: Protocol) -> Protocol:
    reached = _STAGES.index(stage)
    if reached >= _STAGES.index("funded"):
        protocol.deposit(1_000_000 * USDC)
    if reached >= _STAGES.index("series"):
        series = protocol.open_series()
    if reached >= _STAGES.index("sold"):
        protocol.sell(series, 10 * WAD)
    if reached >= _STAGES.index("hedged"):
        protocol.rebalance(protocol.leg(SPOT, 7), protocol.leg(SHORT, -2))
    return protocol


@pytest.fixture(scope="session")
def deployed(stages: dict[str, Protocol]) -> Protocol:
    """The protocol, for tests that only look at it."""
    return stages["deployed"]


@pytest.fixture
def protocol(deployed: Protocol) -> Protocol:
    """Deployed and empty."""
    return deployed


@pytest.fixture
def funded(stages: dict[str, Protocol], request: pytest.FixtureRequest) -> Protocol:
    """With a first deposit of 1,000,000 USDC by the depositor, and whatever else the test asks for below."""
    return stages[max({"funded"} | set(_STAGES[1:]) & set(request.fixturenames), key=_STAGES.index)]


@pytest.fixture
def series(funded: Protocol) -> int:
    """An open call struck at 3,000 with an expiry in one to two weeks."""
    return int(funded.book.live_book()[0]) >> 87 << 87


@pytest.fixture
def sold(series: int) -> int:
    """That series after the taker has bought ten."""
    return series


@pytest.fixture
def hedged(funded: Protocol) -> Protocol:
    """With those calls sold and positions in both venues."""
    return funded


@pytest.fixture(scope="session")
def _two_underlyings(market: Market) -> Protocol:
    """Deployed with BTC beside ETH, and funded with 1,000,000 USDC."""
    protocol = Protocol(market, has_btc=True)
    protocol.deposit(1_000_000 * USDC)
    return protocol


@pytest.fixture
def both(_two_underlyings: Protocol) -> Protocol:
    """A vault with 1,000,000 USDC that trades ETH (3,000) and BTC (90,000)."""
    return _two_underlyings
