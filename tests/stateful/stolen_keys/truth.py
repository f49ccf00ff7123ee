"""What the vault is really worth: the market's spot and volatility, not the marks that a thief can move."""

from dataclasses import dataclass
from math import erf, exp, log, sqrt
from typing import Any

from keeper.domain.series import Position, Series
from tests.contracts.chain import WAD
from tests.contracts.protocol import ETH, Protocol

_YEAR = 365 * 86_400
_ROOT_2 = sqrt(2.0)


def _normal(x: float) -> float:
    return 0.5 * (1.0 + erf(x / _ROOT_2))


def black(spot: float, strike: float, sigma: float, years: float, is_call: bool, carry: float = 0.0) -> float:
    """A European option on the forward S e^(bT), discount factor 1 (Black 1976)."""
    forward = spot * exp(carry * years)
    deviation = sigma * sqrt(max(years, 0.0))
    if deviation < 1e-9:
        return max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    d1 = log(forward / strike) / deviation + deviation / 2
    call = forward * _normal(d1) - strike * _normal(d1 - deviation)
    return call if is_call else call - forward + strike


@dataclass
class Truth:
    """The market: spots in USDC; volatilities and carry in parallel motion, at the theft equal to the posted ones.

    ``at_theft`` has the volatility of every underlying then, at any expiry; carry was zero. ``smiles`` has the rho and
    phi of expiries of ETH whose volatility is not the same at any strike: eSSVI, as posted at the theft.
    """

    spots: list[float]
    at_theft: list[float]
    smiles: dict[int, tuple[float, float]]
    shift: float = 0.0
    carry: float = 0.0

    def volatility(self, series: Series, years: float) -> float:
        """Of a series, ``years`` before it expires."""
        at_the_money = self.at_theft[series.underlying]
        rho, phi = self.smiles.get(series.expiry, (0.0, 0.0)) if series.underlying == ETH else (0.0, 0.0)
        forward = self.spots[series.underlying] * exp(self.carry * years)
        x = phi * log(series.strike / forward)
        smile = (1.0 + rho * x + sqrt((x + rho) ** 2 + 1.0 - rho**2)) / 2.0
        return at_the_money * sqrt(max(smile, 0.0)) + self.shift

    def option(self, series: Series, now: int) -> float:
        """One option, USDC."""
        years = max(series.expiry - now, 0) / _YEAR
        u = series.underlying
        return black(self.spots[u], series.strike, self.volatility(series, years), years, series.is_call, self.carry)

    def options(self, protocol: Protocol) -> float:
        """The vault's options, USDC."""
        now = protocol.market.now
        positions = [Position.from_slot(int(slot)) for slot in protocol.book.live_book()]
        return sum(self.option(held.series, now) * held.size_wad / WAD for held in positions if held.size_wad)

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
