"""The table behind the on-chain normal distribution (``contracts/modules/normal.vy``).

Phi on [0, 8) is cut into 128 intervals of width 1/16. On each, a degree-6 interpolation at Chebyshev nodes is stored in
two 256-bit words: coefficients in u, the offset from the interval's middle in units of 1/32, scaled by 2**80.

    word 0:  c0 (96 bits) | c1 (80) | c2 + 2**79 (80)
    word 1:  c3 + 2**63 | c4 + 2**63 | c5 + 2**63 | c6 + 2**63  (64 bits each)

The largest error is 7.8e-15. The table is data, checked in as ``normal_table.json``; ``build_table`` shows where it is
from.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

TABLE_FILE = Path(__file__).with_name("normal_table.json")
INTERVALS = 128
DEGREE = 6


@cache
def normal_table() -> tuple[int, ...]:
    """The 256 words that the risk engine's constructor takes."""
    return tuple(int(word, 16) for word in json.loads(TABLE_FILE.read_text()))


def build_table() -> tuple[int, ...]:
    """Compute the table with 40 digits (a few seconds; mpmath is a development dependency)."""
    import mpmath

    with mpmath.workdps(40):
        nodes = [mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * (DEGREE + 1))) for i in range(DEGREE + 1)]
        vandermonde = mpmath.matrix([[node**j for j in range(DEGREE + 1)] for node in nodes])
        words: list[int] = []
        for interval in range(INTERVALS):
            middle = (mpmath.mpf(interval) + 0.5) / 16
            values = mpmath.matrix([mpmath.ncdf(middle + node / 32) for node in nodes])
            solution = mpmath.lu_solve(vandermonde, values)
            c = [int(mpmath.nint(solution[j] * 2**80)) for j in range(DEGREE + 1)]
            words.append((c[0] << 160) | (c[1] << 80) | (c[2] + 2**79))
            words.append(sum((c[3 + j] + 2**63) << (64 * (3 - j)) for j in range(4)))
    return tuple(words)


if __name__ == "__main__":
    TABLE_FILE.write_text("[\n" + ",\n".join(f'"{word:064x}"' for word in build_table()) + "\n]\n")
