"""Option series and positions, packed as in ``contracts/modules/series.vy``:

underlying 8 | call 1 | expiry 32 | strike 64 (1e-6 USDC) | ln(strike) 64 (WAD) | position 87 (signed, 1e-9 units).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from keeper.domain.units import DAY, HOUR, SIZE_UNIT, WAD

_POSITION_BITS = 87
_STRIKE_UNIT = 10**12
WEEK = 7 * DAY
EXPIRY_HOUR = 8  # UTC
_EXPIRY_OFFSET = DAY + EXPIRY_HOUR * HOUR  # the epoch began on a Thursday; series expire on Fridays

UNDERLYINGS = ("ETH", "BTC")


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """A European option. ``strike_wad`` is USDC in WAD, ``expiry`` seconds, ``underlying`` an index in UNDERLYINGS.

    ``ln_strike_wad`` is part of the identifier on chain and is taken from there.
    """

    underlying: int
    is_call: bool
    expiry: int
    strike_wad: int
    ln_strike_wad: int

    @classmethod
    def from_slot(cls, slot: int) -> Series:
        """The series of a packed slot or identifier."""
        return cls(
            underlying=slot >> 248,
            is_call=bool(slot >> 247 & 1),
            expiry=slot >> 215 & 0xFFFFFFFF,
            strike_wad=(slot >> 151 & 0xFFFFFFFFFFFFFFFF) * _STRIKE_UNIT,
            ln_strike_wad=slot >> 87 & 0xFFFFFFFFFFFFFFFF,
        )

    @property
    def id(self) -> int:
        """Identifier on chain, also the ERC-1155 token's."""
        return (
            self.underlying << 248
            | self.is_call << 247
            | self.expiry << 215
            | self.strike_wad // _STRIKE_UNIT << 151
            | self.ln_strike_wad << 87
        )

    @property
    def strike(self) -> float:
        """Strike in USDC."""
        return self.strike_wad / WAD

    @property
    def label(self) -> str:
        """For people, in the exchanges' usual form: ``ETH-20NOV26-3000-C``."""
        day = datetime.fromtimestamp(self.expiry, UTC).strftime("%d%b%y").upper().lstrip("0")
        return f"{UNDERLYINGS[self.underlying]}-{day}-{self.strike:g}-{'C' if self.is_call else 'P'}"


@dataclass(frozen=True, slots=True)
class Position:
    """The vault's net position in a series: ``size_wad`` units, positive when the vault is long."""

    series: Series
    size_wad: int

    @classmethod
    def from_slot(cls, slot: int) -> Position:
        """The position of a packed slot."""
        raw = slot & (1 << _POSITION_BITS) - 1
        signed = raw - (1 << _POSITION_BITS) if raw >> (_POSITION_BITS - 1) else raw
        return cls(Series.from_slot(slot), signed * SIZE_UNIT)

    @property
    def slot(self) -> int:
        """Packed form.

        Raises:
            ValueError: the size is not a multiple of 1e-9 units.
        """
        if self.size_wad % SIZE_UNIT:
            raise ValueError(f"size {self.size_wad} is not a multiple of 1e-9 units")
        return self.series.id | self.size_wad // SIZE_UNIT & (1 << _POSITION_BITS) - 1


def next_expiry(after: int) -> int:
    """The first Friday 08:00 UTC strictly later than ``after`` (seconds)."""
    return (after - _EXPIRY_OFFSET) // WEEK * WEEK + WEEK + _EXPIRY_OFFSET
