"""Vault: venues are listed, retired when empty, and written off when they have failed; indices stay."""

import pytest

from keeper.simulation.chain import addresses
from tests.contracts.chain import HOUR, USDC, WAD, reverts
from tests.contracts.protocol import BTC, ETH, SHORT, SPOT, ZERO, fault, load

THIRD = 2


def spot_venue(protocol):
    pools = [addresses.POOL_USDC_WETH_500]
    return load("venues/UniswapV3Spot").deploy(protocol.vault, ETH, addresses.USDC, addresses.WETH, 18, pools)


@pytest.fixture
def third(hedged):
    """A third venue worth 10,000 USDC."""
    venue = fault("LyingVenue")
    venue.hold(3 * WAD, 10_000 * WAD)
    hedged.vault.list_venue(venue, ETH, sender=hedged.governor)
    return venue


@pytest.mark.parametrize("call", ["list_venue", "retire_venue", "set_lending"])
@pytest.mark.parametrize("role", ["guardian", "keeper", "stranger"])
def test_only_the_governor_lists_retires_and_names(hedged, call, role):
    arguments = {"list_venue": (hedged.spot, ETH), "retire_venue": (SPOT, False), "set_lending": (SPOT,)}[call]

    with reverts("roles: not allowed"):
        getattr(hedged.vault, call)(*arguments, sender=getattr(hedged, role))


def test_an_empty_venue_is_retired_and_the_others_keep_their_indices(hedged):
    """Invariant 39."""
    hedged.loosen()
    hedged.rebalance(hedged.leg(SPOT, -7))
    before = hedged.vault.assessment()

    hedged.vault.retire_venue(SPOT, False, sender=hedged.governor)

    assert hedged.vault.assessment() == before
    assert hedged.vault.all_venues() == [(ZERO, ETH), (hedged.short.address, ETH)]
    hedged.rebalance(hedged.leg(SHORT, 1))
    with reverts():  # there is no contract to call
        hedged.rebalance(hedged.leg(SPOT, 1))


def test_a_venue_that_holds_something_is_not_retired(hedged):
    for index in (SPOT, SHORT):
        with reverts("vault: venue not empty"):
            hedged.vault.retire_venue(index, False, sender=hedged.governor)


def test_a_venue_without_exposure_and_with_equity_is_not_retired(hedged, third):
    third.hold(0, WAD)

    with reverts("vault: venue not empty"):
        hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)


def test_a_venue_without_equity_and_with_exposure_is_not_retired(hedged, third):
    third.hold(WAD, 0)

    with reverts("vault: venue not empty"):
        hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)


def test_the_dust_that_rounding_leaves_keeps_nobody(hedged, third):
    third.hold(0, 9 * 10**12)

    hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)

    assert hedged.vault.venues(THIRD) == (ZERO, ETH)


def test_a_venue_that_failed_is_written_off_and_business_goes_on(hedged, third):
    third.break_down()
    before = hedged.vault.assessment()

    hedged.vault.retire_venue(THIRD, True, sender=hedged.governor)

    after = hedged.vault.assessment()
    assert (before.venue_failed, after.venue_failed) == (True, False)
    assert after.nav_bid == before.nav_bid
    hedged.deposit(1_000 * USDC)


def test_a_venue_that_answers_is_not_written_off(hedged, third):
    """Attack: a timelocked write-off executed after the venue has come back, with all that is in it."""
    with reverts("vault: another state"):
        hedged.vault.retire_venue(THIRD, True, sender=hedged.governor)


def test_a_venue_that_failed_is_not_taken_for_an_empty_one(hedged, third):
    third.break_down()

    with reverts("vault: another state"):
        hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)


def test_a_venue_that_was_written_off_and_comes_back_can_be_listed_again(hedged, third):
    before = hedged.vault.assessment()
    third.break_down()
    hedged.vault.retire_venue(THIRD, True, sender=hedged.governor)
    third.mend()

    hedged.vault.list_venue(third, ETH, sender=hedged.governor)

    assert hedged.vault.all_venues()[-2:] == [(ZERO, ETH), (third.address, ETH)]
    assert hedged.vault.assessment() == before


def test_a_vacated_index_cannot_be_vacated_again(hedged, third):
    third.hold(0, 0)
    hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)

    for failed in (False, True):
        with reverts("vault: another state"):
            hedged.vault.retire_venue(THIRD, failed, sender=hedged.governor)


def test_a_vacated_index_is_used_again_only_when_all_eight_are_taken(hedged):
    """A leg names its venue by index: one that was meant for the old venue should not meet a new one soon."""
    for _ in range(5):
        hedged.vault.list_venue(spot_venue(hedged), ETH, sender=hedged.governor)
    hedged.vault.retire_venue(THIRD, False, sender=hedged.governor)
    eighth, ninth, tenth = (spot_venue(hedged) for _ in range(3))

    hedged.vault.list_venue(eighth, ETH, sender=hedged.governor)
    hedged.vault.list_venue(ninth, ETH, sender=hedged.governor)

    assert [hedged.vault.venues(i)[0] for i in (THIRD, 7)] == [ninth.address, eighth.address]
    with reverts():
        hedged.vault.list_venue(tenth, ETH, sender=hedged.governor)


def test_a_venue_is_listed_once(hedged):
    with reverts("vault: venue already listed"):
        hedged.vault.list_venue(hedged.spot, ETH, sender=hedged.governor)


def test_a_venue_of_another_underlying_is_refused(both):
    venue = fault("LyingVenue")

    with reverts("vault: no venue of this underlying"):
        both.vault.list_venue(venue, BTC, sender=both.governor)


def test_a_venue_that_does_not_answer_is_refused(hedged):
    venue = fault("LyingVenue")
    venue.break_down()

    with reverts("vault: no venue of this underlying"):
        hedged.vault.list_venue(venue, ETH, sender=hedged.governor)


def test_a_venue_of_an_underlying_without_a_price_is_refused(protocol):
    protocol.market.pass_time(2 * HOUR)

    with reverts("vault: underlying without a price"):
        protocol.vault.list_venue(fault("LyingVenue"), ETH, sender=protocol.governor)
