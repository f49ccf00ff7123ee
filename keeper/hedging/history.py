"""What the past says of the day ahead: scenarios for the hedge from the snapshot's own history of prices.

Filtered historical simulation (see `keeper.risk.scenarios`) of daily closes. Volatilities stay where they are: there is
no history of them on chain. Every platform and every size of book is priced by the same loops, so that a decision can
be repeated to the last bit.
"""

from __future__ import annotations

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.hedging.problem import Scenarios
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios as Moves
from keeper.risk.scenarios import filtered_moves


def scenarios_of(snapshot: Snapshot, policy: Policy) -> Scenarios:
    """A scenario for each past day, of all underlyings that have a price; moves grow with the root of the horizon.

    Raises:
        RiskError: too few days, or a price that stood still.
    """
    spot = np.array([reading.price_wad / WAD for reading in snapshot.readings])
    traded = np.flatnonzero(spot)
    closes = np.array(snapshot.closes, dtype=np.float64).reshape(-1, len(spot))[:, traded]
    unknown = np.flatnonzero((closes <= 0).any(axis=1))
    closes = closes[unknown[-1] + 1 :] if len(unknown) else closes
    daily = filtered_moves(np.diff(np.log(closes), axis=0))
    returns = np.zeros((len(daily.residuals), len(spot)))
    returns[:, traded] = daily.residuals * daily.deviation * np.sqrt(policy.risk_horizon_days)
    moves = Moves(policy.risk_horizon_days / 365, returns, np.zeros((len(returns), 1)))
    return Scenarios(revalue(snapshot, moves, method="numpy").total, np.expm1(returns) * spot)
