"""UniswapV3Spot: a long spot hedge that obeys the Vault alone."""

import pytest

from keeper.simulation.chain import addresses
from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import ETH, SPOT, load, replace_code


def deploy(protocol, token_decimals=18, pools=(addresses.POOL_USDC_WETH_500,), token=addresses.WETH):
    return load("venues/UniswapV3Spot").deploy(protocol.vault, ETH, addresses.USDC, token, token_decimals, list(pools))


@pytest.fixture
def holding(funded):
    """Five WETH held, no bands."""
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 5))
    return funded


def test_state_is_what_it_holds_at_the_price_it_is_asked_for(holding):
    state = holding.spot.state(2_000 * WAD)

    assert (state.underlying, state.exposure, state.equity) == (ETH, 5 * WAD, 10_000 * WAD)
    assert (state.stressed_down, state.stressed_up) == (5_000 * WAD, 15_000 * WAD)
    assert state.health == 2**256 - 1


def test_a_gift_of_tokens_counts_for_nothing(holding):
    holding.market.wrap(holding.stranger, 10 * WAD)
    before = holding.spot.state(3_000 * WAD)

    holding.market.weth.transfer(holding.spot, 10 * WAD, sender=holding.stranger)

    assert holding.spot.state(3_000 * WAD) == before
    with reverts("venue: more than held"):
        holding.rebalance(holding.leg(SPOT, -6))


def test_a_venue_whose_tokens_are_missing_does_not_answer(holding):
    """What it was paid in kind is on its way, or its token has taken some away: nobody knows what it has."""
    holding.spot.take_in(1, sender=holding.vault.address)

    with reverts("venue: tokens missing"):
        holding.spot.state(3_000 * WAD)
    assert holding.vault.assessment().venue_failed


def test_funding_is_the_highest_cost_of_a_purchase(protocol):
    assert protocol.spot.funding(2 * WAD, 3_000 * WAD) == 6_000 * USDC
    assert protocol.spot.funding(2 * WAD + 1, 3_000 * WAD) == 6_000 * USDC + 1
    assert protocol.spot.funding(-2 * WAD, 3_000 * WAD) == 0


@pytest.mark.parametrize("role", ["governor", "keeper", "stranger"])
def test_trading_refuses_others(protocol, role):
    with reverts("venue: only vault"):
        protocol.spot.trade(0, WAD, 3_000 * WAD, sender=getattr(protocol, role))


@pytest.mark.parametrize("role", ["governor", "keeper", "stranger"])
def test_the_swap_callback_refuses_everybody_but_the_pool_of_the_swap(holding, role):
    """Attack: asking the venue to pay for a swap that it did not make."""
    with reverts("venue: not the pool"):
        holding.spot.uniswapV3SwapCallback(1, WAD, b"", sender=getattr(holding, role))
    with reverts("venue: not the pool"):
        holding.spot.uniswapV3SwapCallback(1, WAD, b"", sender=addresses.POOL_USDC_WETH_500)


def test_a_trade_of_nothing_is_refused(funded):
    with reverts("venue: nothing to trade"):
        funded.rebalance(funded.leg(SPOT, 0))


def test_more_than_held_cannot_be_sold(holding):
    with reverts("venue: more than held"):
        holding.rebalance(holding.leg(SPOT, -5.000000001))


def test_the_whole_position_can_be_sold(holding):
    holding.rebalance(holding.leg(SPOT, -5))

    assert holding.spot.held() == holding.market.weth.balanceOf(holding.spot) == 0
    assert holding.spot.state(3_000 * WAD).equity == 0


@pytest.mark.parametrize("units", [1, -1])
def test_a_pool_without_depth_is_refused(holding, units):
    venue = deploy(holding, pools=(addresses.POOL_USDC_WETH_500, holding.market.empty_pool().address))
    holding.vault.list_venue(venue, ETH, sender=holding.governor)
    holding.rebalance(holding.leg(2, 5))

    with reverts("venue: not enough depth"):
        holding.rebalance(holding.leg(2, units, pool=1))


def test_a_purchase_is_split_over_the_listed_pools(funded):
    """Of 300 WETH 200 come from the pool of 0.05 % and 100 from that of 0.3 %: each pays its own impact."""
    funded.loosen()
    roots = [pool.slot0()[0] for pool in (funded.market.pool, funded.market.deep_pool)]

    funded.rebalance(funded.leg(SPOT, 200), funded.leg(SPOT, 100, pool=1))

    assert funded.spot.held() == funded.market.weth.balanceOf(funded.spot) == 300 * WAD
    for was, pool in zip(roots, (funded.market.pool, funded.market.deep_pool), strict=True):
        assert pool.slot0()[0] < was  # WETH is dearer in each
    assert [event.units for event in events(funded.hedger, "LegTraded")] == [200 * WAD, 100 * WAD]


def test_split_it_is_sold_again(funded):
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 200), funded.leg(SPOT, 100, pool=1))

    funded.rebalance(funded.leg(SPOT, -150), funded.leg(SPOT, -150, pool=1))

    assert funded.spot.held() == funded.market.usdc.balanceOf(funded.spot) == 0


def test_a_pool_that_is_not_listed_is_refused(funded):
    """A venue's pools are fixed when it is deployed; a leg names one by its index."""
    funded.loosen()
    assert [funded.spot.pools(i) for i in range(2)] == [addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000]

    funded.rebalance(funded.leg(SPOT, 5))
    for units in (1, -1):
        with reverts():
            funded.rebalance(funded.leg(SPOT, units, pool=2))


def test_a_token_that_returns_false_is_refused(holding):
    replace_code(addresses.WETH, "RefusingToken", holding.spot)

    with reverts("venue: transfer"):
        holding.rebalance(holding.leg(SPOT, -1))


def test_usdc_that_stay_with_the_venue_are_refused(holding):
    replace_code(holding.market.usdc.address, "RefusingToken", holding.spot)

    with reverts("venue: transfer"):
        holding.rebalance(holding.leg(SPOT, -1))


def test_needs_a_pool(protocol):
    with reverts("venue: no pool"):
        deploy(protocol, pools=())


def test_a_pool_of_other_tokens_is_refused(protocol):
    with reverts("venue: wrong pool"):
        deploy(protocol, token=addresses.LINK)


def test_a_token_of_more_than_18_decimals_is_refused(protocol):
    with reverts("venue: token decimals"):
        deploy(protocol, token_decimals=19)
