"""Vaults that cannot pay everybody at once."""

import pytest

from tests.contracts.chain import USDC, WAD
from tests.contracts.protocol import SPOT


@pytest.fixture
def other(protocol):
    """A second depositor, with as much as the first: 50,000 USDC each."""
    protocol.deposit(50_000 * USDC, protocol.taker)
    protocol.deposit(50_000 * USDC)
    return protocol.taker


@pytest.fixture
def cashless(protocol, other):
    """The vault of these two with about 90,000 of its 100,000 USDC in ETH."""
    protocol.loosen(loss_capacity=WAD, loss_per_day=WAD)
    protocol.rebalance(protocol.leg(SPOT, 15), protocol.leg(SPOT, 15, pool=1))
    return protocol
