"""What OptionPricer returns, as on chain: USDC and units in WAD."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OptionRisk:
    """IOptionPricer.OptionRisk: the options of one underlying. ``pnl`` has 36 cells, volatility * 12 + spot shock."""

    spot: int
    twap: int
    doubt: bool
    unfixed: bool
    stale: bool
    bid: int
    mid: int
    ask: int
    delta: int
    gamma: int
    vega: int
    short_notional: int
    pnl: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """IOptionPricer.Marks: price bounds of one series at the worse of spot ±0.5 % and of the window, its slice's time.

    ``deviations`` is how far the strike is from the forward in standard deviations, WAD.
    """

    bid: int
    mid: int
    ask: int
    spot: int
    posted_at: int
    deviations: int
