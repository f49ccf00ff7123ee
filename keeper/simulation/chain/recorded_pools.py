"""Recorded Uniswap v3 pools: the liquidity between each pair of initialised ticks, as it was at one block.

The file is gzipped JSON: a list of {"token0": {"address": ..}, "token1": {..}, "fee_pips", "sqrt_price_x96",
"ticks": [[index, liquidityNet], ..]}; net liquidity summed from the lowest tick up is what is active above a tick.
"""

import gzip
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from keeper.simulation.chain.plan import ChainPlan, Market, Profile

_Q96: Final = 2**96
_EXACT: Final = math.log(2, 1.0001)  # ticks: prices from half to twice the recorded one

_Recording = dict[tuple[frozenset[str], int], Profile]


def with_recording(plan: ChainPlan) -> ChainPlan:
    """The plan with the pools of its recording, and each market at the price of its first pool."""
    if plan.recording is None:
        return plan
    recording = _read(plan.recording)
    return replace(plan, markets=tuple(_recorded(plan, market, recording) for market in plan.markets))


def _recorded(plan: ChainPlan, market: Market, recording: _Recording) -> Market:
    pair = frozenset((plan.usdc.lower(), market.token.lower()))
    pools = tuple(replace(pool, profile=recording.get((pair, pool.fee))) for pool in market.pools)
    first = pools[0].profile
    return replace(market, pools=pools, price_usd=_price(plan, market, first) if first else market.price_usd)


def _price(plan: ChainPlan, market: Market, profile: Profile) -> float:
    """USDC for a whole token."""
    ratio: float = (profile.root / _Q96) ** 2
    per_unit = 1 / ratio if int(plan.usdc, 16) < int(market.token, 16) else ratio
    return float(round(per_unit * 10.0 ** (market.decimals - 6), 8))  # what a feed can say


def _read(path: Path) -> _Recording:
    with gzip.open(path) as file:
        pools: list[dict[str, Any]] = json.load(file)
    return {
        (frozenset(pool[token]["address"].lower() for token in ("token0", "token1")), pool["fee_pips"]): Profile(
            int(pool["sqrt_price_x96"]), tuple(intervals(pool["tick"], [(i, int(net)) for i, net in pool["ticks"]]))
        )
        for pool in pools
    }


def intervals(tick: int, ticks: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Liquidity by interval: exact near the price, and two wide intervals beyond.

    Far from the price an interval holds less than one base unit of a token, so that it cannot be minted. There the
    lowest liquidity of the whole side stands for all of it: never more than there was.

    Args:
        tick: Of the price.
        ticks: (index, liquidityNet), ascending.
    """
    active, profile = 0, []
    for (lower, net), (upper, _) in itertools.pairwise(ticks):
        active += net
        profile.append((lower, upper, active))
    near = [entry for entry in profile if entry[0] >= tick - _EXACT and entry[1] <= tick + _EXACT]
    below = [entry for entry in profile if entry[1] <= near[0][0]]
    above = [entry for entry in profile if entry[0] >= near[-1][1]]
    wide = [(side[0][0], side[-1][1], min(liquidity for _, _, liquidity in side)) for side in (below, above) if side]
    return [entry for entry in (*near, *wide) if entry[2] > 0]
