"""`decide`: what to do at one block. Live, dry run, replay, backtest and stress call this function and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keeper.domain.decision import Action, Costs, Decision, DeltaChange
from keeper.domain.offer import Offer
from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot, VenueKind
from keeper.domain.units import WAD
from keeper.domain.valuation import Valuation
from keeper.hedging.few_legs import solve_by_legs
from keeper.hedging.fills import fills_of
from keeper.hedging.history import scenarios_of
from keeper.hedging.horizon import gas_price
from keeper.hedging.legs import MAX_LEGS, SMALLEST, Trade, executable, legs_of, restoring_legs
from keeper.hedging.problem import Book, Scenarios, book_of, build, variance_factors
from keeper.hedging.program import Array, Program, Solution, SolverError
from keeper.hedging.second_opinion import second_opinion
from keeper.risk.errors import RiskError
from keeper.risk.limits import excesses
from keeper.risk.margin import margins
from keeper.risk.tail import tail_weights
from keeper.risk.valuation import ValuationError, margin_mismatch, value
from keeper.venues.aave_v3 import held_up, short_instruments
from keeper.venues.instrument import Instrument, Reference, VenueError
from keeper.venues.uniswap_v3 import spot_instruments

_SHRINKS = 0.899  # of a breach's excess: the contract's nine tenths, less what the trade's own cost moves
_CRUMB = 0.25  # of the band: what the budgets leave for a delta outside it is worth a transaction from here on
_SHADOW_PRICE = 1e-6  # smallest one worth telling
_BANDS = tuple(f"{greek} of {name}" for name in UNDERLYINGS for greek in ("delta", "gamma", "vega"))
_LIMITS = ("initial margin", "gap solvency", "gross leverage", *_BANDS)  # entries as in keeper/risk/limits.REASONS


def decide(
    snapshot: Snapshot,
    policy: Policy,
    scenarios: Scenarios | None = None,
    offers: Sequence[Offer] = (),
    vega_budget_wad: int = 0,
) -> Decision:
    """What `_hedge` decides, and what of makers' ``offers`` is worth taking: at most ``vega_budget_wad`` of vega
    (OptionBook.vega_budget). Nobody has to honour an offer, so the legs are those of the book as it is; a fill's delta
    is hedged by the decision after it. Nothing is taken where nothing may be traded or the solver has no answer.
    """
    decision = _hedge(snapshot, policy, scenarios)
    if not offers or decision.action is Action.REFUSE:
        return decision
    valuation = value(snapshot)
    if valuation.margins.nav_bid <= 0:
        return decision
    caveat = ""
    if scenarios is None:
        try:
            scenarios = scenarios_of(snapshot, policy, tuple({offer.series: None for offer in offers}))
        except (RiskError, ValuationError) as error:
            caveat = f"; offers without a tail: {error}"
    try:
        book, instruments = book_of(snapshot, valuation, policy), instruments_of(snapshot)
        fills = fills_of(snapshot, valuation, book, instruments, policy, scenarios, offers, vega_budget_wad)
    except Exception as error:  # whatever a maker offers, the vault is hedged
        return replace(decision, reason=f"{decision.reason}; no offer is taken: {type(error).__name__}: {error}")
    return replace(decision, fills=fills, reason=decision.reason + caveat)


def _hedge(snapshot: Snapshot, policy: Policy, scenarios: Scenarios | None) -> Decision:
    """The cheapest trades that keep the book neutral inside every limit, or the reason why not to trade.

    What stays unhedged costs by its variance and, over ``scenarios``, by its CVaR. Without any they are made from the
    snapshot's closes; where these are too few, the reason says so and variance counts alone.

    Pure and deterministic. Nothing is traded when the snapshot cannot be valued, when the keeper's margin and the
    chain's differ (`Policy.margin_tolerance`), when a venue was read without what it takes to trade in it, or when the
    solver's answer does not check out or another solver's differs: the action is REFUSE.
    """
    try:
        valuation = value(snapshot)
    except ValuationError as error:
        return _plain(snapshot, Action.REFUSE, f"the book cannot be valued: {error}")
    mismatch = margin_mismatch(valuation, snapshot)
    if not mismatch <= policy.margin_tolerance:  # a NaN is refused too
        reason = f"keeper and chain disagree by {mismatch:.1e} of notional, {policy.margin_tolerance:.0e} is allowed"
        return _plain(snapshot, Action.REFUSE, reason)
    if valuation.margins.nav_bid <= 0:
        return _plain(snapshot, Action.HOLD, "the vault has no equity to hedge")

    book = book_of(snapshot, valuation, policy)
    caveat = ""
    if scenarios is None:
        try:
            scenarios = scenarios_of(snapshot, policy)
        except RiskError as error:
            caveat = f"; no tail is priced: {error.what.rstrip('.')}"
    try:
        instruments = instruments_of(snapshot)
        per_gas = gas_price(snapshot)
        bought_and_sold = [(i, len(instruments) + i) for i in range(len(instruments))]
        leg_cost = policy.leg_gas * per_gas / book.nav
        chosen = solve_by_legs(build(book, instruments, policy, scenarios), bought_and_sold, leg_cost, MAX_LEGS)
        program, solution = chosen.program, chosen.solution
        if chosen.gap:
            caveat += f"; other pools may save up to {chosen.gap * book.nav:.2f} USDC"
    except (VenueError, SolverError) as error:
        return _plain(snapshot, Action.REFUSE, f"no hedge could be computed: {error}")

    planned = _trades(solution.z, instruments, book, policy)
    trades = executable(planned, snapshot)
    gas = per_gas * (policy.rebalance_gas + policy.leg_gas * max(0, len(trades) - 1))
    benefit = _benefit(program, solution, instruments, book) * book.nav
    deltas = _deltas(valuation, book, trades)
    breached = _breached(snapshot)
    stuck = bool(breached) and _is_stuck(snapshot, valuation, deltas)
    if stuck or (benefit <= gas and not any(map(_moves, _deltas(valuation, book, planned)))):
        trades = ()
    # Collateral cannot mend a band; whether it mends margin or gap the simulation finds out.
    hopeless = stuck and set(breached) <= set(_BANDS)
    restoring = () if hopeless else restoring_legs(snapshot, trades)[:MAX_LEGS]
    trades = trades[: MAX_LEGS - len(restoring)]
    gas = per_gas * (policy.rebalance_gas + policy.leg_gas * max(0, len(trades) + len(restoring) - 1))
    deltas = _deltas(valuation, book, trades)
    legs = (*restoring, *legs_of(trades, snapshot, policy))
    aave = _what_aave_refuses(snapshot, deltas)
    if not legs:
        return _plain(snapshot, Action.HOLD, _why_hold(deltas, benefit, gas, breached) + caveat + aave, deltas)
    if trades:
        try:
            second_opinion(program, solution)
        except SolverError as error:
            return _plain(snapshot, Action.REFUSE, f"no hedge could be computed: {error}")
    costs = _costs(trades, gas)
    unchanged = tuple(replace(change, after=change.before) for change in deltas)
    risk_before, risk_after = (_risk(book, policy, scenarios, changes) for changes in (unchanged, deltas))
    return Decision(
        block_number=snapshot.block_number,
        block_hash=snapshot.block_hash,
        action=Action.TRADE,
        reason=_why_trade(trades, deltas, risk_before, risk_after, costs) + caveat + aave,
        legs=legs,
        deltas=deltas,
        costs=costs,
        risk_before=risk_before,
        risk_after=risk_after,
        binding=_binding(program, solution),
    )


def _plain(snapshot: Snapshot, action: Action, reason: str, deltas: tuple[DeltaChange, ...] = ()) -> Decision:
    return Decision(snapshot.block_number, snapshot.block_hash, action, reason, deltas=deltas)


def instruments_of(snapshot: Snapshot) -> tuple[Instrument, ...]:
    """Every way to trade that the snapshot's venues offer where there is a price."""
    slippage = snapshot.vault.budgets.leg_slippage / WAD
    instruments: list[Instrument] = []
    for venue in snapshot.venues:
        reading = snapshot.readings[venue.state.underlying]
        if reading.price_wad == 0:
            continue
        reference = Reference(reading.price_wad / WAD, slippage)
        if venue.kind is VenueKind.UNISWAP_V3_SPOT:
            instruments.extend(spot_instruments(venue, reference))
        elif venue.kind is VenueKind.AAVE_V3_SHORT:
            instruments.extend(short_instruments(venue, reference))
    return tuple(instruments)


def _trades(z: Array, instruments: tuple[Instrument, ...], book: Book, policy: Policy) -> tuple[Trade, ...]:
    """The solution in units without what is too small, as many as fit into a rebalance; what frees cash comes first."""
    n = len(instruments)
    trades = []
    for i, instrument in enumerate(instruments):
        amount = float(z[i] - z[n + i]) * book.nav
        units = amount / book.exposures[instrument.underlying].spot
        if abs(amount) >= policy.min_trade and abs(units) >= SMALLEST:
            trades.append(Trade(instrument, units))
    largest = sorted(trades, key=lambda trade: -abs(trade.units) * book.exposures[trade.instrument.underlying].spot)
    return tuple(sorted(largest[:MAX_LEGS], key=lambda trade: trade.cash))


def _benefit(program: Program, solution: Solution, instruments: tuple[Instrument, ...], book: Book) -> float:
    """How much better the solution is than not trading, share of NAV: gas and the pull into the band not counted."""
    traded = solution.z.copy()
    traded[2 * (len(instruments) + len(book.exposures)) :] = 0.0  # the excesses over the keeper's own band
    return program.objective(np.zeros_like(traded)) - program.objective(traded)


def _deltas(valuation: Valuation, book: Book, trades: tuple[Trade, ...]) -> tuple[DeltaChange, ...]:
    changes = []
    for u, (delta, exposure) in enumerate(zip(valuation.deltas, book.exposures, strict=True)):
        traded = sum(trade.units for trade in trades if trade.instrument.underlying == u)
        changes.append(DeltaChange(u, delta, delta + traded, book.delta_band * book.nav / exposure.spot))
    return tuple(changes)


def _moves(plan: DeltaChange) -> bool:
    """Whether a delta outside its band comes inside or a good part of the way: budgets that refill by the second would
    let crumbs through at every block, each for the gas of a whole trade."""
    outside = abs(plan.before) > plan.band
    return outside and (abs(plan.after) <= plan.band or abs(plan.after - plan.before) >= _CRUMB * plan.band)


def _costs(trades: tuple[Trade, ...], gas: float) -> Costs:
    fee = carry = 0.0
    flows: dict[tuple[str, bool], tuple[float, float]] = {}
    for trade in trades:
        buys, size = trade.units > 0, abs(trade.units)
        side = trade.instrument.buy if buys else trade.instrument.sell
        fee += side.fee * size
        carry += side.carry * size
        _, so_far = flows.get((trade.instrument.pool_address, buys), (0.0, 0.0))
        flows[trade.instrument.pool_address, buys] = (side.impact, so_far + size)
    impact = sum(per_square * size**2 for per_square, size in flows.values())
    return Costs(fee=fee, impact=impact, gas=gas, carry=carry)


def _risk(book: Book, policy: Policy, scenarios: Scenarios | None, changes: tuple[DeltaChange, ...]) -> float:
    """The objective's terms of variance and CVaR after ``changes``, USDC."""
    deltas = np.array([change.after * exposure.spot for change, exposure in zip(changes, book.exposures, strict=True)])
    moves = deltas @ variance_factors(book, policy)
    variance = policy.risk_aversion / book.nav * float(moves @ moves) / 2
    if scenarios is None:
        return variance
    pnl = scenarios.book + scenarios.moves @ np.array([change.after - change.before for change in changes])
    return variance - policy.tail_aversion * float(tail_weights(pnl, policy.tail_level) @ pnl)


def _binding(program: Program, solution: Solution) -> tuple[tuple[str, float], ...]:
    return tuple(
        (name, float(abs(price)))
        for name, price in zip(program.names, solution.shadow_prices, strict=True)
        if abs(price) > _SHADOW_PRICE
    )


def _why_hold(deltas: tuple[DeltaChange, ...], benefit: float, gas: float, breached: Sequence[str]) -> str:
    worth = f"trading gains {max(benefit, 0.0):.2f} USDC, gas costs {gas:.2f} USDC"
    outside = [UNDERLYINGS[change.underlying] for change in deltas if abs(change.before) > change.band]
    if outside:
        names = " and ".join(outside)
        return f"delta of {names} is outside its band, but the limits leave no trade worth its gas: {worth}"
    if breached and set(breached) <= set(_BANDS):
        return (
            f"outside its band: {', '.join(breached)}; every delta is inside,"
            " and the vault takes no trade that cannot bring the others back"
        )
    return f"delta is in the no-trade region: {worth}"


def _what_aave_refuses(snapshot: Snapshot, deltas: tuple[DeltaChange, ...]) -> str:
    """Where a short is held, or would be wanted."""
    said = ""
    for venue in snapshot.venues:
        u = venue.state.underlying
        wanted = deltas[u].before
        if venue.lending is None or (venue.state.exposure == 0 and wanted <= deltas[u].band):
            continue
        refused = held_up(venue.lending, snapshot.readings[u].price_wad / WAD, wanted)
        if refused:
            said += f"; for {UNDERLYINGS[u]} Aave {refused}"
    return said


def _breached(snapshot: Snapshot) -> tuple[str, ...]:
    """The limits that the contract finds exceeded, for people."""
    chain, limits = snapshot.assessment, snapshot.limits
    excess = excesses(chain, chain.nav_bid, limits.delta_target, limits)
    return tuple(name for name, amount in zip(_LIMITS, excess, strict=True) if amount > 0)


def _is_stuck(snapshot: Snapshot, valuation: Valuation, deltas: tuple[DeltaChange, ...]) -> bool:
    """Whether the contract would refuse the trade: of the breached limits one must shrink by a tenth of its excess.

    At the oracle price and without costs, so that only a hopeless trade is held back: the simulation has the last word.
    """
    spots = [options.spot for options in valuation.options]
    moved = []
    for venues, change, spot in zip(valuation.venues, deltas, spots, strict=True):
        units = change.after - change.before
        half = units * spot / 2
        stressed = {"stressed_down": venues.stressed_down - half, "stressed_up": venues.stressed_up + half}
        moved.append(replace(venues, units=venues.units + units, **stressed))
    now, then = valuation.margins, margins(valuation.options, moved, valuation.cash)
    gross = sum(abs(change.after - change.before) * spot for change, spot in zip(deltas, spots, strict=True))
    leverage = snapshot.limits.gross_leverage / WAD * now.nav_bid
    excess = [
        (now.initial - now.nav_bid, then.initial - now.nav_bid),
        (-now.gap_headroom, -then.gap_headroom),
        (now.gross - leverage, now.gross - gross - leverage),  # at best every unit closes one
        *((abs(change.before) - change.band, abs(change.after) - change.band) for change in deltas),
    ]
    return not any(before > 0 and max(after, 0.0) <= _SHRINKS * before for before, after in excess)


def _why_trade(
    trades: tuple[Trade, ...], deltas: tuple[DeltaChange, ...], risk_before: float, risk_after: float, costs: Costs
) -> str:
    if not trades:
        return "collateral is restored to its health target"
    moves = ", ".join(
        f"{'buy' if trade.units > 0 else 'sell'} {abs(trade.units):.4f} {UNDERLYINGS[trade.instrument.underlying]}"
        f" by {trade.instrument.name}"
        for trade in trades
    )
    changes = ", ".join(
        f"{UNDERLYINGS[change.underlying]} delta {change.before:+.3f} to {change.after:+.3f}, band {change.band:.3f}"
        for change in deltas
        if change.before != change.after
    )
    return f"{moves}: {changes}; risk {risk_before:.2f} to {risk_after:.2f} USDC, costs {costs.total:.2f} USDC"
