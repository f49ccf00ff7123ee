"""Uniswap v3: price and depth of a pool, and the spot venue that trades in it.

Inside a tick range a pool is a constant-product market with virtual reserves R_token * R_usdc = L^2 (Uniswap v3 white
paper, section 2): buying q costs p * q / (1 - q / R_token), so that price impact is p * q^2 / R_token to second order.
Across ticks cost is convex in pieces; hedging sees the least square above it, so that it never expects too little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from keeper.domain.snapshot import PoolState, Venue
from keeper.domain.units import WAD
from keeper.venues.instrument import Instrument, Reference, Side
from keeper.venues.ticks import ahead, sqrt_price_at, swap

_USDC_DECIMALS = 6
_Q96 = 2**96
_RANGE_USE = 0.25  # largest share of the virtual reserve that the quadratic is trusted with
_HALVINGS = 30
_PARTS = 4  # of a range, at whose ends the square is laid over the pool's cost
_KNOWN_USE = 1 - 1e-6  # of what the known ticks hold: the integers of `swap` round, and so does a solver
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
    """Average price of buying (``units`` > 0) or selling (< 0), fee included, USDC: across the pool's ticks where they
    are known, else as if the current range went on.

    Raises:
        VenueError: the ticks that are known do not hold so much.
    """
    smallest = int(abs(units) * 10**pool.token_decimals)
    if pool.ticks and smallest > 0:
        buys = units > 0
        done = swap(
            pool.sqrt_price_x96,
            pool.liquidity,
            pool.tick,
            pool.fee_pips,
            pool.ticks,
            zero_for_one=buys == pool.usdc_is_token0,
            amount=-smallest if buys else smallest,
        )
        usdc = done.amount0 if pool.usdc_is_token0 else done.amount1
        return float(abs(usdc) / 10**_USDC_DECIMALS / abs(units))
    price, fee, reserve = pool_price(pool), fee_rate(pool), virtual_reserve(pool)
    if units >= 0:
        return price / (1 - units / reserve) / (1 - fee)
    sold = -units * (1 - fee)
    return price / (1 + sold / reserve) * (1 - fee)


def sides(pool: PoolState, reference: Reference) -> tuple[Side, Side]:
    """Buying and selling in the pool, before the venue's own cash, carry and capacity: cash is the price itself."""
    price, fee = pool_price(pool), fee_rate(pool)
    ask, bid = price / (1 - fee), price * (1 - fee)
    room = _SLIPPAGE_USE * reference.leg_slippage
    bought, impact_of_buying = _depth(pool, True, ask, reference.spot * (1 + room))
    sold, impact_of_selling = _depth(pool, False, bid, reference.spot * (1 - room))
    buy = Side(
        capacity=bought,
        fee=ask - price,
        impact=impact_of_buying,
        cash=ask,
        carry=0.0,
        oracle_loss=reference.loss_of_buying(ask),
    )
    sell = Side(
        capacity=sold,
        fee=price - bid,
        impact=impact_of_selling,
        cash=-bid,
        carry=0.0,
        oracle_loss=reference.loss_of_selling(bid),
    )
    return buy, sell


def _depth(pool: PoolState, buys: bool, first: float, worst: float) -> tuple[float, float]:
    """The largest trade in the known ranges whose average price, fee included, is no worse than ``worst``, and the
    impact up to it: the least weight of a square that costs no less than the pool does, to a thousandth. ``first`` is
    of the first unit.

    From √p to √p' a range of liquidity L holds L|1/√p - 1/√p'| units and L|√p' - √p| USDC.
    """
    impact = pool_price(pool) / virtual_reserve(pool)
    if first >= worst if buys else first <= worst:
        return 0.0, impact
    after_fee = 1 - fee_rate(pool)
    before = (0.0, 0.0)  # units and USDC that the ranges passed take
    largest = 0.0
    for liquidity, start, end in ranges(pool, buys):
        good = start
        for part in range(1, _PARTS + 1):
            root = start + (end - start) * part / _PARTS
            is_last = _is_worse(_average(before, liquidity, start, root, after_fee, buys)[1], worst, buys)
            if is_last:
                for _ in range(_HALVINGS):
                    middle = (good + root) / 2
                    is_bad = _is_worse(_average(before, liquidity, start, middle, after_fee, buys)[1], worst, buys)
                    good, root = (good, middle) if is_bad else (middle, root)
                root = good
            if root != start:
                largest, average = _average(before, liquidity, start, root, after_fee, buys)
                impact = max(impact, abs(average - first) / largest)
            if is_last:
                return largest, impact
            good = root
        before = (before[0] + liquidity * abs(1 / start - 1 / end), before[1] + liquidity * abs(end - start))
    return _KNOWN_USE * largest, impact


def _average(
    before: tuple[float, float], liquidity: float, start: float, root: float, after_fee: float, buys: bool
) -> tuple[float, float]:
    """Units traded and their average price, fee included, when a range is left at √price ``root``."""
    units = before[0] + liquidity * abs(1 / start - 1 / root)
    usdc = before[1] + liquidity * abs(root - start)
    return (units, usdc / after_fee / units) if buys else (units / after_fee, usdc * after_fee / units)


def _is_worse(price: float, limit: float, buys: bool) -> bool:
    return price > limit if buys else price < limit


def ranges(pool: PoolState, buys: bool) -> Iterator[tuple[float, float, float]]:
    """Liquidity and √price at both ends of the ranges that a trade goes through, in units and USDC."""
    scale = 10.0 ** ((pool.token_decimals + _USDC_DECIMALS) / 2)
    root, liquidity = math.sqrt(pool_price(pool)), pool.liquidity
    if not pool.ticks:
        yield liquidity / scale, root, root / (1 - _RANGE_USE if buys else 1 + _RANGE_USE)
        return
    falls = buys == pool.usdc_is_token0
    for tick, entering in ahead(pool.tick, pool.ticks, falls):
        end = math.sqrt(pool_price(replace(pool, sqrt_price_x96=sqrt_price_at(tick))))
        if liquidity > 0 and end != root:
            yield liquidity / scale, root, end
        root, liquidity = end, liquidity - entering if falls else liquidity + entering


def liquidity_behind(pool: PoolState, buys: bool) -> float:
    """In units and USDC, where a trade has gone through all the ranges that are known."""
    falls = buys == pool.usdc_is_token0
    entering = sum(net for _, net in ahead(pool.tick, pool.ticks, falls))
    scale: float = 10.0 ** ((pool.token_decimals + _USDC_DECIMALS) / 2)
    return max(pool.liquidity - entering if falls else pool.liquidity + entering, 0) / scale


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
