"""Calibration of an eSSVI surface to a chain of quotes: weighted by their spreads, free of arbitrage by construction.

The parameters are Mingone's (2022): with ρᵢ free, pᵢ = max((1+ρᵢ₋₁)/(1+ρᵢ), (1-ρᵢ₋₁)/(1-ρᵢ)), θᵢ = pᵢθᵢ₋₁ + aᵢ with
aᵢ > 0, and ψᵢ anywhere between pᵢψᵢ₋₁ and the smaller of ψᵢ₋₁θᵢ/θᵢ₋₁ and what the butterfly conditions of this and all
later slices leave. Every value of (aᵢ, ρᵢ, position of ψᵢ) is a surface without arbitrage, and every surface within the
sufficient conditions of ``surface`` has one. So the fit is an unconstrained least-squares problem: Levenberg-Marquardt
on (σ(k) - mid)/half-spread under a Cauchy loss, which an outlier or a stale quote moves little.

It starts from the best of a grid of smiles per slice, so that no local minimum holds it, or from the last surface, if
that fits better. The result is checked; where it fails the other starts are tried, and where all fail a flat smile
takes the surface's place and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dposv

from keeper.pricing.errors import PricingError
from keeper.pricing.implied import implied_vol
from keeper.pricing.surface import EssviSurface

FloatArray = npt.NDArray[np.float64]

SHORTEST: Final = 2.0 / (365 * 24)  # years: quotes of the last two hours say nothing about volatility
FEWEST: Final = 3  # two-sided quotes without which an expiry is left out
_FLOOR: Final = 0.0025  # of volatility: a tighter half-spread does not weigh more
_WIDEST: Final = 3.0  # standard deviations from the money
_CORE: Final = 1.75  # the part of them that is quoted tightly and traded: beyond, quotes weigh less
_TAPER: Final = 2.0
_OUTLIER: Final = 2.0  # half-spreads beyond which the Cauchy loss turns flat
_STEPS: Final = 25
_GAIN: Final = 1e-5  # relative fall of the loss below which it stops
_MARGIN: Final = 1.0 - 1e-6
_FREE: Final = 0.02  # how close to the ends of its interval ψ may start
_RHO: Final = np.array([-0.8, -0.5, -0.25, 0.0, 0.25, 0.5, 0.8])
_CHI: Final = np.array([0.2, 0.5, 0.9, 1.3])  # ψ/√θ: the butterfly limit is 2/√(1+|ρ|)
_ASTRAY: Final = 0.25  # a fitted at-the-money volatility this far (relative) from the quotes' is a failure


class Outcome(Enum):
    """How a surface came about."""

    FITTED = "fitted"
    FLATTENED = "no fit passed the checks: at-the-money volatilities with one flat smile"


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """One moment of a chain, arrays of one length; money in USDC. A missing quote is NaN or 0. ``expiry`` is any number
    that tells expiries apart; every quote has the forward of its own moment."""

    expiry: npt.NDArray[np.int64]
    years: FloatArray
    forward: FloatArray
    strike: FloatArray
    is_call: npt.NDArray[np.bool_]
    bid: FloatArray
    ask: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A surface and how well it fits the quotes used: share within bid and ask, root mean square error against the mid
    in volatility, the at-the-money half-spread per slice in volatility, expiries without enough quotes."""

    surface: EssviSurface
    outcome: Outcome
    inside: float
    rmse: float
    half_spread: FloatArray
    used: int
    left_out: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Slices:
    """θ, ρ and ψ; the first axis runs over the slices."""

    theta: FloatArray
    rho: FloatArray
    psi: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Two-sided quotes as volatilities: per slice (n,) years, forward, first point, at-the-money volatility and
    half-spread; per point (m,) its slice, k = ln(K/F), mid, half-spread, the error that counts as one, and √T."""

    years: FloatArray
    forward: FloatArray
    start: npt.NDArray[np.intp]
    atm: FloatArray
    atm_half: FloatArray
    slice: npt.NDArray[np.intp]
    k: FloatArray
    mid: FloatArray
    half: FloatArray
    unit: FloatArray
    root_t: FloatArray

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums over the points of each slice, along the last axis."""
        return np.asarray(np.add.reduceat(values, self.start, axis=-1))


def calibrate(quotes: Quotes, last: EssviSurface | None = None) -> Calibration:
    """Fit a surface; ``last`` is an earlier one to start from if it fits better than the grid.

    Raises:
        PricingError: no expiry has three two-sided quotes with a volatility.
    """
    points, left_out = _usable(quotes)
    flat = _flattened(points)
    starts = [_grid_start(points), _Slices(flat.theta, flat.rho, flat.psi)]
    if last is not None:
        starts.append(_Slices(*last.at(points.years)))
    parameters = sorted((_parameters(start) for start in starts), key=lambda u: _loss(_errors(_slices(u), points)))
    fits = (surface_of(_minimise(u, points), points.years, points.forward) for u in parameters)
    sound = next((fit for fit in fits if _is_sound(fit, points)), None)
    surface, outcome = (flat, Outcome.FLATTENED) if sound is None else (sound, Outcome.FITTED)
    error = surface.vol(points.k, points.years[points.slice]) - points.mid
    return Calibration(
        surface=surface,
        outcome=outcome,
        inside=float((np.abs(error) <= points.half).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
        half_spread=points.atm_half,
        used=len(points.k),
        left_out=left_out,
    )


def surface_of(parameters: FloatArray, years: FloatArray, forward: FloatArray) -> EssviSurface:
    """The surface without arbitrage of any 3n real numbers: ln aᵢ, artanh ρᵢ, and the logit of where ψᵢ lies."""
    slices = _slices(parameters)
    return EssviSurface(years, forward, slices.theta, slices.rho, slices.psi)


# ---------------------------------------------------------------- quotes


def _usable(quotes: Quotes) -> tuple[_Points, tuple[int, ...]]:
    prices = np.nan_to_num(np.stack([quotes.bid, quotes.ask]))
    found = implied_vol(prices, quotes.forward, quotes.strike, quotes.years, quotes.is_call)
    bid, ask = found.vol
    mid, half = 0.5 * (bid + ask), 0.5 * (ask - bid)
    ok = found.ok.all(axis=0) & (half >= 0.0) & (quotes.years > SHORTEST)
    with np.errstate(all="ignore"):
        k = np.log(quotes.strike / quotes.forward)
        ok &= np.abs(k) <= _WIDEST * mid * np.sqrt(quotes.years)
    everything = np.unique(quotes.expiry)
    expiries, counts = np.unique(quotes.expiry[ok], return_counts=True)
    kept = expiries[counts >= FEWEST]
    left_out = tuple(int(e) for e in np.setdiff1d(everything, kept))
    chosen = np.flatnonzero(ok & np.isin(quotes.expiry, kept))
    if not chosen.size:
        raise PricingError(f"no expiry of {len(everything)} has {FEWEST} quotes with bid, ask and a volatility")
    chosen = chosen[np.argsort(quotes.years[chosen], kind="stable")]
    years = quotes.years[chosen]
    start = np.flatnonzero(np.r_[True, quotes.expiry[chosen][1:] != quotes.expiry[chosen][:-1]])
    where = np.cumsum(np.isin(np.arange(len(chosen)), start)) - 1
    k, mid, root_t = k[chosen], mid[chosen], np.sqrt(years)
    away = np.maximum(np.abs(k) / (mid * root_t) - _CORE, 0.0)
    half = half[chosen]
    unit = np.maximum(half, _FLOOR) * np.exp(_TAPER * away)
    nearest = np.minimum.reduceat(np.abs(k), start)[where]
    near = np.exp(-np.square((np.abs(k) - nearest) / (0.3 * mid * root_t))) / np.square(unit)
    weight = near / np.add.reduceat(near, start)[where]
    points = _Points(
        years=years[start],
        forward=np.array([np.median(f) for f in np.split(quotes.forward[chosen], start[1:])]),
        start=start,
        atm=np.add.reduceat(weight * mid, start),
        atm_half=np.add.reduceat(weight * half, start),
        slice=where,
        k=k,
        mid=mid,
        half=half,
        unit=unit,
        root_t=root_t,
    )
    return points, left_out


# ---------------------------------------------------------------- parameters


def _ratio(rho: FloatArray) -> FloatArray:
    """pᵢ for i >= 1: by how much ψ and θ at least grow when ρ changes."""
    before, after = rho[:-1], rho[1:]
    return np.asarray(np.maximum((1.0 + before) / (1.0 + after), (1.0 - before) / (1.0 - after)))


def _room(theta: FloatArray, rho: FloatArray, ratio: FloatArray) -> FloatArray:
    """The largest ψ of each slice: its own butterfly conditions, and that all later slices can keep theirs."""
    one_plus = 1.0 + np.abs(rho)
    room = _MARGIN * np.minimum(4.0 / one_plus, 2.0 * np.sqrt(theta / one_plus))
    for i in range(len(room) - 2, -1, -1):
        room[i] = np.minimum(room[i], room[i + 1] / ratio[i])
    return np.asarray(room)


def _slices(u: FloatArray) -> _Slices:
    """Slices free of arbitrage from parameters of shape (3n, ...): ln a, artanh ρ, logit of ψ's position."""
    log_a, r, logit = u.reshape(3, len(u) // 3, *u.shape[1:])
    rho, theta, position = np.tanh(r), np.exp(log_a), 0.5 + 0.5 * np.tanh(0.5 * logit)
    ratio = _ratio(rho)
    for i in range(1, len(theta)):
        theta[i] += ratio[i - 1] * theta[i - 1]
    room = _room(theta, rho, ratio)
    psi, growth = room * position, theta[1:] / theta[:-1]
    for i in range(1, len(theta)):
        low = psi[i - 1] * ratio[i - 1]
        high = np.minimum(room[i], psi[i - 1] * growth[i - 1])
        psi[i] = low + (high - low) * position[i]
    return _Slices(theta, rho, psi)


def _parameters(slices: _Slices) -> FloatArray:
    """Parameters of the surface without arbitrage that is near the given slices, a little inside the conditions."""
    rho = np.clip(slices.rho, -0.95, 0.95)
    ratio = _ratio(rho)
    theta, a = slices.theta.copy(), slices.theta.copy()
    for i in range(1, len(theta)):
        floor = ratio[i - 1] * theta[i - 1]
        a[i] = max(theta[i] - floor, 0.01 * floor)
        theta[i] = floor + a[i]
    room = _room(theta, rho, ratio)
    low, high, psi, position = 0.0, room[0], slices.psi, np.empty_like(theta)
    for i in range(len(theta)):
        position[i] = min(max((psi[i] - low) / (high - low), _FREE), 1.0 - _FREE)
        own = low + (high - low) * position[i]
        if i + 1 < len(theta):
            low, high = own * ratio[i], min(room[i + 1], own * theta[i + 1] / theta[i])
    return np.concatenate([np.log(a), np.arctanh(rho), np.log(position / (1.0 - position))])


# ---------------------------------------------------------------- starting points


def _grid_start(points: _Points) -> _Slices:
    """For each slice the best of a grid of (ρ, ψ/√θ), with the θ that fits the quoted variances best."""
    rho, chi = (g.reshape(-1, 1) for g in np.meshgrid(_RHO, _CHI, indexing="ij"))
    scaled = chi * (points.k / (points.atm * np.sqrt(points.years))[points.slice])
    shape = 0.5 * (1.0 + rho * scaled + np.sqrt(np.square(scaled + rho) + 1.0 - np.square(rho)))
    variance = np.square(points.mid * points.root_t)
    weight = np.square(1.0 / (2.0 * points.mid * points.root_t**2 * points.unit))
    theta = points.sums(weight * shape * variance) / points.sums(weight * np.square(shape))
    vol = np.sqrt(theta[:, points.slice] * shape) / points.root_t
    best = points.sums(np.log1p(np.square((vol - points.mid) / (_OUTLIER * points.unit)))).argmin(axis=0)
    theta = theta[best, np.arange(len(best))]
    return _Slices(theta, rho[best, 0], chi[best, 0] * theta / (points.atm * np.sqrt(points.years)))


def _flattened(points: _Points) -> EssviSurface:
    """At-the-money volatilities, made to rise in total variance, with one symmetric smile."""
    theta = np.maximum.accumulate(np.square(points.atm) * points.years)
    return EssviSurface(points.years, points.forward, theta, np.zeros_like(theta), 0.2 * np.sqrt(theta))


# ---------------------------------------------------------------- least squares


def _errors(slices: _Slices, points: _Points) -> FloatArray:
    """(σ(k) - mid)/unit, shape (m,)."""
    theta, rho, psi = (column[points.slice] for column in (slices.theta, slices.rho, slices.psi))
    tilt = psi * points.k
    root = np.sqrt(np.square(tilt + theta * rho) + np.square(theta) * (1.0 - np.square(rho)))
    variance = np.maximum(0.5 * (theta + rho * tilt + root), 1e-12)
    return np.asarray((np.sqrt(variance) / points.root_t - points.mid) / points.unit)


def _loss(errors: FloatArray) -> float:
    """Cauchy: quadratic for small errors, logarithmic beyond a few half-spreads."""
    return float(np.log1p(np.square(errors / _OUTLIER)).sum())


def _normal_equations(u: FloatArray, points: _Points) -> tuple[FloatArray, FloatArray]:
    """Gauss-Newton matrix (3n, 3n) and gradient (3n,) of the loss, reweighted."""
    slices = _slices(u)
    theta, rho, psi = (column[points.slice] for column in (slices.theta, slices.rho, slices.psi))
    tilt = psi * points.k
    root = np.sqrt(np.square(tilt + theta * rho) + np.square(theta) * (1.0 - np.square(rho)))
    vol = np.sqrt(np.maximum(0.5 * (theta + rho * tilt + root), 1e-12)) / points.root_t
    errors = (vol - points.mid) / points.unit
    per_variance = 0.25 / (vol * np.square(points.root_t) * points.unit)
    d = per_variance * np.stack(
        [
            1.0 + (rho * tilt + theta) / root,
            tilt * (1.0 + theta / root),
            points.k * (rho + (tilt + theta * rho) / root),
        ]
    )
    weighted = d / (_OUTLIER**2 + np.square(errors))
    blocks = points.sums(weighted[:, None] * d).transpose(2, 0, 1)  # (n, 3, 3)
    slopes = points.sums(weighted * errors).T  # (n, 3)
    step = 1e-7
    moved = _slices(u[:, None] + step * np.eye(len(u)))
    base = np.stack([slices.theta, slices.rho, slices.psi], axis=1)[..., None]
    chain = (np.stack([moved.theta, moved.rho, moved.psi], axis=1) - base) / step  # (n, 3, 3n), slices by parameters
    matrix = np.tensordot(chain, blocks @ chain, axes=([0, 1], [0, 1]))
    return matrix, np.tensordot(chain, slopes, axes=([0, 1], [0, 1]))


def _minimise(u: FloatArray, points: _Points) -> FloatArray:
    """Levenberg-Marquardt."""
    loss, damping = _loss(_errors(_slices(u), points)), 1e-2
    for _ in range(_STEPS):
        matrix, gradient = _normal_equations(u, points)
        scale = np.diag(matrix) + 1e-9 * matrix.max() + 1e-12
        gain = 0.0
        while damping < 1e6:
            # Cholesky by LAPACK: numpy's solver wakes threads, which costs more than 36 unknowns
            _, step, failed = dposv(matrix + np.diag(damping * scale), gradient)
            tried = u - np.clip(step, -2.0, 2.0)
            after = _loss(_errors(_slices(tried), points))
            if not failed and after < loss:
                u, gain, loss, damping = tried, 1.0 - after / loss, after, 0.2 * damping
                break
            damping *= 5.0
        if gain < _GAIN:
            break
    return u


# ---------------------------------------------------------------- checks


def _is_sound(surface: EssviSurface, points: _Points) -> bool:
    """Finite, near the quotes at the money, and free of arbitrage by the conditions and on a dense grid."""
    if not np.isfinite(np.stack([surface.theta, surface.rho, surface.psi])).all():
        return False
    grid = np.linspace(-_WIDEST, _WIDEST, 201) * np.sqrt(surface.theta[-1])
    near = np.abs(surface.vol(0.0, points.years) / points.atm - 1.0) < _ASTRAY
    dense = surface.worst_density(grid) >= 0.0 and surface.worst_crossing(grid) >= -1e-12
    return bool(near.all() and surface.is_free_of_arbitrage() and dense)
