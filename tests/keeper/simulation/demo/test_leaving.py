"""How much of a depositor's shares a demo redeems, and what it says about the rest."""

from dataclasses import replace

from keeper.domain.units import WAD
from keeper.simulation.demo.record import CashFlow
from keeper.simulation.demo.report.page import render
from keeper.simulation.demo.story import leaving
from tests.keeper.simulation.demo.report.tiny_record import tiny_record


def test_everything_leaves_where_the_vault_allows_it():
    assert leaving(has=400 * WAD, allowed=400 * WAD) == (400 * WAD, "")


def test_what_leaves_is_a_little_less_than_a_limit_that_moves():
    shares, note = leaving(has=400 * WAD, allowed=100 * WAD)

    assert 99 * WAD < shares < 100 * WAD
    assert note == "of 400.00 shares what a day's limit, cash and margin allow; the rest queues"


def test_nothing_leaves_where_the_vault_allows_nothing():
    shares, note = leaving(has=400 * WAD, allowed=0)

    assert shares == 0
    assert "the rest queues" in note


def test_the_report_says_why_a_redemption_was_not_in_full():
    flow = CashFlow(400, "second depositor", -100.0, -100.0, "of 500.00 shares what cash and margin allow")

    page = render(replace(tiny_record(), flows=(flow,)))

    assert "<small>of 500.00 shares what cash and margin allow</small>" in page
