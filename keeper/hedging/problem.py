"""The hedge problem in one place.

Variables, all as shares of NAV: for each instrument i the amount bought b_i and sold s_i (units times spot); for each
underlying u its maintenance margin w_u, its worst gap loss g_u and the excess t_u of delta over the keeper's band.
L L' is the covariance of returns over the time that delta stays where it is, which gamma and costs decide: with it the
no-trade region for one underlying is Whalley and Wilmott's, or that of the gas (`bands.staying_time`).

    min   risk_aversion / 2 * |L' (d_u + sum_i (b_i - s_i))_u|^2                       variance of what stays unhedged
        + sum_i (fee_i + carry_i + capital_charge cash_i) (b_i + s_i)                  what trading and holding costs
        + sum_pools impact_p ((sum b_i)^2 + (sum s_i)^2)                               what moving a pool's price costs
        + penalty * sum_u t_u
        + tail_aversion CVaR(-(P&L_s + sum_u move_su sum_i (b_i - s_i)))               where scenarios are given
        + gas of a leg * [b_i + s_i > 0]                                               in `solve_by_legs`

subject to the limits that the contracts check after a rebalance, each "inside, or no farther than before":

    margin      sum_u initial_factor_u w_u <= NAV - cost,   w_u >= contingency_u - damping_j * P&L_u,j  for each shock j
    gap         sum_u g_u <= NAV - cost,                    g_u >= -P&L_u at spot -50 % and +50 %
    delta       |d_u + sum_i (b_i - s_i)| <= band + t_u
    position    what all pools of a venue sell or buy back <= what it holds or owes
    room        what all pools of a short sell <= what Aave lends, and takes collateral for: caps, frozen, paused
    leverage    gross venue exposure <= limit
    cash        what the trades take from idle cash <= what is free beyond the keeper's reserve and missing collateral
    turnover    sum_u away_u <= the part of the turnover bucket that one rebalance may use, where what is traded away
                from neutral is away_u = (sum_i (b_i + s_i) + |d_u + sum_i (b_i - s_i)| - |d_u|) / 2
    loss        what the contract will record as loss, sum_i loss_i (b_i + s_i) + sum_u edge_u away_u, <= the part of
                the loss bucket that one rebalance may use; where that bucket is almost empty, nothing is traded away
                from neutral, and the emergency bucket pays too
    hedging     the same with half a per cent of what is traded against the sign of d_u and not in the hedging bucket

Scenario P&L is linear in the trades because options are only revalued by the market, so each row is exact; but a loss
l x + impact x^2 counts as the line that meets it where it would fill the bucket alone, which is above it before that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS, Series
from keeper.domain.snapshot import Snapshot, VaultState
from keeper.domain.units import USDC, WAD
from keeper.domain.valuation import Valuation
from keeper.hedging.horizon import horizon, volatility
from keeper.hedging.program import Array, Program, Square, Tail
from keeper.risk.grid import DAMPING_FACTORS, HALF, MULTIPLIERS, ONE_AND_A_HALF, VOLS
from keeper.risk.margin import gap_rows, initial_factor, margin_rows
from keeper.venues.aave_v3 import spare_collateral
from keeper.venues.instrument import Instrument, Side

_MARGIN_MOVES = MULTIPLIERS[:ONE_AND_A_HALF]
_MARGIN_DAMPING = DAMPING_FACTORS[:ONE_AND_A_HALF]
_LEG_ROUNDING = 8e-6  # units: of eight legs, each rounded to 1e-6
_ROUNDING = 1e-9  # share of NAV, more than the solver's tolerance for a row
_EMPTY = 0.1  # of the loss bucket's capacity: with less it is left to emergencies
_HIDDEN = 0.005  # what a trade towards neutral counts as losing beyond the hedging bucket, share of its size
_BAND_PENALTY = 0.05  # USDC per USDC of delta outside the band: above any cost of trading, below any loss of margin


@dataclass(frozen=True)
class Exposure:
    """One underlying before the trade; USDC but for the volatility.

    Attributes:
        spot: Oracle price; where there is none nothing stands and nothing trades, and it is 1.
        initial_factor: Initial per maintenance margin.
        sigma: Annualised volatility for the variance term.
        horizon: Years that delta stays: what variance and carry count for.
        delta: Delta of options and venues times spot.
        losses: Loss that counts in the margin per spot shock, worst over volatilities, contingency included, (11,).
        gap: P&L at spot -50 % and at +50 % with venues at stressed equity.
        edge: Distance of oracle price and TWAP, as a share of the oracle price: it can count as a loss of what is
            traded away from neutral.
    """

    spot: float
    initial_factor: float
    sigma: float
    horizon: float
    delta: float
    losses: Array
    gap: tuple[float, float]
    edge: float


@dataclass(frozen=True)
class Book:
    """What the problem needs to know of the vault; USDC, shares where named.

    ``margin_excess`` and ``gap_excess`` are how far these limits are exceeded already, zero inside; ``gross_limit``,
    ``delta_band``, ``loss_budget``, ``turnover_budget`` and ``hedging_budget`` are shares of NAV.
    """

    nav: float
    free_cash: float
    margin_excess: float
    gap_excess: float
    gross: float
    gross_limit: float
    delta_band: float
    loss_budget: float
    turnover_budget: float
    hedging_budget: float
    exposures: tuple[Exposure, ...]


@dataclass(frozen=True)
class Scenarios:
    """Equally likely futures at the policy's horizon.

    Attributes:
        book: P&L of the book as it stands, options revalued in full, USDC, (S,).
        moves: P&L of holding a unit of each underlying, USDC, (S, underlyings).
        units: P&L of a unit of series that makers offer, USDC, (S,) each.
    """

    book: Array
    moves: Array
    units: Mapping[Series, Array] = field(default_factory=dict)


def book_of(snapshot: Snapshot, valuation: Valuation, policy: Policy) -> Book:
    """The book of a snapshot as the problem sees it."""
    now = valuation.margins
    nav = now.nav_bid
    exposures = []
    for u, (options, venues, delta) in enumerate(
        zip(valuation.options, valuation.venues, valuation.deltas, strict=True)
    ):
        a, b = margin_rows(options)
        down, up = gap_rows(options)
        spot = options.spot or 1.0
        sigma = volatility(valuation, u, policy)
        twap = snapshot.readings[u].twap_wad / WAD or spot
        exposures.append(
            Exposure(
                spot=spot,
                initial_factor=initial_factor(options.doubt),
                sigma=sigma,
                horizon=horizon(snapshot, valuation, u, sigma, policy),
                delta=delta * options.spot,
                losses=(a + b * venues.units).reshape(VOLS, -1).max(axis=0),
                gap=(down + venues.stressed_down - venues.equity, up + venues.stressed_up - venues.equity),
                edge=abs(spot - twap) / spot,
            )
        )
    loss_budget, turnover_budget = _budgets(snapshot.vault)
    return Book(
        nav=nav,
        free_cash=snapshot.vault.free / USDC - _missing_collateral(snapshot) - policy.min_idle * nav,
        margin_excess=max(0.0, now.initial - nav),
        gap_excess=max(0.0, -now.gap_headroom),
        gross=now.gross,
        gross_limit=snapshot.limits.gross_leverage / WAD,
        delta_band=snapshot.limits.delta_target / WAD,
        loss_budget=policy.max_loss_use * loss_budget,
        turnover_budget=policy.max_loss_use * turnover_budget,
        hedging_budget=_free_hedging(snapshot.vault, nav < now.maintenance),
        exposures=tuple(exposures),
    )


def _free_hedging(vault: VaultState, is_distressed: bool) -> float:
    """What may be traded towards neutral without counting as losing more than it does, share of NAV."""
    return math.inf if is_distressed else vault.hedging_budget / WAD


def _budgets(vault: VaultState) -> tuple[float, float]:
    """What trades may lose, and what may be traded away from neutral, shares of NAV."""
    if vault.loss_budget < _EMPTY * vault.budgets.loss_capacity:
        return (vault.loss_budget + vault.emergency_budget) / WAD, 0.0
    return vault.loss_budget / WAD, vault.turnover_budget / WAD


def _missing_collateral(snapshot: Snapshot) -> float:
    """What Aave venues lack to their health targets, USDC: a trade there has to bring it, whatever else it costs."""
    return sum(
        max(0.0, -spare_collateral(venue.lending, snapshot.readings[venue.state.underlying].price_wad / WAD))
        for venue in snapshot.venues
        if venue.lending is not None
    )


@dataclass(frozen=True)
class _Layout:
    """Where the variables are: ``n`` bought, ``n`` sold, then w, g and t of ``m`` underlyings."""

    n: int
    m: int

    @property
    def size(self) -> int:
        return 2 * self.n + 3 * self.m

    def of(self, name: str) -> slice:
        start = 2 * self.n + "wgt".index(name) * self.m
        return slice(start, start + self.m)

    def unit(self, name: str, underlying: int) -> Array:
        row = np.zeros(self.size)
        row[self.of(name).start + underlying] = 1.0
        return row


class _Rows:
    """The constraints, collected."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rows: list[Array] = []
        self.lower: list[float] = []
        self.upper: list[float] = []

    def add(self, name: str, row: Array, at_most: float = np.inf, at_least: float = -np.inf) -> None:
        self.names.append(name)
        self.rows.append(row)
        self.lower.append(at_least)
        self.upper.append(at_most)


@dataclass(frozen=True)
class _Trading:
    """What trading costs and takes, per variable as a share of NAV: ``squares`` are the pools' impacts."""

    linear: Array
    bound: Array
    cash: Array
    loss: Array
    gross: Array
    squares: tuple[Square, ...]


def build(
    book: Book, instruments: tuple[Instrument, ...], policy: Policy, scenarios: Scenarios | None = None
) -> Program:
    """The program for ``book``; variables in the order b, s, w, g, t."""
    at = _Layout(len(instruments), len(book.exposures))
    net = np.zeros((at.m, at.size))  # delta that the trades add, per underlying
    for i, instrument in enumerate(instruments):
        net[instrument.underlying, i] = 1.0
        net[instrument.underlying, at.n + i] = -1.0
    trading = _trading(book, instruments, policy, at)
    trading.linear[at.of("t")] = _BAND_PENALTY

    rows = _Rows()
    factors = variance_factors(book, policy)
    starts = np.array([exposure.delta for exposure in book.exposures]) / book.nav
    squares = [Square(policy.risk_aversion, column @ net, float(column @ starts)) for column in factors.T]
    own_band = policy.band_use * book.delta_band
    for u, exposure in enumerate(book.exposures):
        start = exposure.delta / book.nav
        name = UNDERLYINGS[u]
        _add_scenarios(rows, name, exposure, net[u], at.unit("w", u), at.unit("g", u), book.nav)
        rows.add(f"{name} delta band", net[u] - at.unit("t", u), at_most=own_band - start)
        rows.add(f"{name} delta band", -net[u] - at.unit("t", u), at_most=own_band + start)
        trading.bound[at.of("t").start + u] = max(0.0, abs(start) - own_band)
    _add_limits(rows, book, instruments, trading, at)
    _add_budgets(rows, book, net, trading.loss)
    return Program(
        trading.linear,
        (*squares, *trading.squares),
        np.array(rows.rows),
        np.array(rows.lower),
        np.array(rows.upper),
        trading.bound,
        tuple(rows.names),
        _tail(book, scenarios, policy, net) if scenarios is not None and policy.tail_aversion > 0 else None,
    )


def variance_factors(book: Book, policy: Policy) -> Array:
    """L with L L' the covariance of returns over the underlyings' horizons, all pairs correlated alike, (m, m)."""
    deviations = np.array([exposure.sigma * math.sqrt(exposure.horizon) for exposure in book.exposures])
    correlation = np.full((len(deviations), len(deviations)), policy.correlation)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(deviations[:, None] * np.linalg.cholesky(correlation))


def _tail(book: Book, scenarios: Scenarios, policy: Policy, net: Array) -> Tail:
    spots = np.array([[exposure.spot] for exposure in book.exposures])
    return Tail(policy.tail_aversion, policy.tail_level, scenarios.book / book.nav, scenarios.moves.T / spots, net)


def _trading(book: Book, instruments: tuple[Instrument, ...], policy: Policy, at: _Layout) -> _Trading:
    linear, cash, loss, gross = (np.zeros(at.size) for _ in range(4))
    bound = np.full(at.size, np.inf)
    flows: dict[tuple[str, int], tuple[float, Array]] = {}  # what each pool has to take, per direction
    for i, instrument in enumerate(instruments):
        exposure = book.exposures[instrument.underlying]
        spot, days = exposure.spot, 365.0 * exposure.horizon
        for column, side, sign in ((i, instrument.buy, 1), (at.n + i, instrument.sell, -1)):
            capital = policy.capital_charge / 365.0 * side.cash
            linear[column] = (side.fee + (side.carry + capital) * days) / spot
            bound[column] = side.capacity * spot / book.nav
            cash[column] = side.cash / spot
            loss[column] = _loss_slope(side, book.loss_budget * book.nav) / spot
            gross[column] = sign * instrument.direction
            pool = (instrument.pool_address, sign)
            _, flow = flows.setdefault(pool, (_impact(side, spot, book.nav), np.zeros(at.size)))
            flow[column] = 1.0
    return _Trading(linear, bound, cash, loss, gross, tuple(Square(*flow) for flow in flows.values()))


def _add_scenarios(
    rows: _Rows, name: str, exposure: Exposure, net: Array, margin: Array, gap: Array, nav: float
) -> None:
    """What holds an underlying's maintenance margin and gap loss up: one row per shock."""
    for multiplier, damping, lost in zip(_MARGIN_MOVES, _MARGIN_DAMPING, exposure.losses, strict=True):
        move = multiplier - 1.0
        rows.add(f"margin at {name} {move:+.0%}", margin + damping * move * net, at_least=lost / nav)
    for j, pnl in zip((HALF, ONE_AND_A_HALF), exposure.gap, strict=True):
        move = MULTIPLIERS[j] - 1.0
        rows.add(f"gap at {name} {move:+.0%}", gap + move * net, at_least=-pnl / nav)


def _add_limits(rows: _Rows, book: Book, instruments: tuple[Instrument, ...], trading: _Trading, at: _Layout) -> None:
    """What holds for the vault as a whole, and for what each venue has."""
    margin, gaps = np.zeros(at.size), np.zeros(at.size)
    margin[at.of("w")] = [exposure.initial_factor for exposure in book.exposures]
    gaps[at.of("g")] = 1.0
    rows.add("initial margin", margin + trading.loss, at_most=1.0 + book.margin_excess / book.nav)
    rows.add("gap solvency", gaps + trading.loss, at_most=1.0 + book.gap_excess / book.nav)
    for venue in {instrument.venue: None for instrument in instruments}:
        own = [(i, instrument) for i, instrument in enumerate(instruments) if instrument.venue == venue]
        if len(own) > 1:  # a single pool's capacity says it
            reduced = np.zeros(at.size)
            reduced[[at.n + i if instrument.direction > 0 else i for i, instrument in own]] = 1.0
            first = own[0][1]
            whole = first.position * book.exposures[first.underlying].spot / book.nav
            rows.add(f"{UNDERLYINGS[first.underlying]} position", reduced, at_most=max(0.0, whole - _ROUNDING))
        _add_room(rows, book, own, at)
    rounding = _LEG_ROUNDING * max((exposure.spot for exposure in book.exposures), default=0.0) / book.nav
    gross_room = book.gross_limit - book.gross / book.nav - rounding
    rows.add("gross leverage", trading.gross, at_most=max(0.0, gross_room))
    rows.add("free cash", trading.cash, at_most=max(0.0, book.free_cash / book.nav))


def _add_room(rows: _Rows, book: Book, own: Sequence[tuple[int, Instrument]], at: _Layout) -> None:
    """What a venue's pools together can add to its position, where a lender limits that."""
    first = own[0][1]
    if math.isinf(first.room):
        return
    added = np.zeros(at.size)
    added[[i if instrument.direction > 0 else at.n + i for i, instrument in own]] = 1.0
    most = first.room * book.exposures[first.underlying].spot / book.nav
    rows.add(f"{UNDERLYINGS[first.underlying]} room at Aave", added, at_most=max(0.0, most - _ROUNDING))


def _add_budgets(rows: _Rows, book: Book, net: Array, oracle_loss: Array) -> None:
    """What is traded away from neutral, and lost: an absolute value is the larger of two lines, one row for each."""
    starts = [exposure.delta / book.nav for exposure in book.exposures]
    traded = abs(net)
    hedged = sum((traded[u] - math.copysign(1.0, start) * net[u]) / 2 for u, start in enumerate(starts))
    for signs in itertools.product((1.0, -1.0), repeat=len(starts)):
        away = np.zeros_like(oracle_loss)
        loss = oracle_loss.copy()
        saved = saved_loss = 0.0  # of the part that starts on the other side of neutral
        for u, (sign, start, exposure) in enumerate(zip(signs, starts, book.exposures, strict=True)):
            row = (traded[u] + sign * net[u]) / 2
            toward = (abs(start) - sign * start) / 2
            away += row
            saved += toward
            loss += exposure.edge * row
            saved_loss += exposure.edge * toward
        rows.add("turnover", away, at_most=book.turnover_budget + saved)
        rows.add("loss bucket", loss, at_most=book.loss_budget + saved_loss)
        covered = book.loss_budget + saved_loss + _HIDDEN * book.hedging_budget
        rows.add("hedging bucket", loss + _HIDDEN * hedged, at_most=covered)


def _impact(side: Side, spot: float, nav: float) -> float:
    """Weight of the square: impact x^2 in units is this / 2 times the share of NAV squared."""
    return 2 * side.impact * nav / spot**2


def _loss_slope(side: Side, budget: float) -> float:
    """USDC per unit: of the line through zero that meets oracle_loss x + impact x^2 where that is ``budget`` USDC."""
    return (side.oracle_loss + math.sqrt(side.oracle_loss**2 + 4 * side.impact * budget)) / 2
