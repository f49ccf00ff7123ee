"""The redemption queue as told by its events: each settlement is shared out as the contract does, pro rata."""

import pytest

from keeper.simulation.demo.queue_book import QueueBook
from keeper.simulation.demo.record import EpochFill

FIRST, SECOND = "0xfirst", "0xsecond"
NAMES = {FIRST: "first depositor", SECOND: "second depositor"}
SHARE, USDC = 10**18, 10**6


def told(*events):
    """A book after (event, time, arguments)."""
    book = QueueBook()
    for name, time, args in events:
        book.take(name, time, args, NAMES.__getitem__)
    return book


def request(time, who, shares):
    return "RedeemRequest", time, {"controller": who, "shares": shares * SHARE}


def settled(time, epoch, joined, shares, assets, remaining):
    args = {"joined": joined * SHARE, "shares": shares * SHARE, "assets": assets * USDC, "remaining": remaining * SHARE}
    return "EpochSettled", time, {"epoch": epoch, **args}


def claim(time, who, shares, assets):
    return "Withdraw", time, {"owner": who, "shares": shares * SHARE, "assets": assets * USDC}


def test_a_request_waits_with_no_epoch_and_no_price():
    [one] = told(request(100, FIRST, 300)).requests

    assert (one.who, one.kind, one.requested_at, one.shares) == ("first depositor", "queued", 100, 300.0)
    assert (one.epoch, one.fills, one.claimed_at, one.price, one.waited) == (None, (), None, None, None)


def test_an_epoch_without_enough_cash_fills_everyone_in_the_same_proportion():
    book = told(request(100, FIRST, 300), request(110, SECOND, 100), settled(200, 1, 400, 100, 98, 300))

    first, second = book.requests

    assert first.fills == (EpochFill(1, 200, 75.0, 0.98, 0.25),)
    assert second.fills == (EpochFill(1, 200, 25.0, 0.98, 0.25),)
    assert book.waiting == [225.0, 75.0]


def test_what_remains_is_filled_by_the_next_epoch_beside_who_joins_it():
    book = told(
        request(100, FIRST, 300),
        settled(200, 1, 300, 100, 100, 200),
        request(250, SECOND, 200),
        settled(300, 2, 200, 400, 380, 0),
    )

    first, second = book.requests

    assert [(fill.epoch, fill.shares, fill.price) for fill in first.fills] == [(1, 100.0, 1.0), (2, 200.0, 0.95)]
    assert [(fill.epoch, fill.shares, fill.price) for fill in second.fills] == [(2, 200.0, 0.95)]
    assert (first.epoch, second.epoch) == (1, 2)
    assert book.waiting == [0.0, 0.0]


def test_who_asks_after_the_close_does_not_join_the_epoch():
    book = told(request(100, FIRST, 300), request(190, SECOND, 100), settled(200, 1, 300, 300, 300, 0))

    assert [one.epoch for one in book.requests] == [1, None]
    assert book.waiting == [0.0, 100.0]


def test_shares_that_were_taken_back_are_not_filled():
    book = told(
        request(100, FIRST, 300),
        ("RedeemRequestCancelled", 120, {"controller": FIRST, "shares": 300 * SHARE}),
        request(130, SECOND, 100),
        settled(200, 1, 100, 100, 100, 0),
    )

    assert [len(one.fills) for one in book.requests] == [0, 1]
    assert book.requests[0].note == "300.00 shares taken back"


def test_a_claim_says_what_was_paid_and_how_long_it_took():
    book = told(request(100, FIRST, 300), settled(200, 1, 300, 300, 285, 0), claim(260, FIRST, 300, 285))

    [one] = book.requests

    assert (one.claimed_at, one.waited, one.usdc) == (260, 160, pytest.approx(285.0))
    assert one.price == pytest.approx(0.95)
    assert book.claimed == 285 * USDC
