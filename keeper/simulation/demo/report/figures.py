"""Numbers, times and names as people read them. A real minus sign; a no-break space before units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

_NO_BREAK = "\u00a0"


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """``-1234.5`` as ``−1,234.50``; no sign on what rounds to zero."""
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def exact(value: int, *, signed: bool = False) -> str:
    """All digits of an integer, however many."""
    return (f"{value:+,}" if signed else f"{value:,}").replace("-", "−")


def usdc(value: float, *, signed: bool = False) -> str:
    """Cents below 1,000 USDC, none above."""
    return number(value, 2 if abs(value) < 999.995 else 0, signed=signed)


def percent(share: float, *, signed: bool = False) -> str:
    """One digit after the point, two where that would hide the figure."""
    digits = 1 if abs(share) >= 0.00995 or share == 0 else 2
    return f"{number(100 * share, digits, signed=signed)}{_NO_BREAK}%"


def units(value: float, *, signed: bool = False) -> str:
    """Units of the underlying."""
    return number(value, 3, signed=signed)


def time(timestamp: int) -> str:
    """``20 Nov 08:05``, UTC."""
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{at.day}{_NO_BREAK}{at:%b %H:%M}"


def day(timestamp: int) -> str:
    """``20 November 2026``."""
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{at.day}{_NO_BREAK}{at:%B}{_NO_BREAK}{at.year}"


def duration(hours: float) -> str:
    """``12 hours``, ``1 hour``, ``45 minutes``."""
    if hours < 1:
        return f"{hours * 60:.0f}{_NO_BREAK}minutes"
    return f"{hours:g}{_NO_BREAK}{'hour' if hours == 1 else 'hours'}"


def name(key: str) -> str:
    """A dictionary's key as a label: ``pool_fees`` is ``Pool fees``."""
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def parts(amounts: Mapping[str, float]) -> str:
    """``pool fees 12.30, gas 4.56``, the largest first, without what is less than half a USDC."""
    largest = sorted(amounts.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{key.replace('_', ' ')} {usdc(amount)}" for key, amount in largest if abs(amount) >= 0.5)
