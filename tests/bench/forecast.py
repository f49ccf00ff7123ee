"""Forecasts of volatility on the recorded candles, walk-forward: the tables of docs/quant.md, and what they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.stats import genpareto

from keeper.forecast import garch, har
from keeper.forecast.covariance import ewma_covariance, shrunk_covariance
from keeper.forecast.evaluation import diebold_mariano, mincer_zarnowitz, qlike, walk_forward
from keeper.forecast.realised import DAYS_PER_YEAR, Days, mean_ahead, parkinson, rogers_satchell, yang_zhang
from keeper.forecast.tails import fit_tail
from keeper.forecast.volatility import MODELS, Model, forecast_vol, in_use, monthly_ewma_of_returns, naive
from keeper.simulation.demo.candles import Candles
from tests.bench.results import Row, medians, row
from tests.keeper.forecast.recordings import (
    UNDERLYINGS,
    candles_of,
    days_of_candles,
    has_candles,
    implied_index,
    recorded_days,
    storms,
)

Array = npt.NDArray[np.float64]

_CASES = [(underlying, horizon) for underlying in UNDERLYINGS for horizon in (1, 7, 30)]
_START, _REFIT = 730, 30  # days to learn from at first, and between lessons
_HOURS = 24
_DAY = 86_400


def run() -> list[Row]:
    """All rows; the tables are printed."""
    if not has_candles():
        return []
    rows = _candidates()
    _ingredients()
    _regimes()
    _premium()
    return [*rows, *_speed()]


def _candidates() -> list[Row]:
    rows: list[Row] = []
    tables: dict[str, dict[str, list[str]]] = {
        title: {name: [] for name in MODELS}
        for title in ("QLIKE", "better than naive, t", "intercept, slope, R²", "QLIKE by 5 minutes")
    }
    for underlying, horizon in _CASES:
        days = recorded_days(underlying)
        found = {name: _forecast(model, days, horizon) for name, model in MODELS.items()}
        realised, finer = mean_ahead(days.squared, horizon), _finer(underlying, len(days), horizon)
        common, again = (_common(values, *found.values()) for values in (realised, finer))
        losses = {name: qlike(realised[common], a[common]) for name, a in found.items()}
        naively = _of(naive, losses)
        for name, forecast in found.items():
            line = mincer_zarnowitz(realised[common], forecast[common])
            five = f"{qlike(finer[again], forecast[again]).mean():.3f}" if again.any() else ""
            t = "" if MODELS[name] is naive else f"{diebold_mariano(losses[name], naively, horizon):.1f}"
            of_line = f"{line.intercept:.2f}, {line.slope:.2f}, {line.r2:.2f}"
            for table, cell in zip(tables.values(), (f"{losses[name].mean():.3f}", t, of_line, five), strict=True):
                table[name].append(cell)
        ours = float(_of(in_use, losses).mean())
        best = min(float(a.mean()) for name, a in losses.items() if MODELS[name] not in (in_use, naive))
        label = f"volatility forecast, {underlying}, {horizon} d, QLIKE"
        rows.append(row(f"{label} (peer: naive)", ours, "loss", peer=float(naively.mean()), ratio_goal=1.0))
        rows.append(row(f"{label} (peer: best other)", ours, "loss", peer=best, ratio_goal=1.0))
    for title, table in tables.items():
        _print(title, table)
    return rows


def _print(title: str, lines: Mapping[str, list[str]]) -> None:
    """A table of the cases in Markdown."""
    print(f"\n| {title} | {' | '.join(f'{underlying}, {horizon} d' for underlying, horizon in _CASES)} |")
    print("|---|" + "---|" * len(_CASES))
    for name, cells in lines.items():
        print(f"| {name} | {' | '.join(cells)} |")


def _of(model: Model, losses: Mapping[str, Array]) -> Array:
    return next(a for name, a in losses.items() if MODELS[name] is model)


def _forecast(model: Model, days: Days, horizon: int) -> Array:
    return walk_forward(model, days, horizon, _START, _REFIT)


def _common(*series: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all([np.isfinite(a) for a in series], axis=0))


def _finer(underlying: str, count: int, horizon: int) -> Array:
    """The same realised variance from 5-minute returns, NaN where there are none."""
    values = np.full(count, np.nan)
    if (candles := candles_of(underlying, "5m")) is not None:
        squared = days_of_candles(candles).squared[-count:]
        values[count - len(squared) :] = squared  # both end at the same midnight
    return mean_ahead(values, horizon)


def _ingredients() -> None:
    """What the forecast in use would lose without one of its parts, or with other estimates of a day's variance."""
    changes: dict[str, Callable[[Days, Candles], Days]] = {
        "as it is: Garman-Klass, weekdays": lambda days, _: days,
        "no weekdays": lambda days, _: replace(days, weekday=np.zeros_like(days.weekday)),
        "squared returns": lambda days, _: replace(days, ranged=days.squared),
        "Parkinson": lambda days, c: _ranged(days, c, parkinson(c.high, c.low)),
        "Rogers-Satchell": lambda days, c: _ranged(days, c, rogers_satchell(c.open, c.high, c.low, c.close)),
        "Yang-Zhang": lambda days, c: replace(days, ranged=_yang_zhang(days, c)),
    }
    lines: dict[str, list[str]] = {name: [] for name in changes}
    for underlying, horizon in _CASES:
        candles = candles_of(underlying, "1h")
        assert candles is not None
        for name, change in changes.items():
            days = change(recorded_days(underlying), candles)
            realised, forecast = mean_ahead(days.squared, horizon), _forecast(in_use, days, horizon)
            common = _common(realised, forecast)
            lines[name].append(f"{qlike(realised[common], forecast[common]).mean():.3f}")
    _print("HAR", lines)


def _regimes() -> None:
    print("\n| regime | share in storm | variance of the week after, by calm | R² of its logarithm | changes a year |")
    print("|---|---|---|---|---|")
    for underlying in UNDERLYINGS:
        storm, variance = storms(recorded_days(underlying))
        ratio = variance[storm].mean() / variance[~storm].mean()
        r2 = np.corrcoef(storm, np.log(variance))[0, 1] ** 2
        changes = np.count_nonzero(np.diff(storm)) / len(storm) * DAYS_PER_YEAR
        print(f"| {underlying} | {100 * storm.mean():.0f} % | {ratio:.1f} | {r2:.2f} | {changes:.0f} |")


def _premium() -> None:
    """Deribit's index of implied volatility (30 days) as a forecast of ETH's, and what its premium foretold."""
    hourly, index = candles_of("ETH", "1h"), implied_index()
    if hourly is None or index is None:
        return
    days = recorded_days("ETH")
    ends = hourly.span[1] - _DAY * np.arange(len(days))[::-1]
    rows = np.searchsorted(index.times + index.spacing, ends, side="right") - 1
    known = (rows >= 0) & (ends - (index.times[rows] + index.spacing) <= _DAY)
    implied = np.where(known, np.square(index.close[rows] / 100), np.nan)
    print("\n| ETH | days | QLIKE | QLIKE, index | t | implied - realised variance, by thirds of implied - forecast |")
    print("|---|---|---|---|---|---|")
    for horizon in (1, 7, 30):
        realised = mean_ahead(days.squared, horizon)
        found = {"HAR": in_use, "closes alone": monthly_ewma_of_returns}
        forecasts = {name: _forecast(model, days, horizon) for name, model in found.items()}
        known = _common(realised, implied, *forecasts.values())
        v, i = realised[known], implied[known]
        for name, f in ((name, forecast[known]) for name, forecast in forecasts.items()):
            losses = qlike(v, f), qlike(v, i)
            thirds = np.array_split(np.argsort(i - f), 3)
            earned = ", ".join(f"{(i - v)[third].mean():.3f}" for third in thirds)
            t = diebold_mariano(losses[1], losses[0], horizon)
            mean_losses = " | ".join(f"{loss.mean():.3f}" for loss in losses)
            begins = (i - f)[thirds[2][0]]
            print(
                f"| {name}, {horizon} d | {len(v)} | {mean_losses} | {t:.1f} | {earned}; the last from {begins:.3f} |"
            )


def _ranged(days: Days, candles: Candles, variances: Array) -> Days:
    """With the sum of other estimates per candle; what jumps there were between candles stays out."""
    totals = np.bincount(_day_of(days, candles), variances, minlength=len(days))
    return replace(days, ranged=np.where(np.isfinite(days.squared), DAYS_PER_YEAR * totals, np.nan))


def _yang_zhang(days: Days, candles: Candles) -> Array:
    """By day, each from its candles and the close before them."""
    begins = np.searchsorted(_day_of(days, candles), np.arange(len(days) + 1))
    values = np.full(len(days), np.nan)
    for day in np.flatnonzero(np.isfinite(days.squared)):
        rows = slice(max(begins[day] - 1, 0), begins[day + 1])
        prices = (a[rows] for a in (candles.open, candles.high, candles.low, candles.close))
        values[day] = DAYS_PER_YEAR * _HOURS * yang_zhang(*prices)
    return values


def _day_of(days: Days, candles: Candles) -> npt.NDArray[np.int64]:
    return len(days) - 1 - (candles.span[1] - 1 - candles.times) // _DAY


def _speed() -> list[Row]:
    eth, btc = (recorded_days(underlying) for underlying in UNDERLYINGS)
    known = _common(eth.change, btc.change)
    both = np.column_stack((eth.change, btc.change))[known]
    losses = -eth.change[known]
    tail = fit_tail(losses)
    excesses = losses[losses > tail.threshold] - tail.threshold
    fitted = har.fit(eth, 7)
    seconds = medians(
        {
            "learn and forecast": partial(forecast_vol, eth, 7),
            "forecast": partial(fitted.variance, eth),
            "garch": partial(garch.fit, eth.change[known]),
            "tail": partial(fit_tail, losses),
            "scipy": partial(genpareto.fit, excesses, floc=0.0),
            "ewma": partial(ewma_covariance, both[-365:]),
            "shrunk": partial(shrunk_covariance, both),
        },
        7,
    )
    ms = {name: 1e3 * taken for name, taken in seconds.items()}
    return [
        row(f"HAR, {len(eth)} days: learn and forecast", ms["learn and forecast"], "ms"),
        row("HAR, learnt: forecast", ms["forecast"], "ms"),
        row(f"GJR-GARCH-t, {len(both)} days: learn (arch)", ms["garch"], "ms"),
        row("peaks over threshold (peer: scipy genpareto.fit)", ms["tail"], "ms", peer=ms["scipy"]),
        row("EWMA covariance, 2 assets, 365 days", ms["ewma"], "ms"),
        row(f"Ledoit-Wolf covariance, 2 assets, {len(both)} days", ms["shrunk"], "ms"),
    ]
