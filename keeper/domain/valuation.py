"""What the keeper makes of a snapshot: floats in USDC and units of the underlying, + = the vault is long."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from keeper.domain.series import Series

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PositionValue:
    """One position.

    ``forward``, ``vol`` and the prices are per unit; ``bid`` and ``ask`` are the prices at the volatility less and
    plus the slice's half-spread. The Greeks are those of the whole position: spot delta in units, gamma in units per
    USDC, vega in USDC per 1.0 of volatility, theta in USDC per year.
    """

    series: Series
    size: float
    forward: float
    vol: float
    bid: float
    mid: float
    ask: float
    delta: float
    gamma: float
    vega: float
    theta: float

    @property
    def value(self) -> float:
        """Of the position at mid, USDC."""
        return self.size * self.mid

    @property
    def value_against(self) -> float:
        """Of the position marked against the vault, USDC: what it adds to ``nav_bid``."""
        return self.size * (self.bid if self.size > 0 else self.ask)


@dataclass(frozen=True, slots=True)
class OptionTotals:
    """The options of one underlying.

    Spot in USDC, zero when there is none; ``doubt`` of its oracle; values in USDC marked against, at and in favour of
    the vault; Greeks as in PositionValue; notionals in USDC at spot, of the short sizes and of all sizes; ``pnl``,
    USDC, has shape (36,), cells as in keeper/risk/grid.py, read-only.
    """

    spot: float
    doubt: bool
    bid: float
    mid: float
    ask: float
    delta: float
    gamma: float
    vega: float
    theta: float
    short_notional: float
    gross_notional: float
    pnl: FloatArray = field(compare=False)


@dataclass(frozen=True, slots=True)
class VenueTotals:
    """The venues of one underlying: exposure in units, the sum of its absolute values, and equities in USDC."""

    units: float
    gross_units: float
    equity: float
    stressed_down: float
    stressed_up: float


@dataclass(frozen=True, slots=True)
class Margins:
    """Equity and requirements of the whole book, USDC, as IRiskEngine.Assessment defines them."""

    nav_bid: float
    nav_mid: float
    nav_ask: float
    maintenance: float
    initial: float
    gap_headroom: float
    gross: float


@dataclass(frozen=True, slots=True)
class Valuation:
    """One snapshot, valued. ``cash`` is idle USDC less what is owed; tuples over underlyings have one entry each."""

    timestamp: int
    positions: tuple[PositionValue, ...]
    options: tuple[OptionTotals, ...]
    venues: tuple[VenueTotals, ...]
    cash: float
    unfixed: bool
    margins: Margins

    @property
    def deltas(self) -> tuple[float, ...]:
        """Net delta per underlying, options and venues, units."""
        return tuple(o.delta + v.units for o, v in zip(self.options, self.venues, strict=True))

    @property
    def gross_notional(self) -> float:
        """Options of all underlyings at spot, long and short, USDC."""
        return sum(o.gross_notional for o in self.options)
