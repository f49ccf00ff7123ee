"""AaveV3Lending: lends the Vault's USDC to the real Aave, gives back what Aave has, and obeys the Vault alone."""

import boa
import pytest

from keeper.simulation.chain import addresses
from tests.contracts.aave import FROZEN, PAUSED, SUPPLY_CAP, cap, configure, give_atokens, lend_out
from tests.contracts.chain import DAY, USDC, WAD, account, reverts
from tests.contracts.protocol import load, replace_code

LENT = 100_000 * USDC
TREASURER = account("the vault of a lending venue")


def deploy(a_token=addresses.AAVE_USDC, aave=addresses.AAVE_POOL):
    return load("venues/AaveV3Lending").deploy(TREASURER, addresses.USDC, aave, a_token)


@pytest.fixture
def lending(market):
    """100,000 USDC lent."""
    venue = deploy()
    market.mint(venue.address, LENT)
    venue.lend(LENT, sender=TREASURER)
    return venue


def equity(venue):
    return venue.state(3_000 * WAD).equity


def test_what_is_lent_is_its_value_at_any_spot_price(lending):
    now = lending.state(3_000 * WAD)

    assert (LENT - 2) * 10**12 <= now.equity <= LENT * 10**12
    assert (now.stressed_down, now.stressed_up) == (now.equity, now.equity)
    assert (now.underlying, now.exposure, now.health) == (0, 0, 2**256 - 1)
    assert lending.state(0) == now


def test_interest_is_earned(market, lending):
    before = equity(lending)

    market.wait(30 * DAY)

    assert before * 1.0001 < equity(lending) < before * 1.02


def test_a_recall_sends_exactly_what_was_asked_for(market, lending):
    returned = lending.recall(30_000 * USDC, sender=TREASURER)

    assert returned == market.usdc.balanceOf(TREASURER) == 30_000 * USDC
    assert equity(lending) == pytest.approx(70_000 * WAD, abs=2 * 10**12)


def test_a_recall_of_more_than_there_is_sends_what_there_is(market, lending):
    value = equity(lending) // 10**12

    assert lending.recall(2**255, sender=TREASURER) == value
    assert market.usdc.balanceOf(TREASURER) == value
    assert equity(lending) <= 10**12


def test_a_gift_of_atokens_counts_for_nothing_and_stays(market, lending):
    """Attack A4."""
    before = lending.withdrawable()

    give_atokens(market, lending, 50_000 * USDC, account("giver"))

    assert 0 <= before - lending.withdrawable() <= 1
    assert lending.recall(2**255, sender=TREASURER) <= before


def test_a_gift_of_usdc_counts_for_nothing(market, lending):
    """Attack A4."""
    before = equity(lending)

    market.mint(lending.address, 50_000 * USDC)

    assert equity(lending) == before


def test_what_aave_has_lent_on_cannot_be_recalled_and_still_counts(market, lending):
    """Attack A21."""
    before = equity(lending)
    lend_out(market, account("borrower"), left=20_000 * USDC)

    assert lending.withdrawable() == 20_000 * USDC
    assert equity(lending) >= before
    assert lending.recall(50_000 * USDC, sender=TREASURER) == 20_000 * USDC


def test_a_gift_to_aave_is_no_liquidity(market, lending):
    """Attack A4: USDC sent to the aToken cannot be withdrawn. Who took it for liquidity would recall nothing at all."""
    lend_out(market, account("borrower"), left=20_000 * USDC)

    market.mint(addresses.AAVE_USDC, 10_000 * USDC)

    assert lending.withdrawable() == 20_000 * USDC
    assert lending.recall(50_000 * USDC, sender=TREASURER) == 20_000 * USDC


def test_while_paused_nothing_can_be_recalled_and_everything_counts(market, lending):
    before = equity(lending)

    configure(market, market.usdc, PAUSED, 1)

    assert (lending.withdrawable(), equity(lending)) == (0, before)
    assert lending.recall(LENT, sender=TREASURER) == 0


def test_a_frozen_reserve_pays_out_and_takes_nothing(market, lending):
    configure(market, market.usdc, FROZEN, 1)
    market.mint(lending.address, USDC)

    with reverts():  # Aave's ReserveFrozen
        lending.lend(USDC, sender=TREASURER)
    assert lending.recall(LENT // 2, sender=TREASURER) == LENT // 2


def test_a_reserve_at_its_cap_takes_nothing(market, lending):
    cap(market, market.usdc, SUPPLY_CAP)
    market.mint(lending.address, USDC)

    with reverts():  # Aave's SupplyCapExceeded
        lending.lend(USDC, sender=TREASURER)


@pytest.mark.parametrize("call", ["lend", "recall"])
def test_others_are_refused(lending, call):
    with reverts("venue: only vault"):
        getattr(lending, call)(USDC, sender=account("stranger"))


def test_it_leaves_no_approval(market, lending):
    """Invariant 22."""
    assert market.usdc.allowance(lending, addresses.AAVE_POOL) == 0


def test_an_aave_that_does_not_pay_out_is_refused(lending):
    replace_code(addresses.AAVE_POOL, "LyingAave")

    with reverts("venue: withdraw"):
        lending.recall(LENT // 2, sender=TREASURER)


@pytest.mark.parametrize(
    "changes", [{"a_token": addresses.AAVE_WETH}, {"a_token": addresses.AAVE_USDC, "aave": addresses.AAVE_ORACLE}]
)
def test_another_atoken_is_refused(market, changes):
    with reverts("venue: wrong aToken"):
        deploy(**changes)


def test_an_aave_without_usdc_is_refused(market):
    configure(market, market.usdc, PAUSED, 1)

    with reverts("venue: Aave without USDC"):
        deploy()


def test_it_fits_on_chain(lending):
    assert 0 < len(boa.env.get_code(lending.address)) < 24_576  # EIP-170
