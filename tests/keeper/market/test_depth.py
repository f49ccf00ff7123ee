"""A pool's ticks as they are read: a walk across them is the pool's own swap, to the smallest unit."""

import pytest
from web3 import Web3

from keeper.domain.units import USDC, WAD
from keeper.market.reader import read_snapshot
from keeper.simulation.chain import addresses
from keeper.simulation.chain.protocols.uniswap import CORE, PERIPHERY, ROUTERS, artifact
from keeper.venues.instrument import Reference, VenueError
from keeper.venues.ticks import swap
from keeper.venues.uniswap_v3 import average_price, sides
from tests.keeper.vault_on_fork import account_of

ETH, BTC = 0, 1
PARTS = (1e-6, 0.03, 0.25, 0.6, 1.0)  # of what a leg may trade
MOVES = (0.0, 0.003, -0.003)  # of the pool from the oracle


def snapshot_of(vault):
    return read_snapshot(vault.connection, vault.deployment, vault.keeper.address)


def quoted(vault, pool, zero_for_one, amount):
    """What Uniswap's QuoterV2 says on the same block: amount of the other token, and the price afterwards."""
    quoter = vault.w3.eth.contract(
        address=Web3.to_checksum_address(addresses.QUOTER_V2), abi=artifact(ROUTERS, "lens/QuoterV2").abi
    ).functions
    contract = vault.w3.eth.contract(
        address=Web3.to_checksum_address(pool.address), abi=artifact(CORE, "UniswapV3Pool").abi
    ).functions
    pair = [contract.token0().call(), contract.token1().call()]
    sold, bought = pair if zero_for_one else pair[::-1]
    exact = quoter.quoteExactInputSingle if amount > 0 else quoter.quoteExactOutputSingle
    return tuple(exact((sold, bought, abs(amount), pool.fee_pips, 0)).call()[:2])


def walked(pool, zero_for_one, amount):
    done = swap(
        pool.sqrt_price_x96, pool.liquidity, pool.tick, pool.fee_pips, pool.ticks,
        zero_for_one=zero_for_one, amount=amount,
    )  # fmt: skip
    paid, got = (done.amount0, -done.amount1) if zero_for_one else (done.amount1, -done.amount0)
    return (got if amount > 0 else paid), done.sqrt_price_x96


def pool_of(vault, underlying):
    """The first pool of an underlying, and the price and slippage that a leg is held to."""
    snapshot = snapshot_of(vault)
    pool = next(venue.pools[0] for venue in snapshot.venues if venue.pools and venue.state.underlying == underlying)
    slippage = snapshot.vault.budgets.leg_slippage / WAD
    return pool, Reference(snapshot.readings[underlying].price_wad / WAD, slippage)


@pytest.mark.parametrize("buys", [True, False], ids=["buy", "sell"])
@pytest.mark.parametrize("underlying", [ETH, BTC])
def test_a_walk_across_the_ticks_read_is_the_pools_own_swap(vault, underlying, buys):
    """The keeper trades exact amounts of the underlying: in every size up to what a leg may trade."""
    pool, reference = pool_of(vault, underlying)
    most = sides(pool, reference)[0 if buys else 1].capacity * 10**pool.token_decimals
    zero_for_one = buys == pool.usdc_is_token0

    for part in PARTS:
        amount = int(part * most) * (-1 if buys else 1)
        assert walked(pool, zero_for_one, amount) == quoted(vault, pool, zero_for_one, amount)


@pytest.mark.parametrize("underlying", [ETH, BTC])
@pytest.mark.parametrize("move", MOVES)
def test_the_ticks_read_hold_what_slippage_allows_in_both_directions(vault, underlying, move):
    """Also of a pool that is not where the oracle is; a trade of more than what was read has no price."""
    prices = {"ETH": 3_000, "BTC": 90_000}
    vault.market.step({name: price * (1 + move) for name, price in prices.items()}, feeds=False)

    pool, reference = pool_of(vault, underlying)

    assert pool.ticks[0][0] <= pool.tick < pool.ticks[-1][0]
    for side, sign in zip(sides(pool, reference), (1, -1), strict=True):
        edge = average_price(pool, sign * side.capacity) / reference.spot - 1
        assert sign * edge == pytest.approx(0.9 * reference.leg_slippage, rel=1e-3)
    with pytest.raises(VenueError, match="known ticks"):
        average_price(pool, 1e6)


def test_liquidity_behind_the_range_of_the_price_is_seen(vault):
    """A market maker's position just below the price: it is not in the pool's liquidity, but who sells meets it."""
    before, reference = pool_of(vault, ETH)
    place_below_the_price(vault, before, usdc=50_000_000)

    after, _ = pool_of(vault, ETH)

    assert after.liquidity == before.liquidity
    (more, as_before), (sold, bought) = (
        [side.capacity for side in reversed(sides(pool, reference))] for pool in (after, before)
    )
    assert more == pytest.approx(sold + 50_000_000 / reference.spot, rel=0.02)
    assert as_before == bought


def place_below_the_price(vault, pool, usdc):
    """USDC alone, from the second to the fifth tick on the side where ETH is cheaper: ticks count USDC as token 0."""
    assert pool.usdc_is_token0
    maker, first = account_of("taker"), (pool.tick // 10 + 2) * 10
    vault.market.fund_usdc(maker.address, usdc * USDC)
    token, manager = (
        vault.w3.eth.contract(address=Web3.to_checksum_address(address), abi=artifact(package, path).abi)
        for address, package, path in (
            (addresses.USDC, CORE, "interfaces/IERC20Minimal"),
            (addresses.POSITION_MANAGER, PERIPHERY, "NonfungiblePositionManager"),
        )
    )
    sender = vault.sender("taker")
    sender.send(token.functions.approve(manager.address, usdc * USDC), "approve")
    terms = (addresses.USDC, addresses.WETH, pool.fee_pips, first, first + 30)
    sender.send(manager.functions.mint((*terms, usdc * USDC, 0, 0, 0, maker.address, 2**40)), "mint")
