"""What hedges cost does not depend on how they are cut, and no sequence of them costs more than the buckets hold.

Invariants 37 and 38.
"""

import itertools

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import DAY, HOUR, WAD, events, reverts
from tests.contracts.protocol import LOOSE, SHORT, SPOT, Budgets, wad

NAV_MOVES = 1e-4  # by what the first of several calls loses or gains: the next one's share is of another NAV
SIZES = st.integers(-8_000, 8_000).filter(bool).map(lambda milli: milli / 1_000)
CUTS = st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True).map(sorted)


@pytest.fixture
def loose(hedged):
    """With a pool price above the oracle's and a TWAP below both: every cost is there, in both directions."""
    hedged.risk.set_limits(LOOSE, sender=hedged.governor)
    hedged.hedger.set_budgets((WAD,) * 9 + (wad(0.05),), sender=hedged.governor)
    hedged.rebalance(hedged.leg(SPOT, 10), hedged.leg(SHORT, -10))
    hedged.market.push_pool(2_991)
    hedged.market.wait(240)
    hedged.market.push_pool(3_003)
    hedged.market.wait(1)
    return hedged


def spent(protocol, *calls):
    """What rebalances take from the buckets of losses, turnover and emergencies, shares of NAV."""
    hedger = protocol.hedger

    def balances():
        return hedger.loss_budget(), hedger.turnover_budget(), hedger.emergency_budget()

    with boa.env.anchor():
        before = balances()
        for legs in calls:
            protocol.rebalance(*(protocol.leg(venue, units, limit=limit) for venue, units, limit in legs))
        return [was - now for was, now in zip(before, balances(), strict=True)]


def pieces(units, cuts):
    """Cut a trade at these thousandths of it."""
    edges = [0, *(round(units * cut) for cut in cuts), round(units * 1_000)]
    return [(b - a) / 1_000 for a, b in itertools.pairwise(edges) if a != b]


def leg_of(venue, units):
    return venue, units, 4_000 if units > 0 else 2_000


@given(venue=st.sampled_from([SPOT, SHORT]), units=SIZES, cuts=CUTS)
def test_splitting_a_trade_gains_no_budget(loose, venue, units, cuts):
    """Invariant 38. Into legs of one call, and into calls."""
    parts = [leg_of(venue, part) for part in pieces(units, cuts)]

    whole = spent(loose, [leg_of(venue, units)])
    as_legs = spent(loose, parts)
    as_calls = spent(loose, *[[part] for part in parts])

    for split in (as_legs, as_calls):
        assert split[0] >= whole[0] * (1 - NAV_MOVES)
        assert split[1] == pytest.approx(whole[1], rel=NAV_MOVES)
        assert split[2] == whole[2] == 0


@given(there=SIZES, venues=st.permutations([SPOT, SHORT]))
def test_a_round_trip_costs_as_much_in_one_call_as_in_two(loose, there, venues):
    """Invariant 38. Netted over a call, |delta| would not have changed: what left would be charged twice, or not."""
    go, back = leg_of(venues[0], there), leg_of(venues[1], -there)

    together, apart = spent(loose, [go, back]), spent(loose, [go], [back])

    assert apart[0] == pytest.approx(together[0], abs=wad(1e-6))
    assert apart[1] == pytest.approx(together[1], abs=wad(1e-6))
    assert 2 * together[1] * 10**6 > abs(there) * WAD * 3_000 - wad(1e-3)


@pytest.mark.parametrize("venue", [SPOT, SHORT])
def test_a_leg_through_neutral_is_charged_as_its_two_parts(hedged, venue):
    """Invariant 38. With the loss bucket empty only what brings delta to zero may use the emergency's, also when the
    leg goes on beyond.
    """
    p, ample = hedged, Budgets(*(WAD,) * 9, leg_slippage=wad(0.05))
    p.risk.set_limits(LOOSE, sender=p.governor)
    p.hedger.set_budgets(ample, sender=p.governor)
    p.rebalance(p.leg(SHORT, -4 - p.vault.assessment().delta[0] / WAD))
    p.hedger.set_budgets(ample._replace(loss_capacity=1, loss_per_day=0), sender=p.governor)

    with reverts("budget: exhausted"):
        p.rebalance(p.leg(venue, 5.9))
    before = p.hedger.emergency_budget()
    p.rebalance(p.leg(venue, 3.9))

    assert p.hedger.emergency_budget() < before


HEDGES = st.sampled_from([(SPOT, 5), (SPOT, 12), (SHORT, -5), (SHORT, -12)])  # never more than is held
PAUSES = st.sampled_from([0, 0, HOUR, DAY])
LOSSES = ("loss_capacity", "loss_per_day", "emergency_capacity", "emergency_per_day")


@given(steps=st.lists(st.tuples(st.lists(HEDGES, min_size=1, max_size=2), PAUSES), min_size=6, max_size=10))
def test_no_sequence_of_calls_loses_or_trades_more_than_the_buckets_hold(hedged, steps):
    """Invariant 37. Losses and turnover away from neutral so far, against capacity and refill; NAV hardly moves.

    A fiftieth of the default for losses, which then bind as turnover does.
    """
    budgets = Budgets()
    scarce = {name: getattr(budgets, name) // 50 for name in LOSSES}
    hedged.risk.set_limits(LOOSE, sender=hedged.governor)
    hedged.hedger.set_budgets(budgets._replace(**scarce), sender=hedged.governor)
    start, nav = hedged.market.now, hedged.vault.assessment().nav_bid
    lost = traded = 0
    for hedges, pause in steps:
        try:
            hedged.rebalance(*(hedged.leg(venue, units) for venue, units in hedges))
        except BoaError:
            continue
        (total,) = events(hedged.hedger, "Rebalanced")
        lost, traded = lost + total.loss, traded + total.turnover
        days = (hedged.market.now - start) / DAY
        assert lost <= 1.01 * nav * (0.003 + 0.0025 * days) / 50
        assert traded <= 1.01 * nav * (0.08 + 0.08 * days)
        hedged.market.wait(pause)
    assert hedged.ledger_problems([hedged.depositor]) == []
