"""UniswapV3Spot with WBTC: amounts in units of 1e-18 meet a token of eight decimals, and USDC is second in the pool."""

import pytest

from keeper.simulation.chain import addresses
from tests.contracts.chain import USDC, WAD, reverts
from tests.contracts.protocol import BTC, BTC_SPOT, load

SATOSHI = 10**10  # in WAD
PRICE = 90_000 * WAD


@pytest.fixture
def loose(both):
    """No bands."""
    both.loosen()
    return both


@pytest.fixture
def holding(loose):
    """Two WBTC held."""
    loose.rebalance(loose.leg(BTC_SPOT, 2))
    return loose


def test_two_units_are_two_hundred_million_satoshis(holding):
    state = holding.btc_spot.state(PRICE)

    assert (state.underlying, state.exposure, state.equity) == (BTC, 2 * WAD, 180_000 * WAD)
    assert holding.btc_spot.held() == holding.market.wbtc.balanceOf(holding.btc_spot) == 2 * 10**8
    assert holding.vault.assessment().delta == [0, 2 * WAD]
    assert holding.ledger_problems([holding.depositor]) == []


def test_buying_costs_the_pools_fee_and_impact_and_no_more(loose):
    before = loose.vault.assessment().nav_mid

    loose.rebalance(loose.leg(BTC_SPOT, 1))

    lost = before - loose.vault.assessment().nav_mid
    assert 0.003 * 90_000 * WAD < lost < 0.0035 * 90_000 * WAD


def test_less_than_a_satoshi_is_not_bought(loose):
    loose.rebalance(loose.leg(BTC_SPOT, 0.5)._replace(delta_change=WAD // 2 + SATOSHI - 1))

    assert loose.btc_spot.held() == 10**8 // 2


@pytest.mark.parametrize("change", [SATOSHI - 1, 1 - SATOSHI])
def test_a_trade_of_less_than_a_satoshi_is_refused(holding, change):
    with reverts("venue: nothing to trade"):
        holding.rebalance(holding.leg(BTC_SPOT, 1)._replace(delta_change=change, limit_price=PRICE))


def test_funding_is_for_whole_satoshis_and_rounded_up(both):
    venue = both.btc_spot

    assert venue.funding(2 * WAD, PRICE) == venue.funding(2 * WAD + SATOSHI - 1, PRICE) == 180_000 * USDC
    assert venue.funding(SATOSHI, PRICE) == 900
    assert venue.funding(SATOSHI, PRICE + WAD // 100) == 901
    assert venue.funding(-2 * WAD, PRICE) == 0


def test_one_satoshi_more_than_held_cannot_be_sold(holding):
    with reverts("venue: more than held"):
        holding.rebalance(holding.leg(BTC_SPOT, -2)._replace(delta_change=-2 * WAD - SATOSHI))


def test_the_whole_position_can_be_sold_in_odd_parts(holding):
    for units in (-0.12345678, -1.87653421, -0.00000901):
        holding.rebalance(holding.leg(BTC_SPOT, units))

    assert holding.btc_spot.held() == holding.market.wbtc.balanceOf(holding.btc_spot) == 0
    assert holding.vault.assessment().delta == [0, 0]
    assert holding.ledger_problems([holding.depositor]) == []


def test_a_satoshi_alone_cannot_be_sold_but_goes_with_the_next_sale(holding):
    """The pool's fee is a whole satoshi at least: of one nothing would be left. It is worth 0.0009 USDC."""
    holding.rebalance(holding.leg(BTC_SPOT, -1.99999999))
    with reverts("venue: limit price"):
        holding.rebalance(holding.leg(BTC_SPOT, -0.00000001))
    holding.rebalance(holding.leg(BTC_SPOT, 0.5))

    holding.rebalance(holding.leg(BTC_SPOT, -0.50000001))

    assert holding.btc_spot.held() == 0


@pytest.mark.parametrize(("units", "limit"), [(1, 90_200), (-1, 89_950)])
def test_a_limit_inside_the_pools_fee_is_refused(holding, units, limit):
    with reverts("venue: limit price"):
        holding.rebalance(holding.leg(BTC_SPOT, units, limit=limit))


def test_a_gift_of_wbtc_counts_for_nothing(holding):
    before = holding.vault.assessment()

    holding.market.mint_wbtc(str(holding.btc_spot.address), 10**8)

    assert holding.vault.assessment() == before


def test_a_pool_of_the_other_underlying_is_refused(both):
    with reverts("venue: wrong pool"):
        load("venues/UniswapV3Spot").deploy(
            both.vault, BTC, addresses.USDC, addresses.WBTC, 8, [addresses.POOL_USDC_WETH_500]
        )
