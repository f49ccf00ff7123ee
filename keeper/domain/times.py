"""Times as people write and read them, UTC. Inside, a time is seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime

from keeper.errors import ConfigError


def utc_minute(timestamp: int) -> str:
    """``2024-08-05 13:30``, for where it is said that it is UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M")


def utc_second(timestamp: int) -> str:
    """``2024-08-05 13:30:00 UTC``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def parse_utc(text: str, option: str, *, kept: str) -> int:
    """Seconds of an option's date (its midnight) or date-time, UTC where it names no zone.

    Raises:
        ConfigError: it is neither; ``kept`` is what it says was left undone.
    """
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is neither a date nor a date-time.",
            kept=kept,
            todo="Write 2024-08-05 or 2024-08-05T13:30, in UTC.",
        ) from None
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
