"""The vault's own hedge programs, of any book: proven, no worse than doing nothing, the same in other units."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.domain.policy import Policy
from keeper.domain.series import Position
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.hedging.decide import decide, instruments_of
from keeper.hedging.problem import Book, Scenarios, book_of, build
from keeper.hedging.program import Array, Program
from keeper.hedging.solver import solve
from keeper.risk.valuation import value
from keeper.venues.instrument import Instrument, Side
from tests.keeper.hedging.conftest import BTC, Bitcoin, make_snapshot, option

POLICY = Policy()
SPOTS = np.array([3_000.0, 90_000.0])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Books of ETH and BTC, hedged well or badly, with two pools for ETH."""

    def positions(underlying: int, unit: float) -> list[Position]:
        rows = st.tuples(st.booleans(), st.sampled_from([0.8, 0.9, 1.0, 1.1, 1.2]), st.integers(-60, 20))
        found = draw(st.lists(rows, max_size=4, unique_by=lambda row: row[:2]))
        spot = float(SPOTS[underlying])
        return [option(c, spot * m, round(n * unit, 6), underlying=underlying) for c, m, n in found if n]

    held, debt = draw(st.floats(0, 80)), draw(st.floats(0, 80))
    btc = Bitcoin(held=draw(st.floats(0, 2)), debt=draw(st.floats(0, 2)))
    book = (*positions(0, 1.0), *positions(BTC, 1 / 30))
    made = make_snapshot(book, held=held, debt=debt, idle=draw(st.floats(500_000, 2_000_000)), btc=btc)
    spot = made.venues[0]
    second = replace(spot.pools[0], address="0x" + "44" * 20, fee_pips=draw(st.sampled_from([100, 3_000])))
    return replace(made, venues=(replace(spot, pools=(*spot.pools, second)), *made.venues[1:]))


def scenarios(seed: int, book: Book) -> Scenarios:
    """Fat-tailed moves, and a book that loses by their squares."""
    moves = 0.03 * np.random.default_rng(seed).standard_t(4, size=(400, 2))
    return Scenarios(-book.nav * np.square(moves).sum(axis=1), moves * SPOTS)


def nothing(program: Program, book: Book, instruments: int) -> Array:
    """No trade: the deltas stay outside the keeper's band as far as they are."""
    z = np.zeros(len(program.linear))
    excesses = slice(2 * instruments + 2 * len(book.exposures), None)
    z[excesses] = program.bound[excesses]
    return z


def parts(snapshot: Snapshot) -> tuple[Book, tuple[Instrument, ...]]:
    return book_of(snapshot, value(snapshot), POLICY), instruments_of(snapshot)


@settings(max_examples=60, deadline=None)
@given(snapshots(), st.one_of(st.none(), st.integers(0, 2**32 - 1)))
def test_each_is_solved_to_its_certificate_and_is_no_worse_than_doing_nothing(
    snapshot: Snapshot, seed: int | None
) -> None:
    book, instruments = parts(snapshot)
    program = build(book, instruments, POLICY, None if seed is None else scenarios(seed, book))

    solution = solve(program)

    assert solution.residual <= 1e-8
    assert solution.objective - solution.lower_bound <= 1e-8
    assert program.violation(solution.z) <= 1e-8
    assert solution.objective <= program.objective(nothing(program, book, len(instruments))) + 1e-8


@settings(max_examples=40, deadline=None)
@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_instruments_does_not_matter(snapshot: Snapshot, random) -> None:  # type: ignore[no-untyped-def]
    book, instruments = parts(snapshot)
    order = list(range(len(instruments)))
    random.shuffle(order)

    found = solve(build(book, instruments, POLICY))
    other = solve(build(book, tuple(instruments[i] for i in order), POLICY))

    assert other.objective == pytest.approx(found.objective, abs=2e-8)
    n = len(instruments)
    net, other_net = found.z[:n] - found.z[n : 2 * n], other.z[:n] - other.z[n : 2 * n]
    risk = np.array([instrument.underlying for instrument in instruments])
    for u in range(len(book.exposures)):
        assert other_net[risk[order] == u].sum() == pytest.approx(net[risk == u].sum(), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(snapshots(), st.floats(0.01, 1e6))
def test_the_unit_of_the_underlying_does_not_matter(snapshot: Snapshot, unit: float) -> None:
    """Prices of a thousandth of a coin: a thousand times the size for a thousandth of the price each."""
    book, instruments = parts(snapshot)

    def in_units(side: Side) -> Side:
        fields = (side.capacity * unit, side.fee / unit, side.impact / unit**2)
        return Side(*fields, side.cash / unit, side.carry / unit, side.oracle_loss / unit)

    changed = tuple(
        replace(i, position=i.position * unit, room=i.room * unit, buy=in_units(i.buy), sell=in_units(i.sell))
        for i in instruments
    )
    exposures = tuple(replace(exposure, spot=exposure.spot / unit) for exposure in book.exposures)

    ours = build(book, instruments, POLICY)
    theirs = build(replace(book, exposures=exposures), changed, POLICY)

    # Legs are rounded to 1e-6 units, for which the gross leverage leaves room: a little more of a dearer unit.
    assert solve(theirs).objective == pytest.approx(solve(ours).objective, abs=1e-7)


@pytest.mark.parametrize("times", [0.1, 10.0, 100.0])
def test_a_vault_of_another_size_trades_as_much_of_itself(times: float) -> None:
    """Pools, gas and what is held as many times as large."""

    def legs(factor: float) -> list[tuple[int, float]]:
        book = (option(False, 3_000, -60 * factor), option(True, 3_300, -40 * factor))
        made = make_snapshot(
            book, idle=1_000_000 * factor, held=5 * factor, depth=40e6 * factor, base_fee_gwei=1.0 * factor
        )
        decision = decide(made, replace(POLICY, min_trade=100.0 * factor))
        return [(leg.venue, leg.delta_change / WAD / factor) for leg in decision.legs]

    assert legs(1.0)
    for (venue, units), (other_venue, other_units) in zip(legs(1.0), legs(times), strict=True):
        assert other_venue == venue
        assert other_units == pytest.approx(units, rel=1e-4)
