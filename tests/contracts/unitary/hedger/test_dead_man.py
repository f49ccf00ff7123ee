"""Hedger.record_breach, clear_breach, heartbeat, opens_at: when others may act in the keeper's place."""

import pytest

from tests.contracts.chain import HOUR, USDC, WAD, events, reverts
from tests.contracts.protocol import ETH, LOOSE, SPOT, fault, wad

NEVER = 2**256 - 1
MINUTE = 60


@pytest.fixture
def adrift(funded, series):
    """Short sixty calls: delta is 10 % of NAV, five times the target band."""
    funded.loosen()
    funded.sell(series, 60 * WAD)
    funded.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=funded.governor)
    return funded


@pytest.fixture
def distressed(adrift):
    """With equity below maintenance margin."""
    adrift.overwrite("idle", 25_000 * USDC)
    a = adrift.vault.assessment()
    assert 0 < a.nav_mid < a.maintenance
    return adrift


def record(protocol):
    protocol.hedger.record_breach(sender=protocol.stranger)


# ---------------------------------------------------------------- the record


def test_while_every_limit_holds_there_is_nothing_to_record(hedged):
    """Invariant 33. Liquidation only when unhealthy."""
    with reverts("breach: every limit holds"):
        record(hedged)


def test_anyone_records_a_breach(adrift):
    record(adrift)

    assert adrift.hedger.breach() == (adrift.market.now, 0, adrift.market.now)


def test_a_record_that_is_confirmed_in_ten_minutes_keeps_its_age(adrift):
    record(adrift)
    since = adrift.market.now
    adrift.market.wait(10 * MINUTE)

    record(adrift)

    assert adrift.hedger.breach() == (since, 0, since + 10 * MINUTE)


def test_a_record_that_is_not_confirmed_in_ten_minutes_starts_anew(adrift):
    record(adrift)
    adrift.market.wait(10 * MINUTE + 1)
    forgotten = adrift.hedger.breach()

    record(adrift)

    assert forgotten == (0, 0, 0)
    assert adrift.hedger.breach().since == adrift.market.now


def test_distress_has_its_own_age(adrift):
    record(adrift)
    since = adrift.market.now
    adrift.market.wait(5 * MINUTE)
    adrift.overwrite("idle", 25_000 * USDC)

    record(adrift)

    assert adrift.hedger.breach()[:2] == (since, since + 5 * MINUTE)
    assert adrift.hedger.distressed_since() == since + 5 * MINUTE


def test_distress_that_is_over_is_struck_while_the_breach_goes_on(distressed):
    record(distressed)
    distressed.overwrite("idle", 1_000_000 * USDC)

    record(distressed)

    assert distressed.hedger.breach().since > 0
    assert distressed.hedger.distressed_since() == 0


def test_a_breach_is_struck_by_anyone_once_it_is_over(adrift):
    record(adrift)
    adrift.risk.set_limits(LOOSE, sender=adrift.governor)

    adrift.hedger.clear_breach(sender=adrift.stranger)

    assert len(events(adrift.hedger, "BreachCleared")) == 1
    assert adrift.hedger.breach() == (0, 0, 0)


def test_a_breach_that_goes_on_is_not_struck(adrift):
    record(adrift)

    with reverts("breach: not over"):
        adrift.hedger.clear_breach(sender=adrift.keeper)
    assert adrift.hedger.breach().since > 0


def test_a_venue_below_the_de_risk_health_is_a_breach(hedged):
    hedged.loosen()
    hedged.market.move(4_200)
    assert WAD < hedged.short.state(4_200 * WAD).health < 13 * WAD // 10

    record(hedged)

    assert hedged.hedger.breach().since == hedged.market.now


def test_oracle_doubt_is_no_breach(funded, sold):
    """It raises initial margin, and never triggers liquidation."""
    funded.loosen()
    a = funded.vault.assessment()
    funded.overwrite("idle", funded.vault.idle() - (a.nav_mid - a.maintenance * 17 // 10) // 10**12)
    funded.market.submit_usdc(0.985)
    a = funded.vault.assessment()
    assert a.doubt
    assert a.nav_mid < a.initial

    with reverts("breach: every limit holds"):
        record(funded)


def test_while_a_venue_does_not_answer_no_breach_can_be_told(adrift):
    broken = fault("LyingVenue")
    adrift.vault.list_venue(broken, ETH, sender=adrift.governor)
    broken.break_down()

    with reverts("risk: a venue does not answer"):
        record(adrift)
    with reverts("breach: not over"):
        adrift.hedger.clear_breach(sender=adrift.stranger)


def test_while_an_expired_series_is_not_settled_no_breach_can_be_told(adrift):
    adrift.reach_expiry(adrift.expiry(), 3_100)

    with reverts("vault: settle the expired series first"):
        record(adrift)


# ---------------------------------------------------------------- the heartbeat


def test_the_keeper_shows_that_it_lives(hedged):
    hedged.market.wait(HOUR)

    hedged.hedger.heartbeat(sender=hedged.keeper)

    assert hedged.hedger.heartbeat_at() == hedged.market.now


@pytest.mark.parametrize("role", ["governor", "guardian", "stranger"])
def test_others_do_not(hedged, role):
    with reverts("roles: not allowed"):
        hedged.hedger.heartbeat(sender=getattr(hedged, role))


def test_in_breach_it_does_not_count(adrift):
    """A keeper that lives and does not hedge is as good as dead."""
    with reverts("heartbeat: in breach"):
        adrift.hedger.heartbeat(sender=adrift.keeper)


def test_it_strikes_a_breach_that_is_over(adrift):
    record(adrift)
    adrift.risk.set_limits(LOOSE, sender=adrift.governor)

    adrift.hedger.heartbeat(sender=adrift.keeper)

    assert adrift.hedger.breach() == (0, 0, 0)


def test_a_rebalance_that_leaves_every_limit_kept_is_one(adrift):
    record(adrift)
    adrift.market.wait(5 * MINUTE)

    adrift.rebalance(adrift.leg(SPOT, 32))

    assert adrift.hedger.heartbeat_at() == adrift.market.now
    assert adrift.hedger.breach() == (0, 0, 0)


def test_a_rebalance_that_leaves_a_breach_is_none(adrift):
    record(adrift)
    since, last = adrift.market.now, adrift.hedger.heartbeat_at()
    adrift.market.wait(5 * MINUTE)

    adrift.rebalance(adrift.leg(SPOT, 10))

    assert adrift.hedger.heartbeat_at() == last
    assert adrift.hedger.breach() == (since, 0, adrift.market.now)


# ---------------------------------------------------------------- when others may act


def test_without_a_record_others_may_never_act(adrift):
    assert adrift.hedger.opens_at() == NEVER


def test_others_may_act_half_an_hour_after_the_last_heartbeat(hedged):
    """Whatever the heartbeat says: in a breach there is none."""
    hedged.hedger.heartbeat(sender=hedged.keeper)
    hedged.risk.set_limits(LOOSE._replace(delta_target=1, delta_hard=WAD), sender=hedged.governor)

    record(hedged)

    assert hedged.hedger.opens_at() == hedged.market.now + 30 * MINUTE


@pytest.mark.parametrize(("silent_for", "minutes"), [(5, 25), (15, 15), (60, 15)])
def test_a_keeper_that_was_silent_before_gets_less_time_and_fifteen_minutes_at_least(adrift, silent_for, minutes):
    adrift.risk.set_limits(LOOSE, sender=adrift.governor)
    adrift.hedger.heartbeat(sender=adrift.keeper)
    adrift.risk.set_limits(LOOSE._replace(delta_target=wad(0.02)), sender=adrift.governor)
    adrift.market.wait(silent_for * MINUTE)

    record(adrift)

    assert adrift.hedger.opens_at() == adrift.market.now + minutes * MINUTE


def test_below_maintenance_margin_others_may_act_after_ten_minutes(distressed):
    record(distressed)

    assert distressed.hedger.opens_at() == distressed.market.now + 10 * MINUTE


def test_anyone_can_ask_whether_every_limit_holds(adrift):
    while_adrift = adrift.hedger.limits_hold()
    adrift.rebalance(adrift.leg(SPOT, 32))

    assert (while_adrift, adrift.hedger.limits_hold()) == (False, True)
