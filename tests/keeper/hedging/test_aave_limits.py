"""The keeper plans inside what Aave lends, takes, pays out and is repaid, and says when that is less than it wants."""

from dataclasses import replace

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import MAX_UINT256, USDC, WAD, to_wad
from keeper.hedging.decide import decide, instruments_of
from keeper.venues.aave_v3 import borrow_room, is_moving, is_open, supply_room
from tests.keeper.hedging.conftest import option

ACTIVE, FROZEN, BORROWING, PAUSED = 1 << 56, 1 << 57, 1 << 58, 1 << 60
SHORT = 1
POLICY = Policy()


def limited(snapshot, **limits):
    """The snapshot with other limits of Aave's for ETH."""
    venues = tuple(
        replace(venue, lending=replace(venue.lending, **limits)) if venue.index == SHORT else venue
        for venue in snapshot.venues
    )
    return replace(snapshot, venues=venues)


@pytest.fixture
def long(snapshot_of):
    """Short puts: some 24 ETH are to be shorted, where the vault holds none."""
    return snapshot_of((option(False, 3_000, -50.0),))


@pytest.fixture
def short(snapshot_of):
    """A short of 30 ETH that nothing is held against."""
    return snapshot_of(debt=30.0)


def sold(decision):
    return -sum(leg.delta_change for leg in decision.legs if leg.venue == SHORT) / WAD


def test_without_a_limit_it_is_shorted(long):
    decision = decide(long, POLICY)

    assert sold(decision) > 15
    assert "Aave lends" not in decision.reason


def test_what_aave_lends_bounds_the_short(long):
    decision = decide(limited(long, borrow_room_wad=to_wad(7.5)), POLICY)

    assert sold(decision) == pytest.approx(7.5, rel=1e-4)
    assert sold(decision) <= 7.5
    assert "; for ETH Aave lends 7.5000 more" in decision.reason
    assert "ETH room at Aave" in dict(decision.binding)


def test_so_does_the_collateral_that_it_takes(long):
    """A unit at 3,000 needs 6,923 USDC: its price at health 1.8 and a threshold of 0.78."""
    decision = decide(limited(long, supply_room_usdc=60_000 * USDC), POLICY)

    assert sold(decision) == pytest.approx(60_000 / (3_000 * 1.8 / 0.78), rel=1e-4)


@pytest.mark.parametrize("closed", [{"borrow_room_wad": 0}, {"supply_room_usdc": 0}])
def test_where_aave_lends_nothing_nothing_is_sold_and_it_says_why(long, closed):
    decision = decide(limited(long, **closed), POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason.endswith("; for ETH Aave lends no more")


def test_what_cannot_be_repaid_is_hedged_by_holding_some(short):
    """The token is paused: what the vault owes stays, and it buys as much beside it."""
    decision = decide(limited(short, is_repayable=False, borrow_room_wad=0), POLICY)

    assert {leg.venue for leg in decision.legs} == {0}
    assert sum(leg.delta_change for leg in decision.legs) > 20 * WAD
    assert "Aave takes no repayment" in decision.reason


def test_while_usdc_is_paused_buying_back_costs_cash_and_frees_none(short):
    """With 50,000 idle USDC no more than those can be bought back for, though 207,000 lie at Aave."""
    poor = replace(short, vault=replace(short.vault, idle=50_000 * USDC))
    paused = limited(poor, payable_usdc=0, supply_room_usdc=0, borrow_room_wad=0)
    kind = VenueKind.AAVE_V3_SHORT
    (venue,) = [each for each in paused.venues if each.kind is kind]

    free, bound = (instruments_of(snapshot)[SHORT].buy.cash for snapshot in (poor, paused))
    assert venue.lending.collateral_usdc > 200_000 * USDC
    assert free < 0 < 3_000 < bound


def test_collateral_that_aave_does_not_pay_out_is_not_asked_for(snapshot_of):
    """Health is 3: of the collateral much is spare, and would be released."""
    spare = snapshot_of((option(True, 3_000, 0.1),), debt=1.0, health=3.0)
    assert any(leg.delta_change == 0 for leg in decide(spare, POLICY).legs)

    paused = decide(limited(spare, payable_usdc=0), POLICY)

    assert not any(leg.delta_change == 0 for leg in paused.legs)


@pytest.mark.parametrize(
    ("flags", "opened", "moving"),
    [
        (ACTIVE | BORROWING, True, True),
        (ACTIVE | BORROWING | FROZEN, False, True),
        (ACTIVE | BORROWING | PAUSED, False, False),
        (BORROWING, False, False),
    ],
)
def test_flags_of_a_reserve(flags, opened, moving):
    assert (is_open(flags), is_moving(flags)) == (opened, moving)


def test_room_is_below_the_cap_and_none_where_nothing_is_let():
    word = ACTIVE | BORROWING | 1_000 << 80 | 2_000 << 116
    assert borrow_room(word, 400 * WAD, 10_000 * WAD, WAD) == 599 * WAD
    assert borrow_room(word, 400 * WAD, 5 * WAD, WAD) == 5 * WAD
    assert supply_room(word, 500 * USDC, USDC) == 1_498 * USDC
    assert supply_room(ACTIVE, 10**30, USDC) == MAX_UINT256
    assert borrow_room(word & ~BORROWING, 0, WAD, WAD) == borrow_room(word | FROZEN, 0, WAD, WAD) == 0
    assert borrow_room(word, 2_000 * WAD, WAD, WAD) == 0
