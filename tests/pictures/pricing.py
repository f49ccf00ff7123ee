"""Pictures of prices: how exact implied volatility is, and a surface among its quotes."""

from __future__ import annotations

import mpmath as mp
import numpy as np

from keeper.pricing.calibration import calibrate
from keeper.pricing.implied import implied_vol
from keeper.simulation.demo.report.charts import Chart, Line, Move, Panel
from tests.bench.pricing import newton
from tests.keeper.pricing.chains import Recorded, recordings, snapshots

_WIDTHS = (0.02, 0.2, 1.0)  # σ√T
_DEVIATIONS = np.linspace(-8.0, 8.0, 161)
_TENORS = (3, 14, 60)  # days, about
_REACH = 2.5  # deviations


def implied() -> Chart:
    """Largest error at all widths by deviations from the money, prices from 50 digits."""
    ours, naive, decided = (np.zeros(len(_DEVIATIONS)) for _ in range(3))
    for width in _WIDTHS:
        strike = 100.0 * np.exp(_DEVIATIONS * width)
        prices, slopes = _exact(strike, width)
        is_call, ones = strike >= 100.0, np.ones(len(strike))
        for worst, vol in (
            (ours, implied_vol(prices, 100.0, strike, 1.0, is_call).vol),
            (naive, newton(prices, strike, ones, is_call)),
        ):
            error = np.abs(vol / width - 1.0)
            np.fmax(worst, np.where(np.isfinite(error), error, 1.0), out=worst)
        np.fmax(decided, 2.0**-53 / slopes, out=decided)
    lines = (
        Line("Keel", _log(ours), "ours"),
        Line("what the price's last digit decides", _log(decided), "third"),
        Line("Newton from the at-the-money guess, 20 steps", _log(naive), "second"),
    )
    title = "largest relative error of implied volatility, power of ten; σ√T = " + ", ".join(map(str, _WIDTHS))
    panel = Panel(title, _whole, _whole, lines, height=240.0)
    return Chart(
        "Error of implied volatility", _DEVIATIONS.tolist(), (panel,), axis=_whole, unit="deviations from the money"
    )


def _exact(strike: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-the-money prices at a forward of 100, and ∂ln(price)/∂ln(vol)."""
    prices, slopes = [], []
    with mp.workdps(50):
        for k in strike.tolist():
            s = mp.mpf(width)
            d1 = mp.log(100 / mp.mpf(k)) / s + s / 2
            side = 1 if k >= 100.0 else -1
            value = side * (100 * mp.ncdf(side * d1) - mp.mpf(k) * mp.ncdf(side * (d1 - s)))
            prices.append(float(value))
            slopes.append(float(100 * mp.npdf(d1) * s / value))
    return np.array(prices), np.array(slopes)


def _log(errors: np.ndarray) -> list[float]:
    return np.log10(np.clip(errors, 2.0**-53, 1.0)).tolist()


def _whole(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def surface() -> Chart | None:
    """The recorded snapshot of median fit: three smiles, and bid and ask of out-of-the-money options."""
    if not recordings():
        return None
    snapshot = list(snapshots(recordings()[-1]))[60]
    found = calibrate(snapshot.quotes)
    z = np.linspace(-_REACH, _REACH, 81)
    panels = []
    for days in _TENORS:
        expiry = int(np.abs(found.surface.years * 365 - days).argmin())
        years, theta = float(found.surface.years[expiry]), float(found.surface.theta[expiry])
        vols = 100.0 * found.surface.vol(z * np.sqrt(theta), np.full(len(z), years))
        title = f"implied volatility, %; {365 * years:.0f} days to expiry"
        line = Line("eSSVI", vols.tolist(), "ours")
        panels.append(Panel(title, _whole, _whole, (line,), moves=_quotes(snapshot, years, theta), height=130.0))
    label = f"Fit of the ETH chain of {snapshot.time:%Y-%m-%d %H:%M} UTC"
    return Chart(
        label,
        z.tolist(),
        tuple(panels),
        axis=lambda v: f"{v:g}".replace("-", "−"),
        unit="bars: bid to ask; deviations, ln(K/F)/√θ",
    )


def _quotes(snapshot: Recorded, years: float, theta: float) -> tuple[Move, ...]:
    q = snapshot.quotes
    z = np.log(q.strike / q.forward) / np.sqrt(theta)
    shown = (np.abs(q.years / years - 1.0) < 1e-6) & (np.abs(z) <= _REACH) & (q.is_call == (z >= 0.0))
    columns = (q.forward[shown], q.strike[shown], q.years[shown], q.is_call[shown])
    bid, ask = (implied_vol(price[shown], *columns) for price in (q.bid, q.ask))
    rows = zip(z[shown].tolist(), bid.vol.tolist(), ask.vol.tolist(), (bid.ok & ask.ok).tolist(), strict=True)
    return tuple(Move(at, 100 * high, "quote", "bid to ask", 100 * low) for at, low, high, both in rows if both)
