"""Orders that stand: given once, kept with their reasons, there after a restart, seen by another process at once."""

import pytest

from keeper.domain.safety import Cause, Order
from keeper.errors import JournalError
from keeper.execution.journal import Journal
from keeper.execution.orders import OPERATOR, Orders


@pytest.fixture
def url(database_url):
    Journal(database_url).close()
    return database_url


@pytest.fixture
def orders(url):
    opened = Orders(url)
    yield opened
    opened.close()


def test_an_order_stands_until_it_is_lifted(orders):
    orders.give(Order.PAUSE, "moving house")

    [standing] = orders.standing()
    assert (standing.order, standing.cause, standing.reason) == (Order.PAUSE, OPERATOR, "moving house")

    assert orders.lift("moved") == (standing,)
    assert orders.standing() == ()


def test_orders_and_reasons_are_kept(orders):
    orders.give(Order.STOP_QUOTES, "odd surface")
    orders.lift("posted anew")
    orders.give(Order.STOP_QUOTES, "odd again")

    assert [(one.stands, one.reason) for one in orders.history()] == [
        (True, "odd surface"),
        (False, "posted anew"),
        (True, "odd again"),
    ]
    assert [one.reason for one in orders.standing()] == ["odd again"]


def test_the_kill_switch_says_once_why_it_stopped(orders):
    for seconds in (61, 62, 63):
        orders.give(Order.PAUSE, f"disagree for {seconds} s", Cause.VALUATION)

    assert [one.reason for one in orders.history()] == ["disagree for 61 s"]


def test_causes_stand_beside_each_other(orders):
    orders.give(Order.PAUSE, "by hand")
    orders.give(Order.PAUSE, "3 ether gone", Cause.GAS)
    orders.give(Order.UNWIND, "retired")

    lifted = orders.lift("enough", Order.PAUSE)

    assert {one.cause for one in lifted} == {OPERATOR, Cause.GAS}
    assert [one.order for one in orders.standing()] == [Order.UNWIND]


def test_an_order_outlives_the_process_and_reaches_another(url, orders):
    other = Orders(url)
    orders.give(Order.PAUSE, "stop", Cause.LOSSES)

    assert [one.reason for one in other.standing()] == ["stop"]
    other.close()
    again = Orders(url)
    assert [one.cause for one in again.standing()] == [Cause.LOSSES]
    again.close()


def test_without_a_journal_there_are_no_orders(tmp_path):
    with pytest.raises(JournalError, match="There is no journal"):
        Orders(f"sqlite:///{tmp_path}/other.sqlite")


def test_orders_that_cannot_be_read_are_an_error(tmp_path):
    """Fault 14, and the kill switch fails closed: nobody goes on as if nothing stood."""
    url = f"sqlite:///{tmp_path / 'keel.sqlite'}"
    Journal(url).close()
    (tmp_path / "keel.sqlite").write_bytes(b"no database" * 1_000)

    with pytest.raises(JournalError, match="damaged"):
        Orders(url).standing()


def test_what_leaves_the_account_is_spent_and_what_comes_is_not(orders):
    ether = 10**18
    assert orders.see_balance(1_000, 5 * ether, since=0) == 0
    assert orders.see_balance(1_012, 4 * ether, since=0) == ether
    assert orders.see_balance(1_024, 9 * ether, since=0) == ether  # topped up
    assert orders.see_balance(1_036, 9 * ether, since=0) == ether
    assert orders.see_balance(1_048, 8 * ether, since=0) == 2 * ether
    assert orders.see_balance(1_060, 8 * ether, since=1_013) == ether  # the first is a day ago


def test_what_was_spent_is_remembered_over_a_restart(url, orders):
    orders.see_balance(1_000, 500, since=0)
    orders.close()

    again = Orders(url)

    assert again.see_balance(1_012, 400, since=0) == 100
    again.close()


def test_errors_are_counted_over_a_restart_and_by_every_machine(url, orders):
    for timestamp in (1_000, 2_000):
        orders.count_error(timestamp)
    other = Orders(url)
    other.count_error(3_000)

    assert (other.errors(since=0), orders.errors(since=1_500)) == (3, 2)
    other.close()


def test_errors_that_somebody_has_seen_are_not_counted_again(orders):
    orders.count_error(1_000)
    orders.give(Order.PAUSE, "by hand")
    orders.lift("goes on")
    assert orders.errors(since=0) == 1

    orders.give(Order.PAUSE, "too many", Cause.ERRORS)
    orders.lift("mended")

    assert orders.errors(since=0) == 0
    orders.count_error(1_001)
    assert orders.errors(since=0) == 1


def test_how_long_a_trouble_lasts_is_known_after_a_restart(url, orders):
    assert orders.lasts("doubt", False, 1_000) == 0
    assert orders.lasts("doubt", True, 1_012) == 0
    assert orders.lasts("mismatch", True, 1_015) == 0
    orders.close()
    again = Orders(url)

    assert again.lasts("doubt", True, 1_072) == 60
    assert again.lasts("doubt", False, 1_084) == 0
    assert again.lasts("doubt", True, 1_096) == 0
    assert again.lasts("mismatch", True, 1_096) == 81
    again.close()
