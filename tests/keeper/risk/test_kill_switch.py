"""The kill switch: each level stops what it should, in time, and what is not a number is beyond every level."""

from dataclasses import fields, replace

import pytest

from keeper.domain.safety import Cause, KillLevels, Order, Vitals
from keeper.risk.kill_switch import ON_CHAIN, trips

LEVELS = KillLevels()
WELL = Vitals(
    drawdown=0.02,
    margin_use=0.4,
    doubt_seconds=0,
    mismatch=1e-9,
    mismatch_seconds=0,
    loss_budget=0.9,
    gas_a_day=0.1,
    errors=1,
)
NAN = float("nan")


def tripped(**changes):
    return trips(replace(WELL, **changes), LEVELS, 1e-6)


def test_a_vault_that_is_well_trips_nothing():
    assert tripped() == ()


@pytest.mark.parametrize(
    ("vital", "at_the_level", "beyond", "cause", "order"),
    [
        ("drawdown", 0.1, 0.1001, Cause.DRAWDOWN, Order.STOP_QUOTES),
        ("margin_use", 0.9, 0.901, Cause.MARGIN, Order.STOP_QUOTES),
        ("margin_use", 0.9, float("inf"), Cause.MARGIN, Order.STOP_QUOTES),
        ("doubt_seconds", 900, 901, Cause.ORACLE, Order.STOP_QUOTES),
        ("mismatch", 1e-6, 1.1e-6, Cause.VALUATION, Order.PAUSE),
        ("loss_budget", 0.2, 0.199, Cause.LOSSES, Order.STOP_QUOTES),
        ("gas_a_day", 5.0, 5.01, Cause.GAS, Order.PAUSE),
        ("errors", 10, 11, Cause.ERRORS, Order.PAUSE),
    ],
)
def test_each_level_holds_up_to_itself_and_stops_beyond(vital, at_the_level, beyond, cause, order):
    assert tripped(**{vital: at_the_level}) == ()

    [trip] = tripped(**{vital: beyond})

    assert (trip.cause, trip.order) == (cause, order)
    assert "allowed" in trip.reason or "must be" in trip.reason


@pytest.mark.parametrize("vital", [field.name for field in fields(Vitals) if field.name != "mismatch_seconds"])
def test_what_is_not_a_number_is_beyond_its_level(vital):
    """Fault 19: the kill switch fails closed."""
    assert len(tripped(**{vital: NAN})) == 1


def test_keeper_and_chain_may_disagree_for_a_minute_before_the_pause_lasts():
    [early] = tripped(mismatch=1e-3, mismatch_seconds=60)
    [late] = tripped(mismatch=1e-3, mismatch_seconds=61)

    assert (early.order, early.lasts) == (Order.PAUSE, False)
    assert (late.order, late.lasts) == (Order.PAUSE, True)


def test_a_drawdown_that_the_contracts_do_not_learn_is_not_judged():
    assert tripped(drawdown=None) == ()


def test_everything_that_is_wrong_is_named():
    found = tripped(drawdown=0.5, margin_use=2.0, gas_a_day=9.0)

    assert [trip.cause for trip in found] == [Cause.DRAWDOWN, Cause.MARGIN, Cause.GAS]


def test_a_crash_leaves_the_keeper_hedging():
    found = tripped(drawdown=0.5, margin_use=2.0, doubt_seconds=10_000, loss_budget=0.0)

    assert {trip.cause for trip in found} == {Cause.DRAWDOWN, Cause.MARGIN, Cause.ORACLE, Cause.LOSSES}
    assert {trip.order for trip in found} == {Order.STOP_QUOTES}


def test_a_doubt_or_an_error_of_the_keepers_own_does_not_close_the_vault_for_48_hours():
    assert ON_CHAIN.isdisjoint({Cause.ORACLE, Cause.LOSSES, Cause.GAS, Cause.ERRORS, Cause.BLIND})
