"""What the quote desk is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keeper.chain.option_quotes import SignedQuote


class Denial(StrEnum):
    """Why a request was not looked at: somebody has stopped quotes, the desk is not sure of the chain, too many ask."""

    STOPPED = "stopped"
    STALE = "stale"
    BUSY = "busy"
    TOO_MANY = "too many requests"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Denied:
    """No answer, and why."""

    denial: Denial
    why: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a taker asks for; ``series`` as (underlying, is call, expiry, strike in WAD), the size in WAD."""

    series: tuple[int, bool, int, int]
    vault_sells: bool
    size_wad: int
    taker: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed quote, by its digest (0x-hex), and the JSON to hand out."""

    signed: SignedQuote
    digest: str
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A quote that was signed, and what became of it by the newest block: units filled, WAD."""

    answer: dict[str, Any]
    filled_wad: int
    expired: bool
