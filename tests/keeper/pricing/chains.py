"""Chains of quotes: recorded Deribit snapshots, and synthetic ones of a known surface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from keeper.pricing.black76 import price
from keeper.pricing.calibration import Quotes
from keeper.pricing.surface import EssviSurface
from keeper.simulation.paths import data_dir

SECONDS_PER_YEAR = 365 * 86400
EPOCH = pd.Timestamp(0, tz="UTC")


def recordings() -> list[Path]:
    """The files of recorded option chains; none where there is no recorded data."""
    folder = data_dir()
    return sorted((folder / "options").glob("*.parquet")) if folder else []


@dataclass(frozen=True)
class Recorded:
    """One snapshot of the whole chain; quotes in USDC (recorded in the underlying, by Deribit's convention worth one
    forward each). ``liquid`` is issue D's: |delta| in [.05, .95], open interest, more than a day, both quotes."""

    time: pd.Timestamp
    quotes: Quotes
    liquid: npt.NDArray[np.bool_]
    mark_vol: npt.NDArray[np.float64]


def snapshots(path: Path) -> Iterator[Recorded]:
    """All snapshots of a recording, in order of time."""
    for time, chain in pd.read_parquet(path).groupby("time"):
        forward = chain.forward.to_numpy()
        years = (chain.expiry - time).dt.total_seconds().to_numpy() / SECONDS_PER_YEAR
        quotes = Quotes(
            expiry=((chain.expiry - EPOCH).dt.total_seconds()).to_numpy().astype(np.int64),
            years=years,
            forward=forward,
            strike=chain.strike.to_numpy(),
            is_call=(chain.type == "call").to_numpy(),
            bid=chain.bid.to_numpy() * forward,
            ask=chain.ask.to_numpy() * forward,
        )
        traded = chain.delta.abs().between(0.05, 0.95) & (chain.open_interest > 0)
        liquid = (traded & chain.bid.notna() & chain.ask.notna()).to_numpy() & (years > 1 / 365)
        yield Recorded(pd.Timestamp(time), quotes, liquid, chain.iv.to_numpy())


def share_inside(snapshot: Recorded, surface: EssviSurface) -> float:
    """Of the liquid options those that the surface prices within bid and ask."""
    q, liquid = snapshot.quotes, snapshot.liquid
    forward, strike, years = q.forward[liquid], q.strike[liquid], q.years[liquid]
    model = price(forward, strike, surface.vol(np.log(strike / forward), years), years, q.is_call[liquid])
    rounding = 1e-12 * forward
    return float(((model >= q.bid[liquid] - rounding) & (model <= q.ask[liquid] + rounding)).mean())


def chain_of(
    surface: EssviSurface, half_spread: float = 0.005, strikes: int = 25, noise: float = 0.0, seed: int = 1
) -> Quotes:
    """Out-of-the-money quotes of a surface up to 2.5 standard deviations, ``half_spread`` in volatility around the
    model or, with ``noise``, around a volatility that far from it."""
    n = len(surface.years)
    z = np.tile(np.linspace(-2.5, 2.5, strikes), n)
    expiry = np.repeat(np.arange(n), strikes)
    years, forward = surface.years[expiry], surface.forward[expiry]
    k = z * np.sqrt(surface.theta[expiry])
    strike = forward * np.exp(k)
    is_call = k >= 0.0
    mid = surface.vol(k, years) + noise * np.random.default_rng(seed).standard_normal(len(k))
    bid, ask = (price(forward, strike, np.maximum(mid + d, 1e-3), years, is_call) for d in (-half_spread, half_spread))
    return Quotes(expiry, years, forward, strike, is_call, bid, ask)


def ordinary_surface() -> EssviSurface:
    """Ten expiries from a day to a year, shaped like the recorded ones."""
    years = np.array([1, 2, 3, 7, 14, 30, 60, 90, 180, 365]) / 365.0
    theta = np.square(0.55 + 0.1 * np.exp(-8.0 * years)) * years
    rho = -0.3 + 0.15 * years
    return EssviSurface(years, 3000.0 * np.exp(0.04 * years), theta, rho, 0.9 * np.sqrt(theta))
