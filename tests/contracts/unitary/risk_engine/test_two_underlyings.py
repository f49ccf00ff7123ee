"""RiskEngine with ETH and BTC: nothing offsets across underlyings, limits that are shared are shared.

A price is asked for where it counts.
"""

import pytest

from keeper.domain.series import Position, Series
from tests.contracts.chain import HOUR, USDC, WAD, reverts
from tests.contracts.protocol import BTC, BTC_SHORT, BTC_SPOT, ETH, LOOSE, SHORT, SPOT, Leg, wad

CASH = 10**6 * WAD


@pytest.fixture
def quoted(both):
    """Both underlyings have a listed at-the-money call and put of the same expiry."""
    expiry = both.expiry()
    for underlying, strike in ((ETH, 3_000), (BTC, 90_000)):
        both.post_slice(expiry, underlying=underlying)
        for is_call in (True, False):
            both.list_series(strike, is_call, expiry, underlying)
    return both


def position(protocol, underlying, is_call, size):
    """A packed position in one of the listed series."""
    found = [Position.from_slot(slot).series for slot in protocol.book.live_book()]
    series = next(s for s in found if (s.underlying, s.is_call) == (underlying, is_call))
    return Position(Series.from_slot(series.id), wad(size)).slot


def assess(protocol, *book, venues=()):
    return protocol.risk.assess(list(book), list(venues), CASH)


def gap_loss(assessment):
    return assessment.nav_bid - assessment.gap_headroom


@pytest.mark.parametrize("btc_is_call", [True, False])
def test_margin_and_gap_loss_of_two_underlyings_are_those_of_each_added_up(quoted, btc_is_call):
    """A short ETH call loses when prices rise; a short BTC put then gains, which does not count."""
    eth, btc = position(quoted, ETH, True, -20), position(quoted, BTC, btc_is_call, -0.7)

    together, alone = assess(quoted, eth, btc), [assess(quoted, eth), assess(quoted, btc)]

    assert together.maintenance == sum(a.maintenance for a in alone)
    assert gap_loss(together) == sum(gap_loss(a) for a in alone)
    assert together.nav_bid - CASH == sum(a.nav_bid - CASH for a in alone)
    assert together.short_notional == sum(a.short_notional for a in alone)
    for greek in ("delta", "gamma", "vega"):
        assert getattr(together, greek) == [getattr(a, greek)[u] for u, a in enumerate(alone)]


def test_spot_of_one_underlying_does_not_hedge_options_of_the_other(quoted):
    quoted.loosen()
    quoted.rebalance(quoted.leg(BTC_SPOT, 1))
    venues = quoted.vault.all_venues()
    eth = position(quoted, ETH, True, -20)

    hedged = assess(quoted, eth, venues=venues)

    assert hedged.maintenance == assess(quoted, eth).maintenance + assess(quoted, venues=venues).maintenance
    assert gap_loss(hedged) == gap_loss(assess(quoted, eth)) + gap_loss(assess(quoted, venues=venues))
    assert hedged.delta[BTC] == WAD


def test_spot_of_the_same_underlying_does(quoted):
    quoted.loosen()
    quoted.rebalance(quoted.leg(BTC_SPOT, 0.35))
    btc = position(quoted, BTC, True, -0.7)

    assert assess(quoted, btc, venues=quoted.vault.all_venues()).maintenance < assess(quoted, btc).maintenance


def test_doubt_of_a_price_raises_the_initial_margin_of_its_underlying_only(quoted):
    eth, btc = position(quoted, ETH, True, -20), position(quoted, BTC, True, -0.7)

    quoted.market.push_pool(94_000, quoted.market.btc_pool)
    quoted.market.wait(360)

    of_eth, of_btc, of_both = assess(quoted, eth), assess(quoted, btc), assess(quoted, eth, btc)
    assert [quoted.price_oracle.read(u).doubt for u in (ETH, BTC)] == [False, True]
    assert (of_eth.doubt, of_btc.doubt, of_both.doubt) == (False, True, True)
    assert of_eth.initial == of_eth.maintenance * 5 // 4
    assert of_btc.initial == of_btc.maintenance * 5 // 4 * 3 // 2
    assert of_both.initial == of_eth.initial + of_btc.initial


def test_a_delta_of_one_underlying_is_not_made_good_by_the_other(both):
    """20,000 USDC of delta is the band of 1,000,000: 0.3 BTC is beyond it whatever ETH does."""
    with reverts("risk: delta band"):
        both.rebalance(both.leg(BTC_SPOT, 0.3), both.leg(SHORT, -6))

    both.rebalance(both.leg(BTC_SPOT, 0.2), both.leg(SPOT, 6))

    assert both.vault.assessment().delta == [6 * WAD, WAD // 5]


def test_gross_leverage_is_of_both_together(both):
    both.loosen()
    both.risk.set_limits(LOOSE._replace(gross_leverage=wad(0.5)), sender=both.governor)
    both.rebalance(both.leg(SPOT, 90))

    with reverts("risk: gross leverage"):
        both.rebalance(both.leg(BTC_SPOT, 2.7))

    both.rebalance(both.leg(BTC_SPOT, 2))
    assert both.vault.assessment().gross == pytest.approx(450_000 * WAD, rel=1e-9)


@pytest.mark.parametrize("legs", [[(BTC_SPOT, 2.7), (SPOT, 100)], [(SPOT, 100), (BTC_SPOT, 2.7)]])
def test_the_loss_bucket_is_shared(both, legs):
    """Each alone fits into 10 bp, 1,000 USDC: 0.3 % and impact of 243,000 USDC, 0.05 % and impact of 300,000."""
    both.loosen(loss_capacity=wad(0.001), loss_per_day=0)
    first, second = legs
    both.rebalance(both.leg(*first))

    with reverts("budget: exhausted"):
        both.rebalance(both.leg(*second))


def test_one_rebalance_trades_in_the_venues_of_both(both):
    both.loosen()
    sequence = both.hedger.sequence()

    both.rebalance(both.leg(SPOT, 20), both.leg(SHORT, -30), both.leg(BTC_SPOT, 0.5), both.leg(BTC_SHORT, -1))

    a = both.vault.assessment()
    assert both.hedger.sequence() == sequence + 1
    assert [units / WAD for units in a.delta] == pytest.approx([-10, -0.5])
    assert a.gross == pytest.approx((50 * 3_000 + 1.5 * 90_000) * WAD, rel=1e-6)
    assert both.ledger_problems([both.depositor]) == []


# ---------------------------------------------------------------- one feed is silent


@pytest.fixture
def silent_btc(quoted):
    """ETH options sold; BTC/USD has had no round for longer than its limit of age, the other feeds are fresh."""
    series = position(quoted, ETH, True, 0)
    quoted.sell(series, 2 * WAD)
    quoted.market.pass_time(HOUR + 301)
    quoted.market.submit(3_000)
    quoted.market.submit_usdc()
    return quoted


def test_a_price_that_nothing_needs_stops_nothing(silent_btc):
    """The vault lists venues for both and holds ETH only: deposits, exits, trades and hedges go on."""
    vault, depositor = silent_btc.vault, silent_btc.depositor
    eth = position(silent_btc, ETH, True, 0)
    silent_btc.post_slice(Position.from_slot(eth).series.expiry)

    silent_btc.deposit(1_000 * USDC)
    vault.redeem(WAD, depositor, depositor, sender=depositor)
    silent_btc.sell(eth)
    silent_btc.rebalance(silent_btc.leg(SPOT, 1), silent_btc.leg(SHORT, -0.1))

    a = vault.assessment()
    assert (a.spot[ETH], a.spot[BTC], a.twap[BTC]) == (3_000 * WAD, 0, 0)
    assert not a.venue_failed
    assert vault.maxRedeem(depositor) > 0


def test_no_option_is_traded_where_there_is_no_price(silent_btc):
    with reverts("oracle: stale"):
        silent_btc.quote(position(silent_btc, BTC, True, 0))


@pytest.mark.parametrize("back", [False, True], ids=["opened", "opened and closed again"])
@pytest.mark.parametrize(("venue", "units", "limit"), [(BTC_SPOT, 0.1, 91_000), (BTC_SHORT, -0.1, 89_000)])
def test_no_hedge_is_opened_where_there_is_no_price(silent_btc, venue, units, limit, back):
    legs = [Leg(venue, 0, wad(units), wad(limit)), Leg(venue, 0, -wad(units), wad(180_000 - limit))]

    with reverts("risk: no price"):
        silent_btc.rebalance(*legs[: 1 + back])


def test_dust_of_debt_needs_no_price(quoted):
    """Fifty satoshi that a purchase has left: the dead-man switch works without a price, and legs wait for one."""
    quoted.rebalance(quoted.leg(BTC_SHORT, -0.1))
    quoted.rebalance(quoted.leg(BTC_SHORT, 0.0999995))
    quoted.market.pass_time(HOUR + 301)
    quoted.market.submit(3_000)
    assert 0 < -quoted.btc_short.state(WAD).exposure <= 10**12
    assert quoted.vault.assessment().spot[BTC] == 0

    assert quoted.hedger.limits_hold()
    quoted.hedger.heartbeat(sender=quoted.keeper)
    for amount in (0, 5 * 10**11):  # collateral of its health, or the dust itself
        with reverts("risk: no price"):
            quoted.rebalance(Leg(BTC_SHORT, 0, amount, wad(91_000)))


def test_a_position_without_a_price_stops_what_needs_a_nav(silent_btc):
    eth, btc = position(silent_btc, ETH, True, -1), position(silent_btc, BTC, True, -0.01)

    assert assess(silent_btc, eth).spot[BTC] == 0
    with reverts("oracle: stale"):
        assess(silent_btc, eth, btc)


@pytest.mark.parametrize(("venue", "units"), [(BTC_SPOT, 0.1), (BTC_SHORT, -0.1)])
def test_an_exposure_without_a_price_stops_what_needs_a_nav(quoted, venue, units):
    quoted.rebalance(quoted.leg(venue, units))
    quoted.market.pass_time(HOUR + 301)
    quoted.market.submit(3_000)

    with reverts("risk: no price"):
        quoted.vault.assessment()
    depositor = quoted.depositor
    assert quoted.vault.maxRedeem(depositor) == quoted.vault.maxDeposit(depositor) == 0


def test_settlement_and_payouts_need_no_price_of_the_other_underlying(silent_btc):
    """Invariant 42: fixed payouts live whatever the other feed does."""
    market, book, taker = silent_btc.market, silent_btc.book, silent_btc.taker
    series = position(silent_btc, ETH, True, 0)
    expiry = Position.from_slot(series).series.expiry
    market.pass_time(expiry - HOUR - market.now)
    market.submit_usdc()
    usdc_round = market.usdc_feed.latestRound()
    market.pass_time(HOUR + 60)
    round_id = market.submit(3_100)
    had = market.usdc.balanceOf(taker)

    book.settle(ETH, expiry, round_id, usdc_round, sender=silent_btc.stranger)
    silent_btc.clearing.fund(sender=silent_btc.stranger)
    silent_btc.clearing.claim(Position.from_slot(series).series.id, sender=taker)

    assert market.usdc.balanceOf(taker) - had == 200 * USDC


def test_it_ends_with_the_next_round(silent_btc):
    silent_btc.market.submit_btc(90_000)

    silent_btc.vault.redeem(WAD, silent_btc.depositor, silent_btc.depositor, sender=silent_btc.depositor)
