"""Attack A29: each way to take money out of the vault with stolen keys, driven to its end.

A channel must give most of its published share, or the search would prove nothing, and no more.
"""

from tests.contracts.chain import DAY, HOUR
from tests.contracts.protocol import WEEK, wad
from tests.stateful.stolen_keys.bound import ROUNDING, bound
from tests.stateful.stolen_keys.heist import (
    AWAY,
    FEED_ERROR,
    NO_WORSE,
    OPTIONS,
    RECORDED,
    SHARES,
    TOWARDS,
    VOL_MOVE,
    WORST,
    Heist,
)


def _pays(heist: Heist, channel: str, at_least: float) -> None:
    most = bound(heist.protocol)[channel]
    found = heist.by_channel[channel]
    print(f"{channel}: {found:.3%} of NAV found, {most:.3%} published")
    assert at_least * most <= found <= most * ROUNDING


def test_recorded_losses_of_legs_end_where_the_buckets_do(busy_vault):
    """A market that swings by 2 % moves the delta, and he hedges it at the worst price of a leg."""
    heist = Heist(busy_vault)

    for stop in range(9):
        for swing in range(12):
            heist.true_spot(3_000 * (1.02 if swing % 2 else 0.98))
            heist.neutralise(WORST)
        if stop < 8:
            heist.wait(DAY // 8)

    _pays(heist, RECORDED, 0.9)


def test_what_the_oracle_hides_of_hedges_ends_with_their_bucket(busy_vault):
    """The market swings, and Chainlink is half a per cent on the wrong side of it whenever he hedges. Then he goes on:
    what is hedged beyond the bucket is hidden no longer.
    """
    heist = Heist(busy_vault)

    for stop in range(25):
        for swing in range(12):
            if heist.protocol.hedger.hedging_budget() < wad(0.02):
                break  # more would count as lost
            heist.true_spot(3_000 * (1.01 if swing % 2 else 0.99))
            heist.neutralise(NO_WORSE)
        if stop < 24:
            heist.wait(HOUR)

    for swing in range(16):
        heist.true_spot(3_000 * (1.01 if swing % 2 else 0.99))
        heist.neutralise(NO_WORSE)

    print(heist.by_channel, heist.refusals)
    _pays(heist, TOWARDS, 0.9)


def test_what_the_oracle_hides_of_trades_away_from_neutral_ends_with_the_turnover(new_vault):
    """He holds the pool, and with it the TWAP, where Chainlink errs: or the budgets would see it."""
    heist = Heist(new_vault)

    for stop in range(9):
        heist.wait(600, pool_at=heist.spot * (1 + FEED_ERROR))
        for _ in range(5):
            heist.feed(FEED_ERROR)
            heist.open(6.6, NO_WORSE)
            heist.neutralise(NO_WORSE)
        heist.wait(DAY // 8 - 600 if stop < 8 else 0)

    _pays(heist, AWAY, 0.8)


def test_options_sold_below_their_worth_end_with_the_vega_traded(new_vault):
    """Volatility rises by 10 points, and he posts the old surface again and again; hedges are fair."""
    heist = Heist(new_vault)
    (first,) = heist.posted
    heist.post(first - WEEK, heist.volatility)
    for expiry in heist.posted:
        for strike in (2_950, 3_050):
            for is_call in (True, False):
                heist.list_series(strike, is_call, expiry)
    heist.true_volatility(VOL_MOVE)

    for stop in range(9):
        for series in heist.live():
            while heist.fill(series, 12.0, vault_sells=True) > 0:
                heist.feed(0.0)
                heist.neutralise(0.0006)
        if stop < 8:
            heist.wait(DAY // 8)

    print(heist.by_channel, heist.refusals)
    _pays(heist, OPTIONS, 0.9)


def test_marks_that_he_moves_himself_gain_him_nothing(new_vault):
    """He posts volatility down as fast as he may, sells to himself, and posts it up again and buys back."""
    heist = Heist(new_vault)
    expiry = max(heist.posted)
    for is_call in (True, False):
        heist.list_series(3_000, is_call, expiry)

    for stop in range(9):
        for step in (-0.05, 0.05):
            vol = heist.posted[expiry][0] + step
            heist.largest(1.0, lambda part, vol=vol: heist.post(expiry, 0.6 + part * (vol - 0.6)))
            for series in heist.live():
                heist.fill(series, 12.0, vault_sells=True)
                heist.fill(series, heist.held(series), vault_sells=False)
        if stop < 8:
            heist.wait(DAY // 8)

    print(heist.by_channel, heist.refusals)
    assert heist.done[OPTIONS] > 4
    assert heist.losses[OPTIONS] < 0


def test_shares_bought_below_their_worth_end_with_the_flows(busy_vault):
    """Volatility falls by 10 points and the marks do not know: the short options are worth less than it seems."""
    heist = Heist(busy_vault)
    heist.true_volatility(-VOL_MOVE)

    for stop in range(9):
        while heist.deposit(0.08 * heist.nav) > 0:
            pass
        if stop < 8:
            heist.wait(DAY // 8)

    print(heist.by_channel, heist.refusals, heist.truth.vega(heist.protocol) / heist.nav)
    _pays(heist, SHARES, 0.6)


def test_shares_are_rationed_while_a_venue_holds_something_even_without_options(new_vault):
    """Two per cent of NAV in ETH: Chainlink low, he deposits; Chainlink high, he redeems; as often as he likes."""
    heist = Heist(new_vault)
    heist.feed(0.0)
    heist.open(6.0, NO_WORSE)

    for _ in range(20):
        for part in (20, 0.08):
            heist.deposit(part * heist.nav)
        heist.redeem(1.0)

    assert heist.losses[SHARES] <= bound(new_vault)[SHARES] * heist.nav
    assert heist.done[SHARES] > 1


def test_no_option_is_given_away(new_vault):
    """Whatever price he signs: sold for a dollar, bought for twice its worth."""
    heist = Heist(new_vault)
    heist.list_series(3_000, True, max(heist.posted))
    (series,) = heist.live()

    given = heist.fill(series, 12.0, vault_sells=True, price="gift")
    heist.fill(series, 12.0, vault_sells=True)
    overpaid = heist.fill(series, heist.held(series), vault_sells=False, price="gift")

    assert (given, overpaid) == (0.0, 0.0)
    assert heist.held(series) > 0
    assert heist.losses[OPTIONS] < 0
