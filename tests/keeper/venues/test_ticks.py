"""Swaps across a Uniswap v3 pool's ticks: the contracts' integers, and what hedging makes of them."""

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.domain.snapshot import PoolState
from keeper.simulation.paths import data_dir
from keeper.venues.instrument import Reference, VenueError
from keeper.venues.ticks import MAX_TICK, MIN_TICK, sqrt_price_at, swap
from keeper.venues.uniswap_v3 import average_price, pool_price, sides

Q96 = 2**96
_RECORDING = (data_dir() or Path("absent")) / "dex" / "univ3_pools_2026-01-30.json.gz"
recorded = pytest.mark.skipif(not _RECORDING.exists(), reason="there are no recorded pools")


def pools() -> list[PoolState]:
    """USDC/WETH 0.05 % and 0.3 %, WBTC/USDC 0.3 %, with all their ticks."""
    found: list[dict[str, Any]] = json.loads(gzip.decompress(_RECORDING.read_bytes()))
    made = []
    for i, pool in enumerate(found):
        usdc_first = pool["token0"]["symbol"] == "USDC"
        made.append(
            PoolState(
                f"0x{i:040x}",
                pool["fee_pips"],
                int(pool["sqrt_price_x96"]),
                int(pool["liquidity"]),
                pool["tick"],
                usdc_first,
                pool["token1" if usdc_first else "token0"]["decimals"],
                tuple((int(tick), int(net)) for tick, net in pool["ticks"]),
            )
        )
    return made


def banded(*bands: tuple[int, int, int]) -> tuple[tuple[int, int], ...]:
    """Ticks of positions (lower, upper, liquidity)."""
    net: dict[int, int] = {}
    for lower, upper, liquidity in bands:
        net[lower] = net.get(lower, 0) + liquidity
        net[upper] = net.get(upper, 0) - liquidity
    return tuple(sorted(net.items()))


def test_the_uniswap_v3_books_swap() -> None:
    """Uniswap V3 Development Book (Kuznetsov), first swap: 42 USDC in at 5,000 USDC per ETH, no fee."""
    liquidity = 1517882343751509868544

    done = swap(
        5602277097478614198912276234240, liquidity, 85_176, 0, banded((84_222, 86_129, liquidity)),
        zero_for_one=False, amount=42 * 10**18,
    )  # fmt: skip

    assert done.sqrt_price_x96 == 5604469350942327889444743441197
    assert (done.amount0, done.amount1) == (-8396714242162444, 42 * 10**18)


def test_prices_at_the_outermost_ticks_are_tickmaths() -> None:
    assert sqrt_price_at(MIN_TICK) == 4295128739
    assert sqrt_price_at(MAX_TICK) == 1461446703485210103287273052203988822378723970342
    assert sqrt_price_at(0) == Q96


@settings(deadline=None)
@given(st.integers(-3_000, 3_000))
def test_prices_at_ticks_are_powers_of_1_0001(tick: int) -> None:
    up, down = 10_001 ** max(tick, 0), 10_001 ** max(-tick, 0)
    exact = math.isqrt((up * 10_000 ** max(-tick, 0) << 192) // (down * 10_000 ** max(tick, 0)))

    assert sqrt_price_at(tick) == pytest.approx(exact, abs=max(2, exact >> 63))


@pytest.mark.parametrize("zero_for_one", [True, False])
def test_where_liquidity_changes_each_range_takes_its_part(zero_for_one: bool) -> None:
    """Three ranges of liquidity 3, 1 and 2: amounts are sums of L·Δ√P, or of L·Δ(1/√P), the fee on what is paid."""
    e = 10**21
    ticks = banded((-300, -100, 2 * e), (-100, 100, 3 * e), (100, 200, e), (200, 600, 2 * e))
    target = sqrt_price_at(-200 if zero_for_one else 300)
    ranges = (
        [(3 * e, Q96, sqrt_price_at(-100)), (2 * e, sqrt_price_at(-100), target)]
        if zero_for_one
        else [(3 * e, Q96, sqrt_price_at(100)), (e, sqrt_price_at(100), sqrt_price_at(200)),
              (2 * e, sqrt_price_at(200), target)]
    )  # fmt: skip
    of0 = sum(liquidity * abs(Q96 / a - Q96 / b) for liquidity, a, b in ranges)
    of1 = sum(liquidity * abs(a - b) / Q96 for liquidity, a, b in ranges)
    paid, got = (of0, of1) if zero_for_one else (of1, of0)

    done = swap(Q96, 3 * e, 0, 3_000, ticks, zero_for_one=zero_for_one, amount=int(paid / 0.997))

    amounts = (done.amount0, done.amount1) if zero_for_one else (done.amount1, done.amount0)
    assert amounts == (int(paid / 0.997), pytest.approx(-got, rel=1e-9))
    assert done.sqrt_price_x96 == pytest.approx(target, rel=1e-9)
    assert done.liquidity == 2 * e


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**24), st.booleans(), st.sampled_from([0, 100, 3_000]))
def test_what_an_amount_buys_costs_no_more_when_asked_for_exactly(amount: int, zero_for_one: bool, fee: int) -> None:
    ticks = banded((-60_000, 60_000, 10**24), (-120, 60, 10**22), (60, 6_000, 10**20))
    state = (Q96, 10**24 + 10**22, 0, fee, ticks)
    there = swap(*state, zero_for_one=zero_for_one, amount=amount)
    paid, got = (there.amount0, there.amount1) if zero_for_one else (there.amount1, there.amount0)
    assert paid == amount

    if got:
        back = swap(*state, zero_for_one=zero_for_one, amount=got)
        assert (back.amount1 if zero_for_one else back.amount0) == got
        assert (back.amount0 if zero_for_one else back.amount1) <= amount


def test_more_than_the_known_ticks_hold_is_refused() -> None:
    with pytest.raises(VenueError, match="known ticks"):
        swap(Q96, 10**18, 0, 500, banded((-100, 100, 10**18)), zero_for_one=True, amount=10**30)


# ---------------------------------------------------------------- recorded pools, and what hedging sees of them


@recorded
@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_in_the_current_range_the_walk_is_the_formula_of_the_range(index: int, sign: int) -> None:
    pool = pools()[index]
    units = sign * 0.01

    assert average_price(pool, units) == pytest.approx(average_price(replace(pool, ticks=()), units), rel=1e-4)


@recorded
@pytest.mark.parametrize("index", range(3))
def test_large_trades_cross_ticks_and_cost_more_with_every_unit(index: int) -> None:
    pool = pools()[index]
    sizes = np.geomspace(0.1, 3e6 / pool_price(pool), 25)

    asks, bids = ([average_price(pool, sign * size) for size in sizes] for sign in (1, -1))

    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    assert asks[0] > pool_price(pool) > bids[0]
    crossed = swap(
        pool.sqrt_price_x96, pool.liquidity, pool.tick, pool.fee_pips, pool.ticks,
        zero_for_one=pool.usdc_is_token0, amount=-int(sizes[-1] * 10**pool.token_decimals),
    )  # fmt: skip
    assert crossed.liquidity != pool.liquidity


@recorded
@pytest.mark.parametrize("index", range(3))
def test_hedging_sees_a_square_that_no_trade_within_capacity_exceeds(index: int) -> None:
    pool = pools()[index]
    spot = pool_price(pool)

    buy, sell = sides(pool, Reference(spot, 0.0075))

    for side, sign in ((buy, 1), (sell, -1)):
        assert side.capacity > 0
        first = spot + sign * side.fee
        for size in np.linspace(0.02, 1.0, 12) * side.capacity:
            worse = sign * (average_price(pool, sign * size) - first) * size
            assert worse <= side.impact * size**2 * (1 + 1e-3)
        edge = average_price(pool, sign * side.capacity)
        assert abs(edge / spot - 1) == pytest.approx(0.9 * 0.0075, rel=1e-4)


@recorded
def test_beyond_the_current_range_depth_is_not_what_the_range_promised() -> None:
    """The reason to walk: half a per cent from its price the pool of 0.05 % has another depth than at it."""
    pool = pools()[0]
    walked, promised = (
        sides(each, Reference(pool_price(pool), 0.0075))[0].capacity for each in (pool, replace(pool, ticks=()))
    )

    assert abs(math.log(walked / promised)) > 0.01
