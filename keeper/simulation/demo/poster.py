"""The demo's vol poster: it looks at the options of the demo's market and posts what is calibrated to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from keeper.domain.units import HOUR, YEAR
from keeper.operations.options import Smile
from keeper.operations.surface import post_slices
from keeper.pricing.black76 import price
from keeper.pricing.calibration import Calibration, Quotes, calibrate
from keeper.pricing.posting import half_spreads, targets, threshold
from keeper.pricing.surface import EssviSurface
from keeper.quoting.view import MarketSurface

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Connection
    from keeper.chain.sender import Sender
    from keeper.domain.snapshot import VolSlice

_SMILE: Final = Smile()
_HALF_SPREAD: Final = 0.018  # volatility
_STRIKES: Final = np.linspace(-2.5, 2.5, 11)  # deviations from the forward


def option_chain(spot: float, vol: float, expiries: Sequence[int], now: int) -> Quotes:
    """What the market's makers bid and ask for options of these expiries, in USDC: around one smile of a volatility."""
    tenors = (np.array(expiries) - now) / YEAR
    theta = vol * vol * tenors
    market = EssviSurface(
        tenors, np.full(len(tenors), spot), theta, np.full(len(tenors), _SMILE.rho), _SMILE.curvature * np.sqrt(theta)
    )
    years, k = np.repeat(tenors, len(_STRIKES)), (np.sqrt(theta)[:, None] * _STRIKES).ravel()
    mid, strike, is_call = market.vol(k, years), spot * np.exp(k), k >= 0.0
    bid, ask = (price(spot, strike, mid + half, years, is_call) for half in (-_HALF_SPREAD, _HALF_SPREAD))
    return Quotes(
        expiry=np.repeat(np.array(expiries), len(_STRIKES)),
        years=years,
        forward=np.full(len(k), spot),
        strike=strike,
        is_call=is_call,
        bid=bid,
        ask=ask,
    )


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts as ``keel surface post`` does, as far as VolOracle takes it."""

    connection: Connection
    deployment: Deployment
    sender: Sender

    def look(self, prices: Sequence[float], vols: Sequence[float], expiries: Sequence[int], now: int) -> Look:
        """What the poster makes of the market at a time."""
        fits = (calibrate(option_chain(spot, vol, expiries, now)) for spot, vol in zip(prices, vols, strict=True))
        return Look(tuple(prices), tuple(expiries), now, tuple(fits))

    def open(self, look: Look) -> None:
        """Post new slices, each in a block of its own: the next one is measured from it."""
        self._post(look, HOUR, lambda call, action: self.sender.send(call, action)["transactionHash"].to_0x_hex())

    def post(self, look: Look, last: int) -> None:
        """Send what is worth a post and accepted in blocks until ``last``; nobody waits for it."""
        self._post(look, last - self.connection.header().timestamp, self.sender.submit)

    def _post(self, look: Look, patience: int, send: Callable[[Any, str], str]) -> None:
        def worth(target: VolSlice) -> int:
            return threshold(target.half_spread)

        for underlying, (spot, fit) in enumerate(zip(look.prices, look.fits, strict=True)):
            wanted = targets(fit.surface, half_spreads(fit), spot, look.now, look.expiries)
            post_slices(self.connection, self.deployment, underlying, wanted, patience, worth, send)


@dataclass(frozen=True, slots=True)
class Look:
    """At the market: prices and surfaces by underlying, at a time."""

    prices: tuple[float, ...]
    expiries: tuple[int, ...]
    now: int
    fits: tuple[Calibration, ...]

    def surfaces(self) -> dict[int, MarketSurface]:
        """For who makes quotes."""
        return {u: MarketSurface.of_calibration(fit, self.now) for u, fit in enumerate(self.fits)}
