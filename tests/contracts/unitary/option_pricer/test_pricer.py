"""OptionPricer: the constructor, marks and option_risk. Their numbers are compared with mpmath elsewhere."""

import pytest

from keeper.pricing.normal_table import normal_table
from keeper.simulation.chain import addresses
from tests.contracts.chain import HOUR, WAD, reverts
from tests.contracts.protocol import ETH, ZERO, fault, load


@pytest.mark.parametrize("underlyings", [0, 3])
def test_number_of_underlyings_is_one_or_two(protocol, underlyings):
    with reverts("pricer: number of underlyings"):
        load("OptionPricer").deploy(protocol.price_oracle, protocol.vol_oracle, underlyings, list(normal_table()))


def test_a_changed_table_is_refused(protocol):
    table = list(normal_table())
    table[17] += 1

    with reverts("normal: wrong table"):
        load("OptionPricer").deploy(protocol.price_oracle, protocol.vol_oracle, 1, table)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("strike", [1_500, 2_900, 3_000, 3_100, 6_000])
def test_marks_are_ordered_and_bounded(protocol, is_call, strike):
    """Invariant 27: within no-arbitrage bounds of the shifted spots."""
    series = protocol.open_series(strike, is_call)

    marks = protocol.pricer.marks(series)

    top = 3_015 * WAD if is_call else strike * WAD
    intrinsic = max(3_000 - strike if is_call else strike - 3_000, 0) * WAD
    assert 0 <= marks.bid <= marks.mid <= marks.ask <= top
    assert intrinsic <= marks.mid
    assert (marks.spot, marks.posted_at) == (3_000 * WAD, protocol.market.now)


def test_put_call_parity_holds_at_mid(protocol):
    """Invariant 26, without carry: call - put = spot - strike."""
    call, put = protocol.open_series(2_800), protocol.list_series(2_800, is_call=False)

    difference = protocol.pricer.marks(call).mid - protocol.pricer.marks(put).mid

    assert abs(difference - 200 * WAD) <= 1


def test_an_expired_series_is_worth_its_intrinsic_value(funded, sold):
    funded.reach_expiry(funded.expiry(), 3_500)

    (risk,) = funded.pricer.option_risk(funded.book.live_book())

    assert risk.unfixed
    assert risk.bid == risk.mid == risk.ask == -5_000 * WAD


def test_an_expired_series_without_a_round_yet_does_not_wait_for_its_fixing(funded, sold):
    expiry = funded.expiry()
    funded.market.wait(expiry - HOUR // 2 - funded.market.now)
    funded.market.pass_time(HOUR // 2)

    (risk,) = funded.pricer.option_risk(funded.book.live_book())

    assert not risk.unfixed


def test_an_empty_book_has_prices_and_no_risk(protocol):
    (risk,) = protocol.pricer.option_risk([])

    assert risk.spot == 3_000 * WAD
    assert (risk.bid, risk.delta, risk.short_notional, set(risk.pnl)) == (0, 0, 0, {0})


def test_short_options_are_marked_against_the_vault(funded, sold):
    (risk,) = funded.pricer.option_risk(funded.book.live_book())

    assert risk.bid < risk.mid < risk.ask < 0
    assert risk.short_notional == 10 * 3_000 * WAD
    assert -10 * WAD < risk.delta < 0
    assert risk.gamma < 0
    assert risk.vega < 0


def test_marks_need_a_slice(protocol):
    series = protocol.list_series()

    with reverts("vol: no slice"):
        protocol.pricer.marks(series)


def test_marks_need_a_fresh_price(protocol):
    series = protocol.open_series()
    protocol.market.pass_time(3_901)

    with reverts("oracle: stale"):
        protocol.pricer.marks(series)


def test_knows_its_oracles(protocol):
    assert protocol.pricer.PRICE_ORACLE() == protocol.price_oracle.address
    assert protocol.pricer.VOL_ORACLE() == protocol.vol_oracle.address
    assert protocol.pricer.UNDERLYINGS() == ETH + 1


def test_a_forward_beyond_its_range_is_refused(market, protocol):
    """Carry of 50 % on the highest price that the feed can give is far below it: this takes a lying feed."""
    feed = fault("LyingFeed", 8, 1)
    feed.set_round((1 << 64) | 1, 10**30, market.now)
    row = (feed, 3_900, addresses.POOL_USDC_WETH_500, True, 18)
    lied_to = load("PriceOracle").deploy(protocol.governor, [row], market.usdc_feed, 90_000, ZERO)
    pricer = load("OptionPricer").deploy(lied_to, protocol.vol_oracle, 1, list(normal_table()))

    with reverts("pricer: forward too large"):
        pricer.marks(protocol.open_series())
