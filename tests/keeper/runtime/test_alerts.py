"""Alerts: one message per trouble, again while it lasts, louder while nobody acts, and a storm stays readable."""

import threading

import pytest

from keeper.runtime.alerts import (
    MAX_A_MINUTE,
    RETRY_SECONDS,
    SETTLED_AFTER,
    AlertBook,
    Alerter,
    AlertPace,
    Channel,
    Condition,
    Severity,
)

GAS = Condition("low-gas", Severity.WARNING, "0.1 ether left")
STUCK = Condition("stuck-transaction", Severity.CRITICAL, "no end for 200 s")
PACE = AlertPace(repeat=3_600, escalate=900)


class Told:
    """A book and what it has told so far; every delivery succeeds unless the channel is `down`."""

    def __init__(self, pace=PACE):
        self.book, self.messages, self.down = AlertBook(pace), [], set()

    def at(self, now, *conditions):
        """What was told in the round at this time."""
        self.book.update(conditions, now)
        told = []
        for message in self.book.due(now):
            if message.channel in self.down:
                self.book.failed(message, now)
            else:
                self.book.told(message, now)
                told.append((message.phase, message.condition.key, message.channel))
        return told


def test_a_trouble_is_told_once_and_not_at_every_block():
    told = Told()

    assert told.at(0, GAS) == [("new", "low-gas", Channel.FIRST)]
    assert [told.at(12 * block, GAS) for block in range(1, 250)] == [[]] * 249


def test_what_lasts_is_told_again_with_todays_words():
    told = Told()
    told.at(0, GAS)

    book_says = Condition("low-gas", Severity.WARNING, "0.01 ether left")
    told.book.update([book_says], 3_600)
    [message] = told.book.due(3_600)

    assert (message.phase, message.condition.text) == ("still", "0.01 ether left")


def test_what_is_over_is_told_when_it_has_settled():
    told = Told()
    told.at(0, GAS)

    assert told.at(30) == []
    assert told.at(SETTLED_AFTER) == [("over", "low-gas", Channel.FIRST)]
    assert told.at(2 * SETTLED_AFTER) == []


def test_what_flaps_is_one_trouble():
    told = Told()

    phases = [told.at(10 * i, *([GAS] if i % 3 == 0 else [])) for i in range(60)]

    assert phases == [[("new", "low-gas", Channel.FIRST)]] + [[]] * 59


def test_what_is_critical_and_lasts_goes_to_the_second_list():
    told = Told()
    assert told.at(0, STUCK, GAS) == [
        ("new", "stuck-transaction", Channel.FIRST),
        ("new", "low-gas", Channel.FIRST),
    ]
    assert told.at(899, STUCK, GAS) == []

    assert told.at(900, STUCK, GAS) == [("escalated", "stuck-transaction", Channel.SECOND)]
    assert told.at(901, STUCK, GAS) == []
    assert ("over", "stuck-transaction", Channel.SECOND) in told.at(901 + SETTLED_AFTER)


def test_a_channel_that_is_down_is_tried_again_and_the_second_list_hears_of_it():
    """Fault 18."""
    told = Told()
    told.down = {Channel.FIRST}

    assert told.at(0, STUCK) == []
    assert told.at(RETRY_SECONDS - 1, STUCK) == []
    assert told.at(RETRY_SECONDS, STUCK) == [("escalated", "stuck-transaction", Channel.SECOND)]
    told.down = set()
    assert told.at(2 * RETRY_SECONDS, STUCK) == [("new", "stuck-transaction", Channel.FIRST)]


def test_a_storm_is_told_in_pieces_and_the_worst_first():
    """Fault 18."""
    told = Told()
    storm = [Condition(f"trouble-{i}", Severity.WARNING, "") for i in range(20)] + [STUCK]
    told.book.update(storm, 0)

    first = told.book.due(0)

    assert len(first) == MAX_A_MINUTE
    assert first[0].condition is STUCK
    assert first[-1].also == 21 - MAX_A_MINUTE
    assert first[-1].title.endswith("(and 15 more)")
    for message in first:
        told.book.told(message, 0)
    assert told.at(30, *storm) == []
    assert len(told.at(61, *storm)) == MAX_A_MINUTE


def test_the_loop_does_not_wait_for_a_channel_that_hangs():
    hangs, sent = threading.Event(), threading.Event()

    def send(message):
        sent.set()
        return hangs.wait(60)

    alerter = Alerter(send, PACE)
    alerter.start()
    alerter.update([STUCK])
    assert sent.wait(60)

    alerter.update([STUCK, GAS])  # returns while the first one still hangs
    assert not hangs.is_set()

    hangs.set()
    alerter.stop()


def test_the_last_words_are_told_before_the_end():
    told = []
    alerter = Alerter(lambda message: told.append(message.condition.key) or True, PACE)
    alerter.start()

    alerter.stop([Condition("keeper-stopped", Severity.CRITICAL, "The journal is damaged.")])

    assert told == ["keeper-stopped"]


def test_what_the_alerter_sees_itself_is_told_when_the_loop_says_nothing():
    told = []
    stalled = Condition("stalled", Severity.CRITICAL, "The loop has not come round.")
    alerter = Alerter(lambda message: told.append(message.condition.key) or True, PACE, watch=lambda: [stalled])

    alerter.round()

    assert told == ["stalled"]


@pytest.mark.parametrize("outcome", [False, RuntimeError("https://hooks/SECRET")])
def test_a_delivery_that_fails_is_counted_and_its_words_are_not_logged(outcome, caplog):
    counted = []

    def send(message):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    alerter = Alerter(send, PACE, counted=lambda severity, ok: counted.append((severity, ok)))
    alerter.update([STUCK])

    alerter.round()

    assert counted == [(Severity.CRITICAL, False)]
    assert "SECRET" not in caplog.text
