"""ClearingHouse.take_back, deliver and settlement of makers' options: what a fixing pays the vault in kind."""

import boa
import pytest

from tests.contracts.chain import USDC, WAD, account, events, reverts
from tests.contracts.protocol import BTC, ETH, fault, replace_code

OTHER_MAKER = account("other maker")


@pytest.fixture
def rich(funded):
    """No bands, and a taker who can pay any premium."""
    funded.loosen()
    funded.fund(funded.taker, 10_000_000 * USDC, funded.book)
    return funded


@pytest.mark.parametrize("fixing", [3_750, 3_000, 2_500])
def test_a_call_pays_the_vault_units_worth_its_intrinsic_value(rich, series, fixing):
    """10 calls at 3,000, fixed at 3,750: (3,750 - 3,000) / 3,750 = 0.2 of each unit."""
    rich.write(series, 10 * WAD)
    units = 10 * max(fixing - 3_000, 0) * WAD // fixing

    rich.settle(rich.expiry(), fixing)

    (event,) = events(rich.book, "Settled")
    assert (event.from_makers, event.owed) == (units, 0)
    assert rich.spot.held() == units == rich.market.weth.balanceOf(rich.spot)
    assert rich.clearing.escrow(rich.market.weth) == 10 * WAD - units
    assert rich.ledger_problems([rich.depositor]) == []


def test_units_count_in_delta_and_nav_at_once(rich, series):
    rich.write(series, 10 * WAD)
    before = rich.vault.assessment()

    rich.settle(rich.expiry(), 3_750)

    after = rich.vault.assessment()
    assert after.delta[0] == 2 * WAD
    assert after.nav_mid == rich.vault.idle() * 10**12 + 2 * 3_750 * WAD
    assert before.nav_mid < after.nav_mid


def test_the_keeper_sells_what_the_vault_was_paid(rich, series):
    rich.write(series, 10 * WAD)
    rich.settle(rich.expiry(), 3_750)
    rich.market.move(3_750)

    rich.rebalance(rich.leg(0, -2))

    assert rich.vault.assessment().delta[0] == 0
    assert rich.spot.held() == rich.market.weth.balanceOf(rich.spot) == 0


@pytest.mark.parametrize("fixing", [2_400, 3_000, 3_600])
def test_a_put_pays_the_vault_usdc(rich, fixing):
    series = rich.open_series(is_call=False)
    rich.write(series, 10 * WAD)
    idle, paid = rich.vault.idle(), 10 * max(3_000 - fixing, 0) * USDC

    rich.settle(rich.expiry(), fixing)

    assert rich.vault.idle() == idle + paid
    assert rich.clearing.escrow(rich.market.usdc) == 30_000 * USDC - paid
    assert rich.ledger_problems([rich.depositor]) == []


def test_nav_does_not_move_by_the_settlement(rich):
    """At the fixing an expired option is marked at its intrinsic value already, on both sides."""
    series = rich.open_series(is_call=False)
    rich.write(series, 10 * WAD)
    rich.fill(rich.quote(series, size=4 * WAD))
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 2_400)
    before = rich.vault.assessment().nav_mid

    rich.book.settle(ETH, expiry, *proof)

    assert rich.vault.assessment().nav_mid == before
    assert rich.vault.owed() == 4 * 600 * USDC


def test_holders_of_what_makers_back_are_paid(rich):
    """The vault wrote what makers wrote to it: what they pay is what it owes."""
    series = rich.open_series(is_call=False)
    rich.fill(rich.quote(series, size=10 * WAD))
    rich.write(series, 10 * WAD)
    idle = rich.vault.idle()
    rich.settle(rich.expiry(), 2_400)

    assert rich.clearing.claim(series, sender=rich.taker) == 6_000 * USDC
    assert rich.vault.idle() == idle
    assert rich.clearing.take_back(series, sender=rich.maker) == 24_000 * USDC


def test_a_maker_takes_the_rest_back(rich, series):
    rich.write(series, 6 * WAD)
    rich.write(series, 4 * WAD)
    rich.settle(rich.expiry(), 3_750)

    assert rich.clearing.take_back(series, sender=rich.maker) == 8 * WAD

    (event,) = events(rich.clearing, "CollateralReturned")
    assert (event.series, event.maker, event.amount) == (series, rich.maker, 8 * WAD)
    assert rich.market.weth.balanceOf(rich.maker) == 8 * WAD
    assert rich.clearing.escrow(rich.market.weth) == 0
    with reverts("collateral: nothing written"):
        rich.clearing.take_back(series, sender=rich.maker)


def test_collateral_stays_until_the_fixing(rich, series):
    rich.write(series)

    with reverts("collateral: not settled"):
        rich.clearing.take_back(series, sender=rich.maker)


def test_rounding_is_against_makers_and_there_is_enough_for_all(rich, series):
    """Invariant 34: sizes and a fixing that do not divide."""
    sizes = {rich.maker: WAD + 10**9, OTHER_MAKER: 333_333_333 * 10**9}
    for maker, size in sizes.items():
        rich.write(series, size, maker)
    rich.settle(rich.expiry(), 3_333.33333333)

    fixing, payout = rich.clearing.settlement(series)[1:3]
    for maker, size in sizes.items():
        assert rich.clearing.take_back(series, sender=maker) == size - -(-size * payout // fixing)
    assert rich.spot.held() == sum(sizes.values()) * payout // fixing
    assert 0 <= rich.clearing.escrow(rich.market.weth) <= 2


def test_btc_calls_pay_wbtc_in_its_decimals(both):
    both.loosen()
    expiry = both.expiry()
    both.post_slice(expiry, underlying=BTC)
    series = both.list_series(90_000, expiry=expiry, underlying=BTC)
    both.write(series, WAD)
    both.market.wait(expiry - 3600 - both.market.now)
    usdc_round = both.market.usdc_feed.latestRound()
    both.market.pass_time(3660)
    round_id = both.market.submit_btc(100_000)
    both.market.submit(3_000)

    both.book.settle(BTC, expiry, round_id, usdc_round)

    assert both.btc_spot.held() == both.market.wbtc.balanceOf(both.btc_spot) == 10**7
    assert both.clearing.take_back(series, sender=both.maker) == 9 * 10**7


# ---------------------------------------------------------------- what stands in the way


def test_a_token_that_lets_nothing_through_does_not_stop_the_settlement(rich, series):
    """The venue is flagged until its units are there: exits go on, nothing is minted; anyone then delivers them."""
    rich.write(series, 10 * WAD)
    weth = rich.market.weth.address
    code = boa.env.get_code(weth)
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_750)
    replace_code(weth, "RefusingToken", rich.clearing)
    rich.book.settle(ETH, expiry, *proof)
    boa.env.set_code(weth, code)

    assert rich.clearing.undelivered(rich.spot) == (weth, 2 * WAD)
    assert rich.vault.assessment().venue_failed
    assert rich.vault.maxDeposit(rich.stranger) == 0
    rich.vault.redeem(WAD, rich.depositor, rich.depositor, sender=rich.depositor)

    rich.clearing.deliver(rich.spot, sender=rich.stranger)

    assert not rich.vault.assessment().venue_failed
    assert rich.vault.assessment().delta[0] == 2 * WAD
    with reverts("collateral: nothing to deliver"):
        rich.clearing.deliver(rich.spot, sender=rich.stranger)


def test_a_transfer_cannot_be_starved_of_gas(rich, series):
    """It would pass for a token that refuses."""
    rich.write(series, 10 * WAD)
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_750)
    with boa.env.anchor():
        rich.book.settle(ETH, expiry, *proof)
        used = rich.book._computation.gas_used

    with reverts("collateral: not enough gas"):
        rich.clearing.deliver_to(rich.spot, ETH, WAD, sender=rich.book.address, gas=180_000)
    refused = 0
    for gas in range(used // 2, used + 400_000, 25_000):
        with boa.env.anchor():
            try:
                rich.book.settle(ETH, expiry, *proof, gas=gas)
            except boa.BoaError:
                refused += 1
                continue
            assert rich.clearing.undelivered(rich.spot).amount == 0
    assert refused > 0


def test_units_go_to_the_next_venue_when_one_fails(rich, series):
    """A venue that reverts never blocks a settlement. Here a broken one is listed first, by swapping the two's code."""
    rich.write(series, 10 * WAD)
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_750)
    liar = fault("LyingVenue")
    boa.env.set_code(rich.short.address, boa.env.get_code(liar.address))

    rich.book.settle(ETH, expiry, *proof)

    assert rich.spot.held() == 2 * WAD


@pytest.fixture
def homeless(rich, series):
    """A maker has lost two units, and no venue can take them in."""
    rich.write(series, 10 * WAD)
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_750)
    code = boa.env.get_code(rich.spot.address)
    boa.env.set_code(rich.spot.address, boa.env.get_code(fault("LyingVenue").address))
    rich.book.settle(ETH, expiry, *proof)
    boa.env.set_code(rich.spot.address, code)
    return rich


def test_without_any_venue_units_wait_and_the_settlement_goes_on(homeless, series):
    (event,) = events(homeless.book, "Unplaced")
    assert (event.underlying, event.units) == (ETH, 2 * WAD)
    assert homeless.book.unplaced(ETH) == 2 * WAD == homeless.market.weth.balanceOf(homeless.clearing) - 8 * WAD
    assert homeless.clearing.take_back(series, sender=homeless.maker) == 8 * WAD
    homeless.vault.redeem(WAD, homeless.depositor, homeless.depositor, sender=homeless.depositor)


def test_nobody_buys_shares_before_units_are_counted_that_wait(homeless):
    """Attack A14: NAV rises when they are placed, and anybody may place them."""
    assert homeless.vault.mode() == 2
    assert homeless.vault.maxDeposit(homeless.stranger) == 0
    homeless.fund(homeless.stranger, 1_000 * USDC)
    with reverts("vault: reduce-only"):
        homeless.vault.deposit(1_000 * USDC, homeless.stranger, sender=homeless.stranger)


def test_anybody_places_them_once_a_venue_can_take_them(homeless):
    nav = homeless.vault.assessment().nav_mid

    homeless.book.place(ETH, sender=homeless.stranger)

    assert homeless.book.unplaced(ETH) == 0
    assert homeless.spot.held() == homeless.market.weth.balanceOf(homeless.spot) == 2 * WAD
    assert homeless.vault.assessment().nav_mid == nav + 2 * 3_750 * WAD
    assert homeless.vault.mode() == 1
    with reverts("book: nothing to place"):
        homeless.book.place(ETH, sender=homeless.stranger)


def test_while_no_venue_can_take_them_they_go_on_waiting(homeless):
    boa.env.set_code(homeless.spot.address, boa.env.get_code(fault("LyingVenue").address))

    homeless.book.place(ETH, sender=homeless.stranger)

    assert homeless.book.unplaced(ETH) == 2 * WAD


def test_a_venue_cannot_be_starved_of_gas(rich, series):
    """It would pass for one that cannot take the units in."""
    rich.write(series, 10 * WAD)
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_750)
    with boa.env.anchor():
        rich.book.settle(ETH, expiry, *proof)
        used = rich.book._computation.gas_used

    settled = 0
    for gas in range(used // 2, used + 400_000, 25_000):
        with boa.env.anchor():
            try:
                rich.book.settle(ETH, expiry, *proof, gas=gas)
            except boa.BoaError:
                continue
            settled += 1
            assert rich.book.unplaced(ETH) == 0
    assert settled > 0


def test_a_refused_return_of_collateral_is_undone(rich):
    series = rich.open_series(is_call=False)
    rich.write(series)
    rich.settle(rich.expiry(), 3_100)
    replace_code(rich.market.usdc.address, "RefusingToken", rich.clearing)

    with reverts("clearing: transfer"):
        rich.clearing.take_back(series, sender=rich.maker)
    assert rich.clearing.written(series, rich.maker).size == WAD


def test_only_the_vault_has_a_venue_count_units(protocol):
    with reverts("venue: only vault"):
        protocol.spot.take_in(1, sender=protocol.governor)
