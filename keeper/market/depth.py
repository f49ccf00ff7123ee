"""A Uniswap v3 pool at one block, with the ticks that a leg can reach.

Instead of looking for initialised ticks in the pool's bitmap and then asking for them, every multiple of the tick
spacing in reach is asked for at once: one request less, and in the deep pools most of them are initialised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from keeper.chain.abi import signature
from keeper.chain.multicall import Answer, Batch
from keeper.domain.snapshot import PoolState
from keeper.venues.ticks import MAX_TICK, MIN_TICK
from keeper.venues.uniswap_v3 import pool_price

_TOKEN0 = signature("token0()(address)")
_FEE = signature("fee()(uint24)")
_SPACING = signature("tickSpacing()(int24)")
_LIQUIDITY = signature("liquidity()(uint128)")
_SLOT0 = signature("slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)")
_TICK = signature("ticks(int24)(uint128,int128)")  # the first two words: gross and net liquidity
_LOG_TICK: Final = math.log(1.0001)
_MOST: Final = 160  # ticks asked for on either side: a spacing of 1 and a slippage of 0.75 % need 151


@dataclass(frozen=True, slots=True)
class PoolNow:
    """A pool's answers."""

    address: str
    fee: Answer
    spacing: Answer
    slot0: Answer
    liquidity: Answer
    token0: Answer

    def at(self, usdc: str, token_decimals: int) -> PoolState:
        """Without ticks; after the batch has run."""
        return PoolState(
            address=self.address,
            fee_pips=self.fee.value,
            sqrt_price_x96=self.slot0.value[0],
            liquidity=self.liquidity.value,
            tick=self.slot0.value[1],
            usdc_is_token0=self.token0.value == usdc,
            token_decimals=token_decimals,
        )


@dataclass(frozen=True, slots=True)
class Ticks:
    """Answers for ticks, rising, of which the first and the last end what is known."""

    asked: tuple[tuple[int, Answer], ...]

    def value(self) -> tuple[tuple[int, int], ...]:
        """As `PoolState.ticks`; after the batch has run."""
        last = len(self.asked) - 1
        nets = [(tick, answer.value[1]) for tick, answer in self.asked]
        return tuple((tick, net) for i, (tick, net) in enumerate(nets) if net != 0 or i in (0, last))


def ask_pool(batch: Batch, pool: str) -> PoolNow:
    """Everything of a pool but its ticks."""
    views = (_FEE, _SPACING, _SLOT0, _LIQUIDITY, _TOKEN0)
    return PoolNow(pool, *(batch.add(f"pool {pool}", pool, view) for view in views))


def ask_ticks(batch: Batch, pool: PoolState, spacing: int, spot: float, slippage: float) -> Ticks:
    """Those that a trade meets whose average price is within ``slippage``, a share, of the oracle's ``spot``.

    Where liquidity is even, the average price of a trade is the root of the prices before and after it: the price
    goes twice as far, in logarithms, as the average may. A pool without a price, or of an underlying without one, has
    none to ask for.
    """
    if pool.sqrt_price_x96 == 0 or spot == 0:
        return Ticks(())
    above_oracle = math.log(pool_price(pool) / spot) / _LOG_TICK * (-1 if pool.usdc_is_token0 else 1)
    room = math.log1p(slippage) / _LOG_TICK
    falling, rising = (_count(room + side, spacing) for side in (above_oracle, -above_oracle))
    first = pool.tick // spacing
    lowest, highest = -(-MIN_TICK // spacing), MAX_TICK // spacing
    ticks = [i * spacing for i in range(max(first - falling + 1, lowest), min(first + rising, highest) + 1)]
    label = f"pool {pool.address}"
    return Ticks(tuple((tick, batch.add(label, pool.address, _TICK, tick)) for tick in ticks))


def _count(room: float, spacing: int) -> int:
    """Ticks on the side where the average price may go by ``room`` ticks: the last is beyond what a trade reaches."""
    return min(1 + math.ceil(2 * max(room, 0.0) / spacing), _MOST)
