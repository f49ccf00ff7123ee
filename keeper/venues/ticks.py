"""Swaps in a Uniswap v3 pool across its ticks, in the integers and with the rounding of the contracts.

UniswapV3Pool.swap with SwapMath, SqrtPriceMath and TickMath (v3-core 1.0.0): inside a range of constant liquidity L
paying in Δy of token1 moves √P by Δy/L, paying in Δx of token0 moves 1/√P by Δx/L; at a tick L changes by what was
placed there. What is paid in is rounded up, what comes out down.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keeper.venues.instrument import VenueError

MIN_TICK: Final = -887_272
MAX_TICK: Final = 887_272
_Q96: Final = 1 << 96
_MAX_UINT256: Final = (1 << 256) - 1
_PIPS: Final = 10**6

# 2^128 / sqrt(1.0001)^(2^i), as in TickMath.
_FACTORS: Final = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


@functools.lru_cache(maxsize=4096)
def sqrt_price_at(tick: int) -> int:
    """√(1.0001^tick) · 2^96, TickMath.getSqrtRatioAtTick."""
    ratio = 1 << 128
    for i, factor in enumerate(_FACTORS):
        if abs(tick) >> i & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = _MAX_UINT256 // ratio
    return _up(ratio, 1 << 32)


@dataclass(frozen=True, slots=True)
class Swap:
    """What the pool has taken (+) and paid out (-) in smallest units, and its price and liquidity afterwards."""

    amount0: int
    amount1: int
    sqrt_price_x96: int
    liquidity: int


def swap(
    sqrt_price_x96: int,
    liquidity: int,
    tick: int,
    fee_pips: int,
    ticks: tuple[tuple[int, int], ...],
    *,
    zero_for_one: bool,
    amount: int,
) -> Swap:
    """UniswapV3Pool.swap without a price limit.

    Args:
        tick: Of the pool's slot0: at a boundary the price alone does not say on which side of it the pool is.
        ticks: Initialised ticks, rising, with the liquidity that comes in there when the price rises.
        amount: Paid in when positive, to be paid out when negative; of token0 or token1 as ``zero_for_one`` says.

    Raises:
        VenueError: the ticks that are known do not hold so much.
    """
    exact_in, left = amount > 0, abs(amount)
    price, total_in, total_out = sqrt_price_x96, 0, 0
    boundaries = ahead(tick, ticks, zero_for_one)
    while left > 0:
        boundary = next(boundaries, None)
        if boundary is None:
            raise VenueError("the pool's known ticks do not hold so large a trade")
        target = sqrt_price_at(boundary[0])
        if liquidity > 0:
            price, paid, got, fee = _step(price, target, liquidity, left, exact_in, zero_for_one, fee_pips)
            total_in, total_out = total_in + paid + fee, total_out + got
            left -= paid + fee if exact_in else got
        else:
            price = target
        if price == target:
            liquidity += -boundary[1] if zero_for_one else boundary[1]
        elif left > 0:
            break  # what is left is less than the smallest unit of the other token
    amounts = (total_in, -total_out)
    amount0, amount1 = amounts if zero_for_one else amounts[::-1]
    return Swap(amount0, amount1, price, liquidity)


def ahead(tick: int, ticks: tuple[tuple[int, int], ...], falling: bool) -> Iterator[tuple[int, int]]:
    """The ticks that a price meets from ``tick`` on."""
    place = bisect_right(ticks, tick, key=lambda entry: entry[0])
    return iter(ticks[:place][::-1] if falling else ticks[place:])


def _step(
    price: int, target: int, liquidity: int, left: int, exact_in: bool, zero_for_one: bool, fee_pips: int
) -> tuple[int, int, int, int]:
    """SwapMath.computeSwapStep: price afterwards, paid in, paid out, fee."""
    in_delta, out_delta = (_delta0, _delta1) if zero_for_one else (_delta1, _delta0)
    if exact_in:
        without_fee = left * (_PIPS - fee_pips) // _PIPS
        reached = without_fee >= in_delta(price, target, liquidity, True)
        after = target if reached else _price_after_in(price, liquidity, without_fee, zero_for_one)
    else:
        reached = left >= out_delta(price, target, liquidity, False)
        after = target if reached else _price_after_out(price, liquidity, left, zero_for_one)
    paid = in_delta(price, after, liquidity, True)
    got = out_delta(price, after, liquidity, False)
    if not exact_in:
        got = min(got, left)
    fee = left - paid if exact_in and after != target else _up(paid * fee_pips, _PIPS - fee_pips)
    return after, paid, got, fee


def _delta0(a: int, b: int, liquidity: int, up: bool) -> int:
    low, high = min(a, b), max(a, b)
    product = (liquidity << 96) * (high - low)
    return _up(_up(product, high), low) if up else product // high // low


def _delta1(a: int, b: int, liquidity: int, up: bool) -> int:
    product = liquidity * abs(a - b)
    return _up(product, _Q96) if up else product // _Q96


def _up(a: int, b: int) -> int:
    return (a + b - 1) // b


def _price_after_in(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    if zero_for_one:
        scaled = liquidity << 96
        return _up(scaled * price, scaled + amount * price)
    return price + (amount << 96) // liquidity


def _price_after_out(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    if zero_for_one:
        return price - _up(amount << 96, liquidity)
    scaled = liquidity << 96
    return _up(scaled * price, scaled - amount * price)
