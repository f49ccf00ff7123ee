"""The compiled kernel and the numpy path are one function: same values, same errors, numba only where it pays."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import mpmath as mp
import numpy as np
import pytest

from keeper.pricing import elementwise, kernel
from keeper.pricing.black76 import greeks, price
from keeper.pricing.errors import PricingError

NAMES = ("price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga")


def wide_market(size: int) -> tuple[np.ndarray, ...]:
    """Options from a minute to ten years, σ from 1 % to 500 %, up to 12 standard deviations from the money."""
    rng = np.random.default_rng(11)
    years = np.exp(rng.uniform(np.log(2e-6), np.log(10.0), size))
    vol = np.exp(rng.uniform(np.log(0.01), np.log(5.0), size))
    spot = np.exp(rng.uniform(np.log(1e-3), np.log(1e6), size))
    carry, rate = rng.uniform(-0.2, 0.2, size), rng.uniform(-0.05, 0.1, size)
    strike = spot * np.exp(np.clip(rng.uniform(-12.0, 12.0, size) * vol * np.sqrt(years), -50.0, 50.0))
    return spot, strike, vol, years, rng.random(size) < 0.5, carry, rate


def test_kernel_and_numpy_agree_to_rounding() -> None:
    """Relative to the value, or absolute on the scale of its unit; φ(d) turns an error in d into d² times as much."""
    spot, strike, vol, years, is_call, _, rate = wide_market(200_000)
    d = np.log(spot / strike) / (vol * np.sqrt(years))
    wide = 1.0 + np.square(np.abs(d) + vol * np.sqrt(years))
    discount = np.exp(-rate * years)
    notional = (spot + strike) * discount
    scale = {
        "price": notional,
        "delta": discount,
        "theta": notional * np.abs(rate),
        "rho": notional * years,
        "vanna": wide * discount / vol,
        "volga": wide * notional * np.sqrt(years) / vol,
    }
    market = (spot, strike, vol, years, is_call, 0.0, rate)

    compiled, by_numpy = greeks(*market, method="kernel"), greeks(*market, method="numpy")

    for name in NAMES:
        ours, reference = getattr(compiled, name), getattr(by_numpy, name)
        allowed = 4e-15 * wide * np.abs(reference) + 1e-15 * scale.get(name, 0.0) + 1e-290
        assert (np.abs(ours - reference) <= allowed).all(), name


def test_kernel_and_numpy_agree_with_a_carry() -> None:
    """exp(bT) may differ in the last digit, which d1 shows divided by s."""
    columns = wide_market(50_000)
    ordinary = columns[2] * np.sqrt(columns[3]) > 0.01
    market = [column[ordinary] for column in columns]

    compiled, by_numpy = greeks(*market, method="kernel"), greeks(*market, method="numpy")

    for name in NAMES:
        reference = getattr(by_numpy, name)
        np.testing.assert_allclose(getattr(compiled, name), reference, rtol=1e-10, atol=1e-12 * np.abs(reference).max())


def test_kernel_and_numpy_price_alike() -> None:
    spot, strike, vol, years, is_call, *_ = wide_market(100_000)

    compiled = price(spot, strike, vol, years, is_call, method="kernel")

    by_numpy = price(spot, strike, vol, years, is_call, method="numpy")
    assert (np.abs(compiled - by_numpy) <= 1e-15 * (spot + strike) + 1e-14 * by_numpy).all()


@pytest.mark.parametrize("method", ["numpy", "kernel"])
def test_prices_are_within_rounding_of_forty_digits(method: kernel.Method) -> None:
    """mpmath 1.4; errors as a share of the forward plus strike."""
    spot, strike, vol, years, is_call, *_ = wide_market(300)
    ours = price(spot, strike, vol, years, is_call, method=method)

    with mp.workdps(40):
        for f, k, v, t, call, value in zip(spot, strike, vol, years, is_call, ours, strict=True):
            s = mp.mpf(float(v)) * mp.sqrt(mp.mpf(float(t)))
            d1 = mp.log(mp.mpf(float(f)) / mp.mpf(float(k))) / s + s / 2
            side = 1 if call else -1
            exact = side * (float(f) * mp.ncdf(side * d1) - float(k) * mp.ncdf(side * (d1 - s)))
            assert abs(float(value) - exact) <= 5e-16 * (f + k)


def test_any_shapes_that_broadcast_give_the_same_values() -> None:
    spot = np.array([90.0, 100.0, 110.0])[:, None, None]
    strike = np.linspace(50.0, 150.0, 700)[:, None]
    years = np.linspace(0.0, 2.0, 40)

    together = greeks(spot, strike, 0.5, years, [True] * 40, 0.05, method="kernel")

    one = greeks(110.0, strike[123, 0], 0.5, years[17], True, 0.05, method="kernel")
    assert together.price.shape == (3, 700, 40)
    for name in NAMES:
        assert getattr(together, name)[2, 123, 17] == getattr(one, name)


def test_bad_input_among_many_is_refused_on_the_kernel_too() -> None:
    vol = np.full(50_000, 0.5)
    vol[-1] = np.nan

    with pytest.raises(PricingError, match="vol"):
        price(100.0, 100.0, vol, 1.0, True, method="kernel")


def test_mills_ratio_is_accurate_to_the_last_digits() -> None:
    """Both versions against 40 digits, z from 1e-8 to 1e6."""
    z = np.concatenate([np.linspace(0.0, 40.0, 400), np.logspace(-8.0, 6.0, 100)])
    t = (z - elementwise.MILLS_C) / (z + elementwise.MILLS_C)
    polynomial = np.polyval(elementwise.MILLS[::-1], t) / (z + elementwise.MILLS_D)

    with mp.workdps(40):
        exact = [mp.erfc(mp.mpf(float(a)) / mp.sqrt(2)) * mp.exp(mp.mpf(float(a)) ** 2 / 2) for a in z]
        exact = np.array([float(mp.sqrt(mp.pi / 2) * a) for a in exact])

    assert np.abs(polynomial / exact - 1.0).max() < 1e-15
    assert np.abs(elementwise.mills(z) / exact - 1.0).max() < 1e-15


def test_a_small_book_is_priced_without_loading_numba() -> None:
    code = (
        "import sys; from keeper.pricing.black76 import greeks;"
        "greeks(100.0, [90.0, 110.0], 0.5, 0.1, True); sys.exit('numba' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_numba_large_arrays_are_priced_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    spot, strike, vol, years, is_call, *_ = wide_market(kernel.KERNEL_FROM)
    monkeypatch.setitem(sys.modules, "numba", None)
    kernel._has_numba.cache_clear()
    try:
        values = price(spot, strike, vol, years, is_call)
    finally:
        kernel._has_numba.cache_clear()

    assert values.tolist() == price(spot, strike, vol, years, is_call, method="numpy").tolist()


def test_without_a_place_for_compiled_code_the_kernel_compiles_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    spot, strike, vol, years, is_call, *_ = wide_market(100)
    kept = price(spot, strike, vol, years, is_call, method="kernel")
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    kernel._compiled.cache_clear()
    try:
        values = price(spot, strike, vol, years, is_call, method="kernel")
    finally:
        kernel._compiled.cache_clear()

    assert values.tolist() == kept.tolist()


def test_a_forked_process_has_helpers_of_its_own() -> None:
    spot, strike, vol, years, is_call, *_ = wide_market(200_000)
    expected = price(spot, strike, vol, years, is_call, method="kernel")

    child = os.fork()
    if child == 0:
        same = np.array_equal(price(spot, strike, vol, years, is_call, method="kernel"), expected)
        os._exit(0 if same else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_calls_from_several_threads_do_not_disturb_each_other() -> None:
    markets = [wide_market(size)[:5] for size in (70_000, 150_000, 200_000)] * 4
    alone = [price(*market, method="kernel") for market in markets]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda market: price(*market, method="kernel"), markets))

    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
