"""PriceOracle.read, count and the constructor: spot in USDC, checked against age, TWAP and peg."""

import pytest

from keeper.simulation.chain import addresses
from keeper.simulation.driver import OPERATOR
from tests.contracts.chain import WAD, reverts
from tests.contracts.protocol import ETH, ZERO, fault, load


def oracle(market, feed=None, usdc_feed=None, pool=None, sequencer=ZERO):
    """A PriceOracle with one of its sources replaced."""
    pool = pool or addresses.POOL_USDC_WETH_500
    row = (feed or market.feed, 3_900, pool, True, 18)
    return load("PriceOracle").deploy(OPERATOR, [row], usdc_feed or market.usdc_feed, 90_000, sequencer)


@pytest.fixture
def liar(market):
    """A feed that answers what it is told, here 3,000 USD now."""
    feed = fault("LyingFeed", 8, 1)
    feed.set_round((1 << 64) | 1, 3_000 * 10**8, market.now)
    return feed


def test_price_is_the_feeds_answer_in_usdc(protocol):
    protocol.market.submit(3_030)
    protocol.market.submit_usdc(1.01)

    reading = protocol.price_oracle.read(ETH)

    assert reading.price == 3_000 * WAD
    assert reading.updated_at == protocol.market.now


def test_twap_follows_the_pool_over_five_minutes(protocol):
    protocol.market.push_pool(3_060)
    at_once = protocol.price_oracle.read(ETH).twap
    protocol.market.pass_time(150)
    half_way = protocol.price_oracle.read(ETH).twap
    protocol.market.pass_time(150)

    assert abs(at_once - 3_000 * WAD) < WAD
    assert abs(half_way - 3_029.9 * WAD) < WAD
    assert abs(protocol.price_oracle.read(ETH).twap - 3_060 * WAD) < WAD


@pytest.mark.parametrize(("pool_price", "doubt"), [(3_080, False), (3_100, True), (2_920, False), (2_900, True)])
def test_doubt_when_the_twap_is_three_per_cent_off(protocol, pool_price, doubt):
    protocol.market.push_pool(pool_price)
    protocol.market.wait(360)

    assert protocol.price_oracle.read(ETH).doubt is doubt


@pytest.mark.parametrize(("usdc", "doubt"), [(0.9901, False), (0.9899, True), (1.0099, False), (1.0101, True)])
def test_doubt_when_usdc_leaves_its_peg(protocol, usdc, doubt):
    protocol.market.submit(3_000 * usdc)
    protocol.market.submit_usdc(usdc)

    assert protocol.price_oracle.read(ETH).doubt is doubt


def test_doubt_ends_by_itself(protocol):
    protocol.market.push_pool(3_200)
    protocol.market.wait(360)
    protocol.market.push_pool(3_000)
    protocol.market.wait(360)

    assert not protocol.price_oracle.read(ETH).doubt


def test_a_pool_without_history_gives_no_twap_and_doubt(market):
    reading = oracle(market, pool=market.empty_pool().address).read(0)

    assert (reading.price, reading.twap, reading.doubt) == (3_000 * WAD, 0, True)


def test_a_stale_answer_is_refused(protocol):
    protocol.market.pass_time(3_900)
    protocol.price_oracle.read(ETH)
    protocol.market.pass_time(1)

    with reverts("oracle: stale"):
        protocol.price_oracle.read(ETH)


def test_a_stale_answer_for_usdc_is_refused(protocol):
    protocol.market.pass_time(90_001)
    protocol.market.submit(3_000)

    with reverts("oracle: stale"):
        protocol.price_oracle.read(ETH)


def test_an_answer_from_the_future_is_refused(market, liar):
    liar.set_round((1 << 64) | 2, 3_000 * 10**8, market.now + 1)

    with reverts("oracle: stale"):
        oracle(market, feed=liar).read(0)


@pytest.mark.parametrize("answer", [0, -1, -3_000 * 10**8])
@pytest.mark.parametrize("which", ["feed", "usdc_feed"])
def test_an_answer_of_zero_or_less_is_refused(market, liar, answer, which):
    liar.set_round((1 << 64) | 2, answer, market.now)

    with reverts("oracle: no answer"):
        oracle(market, **{which: liar}).read(0)


UP, DOWN = 0, 1
GRACE = 3_600


@pytest.fixture
def sequencer(market):
    """`sequencer(status, since, refreshed)`: an uptime feed last changed and last refreshed so many seconds ago."""

    def feed(status, since, refreshed=0):
        made = fault("LyingFeed", 0, 1)
        made.set_round_since((1 << 64) | 1, status, market.now - since, market.now - refreshed)
        return made

    return feed


def test_with_the_sequencer_up_for_long_there_is_a_price(market, sequencer):
    assert oracle(market, sequencer=sequencer(UP, since=GRACE)).read(0).price == 3_000 * WAD


@pytest.mark.parametrize("since", [0, 10 * GRACE])
def test_while_the_sequencer_is_down_there_is_no_price(market, sequencer, since):
    with reverts("oracle: sequencer down"):
        oracle(market, sequencer=sequencer(DOWN, since)).read(0)


@pytest.mark.parametrize("since", [0, GRACE - 1])
def test_there_is_no_price_for_an_hour_after_a_sequencer_restart(market, sequencer, since):
    with reverts("oracle: sequencer just up"):
        oracle(market, sequencer=sequencer(UP, since)).read(0)


def test_a_refresh_of_the_uptime_feed_does_not_begin_the_hour_again(market, sequencer):
    """aave-v3-core#926: a check of updatedAt instead of startedAt would refuse here."""
    feed = sequencer(UP, since=GRACE, refreshed=0)

    assert oracle(market, sequencer=feed).read(0).price == 3_000 * WAD


def test_an_uptime_feed_without_a_round_counts_as_down(market):
    with reverts("oracle: sequencer down"):
        oracle(market, sequencer=fault("LyingFeed", 0, 1)).read(0)


def test_an_unknown_underlying_is_refused(protocol):
    with reverts():
        protocol.price_oracle.read(1)


def test_counts_its_markets(protocol):
    assert protocol.price_oracle.count() == 1


@pytest.mark.parametrize("which", ["feed", "usdc_feed"])
def test_feeds_need_eight_decimals(market, which):
    with reverts("oracle: feed decimals"):
        oracle(market, **{which: fault("LyingFeed", 18, 1)})


def test_at_least_one_market_is_needed(market):
    with reverts("oracle: no markets"):
        load("PriceOracle").deploy(OPERATOR, [], market.usdc_feed, 90_000, ZERO)
