"""Runs the formulas of ``elementwise`` over arrays of any shape, in chunks: on numpy, or by numba on all cores.

numba takes a third of a second to import and some seconds to compile for the first time (the result is kept on disk),
so it is loaded at the first call that is large enough to gain from it: a keeper that values its book never pays.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from keeper.pricing import elementwise, lets_be_rational
from keeper.pricing.elementwise import INV_SQRT_2PI, MILLS, MILLS_C, MILLS_D, SLOPE, SLOPE_C, SLOPE_D, TINY

Array = npt.NDArray[np.float64]
Method = Literal["auto", "numpy", "kernel"]

KERNEL_FROM: Final = 2**15  # elements from which "auto" takes the kernel
_CHUNK: Final = 2**13  # elements whose temporaries stay in the cache
_KERNEL_CHUNK: Final = 2**14  # the kernel has no temporaries, but each call of it needs the interpreter's lock
_SHARE: Final = 2**15  # a thread for so many


class OutOfDomain(Exception):
    """An input that the formula has no meaning for."""


def run(
    formula: Callable[..., Any],
    inputs: Sequence[npt.NDArray[Any]],
    outputs: int,
    method: Method,
    domain: Callable[..., npt.NDArray[np.bool_]] | None = None,
) -> npt.NDArray[np.float64]:
    """Evaluate a formula of ``elementwise``; inputs broadcast to a shape s, the result has shape (outputs, *s).

    Working memory is one chunk; only an input that broadcasts along some of its axes is copied out first. Without
    numba "auto" is numpy. ``domain`` says of each element whether it has a meaning (the compiled loops know theirs).

    Raises:
        OutOfDomain: some element has none.
        ImportError: method "kernel" without numba.
    """
    shape = np.broadcast_shapes(*(a.shape for a in inputs))
    size = math.prod(shape)
    result = np.empty((outputs, size))
    helpers, length = 0, _CHUNK
    chunk: Callable[..., int] = functools.partial(_numpy_chunk, formula, domain)
    if method == "kernel" or (method == "auto" and size >= KERNEL_FROM and _has_numba()):
        loops = _compiled()
        chunk, helpers, length = loops[formula.__name__], min(loops["cores"], size // _SHARE) - 1, _KERNEL_CHUNK
    columns = [_column(a, shape, min(size, length)) for a in inputs]
    starts = iter(range(0, size, length))  # shared: who is free takes the next chunk

    def work() -> None:
        with np.errstate(all="ignore"):
            for low in starts:
                high = min(low + length, size)
                views = [c[low:high] if len(c) == size else c[: high - low] for c in columns]
                if chunk(*views, *result[:, low:high]):
                    raise OutOfDomain

    if helpers <= 0:
        work()
    else:  # the kernel lets go of the interpreter's lock; a helper that a busy machine has not begun is not waited for
        others = [_pool(helpers).submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            begun = [other for other in others if not other.cancel()]
        for other in begun:
            other.result()
    return result.reshape(outputs, *shape)


def _column(values: npt.NDArray[Any], shape: tuple[int, ...], chunk: int) -> npt.NDArray[Any]:
    """An input as one contiguous dimension: of the whole size, or of one chunk if it is a single number."""
    if values.size == 1:
        return np.full(chunk, values.reshape(-1)[0])
    whole = values if values.shape == shape else np.broadcast_to(values, shape)
    return np.ascontiguousarray(whole).reshape(-1)


def _numpy_chunk(
    formula: Callable[..., Any],
    domain: Callable[..., npt.NDArray[np.bool_]] | None,
    *columns: npt.NDArray[Any],
) -> int:
    """Like a compiled loop: writes the results and returns how many elements are outside the domain."""
    arity = formula.__code__.co_argcount
    inputs = columns[:arity]
    if domain is not None and not (ok := domain(*inputs)).all():
        return int(np.count_nonzero(~ok))
    values = formula(*inputs)
    for target, value in zip(columns[arity:], values if isinstance(values, tuple) else (values,), strict=True):
        target[:] = value
    return 0


# ---------------------------------------------------------------- compiled


@functools.cache
def _pool(helpers: int) -> ThreadPoolExecutor:
    """Kept, because starting a thread means waiting until it runs."""
    return ThreadPoolExecutor(helpers, thread_name_prefix="pricing")


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


@functools.cache
def _has_numba() -> bool:
    try:
        importlib.import_module("numba")
    except ImportError:
        return False
    return True


_FLAGS: Final[dict[str, Any]] = {"error_model": "numpy", "fastmath": {"contract"}}
_INLINED: Final[dict[str, Any]] = {**_FLAGS, "forceinline": True}


@functools.cache
def _compiled() -> dict[str, Any]:
    """The loops by the name of their formula, and how many cores there are."""
    numba = importlib.import_module("numba")
    _compile_primitives()
    # numba's cache looks at the file of the loop alone; this makes it compile again when a formula changes.
    modules = (elementwise, lets_be_rational, sys.modules[__name__])
    sources = [Path(str(module.__file__)).read_bytes() for module in modules]
    loops = {}
    for loop in _loops(zlib.crc32(b"".join(sources))):
        try:
            loops[loop.__name__] = numba.njit(nogil=True, cache=True, **_FLAGS)(loop)
        except RuntimeError:  # nowhere to keep the result: compile for this process alone
            loops[loop.__name__] = numba.njit(nogil=True, **_FLAGS)(loop)
    return {**loops, "cores": numba.config.NUMBA_NUM_THREADS}


def _loops(fingerprint: int) -> tuple[Callable[..., int], ...]:
    """One loop per formula, of its name, which counts elements outside the domain; ``fingerprint`` is a part of numba's
    cache key."""
    price, price_domain = elementwise.black_price, elementwise.price_domain
    greeks, greeks_domain = elementwise.black_greeks, elementwise.greeks_domain
    implied = lets_be_rational.implied_volatility

    def black_price(forward, strike, vol, years, is_call, out):  # type: ignore[no-untyped-def]
        assert fingerprint >= 0
        outside = 0
        for i in range(forward.size):
            option = forward[i], strike[i], vol[i], years[i], is_call[i]
            outside += 0 if price_domain(*option) else 1
            out[i] = price(*option)
        return outside

    def black_greeks(  # type: ignore[no-untyped-def]
        spot, strike, vol, years, is_call, carry, rate, value, delta, gamma, vega, theta, rho, vanna, volga
    ):
        assert fingerprint >= 0
        outside = 0
        for i in range(spot.size):
            option = spot[i], strike[i], vol[i], years[i], is_call[i], carry[i], rate[i]
            outside += 0 if greeks_domain(*option) else 1
            value[i], delta[i], gamma[i], vega[i], theta[i], rho[i], vanna[i], volga[i] = greeks(*option)
        return outside

    def implied_volatility(value, forward, strike, years, is_call, vol, status):  # type: ignore[no-untyped-def]
        assert fingerprint >= 0
        for i in range(value.size):
            vol[i], status[i] = implied(value[i], forward[i], strike[i], years[i], is_call[i])
        return 0

    return black_price, black_greeks, implied_volatility


@functools.cache
def _compile_primitives() -> None:
    """Compiled twins of the primitives: no branch and no call to the C library, so that loops become vectors."""
    ir, types = importlib.import_module("llvmlite.ir"), importlib.import_module("numba.types")
    extending = importlib.import_module("numba.extending")

    def as_bits(context: Any, x: Any) -> Any:
        return types.int64(types.float64), lambda c, b, signature, a: b.bitcast(a[0], ir.IntType(64))

    def as_float(context: Any, n: Any) -> Any:
        return types.float64(types.int64), lambda c, b, signature, a: b.bitcast(a[0], ir.DoubleType())

    bits, number = extending.intrinsic(as_bits), extending.intrinsic(as_float)
    shift = 1.5 * 2.0**52  # added to a number, it leaves the nearest integer in the low bits
    shift_bits, root_half_bits = (int(np.float64(a).view(np.int64)) for a in (shift, math.sqrt(0.5)))
    mantissa = 2**52 - 1
    ln2_high, ln2_low = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # the former with 21 zero bits
    log2_e = 1.0 / math.log(2.0)
    e = tuple(1.0 / math.factorial(i) for i in range(13, 1, -1))
    # fdlibm's e_log.c: (ln(1+g) - 2s)/s in powers of s² = (g/(2+g))², |g| < 0.42
    w = (
        1.479819860511658591e-01,
        1.531383769920937332e-01,
        1.818357216161805012e-01,
        2.222219843214978396e-01,
        2.857142874366239149e-01,
        3.999999999940941908e-01,
        6.666666666666735130e-01,
    )
    m, n = MILLS[::-1], SLOPE[::-1]

    def select(condition, yes, no):  # type: ignore[no-untyped-def]
        return yes if condition else no

    def sign(condition):  # type: ignore[no-untyped-def]
        return 1.0 if condition else -1.0

    def larger(a, b):  # type: ignore[no-untyped-def]
        return a if a > b else b

    def smaller(a, b):  # type: ignore[no-untyped-def]
        return a if a < b else b

    def sqrt(y):  # type: ignore[no-untyped-def]
        return math.sqrt(y)

    def exp(y):  # type: ignore[no-untyped-def]
        y = y if y > -746.0 else -746.0
        y = y if y < 709.0 else 709.0
        shifted = y * log2_e + shift
        whole = shifted - shift
        r = y - whole * ln2_high - whole * ln2_low
        r2 = r * r
        even = e[1]
        even = (((even * r2 + e[3]) * r2 + e[5]) * r2 + e[7]) * r2 + e[9]
        even = even * r2 + e[11]
        odd = e[0]
        odd = (((odd * r2 + e[2]) * r2 + e[4]) * r2 + e[6]) * r2 + e[8]
        odd = odd * r2 + e[10]
        k = bits(shifted) - shift_bits
        half = k >> 1  # the power of two in two factors, for results below the normal range
        return (1.0 + (r + (even + r * odd) * r2)) * number((half + 1023) << 52) * number((k - half + 1023) << 52)

    def log(y):  # type: ignore[no-untyped-def]
        above = bits(y) - root_half_bits
        g = number((above & mantissa) + root_half_bits) - 1.0
        k = number((above >> 52) + shift_bits) - shift
        s = g / (2.0 + g)
        z = s * s
        p = w[0]
        p = (((p * z + w[1]) * z + w[2]) * z + w[3]) * z + w[4]
        p = (p * z + w[5]) * z + w[6]
        half_square = 0.5 * g * g
        return k * ln2_high - ((half_square - (s * (half_square + p * z) + k * ln2_low)) - g)

    def mills(z):  # type: ignore[no-untyped-def]
        t = (z - MILLS_C) / (z + MILLS_C)
        t2 = t * t
        even = m[0]
        even = (((even * t2 + m[2]) * t2 + m[4]) * t2 + m[6]) * t2 + m[8]
        even = (((even * t2 + m[10]) * t2 + m[12]) * t2 + m[14]) * t2 + m[16]
        even = (((even * t2 + m[18]) * t2 + m[20]) * t2 + m[22]) * t2 + m[24]
        odd = m[1]
        odd = (((odd * t2 + m[3]) * t2 + m[5]) * t2 + m[7]) * t2 + m[9]
        odd = (((odd * t2 + m[11]) * t2 + m[13]) * t2 + m[15]) * t2 + m[17]
        odd = ((odd * t2 + m[19]) * t2 + m[21]) * t2 + m[23]
        return (even + t * odd) / (z + MILLS_D)

    def mills_slope(z):  # type: ignore[no-untyped-def]
        t = (z - SLOPE_C) / (z + SLOPE_C)
        p = n[0]
        p = (((p * t + n[1]) * t + n[2]) * t + n[3]) * t + n[4]
        p = (((p * t + n[5]) * t + n[6]) * t + n[7]) * t + n[8]
        p = (((p * t + n[9]) * t + n[10]) * t + n[11]) * t + n[12]
        p = (((p * t + n[13]) * t + n[14]) * t + n[15]) * t + n[16]
        p = (((p * t + n[17]) * t + n[18]) * t + n[19]) * t + n[20]
        p = (((p * t + n[21]) * t + n[22]) * t + n[23]) * t + n[24]
        return p / ((z + SLOPE_D) * (z + SLOPE_D))

    def normal_cdf(d):  # type: ignore[no-untyped-def]
        z = abs(d)
        tail = INV_SQRT_2PI * elementwise.exp(-0.5 * z * z) * elementwise.mills(z)
        return 1.0 - tail if d > 0.0 else tail

    def inverse_or_zero(y):  # type: ignore[no-untyped-def]
        return 0.0 if y < TINY else 1.0 / y

    for twin in (select, sign, larger, smaller, sqrt, exp, log, mills, mills_slope, normal_cdf, inverse_or_zero):
        extending.overload(getattr(elementwise, twin.__name__), jit_options=_INLINED, strict=False)(_always(twin))
    for helper in (*elementwise.STEPS, *lets_be_rational.STEPS):
        extending.register_jitable(**_INLINED)(helper)


def _always(twin: Callable[..., Any]) -> Callable[..., Any]:
    """For numba's `overload`: the implementation whatever the types of the arguments."""
    return functools.wraps(twin)(lambda *arguments: twin)
