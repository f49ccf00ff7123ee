"""Vaults over assets of 6 (USDC itself), 8 and 18 decimals: empty ones, and live ones whose bid, mid and ask differ.

The list of properties follows a16z's erc4626-tests and Trail of Bits' properties for ERC-4626.
"""

import boa
import pytest

from tests.contracts.chain import WAD, Market, account
from tests.contracts.protocol import Protocol

DECIMALS = (6, 8, 18)


@pytest.fixture(scope="session")
def empty_vaults(market: Market) -> dict[int, Protocol]:
    return {decimals: _over(market, decimals) for decimals in DECIMALS}


@pytest.fixture(scope="session")
def live_vaults(market: Market) -> dict[int, Protocol]:
    return {decimals: _live(_over(market, decimals)) for decimals in DECIMALS}


@pytest.fixture(params=DECIMALS, ids=lambda decimals: f"{decimals} decimals")
def empty(empty_vaults, request) -> Protocol:
    """Deployed, without a share."""
    return empty_vaults[request.param]


@pytest.fixture(params=DECIMALS, ids=lambda decimals: f"{decimals} decimals")
def live(live_vaults, request) -> Protocol:
    """With a deposit of 1,000,000 by the depositor, options of two strikes sold to the taker, no limits of flows."""
    return live_vaults[request.param]


def _over(market: Market, decimals: int) -> Protocol:
    if decimals == 6:
        return Protocol(market)
    with boa.env.prank(account("governor")):
        token = boa.load_partial("tests/contracts/tokens/PlainToken.vy").deploy(decimals)
    return Protocol(market, token)


def _live(protocol: Protocol) -> Protocol:
    protocol.deposit(1_000_000 * protocol.unit)
    call = protocol.open_series(3_100)
    other = protocol.list_series(2_900, is_call=not protocol.venues)  # no puts where they cannot be hedged
    protocol.sell(call, 10 * WAD)
    protocol.sell(other, 12 * WAD + WAD // 7 // 10**9 * 10**9)
    a = protocol.vault.assessment()
    assert a.nav_bid < a.nav_mid < a.nav_ask
    protocol.open_gates()
    return protocol
