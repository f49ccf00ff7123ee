"""Times are UTC in words and seconds inside; what is no time is refused with what was left undone."""

import pytest

from keeper.domain.times import parse_utc, utc_minute, utc_second
from keeper.errors import ConfigError

WHEN = 1_722_864_600  # 2024-08-05 13:30 UTC


def test_times_are_written_in_utc():
    assert utc_minute(WHEN + 59) == "2024-08-05 13:30"
    assert utc_second(WHEN + 59) == "2024-08-05 13:30:59 UTC"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-08-05", WHEN - 13 * 3_600 - 1_800),
        (" 2024-08-05T13:30 ", WHEN),
        ("2024-08-05 13:30:00Z", WHEN),
        ("2024-08-05T15:30+02:00", WHEN),
    ],
)
def test_a_date_or_date_time_is_utc_unless_it_names_a_zone(text, seconds):
    assert parse_utc(text, "--from", kept="") == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "2024-02-30", "1722864600000"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_utc(text, "--from", kept="Nothing was fetched.")

    assert refused.value.what == f"--from {text!r} is neither a date nor a date-time."
    assert refused.value.kept == "Nothing was fetched."
