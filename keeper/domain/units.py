"""Units at the edge between chain and float: WAD = 1e18 for everything but USDC amounts, which have 6 decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

WAD: Final = 10**18
USDC: Final = 10**6
WAD_PER_USDC_UNIT: Final = 10**12
SIZE_UNIT: Final = 10**9  # smallest option size, 1e-9 units in WAD
MINUTE: Final = 60  # seconds, as the next three
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY  # ACT/365 fixed
MAX_UINT256: Final = 2**256 - 1


def to_wad(amount: float | int | str | Decimal) -> int:
    """The decimal number that ``amount`` prints as, in WAD, truncated: ``to_wad(0.1) == 10**17``."""
    return int(Decimal(str(amount)) * WAD)


def to_usdc(amount: float | int | str | Decimal) -> int:
    """The decimal number that ``amount`` prints as, in USDC's smallest units, truncated."""
    return int(Decimal(str(amount)) * USDC)


def from_wad(amount: int) -> float:
    """WAD as a float."""
    return amount / WAD


def from_usdc(amount: int) -> float:
    """Smallest units of USDC as a float."""
    return amount / USDC
