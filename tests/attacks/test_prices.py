"""A11, A12, A13 and A23: prices that are old, impossible, sudden or pushed, and a USDC that is no dollar."""

import boa
import pytest

from tests.attacks.wealth import wealth
from tests.contracts.chain import DAY, HOUR, USDC, WAD, reverts
from tests.contracts.protocol import ETH, SPOT, Protocol, fault, wad

BLOCK = 12  # seconds
NORMAL, REDUCE_ONLY, FROZEN = 1, 2, 4  # ICircuitBreaker.Mode


def everything(p, series):
    """What needs a price, by name."""
    quote = p.quote(series)
    fill = (quote, WAD, p.quoter.address, p.sign(quote))
    legs = [p.leg(SPOT, 0.1)]
    deadline = p.market.now + 60
    return {
        "deposit": lambda: p.vault.deposit(1_000 * USDC, p.depositor, sender=p.depositor),
        "mint": lambda: p.vault.mint(1_000 * WAD, p.depositor, sender=p.depositor),
        "withdraw": lambda: p.vault.withdraw(1_000 * USDC, p.depositor, p.depositor, sender=p.depositor),
        "redeem": lambda: p.vault.redeem(1_000 * WAD, p.depositor, p.depositor, sender=p.depositor),
        "fill": lambda: p.book.fill(*fill, sender=p.taker),
        "rebalance": lambda: p.hedger.rebalance(legs, p.hedger.sequence(), deadline, b"", sender=p.keeper),
        "checkpoint": lambda: p.vault.checkpoint(sender=p.stranger),
    }


# ---------------------------------------------------------------- A11


@pytest.mark.parametrize(
    ("answer", "age", "why"),
    [
        (3_000 * 10**8, 3_901, "oracle: stale"),
        (3_000 * 10**8, -1, "oracle: stale"),
        (0, 0, "oracle: no answer"),
        (-1, 0, "oracle: no answer"),
        (-3_000 * 10**8, 0, "oracle: no answer"),
    ],
    ids=["stale", "from the future", "zero", "minus one", "negative"],
)
def test_a11_with_an_impossible_price_nothing_is_traded_at_any_price(hedged, answer, age, why):
    """Attack A11: nobody gets in or out or trades at it; the limits say so, and nothing has changed when it is over."""
    series = hedged.book.live_book()[0] >> 87 << 87
    hedged.fund(hedged.depositor, 10_000 * USDC)
    hedged.fund(hedged.taker, 10_000 * USDC, hedged.book)
    before, calls = hedged.vault.assessment(), everything(hedged, series)
    with boa.env.anchor():
        liar = fault("LyingFeed", 8, 1)
        lie = liar.set_round.prepare_calldata((1 << 64) | 1, answer, hedged.market.now - age)
        boa.env.set_code(hedged.market.feed.address, boa.env.get_code(liar.address))
        boa.env.raw_call(hedged.market.feed.address, data=lie)

        for call in calls.values():
            with reverts(why):
                call()
        for limit in ("maxDeposit", "maxMint", "maxWithdraw", "maxRedeem"):
            assert getattr(hedged.vault, limit)(hedged.depositor) == 0
        assert hedged.vault.mode() == FROZEN

    assert hedged.vault.assessment() == before


@pytest.mark.parametrize("jump", [0.6, 0.9, 1.1, 1.4])
def test_a11_a_jump_of_the_feed_alone_is_doubted_and_ends_nothing(hedged, jump):
    """Attack A11: until the pools agree a jump raises initial margin, and not maintenance margin, which liquidates."""
    hedged.market.submit(3_000 * jump)

    a = hedged.vault.assessment()
    assert a.doubt
    assert a.initial == pytest.approx(a.maintenance * 1.25 * 1.5, rel=1e-12)

    hedged.market.move(3_000 * jump)
    a = hedged.vault.assessment()
    assert not a.doubt
    assert a.initial == pytest.approx(a.maintenance * 1.25, rel=1e-12)


def test_a11_a_jump_and_back_within_a_block_gains_nothing(hedged):
    """Attack A11: depositing before a wrong round is put right brings at most the move on the delta inside its band."""
    p, thief = hedged, hedged.stranger
    p.fund(thief, 50_000 * USDC)
    start = wealth(p, thief), wealth(p, p.depositor)
    band, part = 0.02 * 1_000_000 / 3_000, 50_000 / 1_050_000  # units of delta in the target band; the thief's share
    for price in (2_900, 3_100):
        with boa.env.anchor():
            p.market.submit(price)
            p.vault.deposit(50_000 * USDC, thief, sender=thief)
            p.market.submit(3_000)
            gained = wealth(p, thief) - start[0]
            lost = start[1] - wealth(p, p.depositor)
            assert gained <= band * 100 * part * USDC
            assert lost <= band * 100 * part * USDC


# ---------------------------------------------------------------- A12


def test_a12_around_a_restart_of_the_sequencer_nothing_is_traded(market):
    """Attack A12: while a rollup's sequencer is down, and for an hour after, in which only some are back, no price."""
    uptime = fault("LyingFeed", 0, 1)
    uptime.set_round_since((1 << 64) | 1, 0, market.now - DAY, market.now)
    p = Protocol(market, sequencer=uptime.address)
    p.deposit(1_000_000 * USDC)
    series = p.open_series()
    p.sell(series, 5 * WAD)
    p.fund(p.depositor, 10_000 * USDC)
    p.fund(p.taker, 10_000 * USDC, p.book)
    with boa.env.anchor():
        calls = everything(p, series)
        uptime.set_round_since((1 << 64) | 2, 1, market.now, market.now)
        for call in calls.values():
            with reverts("oracle: sequencer down"):
                call()

    uptime.set_round_since((1 << 64) | 3, 0, market.now, market.now)
    market.wait(HOUR - 1)
    for call in everything_but_quotes(p):
        with reverts("oracle: sequencer just up"):
            call()
    assert p.vault.mode() == FROZEN

    market.wait(1)
    p.vault.withdraw(1_000 * USDC, p.depositor, p.depositor, sender=p.depositor)


def everything_but_quotes(p):
    """What needs no marks to be prepared."""
    return [
        lambda: p.vault.deposit(1_000 * USDC, p.depositor, sender=p.depositor),
        lambda: p.vault.redeem(1_000 * WAD, p.depositor, p.depositor, sender=p.depositor),
        lambda: p.rebalance(p.leg(SPOT, 0.1, limit=4_000)),
    ]


def test_a12_claims_and_payouts_do_not_wait_for_the_sequencer(market):
    """Attack A12: what is fixed or claimable needs no price."""
    uptime = fault("LyingFeed", 0, 1)
    uptime.set_round_since((1 << 64) | 1, 0, market.now - DAY, market.now)
    p = Protocol(market, sequencer=uptime.address)
    p.deposit(100_000 * USDC)
    series, expiry = p.open_series(2_900), p.expiry()
    p.sell(series, WAD)
    p.request(1_000 * WAD)
    p.close_epoch()
    p.settle_epoch()
    p.settle(expiry, 3_200)

    uptime.set_round_since((1 << 64) | 2, 1, market.now, market.now)

    assert p.queue.redeem(1_000 * WAD, p.depositor, p.depositor, sender=p.depositor) > 0
    assert claim(p, series) == 300 * USDC


def claim(p, series):
    """The taker's payout of a settled series, USDC."""
    before = p.asset.balanceOf(p.taker)
    clearing = getattr(p, "clearing", p.book)
    clearing.claim(series, sender=p.taker)
    return p.asset.balanceOf(p.taker) - before


# ---------------------------------------------------------------- A13


@pytest.mark.parametrize("pushed", [0.90, 0.96, 1.04, 1.10])
def test_a13_pushing_the_twap_for_half_an_hour_moves_no_mark_and_traps_nobody(hedged, pushed):
    """Attack A13: 150 blocks of a held pool price move the TWAP and nothing that anybody is paid at. Initial margin is
    raised while it lasts, and nothing is liquidated.
    """
    p = hedged
    marks = p.pricer.marks(p.book.live_book()[0])
    before = p.vault.assessment()
    for _ in range(150):
        p.market.push_pool(3_000 * pushed)
        p.market.pass_time(BLOCK)
    p.market.wait(1)

    a = p.vault.assessment()
    assert abs(a.twap[0] - wad(3_000 * pushed)) < wad(3_000 * 0.001)
    assert a.spot == before.spot
    assert a.doubt
    # half an hour of time value, and Aave's interest, are all that marks and NAV move by
    assert p.pricer.marks(p.book.live_book()[0]).mid == pytest.approx(marks.mid, rel=0.01)
    assert a.nav_mid == pytest.approx(before.nav_mid, rel=1e-4)
    assert a.maintenance == pytest.approx(before.maintenance, rel=0.01)
    p.vault.withdraw(10_000 * USDC, p.depositor, p.depositor, sender=p.depositor)


@pytest.mark.parametrize(("pushed", "units"), [(0.98, 3), (1.02, -3)])
def test_a13_a_keeper_who_trades_with_a_pushed_pool_pays_for_the_whole_edge(hedged, pushed, units):
    """Attack A13: away from neutral the loss is measured against the worse of oracle and TWAP: a TWAP that was pushed
    to make a trade look good costs the bucket what the push is worth.
    """
    p = hedged
    p.loosen(loss_capacity=WAD, loss_per_day=WAD)
    delta = p.vault.assessment().delta[ETH]
    p.rebalance(p.leg(SPOT, -delta / WAD))
    for _ in range(30):
        p.market.push_pool(3_000 * pushed)
        p.market.pass_time(BLOCK)
    p.market.push_pool(3_000)
    p.market.wait(1)
    before = p.hedger.loss_budget()

    p.rebalance(p.leg(SPOT, units))

    edge = abs(units) * 3_000 * 0.02 * 0.9
    spent = (before - p.hedger.loss_budget()) / WAD * p.vault.assessment().nav_bid / WAD
    assert spent >= edge


def test_a13_pushing_the_pool_in_the_block_of_a_hedge_is_refused_by_its_limit(hedged):
    """Attack A13: what the pool says now is only what a leg pays, and a leg has its limit price and its slippage."""
    p = hedged
    p.market.push_pool(3_060)

    with reverts("venue: limit price"):
        p.rebalance(p.leg(SPOT, 1))
    with reverts("hedge: slippage"):
        p.rebalance(p.leg(SPOT, 1, limit=3_200))


# ---------------------------------------------------------------- A23


@pytest.mark.parametrize("usdc", [0.985, 0.95, 0.87])
def test_a23_a_depeg_is_a_price_like_any_other(hedged, usdc):
    """Attack A23: when a USDC is worth less, ETH costs more of them. The vault, neutral in ETH, loses what delta
    and gamma make of that move; nobody gains by passing through, and initial margin is raised meanwhile.
    """
    p, thief = hedged, hedged.stranger
    p.fund(thief, 20_000 * USDC)
    before, start = p.vault.assessment(), wealth(p, thief)

    p.market.submit_usdc(usdc)
    a = p.vault.assessment()
    assert a.doubt
    assert a.spot[0] == pytest.approx(wad(3_000 / usdc), rel=1e-8)
    assert a.initial == pytest.approx(a.maintenance * 1.25 * 1.5, rel=1e-12)

    move = 3_000 * abs(1 / usdc - 1)
    expected = 0.5 * abs(before.gamma[0]) / WAD * move**2 + abs(before.delta[0]) / WAD * move
    assert abs(a.nav_mid - before.nav_mid) / WAD <= 1.5 * expected + 50

    shares = p.vault.deposit(20_000 * USDC, thief, sender=thief) if p.vault.maxDeposit(thief) > 0 else 0
    if shares > 0:
        p.vault.redeem(min(shares, p.vault.maxRedeem(thief)), thief, thief, sender=thief)
    assert wealth(p, thief) <= start


def test_a23_exits_and_payouts_go_on_at_par_of_usdc(hedged):
    """Attack A23: a holder is paid in USDC what was promised in USDC, and a depositor his part, whatever it buys."""
    p = hedged
    series = p.book.live_book()[0] >> 87 << 87
    p.market.submit_usdc(0.9)

    assert p.vault.withdraw(10_000 * USDC, p.depositor, p.depositor, sender=p.depositor) > 0

    p.market.submit_usdc(1.0)
    p.settle(p.expiry(), 3_100)
    p.market.submit_usdc(0.9)
    assert claim(p, series) == 10 * 100 * USDC


def test_a23_around_the_expiry_the_fixing_is_in_usdc_too(hedged):
    """Attack A23: a depeg before the expiry is in the fixing, one after it is not."""
    p, expiry = hedged, hedged.expiry()
    p.market.wait(expiry - HOUR - p.market.now)
    p.market.submit_usdc(0.9)
    proof = p.reach_expiry(expiry, 2_700)
    p.market.submit_usdc(0.5)

    p.book.settle(ETH, expiry, *proof, sender=p.stranger)

    assert p.price_oracle.fixing(ETH, expiry) == pytest.approx(3_000 * WAD, rel=1e-9)
