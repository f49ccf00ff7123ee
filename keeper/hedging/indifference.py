"""The optimal no-trade region of one option position under proportional costs, by dynamic programming.

Hodges and Neuberger (1989), Davis, Panas and Zariphopoulou (1993): with exponential utility of aversion γ the cash
drops out of the state, and the liability h(t, S, y) in cash of time t, with y units held, solves on a binomial lattice

    C(t, S, y) = (1/γ_t) ln E[exp(γ_{t+dt} h(t+dt, S', y))],     γ_t = γ e^{r(T-t)}
    h(t, S, y) = min over y' of C(t, S, y') + S(y' - y) + λS|y' - y|,

so that one buys up to where C + (1+λ)S·y is least, and sells down to where C + (1-λ)S·y is least. At expiry the
position is worth its price, without a cost. The lattice moves by ±σ√dt around the drift with probability 1/2 each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_WIDTH = 5.5  # standard deviations of the lattice to either side


@dataclass(frozen=True)
class Market:
    """Spot, volatility, rate, drift (annual), proportional cost λ and years to expiry."""

    spot: float
    vol: float
    rate: float
    drift: float
    cost: float
    years: float


@dataclass(frozen=True)
class Region:
    """Between ``low`` and ``high``, both (steps, nodes), nothing is traded; ``liability`` is h(0, S, 0): what the
    position, hedged at best, is a loss of, for the one who is as averse."""

    market: Market
    low: Array
    high: Array
    liability: float

    def at(self, elapsed: float, spot: npt.ArrayLike) -> tuple[Array, Array]:
        """The units between which nothing is traded ``elapsed`` years after the start, of the shape of ``spot``."""
        steps, nodes = self.low.shape
        step = min(int(elapsed / self.market.years * steps + 0.5), steps - 1)
        drift = (self.market.drift - self.market.vol**2 / 2) * elapsed
        spacing = self.market.vol * np.sqrt(self.market.years / steps)
        place = (np.log(np.asarray(spot) / self.market.spot) - drift) / spacing + nodes // 2
        place = np.clip(place, 0.0, nodes - 1)
        below = np.minimum(place.astype(np.intp), nodes - 2)
        share = place - below
        low, high = ((1 - share) * of[step, below] + share * of[step, below + 1] for of in (self.low, self.high))
        return low, high


def region(
    market: Market, payoff: Callable[[Array], Array], aversion: float, holdings: Array, steps: int = 500
) -> Region:
    """The optimal region of who owes ``payoff`` at expiry.

    Args:
        payoff: USDC owed, by spot at expiry.
        aversion: γ per USDC at expiry.
        holdings: Rising grid of the units that can be held: wider than the deltas, as fine as the widths need.
    """
    dt = market.years / steps
    spacing = market.vol * np.sqrt(dt)
    half = int(np.ceil(_WIDTH * np.sqrt(steps)))
    nodes = np.arange(-half, half + 1)
    low, high = np.empty((steps, len(nodes))), np.empty((steps, len(nodes)))

    def spots(step: int) -> Array:
        drift = (market.drift - market.vol**2 / 2) * dt * step
        return np.asarray(market.spot * np.exp(drift + nodes * spacing)[:, None])

    spot = spots(steps)
    h = payoff(spot) - holdings * spot
    for step in range(steps - 1, -1, -1):
        after, now = (aversion * np.exp(market.rate * (market.years - t * dt)) for t in (step + 1, step))
        spot = spots(step)
        up, down = np.vstack([h[1:], 2 * h[-1:] - h[-2:-1]]), np.vstack([2 * h[:1] - h[1:2], h[:-1]])
        spread = np.log1p(np.exp(-after * np.abs(up - down))) - np.log(2.0)
        least = (after * np.maximum(up, down) + spread) / now
        bought, sold = least + (1 + market.cost) * spot * holdings, least + (1 - market.cost) * spot * holdings
        low[step], high[step] = holdings[bought.argmin(axis=1)], holdings[sold.argmin(axis=1)]
        buy = np.minimum.accumulate(bought[:, ::-1], axis=1)[:, ::-1] - (1 + market.cost) * spot * holdings
        sell = np.minimum.accumulate(sold, axis=1) - (1 - market.cost) * spot * holdings
        h = np.minimum(np.minimum(buy, sell), least)
    return Region(market, low, high, float(np.interp(0.0, holdings, h[half])))
