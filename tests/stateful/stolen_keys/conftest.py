"""Vaults to steal from: real protocols on revm, a default deployment, honest hedges."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, Market
from tests.contracts.conftest import market
from tests.contracts.protocol import ETH, SHORT, SPOT, Protocol, wad

__all__ = ["market"]

_DEPOSIT = 1_000_000 * USDC
_CLIP = 35  # units per sale, of 333 that are the whole NAV


@pytest.fixture(scope="session")
def new_vault(market: Market) -> Protocol:
    """1,000,000 USDC and no position."""
    protocol = Protocol(market)
    protocol.deposit(_DEPOSIT)
    return protocol


@pytest.fixture(scope="session")
def busy_vault(market: Market) -> Protocol:
    """Short calls and puts of two months, hedged: half of the band of vega is used."""
    protocol = Protocol(market)
    protocol.deposit(_DEPOSIT)
    expiry = protocol.expiry(50)
    protocol.post_slice(expiry)
    for strike, is_call in ((3_000, True), (3_000, False), (3_300, True), (2_700, False)):
        protocol.sell(protocol.list_series(strike, is_call, expiry), wad(_CLIP))
        delta = protocol.vault.assessment().delta[ETH] / WAD
        protocol.rebalance(protocol.leg(SPOT if delta < 0 else SHORT, -delta))
    for _ in range(3):  # every bucket is full when the keys are stolen
        protocol.market.wait(DAY)
    protocol.post_slice(expiry)
    return protocol
