"""Makers' options in the hedge program: what is taken of them, and that nothing changes without them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from keeper.domain.offer import Fill, Offer
from keeper.domain.policy import Policy
from keeper.domain.series import Position
from keeper.domain.snapshot import Mode, Snapshot
from keeper.domain.units import DAY, WAD, to_wad
from keeper.hedging.decide import decide, instruments_of
from keeper.hedging.offers import VOL_OF_VOL, Offered, with_offers
from keeper.hedging.problem import Scenarios, book_of, build
from keeper.hedging.second_opinion import clarabel_objective
from keeper.hedging.solver import solve
from keeper.risk import mirror
from keeper.risk.limits import check_fill
from keeper.risk.valuation import value
from keeper.venues.maker import option_instruments
from tests.keeper.forecast.recordings import implied_index
from tests.keeper.hedging.conftest import BTC, ETH, NOW, Bitcoin, make_snapshot, option
from tests.keeper.hedging.makers import EXPIRY, PUT, STRIKE, neutral, offer_of, short_of_vega

POLICY = Policy()
BUDGET = WAD  # of vega traded: more than any test takes but those of the budget


def vega_share(snapshot: Snapshot, fills: tuple[Fill, ...] = ()) -> float:
    """|vega| after the fills as a share of the band."""
    after = after_fills(snapshot, fills)
    nav = value(snapshot).margins.nav_bid
    return abs(value(after).options[ETH].vega) / (nav * snapshot.limits.vega_band / WAD)


def after_fills(snapshot: Snapshot, fills: tuple[Fill, ...]) -> Snapshot:
    """The book and the cash after the fills, assessed as the chain does."""
    sizes = {position.series: position.size_wad for position in snapshot.book}
    idle = snapshot.vault.idle
    for fill in fills:
        sign = -1 if fill.offer.vault_sells else 1
        sizes[fill.offer.series] += sign * fill.size_wad
        idle -= sign * fill.offer.price_wad * fill.size_wad // 10**30
    book = tuple(Position(series, size) for series, size in sizes.items())
    risks = mirror.option_risk(book, snapshot.readings, snapshot.surface, NOW)
    assessment = mirror.assess(risks, [v.state for v in snapshot.venues], idle * 10**12)
    return replace(snapshot, book=book, vault=replace(snapshot.vault, idle=idle), assessment=assessment)


def fills(snapshot: Snapshot, *offers: Offer, policy: Policy = POLICY, budget: int = BUDGET) -> tuple[Fill, ...]:
    return decide(snapshot, policy, offers=offers, vega_budget_wad=budget).fills


def program_of(snapshot: Snapshot, *offers: Offer, policy: Policy = POLICY) -> Offered:
    valuation, instruments = value(snapshot), instruments_of(snapshot)
    book = book_of(snapshot, valuation, policy)
    base = build(book, instruments, policy)
    parts = option_instruments(snapshot, offers)
    return with_offers(base, snapshot, valuation, book, instruments, policy, parts, BUDGET)


CALM = replace(POLICY, risk_aversion=1.0, capital_charge=0.0)  # hardly a pull but the band's


def test_without_offers_the_program_is_the_same_object_and_the_decision_the_same() -> None:
    snapshot = short_of_vega()
    valuation, instruments = value(snapshot), instruments_of(snapshot)
    book = book_of(snapshot, valuation, POLICY)
    base = build(book, instruments, POLICY)

    assert with_offers(base, snapshot, valuation, book, instruments, POLICY, (), BUDGET).program is base
    assert decide(snapshot, POLICY, offers=(), vega_budget_wad=BUDGET) == decide(snapshot, POLICY)


def test_offers_change_no_leg() -> None:
    snapshot = short_of_vega()

    with_offer = decide(snapshot, POLICY, offers=(offer_of(snapshot, 5.0),), vega_budget_wad=BUDGET)

    assert with_offer.fills
    assert with_offer.legs == decide(snapshot, POLICY).legs


def test_a_fair_offer_is_bought_until_vega_is_inside_its_band_and_no_further() -> None:
    snapshot = short_of_vega(1.0)

    taken = fills(snapshot, offer_of(snapshot, -5.0), policy=CALM)

    assert vega_share(snapshot) > 1.03
    assert vega_share(snapshot, taken) == pytest.approx(1.0, abs=1e-4)
    assert vega_share(snapshot, taken) <= 1.0


def test_an_offer_that_costs_more_than_the_band_is_worth_is_left() -> None:
    snapshot = short_of_vega()

    assert fills(snapshot, offer_of(snapshot, -20.0), policy=CALM) == ()


def test_what_is_left_unhedged_costs_so_that_risk_aversion_buys_beyond_the_band() -> None:
    snapshot = short_of_vega(0.9)
    offer = offer_of(snapshot, -5.0)

    calm, averse = (fills(snapshot, offer, policy=replace(CALM, risk_aversion=a)) for a in (1.0, 500.0))

    assert calm == ()
    assert vega_share(snapshot, averse) < vega_share(snapshot) - 0.02


def test_an_offer_above_the_middle_mark_is_not_taken_whatever_it_is_worth() -> None:
    snapshot = short_of_vega()
    offer = offer_of(snapshot, 100.0)
    dear = replace(offer, price_wad=offer.price_wad + 1)

    assert fills(snapshot, offer)
    assert fills(snapshot, dear) == ()


def test_a_vault_that_is_short_of_nothing_buys_only_up_to_the_bid_mark() -> None:
    snapshot = make_snapshot((STRIKE,), idle=4_000_000.0)

    assert fills(snapshot, offer_of(snapshot, 30.0)) == ()
    assert fills(snapshot, offer_of(snapshot, 30.0, at="bid"))


def test_a_reduce_only_vault_buys_what_reduces_and_sells_nothing() -> None:
    snapshot = short_of_vega()
    reduce_only = replace(snapshot, vault=replace(snapshot.vault, mode=Mode.REDUCE_ONLY))
    held = make_snapshot((option(True, 3_000, 100.0, EXPIRY),), idle=4_000_000.0)
    sale = offer_of(held, 30.0, vault_sells=True, at="ask")

    assert fills(reduce_only, offer_of(snapshot, 5.0))
    assert fills(held, sale)
    assert fills(replace(held, vault=replace(held.vault, mode=Mode.REDUCE_ONLY)), sale) == ()


def test_no_more_is_sold_back_than_the_vault_holds() -> None:
    snapshot = make_snapshot((option(True, 3_000, 40.0, EXPIRY),), idle=4_000_000.0)

    taken = fills(snapshot, offer_of(snapshot, 60.0, vault_sells=True, at="ask"))

    assert sum(fill.size_wad for fill in taken) == pytest.approx(40 * WAD, rel=1e-6)
    assert sum(fill.size_wad for fill in taken) <= 40 * WAD


@pytest.mark.parametrize("budget", [0.0, 0.002, 0.005])
def test_the_vega_traded_stays_inside_its_budget(budget: float) -> None:
    snapshot = short_of_vega()
    nav = value(snapshot).margins.nav_bid

    taken = fills(snapshot, offer_of(snapshot, 5.0), budget=to_wad(budget))

    years = (EXPIRY - NOW) / 31_536_000
    spent = sum(0.4 * 3_000 * years**0.5 * fill.size_wad / WAD for fill in taken) / nav
    assert spent <= budget
    assert spent == pytest.approx(budget, rel=1e-3)


def test_below_the_smallest_fill_nothing_and_above_it_that() -> None:
    snapshot = short_of_vega()
    free = fills(snapshot, offer_of(snapshot, -0.01), policy=CALM)[0].size_wad / WAD

    some = fills(snapshot, offer_of(snapshot, -0.01, least=1.05 * free), policy=CALM)
    none = fills(snapshot, offer_of(snapshot, -3.0, least=4.0 * free), policy=CALM)

    assert some[0].size_wad == pytest.approx(1.05 * free * WAD, rel=1e-7)
    assert none == ()


def test_every_fill_stands_on_chain_in_either_order() -> None:
    snapshot = short_of_vega()
    offers = (offer_of(snapshot, 4.0), offer_of(snapshot, 4.0, position=PUT))

    taken = fills(snapshot, *offers)

    assert len(taken) == 2
    for order in (taken, taken[::-1]):
        before = after_fills(snapshot, ())
        for fill in order:
            after = after_fills(before, (fill,))
            verdict = check_fill(
                before.assessment, after.assessment, after.book, fill.offer.series, False, snapshot.limits,
                short_margins=(WAD, WAD), timestamp=NOW,
            )  # fmt: skip
            assert verdict.stands, verdict.reason
            before = after


@pytest.mark.parametrize("cheaper", [-8.0, -1.0, 0.0, 4.0, 12.0])
def test_the_program_is_proven_and_another_solver_finds_the_same(cheaper: float) -> None:
    snapshot = short_of_vega(btc=Bitcoin())
    offered = program_of(snapshot, offer_of(snapshot, cheaper), offer_of(snapshot, 2.0, position=PUT))

    solution = solve(offered.program)

    assert solution.residual < 1e-8
    assert offered.program.violation(solution.z) < 1e-8
    assert solution.objective - solution.lower_bound < 1e-8
    assert clarabel_objective(offered.program) == pytest.approx(solution.objective, abs=1e-7)


@pytest.mark.parametrize("cheaper", [-8.0, 0.0, 12.0])
def test_offers_never_make_the_program_dearer(cheaper: float) -> None:
    snapshot = short_of_vega()
    offered = program_of(snapshot, offer_of(snapshot, cheaper))
    bound = offered.program.bound.copy()
    bound[offered.columns(0)] = 0.0

    with_offers_taken, without = solve(offered.program), solve(replace(offered.program, bound=bound))

    assert with_offers_taken.objective <= without.objective + 1e-8


def test_with_its_fills_left_out_the_program_has_the_rows_of_the_one_without() -> None:
    """Same margin, gap and budgets: only the risk that no venue can take away is added."""
    snapshot = short_of_vega()
    offered = program_of(snapshot, offer_of(snapshot, 0.0), policy=CALM)
    base = program_of(snapshot, policy=CALM).program
    bound = offered.program.bound.copy()
    bound[offered.columns(0)] = 0.0
    n = len(base.linear)

    found, alone = solve(replace(offered.program, bound=bound)), solve(base)

    more = offered.program.squares[len(base.squares) :]
    fixed = float(offered.program.linear[n:] @ found.z[n:]) + sum(square.at(found.z) for square in more)
    assert fixed > 0
    assert found.objective - fixed == pytest.approx(alone.objective, abs=1e-8)


def test_the_order_of_offers_does_not_matter() -> None:
    snapshot = short_of_vega()
    call, put = offer_of(snapshot, 4.0), offer_of(snapshot, 3.0, position=PUT)

    forth = {fill.offer: fill.size_wad for fill in fills(snapshot, call, put)}
    back = {fill.offer: fill.size_wad for fill in fills(snapshot, put, call)}

    assert forth.keys() == back.keys()
    for offer, size in forth.items():
        assert back[offer] == pytest.approx(size, rel=1e-3)


def test_a_vault_ten_times_as_large_takes_ten_times_as_much() -> None:
    small = make_snapshot((option(True, 3_000, -100.0, EXPIRY),), idle=4_000_000.0, loss_budget=0.02, base_fee_gwei=0.0)
    large = make_snapshot(
        (option(True, 3_000, -1_000.0, EXPIRY),), idle=40_000_000.0, loss_budget=0.02, base_fee_gwei=0.0, depth=400e6
    )

    one, ten = fills(small, offer_of(small, 1.0)), fills(large, offer_of(large, 1.0, size=5_000.0))

    assert one
    assert ten[0].size_wad == pytest.approx(10 * one[0].size_wad, rel=1e-3)


@pytest.mark.skipif(implied_index() is None, reason="no recorded index of implied volatility")
def test_volatility_moves_by_what_was_recorded() -> None:
    """Daily changes of the logarithm of ETH's 30-day volatility, June 2022 to March 2026."""
    index = implied_index()
    assert index is not None
    at_midnight = index.close[(index.times % DAY == 0)]

    daily = np.diff(np.log(at_midnight))

    assert pytest.approx(daily.std() * np.sqrt(365), rel=0.05) == VOL_OF_VOL


def test_the_tail_buys_what_pays_in_it() -> None:
    """The same offer, fair and worth nothing else: a tail in which it gains is worth its price."""
    snapshot = neutral((option(True, 3_000, -100.0, EXPIRY),))
    offer = offer_of(snapshot, -5.0)
    moves = np.zeros((40, 1))
    gains = np.zeros(40)
    gains[:2] = 400.0
    book = np.where(gains > 0, -40_000.0, 0.0)
    policy = replace(CALM, tail_aversion=0.5)

    def taken(pays: float) -> tuple[Fill, ...]:
        scenarios = Scenarios(book, moves, {offer.series: pays * gains})
        return decide(snapshot, policy, scenarios, offers=(offer,), vega_budget_wad=BUDGET).fills

    assert taken(0.0) == ()
    assert sum(fill.size_wad for fill in taken(1.0)) > 10 * WAD


def test_an_offer_in_one_underlying_leaves_the_limits_of_the_other(snapshot_of: Callable[..., Snapshot]) -> None:
    book = (option(True, 3_000, -60, EXPIRY), option(True, 90_000, -1.5, underlying=BTC))
    snapshot = snapshot_of(book, btc=Bitcoin(), idle=4_000_000.0)
    program = program_of(snapshot, offer_of(snapshot, 1.0)).program

    names = [name for name in program.names if name.startswith("margin at ")]

    assert sum("ETH" in name for name in names) == 33
    assert sum("BTC" in name for name in names) == 11
