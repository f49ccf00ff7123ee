"""OptionBook.list_series, delist_series, series_id, live_book, wire: which series live."""

import pytest

from tests.contracts.chain import DAY, WAD, events, reverts
from tests.contracts.protocol import ETH, MIN_FILL, STRIKE_STEP, ZERO, VegaBudgets, load, wad


@pytest.mark.parametrize("role", ["keeper", "governor"])
@pytest.mark.parametrize("is_call", [True, False])
def test_listing_opens_a_series(protocol, role, is_call):
    expiry = protocol.expiry()

    series = protocol.book.list_series(ETH, is_call, expiry, 3_000 * WAD, sender=getattr(protocol, role))

    (event,) = events(protocol.book, "SeriesListed")
    assert (event.series, event.underlying, event.is_call) == (series, ETH, is_call)
    assert (event.expiry, event.strike) == (expiry, 3_000 * WAD)
    assert protocol.book.live_book() == [series]
    assert protocol.book.series_id(ETH, is_call, expiry, 3_000 * WAD) == series


@pytest.mark.parametrize("role", ["guardian", "stranger"])
def test_listing_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.book.list_series(ETH, True, protocol.expiry(), 3_000 * WAD, sender=getattr(protocol, role))


def test_listing_is_refused_while_reduce_only(protocol):
    protocol.breaker.set_reduce_only(True, sender=protocol.guardian)

    with reverts("book: vault is reduce-only"):
        protocol.list_series()


def test_listing_twice_is_refused(protocol):
    protocol.list_series()

    with reverts("book: already listed"):
        protocol.list_series()


@pytest.mark.parametrize("shift", [1, -1, DAY, 3600])
def test_an_expiry_off_the_grid_is_refused(protocol, shift):
    with reverts("book: expiry off the grid"):
        protocol.list_series(expiry=protocol.expiry() + shift)


def test_an_expiry_beyond_sixty_days_is_refused(protocol):
    with reverts("book: tenor"):
        protocol.list_series(expiry=protocol.expiry(60))


def test_an_expiry_in_the_past_is_refused(protocol):
    with reverts("book: tenor"):
        protocol.list_series(expiry=protocol.expiry() - 14 * DAY)


@pytest.mark.parametrize("strike", [3_001, 2_999.999, 0, 0.5])
def test_a_strike_off_the_grid_is_refused(protocol, strike):
    with reverts("book: strike off the grid"):
        protocol.list_series(strike=strike)


def test_keeper_fills_28_slots_and_the_governor_the_rest(protocol):
    expiry = protocol.expiry()
    for i in range(28):
        protocol.list_series(strike=1_000 + 50 * i, expiry=expiry)

    with reverts("book: no free slot"):
        protocol.list_series(strike=5_000, expiry=expiry)
    for i in range(4):
        protocol.book.list_series(ETH, False, expiry, wad(1_000 + 50 * i), sender=protocol.governor)
    with reverts("book: no free slot"):
        protocol.book.list_series(ETH, False, expiry, wad(5_000), sender=protocol.governor)

    assert len(protocol.book.live_book()) == 32


@pytest.mark.parametrize("role", ["keeper", "governor"])
def test_a_series_without_position_is_delisted(protocol, role):
    first, second = protocol.list_series(3_000), protocol.list_series(3_050)

    protocol.book.delist_series(first, sender=getattr(protocol, role))

    (event,) = events(protocol.book, "SeriesDelisted")
    assert event.series == first
    assert protocol.book.live_book() == [second]


def test_a_stranger_cannot_delist_a_series_before_its_first_fill(protocol):
    """Attack: delist each new series before anybody can trade it."""
    series = protocol.list_series()

    with reverts("roles: not allowed"):
        protocol.book.delist_series(series, sender=protocol.stranger)


def test_anyone_delists_a_series_without_position_when_the_slots_are_taken(protocol):
    expiry = protocol.expiry()
    listed = [protocol.list_series(strike=1_000 + 50 * i, expiry=expiry) for i in range(28)]

    protocol.book.delist_series(listed[0], sender=protocol.stranger)

    assert len(protocol.book.live_book()) == 27


def test_a_stranger_delists_nothing_while_the_governor_uses_slots(protocol):
    """Attack: what the governor has just listed, or what the keeper would trade while he does."""
    expiry = protocol.expiry()
    listed = [protocol.list_series(strike=1_000 + 50 * i, expiry=expiry) for i in range(28)]
    own = protocol.book.list_series(ETH, False, expiry, 3_000 * WAD, sender=protocol.governor)

    for series in (own, listed[0]):
        with reverts("roles: not allowed"):
            protocol.book.delist_series(series, sender=protocol.stranger)
    protocol.book.delist_series(own, sender=protocol.governor)


def test_anyone_delists_an_expired_series_without_position(protocol):
    expiry = protocol.expiry()
    series = protocol.list_series(expiry=expiry)
    protocol.reach_expiry(expiry)

    protocol.book.delist_series(series, sender=protocol.stranger)

    assert protocol.book.live_book() == []


def test_delisting_a_series_with_position_is_refused(funded, sold):
    with reverts("book: series has a position"):
        funded.book.delist_series(sold, sender=funded.governor)


def test_delisting_an_unknown_series_is_refused(protocol):
    with reverts("book: series not listed"):
        protocol.book.delist_series(12345, sender=protocol.stranger)


def test_a_series_bought_back_whole_can_be_delisted(funded, sold):
    funded.buy_back(sold, 10 * WAD)

    funded.book.delist_series(sold, sender=funded.keeper)

    assert funded.book.live_book() == []
    assert funded.token.total_supply(sold) == 0


def test_a_strike_too_large_for_a_slot_has_no_id(protocol):
    with reverts("series: strike too large"):
        protocol.book.series_id(ETH, True, protocol.expiry(), 2**64 * 10**12)


@pytest.mark.parametrize(("underlying", "expiry", "strike"), [(256, 10**9, WAD), (0, 2**32, WAD), (0, 10**9, WAD + 1)])
def test_terms_that_do_not_fit_a_slot_have_no_id(protocol, underlying, expiry, strike):
    with reverts("series: not representable"):
        protocol.book.series_id(underlying, True, expiry, strike)


def test_wiring_works_once_and_for_the_governor(protocol):
    with reverts("book: already wired"):
        protocol.book.wire(protocol.token, protocol.clearing, protocol.hedger, ZERO, sender=protocol.governor)
    with reverts("roles: not allowed"):
        protocol.book.wire(protocol.token, protocol.clearing, protocol.hedger, ZERO, sender=protocol.stranger)


@pytest.mark.parametrize("listing", [(0, MIN_FILL), (STRIKE_STEP, 0)])
def test_a_listing_without_step_or_minimum_is_refused(protocol, listing):
    p = protocol
    with reverts("book: listing"):
        load("OptionBook").deploy(
            p.governor, p.vault, p.pricer, p.price_oracle, p.market.usdc, [listing], VegaBudgets()
        )
