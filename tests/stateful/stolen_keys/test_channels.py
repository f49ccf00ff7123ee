"""Attack A29: each way to take money out of the vault with stolen keys, driven to its end.

A channel must give most of its published share, or the search would prove nothing, and no more.
"""

import pytest

from keeper.domain.units import YEAR
from tests.contracts.chain import HOUR, USDC
from tests.contracts.protocol import WEEK, Protocol, wad
from tests.stateful.stolen_keys.bound import ROUNDING, bound, excess
from tests.stateful.stolen_keys.heist import (
    AWAY,
    CARRY_MOVE,
    FEED_ERROR,
    NO_WORSE,
    OPTIONS,
    RECORDED,
    SHARES,
    THIEF,
    TOWARDS,
    VOL_MOVE,
    WORST,
    Heist,
)
from tests.stateful.stolen_keys.strangers import de_risk, is_in_breach, wait_for_the_public

_FAIR = 0.0006  # from Chainlink's price: the pool's fee and a little of its depth
_SPENT = wad(0.00002)  # what is left of a budget is not worth a trade
_STOPS = 5


def _pays(heist: Heist, channel: str, at_least: float) -> None:
    most = bound(heist.protocol)[channel]
    found = heist.by_channel[channel]
    print(f"\n{channel}: {found:.3%} of NAV found, {most:.3%} published; refused: {dict(heist.refusals)}")
    assert at_least * most <= found <= most * ROUNDING


def _list(heist: Heist, strikes: tuple[int, ...], *expiries: int) -> None:
    for expiry in expiries:
        for strike in strikes:
            for is_call in (True, False):
                heist.list_series(strike, is_call, expiry)


# ---------------------------------------------------------------- hedges


def test_recorded_losses_of_legs_end_where_the_buckets_do(busy_vault):
    """A market that swings by 2 % moves the delta, and he hedges it at the worst price of a leg."""
    heist = Heist(busy_vault)
    hedger = heist.protocol.hedger

    for _ in heist.stops(_STOPS):
        for swing in range(12):
            if hedger.loss_budget() + hedger.emergency_budget() < _SPENT:
                break
            heist.true_spot(3_000 * (1.02 if swing % 2 else 0.98))
            heist.neutralise(WORST)

    _pays(heist, RECORDED, 0.9)


def test_what_strangers_may_lose_in_the_keepers_place_is_a_part_of_it(new_vault):
    """He sells calls to himself, leaves their delta alone until anybody may hedge it, and does so 3 % too dear."""
    heist = Heist(new_vault)
    expiry = max(heist.posted)
    _list(heist, (2_700, 2_750), expiry)
    calls = [series for series in heist.live() if series.is_call]

    steps = 0
    for _ in heist.stops(_STOPS):
        for series in calls:
            heist.fill(series, 12.0, vault_sells=True)
        if is_in_breach(heist) and wait_for_the_public(heist, further=HOUR // 2):
            steps += de_risk(heist, 10)

    b = heist.protocol.hedger.budgets()
    print(f"\n{steps} steps: {heist.by_channel}, {dict(heist.refusals)}")
    assert steps > 1
    assert 0.6 * b.emergency_capacity <= wad(heist.by_channel[RECORDED])
    assert heist.by_channel[RECORDED] * 10**18 <= (b.emergency_capacity + b.emergency_per_day) * ROUNDING


def test_what_the_oracle_hides_of_hedges_ends_with_their_bucket(busy_vault):
    """The market swings, and Chainlink is half a per cent on the wrong side of it whenever he hedges. Then he goes on:
    what is hedged beyond the bucket is hidden no longer.
    """
    heist = Heist(busy_vault)

    for _ in heist.stops(25):
        for swing in range(12):
            if heist.protocol.hedger.hedging_budget() < wad(0.02):
                break  # more would count as lost
            heist.true_spot(3_000 * (1.01 if swing % 2 else 0.99))
            heist.neutralise(NO_WORSE)
    for swing in range(16):
        heist.true_spot(3_000 * (1.01 if swing % 2 else 0.99))
        heist.neutralise(NO_WORSE)

    _pays(heist, TOWARDS, 0.9)


def test_hedges_of_a_delta_that_he_posts_are_paid_by_the_same_buckets(busy_vault):
    """He moves volatility and carry to and fro as far as they let him, and each time hedges what that does to delta."""
    heist = Heist(busy_vault)
    hedged = 0.0

    for _ in heist.stops(25):
        for step in (0.01, -0.01):
            for expiry, (vol, carry, half) in dict(heist.posted).items():
                heist.post(expiry, vol + step, carry, half) or heist.post(expiry, vol, carry + step, half)
            hedged += abs(heist.neutralise(NO_WORSE))

    hidden = heist.by_channel[TOWARDS]
    print(f"\n{hedged * heist.spot / heist.nav:.1%} of NAV hedged: {hidden:.4%} hidden; {dict(heist.refusals)}")
    assert heist.refusals["vol: too fast"] > 0
    assert 0 < hidden <= hedged * heist.spot / heist.nav * FEED_ERROR * ROUNDING
    assert hidden <= bound(busy_vault)[TOWARDS]


def test_what_the_oracle_hides_of_trades_away_from_neutral_ends_with_the_turnover(new_vault):
    """He holds the pool, and with it the TWAP, where Chainlink errs: or the budgets would see it."""
    heist = Heist(new_vault)

    for _ in heist.stops(_STOPS):
        heist.wait(600, pool_at=heist.spot * (1 + FEED_ERROR))
        for _ in range(8):
            if heist.protocol.hedger.turnover_budget() < wad(0.002):
                break
            heist.feed(FEED_ERROR)
            heist.open(6.6, NO_WORSE)
            heist.neutralise(NO_WORSE)

    _pays(heist, AWAY, 0.8)


# ---------------------------------------------------------------- options


def _trade_at_old_marks(heist: Heist, vault_sells: bool) -> None:
    """All day, as long as the budget lasts; hedges are fair."""
    for _ in heist.stops(_STOPS):
        for series in heist.live():
            while heist.protocol.book.vega_budget() > _SPENT and heist.fill(
                series, 12.0, vault_sells, writes=not vault_sells
            ):
                heist.feed(0.0)
                heist.neutralise(_FAIR)


def test_options_sold_below_their_worth_end_with_the_vega_traded(new_vault):
    """Volatility rises by 10 points, and he posts the old surface again and again."""
    heist = Heist(new_vault)
    (first,) = heist.posted
    heist.post(first - WEEK, heist.volatility)
    _list(heist, (2_950, 3_050), *heist.posted)
    heist.true_volatility(VOL_MOVE)

    _trade_at_old_marks(heist, vault_sells=True)

    _pays(heist, OPTIONS, 0.9)


def test_options_written_to_the_vault_above_their_worth_end_with_the_vega_traded(new_vault):
    """A maker in league with him, after volatility has fallen by 10 points, and nobody has posted that."""
    heist = Heist(new_vault)
    _list(heist, (2_950, 3_050), max(heist.posted))
    heist.true_volatility(-VOL_MOVE)

    _trade_at_old_marks(heist, vault_sells=False)

    _pays(heist, OPTIONS, 0.9)


@pytest.mark.parametrize(("carry", "strikes"), [(CARRY_MOVE, (2_650, 2_850)), (-CARRY_MOVE, (3_200, 3_450))])
def test_a_point_of_carry_costs_no_more_than_one_of_volatility(new_vault, carry, strikes):
    """Half of the range is carry: forwards rise for calls in the money, or fall for puts."""
    heist = Heist(new_vault)
    _list(heist, strikes, max(heist.posted))
    heist.true_carry(carry)
    heist.true_volatility(VOL_MOVE)

    for _ in heist.stops(3):
        for series in heist.live():
            if series.is_call == (carry > 0):
                while heist.fill(series, 12.0, vault_sells=True) > 0:
                    heist.feed(0.0)
                    heist.neutralise(_FAIR)

    assert heist.truth.shift == pytest.approx(VOL_MOVE - CARRY_MOVE)
    _pays(heist, OPTIONS, 0.4)


@pytest.mark.parametrize(
    ("vol", "carry", "vault_sells"), [(-0.045, 0.0, True), (0.045, 0.0, False), (0.0, -0.05, True), (0.0, 0.05, False)]
)
def test_marks_that_he_moves_himself_gain_him_nothing(new_vault, vol, carry, vault_sells):
    """He posts volatility or carry down and buys calls, or up and writes them: the worst surface of the day counts."""
    heist = Heist(new_vault)
    expiry = max(heist.posted)
    _list(heist, (2_650, 3_000), expiry)
    assert heist.post(expiry, heist.volatility + vol, carry)

    for series in heist.live():
        if series.is_call:
            heist.fill(series, 12.0, vault_sells, writes=not vault_sells)

    assert heist.done[OPTIONS] == 2
    assert heist.losses[OPTIONS] < 0


# rho and phi sigma sqrt(T), and the volatility at the money that goes with it
_BENT = ((-0.9, 1.2, 0.9), (-0.9, 1.45, 0.8))


@pytest.mark.parametrize(("old", "new"), [_BENT, _BENT[::-1]])
def test_smiles_that_he_bends_between_the_points_gain_him_nothing(market, old, new):
    """In a market of steep smiles he posts one that falls or rises most between the points where a post is measured, as
    far as he may in a day, and trades at these strikes: the worst surface of the day counts there, too.
    """
    protocol = Protocol(market)
    protocol.deposit(1_000_000 * USDC)
    expiry = protocol.expiry(50)
    phi = [bend / (vol * ((expiry - market.now) / YEAR) ** 0.5) for _, bend, vol in (old, new)]
    protocol.post_slice(expiry, vol=old[2], rho=old[0], phi=phi[0])
    heist = Heist(protocol, volatility=old[2], smiles={expiry: (old[0], phi[0])})
    _list(heist, (3_300, 3_400, 3_500, 3_600, 3_700), expiry)

    part = 0.0
    for _ in range(2):
        step = heist.largest(
            1.0 - part,
            lambda more, part=part: heist.post(
                expiry,
                old[2] + (part + more) * (new[2] - old[2]),
                smile=(old[0], phi[0] + (part + more) * (phi[1] - phi[0])),
            ),
        )
        part += step
        for series in heist.live():
            for vault_sells in (True, False):
                heist.fill(series, 3.0, vault_sells, writes=not vault_sells)
        heist.wait(75 * 60)

    assert part > 0.2
    assert heist.done[OPTIONS] > 20
    assert heist.losses[OPTIONS] < 0


def test_the_error_of_chainlink_gains_him_nothing_with_options_of_a_day(new_vault):
    """Most delta for their vega, while Chainlink is half a per cent below the market."""
    shortest = new_vault.expiry(1)
    new_vault.market.wait(shortest - new_vault.market.now - 25 * HOUR)
    heist = Heist(new_vault)
    heist.post(shortest, heist.volatility)
    heist.list_series(2_950, True, shortest)
    (call,) = heist.live()

    sold = heist.fill(call, 20.0, vault_sells=True)

    print(f"\n{heist.losses[OPTIONS] / sold:.2f} USDC a unit")
    assert heist.error == -FEED_ERROR
    assert heist.losses[OPTIONS] < 0


def test_what_is_paid_above_the_bid_mark_ends_with_the_loss_bucket(busy_vault):
    """He posts volatility up, and as a maker writes at that middle what makes the vault's vega smaller."""
    heist = Heist(busy_vault)

    for _ in heist.stops(_STOPS):
        for expiry, (vol, carry, half) in dict(heist.posted).items():
            heist.largest(0.05, lambda step, at=expiry, v=vol, c=carry, h=half: heist.post(at, v + step, c, h))
        for series in heist.live():
            while heist.protocol.hedger.loss_budget() > 10 * _SPENT and heist.fill(
                series, 12.0, vault_sells=False, price="middle", writes=True
            ):
                pass

    b = heist.protocol.hedger.budgets()
    paid = heist.by_channel[RECORDED]
    print(f"\n{paid:.3%} of NAV above the bid mark, {heist.by_channel[OPTIONS]:.3%} below it; {dict(heist.refusals)}")
    assert heist.losses[OPTIONS] < 0
    assert 0.5 * b.loss_capacity <= paid * 10**18 <= (b.loss_capacity + b.loss_per_day) * ROUNDING


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


def test_no_surface_that_he_posts_opens_the_auction(busy_vault):
    """He moves volatility up as far as he may in a day: equity at these marks stays above maintenance margin."""
    heist = Heist(busy_vault)
    auction, thief = heist.protocol.auction, heist.thief

    opened = []
    for _ in heist.stops(_STOPS):
        for expiry, (vol, carry, half) in dict(heist.posted).items():
            heist.largest(0.05, lambda step, at=expiry, v=vol, c=carry, h=half: heist.post(at, v + step, c, h))
        heist.attempt(lambda: heist.protocol.hedger.record_breach(sender=thief))
        heist.wait(301)
        opened.append(heist.attempt(lambda: auction.open(sender=thief)))

    a = heist.protocol.vault.assessment()
    print(f"\nequity {a.nav_mid / a.maintenance:.2f} of maintenance margin; {dict(heist.refusals)}")
    assert min(vol for vol, _, _ in heist.posted.values()) > heist.volatility + 0.09
    assert not any(opened)


# ---------------------------------------------------------------- shares


def test_shares_bought_below_their_worth_end_with_the_flows(busy_vault):
    """Volatility falls by 10 points and the marks do not know: the short options are worth less than it seems."""
    heist = Heist(busy_vault)
    heist.true_volatility(-VOL_MOVE)

    for _ in heist.stops(_STOPS):
        for _ in range(4):
            heist.deposit(0.08 * heist.nav)

    _pays(heist, SHARES, 0.6)


def test_shares_sold_above_their_worth_end_with_the_flows(busy_vault):
    """He has half of all shares when volatility rises by 10 points, and the marks do not know."""
    vault, depositor = busy_vault.vault, busy_vault.depositor
    vault.transfer(THIEF, vault.balanceOf(depositor) // 2, sender=depositor)
    heist = Heist(busy_vault)
    heist.true_volatility(VOL_MOVE)

    for _ in heist.stops(_STOPS):
        for _ in range(4):
            heist.redeem(1.0)

    _pays(heist, SHARES, 0.35)  # the other half of the loss is his own


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


# ---------------------------------------------------------------- together


def test_all_of_it_in_one_day(new_vault):
    """Volatility rises by 10 points: he sells to himself, trades away from neutral, and in a market that swings he
    hedges, first as dearly as Chainlink hides and then as the budgets let him.
    """
    heist = Heist(new_vault)
    hedger, book = new_vault.hedger, new_vault.book
    (first,) = heist.posted
    heist.post(first - WEEK, heist.volatility)
    _list(heist, (2_950, 3_050), *heist.posted)
    heist.true_volatility(VOL_MOVE)

    for _ in heist.stops(7):
        for series in heist.live():
            while book.vega_budget() > _SPENT and heist.fill(series, 12.0, vault_sells=True):
                heist.neutralise(NO_WORSE)
        heist.wait(600, pool_at=heist.spot * (1 + FEED_ERROR))
        for _ in range(3):
            heist.feed(FEED_ERROR)
            heist.open(6.6, NO_WORSE)
            heist.neutralise(NO_WORSE)
        for swing in range(16):
            heist.true_spot(3_000 * (1.01 if swing % 2 else 0.99))
            if hedger.hedging_budget() > wad(0.02):
                heist.neutralise(NO_WORSE)
            elif hedger.loss_budget() + hedger.emergency_budget() > _SPENT:
                heist.neutralise(WORST)

    most = bound(new_vault)
    print(f"\n{heist.lost:.3%} of NAV lost, {sum(most.values()):.3%} published: {heist.by_channel}")
    assert excess(heist) == {}
    assert heist.lost >= 0.8 * sum(most.values())
