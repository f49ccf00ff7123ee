"""A recorded decision is made again from what is stored: the same, or the fields that differ are named."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.domain.decision import Action, Costs, Decision, DeltaChange, Leg
from keeper.operations.replay import TOLERANCE, compare
from tests.keeper.execution.test_journal import decisions

WHY = "buy 20.5000 ETH by pool: ETH delta -22.500 to -2.000, band 6.600; costs 1,234.56 USDC"
DECISION = Decision(
    100,
    "0x" + "ab" * 32,
    Action.TRADE,
    WHY,
    legs=(Leg(0, 1, 205 * 10**17, 3_010 * 10**18),),
    deltas=(DeltaChange(0, -22.5, -2.0, 6.6),),
    costs=Costs(1_000.0, 200.0, 34.0, 0.56),
    risk_before=90.0,
    risk_after=4.0,
    binding=(("idle cash", 0.25),),
)


@given(decision=decisions)
def test_a_decision_equals_itself(decision):
    assert compare(decision, decision, exactly=True) == (0.0, ())


@given(data=st.data())
def test_each_field_that_changes_is_named(data):
    name = data.draw(st.sampled_from([field.name for field in fields(Decision)]))
    values = decisions.map(lambda one: getattr(one, name))
    other = data.draw(values.filter(lambda value: value != getattr(DECISION, name)))

    _, found = compare(DECISION, replace(DECISION, **{name: other}), exactly=True)

    assert found
    assert {one.field.partition(".")[0] for one in found} == {name}


@pytest.mark.parametrize("exactly", [True, False])
def test_numbers_may_differ_by_a_billionth_where_the_versions_do(exactly):
    near = replace(DECISION, costs=replace(DECISION.costs, fee=1_000.0 * (1 + TOLERANCE / 2)))

    off_by, found = compare(DECISION, near, exactly=exactly)

    assert off_by == pytest.approx(TOLERANCE / 2, rel=1e-3)
    assert [one.field for one in found] == (["costs.fee"] if exactly else [])


def test_not_by_more():
    off = replace(DECISION, legs=(replace(DECISION.legs[0], limit_price=3_010 * 10**18 + 10**13),))

    off_by, found = compare(DECISION, off, exactly=False)

    assert off_by == pytest.approx(3.3e-9, rel=0.01)
    assert [(one.field, one.recorded) for one in found] == [("legs.0.limit_price", str(3_010 * 10**18))]


@pytest.mark.parametrize(
    ("again", "reads_the_same"),
    [
        (WHY.replace("1,234.56", "1,234.57"), True),  # the last digit of a number that is rounded for people
        (WHY.replace("1,234.56", "1,234.58"), False),
        (WHY.replace("ETH", "BTC"), False),
        (WHY + "; no tail is priced", False),
    ],
)
def test_a_reason_reads_the_same_but_for_the_last_digit(again, reads_the_same):
    _, found = compare(DECISION, replace(DECISION, reason=again), exactly=False)

    assert [one.field for one in found] == ([] if reads_the_same else ["reason"])


def test_what_is_not_finite_is_near_nothing_else():
    _, found = compare(DECISION, replace(DECISION, risk_after=float("inf")), exactly=False)

    assert [one.field for one in found] == ["risk_after"]
