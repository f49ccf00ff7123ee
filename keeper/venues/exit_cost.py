"""What it costs to leave: hedges through the pools' depth, options at their bid or ask.

A loss at mid is not yet the loss of one who must get out. Bangia, Diebold, Schuermann and Stroughair (1999) add half
the spread; the hedges' part is endogenous here, from the pools' own liquidity: from √p to √p' a range of liquidity L
holds L|1/√p - 1/√p'| units and L|√p' - √p| USDC (see `uniswap_v3`), and several pools share a trade so that all end at
one marginal price, fee included.

In a scenario the pools' prices move with the market and their liquidity stays at the prices where it is. Beyond the
ticks that are known, it is what it is right behind the last of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keeper.domain.snapshot import PoolState, Snapshot, Venue
from keeper.domain.units import WAD
from keeper.domain.valuation import FloatArray
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios
from keeper.risk.stress import LIBRARY, Stress, stress_scenarios
from keeper.risk.valuation import value
from keeper.venues.uniswap_v3 import fee_rate, liquidity_behind, pool_price, ranges

_HALVINGS = 50  # of the interval of marginal prices
_DEAREST = 1e6  # times the price: beyond it nothing is bought
_FAR = 1e3  # times √price: where the curves end


@dataclass(frozen=True, slots=True)
class StressLoss:
    """What a stress does to the book, USDC: profit or loss at mid, and the cost of leaving then."""

    stress: Stress
    pnl: float
    exit_cost: float

    @property
    def loss(self) -> float:
        """Liquidity-adjusted; + is a loss."""
        return self.exit_cost - self.pnl


def stressed(snapshot: Snapshot, stresses: Sequence[Stress] = LIBRARY) -> tuple[StressLoss, ...]:
    """The book in each stress.

    Raises:
        ValuationError: a position without a slice or a price.
    """
    scenarios = stress_scenarios(stresses, len(snapshot.readings))
    depth, spread = (np.array([getattr(stress, name) for stress in stresses]) for name in ("depth", "spread"))
    pnl = revalue(snapshot, scenarios).total
    costs = exit_cost(snapshot, scenarios, depth=depth, spread=spread)
    return tuple(
        StressLoss(stress, *numbers) for stress, *numbers in zip(stresses, pnl.tolist(), costs.tolist(), strict=True)
    )


def exit_cost(
    snapshot: Snapshot, scenarios: Scenarios, *, depth: npt.ArrayLike = 1.0, spread: npt.ArrayLike = 1.0
) -> FloatArray:
    """USDC by scenario, (S,): closing every venue through its pools, and every option at bid or ask.

    Infinite where the pools do not hold what is owed. ``depth`` is the share of their liquidity that is left,
    ``spread`` a multiple of the options' half-spreads; both broadcast to (S,).

    Raises:
        ValuationError: a position without a slice or a price.
    """
    size = len(scenarios.log_return)
    left = np.broadcast_to(np.asarray(depth, dtype=np.float64), (size,))
    lines = value(snapshot).positions
    cost = sum(line.value - line.value_against for line in lines) * np.broadcast_to(spread, (size,))
    for u, reading in enumerate(snapshot.readings):
        own = [venue for venue in snapshot.venues if venue.state.underlying == u]
        for sign in (1, -1):
            closing = [venue for venue in own if venue.state.exposure * sign < 0]
            if closing:
                units = sum(abs(venue.state.exposure) for venue in closing) / WAD
                growth = np.exp(scenarios.log_return[:, u])
                curves = [_Curve.of(pool) for pool in _pools(closing)]
                cost = cost + _closing(curves, sign * units, reading.price_wad / WAD * growth, growth, left)
    return np.asarray(cost, dtype=np.float64)


def _pools(venues: Sequence[Venue]) -> tuple[PoolState, ...]:
    """Each pool once that has a price and liquidity."""
    pools = {pool.address: pool for venue in venues for pool in venue.pools}
    return tuple(pool for pool in pools.values() if pool.sqrt_price_x96 > 0 and pool.liquidity > 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """What a pool holds between prices: at √price ``root`` (k,), rising, ``usdc`` below it and, with a minus, ``units``
    that it gives up to there; straight in √price and in 1/√price between."""

    price: float
    kept: float  # of what is paid in, after the fee
    root: FloatArray
    units: FloatArray
    usdc: FloatArray

    @classmethod
    def of(cls, pool: PoolState) -> _Curve:
        """Its ranges in order of price, and one more at either end."""
        below = [(liquidity, end, start) for liquidity, start, end in ranges(pool, False)][::-1]
        above = list(ranges(pool, True))
        root = math.sqrt(pool_price(pool))
        lowest, highest = below[0][1] if below else root, above[-1][2] if above else root
        first = (liquidity_behind(pool, False), 0.0, lowest)
        last = (liquidity_behind(pool, True), highest, math.inf)
        liquidity, *ends = np.array([first, *below, *above, last]).T
        low, high = (np.clip(end, root / _FAR, root * _FAR) for end in ends)
        usdc, units = np.cumsum(liquidity * (high - low)), np.cumsum(liquidity * (1.0 / high - 1.0 / low))
        return cls(
            price=pool_price(pool),
            kept=1.0 - fee_rate(pool),
            root=np.stack([low, high], axis=1).ravel(),
            units=np.stack([units - liquidity * (1.0 / high - 1.0 / low), units], axis=1).ravel(),
            usdc=np.stack([usdc - liquidity * (high - low), usdc], axis=1).ravel(),
        )

    def units_traded(self, growth: FloatArray, marginal: FloatArray, *, buys: bool) -> FloatArray:
        """Of a trade to a marginal price, fee included, from the pool's price times ``growth``."""
        start, end = (1.0 / root for root in self._path(growth, marginal, buys))
        by_rise = 1.0 / self.root[::-1], self.units[::-1]
        moved = np.abs(np.interp(end, *by_rise) - np.interp(start, *by_rise))
        return np.asarray(moved if buys else moved / self.kept)

    def usdc_traded(self, growth: FloatArray, marginal: FloatArray, *, buys: bool) -> FloatArray:
        """Paid or received in it."""
        start, end = self._path(growth, marginal, buys)
        moved = np.abs(np.interp(end, self.root, self.usdc) - np.interp(start, self.root, self.usdc))
        return np.asarray(moved / self.kept if buys else moved)

    def _path(self, growth: FloatArray, marginal: FloatArray, buys: bool) -> tuple[FloatArray, FloatArray]:
        start = np.sqrt(self.price * growth)
        worse = np.sqrt(marginal * self.kept if buys else marginal / self.kept)
        return start, np.maximum(start, worse) if buys else np.minimum(start, worse)


def _closing(
    curves: Sequence[_Curve], units: float, mark: FloatArray, growth: FloatArray, depth: FloatArray
) -> FloatArray:
    """USDC that buying (``units`` > 0) or selling costs against the mark, (S,); infinite where there is not so much."""
    buys, wanted = units > 0, abs(units)

    def units_to(log_price: FloatArray) -> FloatArray:
        marginal = mark * np.exp(log_price)
        return np.asarray(depth * sum(curve.units_traded(growth, marginal, buys=buys) for curve in curves))

    end = np.log(_DEAREST) if buys else -np.log(_DEAREST)
    near, far = np.full(growth.shape, -end), np.full(growth.shape, end)
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        enough = units_to(middle) >= wanted
        near, far = np.where(enough, near, middle), np.where(enough, middle, far)
    total, marginal = units_to(far), mark * np.exp(far)
    usdc = depth * sum(curve.usdc_traded(growth, marginal, buys=buys) for curve in curves)
    cost = usdc - mark * total if buys else mark * total - usdc
    return np.asarray(np.where(total >= wanted * (1.0 - 1e-9), cost, np.inf))
