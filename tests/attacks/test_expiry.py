"""A24: the last hour, the block of the expiry, and a price that ends on a strike."""

import boa
import pytest

from tests.attacks.wealth import wealth
from tests.contracts.chain import HOUR, USDC, WAD, reverts
from tests.contracts.protocol import ETH, wad


@pytest.fixture
def pinned(funded):
    """Ten calls and ten puts struck at 3,000, an hour and a minute before their expiry."""
    p, expiry = funded, funded.expiry()
    p.post_slice(expiry)
    series = [p.list_series(3_000, is_call, expiry) for is_call in (True, False)]
    for id in series:
        p.sell(id, 10 * WAD)
    p.market.wait(expiry - HOUR - 60 - p.market.now)
    p.post_slice(expiry)
    return p, expiry, series


def settle_at(p, expiry, price, after=0):
    """The first round of the feed so many seconds after the expiry; settled in its block."""
    p.market.wait(expiry - 600 - p.market.now)
    usdc_round = p.market.usdc_feed.latestRound()
    p.market.pass_time(expiry + after - p.market.now)
    round_id = p.market.submit(price)
    p.book.settle(ETH, expiry, round_id, usdc_round, sender=p.stranger)


def claim(p, series):
    """The taker's payout, USDC."""
    before = p.asset.balanceOf(p.taker)
    getattr(p, "clearing", p.book).claim(series, sender=p.taker)
    return p.asset.balanceOf(p.taker) - before


@pytest.mark.parametrize(("price", "call", "put"), [(3_000, 0, 0), (3_000.01, 0.1, 0), (2_999.99, 0, 0.1)])
def test_a24_a_price_on_the_strike_pays_nothing_and_one_unit_beside_it_that_unit(pinned, price, call, put):
    """Attack A24: of a call and a put struck at the fixing neither pays; a cent away exactly one does."""
    p, expiry, series = pinned

    settle_at(p, expiry, price)

    assert [claim(p, id) for id in series] == [round(call * USDC), round(put * USDC)]
    assert p.vault.owed() == 0


def test_a24_in_the_last_hour_nobody_trades_against_gamma_at_the_pin(pinned):
    """Attack A24: neither side, from 3,600 seconds before the expiry on."""
    p, _, (series, _) = pinned
    with boa.env.anchor():
        p.buy_back(series, WAD)
    sale, purchase = p.quote(series), p.quote(series, vault_sells=False)
    p.fund(p.taker, 10_000 * USDC, p.book)
    p.market.wait(60)

    for quote in (sale, purchase):
        with reverts("fill: last hour"):
            p.fill(quote._replace(deadline=p.market.now + 60))


def test_a24_a_round_in_the_second_of_the_expiry_settles_in_that_block(pinned):
    """Attack A24: such a round is the fixing, and NAV at middle marks is the same before and after."""
    p, expiry, (series, _) = pinned
    p.market.wait(expiry - 600 - p.market.now)
    usdc_round = p.market.usdc_feed.latestRound()
    p.market.pass_time(600)
    assert p.market.now == expiry
    round_id = p.market.submit(3_050)

    with reverts("vault: settle the expired series first"):
        p.vault.withdraw(1_000 * USDC, p.depositor, p.depositor, sender=p.depositor)
    assert p.vault.maxDeposit(p.depositor) == 0
    before = p.vault.assessment().nav_mid
    p.book.settle(ETH, expiry, round_id, usdc_round, sender=p.stranger)

    assert p.price_oracle.fixing(ETH, expiry) == 3_050 * WAD
    assert abs(p.vault.assessment().nav_mid - before) <= 2
    assert claim(p, series) == 10 * 50 * USDC


def test_a24_nobody_chooses_between_the_expirys_round_and_a_later_one(pinned):
    """Attack A24: whoever waits for a better round cannot use it, nor one before the expiry."""
    p, expiry, _ = pinned
    p.market.wait(expiry - 600 - p.market.now)
    usdc_round, early = p.market.usdc_feed.latestRound(), p.market.feed.latestRound()
    p.market.pass_time(600)
    right = p.market.submit(3_010)
    p.market.pass_time(300)
    later = p.market.submit(2_900)
    p.market.submit_usdc()

    with reverts("fixing: round before expiry"):
        p.book.settle(ETH, expiry, early, usdc_round, sender=p.taker)
    with reverts("fixing: not the first round"):
        p.book.settle(ETH, expiry, later, usdc_round, sender=p.taker)

    p.book.settle(ETH, expiry, right, usdc_round, sender=p.stranger)
    assert p.price_oracle.fixing(ETH, expiry) == 3_010 * WAD


def test_a24_nobody_gets_in_or_out_between_the_fixing_round_and_the_settlement(pinned):
    """Attack A24: who knows the fixing while shares are still marked at spot trades neither in nor out."""
    p, expiry, _ = pinned
    thief = p.stranger
    p.fund(thief, 50_000 * USDC)
    before = wealth(p, thief), wealth(p, p.depositor)
    p.market.wait(expiry - 600 - p.market.now)
    usdc_round = p.market.usdc_feed.latestRound()
    p.market.pass_time(600)
    round_id = p.market.submit(3_200)
    p.market.pass_time(HOUR // 2)
    p.market.submit(3_000)

    for call in (p.vault.deposit, p.vault.mint):
        with reverts("vault: settle the expired series first"):
            call(1_000 * (USDC if call is p.vault.deposit else WAD), thief, sender=thief)
    with reverts("vault: settle the expired series first"):
        p.vault.redeem(WAD, p.depositor, p.depositor, sender=p.depositor)

    p.book.settle(ETH, expiry, round_id, usdc_round, sender=p.stranger)
    p.vault.deposit(50_000 * USDC, thief, sender=thief)
    p.vault.redeem(p.vault.balanceOf(thief), thief, thief, sender=thief)
    assert wealth(p, thief) <= before[0]
    assert p.vault.assessment().nav_mid >= before[1] * 10**12 - wad(10 * 200 + 10)
