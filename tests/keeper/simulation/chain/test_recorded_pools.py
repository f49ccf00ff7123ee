"""Recorded pools: the snapshot has the ticks of the recording, and the market its price."""

import gzip
import json

import pytest

from keeper.simulation.chain.mainnet import mainnet
from keeper.simulation.chain.recorded_pools import intervals, with_recording
from keeper.simulation.contract_calls import read
from keeper.simulation.fork import start_snapshot

RECORDING = mainnet().recording
needs_recording = pytest.mark.skipif(RECORDING is None, reason="no recorded pools (KEEL_DATA)")
Q96 = 2**96
NEAR = 6_000  # ticks: a price factor of 1.8, inside of where intervals are exact


def test_intervals_have_the_liquidity_that_is_active_above_each_tick():
    ticks = [(-600, 100), (0, 50), (60, -50), (600, -100)]

    assert intervals(30, ticks) == [(-600, 0, 100), (0, 60, 150), (60, 600, 100)]


def test_an_interval_without_liquidity_is_left_out():
    assert intervals(30, [(-600, 100), (0, -100), (60, 70), (600, -70)]) == [(-600, 0, 100), (60, 600, 70)]


def test_far_from_the_price_the_least_liquidity_stands_for_all():
    far, farther, farthest = 20_000, 40_000, 60_000
    ticks = [(-farthest, 7), (-farther, 2), (-60, 91), (60, -90), (far, -4), (farther, -1), (farthest, -5)]

    assert intervals(0, ticks) == [(-60, 60, 100), (-farthest, -60, 7), (60, farthest, 5)]


@needs_recording
def test_markets_start_at_the_recorded_prices():
    eth, btc = with_recording(mainnet()).markets

    assert eth.price_usd == pytest.approx(2_722.7, abs=0.1)
    assert btc.price_usd == pytest.approx(82_509, abs=1)


@needs_recording
def test_the_snapshot_has_the_recorded_liquidity_at_every_tick_near_the_price():
    with gzip.open(RECORDING) as file:
        recorded = {(pool["token1"]["symbol"], pool["fee_pips"]): pool for pool in json.load(file)}
    compared = 0

    with start_snapshot(mainnet()) as chain:
        for market in mainnet().markets:
            for pool in market.pools:
                kept = recorded["WETH" if market.symbol == "ETH" else "USDC", pool.fee]
                slot = read(chain.rpc, pool.address, "slot0()", "(uint160,int24,uint16,uint16,uint16,uint8,bool)")
                assert slot[0] == pytest.approx(int(kept["sqrt_price_x96"]), rel=1e-3)  # the snapshot's trades
                for tick, net in kept["ticks"]:
                    if -NEAR <= tick - kept["tick"] <= NEAR:
                        types = "(uint128,int128,uint256,uint256,int56,uint160,uint32,bool)"
                        found = read(chain.rpc, pool.address, "ticks(int24)", types, tick)[1]
                        assert found == pytest.approx(int(net), abs=1e-6 * int(kept["liquidity"])), (pool.address, tick)
                        compared += 1

    assert compared > 1_000
