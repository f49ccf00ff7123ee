"""What it costs to leave: hedges through the pools' depth, options at their bid or ask.

A loss at mid is not yet the loss of one who must get out. Bangia, Diebold, Schuermann and Stroughair (1999) add half
the spread; the hedges' part is endogenous here, from the pools' curve: buying q of what a pool's virtual reserve R
holds costs p·q/(1 - q/R)/(1 - fee) (see `uniswap_v3`), and several pools share a trade so that all end at one marginal
price.

In a scenario the pools' prices move with the market and their liquidity L stays: the reserve L/√p falls as the price
rises. Pools are as deep everywhere as they are in the current tick range.
"""

from __future__ import annotations

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
from keeper.venues.uniswap_v3 import fee_rate, pool_price, virtual_reserve

_HALVINGS = 60  # of the interval of marginal prices
_DEAREST = 1e6  # times the price: beyond it nothing is bought


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
                spot = reading.price_wad / WAD
                cost = cost + spot * growth * _relative_cost(_pools(closing), sign * units, spot, growth, left)
    return np.asarray(cost, dtype=np.float64)


def _pools(venues: Sequence[Venue]) -> tuple[PoolState, ...]:
    """Each pool once that has a price and liquidity."""
    pools = {pool.address: pool for venue in venues for pool in venue.pools}
    return tuple(pool for pool in pools.values() if pool.sqrt_price_x96 > 0 and pool.liquidity > 0)


def _relative_cost(
    pools: Sequence[PoolState], units: float, spot: float, growth: FloatArray, depth: FloatArray
) -> FloatArray:
    """Cost over the price of buying (``units`` > 0) or selling, in units of the underlying, (S,).

    Up to a marginal price of m a pool at p sells R·(1 - √(p/((1 - f)·m))), and down to it takes
    R/(1 - f)·(√(p(1 - f)/m) - 1); prices are over spot.
    """
    if not pools:
        return np.full(growth.shape, np.inf)
    price = np.array([pool_price(pool) / spot for pool in pools])
    kept = 1.0 - np.array([fee_rate(pool) for pool in pools])
    reserve = np.array([virtual_reserve(pool) for pool in pools]) * (depth / np.sqrt(growth))[:, None]

    def traded(log_price: FloatArray) -> FloatArray:
        m = np.exp(log_price)[:, None]
        if units > 0:
            return np.asarray(reserve * np.maximum(1.0 - np.sqrt(price / (kept * m)), 0.0))
        return np.asarray(reserve / kept * np.maximum(np.sqrt(price * kept / m) - 1.0, 0.0))

    end = np.log(_DEAREST) * np.sign(units)
    near, far = np.full(growth.shape, -end), np.full(growth.shape, end)
    for _ in range(_HALVINGS):
        middle = 0.5 * (near + far)
        enough = traded(middle).sum(axis=1) >= abs(units)
        near, far = np.where(enough, near, middle), np.where(enough, middle, far)
    amounts = traded(far)
    with np.errstate(divide="ignore"):
        if units > 0:
            paid = price * amounts / (1.0 - amounts / reserve) / kept
            cost = paid.sum(axis=1) - amounts.sum(axis=1)
        else:
            got = price * amounts / (1.0 + amounts * kept / reserve) * kept
            cost = amounts.sum(axis=1) - got.sum(axis=1)
    return np.asarray(np.where(amounts.sum(axis=1) >= abs(units) * (1.0 - 1e-9), cost, np.inf))
