"""BuybackAuction.open and close: when the vault's short options are for sale back to it."""

from tests.contracts.chain import WAD, events, reverts
from tests.contracts.protocol import ETH, fault
from tests.contracts.unitary.buyback_auction.conftest import MINUTE, brought_to, idle_for, open_auction


def test_after_five_minutes_below_maintenance_margin_anyone_opens_it(distressed):
    distressed.last(5 * MINUTE)
    a = distressed.vault.assessment()

    distressed.auction.open(sender=distressed.stranger)

    (opened,) = events(distressed.auction, "Opened")
    assert distressed.auction.is_open()
    assert opened.shortfall == a.maintenance * 125 // 100 - a.nav_mid
    assert distressed.auction.premium() == 0


def test_before_that_it_stays_closed(mixed):
    """Invariant 33. Nobody is liquidated on the spot."""
    mixed.last(5 * MINUTE - 1)

    with reverts("auction: not for five minutes"):
        mixed.auction.open(sender=mixed.stranger)


def test_distress_that_nobody_recorded_does_not_count(mixed):
    mixed.market.wait(3600)

    with reverts("auction: not for five minutes"):
        mixed.auction.open(sender=mixed.stranger)


def test_a_record_that_was_not_confirmed_does_not_count(mixed):
    mixed.last(5 * MINUTE)
    mixed.market.wait(10 * MINUTE + 1)

    with reverts("auction: not for five minutes"):
        mixed.auction.open(sender=mixed.stranger)


def test_above_maintenance_margin_it_stays_closed_whatever_the_record_says(mixed):
    """Invariant 33. Liquidation only when unhealthy."""
    mixed.last(5 * MINUTE)
    mixed.overwrite("idle", idle_for(mixed, 1.01))

    with reverts("auction: above maintenance"):
        mixed.auction.open(sender=mixed.stranger)


def test_its_clock_cannot_be_reset_by_opening_it_again(mixed):
    open_auction(mixed)

    with reverts("auction: open already"):
        mixed.auction.open(sender=mixed.stranger)


def test_it_ends_after_an_hour_and_begins_anew_without_premium(mixed):
    open_auction(mixed)
    mixed.last(60 * MINUTE)
    ended = not mixed.auction.is_open()

    mixed.auction.open(sender=mixed.stranger)

    assert ended
    assert mixed.auction.premium() == 0


def test_after_its_end_there_is_no_premium(mixed):
    open_auction(mixed)
    mixed.last(60 * MINUTE)

    assert mixed.auction.premium() == 0


def test_while_a_venue_does_not_answer_it_stays_closed(mixed):
    """What lies there is not known, and may be enough."""
    broken = fault("LyingVenue")
    mixed.vault.list_venue(broken, ETH, sender=mixed.governor)
    mixed.last(5 * MINUTE)
    broken.break_down()

    with reverts("risk: a venue does not answer"):
        mixed.auction.open(sender=mixed.stranger)


def test_while_an_expired_series_is_not_settled_it_stays_closed(funded):
    brought_to(funded, "puts", 2.0, hedged=0.0)
    expiry = funded.expiry()
    funded.market.wait(expiry - 6 * MINUTE - funded.market.now)
    funded.post_slice(expiry)
    funded.overwrite("idle", idle_for(funded, 0.9))
    funded.last(5 * MINUTE)
    funded.market.wait(2 * MINUTE)

    with reverts("vault: settle the expired series first"):
        funded.auction.open(sender=funded.stranger)


def test_it_is_closed_by_anyone_when_the_target_is_reached_without_a_bid(mixed):
    open_auction(mixed)
    mixed.overwrite("idle", idle_for(mixed, 1.26))

    mixed.auction.close(sender=mixed.stranger)

    assert not mixed.auction.is_open()


def test_below_its_target_nobody_closes_it(mixed):
    open_auction(mixed)

    with reverts("auction: below target"):
        mixed.auction.close(sender=mixed.governor)


def test_what_is_closed_is_not_closed_again(mixed):
    with reverts("auction: closed"):
        mixed.auction.close(sender=mixed.stranger)


def test_its_premium_rises_over_fifteen_minutes(mixed):
    open_auction(mixed)
    mixed.market.wait(5 * MINUTE)
    early = mixed.auction.premium()
    mixed.market.wait(30 * MINUTE)

    assert early == WAD // 3
    assert mixed.auction.premium() == WAD
