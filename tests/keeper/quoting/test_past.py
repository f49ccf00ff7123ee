"""A view from the snapshot alone: its closes give scenarios and forecast, and without them nothing leans."""

from dataclasses import replace

import numpy as np
import pytest

from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.forecast.volatility import vol_of_closes
from keeper.hedging.history import moves_of
from keeper.quoting.past import view_of
from keeper.quoting.quote import quote
from keeper.quoting.terms import Request
from keeper.quoting.view import MarketSurface
from tests.keeper.quoting.vaults import BITCOIN, CALL, FAR, NEAR, POLICY, ROOMY, SPOTS, offered, vault

MOVES = np.random.default_rng(3).standard_t(5, (150, 2)) * [0.012, 0.010]  # about 30 % a year, and 25


def with_past(snapshot: Snapshot, moves: np.ndarray) -> Snapshot:
    """Closes that made these moves and lead to today's prices."""
    closes = np.array(SPOTS) * np.exp(-np.cumsum(moves[::-1], axis=0))[::-1]
    closes = np.concatenate([closes, [SPOTS]])
    return replace(snapshot, closes=tuple((round(eth * 1e8), round(btc * 1e8)) for eth, btc in closes))


def offer(snapshot: Snapshot, series=CALL, **of_view):
    request = Request(series, True, WAD)
    return offered(quote(request, snapshot, view_of(snapshot, ROOMY, POLICY, **of_view), POLICY))


def test_the_closes_of_each_underlying_are_its_forecast() -> None:
    view = view_of(with_past(vault(), MOVES), ROOMY, POLICY)

    for u in (0, 1):
        expected = vol_of_closes(MOVES[:, u])
        assert view.forecasts[u, NEAR] == view.forecasts[u, FAR] == pytest.approx(expected, rel=1e-6)
    assert view.caveat == ""


def test_the_scenarios_are_the_hedges() -> None:
    snapshot = with_past(vault((-20.0, 0.0, 0.0, 0.0)), MOVES)

    view = view_of(snapshot, ROOMY, POLICY)

    assert len(view.pnl) == len(moves_of(snapshot, POLICY.risk_horizon_days).log_return) == len(MOVES)
    assert view.horizon == POLICY.risk_horizon_days / 365


def test_a_market_that_was_calm_makes_a_sale_cheaper_and_a_wild_one_does_not() -> None:
    calm, wild = (offer(with_past(vault(), MOVES * scale)) for scale in (1.0, 4.0))

    assert calm.parts.lean < 0
    assert wild.parts.lean == 0
    assert calm.parts.mid == wild.parts.mid


@pytest.mark.parametrize("days", [0, 2, 99])
def test_with_too_short_a_past_nothing_leans_and_that_is_said(days: int) -> None:
    snapshot = with_past(vault(), MOVES[:days])

    view = view_of(snapshot, ROOMY, POLICY)

    assert view.caveat.startswith(f"prices move as the surface has them, and no premium is leant on: {days} past moves")
    assert offer(snapshot).parts.lean == 0
    assert offer(snapshot, BITCOIN).parts.skew > 0  # risk is priced all the same


def test_where_somebody_looks_at_a_market_its_surface_gives_the_middle() -> None:
    snapshot = with_past(vault(), MOVES)
    posted = MarketSurface.of_posted(snapshot, 0)
    assert posted is not None
    higher = replace(posted.surface, theta=posted.surface.theta * 1.21, psi=posted.surface.psi * 1.1)  # 10 % more
    market = {0: replace(posted, surface=higher)}

    assert offer(snapshot, market=market).parts.mid > 1.05 * offer(snapshot).parts.mid
    assert offer(snapshot, BITCOIN, market=market).parts.mid == offer(snapshot, BITCOIN).parts.mid


def test_a_view_is_the_same_whenever_it_is_made() -> None:
    for snapshot in (with_past(vault(), MOVES), vault()):
        assert offer(snapshot) == offer(snapshot)
