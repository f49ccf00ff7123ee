"""Makers' options in the hedge program: more variables, more rows, and what gamma and vega cost that stay.

Further variables, shares of NAV as the others: y_k, units of a part of an offer times spot, and for each underlying the
excess of gamma and of vega over its band. The variance gets, per underlying,

    gamma   a book whose delta is hedged every τ loses over h with variance (Γ S² σ²)² h τ / 2: the sum of h / τ gains
            Γ ((dS)² - S² σ² τ) / 2 (Boyle and Emanuel 1980); τ is the time that delta stays, h the policy's horizon
    vega    (Σ_e ν_e σ_e p(e) η)² h of the 30-day volatility, whose logarithm moves by η a year and that of expiry e
            by p(e) of it (`revaluation.tenor_power`), and per expiry what that does not explain, 13 % of its moves

none of them correlated with the others or with delta. Each limit that OptionBook and RiskEngine check after a fill is a
row: margin and gap by volatility and shock, cash, loss bucket, the vega traded, and the bands. Fills come one by one
and a band holds after each, so what raises and what lowers a Greek must keep it alone: then the order does not matter.
Margin and gap are those after all of it; one fill by itself, and what RiskEngine asks of the means to hedge short puts,
is what a quote is checked for (`keeper.quoting.trial`), which OptionBook wants from the vault for every fill.
Turnover of the hedge that follows counts as if every fill's delta had to be traded once more where it crosses neutral.

Without offers nothing is added: the program is `problem.build`'s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD, YEAR
from keeper.domain.valuation import Valuation
from keeper.hedging.problem import Book, variance_factors
from keeper.hedging.program import Array, Program, Square
from keeper.risk.grid import DAMPING_FACTORS, HALF, MULTIPLIERS, ONE_AND_A_HALF, SPOT_SHOCKS, VOLS
from keeper.risk.margin import CONTINGENCY, margin_rows
from keeper.risk.revaluation import tenor_power
from keeper.venues.instrument import Instrument
from keeper.venues.maker import OptionInstrument

VOL_OF_VOL = 0.78  # η: as ETH's index of 30 days moved from 2022 to 2026
_EXPLAINED = 0.87  # of the variance of an expiry's volatility, by the 30-day one (revaluation.py)
_INSIDE = 1e-9  # share of NAV by which a row stays inside its limit: floats, and the rounding of sizes
_GAMMA_PENALTY = 0.05  # USDC per USDC of delta per 1 % move outside the band
_VEGA_PENALTY = 0.02  # USDC per USDC of vega outside the band: two points of volatility, more than half a wide spread


_Row = Callable[..., Array]
_Add = Callable[..., None]


@dataclass(frozen=True)
class Offered:
    """The program with offers: ``parts`` have the variables from ``first`` on."""

    program: Program
    parts: tuple[OptionInstrument, ...]
    first: int

    def columns(self, offer: int) -> list[int]:
        """The variables of one offer."""
        return [self.first + k for k, part in enumerate(self.parts) if part.offer == offer]


def with_offers(
    base: Program,
    snapshot: Snapshot,
    valuation: Valuation,
    book: Book,
    instruments: tuple[Instrument, ...],
    policy: Policy,
    parts: tuple[OptionInstrument, ...],
    vega_budget_wad: int,
) -> Offered:
    """``base`` of `problem.build` with the parts of the offers."""
    if not parts:
        return Offered(base, (), len(base.linear))
    n, m, first = len(instruments), len(book.exposures), len(base.linear)
    excess = first + len(parts)
    size = excess + 2 * m
    spots = np.array([book.exposures[part.underlying].spot for part in parts])
    of = [np.array([part.underlying == u for part in parts]) for u in range(m)]
    net = np.zeros((m, first))
    for i, instrument in enumerate(instruments):
        net[instrument.underlying, [i, n + i]] = 1.0, -1.0

    def per_share(name: str) -> Array:
        return np.asarray(np.array([float(getattr(part, name)) for part in parts]) / spots)

    def row(values: Array, before: Array | None = None) -> Array:
        full = np.zeros(size)
        if before is not None:
            full[:first] = before
        full[first:excess] = values
        return full

    delta, booked, years = per_share("delta") * spots, per_share("booked_loss"), [part.years for part in parts]
    adds = {"initial margin": per_share("nav_loss"), "gap solvency": per_share("nav_loss")}
    adds["free cash"] = np.maximum(per_share("cash"), 0.0)
    patterns = _crossings(book, of, delta)
    names: list[str] = []
    rows: list[Array] = []
    lower: list[float] = []
    upper: list[float] = []

    def add(name: str, values: Array, at_least: float = -np.inf, at_most: float = np.inf) -> None:
        names.append(name)
        rows.append(values)
        lower.append(at_least)
        upper.append(at_most)

    touched = {UNDERLYINGS[u] for u in range(m) if of[u].any()}
    seen: dict[str, int] = {}
    for name, old, low, high in zip(base.names, base.rows, base.lower, base.upper, strict=True):
        if name.startswith(("margin at ", "gap at ")) and name.split()[2] in touched:
            continue  # by volatility below
        count = seen[name] = seen.get(name, -1) + 1
        values = adds.get(name, np.zeros(len(parts)))
        if name.endswith(" delta band"):
            values = delta * of[UNDERLYINGS.index(name.split()[0])] * (1.0 if count == 0 else -1.0)
        elif name == "turnover":
            values = patterns[count][0]
        elif name in ("loss bucket", "hedging bucket"):
            values = booked + patterns[count][1]
        add(name, row(values, old), low, high)

    limits, nav = snapshot.limits, book.nav
    linear = np.concatenate([base.linear, per_share("cost"), np.zeros(2 * m)])
    tied = policy.capital_charge / 365.0 * policy.risk_horizon_days
    linear[first:excess] += tied * per_share("cash")
    bound = np.concatenate([base.bound, per_share("capacity") * spots**2 / nav, np.zeros(2 * m)])
    squares = [Square(s.weight, row(np.zeros(len(parts)), s.direction), s.offset) for s in base.squares]
    factors = variance_factors(book, policy)
    for k, column in enumerate(factors.T):  # the base's first squares are these
        with_delta = delta * sum(column[u] * of[u] for u in range(m))
        squares[k] = replace(squares[k], direction=row(with_delta, base.squares[k].direction))
    for u in range(m):
        if not of[u].any():
            continue
        options, exposure, own = valuation.options[u], book.exposures[u], of[u]
        spot, name = exposure.spot, UNDERLYINGS[u]
        _add_shocks(add, row, valuation, u, parts, own, net[u], n, m, nav)
        for which, start, step, band, penalty in (
            ("delta", exposure.delta / nav, delta, limits.delta_hard, 0.0),
            ("gamma", options.gamma * spot**2 / 100 / nav, per_share("gamma") * spot**2 / 100, limits.gamma_band,
             _GAMMA_PENALTY),
            ("vega", options.vega / nav, per_share("vega"), limits.vega_band, _VEGA_PENALTY),
        ):  # fmt: skip
            step = step * own
            allowed = max(band / WAD - _INSIDE, abs(start))
            for sign, verb in ((1.0, "rises"), (-1.0, "falls")):
                if np.any(sign * step > 0):  # a row of zeros that is met exactly has any price
                    add(f"{which} of {name} {verb}", row(np.maximum(sign * step, 0.0)), at_most=allowed - sign * start)
            if which == "delta":
                continue
            column_at = excess + 2 * u + (which == "vega")
            linear[column_at], bound[column_at] = penalty, max(0.0, abs(start) - band / WAD + _INSIDE)
            for sign in (1.0, -1.0):
                values = row(sign * step)
                values[column_at] = -1.0
                add(f"{which} of {name}", values, at_most=max(band / WAD - _INSIDE, 0.0) - sign * start)
        if any(part.must_reduce for part in parts if part.underlying == u):
            greeks = [(f"vega of {name}", options.vega / nav, per_share("vega")),
                      (f"gamma of {name}", options.gamma * spot / nav, per_share("gamma") * spot)]  # fmt: skip
            _require_less(add, row, bound, parts, own, first, greeks)
        squares += _of_gamma_and_vega(snapshot, valuation, book, policy, u, parts, own, row)
    traded = np.array([0.4 * math.sqrt(t) for t in years])
    add("vega traded", row(traded), at_most=max(0.0, vega_budget_wad / WAD - _INSIDE))
    tail = base.tail
    if tail is not None:
        tail = replace(tail, trades=np.hstack([tail.trades, np.zeros((len(tail.trades), size - first))]))
    program = Program(
        linear, tuple(squares), np.array(rows), np.array(lower), np.array(upper), bound, tuple(names), tail
    )
    return Offered(program, parts, first)


def _crossings(book: Book, of: list[Array], delta: Array) -> list[tuple[Array, Array]]:
    """What the fills' delta adds to each line of `problem._add_budgets`, turnover and loss: |d + e + net| as before,
    and -|d + e| counted as the line that it is on the present side of neutral, which is never less."""
    lines = []
    sides = [math.copysign(1.0, exposure.delta) for exposure in book.exposures]
    for signs in itertools.product((1.0, -1.0), repeat=len(sides)):
        away, loss = np.zeros(len(delta)), np.zeros(len(delta))
        for sign, side, exposure, own in zip(signs, sides, book.exposures, of, strict=True):
            crossing = (sign - side) / 2 * delta * own
            away += crossing
            loss += exposure.edge * crossing
        lines.append((away, loss))
    return lines


def _add_shocks(
    add: _Add,
    row: _Row,
    valuation: Valuation,
    u: int,
    parts: Sequence[OptionInstrument],
    own: Array,
    net: Array,
    instruments: int,
    underlyings: int,
    nav: float,
) -> None:
    """Margin and gap of one underlying, a row per volatility and shock: which volatility is worst is open now."""
    options, venues, name = valuation.options[u], valuation.venues[u], UNDERLYINGS[u]
    spot = options.spot
    a, b = margin_rows(options)
    losses = (a + b * venues.units).reshape(VOLS, ONE_AND_A_HALF)
    cells = options.pnl.reshape(VOLS, SPOT_SHOCKS)
    margin_at, gap_at = 2 * instruments + u, 2 * instruments + underlyings + u
    freed = CONTINGENCY * own * np.array([part.closes_short for part in parts])
    for v, j in itertools.product(range(VOLS), range(SPOT_SHOCKS)):
        move = MULTIPLIERS[j] - 1.0
        gained = own * np.array([part.cells[v, j] for part in parts]) / spot
        if j < ONE_AND_A_HALF:
            values = row(DAMPING_FACTORS[j] * gained + freed, DAMPING_FACTORS[j] * move * net)
            values[margin_at] = 1.0
            add(f"margin at {name} {move:+.0%}", values, at_least=float(losses[v, j]) / nav)
        if j in (HALF, ONE_AND_A_HALF):
            stressed = venues.stressed_down if j == HALF else venues.stressed_up
            values = row(gained, move * net)
            values[gap_at] = 1.0
            add(f"gap at {name} {move:+.0%}", values, at_least=-(float(cells[v, j]) + stressed - venues.equity) / nav)


def _require_less(
    add: _Add,
    row: _Row,
    bound: Array,
    parts: Sequence[OptionInstrument],
    own: Array,
    first: int,
    greeks: Sequence[tuple[str, float, Array]],
) -> None:
    """Fills that OptionBook takes only where they reduce: what raises the Greek that the vault is short of must not
    carry it across zero, and then each fill reduces it, in any order. The Greek with more room is the one."""
    columns = slice(first, first + len(parts))
    rooms = []
    for name, start, step in greeks:
        rising = np.maximum(step * own, 0.0)
        most = float(rising @ bound[columns])
        rooms.append((max(-start, 0.0) / most if most > 0 else 0.0, name, start, rising))
    room, name, start, rising = max(rooms, key=lambda entry: entry[0])
    if room > 0:
        add(f"{name} reduced", row(rising), at_most=-start * (1 - _INSIDE))
        return
    for k, part in enumerate(parts):
        if part.must_reduce and own[k]:
            bound[first + k] = 0.0


def _of_gamma_and_vega(
    snapshot: Snapshot,
    valuation: Valuation,
    book: Book,
    policy: Policy,
    u: int,
    parts: Sequence[OptionInstrument],
    own: Array,
    row: _Row,
) -> list[Square]:
    """Deviations of what gamma and vega gain over the horizon, shares of NAV, as linear forms of the fills."""
    exposure, options = book.exposures[u], valuation.options[u]
    spot, nav = exposure.spot, book.nav
    horizon = max(policy.risk_horizon_days / 365.0, exposure.horizon)
    spread = (spot * exposure.sigma) ** 2 * math.sqrt(horizon * exposure.horizon / 2)
    gamma = own * np.array([part.gamma for part in parts])
    squares = [Square(policy.risk_aversion, row(spread * gamma / spot), spread * options.gamma / nav)]

    def moves(vol: float, years: float) -> float:
        return vol * VOL_OF_VOL * math.sqrt(horizon) * float(tenor_power(np.array(years)))

    offered = own * np.array([part.vega * moves(part.vol, part.years) for part in parts]) / spot
    expiries = np.array([part.expiry for part in parts])
    held: dict[int, float] = {}
    for line in valuation.positions:
        if line.series.underlying == u:
            expiry = line.series.expiry
            years = max(expiry - snapshot.timestamp, 0) / YEAR
            held[expiry] = held.get(expiry, 0.0) + line.vega * moves(line.vol, years) / nav
    common, alone = math.sqrt(_EXPLAINED), math.sqrt(1 - _EXPLAINED)
    squares.append(Square(policy.risk_aversion, row(common * offered), common * sum(held.values())))
    for expiry in sorted({*held, *(part.expiry for part in parts if part.underlying == u)}):
        step = alone * offered * (expiries == expiry)
        squares.append(Square(policy.risk_aversion, row(step), alone * held.get(expiry, 0.0)))
    return squares
