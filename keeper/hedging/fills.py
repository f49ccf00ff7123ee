"""Which of the makers' offers are worth taking, and how much of each: the hedge program with offers, and their smallest
fills by branching: each offer that the solution takes too little of is left out, or taken at least that far."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from keeper.domain.offer import Fill, Offer
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import SIZE_UNIT, WAD
from keeper.domain.valuation import Valuation
from keeper.hedging.few_legs import Chosen, solve_by_legs
from keeper.hedging.horizon import gas_price
from keeper.hedging.legs import MAX_LEGS
from keeper.hedging.offers import Offered, with_offers
from keeper.hedging.problem import Book, Scenarios, build
from keeper.hedging.program import Program, SolverError
from keeper.hedging.second_opinion import second_opinion
from keeper.venues.instrument import Instrument
from keeper.venues.maker import option_instruments

_WORTH = 1e-8  # share of NAV: fills that gain less are none
_NONE = 1e-9  # share of NAV that is no fill
_MAX_BRANCHES = 64


def fills_of(
    snapshot: Snapshot,
    valuation: Valuation,
    book: Book,
    instruments: tuple[Instrument, ...],
    policy: Policy,
    scenarios: Scenarios | None,
    offers: Sequence[Offer],
    vega_budget_wad: int,
) -> tuple[Fill, ...]:
    """What of the offers is worth taking, together with the hedge that it needs: none where that gains nothing.

    Args:
        scenarios: The tail counts only where they know every series that can be filled.
        vega_budget_wad: OptionBook.vega_budget.

    Raises:
        SolverError: as `solve`, or another solver's answer differs.
    """
    parts = option_instruments(snapshot, offers)
    if not parts:
        return ()
    known = scenarios is not None and all(offers[part.offer].series in scenarios.units for part in parts)
    base = build(book, instruments, policy, scenarios if known else None)
    offered = with_offers(base, snapshot, valuation, book, instruments, policy, parts, vega_budget_wad)
    if known and scenarios is not None:
        offered = _with_tail(offered, scenarios, offers, book)
    legs = [(i, len(instruments) + i) for i in range(len(instruments))]
    gas = policy.leg_gas * gas_price(snapshot) / book.nav
    least = {
        k: offers[k].min_fill_wad / WAD * book.exposures[offers[k].series.underlying].spot / book.nav
        for k in {part.offer for part in parts}
    }
    nothing = solve_by_legs(_without(offered.program, offered, list(least)), legs, gas, MAX_LEGS)
    chosen = _solve_with_least(offered, legs, gas, least, nothing)
    if nothing.objective - chosen.objective <= _WORTH:
        return ()
    second_opinion(chosen.program, chosen.solution)
    fills = []
    for k, offer in enumerate(offers):
        share = sum(float(chosen.solution.z[column]) for column in offered.columns(k))
        units = share * book.nav / book.exposures[offer.series.underlying].spot
        size = min(int(units * WAD) // SIZE_UNIT * SIZE_UNIT, offer.size_wad)
        # The solver meets the smallest fill to its tolerance only.
        near = offer.min_fill_wad * (1 - 1e-6) <= size < offer.min_fill_wad
        size = offer.min_fill_wad if near else size
        if size > 0 and size >= offer.min_fill_wad:
            fills.append(Fill(offer, size))
    return tuple(fills)


def _solve_with_least(
    offered: Offered, legs: Sequence[Sequence[int]], gas: float, least: Mapping[int, float], nothing: Chosen
) -> Chosen:
    """The best choice in which every offer is left out or taken at least its smallest fill; ``nothing`` is one."""
    best, count = nothing, itertools.count()
    nodes: list[tuple[float, int, Program, Chosen]] = []

    def open_node(program: Program) -> None:
        try:
            chosen = solve_by_legs(program, legs, gas, MAX_LEGS)
        except SolverError:
            return  # no choice with these keeps the limits
        if chosen.objective < best.objective - _WORTH:
            heapq.heappush(nodes, (chosen.objective, next(count), program, chosen))

    open_node(offered.program)
    for _ in range(_MAX_BRANCHES):
        if not nodes or nodes[0][0] >= best.objective - _WORTH:
            break
        _, _, program, chosen = heapq.heappop(nodes)
        taken = {k: float(sum(chosen.solution.z[offered.columns(k)])) for k in least}
        short = {k: least[k] - size for k, size in taken.items() if _NONE < size < least[k] * (1 - 1e-6)}
        if not short:
            best = chosen
            break  # the nodes come by their bound
        k = max(short, key=lambda offer: short[offer])
        open_node(_without(program, offered, [k]))
        at_least = np.zeros(len(program.linear))
        at_least[offered.columns(k)] = 1.0
        open_node(
            replace(
                program,
                rows=np.vstack([program.rows, at_least]),
                lower=np.append(program.lower, least[k]),
                upper=np.append(program.upper, np.inf),
                names=(*program.names, "smallest fill"),
            )
        )
    return best


def _without(program: Program, offered: Offered, left_out: Sequence[int]) -> Program:
    bound = program.bound.copy()
    for k in left_out:
        bound[offered.columns(k)] = 0.0
    return replace(program, bound=bound)


def _with_tail(offered: Offered, scenarios: Scenarios, offers: Sequence[Offer], book: Book) -> Offered:
    """The tail with what the fills gain in each scenario."""
    program, tail = offered.program, offered.program.tail
    if tail is None:
        return offered
    gains, trades = [], []
    for k, part in enumerate(offered.parts):
        offer = offers[part.offer]
        sign = -1.0 if offer.vault_sells else 1.0
        gains.append(sign * scenarios.units[offer.series] / book.exposures[part.underlying].spot)
        trade = np.zeros(len(program.linear))
        trade[offered.first + k] = 1.0
        trades.append(trade)
    longer = replace(tail, pnl=np.vstack([tail.pnl, *gains]), trades=np.vstack([tail.trades, *trades]))
    return replace(offered, program=replace(program, tail=longer))
