"""The market driver: one block per step, with feeds and pools at the price."""

import pytest

from keeper.simulation.chain.addresses import AAVE_ORACLE, ETH_USD_FEED, POOL_USDC_WETH_500, USDC_USD_FEED, WETH
from keeper.simulation.chain.markets import ETH
from keeper.simulation.contract_calls import read
from keeper.simulation.driver import BLOCK_TIME, MarketDriver, MarketError

ONE_BASIS_POINT = 1e-4
ROUND = "(uint80,int256,uint256,uint256,uint80)"


def latest_round(fork, feed=ETH_USD_FEED):
    return read(fork.rpc, feed, "latestRoundData()", ROUND)


@pytest.mark.parametrize("price", [3_001, 2_700, 3_300, 1_200, 4_800])
def test_a_step_lands_feeds_and_pools_at_the_price(fork, market, price):
    market.step(3_000)

    market.step(price)

    assert market.feed_price("ETH") == price
    aave_source = read(fork.rpc, AAVE_ORACLE, "getSourceOfAsset(address)", "address", WETH)
    assert latest_round(fork, aave_source)[1] == price * 10**8
    for pool in ETH.pools:
        assert market.pool_price("ETH", pool.fee) == pytest.approx(price, rel=ONE_BASIS_POINT)


def test_markets_move_together_or_alone(fork, market):
    market.step({"ETH": 3_100, "BTC": 95_000})

    market.step({"BTC": 81_000})

    assert market.feed_price("ETH") == 3_100
    assert market.feed_price("BTC") == 81_000
    assert market.pool_price("ETH") == pytest.approx(3_100, rel=ONE_BASIS_POINT)
    assert market.pool_price("BTC") == pytest.approx(81_000, rel=ONE_BASIS_POINT)


def test_pools_trade_in_usdc_and_feeds_in_usd(fork, market):
    market.step(3_000, usdc=0.97)

    assert market.feed_price("ETH") == 3_000
    assert market.feed_price("USDC") == 0.97
    assert market.pool_price("ETH") == pytest.approx(3_000 / 0.97, rel=ONE_BASIS_POINT)


def test_a_step_is_one_block_with_the_time_and_base_fee_that_were_asked_for(fork, market):
    before = market.warp(BLOCK_TIME)

    step = market.step(3_030, timestamp=before.timestamp + 60, base_fee=35 * 10**9)

    block = fork.w3.eth.get_block("latest")
    assert step.block_number == block["number"] == before.block_number + 1
    assert step.timestamp == block["timestamp"] == before.timestamp + 60
    assert step.base_fee == block["baseFeePerGas"] == 35 * 10**9


def test_a_quiet_block_lets_the_twap_follow(fork, market):
    market.step(3_000, quiet=300)
    before = fork.w3.eth.get_block("latest")

    step = market.step(3_100, timestamp=before["timestamp"] + 12, quiet=300)

    assert (step.block_number, step.timestamp) == (before["number"] + 2, before["timestamp"] + 312)
    assert market.pool_price("ETH") == pytest.approx(3_100, rel=1e-4)
    assert fork.w3.eth.get_block(step.block_number - 1)["timestamp"] == before["timestamp"] + 12


def test_the_base_fee_stays_when_none_is_given(fork, market):
    market.step(3_000, base_fee=20 * 10**9)

    steps = [market.step(3_000 + turn) for turn in range(10)]

    assert {step.base_fee for step in steps} == {20 * 10**9}


def test_the_oracle_and_the_pools_can_be_moved_apart(fork, market):
    market.step(3_000)

    market.step(3_200, feeds=False)
    market.step(2_900, pools=False)

    assert market.feed_price("ETH") == 2_900
    assert market.pool_price("ETH") == pytest.approx(3_200, rel=ONE_BASIS_POINT)


def test_the_twap_follows_the_price(fork, market):
    market.step(3_000)
    for _ in range(30):
        market.step(3_150)

    cumulatives, _ = read(fork.rpc, POOL_USDC_WETH_500, "observe(uint32[])", "(int56[],uint160[])", [300, 0])

    mean_tick = (cumulatives[1] - cumulatives[0]) / 300
    assert 1e12 / 1.0001**mean_tick == pytest.approx(3_150, rel=2 * ONE_BASIS_POINT)


def test_pools_have_room_for_an_hour_of_observations(fork):
    for pool in ETH.pools:
        slot = read(fork.rpc, pool.address, "slot0()", "(uint160,int24,uint16,uint16,uint16,uint8,bool)")
        assert slot[4] >= 300


def test_the_new_phase_begins_with_rounds_for_a_proof(fork):
    round_id = latest_round(fork)[0]
    phase, aggregator_round = round_id >> 64, round_id & (2**64 - 1)

    times = [
        read(fork.rpc, ETH_USD_FEED, "getRoundData(uint80)", ROUND, (phase << 64) + number)[3]
        for number in range(1, aggregator_round + 1)
    ]

    assert phase >= 2
    assert len(times) >= 3
    assert times == sorted(set(times))


def test_usdc_gets_a_round_only_when_it_changes_or_its_heartbeat_is_due(fork, market):
    market.step(3_000)
    first = latest_round(fork, USDC_USD_FEED)[0]

    market.step(3_001)
    unchanged = latest_round(fork, USDC_USD_FEED)[0]
    market.warp(86_400)
    market.step(3_002)

    assert unchanged == first
    assert latest_round(fork, USDC_USD_FEED)[0] == first + 1


def test_a_second_driver_finds_the_feeds_taken_over(fork):
    before = latest_round(fork)

    MarketDriver(fork.w3).step(3_050)

    after = latest_round(fork)
    assert after[0] == before[0] + 1  # the next round of the same phase
    assert after[1] == 3_050 * 10**8


def test_a_price_outside_the_feed_s_limits_is_refused_with_the_block_that_stays(fork, market):
    with pytest.raises(MarketError, match="reverted"):
        market.step(20_000_000)


def test_funding_adds_to_what_an_account_has(fork, market, new_account, protocols):
    depositor = new_account("depositor")

    for _ in range(2):
        market.fund_usdc(depositor, 5_000_000)
        market.fund_weth(depositor, 10**18)

    assert protocols.usdc.functions.balanceOf(depositor).call() == 10_000_000
    assert protocols.weth.functions.balanceOf(depositor).call() == 2 * 10**18
