"""Pictures of the hedge: where it does nothing, and what it costs for the risk that it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keeper.hedging.bands import fixed_and_proportional, whalley_wilmott, zakamouline
from keeper.hedging.indifference import Market
from keeper.hedging.indifference import region as by_dynamic_program
from keeper.simulation.demo.report.charts import Chart, Line, Move, Panel
from tests.bench import frontier as measured
from tests.keeper.hedging.test_no_trade_region import BOOKS, NOW, SPOT, YEAR

_BOOK = BOOKS[3]
_FEES = np.geomspace(0.0001, 0.005, 13)  # the vault takes no leg that is 0.75 % from the oracle


def _owed(spot: np.ndarray) -> np.ndarray:
    return _BOOK.size * np.maximum(spot - SPOT, 0.0)


def _number(value: float) -> str:
    return f"{value:g}"


def region() -> Chart:
    """Half-widths that `decide` keeps to, by the pool's fee: without gas, and with it."""
    aversion, years = _BOOK.aversion, (_BOOK.expiry - NOW) / YEAR
    free = [replace(_BOOK, fee=float(fee)) for fee in _FEES]
    dear = [replace(book, base_fee_gwei=1.0) for book in free]
    best = np.array([fixed_and_proportional(_BOOK.gamma, SPOT, fee, dear[0].gas, aversion) for fee in _FEES])
    theirs = zakamouline(-_BOOK.gamma, SPOT, 0.6, _FEES, aversion, 0.0, years)
    holdings = np.linspace(-0.6 * _BOOK.size, 1.6 * _BOOK.size, 701)
    points = []
    for fee in _FEES[::2]:
        market = Market(SPOT, 0.6, 0.0, 0.0, float(fee), years)
        low, high = by_dynamic_program(market, _owed, aversion, holdings, 250).at(0.0, SPOT)
        overshoot = 0.5826 * _BOOK.gamma * SPOT * 0.6 * np.sqrt(years / 250)
        points.append(Move(float(np.log10(fee)), float(high - low) / 2 + overshoot, "point", "dynamic program"))
    without = (
        Line("hedge program", [book.inner() for book in free], "ours"),
        Line("Whalley-Wilmott", whalley_wilmott(_BOOK.gamma, SPOT, _FEES, aversion).tolist(), "second"),
        Line("Zakamouline", (theirs.without_options + theirs.of_options).tolist(), "fourth"),
    )
    with_gas = (
        Line("hedge program", [book.outer() for book in dear], "ours"),
        Line("hedge program", [book.inner() for book in dear], "ours"),
        Line("best band", best[:, 1].tolist(), "fifth"),
        Line("best band", best[:, 0].tolist(), "fifth"),
    )
    panels = (
        Panel("half-width, ETH, gas free; points: dynamic program", _number, _number, without, moves=tuple(points)),
        Panel(f"where trades begin and end, ETH, gas {dear[0].gas:.2f} USDC", _number, _number, with_gas, height=170.0),
    )
    label = "No-trade region of 60 short calls of 8 days, 1,000,000 USDC"
    return Chart(label, np.log10(_FEES).tolist(), panels, axis=_fee, unit="fee of the pool")


def _fee(power: float) -> str:
    return f"{100 * 10**power:.2g} %"


def frontier() -> Chart:
    """Cost by what is left of risk, on each rule's lower envelope."""
    deviations = np.linspace(0.75, 2.5, 71)
    roles = ("recorded", "fifth", "third", "second", "ours", "fourth", "optimum")
    lines = tuple(
        Line(name, [measured.cost_at(float(sd), points) for sd in deviations], role)
        for role, (name, points) in zip(roles, measured.summaries().items(), strict=True)
    )
    title = "mean shortfall beyond the premium, USDC: short call of a year, σ = 25 %, costs 1 %"
    panel = Panel(title, _number, _number, lines, height=280.0)
    return Chart(
        "Cost of hedging against the risk that is left",
        deviations.tolist(),
        (panel,),
        axis=_number,
        unit="standard deviation of the outcome, USDC",
    )
