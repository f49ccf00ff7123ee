"""Where P&L came from: the parts sum to the whole, each is its own Greek's, and the residual is of higher order."""

import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.domain.units import USDC, WAD
from keeper.risk.attribution import Attribution, CashMoved, explain, hedging_error
from keeper.risk.valuation import value
from tests.keeper.risk.books import DAY, NOW, flat_slice, hedge, option, reading, snapshot_of, snapshots

ETH, BTC = 0, 1
EXPIRY = NOW + 14 * DAY
SPOT, BITCOIN = 3000.0, 90_000.0
NOTHING = (CashMoved(), CashMoved())


def book_at(
    spot=SPOT, vol=0.6, *, positions=((True, 3100.0, -40.0), (False, 2900.0, -40.0)), units=0.0, later=0, idle=10**6
):
    """ETH options on one flat slice, a hedge of ``units`` bought at 3,000, ``later`` seconds after NOW."""
    book = [option(ETH, is_call, EXPIRY, strike, size) for is_call, strike, size in positions]
    venues = []
    if units:
        state = hedge(ETH, units, SPOT)
        venues = [replace(state, equity=state.equity + round(units * (spot - SPOT) * WAD))]
    surface = [(ETH, EXPIRY, flat_slice(vol, EXPIRY))]
    readings = (reading(spot), reading(BITCOIN))
    return value(snapshot_of(book, surface, readings, venues, idle=idle * USDC, timestamp=NOW + later))


def nav(valuation):
    return valuation.cash + sum(v.equity for v in valuation.venues) + sum(o.mid for o in valuation.options)


@given(before=snapshots(), move=st.tuples(*[st.floats(0.8, 1.25)] * 2), later=st.integers(0, 2 * DAY), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_parts_sum_to_the_change_of_nav_whatever_the_book_and_the_step(before, move, later, data):
    """Prices, time and cash move at random, and positions are traded and vanish."""
    readings = tuple(replace(r, price_wad=int(r.price_wad * m)) for r, m in zip(before.readings, move, strict=True))
    kept = data.draw(st.integers(0, len(before.book)))
    moved = tuple(CashMoved(*(data.draw(st.floats(-1e4, 1e4)) for _ in fields(CashMoved))) for _ in before.readings)
    cash = sum(m.premiums + m.payouts + m.hedges for m in moved)
    after = replace(before, readings=readings, book=before.book[:kept], timestamp=before.timestamp + later)
    start, end = value(before), value(after)

    parts = explain(start, end, moved)

    assert sum(part.total for part in parts) == pytest.approx(nav(end) + cash - nav(start), abs=1e-6, rel=1e-12)
    for u, part in enumerate(parts):
        options = end.options[u].mid - start.options[u].mid + moved[u].premiums + moved[u].payouts
        venues = end.venues[u].equity - start.venues[u].equity + moved[u].hedges
        assert part.unhedged == pytest.approx(options, abs=1e-6, rel=1e-12)
        assert part.total == pytest.approx(options + venues, abs=1e-6, rel=1e-12)


def test_a_book_of_spot_alone_has_delta_and_nothing_else():
    [eth, btc] = explain(book_at(positions=(), units=10.0), book_at(3100.0, positions=(), units=10.0), NOTHING)

    assert eth.hedge_delta == pytest.approx(1000.0)
    assert eth == Attribution(hedge_delta=eth.hedge_delta, carry=eth.carry)
    assert eth.carry == pytest.approx(0.0, abs=1e-9)
    assert btc == Attribution()


def test_time_alone_is_theta_and_volatility_alone_is_vega():
    [by_time, _] = explain(book_at(), book_at(later=3600), NOTHING)
    [by_vol, _] = explain(book_at(), book_at(vol=0.605), NOTHING)

    assert by_time.theta > 0
    assert by_time == Attribution(theta=by_time.theta, option_residual=by_time.option_residual)
    assert abs(by_time.option_residual) < 0.005 * by_time.theta
    assert by_vol.vega < 0
    assert by_vol == Attribution(vega=by_vol.vega, option_residual=by_vol.option_residual)
    assert abs(by_vol.option_residual) < 0.01 * abs(by_vol.vega)


def test_a_short_book_pays_gamma_whichever_way_the_price_goes():
    [up, _] = explain(book_at(), book_at(3030.0), NOTHING)
    [down, _] = explain(book_at(), book_at(2970.0), NOTHING)

    assert up.gamma == pytest.approx(down.gamma)
    assert up.gamma < 0
    assert up.option_delta == pytest.approx(-down.option_delta)


@pytest.mark.parametrize("to", [(3300.0, 0.75, 2 * DAY), (2700.0, 0.5, DAY), (3000.0, 0.9, 0), (2400.0, 1.2, 3600)])
def test_the_residual_shrinks_as_the_same_move_is_explained_in_more_steps(to):
    """Of the second order in the length of a step, for a smooth move: ten times the steps, a tenth at least."""
    spot, vol, later = to

    def residual(steps):
        marks = [
            book_at(SPOT + (spot - SPOT) * i / steps, 0.6 + (vol - 0.6) * i / steps, later=round(later * i / steps))
            for i in range(steps + 1)
        ]
        parts = [explain(a, b, NOTHING)[ETH] for a, b in itertools.pairwise(marks)]
        return sum((part for part in parts), Attribution()).option_residual

    coarse, fine, finest = residual(1), residual(10), residual(100)

    assert abs(fine) < 0.35 * abs(coarse)
    assert abs(finest) < 0.15 * abs(fine)


def test_a_sale_above_mid_is_premium_and_nothing_else():
    before = book_at(positions=())
    after = book_at(idle=1_010_000)
    worth = -after.options[ETH].mid

    [eth, btc] = explain(before, after, (CashMoved(premiums=worth + 25.0), CashMoved()))

    assert eth.premium == pytest.approx(25.0)
    assert eth.option_residual == pytest.approx(0.0, abs=1e-9)
    assert btc == Attribution()


def test_a_purchase_in_full_is_premium_at_what_the_greeks_expect():
    before = book_at(positions=((True, 3100.0, -40.0),))
    worth = -before.options[ETH].mid

    [eth, _] = explain(before, book_at(positions=()), (CashMoved(premiums=-worth - 30.0), CashMoved()))

    assert eth.premium == pytest.approx(-30.0)
    assert eth.residual == pytest.approx(0.0, abs=1e-9)


def test_an_expiry_in_the_money_pays_what_the_options_were_worth():
    """The same price before, at and after the expiry: time value decays, the payout takes the rest."""
    put = ((False, 3200.0, -10.0),)
    before = book_at(positions=put, later=14 * DAY - 60)
    after = book_at(positions=(), later=14 * DAY + 60)

    [eth, _] = explain(before, after, (CashMoved(payouts=-2000.0), CashMoved()))

    assert eth.total == pytest.approx(-before.options[ETH].mid - 2000.0, abs=1e-9)
    assert eth.total == pytest.approx(0.0, abs=1.0)
    assert eth.premium == 0.0


def test_a_hedge_trade_costs_what_it_lost_and_its_rounding_is_not_called_interest():
    before = book_at(positions=())
    after = book_at(positions=(), units=10.0)

    [eth, _] = explain(before, after, (CashMoved(hedges=-30_015.0, costs=-15.0), CashMoved()))

    assert (eth.costs, eth.carry, eth.hedge_delta) == (-15.0, 0.0, 0.0)
    assert eth.hedge_residual == pytest.approx(0.0, abs=1e-9)
    assert eth.total == pytest.approx(-15.0)


def test_interest_is_carry():
    before = book_at(units=10.0)
    earned = replace(before.venues[ETH], equity=before.venues[ETH].equity + 3.0)

    [eth, _] = explain(before, replace(before, venues=(earned, before.venues[BTC])), NOTHING)

    assert eth == Attribution(carry=eth.carry)
    assert eth.carry == pytest.approx(3.0)


# ------------------------------------------------------------------ why the hedge missed


def test_delta_beyond_the_band_is_told_apart_from_delta_inside_it():
    before, after = book_at(positions=(), units=10.0), book_at(2990.0, positions=(), units=10.0)
    [part, _] = explain(before, after, NOTHING)

    error = hedging_error(before, after, ETH, part, band=4.0, gap=0.01)

    assert error.delta_inside == pytest.approx(-40.0)
    assert error.delta_outside == pytest.approx(-60.0)
    assert error.gaps == 0.0


@pytest.mark.parametrize(("spot", "is_gap"), [(2990.0, False), (2900.0, True), (3100.0, True)])
def test_gamma_and_all_higher_orders_of_a_large_move_are_a_gap(spot, is_gap):
    before, after = book_at(), book_at(spot)
    [part, _] = explain(before, after, NOTHING)

    error = hedging_error(before, after, ETH, part, band=4.0, gap=0.01)

    taken = (0.0, part.gamma + part.residual, 0.0) if is_gap else (part.gamma, 0.0, part.residual)
    assert (error.gamma, error.gaps, error.residual) == pytest.approx(taken)


@given(spot=st.floats(2000.0, 4000.0), units=st.floats(-80.0, 80.0), band=st.floats(0.0, 50.0), gap=st.floats(0, 0.3))
@settings(max_examples=50, deadline=None)
def test_the_causes_sum_to_delta_gamma_and_residual(spot, units, band, gap):
    before, after = book_at(units=units), book_at(spot, units=units)
    [part, _] = explain(before, after, NOTHING)

    error = hedging_error(before, after, ETH, part, band, gap)

    parts = (error.delta_inside, error.delta_outside, error.gamma, error.gaps, error.residual)
    assert sum(parts) == pytest.approx(part.delta + part.gamma + part.residual, abs=1e-6)
