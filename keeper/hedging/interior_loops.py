"""The loops of the interior point, for numba: no call but to each other, no array but those made at the start."""

from __future__ import annotations

from typing import Final

import numpy as np

from keeper.hedging.program import Array

_MAX_STEPS: Final = 80
_TARGET: Final = 1e-10  # of what is violated and of the gap, in the scale of NAV and of the objective
_STATIONARY: Final = 1e-9  # of slopes, in the scale of the objective
_LOOSE: Final = 1e15  # a limit beyond this is none
_TIGHT: Final = 1e-12  # limits closer than this are equal
_PENALTY: Final = 1e5  # on rows with equal limits, in the scale of the objective
_FIXED: Final = 1e40  # on the diagonal: the variable stays
_TO_BOUNDARY: Final = 0.9995
_BLOCK: Final = 128  # scenarios that are summed at a time: what stays in the nearest cache
_NEGLIGIBLE: Final = 1e-13  # of the largest scenario's weight in the matrix


def factor(a: Array) -> None:
    """Cholesky's factor of a symmetric matrix in its upper triangle, in place; a lost pivot fixes its variable."""
    n = a.shape[0]
    for k in range(n):
        pivot = a[k, k]
        if not pivot > 1e-30:
            a[k, k] = 1e20
            for j in range(k + 1, n):
                a[k, j] = 0.0
            continue
        root = np.sqrt(pivot)
        a[k, k] = root
        for j in range(k + 1, n):
            a[k, j] /= root
        for i in range(k + 1, n):
            f = a[k, i]
            if f != 0.0:
                for j in range(i, n):
                    a[i, j] -= f * a[k, j]


def back_substitute(a: Array, x: Array) -> None:
    """Solve with the factor, in place."""
    n = a.shape[0]
    for k in range(n):
        x[k] /= a[k, k]
        f = x[k]
        for j in range(k + 1, n):
            x[j] -= a[k, j] * f
    for k in range(n - 1, -1, -1):
        f = x[k]
        for j in range(k + 1, n):
            f -= a[k, j] * x[j]
        x[k] = f / a[k, k]


def room(s: Array, ds: Array, largest: float) -> float:
    """The part of a step, at most ``largest``, that keeps s + step * ds positive."""
    for j in range(s.size):
        if s[j] + largest * ds[j] < 0.0:
            largest = -s[j] / ds[j]
    return largest


def spread(z: Array, rows: Array, pnl: Array, trades: Array, w: Array, g: Array) -> None:
    """w = (z, rows @ z), and g = pnl' trades z + t, where t follows the n variables in z."""
    m, n = rows.shape
    for j in range(n):
        w[j] = z[j]
    for r in range(m):
        total = 0.0
        for j in range(n):
            total += rows[r, j] * z[j]
        w[n + r] = total
    if g.size > 0:
        x = np.zeros(trades.shape[0])
        for i in range(trades.shape[0]):
            for j in range(n):
                x[i] += trades[i, j] * z[j]
        for s in range(g.size):
            g[s] = z[n]
        for i in range(x.size):
            f = x[i]
            for s in range(g.size):
                g[s] += f * pnl[i, s]


def gather(v: Array, y: Array, rows: Array, pnl: Array, trades: Array, out: Array) -> None:
    """out += v[:n] + rows' v[n:] + (trades' pnl y, sum y): the transpose of `spread`."""
    m, n = rows.shape
    for j in range(n):
        out[j] += v[j]
    for r in range(m):
        f = v[n + r]
        if f != 0.0:
            for j in range(n):
                out[j] += f * rows[r, j]
    if y.size > 0:
        total = 0.0
        for s in range(y.size):
            total += y[s]
        out[n] += total
        for i in range(trades.shape[0]):
            total = 0.0
            for s in range(y.size):
                total += y[s] * pnl[i, s]
            for j in range(n):
                out[j] += total * trades[i, j]


def outer_sum(pnl: Array, weight: Array, negligible: float, block: Array, weighted: Array, out: Array) -> None:
    """out = sum over scenarios of weight (pnl, 1)(pnl, 1)', upper triangle; a block of those that count at a time."""
    instruments, scenarios = pnl.shape
    length = block.shape[1]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0
    s = 0
    while s < scenarios:
        filled = 0
        while s < scenarios and filled < length:
            if weight[s] > negligible:
                for i in range(instruments):
                    block[i, filled] = pnl[i, s]
                block[instruments, filled] = 1.0
                weighted[filled] = weight[s]
                filled += 1
            s += 1
        for i in range(instruments + 1):
            for k in range(filled):
                weighted[length + k] = weighted[k] * block[i, k]
            for j in range(i, instruments + 1, 4):
                t0 = t1 = t2 = t3 = 0.0
                for k in range(filled):
                    f = weighted[length + k]
                    t0 += f * block[j, k]
                    t1 += f * block[j + 1, k]
                    t2 += f * block[j + 2, k]
                    t3 += f * block[j + 3, k]
                out[i, j] += t0
                out[i, j + 1] += t1
                out[i, j + 2] += t2
                out[i, j + 3] += t3


def minimise(
    linear: Array,
    weights: Array,
    directions: Array,
    offsets: Array,
    rows: Array,
    lower: Array,
    upper: Array,
    bound: Array,
    kappa: float,
    cap: float,
    base: Array,
    pnl: Array,
    trades: Array,
) -> tuple[Array, Array, Array, bool]:
    """As `interior_point`, on arrays and with the objective scaled to about one.

    Args:
        directions, rows, pnl, trades: (k, n), (m, n), (i, S), (i, n).
        kappa, cap: Weight of the tail, and the most that one scenario may weigh.

    Names: w = (z, rows z) lies between two walls; p and q are its distances from them, lp and lq their multipliers.
    Scenario s of the tail has u >= 0 and a = u + t + base + pnl x >= 0 with multipliers v and y, y + v = cap.
    """
    m, n = rows.shape
    instruments, scenarios = pnl.shape
    size = n + 1 if scenarios > 0 else n
    # ---- the matrix of the squares
    h = np.zeros((size, size))
    c = np.zeros(size)
    c[:n] = linear
    for k in range(weights.size):
        for i in range(n):
            f = weights[k] * directions[k, i]
            if f != 0.0:
                c[i] += f * offsets[k]
                for j in range(n):
                    h[i, j] += f * directions[k, j]
    if scenarios > 0:
        c[n] = kappa
    # ---- walls
    low, high = np.zeros(n + m), np.empty(n + m)
    high[:n] = bound
    low[n:] = lower
    high[n:] = upper
    has_low, has_high = low > -_LOOSE, high < _LOOSE
    equal = has_low & has_high & (high - low <= _TIGHT)
    fixed = equal[:n].copy()
    has_low &= ~equal
    has_high &= ~equal
    count = has_low.sum() + has_high.sum() + 2 * scenarios
    # ---- start
    z = np.zeros(size)
    for j in range(n):
        if not fixed[j]:
            z[j] = min(0.5 * bound[j], 0.1)
    w, dw = np.zeros(n + m), np.zeros(n + m)
    g, dg = np.zeros(scenarios), np.zeros(scenarios)
    spread(z, rows, pnl, trades, w, g)
    p, q = np.ones(n + m), np.ones(n + m)
    lp, lq = np.zeros(n + m), np.zeros(n + m)
    held = np.zeros(n + m)  # multipliers of equal limits
    for j in range(n + m):
        if has_low[j]:
            p[j] = max(w[j] - low[j], 0.1)
            lp[j] = 0.1 / p[j] if j < n else 0.1
            lp[j] = min(lp[j], 1.0)
        if has_high[j]:
            q[j] = max(high[j] - w[j], 0.1)
            lq[j] = min(0.1 / q[j], 1.0)
    y, u, a = np.zeros(scenarios), np.ones(scenarios), np.ones(scenarios)
    v = np.zeros(scenarios)
    if scenarios > 0:
        worst, mean = 0.0, 0.0
        for s in range(scenarios):
            mean -= (g[s] + base[s]) / scenarios
        for s in range(scenarios):
            worst += abs(g[s] + base[s] + mean) / scenarios
        z[n] += mean + worst
        for s in range(scenarios):
            g[s] += mean + worst
            slack = g[s] + base[s]
            y[s] = kappa / scenarios
            v[s] = cap - y[s]
            u[s] = max(-slack, 0.0) + 0.5 * worst
            a[s] = u[s] + slack
            if a[s] < 0.5 * worst:
                a[s] = 0.5 * worst

    rd = np.zeros(size)
    matrix = np.zeros((size, size))
    inner = np.zeros((instruments + 4, instruments + 4))
    block, weighted = np.zeros((instruments + 4, _BLOCK)), np.zeros(2 * _BLOCK)
    step = np.zeros(size)
    rp, rq = np.zeros(n + m), np.zeros(n + m)
    cp, cq = np.zeros(n + m), np.zeros(n + m)
    dp, dq, dlp, dlq = np.zeros(n + m), np.zeros(n + m), np.zeros(n + m), np.zeros(n + m)
    diagonal, force = np.zeros(n + m), np.zeros(n + m)
    ra, ca, cu = np.zeros(scenarios), np.zeros(scenarios), np.zeros(scenarios)
    da, du, dy = np.zeros(scenarios), np.zeros(scenarios), np.zeros(scenarios)
    weight, push = np.zeros(scenarios), np.zeros(scenarios)
    converged = False

    for _ in range(_MAX_STEPS):
        # ---- residuals
        for i in range(size):
            total = c[i]
            for j in range(size):
                total += h[i, j] * z[j]
            rd[i] = -total
        gap = worst_primal = 0.0
        for j in range(n + m):
            force[j] = lp[j] - lq[j] + held[j]
            if has_low[j]:
                rp[j] = w[j] - low[j] - p[j]
                worst_primal = max(worst_primal, abs(rp[j]))
                gap += p[j] * lp[j]
            if has_high[j]:
                rq[j] = high[j] - w[j] - q[j]
                worst_primal = max(worst_primal, abs(rq[j]))
                gap += q[j] * lq[j]
            if equal[j] and j >= n:
                worst_primal = max(worst_primal, abs(w[j] - low[j]))
        for s in range(scenarios):
            ra[s] = u[s] + g[s] + base[s] - a[s]
            worst_primal = max(worst_primal, abs(ra[s]))
            gap += a[s] * y[s] + u[s] * v[s]
        gather(force, y, rows, pnl, trades, rd)
        worst_dual = 0.0
        for j in range(size):
            if j >= n or not fixed[j]:
                worst_dual = max(worst_dual, abs(rd[j]))
        if worst_primal <= _TARGET and worst_dual <= _STATIONARY and gap <= _TARGET:
            converged = True
            break
        if not np.isfinite(gap + worst_primal + worst_dual):
            break
        mu = gap / max(count, 1)
        # ---- the matrix
        for j in range(n + m):
            d = 0.0
            if has_low[j]:
                d += lp[j] / p[j]
            if has_high[j]:
                d += lq[j] / q[j]
            if equal[j]:
                d = _FIXED if j < n else _PENALTY
            diagonal[j] = d
        for i in range(size):
            for j in range(i, size):
                matrix[i, j] = h[i, j]
        for i in range(n):
            matrix[i, i] += diagonal[i]
        for r in range(m):
            d = diagonal[n + r]
            if d > 0.0:
                for i in range(n):
                    f = d * rows[r, i]
                    if f != 0.0:
                        for j in range(i, n):
                            matrix[i, j] += f * rows[r, j]
        if scenarios > 0:
            heaviest = 0.0
            for s in range(scenarios):
                weight[s] = y[s] / (a[s] + y[s] * u[s] / v[s])
                heaviest = max(heaviest, weight[s])
            outer_sum(pnl, weight, _NEGLIGIBLE * heaviest, block, weighted, inner)
            for i in range(instruments):
                for j in range(i):
                    inner[i, j] = inner[j, i]
            for k in range(n):
                for i in range(instruments):
                    f = trades[i, k]
                    if f != 0.0:
                        matrix[k, n] += f * inner[i, instruments]
                        for e in range(k, n):
                            total = 0.0
                            for j in range(instruments):
                                total += inner[i, j] * trades[j, e]
                            matrix[k, e] += f * total
            matrix[n, n] += inner[instruments, instruments]
        for i in range(size):
            matrix[i, i] += 1e-14
        factor(matrix)

        # ---- predictor, then corrector
        centring = 0.0
        length = 0.0
        for corrector in range(2):
            for j in range(n + m):
                force[j] = 0.0
                if has_low[j]:
                    cp[j] = centring - p[j] * lp[j] - (dp[j] * dlp[j] if corrector else 0.0)
                    force[j] += (cp[j] - lp[j] * rp[j]) / p[j]
                if has_high[j]:
                    cq[j] = centring - q[j] * lq[j] - (dq[j] * dlq[j] if corrector else 0.0)
                    force[j] -= (cq[j] - lq[j] * rq[j]) / q[j]
                if equal[j] and j >= n:
                    force[j] = -_PENALTY * (w[j] - low[j])
            for s in range(scenarios):
                ca[s] = centring - a[s] * y[s] - (da[s] * dy[s] if corrector else 0.0)
                cu[s] = centring - u[s] * v[s] + (du[s] * dy[s] if corrector else 0.0)
                push[s] = (ca[s] - y[s] * (cu[s] / v[s] + ra[s])) / (a[s] + y[s] * u[s] / v[s])
            step[:] = rd
            gather(force, push, rows, pnl, trades, step)
            for j in range(n):
                if fixed[j]:
                    step[j] = 0.0
            back_substitute(matrix, step)
            spread(step, rows, pnl, trades, dw, dg)
            length = 1.0 / _TO_BOUNDARY
            for j in range(n + m):
                dp[j] = dq[j] = dlp[j] = dlq[j] = 0.0
                if has_low[j]:
                    dp[j] = dw[j] + rp[j]
                    dlp[j] = (cp[j] - lp[j] * dp[j]) / p[j]
                if has_high[j]:
                    dq[j] = rq[j] - dw[j]
                    dlq[j] = (cq[j] - lq[j] * dq[j]) / q[j]
            for s in range(scenarios):
                dy[s] = push[s] - weight[s] * dg[s]
                du[s] = (cu[s] + u[s] * dy[s]) / v[s]
                da[s] = du[s] + dg[s] + ra[s]
            length = room(p, dp, room(q, dq, room(lp, dlp, room(lq, dlq, length))))
            length = room(a, da, room(u, du, room(y, dy, room(v, -dy, length))))
            if not corrector:
                reached = 0.0
                along = min(length, 1.0)
                for j in range(n + m):
                    if has_low[j]:
                        reached += (p[j] + along * dp[j]) * (lp[j] + along * dlp[j])
                    if has_high[j]:
                        reached += (q[j] + along * dq[j]) * (lq[j] + along * dlq[j])
                for s in range(scenarios):
                    reached += (a[s] + along * da[s]) * (y[s] + along * dy[s])
                    reached += (u[s] + along * du[s]) * (v[s] - along * dy[s])
                ratio = reached / gap if gap > 0.0 else 0.0
                centring = mu * ratio * ratio * ratio

        # ---- the step
        length = min(1.0, _TO_BOUNDARY * length)
        for j in range(size):
            z[j] += length * step[j]
        for j in range(n + m):
            if equal[j] and j >= n:
                held[j] -= length * _PENALTY * (w[j] + dw[j] - low[j])
            w[j] += length * dw[j]
            p[j] += length * dp[j]
            q[j] += length * dq[j]
            lp[j] += length * dlp[j]
            lq[j] += length * dlq[j]
        for s in range(scenarios):
            g[s] += length * dg[s]
            a[s] += length * da[s]
            u[s] += length * du[s]
            y[s] += length * dy[s]
            v[s] -= length * dy[s]

    return z[:n].copy(), lp[n:] - lq[n:] + held[n:], y, converged


HELPERS: Final = (factor, back_substitute, room, spread, gather, outer_sum)
