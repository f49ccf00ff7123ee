"""Black-76 and implied volatility against the libraries that one would otherwise use; goals are QUANT.md's."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import QuantLib as ql
from lets_be_rational import implied_volatility_from_a_transformed_rational_guess as jaeckel
from scipy.special import ndtr
from vollib.black_scholes import black_scholes
from vollib.black_scholes.greeks import analytical

from keeper.pricing.black76 import price
from keeper.pricing.implied import ImpliedVol, implied_vol
from keeper.pricing.kernel import Method
from tests.bench import textbook, vectorized
from tests.bench.results import PROJECT, Row, medians, row
from tests.bench.textbook import Options, naive, ours

Array = npt.NDArray[np.float64]

_PRICES = "price + Greeks"  # seven, as textbook numpy; the libraries give five
_SIZE = 100_000
_RECORDED = (5.8e5, 1.2e6)  # options/s of py_vollib_vectorized 0.1.1 (QUANT.md), where it cannot be installed
_SCALAR = 2_000  # options that a loop over scalars is measured on


def run() -> list[Row]:
    """All rows."""
    return [*_pricing(), *_alone(), *_implied(), *_vectorized()]


# ---------------------------------------------------------------- price and Greeks


def _pricing() -> list[Row]:
    rows = []
    for size, runs in ((1_000, 50), (_SIZE, 15), (1_000_000, 5)):
        options = Options.random(size)
        few = Options.random(min(size, _SCALAR))
        _check_agreement(few)
        seconds = medians(
            {
                "numpy": partial(ours, options, "numpy"),
                "kernel": partial(ours, options, "kernel"),
                "naive": partial(naive, options),
                "QuantLib": partial(_quantlib, few.rows()),
                "vollib": partial(_vollib, few.rows()),
            },
            runs,
        )
        rate = {name: (len(few.spot) if name in ("QuantLib", "vollib") else size) / t for name, t in seconds.items()}
        name = f"{_PRICES}, {size:.0e}".replace("e+0", "e")
        for path in ("numpy", "kernel"):
            rows.append(row(f"{name}, {path} (peer: naive numpy)", rate[path], "options/s", peer=rate["naive"]))
        for peer in ("vollib", "QuantLib"):
            rows.append(row(f"{name}, kernel (peer: {peer}, loop)", rate["kernel"], "options/s", peer=rate[peer]))
    return rows


def _alone() -> list[Row]:
    """Each path in processes of its own, in turns: how QUANT.md measured its baselines, and what its goals refer to."""
    command = [sys.executable, "-P", str(Path(textbook.__file__))]  # -P: our folder's keeper.py is not the package
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    times: dict[str, list[float]] = {"naive": [], "numpy": [], "kernel": []}
    for _ in range(3):
        for path, found in times.items():
            out = subprocess.check_output([*command, path, str(_SIZE)], env=environment, text=True)
            found.append(float(out))
    rate = {path: _SIZE / statistics.median(found) for path, found in times.items()}
    name = f"{_PRICES}, 1e5, in a process of its own"
    return [
        row(f"{name}, {path} (peer: naive numpy)", rate[path], "options/s", peer=rate["naive"], ratio_goal=goal)
        for path, goal in (("numpy", 1.5), ("kernel", 3.0))
    ]


def _quantlib(options: list[tuple[float, float, float, float, bool, float]]) -> list[tuple[float, ...]]:
    results = []
    for spot, strike, years, vol, is_call, rate in options:
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
        growth = math.exp(rate * years)
        b = ql.BlackCalculator(payoff, spot * growth, vol * math.sqrt(years), 1.0 / growth)
        greeks_of = (b.delta(spot), b.gamma(spot), b.vega(years), b.theta(spot, years), b.rho(years))
        results.append((b.value(), *greeks_of))
    return results


def _vollib(options: list[tuple[float, float, float, float, bool, float]]) -> list[tuple[float, ...]]:
    """Theirs are per volatility point, per day and per rate point."""
    results = []
    for spot, strike, years, vol, is_call, rate in options:
        o = ("c" if is_call else "p", spot, strike, years, rate, vol)
        vega, theta, rho = 100 * analytical.vega(*o), 365 * analytical.theta(*o), 100 * analytical.rho(*o)
        results.append((black_scholes(*o), analytical.delta(*o), analytical.gamma(*o), vega, theta, rho))
    return results


def _check_agreement(options: Options) -> None:
    found = np.array(ours(options, "kernel"))
    np.testing.assert_allclose(found, np.array(naive(options)), rtol=1e-9, atol=1e-9)
    for peer in (_quantlib(options.rows()), _vollib(options.rows())):
        np.testing.assert_allclose(found[:6], np.array(peer).T, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- implied volatility


@dataclass(frozen=True)
class _Prices:
    """QUANT.md's grid: out-of-the-money options up to four deviations away, σ from 15 % to 200 %, forward 100."""

    prices: Array
    strike: Array
    years: Array
    is_call: npt.NDArray[np.bool_]
    vol: Array

    @classmethod
    def random(cls) -> _Prices:
        rng = np.random.default_rng(11)
        years, vol = rng.uniform(2 / 365, 1.0, _SIZE), rng.uniform(0.15, 2.0, _SIZE)
        strike = 100.0 * np.exp(rng.uniform(-4.0, 4.0, _SIZE) * vol * np.sqrt(years))
        is_call = strike >= 100.0
        return cls(price(100.0, strike, vol, years, is_call), strike, years, is_call, vol)


def _implied() -> list[Row]:
    o = _Prices.random()
    columns, vol = (o.prices, o.strike, o.years, o.is_call), o.vol
    few = [column[:_SCALAR].tolist() for column in columns]
    kernel, by_numpy = (_implied_ours(*columns, method) for method in ("kernel", "numpy"))
    naive = newton(*columns)
    np.testing.assert_allclose(_implied_vollib(*few), kernel.vol[:_SCALAR], rtol=1e-12)
    seconds = medians(
        {
            "kernel": partial(_implied_ours, *columns, "kernel"),
            "numpy": partial(_implied_ours, *columns, "numpy"),
            "Newton": partial(newton, *columns),
            "lets_be_rational": partial(_implied_vollib, *few),
            "QuantLib": partial(_implied_quantlib, *few),
        },
        9,
    )
    rate = {name: (_SCALAR if name in ("lets_be_rational", "QuantLib") else _SIZE) / t for name, t in seconds.items()}
    name = "implied vol, 1e5"
    against = {f"{name}, kernel (peer: {peer}, loop)": rate[peer] for peer in ("lets_be_rational", "QuantLib")}
    error = {path: float(np.abs(found.vol / vol - 1.0).max()) for path, found in (("k", kernel), ("n", by_numpy))}
    missing = float((~kernel.ok).mean())
    wrong = float(np.mean(~(np.abs(naive / vol - 1.0) < 1e-6)))
    return [
        *(row(label, rate["kernel"], "options/s", peer=peer) for label, peer in against.items()),
        row(f"{name}, kernel (peer: naive numpy Newton, 20 steps)", rate["kernel"], "options/s", peer=rate["Newton"]),
        row(f"{name}, numpy (peer: naive numpy Newton, 20 steps)", rate["numpy"], "options/s", peer=rate["Newton"]),
        row(f"{name}, kernel: largest error", error["k"], "relative", ours_goal=1e-13),
        row(f"{name}, numpy: largest error", error["n"], "relative", ours_goal=1e-13),
        row(f"{name}: share without one (naive Newton: {wrong:.0%} wrong)", missing, "share", ours_goal=0.0),
    ]


def _implied_ours(
    prices: Array, strike: Array, years: Array, is_call: npt.NDArray[np.bool_], method: Method
) -> ImpliedVol:
    return implied_vol(prices, 100.0, strike, years, is_call, method=method)


def newton(prices: Array, strike: Array, years: Array, is_call: npt.NDArray[np.bool_]) -> Array:
    """What one writes at first: Newton on the price from the at-the-money guess."""
    s, x, sign = np.maximum(np.sqrt(2 * np.pi) * prices / 100.0, 0.05), np.log(100.0 / strike), np.where(is_call, 1, -1)
    for _ in range(20):
        d1 = x / s + 0.5 * s
        value = sign * (100.0 * ndtr(sign * d1) - strike * ndtr(sign * (d1 - s)))
        vega = 100.0 * np.exp(-0.5 * d1 * d1) / np.sqrt(2 * np.pi)
        s = np.clip(s - (value - prices) / np.maximum(vega, 1e-300), 1e-6, 10.0)
    return np.asarray(s / np.sqrt(years))


def _implied_vollib(prices: list[float], strike: list[float], years: list[float], is_call: list[bool]) -> list[float]:
    """vollib's inversion of an undiscounted Black price, by the package lets_be_rational."""
    rows = zip(prices, strike, years, is_call, strict=True)
    return [jaeckel(p, 100.0, k, t, 1 if call else -1) for p, k, t, call in rows]


def _implied_quantlib(prices: list[float], strike: list[float], years: list[float], is_call: list[bool]) -> list[float]:
    rows = zip(prices, strike, years, is_call, strict=True)
    return [
        ql.blackFormulaImpliedStdDevLiRS(ql.Option.Call if call else ql.Option.Put, k, 100.0, p) / math.sqrt(t)
        for p, k, t, call in rows
    ]


# ---------------------------------------------------------------- the vectorised library


def _vectorized() -> list[Row]:
    o, p = Options.random(_SIZE), _Prices.random()
    columns = (p.prices, p.strike, p.years, p.is_call)
    arrays = {
        **{name: getattr(o, name) for name in ("spot", "strike", "years", "rate", "vol", "is_call")},
        **dict(zip(("prices", "implied_strike", "implied_years", "implied_call"), columns, strict=True)),
    }
    found = vectorized.measure(arrays)
    label, theirs = "py_vollib_vectorized, recorded", _RECORDED
    if found is not None:
        np.testing.assert_allclose(ours(o, "kernel")[0], found["value"], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(_implied_ours(*columns, "kernel").vol, found["implied"], rtol=1e-9)
        label = "py_vollib_vectorized"
        theirs = (_SIZE / float(found["greeks_seconds"]), _SIZE / float(found["implied_seconds"]))
    seconds = medians({"greeks": partial(ours, o, "kernel"), "implied": partial(_implied_ours, *columns, "kernel")}, 15)
    rate = {name: _SIZE / taken for name, taken in seconds.items()}
    greeks_row = f"{_PRICES}, 1e5, kernel (peer: {label})"
    return [
        row(greeks_row, rate["greeks"], "options/s", peer=theirs[0], ratio_goal=50.0),
        row(f"implied vol, 1e5, kernel (peer: {label})", rate["implied"], "options/s", peer=theirs[1], ratio_goal=1.0),
    ]
