"""Uniswap v3: price and depth of a pool, and the spot venue that trades in it.

Inside a tick range a pool is a constant-product market with virtual reserves R_token * R_usdc = L^2 (Uniswap v3 white
paper, section 2): buying q costs p * q / (1 - q / R_token), so that price impact is p * q^2 / R_token to second order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from keeper.domain.snapshot import PoolState, Venue
from keeper.domain.units import WAD
from keeper.venues.instrument import Instrument, Reference, Side

_USDC_DECIMALS = 6
_Q96 = 2**96
_RANGE_USE = 0.25  # largest share of the virtual reserve that the quadratic is trusted with
_SLIPPAGE_USE = 0.9  # of a leg's slippage: the price may move before the trade is mined


def pool_price(pool: PoolState) -> float:
    """Marginal price, USDC per unit of the token."""
    ratio = (pool.sqrt_price_x96 / _Q96) ** 2  # token1 per token0, smallest units
    scale: float = 10.0 ** (pool.token_decimals - _USDC_DECIMALS)
    return scale / ratio if pool.usdc_is_token0 else scale * ratio


def virtual_reserve(pool: PoolState) -> float:
    """Virtual reserve of the token in units: L / sqrt(price)."""
    scale: float = 10.0 ** ((pool.token_decimals + _USDC_DECIMALS) / 2)
    return pool.liquidity / scale / math.sqrt(pool_price(pool))


def fee_rate(pool: PoolState) -> float:
    """Fee as a share of what is paid in."""
    return pool.fee_pips / 1e6


def average_price(pool: PoolState, units: float) -> float:
    """Average price of buying (``units`` > 0) or selling (< 0) inside the current range, fee included, USDC."""
    price, fee, reserve = pool_price(pool), fee_rate(pool), virtual_reserve(pool)
    if units >= 0:
        return price / (1 - units / reserve) / (1 - fee)
    sold = -units * (1 - fee)
    return price / (1 + sold / reserve) * (1 - fee)


def sides(pool: PoolState, reference: Reference) -> tuple[Side, Side]:
    """Buying and selling in the pool, before the venue's own cash, carry and capacity: cash is the price itself."""
    price, fee = pool_price(pool), fee_rate(pool)
    reserve = virtual_reserve(pool)
    impact = price / reserve
    ask, bid = price / (1 - fee), price * (1 - fee)
    room = _SLIPPAGE_USE * reference.leg_slippage
    # The average price moves with size / reserve: what is left of the leg's slippage bounds the size.
    most_bought = reserve * (1 - ask / (reference.spot * (1 + room)))
    most_sold = reserve * (bid / (reference.spot * (1 - room)) - 1)
    buy = Side(
        capacity=min(max(most_bought, 0.0), _RANGE_USE * reserve),
        fee=ask - price,
        impact=impact,
        cash=ask,
        carry=0.0,
        oracle_loss=reference.loss_of_buying(ask),
    )
    sell = Side(
        capacity=min(max(most_sold, 0.0), _RANGE_USE * reserve),
        fee=price - bid,
        impact=impact,
        cash=-bid,
        carry=0.0,
        oracle_loss=reference.loss_of_selling(bid),
    )
    return buy, sell


def pool_instruments(
    venue: Venue, reference: Reference, name: str, direction: int, adapt: Callable[[Side, Side], tuple[Side, Side]]
) -> tuple[Instrument, ...]:
    """One instrument per pool of a venue that trades in pools; a pool without a price or without liquidity is no way.

    Args:
        adapt: The venue's own buying and selling, from the pool's.
    """
    instruments = []
    for index, pool in enumerate(venue.pools):
        if pool.sqrt_price_x96 == 0 or pool.liquidity == 0:
            continue
        buy, sell = adapt(*sides(pool, reference))
        instruments.append(
            Instrument(
                venue=venue.index,
                pool=index,
                pool_address=pool.address,
                underlying=venue.state.underlying,
                name=f"{name} {fee_rate(pool):.2%}",
                direction=direction,
                position=abs(venue.state.exposure) / WAD,
                buy=buy,
                sell=sell,
            )
        )
    return tuple(instruments)


def spot_instruments(venue: Venue, reference: Reference) -> tuple[Instrument, ...]:
    """A UniswapV3Spot venue: one instrument per pool; it sells no more than it holds."""
    held = venue.state.exposure / WAD

    def own(buy: Side, sell: Side) -> tuple[Side, Side]:
        return buy, replace(sell, capacity=min(sell.capacity, held))

    return pool_instruments(venue, reference, "spot, Uniswap v3", 1, own)
