"""How far delta may stray from neutral before trading pays: closed forms for one underlying and one kind of cost.

Notation: ``gamma`` of the book in units per USDC (its sign does not matter but where said), ``spot`` in USDC, ``cost``
λ a share of what is traded, ``fixed`` k USDC per trade, ``aversion`` γ of exponential utility per USDC, ``rate`` and
``years`` to the horizon. Widths are in units of the underlying. Arguments of any shapes broadcast.

The small-cost expansion behind all of them (Whalley and Wilmott 1997): at distance x from the neutral delta the book
loses γe^{rτ}(σSx)²/2 a year, and Γ moves the neutral delta by Γ·dS. In V'(x) = Ax - Bx³ with B = γe^{rτ}/(3Γ²) the
free A and the widths follow from where to trade (V' is the marginal cost) and what a trade saves (its cost).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_NEWTON_STEPS = 60


def leland_vol(
    vol: npt.ArrayLike, cost: npt.ArrayLike, interval: npt.ArrayLike, *, is_short_gamma: bool = True
) -> Array:
    """Volatility whose delta pays for rebalancing every ``interval`` years at proportional ``cost`` (Leland 1985).

    Too costly a hedge of long gamma has none: zero.
    """
    vol, cost, interval = _arrays(vol, cost, interval)
    change = np.sqrt(2.0 / np.pi) * 2.0 * cost / (vol * np.sqrt(interval))
    return np.asarray(vol * np.sqrt(np.maximum(1.0 + change if is_short_gamma else 1.0 - change, 0.0)))


def whalley_wilmott(
    gamma: npt.ArrayLike,
    spot: npt.ArrayLike,
    cost: npt.ArrayLike,
    aversion: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    years: npt.ArrayLike = 0.0,
) -> Array:
    """Half-width of the band, traded back to its edge: (3λS e^{-rτ}Γ²/(2γ))^{1/3} (Whalley and Wilmott 1997)."""
    return np.asarray(np.cbrt(1.5 * np.multiply(cost, spot) * _flatness(gamma, aversion, rate, years) / 3.0))


def fixed_cost(
    gamma: npt.ArrayLike,
    fixed: npt.ArrayLike,
    aversion: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    years: npt.ArrayLike = 0.0,
) -> Array:
    """Half-width of the band under a cost per trade, traded back to its centre: (12k e^{-rτ}Γ²/γ)^{1/4}."""
    return np.asarray((np.multiply(4.0, fixed) * _flatness(gamma, aversion, rate, years)) ** 0.25)


def fixed_and_proportional(
    gamma: npt.ArrayLike,
    spot: npt.ArrayLike,
    cost: npt.ArrayLike,
    fixed: npt.ArrayLike,
    aversion: npt.ArrayLike,
    rate: npt.ArrayLike = 0.0,
    years: npt.ArrayLike = 0.0,
) -> tuple[Array, Array]:
    """Where a trade ends and where it begins, (l, h): from ±h to ±l.

    V'(l) = V'(h) = λS and V(h) - V(l) = k + λS(h - l) are, in the sum s and the difference d of h and l,
    B s d³ = 4k and B s (s² - d²) = 4λS: one equation in s, s³ - (4k/B)^{2/3} s^{1/3} = 4λS/B.
    """
    flat = _flatness(gamma, aversion, rate, years)
    from_fixed, from_cost = np.broadcast_arrays(np.multiply(4.0, fixed) * flat, 4.0 * np.multiply(cost, spot) * flat)
    # In u = s^{1/3}: u^9 - f u = c, convex and increasing from where Newton starts, so that it never overshoots.
    f = np.cbrt(from_fixed) ** 2
    u = f**0.125 + from_cost ** (1.0 / 9.0)
    for _ in range(_NEWTON_STEPS):
        with np.errstate(invalid="ignore", divide="ignore"):
            step = (u**9 - f * u - from_cost) / (9.0 * u**8 - f)
        u = u - np.nan_to_num(step)
    total = u**3
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.minimum(np.nan_to_num(np.cbrt(from_fixed / total)), total)
    return (total - difference) / 2.0, (total + difference) / 2.0


def staying_time(
    gamma: npt.ArrayLike,
    spot: npt.ArrayLike,
    vol: npt.ArrayLike,
    cost: npt.ArrayLike,
    fixed: npt.ArrayLike,
    aversion: npt.ArrayLike,
) -> Array:
    """Years for which a hedge that looks ahead once should assume that delta stays, without gamma for ever.

    Who counts the variance of H years trades from ±h to ±l with l = λS/c and c(h - l)²/2 = k, c = γσ²S²H. In the long
    run that costs γσ²S²(h² + l²)/12 a year by its variance and c(ΓσS)²/2 by its trades, least where, with u = c^{-1/2},

        4(λS)²u⁶ + 3λS√(2k)u⁵ + 2ku⁴ = 6Γ²/γ.

    With k = 0 the band is then Whalley and Wilmott's, with λ = 0 that of the fixed cost.
    """
    gamma, spot, vol, cost, fixed, aversion = _arrays(gamma, spot, vol, cost, fixed, aversion)
    goal = 6.0 * gamma**2 / aversion
    # The two costs alone would give these u; in shares of the less, v from 1 down, a Newton step never falls below.
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cost, by_fixed = (goal / (2.0 * cost * spot) ** 2) ** (1 / 6), (goal / (2.0 * fixed)) ** 0.25
        start = np.fmin(by_cost, by_fixed)
        sixth, fourth = (np.nan_to_num(x, nan=1.0) for x in ((start / by_cost) ** 6, (start / by_fixed) ** 4))
    fifth = 1.5 * np.sqrt(sixth * fourth)
    v = np.ones_like(start)
    for _ in range(_NEWTON_STEPS):
        value = ((sixth * v + fifth) * v + fourth) * v**4 - 1.0
        v = v - value / (((6.0 * sixth * v + 5.0 * fifth) * v + 4.0 * fourth) * v**3)
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (np.square(start * v) * aversion * (vol * spot) ** 2))


@dataclass(frozen=True)
class Zakamouline:
    """The band reaches H0 + H1 to either side of the delta at ``vol``.

    Attributes:
        vol: Volatility of the delta in the centre: higher for short gamma (< 0), lower for long.
        change: K: by how much its variance differs from the market's, as a share of it.
        without_options: H0.
        of_options: H1.
    """

    vol: Array
    change: Array
    without_options: Array
    of_options: Array


def zakamouline(
    gamma: npt.ArrayLike,
    spot: npt.ArrayLike,
    vol: npt.ArrayLike,
    cost: npt.ArrayLike,
    aversion: npt.ArrayLike,
    rate: npt.ArrayLike,
    years: npt.ArrayLike,
) -> Zakamouline:
    """The band of Zakamouline (2006)."""
    gamma, spot, vol, cost, aversion, rate, years = _arrays(gamma, spot, vol, cost, aversion, rate, years)
    discount = (np.exp(-rate * years) / vol) ** 0.25
    change = 5.76 * cost**0.78 * years**-0.02 * discount * (aversion * spot**2 * np.abs(gamma)) ** 0.15
    return Zakamouline(
        vol=np.asarray(vol * np.sqrt(np.maximum(1.0 - np.sign(gamma) * change, 0.0))),
        change=np.asarray(change),
        without_options=np.asarray(cost / (aversion * spot * vol**2 * years)),
        of_options=np.asarray(1.12 * cost**0.31 * years**0.05 * discount * np.sqrt(np.abs(gamma) / aversion)),
    )


def _arrays(*values: npt.ArrayLike) -> list[Array]:
    return np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))


def _flatness(gamma: npt.ArrayLike, aversion: npt.ArrayLike, rate: npt.ArrayLike, years: npt.ArrayLike) -> Array:
    """1/B = 3Γ²e^{-rτ}/γ."""
    return np.asarray(3.0 * np.square(gamma) * np.exp(-np.multiply(rate, years)) / aversion)
