"""AaveV3Short with WBTC: debt in a token of eight decimals, which Aave rounds up, against USDC."""

import pytest
from boa import BoaError
from eth_utils.crypto import keccak

from tests.contracts.chain import DAY, USDC, WAD, reason
from tests.contracts.protocol import BTC, BTC_SHORT, HEALTH_FLOOR, HEALTH_TARGET, SHORT, wad

SATOSHI = 10**10  # in WAD
PRICE = 90_000 * WAD
INVALID_AMOUNT = keccak(text="InvalidAmount()")[:4]  # Aave's
THRESHOLD = 0.78  # of USDC on the snapshot's Aave


@pytest.fixture
def loose(both):
    """No bands."""
    both.loosen()
    return both


@pytest.fixture
def short(loose):
    """Two WBTC short."""
    loose.rebalance(loose.leg(BTC_SHORT, -2))
    return loose


def state(protocol, price=90_000):
    return protocol.btc_short.state(price * WAD)


def is_empty(protocol):
    market, venue = protocol.market, protocol.btc_short
    balances = [token.balanceOf(venue) for token in (market.usdc, market.wbtc)]
    return state(protocol).exposure == state(protocol).equity == venue.supplied() == 0 and balances == [0, 0]


def test_a_short_is_collateral_less_debt(short):
    now = state(short)

    assert now.underlying == BTC
    assert 0 <= -now.exposure - 2 * WAD <= SATOSHI
    assert now.exposure % SATOSHI == 0
    assert now.equity == pytest.approx(180_000 * (1.8 / THRESHOLD - 1) * WAD, rel=1e-7)
    assert now.health == pytest.approx(HEALTH_TARGET, rel=1e-7)
    assert short.ledger_problems([short.depositor]) == []


def test_opening_costs_the_pools_fee_and_impact_and_no_more(loose):
    before = loose.vault.assessment().nav_mid

    loose.rebalance(loose.leg(BTC_SHORT, -1))

    lost = before - loose.vault.assessment().nav_mid
    assert 0.003 * 90_000 * WAD < lost < 0.0035 * 90_000 * WAD


def test_equity_falls_as_the_price_rises_and_is_never_negative(short):
    at = {price: state(short, price).equity for price in (90_000, 93_000, 300_000)}

    assert at[90_000] - at[93_000] == pytest.approx(6_000 * WAD, rel=1e-7)
    assert at[300_000] == 0


def test_odd_parts_of_a_short_add_up_to_within_a_satoshi_each(loose):
    parts = (-0.12345678, -0.87654321, -0.00000901)
    for units in parts:
        loose.rebalance(loose.leg(BTC_SHORT, units))

    assert 0 <= -state(loose).exposure - wad(1.00000900) <= len(parts) * SATOSHI
    assert state(loose).health == pytest.approx(HEALTH_TARGET, rel=1e-6)


def test_the_smallest_short_has_its_collateral_rounded_up(both):
    """A satoshi is 0.0009 USDC: 900 smallest units; 900 * 1.8 / 0.78 is a little less than 2,077, and it brings 900."""
    assert both.btc_short.funding(-SATOSHI, PRICE) == 2_077 - 900
    assert both.btc_short.funding(-2 * WAD, PRICE) == pytest.approx(180_000 * (1.8 / THRESHOLD - 1) * USDC, abs=2)


@pytest.mark.parametrize("change", [1 - SATOSHI, SATOSHI - 1])
def test_a_trade_of_less_than_a_satoshi_is_refused(short, change):
    """By the pool, since nothing is swapped; before it by Aave, when since the last trade interest has come to one unit
    of USDC that is too small to be supplied."""
    with pytest.raises(BoaError) as refused:
        short.rebalance(short.leg(BTC_SHORT, 1)._replace(delta_change=change, limit_price=PRICE))

    assert reason(refused.value) == "AS" or refused.value.call_trace.output == INVALID_AMOUNT


def test_part_of_a_short_is_bought_back_and_its_collateral_comes_with_it(short):
    idle, equity = short.vault.idle(), state(short).equity // 10**12

    short.rebalance(short.leg(BTC_SHORT, 0.5))

    assert abs(state(short).exposure + 3 * WAD // 2) <= 2 * SATOSHI  # Aave rounds both up, loan and what is left
    assert state(short).health == pytest.approx(HEALTH_TARGET, rel=1e-6)
    released = short.vault.idle() - idle
    assert equity - state(short).equity // 10**12 - 200 * USDC < released < equity - state(short).equity // 10**12


def test_the_last_satoshi_is_bought_back_and_all_collateral_returns(short):
    """After a month of interest, which no round number of satoshis pays."""
    short.market.wait(30 * DAY)
    owed = -state(short).exposure
    assert owed > 2 * WAD + 10 * SATOSHI
    equity, idle = state(short).equity // 10**12, short.vault.idle()

    short.rebalance(short.leg(BTC_SHORT, 2.1))

    assert is_empty(short)
    assert idle + equity - 1_000 * USDC < short.vault.idle() < idle + equity
    assert short.ledger_problems([short.depositor]) == []


def test_a_debt_of_a_few_satoshis_can_be_closed(short):
    """Rounding in Aave's favour must not leave a debt that the venue cannot repay."""
    short.rebalance(short.leg(BTC_SHORT, 1.99999999))
    assert -3 * SATOSHI <= state(short).exposure <= -SATOSHI

    short.rebalance(short.leg(BTC_SHORT, 0.1))

    assert is_empty(short)


def test_health_that_fell_below_the_floor_is_restored(short):
    short.market.move(btc=110_000)
    fallen = state(short, 110_000).health

    short.rebalance(short.leg(BTC_SHORT, 0))

    assert fallen < HEALTH_FLOOR
    assert state(short, 110_000).health == pytest.approx(HEALTH_TARGET, rel=1e-6)


def test_each_short_has_its_own_collateral(short):
    """Aave counts an account as a whole: in one account a rise of BTC would take ETH's collateral."""
    short.rebalance(short.leg(SHORT, -20))
    ether = short.short.state(3_000 * WAD)

    short.market.move(btc=110_000)

    after = short.short.state(3_000 * WAD)
    assert after.health == pytest.approx(ether.health, rel=1e-6)
    assert state(short, 110_000).health < HEALTH_FLOOR


def test_a_gift_of_atokens_counts_for_nothing(short):
    market, giver = short.market, short.stranger
    market.mint(giver, 50_000 * USDC)
    market.usdc.approve(market.aave, 50_000 * USDC, sender=giver)
    before = state(short)

    market.aave.supply(market.usdc, 50_000 * USDC, short.btc_short, 0, sender=giver)

    assert state(short).exposure == before.exposure
    assert 0 <= before.equity - state(short).equity <= 10**12  # one unit of rounding, against the vault
