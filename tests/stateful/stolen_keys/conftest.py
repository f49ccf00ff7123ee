"""Vaults to steal from: real protocols on revm, a default deployment, honest hedges."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD, Market
from tests.contracts.conftest import market
from tests.contracts.protocol import ETH, SHORT, SPOT, Protocol, wad

__all__ = ["market"]

_DEPOSIT = 1_000_000 * USDC
_CLIP = 33  # units per sale, of 333 that are the whole NAV


@pytest.fixture(scope="session")
def new_vault(market: Market) -> Protocol:
    """1,000,000 USDC and no position; one expiry has a surface."""
    protocol = Protocol(market)
    protocol.deposit(_DEPOSIT)
    protocol.post_slice(protocol.expiry(50))
    return protocol


@pytest.fixture(scope="session")
def busy_vault(market: Market) -> Protocol:
    """Short calls and puts of seven and eight weeks, hedged: nearly all of the band of vega is used."""
    protocol = Protocol(market)
    protocol.deposit(_DEPOSIT)
    for expiry in (protocol.expiry(47), protocol.expiry(54)):
        protocol.post_slice(expiry)
        for strike, is_call in ((3_000, True), (3_000, False), (3_300, True), (2_700, False)):
            protocol.sell(protocol.list_series(strike, is_call, expiry), wad(_CLIP))
            delta = protocol.vault.assessment().delta[ETH] / WAD
            protocol.rebalance(protocol.leg(SPOT if delta < 0 else SHORT, -delta))
        _rest(protocol)
    return protocol


@pytest.fixture(scope="session")
def vaults(new_vault: Protocol, busy_vault: Protocol) -> dict[str, Protocol]:
    """Both by name."""
    return {"new": new_vault, "busy": busy_vault}


def _rest(protocol: Protocol) -> None:
    """Every bucket fills up again."""
    for _ in range(4):
        protocol.market.wait(DAY)
    for expiry in protocol.vol_oracle.expiries(ETH):
        protocol.post_slice(expiry)
