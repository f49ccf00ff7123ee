"""A view from the snapshot alone: what its own history of prices says of the days ahead, and what stands in for one.

Scenarios are the hedge's (`keeper.hedging.history`), the forecast is `vol_of_closes`. Where there are too few closes,
prices move as the surface has them, which is then the forecast too: nothing is known of a premium, and nothing leans.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import YEAR
from keeper.forecast.errors import ForecastError
from keeper.forecast.volatility import vol_of_closes
from keeper.hedging.history import moves_of, past_returns
from keeper.quoting.view import MarketSurface, OptionBookState, View, prepare
from keeper.risk.errors import RiskError
from keeper.risk.revaluation import TENOR
from keeper.risk.scenarios import lognormal


def view_of(
    snapshot: Snapshot, option_book: OptionBookState, policy: Policy, market: Mapping[int, MarketSurface] | None = None
) -> View:
    """What quotes of a block need; ``View.caveat`` says what had to stand in for what.

    Args:
        market: Surfaces by underlying where somebody looks at a market; the posted one elsewhere.

    Raises:
        KeyError, PricingError: see `prepare`.
    """
    underlyings = range(len(snapshot.readings))
    seen = [(market or {}).get(u) or MarketSurface.of_posted(snapshot, u) for u in underlyings]
    days = policy.risk_horizon_days
    tenors = sorted({(u, e) for u, e, _ in snapshot.surface.slices if e > snapshot.timestamp})
    try:
        moves, returns = moves_of(snapshot, days), past_returns(snapshot)
        ahead = {u: vol_of_closes(returns[:, u]) for u in underlyings}
        forecasts, caveat = {(u, e): ahead[u] for u, e in tenors}, ""
    except (RiskError, ForecastError) as error:
        implied = {(u, e): _at_the_money(seen[u], (e - snapshot.timestamp) / YEAR, policy) for u, e in tenors}
        vols = np.array([_at_the_money(surface, TENOR, policy) for surface in seen])
        moves, forecasts = lognormal(vols, policy.correlation, days / 365), implied
        caveat = f"prices move as the surface has them, and no premium is leant on: {error.what.rstrip('.')}"
    return prepare(snapshot, seen, forecasts, option_book, moves, caveat)


def _at_the_money(surface: MarketSurface | None, years: float, policy: Policy) -> float:
    return policy.default_vol if surface is None else float(surface.surface.atm_vol(years))
