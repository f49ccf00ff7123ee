"""Leaving costs what the pools' curves and the options' spreads say."""

from dataclasses import replace

import numpy as np
import pytest

from keeper.risk.scenarios import Scenarios
from keeper.risk.stress import LIBRARY, stress_scenarios
from keeper.risk.valuation import value
from keeper.venues.exit_cost import exit_cost, stressed
from keeper.venues.uniswap_v3 import average_price
from tests.keeper.hedging.conftest import Bitcoin, make_snapshot, option, pool_at

STILL = Scenarios(0.0, np.zeros((1, 1)), np.zeros((1, 1)))
SPOT = 3_000.0


def with_pools(snapshot, *pools):
    """The same venues, trading through other pools."""
    return replace(snapshot, venues=tuple(replace(venue, pools=pools) for venue in snapshot.venues))


@pytest.mark.parametrize(("held", "debt", "units"), [(200.0, 0.0, -200.0), (0.0, 150.0, 150.0)])
def test_one_pool_costs_its_average_price(held, debt, units):
    snapshot = make_snapshot(held=held, debt=debt)

    found = exit_cost(snapshot, STILL)

    paid = average_price(snapshot.venues[0].pools[0], units) * units
    assert found[0] == pytest.approx(paid - SPOT * units, rel=1e-9)
    assert found[0] > 0.0


@pytest.mark.parametrize("units", [-600.0, -100.0, 60.0, 500.0])
def test_across_ticks_a_pool_costs_what_its_contract_would_take(units):
    thin = pool_at(SPOT, 40e6)
    # Half of the liquidity lies within 2 % of the price, a quarter within 20 %, a quarter everywhere.
    near = [(thin.tick // 10 * 10 + offset, net) for offset, net in ((-2_000, 1), (-200, 2), (200, -2), (2_000, -1))]
    edges = [(-887_270, 1), *near, (887_270, -1)]
    pool = replace(thin, ticks=tuple((tick, net * thin.liquidity // 4) for tick, net in edges))
    snapshot = with_pools(make_snapshot(**({"held": -units} if units < 0 else {"debt": units})), pool)

    found = exit_cost(snapshot, STILL)

    assert found[0] == pytest.approx(average_price(pool, units) * units - SPOT * units, rel=1e-6)


def test_a_price_that_has_left_the_liquidity_finds_little():
    thin = pool_at(SPOT, 40e6)
    edge = thin.tick // 10 * 10
    pool = replace(thin, ticks=((edge - 2_000, thin.liquidity * 9 // 10), (edge + 2_000, -thin.liquidity * 9 // 10)))
    snapshot = with_pools(make_snapshot(held=100.0), pool)
    halved = Scenarios(0.0, np.log([[0.5]]), np.zeros((1, 1)))

    found = exit_cost(snapshot, halved)[0]

    # Beyond 20 % there is a tenth of the liquidity.
    tenth = with_pools(snapshot, replace(thin, liquidity=thin.liquidity // 10))
    assert found == pytest.approx(exit_cost(tenth, halved)[0], rel=1e-6)


def test_two_equal_pools_cost_as_much_as_one_of_twice_the_depth():
    one = pool_at(SPOT, 20e6)
    snapshot = make_snapshot(held=300.0)

    split = exit_cost(with_pools(snapshot, one, replace(one, address="0x" + "99" * 20)), STILL)

    assert split == pytest.approx(exit_cost(with_pools(snapshot, pool_at(SPOT, 40e6)), STILL), rel=1e-6)


def test_a_split_costs_no_more_than_any_other_split():
    cheap, dear = pool_at(SPOT, 10e6), replace(pool_at(SPOT, 30e6), fee_pips=3_000, address="0x" + "99" * 20)
    snapshot = with_pools(make_snapshot(debt=400.0), cheap, dear)

    found = exit_cost(snapshot, STILL)[0]

    shares = np.linspace(1.0, 399.0, 200)
    by_hand = [average_price(cheap, q) * q + average_price(dear, 400.0 - q) * (400.0 - q) for q in shares]
    assert found <= min(by_hand) - 400.0 * SPOT + 1e-6
    assert found == pytest.approx(min(by_hand) - 400.0 * SPOT, rel=1e-3)


def test_less_depth_costs_more_and_none_is_infinite():
    snapshot = make_snapshot(debt=500.0)

    full, tenth, gone = (exit_cost(snapshot, STILL, depth=depth)[0] for depth in (1.0, 0.1, 0.01))

    assert full < tenth < np.inf
    assert gone == np.inf  # the pool holds fewer units than are owed
    assert exit_cost(with_pools(snapshot), STILL)[0] == np.inf


def test_options_leave_at_bid_or_ask():
    snapshot = make_snapshot((option(True, 3_200, -20), option(False, 2_800, 10)))
    lines = value(snapshot).positions

    found = exit_cost(snapshot, STILL, spread=3.0)

    assert found[0] == pytest.approx(3.0 * (20 * (lines[0].ask - lines[0].mid) + 10 * (lines[1].mid - lines[1].bid)))


def test_a_higher_price_leaves_fewer_units_in_the_pools():
    snapshot = make_snapshot(debt=500.0)
    up = Scenarios(0.0, np.log([[1.0], [4.0]]), np.zeros((2, 1)))

    still, fourfold = exit_cost(snapshot, up)

    reserve = 40e6 / SPOT
    by_hand = 4.0 * SPOT * (500.0 / (1.0 - 500.0 / (reserve / 2.0)) / (1.0 - 5e-4) - 500.0)
    assert fourfold == pytest.approx(by_hand, rel=1e-6)
    assert fourfold > 4.0 * still


def test_the_stress_table_adds_the_cost_of_leaving():
    snapshot = make_snapshot((option(False, 2_800, -30),), debt=12.0, btc=Bitcoin(held=0.5))

    table = {row.stress.name: row for row in stressed(snapshot)}

    assert list(table) == [stress.name for stress in LIBRARY]
    gap, gone = table["gap of 60 % down"], table["liquidity gone"]
    assert gap.loss == pytest.approx(gap.exit_cost - gap.pnl)
    assert gap.pnl < -30 * (2_800 - 1_200) + 12 * 1_800 + 30 * 2_800 * 0.05
    assert gone.pnl == pytest.approx(0.0, abs=1e-6)
    plain = exit_cost(snapshot, stress_scenarios(underlyings=2))[list(table).index("liquidity gone")]
    assert gone.exit_cost > 2.5 * plain
