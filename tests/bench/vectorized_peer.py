"""Run by another Python (tests/bench/vectorized.py): times py_vollib_vectorized on the arrays of a file.

It knows nothing of this project: its arguments are an .npz with price options (spot, strike, years, rate, vol, is_call)
and implied ones (prices, implied_strike, implied_years, implied_call), and the .npz to write.
"""

import statistics
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
from py_vollib_vectorized import (  # noqa: E402
    get_all_greeks,
    vectorized_black_scholes,
    vectorized_implied_volatility_black,
)


def median_seconds(function):
    function()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    o = np.load(sys.argv[1])
    flag, implied_flag = (np.where(o[name], "c", "p") for name in ("is_call", "implied_call"))
    options = (flag, o["spot"], o["strike"], o["years"], o["rate"], o["vol"])

    def greeks():
        value = vectorized_black_scholes(*options, return_as="numpy")
        return value, get_all_greeks(*options, model="black_scholes", return_as="dict")

    def implied():
        columns = (o["prices"], 100.0, o["implied_strike"], 0.0, o["implied_years"], implied_flag)
        return vectorized_implied_volatility_black(*columns, return_as="numpy", on_error="ignore")

    np.savez(
        sys.argv[2],
        greeks_seconds=median_seconds(greeks),
        implied_seconds=median_seconds(implied),
        value=greeks()[0],
        implied=implied(),
    )


main()
