"""The eSSVI surface: on every recorded snapshot of the chain, and on one synthetic chain against QuantLib."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import QuantLib as ql

from keeper.pricing.calibration import Calibration, Outcome, Quotes, calibrate
from tests.bench.results import Row, medians, row
from tests.keeper.pricing.chains import Recorded, chain_of, ordinary_surface, recordings, share_inside, snapshots

Array = npt.NDArray[np.float64]

_GRID = np.linspace(-6.0, 6.0, 1001)


def run() -> list[Row]:
    """All rows; the recorded ones only where there are recordings."""
    return [*_synthetic(), *(_recorded() if recordings() else [])]


def _synthetic() -> list[Row]:
    """QUANT.md's case: ten slices of 25 strikes with 0.3 points of noise. QuantLib fits raw SVI slice by slice, without
    conditions between slices, and gets the volatilities; ours gets prices."""
    true = ordinary_surface()
    quotes = chain_of(true, half_spread=0.005, noise=0.003)
    vol = np.array(
        [true.vol(np.log(k / f), t) for k, f, t in zip(quotes.strike, quotes.forward, quotes.years, strict=True)]
    )
    vol += 0.003 * np.random.default_rng(1).standard_normal(len(vol))
    seconds = medians({"ours": partial(calibrate, quotes), "QuantLib": partial(_quantlib, quotes, vol)}, 7)
    ours, theirs = 1e3 * seconds["ours"], 1e3 * seconds["QuantLib"]
    name = "eSSVI, 10 slices of 25 strikes"
    return [
        row(name, ours, "ms", ours_goal=20.0),
        row(f"{name} (peer: QuantLib SVI by slice)", ours, "ms", peer=theirs, ratio_goal=15.0),
    ]


def _quantlib(quotes: Quotes, vol: Array) -> list[tuple[float, ...]]:
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    fits = []
    for expiry in np.unique(quotes.expiry):
        one = quotes.expiry == expiry
        years, forward = float(quotes.years[one][0]), float(quotes.forward[one][0])
        k, vols = np.log(quotes.strike[one] / forward), vol[one]
        smile = ql.SviInterpolatedSmileSection(
            today + round(years * 365),
            forward,
            quotes.strike[one].tolist(),
            False,
            float(np.interp(0.0, k, vols)),
            vols.tolist(),
            0.02 * years,
            0.1 * years**0.5,
            0.3 * float(np.abs(k).max()),
            -0.1,
            0.0,
            *(False,) * 5,
        )
        smile.volatility(forward)
        fits.append((smile.a(), smile.b(), smile.rho(), smile.m(), smile.sigma()))
    return fits


def _recorded() -> list[Row]:
    cold: list[float] = []
    warm: list[float] = []
    inside: list[float] = []
    point_errors: list[float] = []
    unseen: list[float] = []
    failed = arbitrage = worse = total = 0
    for path in recordings():
        last: Calibration | None = None
        for snapshot in snapshots(path):
            start = time.perf_counter()
            found = calibrate(snapshot.quotes)
            cold.append(1e3 * (time.perf_counter() - start))
            if last is not None:
                start = time.perf_counter()
                again = calibrate(snapshot.quotes, last=last.surface)
                warm.append(1e3 * (time.perf_counter() - start))
                worse += share_inside(snapshot, again.surface) < share_inside(snapshot, found.surface) - 0.02
            last = found
            total += 1
            failed += found.outcome is not Outcome.FITTED
            grid = _GRID * np.sqrt(found.surface.theta[-1])
            arbitrage += found.surface.worst_density(grid) < 0.0 or found.surface.worst_crossing(grid) < -1e-10
            inside.append(share_inside(snapshot, found.surface))
            point_errors.append(_rmse(snapshot, found))
            if total % 8 == 0:
                unseen.append(_share_inside_unseen(snapshot, np.random.default_rng(total)))
    name = f"eSSVI, {total} recorded snapshots"
    return [
        row(f"{name}: time from quotes to surface, cold, median", float(np.median(cold)), "ms", ours_goal=20.0),
        row(f"{name}: the same, 95 %", float(np.quantile(cold, 0.95)), "ms"),
        row(f"{name}: started from the last surface, median", float(np.median(warm)), "ms"),
        row(f"{name}: starts from the last that end worse by 2 %", worse, "snapshots"),
        row(f"{name}: liquid options outside bid-ask, median", 1.0 - float(np.median(inside)), "share", ours_goal=0.1),
        row(f"{name}: the same, worst snapshot", 1.0 - min(inside), "share"),
        row(f"{name}: of strikes kept from the fit (a fifth), median", 1.0 - float(np.median(unseen)), "share"),
        row(f"{name}: error of liquid options against the mark, median", float(np.median(point_errors)), "vol points"),
        row(f"{name}: failures", failed, "snapshots", ours_goal=0.0),
        row(f"{name}: with arbitrage on a dense grid", arbitrage, "snapshots", ours_goal=0.0),
    ]


def _rmse(snapshot: Recorded, found: Calibration) -> float:
    """Root mean square difference from the recorded mark volatility, in points."""
    q, liquid = snapshot.quotes, snapshot.liquid
    model = found.surface.vol(np.log(q.strike / q.forward)[liquid], q.years[liquid])
    return 100.0 * float(np.sqrt(np.square(model - snapshot.mark_vol[liquid]).mean()))


def _share_inside_unseen(snapshot: Recorded, rng: np.random.Generator) -> float:
    """Share inside bid and ask of a fifth of the strikes, fitted without them."""
    q = snapshot.quotes
    strikes = np.unique(q.strike)
    hidden = np.isin(q.strike, rng.choice(strikes, len(strikes) // 5, replace=False))
    found = calibrate(replace(q, bid=np.where(hidden, np.nan, q.bid)))
    return share_inside(replace(snapshot, liquid=snapshot.liquid & hidden), found.surface)
