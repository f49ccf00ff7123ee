"""Scenarios, revaluation and value at risk: time against other libraries, and backtests on the recorded days."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import QuantLib as ql
from scipy.special import ndtr

from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import DAY, YEAR
from keeper.pricing.black76 import price
from keeper.pricing.calibration import calibrate
from keeper.pricing.surface import EssviSurface
from keeper.risk.backtest import backtest
from keeper.risk.copula import student_t_copula
from keeper.risk.frontier import efficient_frontier
from keeper.risk.jumps import JointBates, bates, fit_bates
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios, filtered_historical
from keeper.risk.tail import components, tail_risk
from keeper.risk.valuation import value
from tests.bench.results import Row, medians, row
from tests.keeper.pricing.chains import recordings, snapshots
from tests.keeper.risk.books import NOW, hedge, option, reading, smile, snapshot_of
from tests.keeper.risk.recorded import ONE_DAY, recorded_days, walk_forward

Array = npt.NDArray[np.float64]

_SPOTS = (3_000.0, 90_000.0)
_LEVEL = 0.99
_DRAWN = 2_000  # scenarios of a day's forecast where they are drawn


def run() -> list[Row]:
    """All rows; the recorded ones only where there are recordings."""
    return [*_speed(), *(_backtests() if recorded_days() else []), *(_surface_shift() if recordings() else [])]


# ---------------------------------------------------------------- speed


def _speed() -> list[Row]:
    rng = np.random.default_rng(1)
    moves = rng.standard_t(4, (1_000, 3)) * [0.03, 0.025, 0.04]
    history = Scenarios(ONE_DAY, moves[:, :2], moves[:, 2:])
    scenarios = student_t_copula(history, 5_000, rng)
    snapshot = _book()
    found = revalue(snapshot, scenarios)
    peers = {"QuantLib": partial(_quantlib, snapshot, scenarios), "numpy": partial(_numpy, snapshot, scenarios)}
    for name, peer in peers.items():
        assert np.allclose(peer(), found.total, rtol=1e-9, atol=1e-4), f"{name} values something else"
    model = fit_bates(history)
    carry = np.array([line.theta for line in value(snapshot).positions]) * ONE_DAY
    sizes = np.array([line.size for line in value(snapshot).positions])
    seconds = medians(
        {
            "revalue": lambda: revalue(snapshot, scenarios).total,
            "numpy": peers["numpy"],
            "filtered": lambda: filtered_historical(history),
            "copula": lambda: student_t_copula(history, 5_000, np.random.default_rng(2)),
            "bates": lambda: bates(model, ONE_DAY, 5_000, np.random.default_rng(2)),
            "tail": lambda: tail_risk(found.total, _LEVEL),
            "components": lambda: components(found.parts, _LEVEL),
        },
        20,
    )
    slow = medians(
        {
            "QuantLib": peers["QuantLib"],
            "frontier": lambda: efficient_frontier(found.options / sizes, carry / sizes, _LEVEL, -20.0, 20.0, points=5),
        },
        3,
    )
    ms = {name: 1e3 * taken for name, taken in {**seconds, **slow}.items()}
    name = "full revaluation, 5,000 scenarios x 32 series"
    return [
        row(f"{name} (peer: QuantLib blackFormula in a loop)", ms["revalue"], "ms", peer=ms["QuantLib"]),
        row(f"{name} (peer: textbook numpy)", ms["revalue"], "ms", peer=ms["numpy"]),
        row("scenarios: filtered history of 1,000 days", ms["filtered"], "ms"),
        row("scenarios: Student-t copula, fitted to 1,000 days, 5,000 draws", ms["copula"], "ms"),
        row("scenarios: joint Bates, 5,000 draws of 24 steps", ms["bates"], "ms"),
        row("VaR and CVaR with errors, 5,000 scenarios", ms["tail"], "ms"),
        row("CVaR by position, 5,000 scenarios x 34", ms["components"], "ms"),
        row("carry against CVaR, 5 points, 5,000 scenarios x 32 series", ms["frontier"], "ms"),
    ]


def _book() -> Snapshot:
    terms = [(u, NOW + days * DAY) for u in range(len(UNDERLYINGS)) for days in (5, 12, 19, 40)]
    book = [
        option(u, m > 1.0, expiry, _SPOTS[u] * m, size / _SPOTS[u])
        for u, expiry in terms
        for m, size in ((0.8, -30_000.0), (0.92, -20_000.0), (1.08, -20_000.0), (1.2, 10_000.0))
    ]
    surface = [(u, expiry, smile(0.36 * (expiry - NOW) / YEAR)) for u, expiry in terms]
    hedges = [hedge(u, 1_000.0 / spot, spot) for u, spot in enumerate(_SPOTS)]
    return snapshot_of(book, surface, [reading(spot) for spot in _SPOTS], hedges)


def _inputs(snapshot: Snapshot, scenarios: Scenarios) -> tuple[Array, ...]:
    """Forward, strike, σ√T and sign by scenario and series as a textbook would have them, sizes and prices now."""
    lines = value(snapshot).positions
    u = np.array([line.series.underlying for line in lines])
    years = np.array([(line.series.expiry - snapshot.timestamp) / (365 * DAY) for line in lines])
    slices = [snapshot.surface.slice_of(line.series.underlying, line.series.expiry) for line in lines]
    theta, rho, phi, carry = (
        np.array([getattr(s, n) / 1e18 for s in slices]) for n in ("theta", "rho", "phi", "carry")
    )
    later = years - scenarios.horizon
    spot = np.array(_SPOTS)[u]
    forward = spot * np.exp(scenarios.log_return[:, u] + carry * later)
    strike = np.array([line.series.strike for line in lines])
    shifted = phi * np.log(strike / forward)
    variance = 0.5 * theta * (1.0 + rho * shifted + np.sqrt((shifted + rho) ** 2 + 1.0 - rho**2)) / years
    power = np.where(years <= 30 / 365, (30 / 365 / years) ** 0.42, (30 / 365 / years) ** 0.66)
    vol = np.sqrt(variance) * np.exp(scenarios.log_vol * power)
    sign = np.array([1.0 if line.series.is_call else -1.0 for line in lines])
    sizes, mids = np.array([line.size for line in lines]), np.array([line.mid for line in lines])
    return forward, strike, vol * np.sqrt(later), sign, sizes, mids


def _hedges(snapshot: Snapshot, scenarios: Scenarios) -> Array:
    units = np.array([venue.state.exposure / 1e18 for venue in snapshot.venues])
    return np.asarray(np.expm1(scenarios.log_return) @ (units * np.array(_SPOTS)))


def _numpy(snapshot: Snapshot, scenarios: Scenarios) -> Array:
    forward, strike, s, sign, sizes, mids = _inputs(snapshot, scenarios)
    d1 = np.log(forward / strike) / s + 0.5 * s
    prices = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - s)))
    return np.asarray((prices - mids) @ sizes) + _hedges(snapshot, scenarios)


def _quantlib(snapshot: Snapshot, scenarios: Scenarios) -> Array:
    forward, strike, s, sign, sizes, mids = _inputs(snapshot, scenarios)
    kinds = [ql.Option.Call if one > 0 else ql.Option.Put for one in sign]
    formula = ql.blackFormula
    prices = [
        [formula(k, x, f, v) for k, x, f, v in zip(kinds, strike.tolist(), fs, vs, strict=True)]
        for fs, vs in zip(forward.tolist(), s.tolist(), strict=True)
    ]
    return np.asarray((np.array(prices) - mids) @ sizes) + _hedges(snapshot, scenarios)


# ---------------------------------------------------------------- backtests


def _backtests() -> list[Row]:
    days = recorded_days()
    assert days is not None
    rng = np.random.default_rng(7)
    models = {
        "filtered history, in use": filtered_historical,
        "history as it was": lambda past: past,
        "Student-t copula": lambda past: student_t_copula(past, _DRAWN, rng),
        "joint Bates whose jumps move volatility": lambda past: bates(fit_bates(past), ONE_DAY, _DRAWN, rng),
        "joint Bates": lambda past: bates(_of_prices_alone(fit_bates(past)), ONE_DAY, _DRAWN, rng),
    }
    found = walk_forward(days, models, _LEVEL)
    rows = []
    for model, var in found.var.items():
        result = backtest(found.pnl, var, _LEVEL)
        name = f"VaR 99 % of the demo's hedged book, {result.days} days, {model}"
        tests = {"Kupiec": result.coverage, "Christoffersen": result.independence, "both": result.conditional}
        rows.append(row(f"{name}: exceptions of {0.01 * result.days:.1f} expected", result.exceptions, "days"))
        for test, outcome in tests.items():
            goal, met = ("p >= 0.05", bool(outcome.p_value >= 0.05)) if "in use" in model else (None, None)
            rows.append(Row(f"{name}: {test}", outcome.p_value, None, None, "p", goal, met))
    return rows


def _of_prices_alone(model: JointBates) -> JointBates:
    return replace(model, vol_jump_mean=0.0, vol_jump_deviation=0.0)


# ---------------------------------------------------------------- what a shift of two numbers leaves out


def _surface_shift() -> list[Row]:
    """Short strangles of ETH at a recorded surface, hedged, over a day: what they gain by the next recorded surface,
    and what revaluation says of the day's price and 30-day volatility alone."""
    daily = list({recorded.time.date(): recorded for path in recordings() for recorded in snapshots(path)}.values())
    surfaces = [calibrate(recorded.quotes).surface for recorded in daily]
    told, true = [], []
    for i in range(len(daily) - 1):
        horizon = (daily[i + 1].time - daily[i].time) / pd.Timedelta(days=365)
        if abs(365.0 * horizon - 1.0) < 0.2:
            said, happened = _a_day(int(daily[i].time.timestamp()), horizon, surfaces[i], surfaces[i + 1])
            told.append(said)
            true.append(happened)
    missed = float(np.var(np.subtract(true, told)) / np.var(true))
    return [
        row(f"gain of a hedged book, {len(true)} recorded days of ETH: variance that scenarios miss", missed, "share")
    ]


def _a_day(now: int, horizon: float, before: EssviSurface, after: EssviSurface) -> tuple[float, float]:
    """Gain as revaluation says, and by the surface afterwards."""
    was, then = float(before.forward[0]), float(after.forward[0])  # the nearest forward stands for spot
    book, slices = [], []
    for days in (5, 12, 19):
        expiry, years = now + days * DAY, days / 365.0
        theta, rho, psi = (float(x) for x in before.at(years))
        carry = float(np.interp(years, before.years, np.log(before.forward / was))) / years
        slices.append((0, expiry, smile(theta, rho, psi / theta**0.5, carry, now)))
        book += [option(0, m > 0.0, expiry, was * np.exp(m * theta**0.5), -1.0) for m in (-1.3, 1.3)]
    snapshot = snapshot_of(book, slices, [reading(was), reading(90_000.0)], timestamp=now)
    valued = value(snapshot)
    month = 30.0 / 365.0
    shift = float(np.log(after.atm_vol(month) / before.atm_vol(month)))
    move = Scenarios(horizon, np.array([[np.log(then / was), 0.0]]), np.array([[shift]]))
    hedge_gain = -valued.deltas[0] * (then - was)
    gain = hedge_gain
    for line in valued.positions:
        left = (line.series.expiry - now) / YEAR - horizon
        forward = then * np.exp(np.interp(left, after.years, np.log(after.forward / then)))
        vol = after.vol(np.log(line.series.strike / forward), left)
        gain += line.size * float(price(forward, line.series.strike, vol, left, line.series.is_call) - line.mid)
    return float(revalue(snapshot, move).total[0]) + hedge_gain, gain
