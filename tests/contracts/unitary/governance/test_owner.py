"""Governance: owner, guardians, abdication. What concerns itself goes through its own delay."""

import pytest

from tests.contracts.chain import DAY, HOUR, events, reverts
from tests.contracts.governed import call, selector
from tests.contracts.protocol import Budgets, Limits, load, wad

ZERO = "0x" + "00" * 20


def test_it_begins_with_an_owner_and_guardians(governed):
    assert governed.governance.owner() == governed.owner
    assert governed.governance.is_guardian(governed.guardian)
    assert not governed.governance.is_guardian(governed.owner)


def test_it_needs_an_owner():
    with reverts("governance: zero owner"):
        load("Governance").deploy(ZERO, [])


def test_a_guardian_of_address_zero_is_refused(governed):
    with reverts("governance: zero guardian"):
        load("Governance").deploy(governed.owner, [ZERO])


def test_the_owner_is_changed_by_a_call_that_waits(governed):
    change = call(governed.governance, "set_owner", governed.protocol.stranger)
    governed.submit(change)
    governed.pass_time(48 * HOUR)

    governed.accept(change)

    assert governed.governance.owner() == governed.protocol.stranger


def test_a_guardian_is_added_by_a_call_that_waits(governed):
    governed.do(governed.governance, "add_guardian", governed.protocol.stranger)

    (event,) = events(governed.governance, "GuardianSet")
    assert (event.guardian, event.is_guardian) == (governed.protocol.stranger, True)
    assert governed.governance.is_guardian(governed.protocol.stranger)


def test_the_owner_drops_a_guardian_at_once(governed):
    governed.governance.drop_guardian(governed.guardian, sender=governed.owner)

    id = governed.submit(call(governed.governance, "set_owner", governed.protocol.stranger))
    with reverts("governance: not the owner"):
        governed.governance.revoke(id, sender=governed.guardian)


@pytest.mark.parametrize("who", ["guardian", "owner"])
def test_only_the_owner_drops_guardians_and_nobody_changes_the_rest_directly(governed, who):
    sender = getattr(governed, who)
    if who != "owner":
        with reverts("governance: not the owner"):
            governed.governance.drop_guardian(governed.guardian, sender=sender)
    for function, *args in (
        ("set_owner", sender),
        ("add_guardian", sender),
        ("abdicate", governed.protocol.risk.address, b"\x01\x02\x03\x04"),
    ):
        with reverts("governance: not by itself"):
            getattr(governed.governance, function)(*args, sender=sender)


# ---------------------------------------------------------------- abdication


@pytest.fixture
def abdicated(governed):
    """`Hedger.set_budgets` given up, while a call of it was pending."""
    governed.submit(call(governed.protocol.hedger, "set_budgets", Budgets(loss_capacity=wad(0.5))))
    target, data = call(governed.protocol.hedger, "set_budgets", Budgets())
    governed.do(governed.governance, "abdicate", target, data[:4])
    return governed


def test_an_abdication_waits_for_a_week(governed):
    """Invariant 41: what cannot be undone waits longest."""
    abdication = call(governed.governance, "abdicate", governed.protocol.risk, b"\x01\x02\x03\x04")
    governed.submit(abdication)
    governed.pass_time(7 * DAY - 1)

    with reverts("timelock: too early"):
        governed.accept(abdication)


def test_an_abdicated_function_can_neither_be_announced_nor_made(abdicated):
    (event,) = events(abdicated.governance, "Abdicated")
    target, data = call(abdicated.protocol.hedger, "set_budgets", Budgets())
    assert (event.target, event.selector) == (target, data[:4])
    with reverts("timelock: abdicated"):
        abdicated.submit((target, data))
    with reverts("timelock: abdicated"):  # it was pending before
        abdicated.accept(call(abdicated.protocol.hedger, "set_budgets", Budgets(loss_capacity=wad(0.5))))


def test_an_abdicated_function_is_not_reached_with_other_bytes(abdicated):
    target, data = call(abdicated.protocol.hedger, "set_budgets", Budgets())

    with reverts("timelock: abdicated"):
        abdicated.submit((target, data + b"\x00"))


def test_an_abdicated_function_is_not_reached_through_another_governor(abdicated):
    with reverts("timelock: abdicated"):
        abdicated.submit(call(abdicated.protocol.hedger, "hand_over", abdicated.owner))


def test_other_functions_and_contracts_are_not_touched_by_an_abdication(abdicated):
    abdicated.do(abdicated.protocol.hedger, "grant_role", abdicated.protocol.stranger, 4)
    abdicated.do(abdicated.protocol.risk, "set_limits", Limits(vega_band=wad(0.24)))

    assert abdicated.protocol.hedger.roles_of(abdicated.protocol.stranger) == 4
    assert abdicated.protocol.risk.limits().vega_band == wad(0.24)


def test_an_abdicated_function_can_still_be_tightened(abdicated):
    """Invariant 41."""
    abdicated.protocol.hedger.tighten_budgets(Budgets(loss_capacity=0), sender=abdicated.owner)

    assert abdicated.protocol.hedger.budgets().loss_capacity == 0


def test_what_is_not_a_keel_function_can_be_announced(governed):
    """Delays of functions that nobody has classified are those of a loosening."""
    assert governed.governance.delay_of(selector("transfer(address,uint256)")) == 48 * HOUR
