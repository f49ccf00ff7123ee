"""Pictures of what the past says: forecasts of volatility, value at risk, and how exact its estimate is."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from keeper.forecast.evaluation import walk_forward
from keeper.forecast.realised import mean_ahead
from keeper.forecast.volatility import in_use
from keeper.risk.backtest import backtest
from keeper.risk.scenarios import filtered_historical
from keeper.risk.tail import tail_risk
from keeper.simulation.demo.report.charts import Band, Chart, Level, Line, Move, Panel
from tests.keeper.forecast.recordings import candles_of, has_candles
from tests.keeper.forecast.recordings import recorded_days as days_of_candles
from tests.keeper.risk import recorded

_FREEDOM, _LEVEL = 4.0, 0.99
_YEAR = 365.25 * 86_400
_HOLE = 0.03  # years without recordings that no line bridges


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−")


def forecast() -> Chart | None:
    """ETH's volatility of each month ahead, as forecast from the past alone and as it came, once a week."""
    if not has_candles():
        return None
    days, horizon, start = days_of_candles("ETH"), 30, 730
    told = 100.0 * np.sqrt(walk_forward(in_use, days, horizon, start, 30))
    came = 100.0 * np.sqrt(mean_ahead(days.squared, horizon))
    candles = candles_of("ETH", "1h")
    assert candles is not None
    ends = candles.span[1] - 86_400.0 * np.arange(len(days))[::-1]
    years = 1970.0 + ends / _YEAR
    shown = slice(start, len(days) - horizon, 7)
    lines = (Line("came", came[shown].tolist(), "recorded"), Line("forecast", told[shown].tolist(), "ours"))
    panel = Panel("volatility of the next 30 days, % a year", _whole, _whole, lines, height=220.0)
    return Chart(
        "Forecast of ETH's volatility",
        years[shown].tolist(),
        (panel,),
        axis=lambda v: f"{v:.0f}",
        unit="day of the forecast",
    )


def value_at_risk() -> Chart | None:
    """Every recorded day of the demo's hedged book against the value at risk that was known when it began."""
    days = recorded.recorded_days()
    if days is None:
        return None
    found = recorded.walk_forward(days, {"": filtered_historical}, _LEVEL)
    var, pnl = found.var[""], found.pnl
    result = backtest(pnl, var, _LEVEL)
    years = 1970.0 + np.array(days.begins[-len(pnl) :]) / _YEAR
    exceeded = np.flatnonzero(pnl < -var)
    moves = tuple(Move(float(years[i]), float(pnl[i]), "bad", f"{pnl[i]:,.0f} USDC") for i in exceeded)
    title = f"USDC a day, 1,000,000 at stake; {result.exceptions} exceptions, {(1 - _LEVEL) * result.days:.1f} expected"
    after_hole = np.diff(years, prepend=years[0]) > _HOLE
    gain, limit = (np.where(after_hole, np.nan, a).tolist() for a in (pnl, -var))
    lines = (Line("gain of the hedged book", gain, "recorded"), Line("VaR 99 %, negative", limit, "ours"))
    return Chart(
        "Backtest of VaR 99 %",
        years.tolist(),
        (Panel(title, _whole, _whole, lines, moves=moves, height=240.0),),
        axis=lambda v: f"{v:g}",
        unit="day",
    )


def tail() -> Chart:
    """VaR and CVaR of Student's t with four degrees of freedom, by the number of scenarios."""
    counts = np.geomspace(200, 200_000, 31)
    pnl = student.rvs(_FREEDOM, size=int(counts[-1]), random_state=np.random.default_rng(5))
    risks = [tail_risk(pnl[: int(count)], _LEVEL) for count in counts]
    quantile = float(student.ppf(_LEVEL, _FREEDOM))
    mean = float(student.pdf(quantile, _FREEDOM) / (1 - _LEVEL) * (_FREEDOM + quantile**2) / (_FREEDOM - 1))
    panels = []
    for name, exact in (("var", quantile), ("cvar", mean)):
        value, error = (np.array([getattr(risk, field) for risk in risks]) for field in (name, f"{name}_error"))
        band = Band("", (value - 2 * error).tolist(), (value + 2 * error).tolist(), "error")
        title = (
            f"{'VaR' if name == 'var' else 'CVaR'} 99 % of Student's t, 4 degrees of freedom, with two standard errors"
        )
        levels = (Level(exact, f"exact {exact:.3f}", "exact"),)
        line = Line("estimate", value.tolist(), "ours")
        panels.append(
            Panel(title, lambda v: f"{v:g}", lambda v: f"{v:.3f}", (line,), (band,), levels=levels, height=130.0)
        )
    return Chart(
        "VaR and CVaR by the number of scenarios",
        np.log10(counts).tolist(),
        tuple(panels),
        axis=lambda v: f"{10**v:,.0f}" if v == int(v) else "",
        unit="scenarios",
    )
