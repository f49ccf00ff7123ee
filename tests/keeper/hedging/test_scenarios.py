"""The hedge with CVaR among its costs: what scenarios of the book and of the underlyings add to a decision."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.hedging.decide import decide
from keeper.hedging.problem import Scenarios
from keeper.pricing.black76 import price
from tests.keeper.hedging.conftest import option

SNAPSHOTS = Callable[..., Snapshot]
SPOT, STRIKE, VOL, SIZE, YEARS = 3_000.0, 3_000.0, 0.6, 60.0, 3 / 365
INDIFFERENT = replace(
    Policy(), risk_aversion=1e-9, band_use=1.0
)  # variance and the inner half of the band cost nothing


def short_calls(moves: npt.NDArray[np.float64]) -> Scenarios:
    """P&L over a day of 60 short calls and of the underlying, for these relative moves of spot."""
    spot = SPOT * (1 + moves)
    one_day = 1 / 365
    before = price(SPOT, STRIKE, VOL, YEARS, True)
    after = price(spot, STRIKE, VOL, YEARS - one_day, True)
    return Scenarios(-SIZE * (after - before), (spot - SPOT)[:, None])


@pytest.fixture
def moves() -> npt.NDArray[np.float64]:
    return 0.6 / np.sqrt(365) * np.random.default_rng(5).standard_t(4, size=4_000) / np.sqrt(2)


def test_a_hedge_for_cvar_is_the_one_a_search_over_all_sizes_finds(
    snapshot_of: SNAPSHOTS, moves: npt.NDArray[np.float64]
) -> None:
    snapshot = snapshot_of((option(True, STRIKE, -SIZE),), turnover_budget=1.0, hedging_budget=1.0, loss_budget=0.05)
    scenarios = short_calls(moves)
    policy = replace(INDIFFERENT, tail_aversion=1.0, tail_level=0.95)

    decision = decide(snapshot, policy, scenarios)

    bought = sum(leg.delta_change for leg in decision.legs) / WAD
    sizes = np.linspace(0, 60, 601)
    pnl = scenarios.book[:, None] + scenarios.moves * sizes
    tail = -np.sort(pnl, axis=0)[: int(0.05 * len(moves))].mean(axis=0)
    costs = sizes * SPOT * (0.0005 + 0.15 / 365) + SPOT * sizes**2 / (40e6 / SPOT)
    assert decision.action is Action.TRADE
    assert bought == pytest.approx(sizes[np.argmin(tail + costs)], abs=0.15)


def test_more_fear_of_the_tail_never_leaves_more_of_it(snapshot_of: SNAPSHOTS, moves: npt.NDArray[np.float64]) -> None:
    snapshot = snapshot_of((option(True, STRIKE, -SIZE),))
    scenarios = short_calls(moves)

    def cvar(aversion: float) -> float:
        [change] = decide(snapshot, replace(INDIFFERENT, tail_aversion=aversion), scenarios).deltas
        pnl = scenarios.book + scenarios.moves[:, 0] * (change.after - change.before)
        return float(-np.sort(pnl)[: int(0.05 * len(pnl))].mean())

    left = [cvar(aversion) for aversion in (0.0, 0.01, 0.1, 1.0)]

    assert all(less <= more + 1e-3 for more, less in itertools.pairwise(left))
    assert left[-1] < 0.9 * left[0]


def test_the_reason_counts_the_tail_in_the_risk(snapshot_of: SNAPSHOTS, moves: npt.NDArray[np.float64]) -> None:
    snapshot = snapshot_of((option(True, STRIKE, -SIZE),))

    with_tail = decide(snapshot, Policy(), short_calls(moves))
    without = decide(snapshot, Policy())

    assert with_tail.risk_before > without.risk_before
    assert with_tail.risk_after < with_tail.risk_before


def test_scenarios_that_are_not_finite_are_refused(snapshot_of: SNAPSHOTS, moves: npt.NDArray[np.float64]) -> None:
    scenarios = short_calls(moves)
    scenarios.book[7] = np.nan

    decision = decide(snapshot_of((option(True, STRIKE, -SIZE),)), Policy(), scenarios)

    assert decision.action is Action.REFUSE
    assert "not finite" in decision.reason
