"""PriceOracle.record_twap and fix_late, and what `fix` takes when no round comes in time."""

import boa
import pytest

from tests.contracts.chain import DAY, HOUR, WAD, events, reverts
from tests.contracts.protocol import ETH, replace_code

IN_TIME = 2 * HOUR


@pytest.fixture
def expiry(protocol):
    """An hour from now."""
    return protocol.market.now + HOUR


@pytest.fixture
def silent(protocol, expiry):
    """Three hours past the expiry without a round of ETH."""
    protocol.market.pass_time(HOUR + 3 * HOUR)
    return protocol


def fix_late(protocol, expiry, price=3_000, round_id=0, usdc_round=0, last_round=0, sender=None):
    who = sender or protocol.governor
    protocol.price_oracle.fix_late(ETH, expiry, int(price * WAD), round_id, usdc_round, last_round, sender=who)


# ---------------------------------------------------------------- record_twap


def test_the_twap_of_an_expiry_is_the_same_whenever_it_is_recorded(protocol, expiry):
    protocol.market.pass_time(HOUR)
    with boa.env.anchor():
        at_once = protocol.price_oracle.record_twap(ETH, expiry, sender=protocol.stranger)
        (event,) = events(protocol.price_oracle, "TwapRecorded")
        assert (event.underlying, event.expiry, event.twap) == (ETH, expiry, at_once)
        assert protocol.price_oracle.twap_at(ETH, expiry) == at_once
    protocol.market.pass_time(600)
    protocol.market.push_pool(2_500)
    protocol.market.pass_time(HOUR)

    assert protocol.price_oracle.record_twap(ETH, expiry) == at_once
    assert at_once / WAD == pytest.approx(3_000, rel=0.001)


def test_it_is_recorded_once_and_not_before_the_expiry(protocol, expiry):
    with reverts("fixing: nothing to record"):
        protocol.price_oracle.record_twap(ETH, expiry)
    protocol.market.pass_time(HOUR)
    protocol.price_oracle.record_twap(ETH, expiry)

    with reverts("fixing: nothing to record"):
        protocol.price_oracle.record_twap(ETH, expiry)


def test_a_pool_that_has_forgotten_gives_none(protocol):
    with reverts("fixing: pool does not remember"):
        protocol.price_oracle.record_twap(ETH, protocol.market.now - 30 * DAY)


# ---------------------------------------------------------------- fix


def test_a_round_of_the_second_hour_is_in_time(protocol, expiry):
    usdc_round = protocol.market.usdc_feed.latestRound()
    protocol.market.pass_time(HOUR + IN_TIME)

    assert protocol.price_oracle.fix(ETH, expiry, protocol.market.submit(3_100), usdc_round) == 3_100 * WAD


def test_a_later_round_is_refused_for_three_days(protocol, expiry):
    """Somebody has to act before that; after it nobody's silence leaves an expiry open (invariant 42)."""
    usdc_round = protocol.market.usdc_feed.latestRound()
    protocol.market.pass_time(HOUR + IN_TIME + 1)
    round_id = protocol.market.submit(3_100)

    with reverts("fixing: round too late"):
        protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round)
    protocol.market.pass_time(expiry + 3 * DAY - protocol.market.now - 1)
    with reverts("fixing: round too late"):
        protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round)
    protocol.market.pass_time(1)

    assert protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round) == 3_100 * WAD


def test_an_old_usdc_round_serves_after_three_days(protocol):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    expiry = market.now + 90_001
    market.pass_time(90_001)
    round_id = market.submit(3_000)
    with reverts("fixing: USDC round too old"):
        protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round)
    market.pass_time(3 * DAY)

    assert protocol.price_oracle.fix(ETH, expiry, round_id, usdc_round) > 0


# ---------------------------------------------------------------- fix_late


def test_the_governor_fixes_what_a_dead_feed_does_not(silent, expiry):
    twap = silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(expiry + DAY - silent.market.now)

    fix_late(silent, expiry, 3_050)

    (event,) = events(silent.price_oracle, "FixedLate")
    assert (event.underlying, event.expiry, event.price, event.twap) == (ETH, expiry, 3_050 * WAD, twap)
    assert silent.price_oracle.fixing(ETH, expiry) == 3_050 * WAD


def test_a_late_fixing_settles_options(funded, sold):
    expiry = funded.expiry()
    funded.market.wait(expiry - HOUR - funded.market.now)
    funded.market.pass_time(HOUR)
    funded.price_oracle.record_twap(ETH, expiry)
    funded.market.pass_time(DAY)
    fix_late(funded, expiry, 3_050)

    funded.book.settle(ETH, expiry, 0, 0, sender=funded.stranger)

    assert funded.clearing.settlement(sold).payout == 50 * WAD


def test_a_first_round_that_came_too_late_proves_it(silent, expiry):
    silent.price_oracle.record_twap(ETH, expiry)
    late = silent.market.submit(2_800)
    silent.market.pass_time(DAY)

    fix_late(silent, expiry, 3_000, late)

    assert silent.price_oracle.fixing(ETH, expiry) == 3_000 * WAD


def test_a_usdc_round_that_is_too_old_proves_it(protocol):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    expiry = market.now + 90_001
    market.pass_time(90_001)
    round_id = market.submit(3_000)
    protocol.price_oracle.record_twap(ETH, expiry)
    market.pass_time(DAY)

    fix_late(protocol, expiry, 3_000, round_id, usdc_round)

    assert protocol.price_oracle.fixing(ETH, expiry) == 3_000 * WAD


def test_a_round_in_time_leaves_the_governor_no_say(protocol, expiry):
    market = protocol.market
    usdc_round = market.usdc_feed.latestRound()
    market.pass_time(HOUR)
    round_id = market.submit(3_010)
    protocol.price_oracle.record_twap(ETH, expiry)
    market.pass_time(DAY)

    for proof in ((round_id, usdc_round), (0, 0)):
        with reverts("fixing: there is a round in time"):
            fix_late(protocol, expiry, 3_000, *proof)


def test_a_later_round_than_the_first_proves_nothing(protocol, expiry):
    market = protocol.market
    market.pass_time(HOUR)
    market.submit(3_010)
    market.pass_time(3 * HOUR)
    second = market.submit(3_020)
    market.pass_time(DAY)

    with reverts("fixing: not the first round"):
        fix_late(protocol, expiry, 3_000, second)


@pytest.mark.parametrize(("price", "is_near"), [(3_085, True), (3_095, False), (2_915, True), (2_905, False)])
def test_the_price_is_within_three_percent_of_the_twap(silent, expiry, price, is_near):
    silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(DAY)

    if is_near:
        fix_late(silent, expiry, price)
    else:
        with reverts("fixing: too far from what is known"):
            fix_late(silent, expiry, price)


def test_not_within_a_day(silent, expiry):
    silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(expiry + DAY - 1 - silent.market.now)

    with reverts("fixing: too early to propose"):
        fix_late(silent, expiry)


def test_without_a_twap_not_within_a_week(silent, expiry):
    last = silent.market.feed.latestRound()
    silent.market.pass_time(expiry + 7 * DAY - 1 - silent.market.now)
    with reverts("fixing: no TWAP recorded"):
        fix_late(silent, expiry, last_round=last)
    silent.market.pass_time(1)

    fix_late(silent, expiry, last_round=last)

    assert silent.price_oracle.fixing(ETH, expiry) == 3_000 * WAD


@pytest.mark.parametrize(("price", "is_near"), [(3_590, True), (3_610, False), (2_410, True), (2_390, False), (0, 0)])
def test_without_a_twap_the_price_is_within_twenty_percent_of_the_last_round(silent, expiry, price, is_near):
    last = silent.market.feed.latestRound()
    silent.market.pass_time(7 * DAY)

    if is_near:
        fix_late(silent, expiry, price, last_round=last)
    else:
        with reverts("fixing: too far from what is known"):
            fix_late(silent, expiry, price, last_round=last)


def test_the_last_round_is_the_one_before_the_expiry(silent, expiry):
    last = silent.market.feed.latestRound()
    late = silent.market.submit(6_000)
    silent.market.pass_time(7 * DAY)

    with reverts("fixing: round after expiry"):
        fix_late(silent, expiry, 6_000, late, last_round=late)
    with reverts("fixing: not the last round"):
        fix_late(silent, expiry, 3_000, late, last_round=last - 1)


def test_what_nobody_proves_in_two_weeks_needs_no_proof(protocol, expiry):
    """The last resort, wider by the same reason: nothing locks an expiry for ever (invariant 42)."""
    market = protocol.market
    market.pass_time(HOUR)
    market.submit(3_400)
    protocol.price_oracle.record_twap(ETH, expiry)
    market.pass_time(14 * DAY - 1)
    with reverts("fixing: there is a round in time"):
        fix_late(protocol, expiry, 3_400)
    market.pass_time(1)
    with reverts("fixing: too far from what is known"):
        fix_late(protocol, expiry, 3_610)

    fix_late(protocol, expiry, 3_400)

    assert protocol.price_oracle.fixing(ETH, expiry) == 3_400 * WAD


def test_a_fixing_never_changes(silent, expiry):
    """Invariant 25."""
    silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(DAY)
    fix_late(silent, expiry)

    with reverts("fixing: there is one"):
        fix_late(silent, expiry, 3_050)
    late = silent.market.submit(2_800)
    assert silent.price_oracle.fix(ETH, expiry, late, 0) == 3_000 * WAD


@pytest.mark.parametrize("role", ["guardian", "keeper", "stranger"])
def test_nobody_but_the_governor(silent, expiry, role):
    silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(DAY)

    with reverts("roles: not allowed"):
        fix_late(silent, expiry, sender=getattr(silent, role))


def test_a_feed_that_does_not_answer_is_dead(silent, expiry):
    silent.price_oracle.record_twap(ETH, expiry)
    silent.market.pass_time(DAY)
    replace_code(silent.market.feed.address, "RefusingToken", silent.stranger)

    fix_late(silent, expiry)

    assert silent.price_oracle.fixing(ETH, expiry) == 3_000 * WAD


def test_a_living_feed_cannot_be_starved_to_look_dead(protocol, expiry):
    protocol.market.pass_time(HOUR)
    protocol.market.submit(3_010)
    protocol.price_oracle.record_twap(ETH, expiry)
    protocol.market.pass_time(DAY)

    for gas in range(60_000, 400_000, 20_000):
        with pytest.raises(boa.BoaError):
            protocol.price_oracle.fix_late(ETH, expiry, 3_000 * WAD, 0, 0, 0, sender=protocol.governor, gas=gas)
