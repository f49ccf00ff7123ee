"""What the past says of the day ahead: scenarios for the hedge from the snapshot's own history of prices.

Filtered historical simulation (see `keeper.risk.scenarios`) of daily closes. Volatilities stay where they are: there is
no history of them on chain. Every platform and every size of book is priced by the same loops, so that a decision can
be repeated to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from keeper.domain.policy import Policy
from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.domain.valuation import FloatArray
from keeper.hedging.problem import Scenarios
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios as Moves
from keeper.risk.scenarios import filtered_moves


def scenarios_of(snapshot: Snapshot, policy: Policy, offered: Sequence[Series] = ()) -> Scenarios:
    """Of the book, of a unit of each underlying, and of a unit of each series that is offered.

    Raises:
        RiskError: see `moves_of`.
    """
    moves = moves_of(snapshot, policy.risk_horizon_days)
    spot = np.array([reading.price_wad / WAD for reading in snapshot.readings])
    book = revalue(snapshot, moves, method="numpy").total
    units: dict[Series, FloatArray] = {}
    if offered:
        one_each = replace(snapshot, book=tuple(Position(series, WAD) for series in offered), venues=())
        units = dict(zip(offered, revalue(one_each, moves, method="numpy").options.T, strict=True))
    return Scenarios(book, np.expm1(moves.log_return) * spot, units)


def moves_of(snapshot: Snapshot, days: float) -> Moves:
    """A scenario for each past day, of all underlyings that have a price; moves grow with the root of ``days``.

    Raises:
        RiskError: too few days, or a price that stood still.
    """
    traded = _traded(snapshot)
    daily = filtered_moves(past_returns(snapshot)[:, traded])
    returns = np.zeros((len(daily.residuals), len(snapshot.readings)))
    returns[:, traded] = daily.residuals * daily.deviation * np.sqrt(days)
    return Moves(days / 365, returns, np.zeros((len(returns), 1)))


def past_returns(snapshot: Snapshot) -> FloatArray:
    """ln of each close over the one before, (n, U), since the last day that an underlying with a price had none of; of
    one without a price zeros."""
    traded = _traded(snapshot)
    closes = np.array(snapshot.closes, dtype=np.float64).reshape(-1, len(snapshot.readings))
    unknown = np.flatnonzero((closes[:, traded] <= 0).any(axis=1))
    closes = closes[unknown[-1] + 1 :] if len(unknown) else closes
    returns = np.zeros((max(len(closes) - 1, 0), closes.shape[1]))
    returns[:, traded] = np.diff(np.log(closes[:, traded]), axis=0)
    return returns


def _traded(snapshot: Snapshot) -> npt.NDArray[np.intp]:
    return np.flatnonzero([reading.price_wad for reading in snapshot.readings])
