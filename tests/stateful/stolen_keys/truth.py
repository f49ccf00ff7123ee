"""What the vault is really worth: the market's spot and volatility, not the marks that a thief can move."""

from dataclasses import dataclass, field
from math import erf, exp, log, sqrt
from typing import Any

from keeper.domain.series import Position, Series
from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol

_YEAR = 365 * 86_400
_ROOT_2 = sqrt(2.0)


def _normal(x: float) -> float:
    return 0.5 * (1.0 + erf(x / _ROOT_2))


def black(
    spot: float, strike: float, sigma: float, years: float, is_call: bool, carry: float = 0.0
) -> tuple[float, float]:
    """Value and spot delta of a European option on the forward S e^(bT), discount factor 1 (Black 1976)."""
    growth = exp(carry * years)
    forward = spot * growth
    deviation = sigma * sqrt(max(years, 0.0))
    if deviation < 1e-9:
        intrinsic = max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
        return intrinsic, growth * float((forward > strike) if is_call else -(forward < strike))
    d1 = log(forward / strike) / deviation + deviation / 2
    call = forward * _normal(d1) - strike * _normal(d1 - deviation)
    if is_call:
        return call, growth * _normal(d1)
    return call - forward + strike, growth * (_normal(d1) - 1.0)


@dataclass
class Truth:
    """The market: spot prices in USDC, and volatilities in parallel motion, equal to the posted ones at the theft.

    ``at_theft`` has the true volatility of every underlying then, at any strike and expiry. Carry is zero.
    """

    spots: list[float]
    at_theft: list[float]
    shift: float = 0.0
    _packed: dict[int, Series] = field(default_factory=dict)

    def volatility(self, underlying: int) -> float:
        return self.at_theft[underlying] + self.shift

    def option(self, series: Series, now: int) -> float:
        """One option, USDC."""
        years = max(series.expiry - now, 0) / _YEAR
        u = series.underlying
        return black(self.spots[u], series.strike, self.volatility(u), years, series.is_call)[0]

    def options(self, protocol: Protocol) -> float:
        """The vault's options, USDC."""
        now = protocol.market.now
        positions = [Position.from_slot(int(slot)) for slot in protocol.book.live_book()]
        return sum(self.option(held.series, now) * held.size_wad / WAD for held in positions if held.size_wad)

    def vega(self, protocol: Protocol) -> float:
        """Of the vault's options, USDC per 1.0 of volatility."""
        self.shift += 0.005
        above = self.options(protocol)
        self.shift -= 0.01
        below = self.options(protocol)
        self.shift += 0.005
        return (above - below) / 0.01

    def venues(self, protocol: Protocol) -> float:
        """Equity of the venues at the market's prices, USDC."""
        listed: list[Any] = list(protocol.vault.all_venues())
        contracts = {venue.address: venue for venue in protocol.venues}
        return sum(
            contracts[entry.venue].state(round(self.spots[entry.underlying] * WAD)).equity / WAD for entry in listed
        )

    def nav(self, protocol: Protocol) -> float:
        """USDC."""
        return protocol.vault.cash() / WAD + self.venues(protocol) + self.options(protocol)
