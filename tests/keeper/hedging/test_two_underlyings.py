"""What the keeper decides for a vault with ETH and BTC: each in its own venues, cash and limits shared."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD, to_wad
from keeper.hedging.decide import decide
from keeper.hedging.problem import book_of
from keeper.risk.limits import check_rebalance
from keeper.risk.valuation import value
from tests.keeper.hedging.conftest import BTC, ETH, Bitcoin, after_trades, make_snapshot, option

SNAPSHOTS = Callable[..., Snapshot]
POLICY = Policy()
SPOT, SHORT, BTC_SPOT, BTC_SHORT = range(4)  # venues of the snapshots


def traded(decision: Decision) -> list[tuple[int, bool]]:
    """Venue and whether it buys, of each leg."""
    return [(leg.venue, leg.delta_change > 0) for leg in decision.legs]


def test_short_calls_on_both_are_hedged_by_buying_both(snapshot_of: SNAPSHOTS) -> None:
    book = (option(True, 3_000, -60), option(True, 90_000, -1.5, underlying=BTC))

    decision = decide(snapshot_of(book, btc=Bitcoin()), POLICY)

    assert sorted(traded(decision)) == [(SPOT, True), (BTC_SPOT, True)]
    for change in decision.deltas:
        assert abs(change.after) <= POLICY.band_use * change.band + 1e-6 < abs(change.before)


def test_a_short_is_opened_before_spot_is_bought_with_what_it_needs(snapshot_of: SNAPSHOTS) -> None:
    book = (option(True, 3_000, -60), option(False, 90_000, -1.5, underlying=BTC))

    decision = decide(snapshot_of(book, btc=Bitcoin()), POLICY)

    assert sorted(traded(decision)) == [(SPOT, True), (BTC_SHORT, False)]


def test_a_long_delta_of_one_does_not_hedge_a_short_delta_of_the_other(snapshot_of: SNAPSHOTS) -> None:
    """30 ETH and 1 BTC are worth the same: the contracts margin them one by one."""
    decision = decide(snapshot_of(held=30.0, btc=Bitcoin(debt=1.0), idle=900_000), POLICY)

    assert sorted(traded(decision)) == [(SPOT, False), (BTC_SHORT, True)]


def test_an_underlying_that_needs_nothing_is_left_alone(snapshot_of: SNAPSHOTS) -> None:
    book = (option(True, 90_000, -1.5, underlying=BTC),)

    decision = decide(snapshot_of(book, btc=Bitcoin()), POLICY)

    assert traded(decision) == [(BTC_SPOT, True)]
    assert decision.deltas[ETH].before == decision.deltas[ETH].after == 0


def test_reasons_and_binding_limits_name_the_underlying(snapshot_of: SNAPSHOTS) -> None:
    book = (option(True, 3_000, -60), option(False, 90_000, -1.5, underlying=BTC))

    decision = decide(snapshot_of(book, btc=Bitcoin()), POLICY)

    assert " ETH by spot, Uniswap v3 0.05%" in decision.reason
    assert " BTC by short, Aave v3 and Uniswap v3 0.30%" in decision.reason
    assert "ETH delta " in decision.reason
    assert "BTC delta " in decision.reason
    names = [name for name, _ in decision.binding]
    assert {"ETH delta band", "BTC delta band"} <= set(names)


def test_without_a_way_to_trade_the_underlying_that_is_stuck_is_named(snapshot_of: SNAPSHOTS) -> None:
    snapshot = snapshot_of((option(True, 90_000, -1.5, underlying=BTC),), btc=Bitcoin(depth=1.0))

    decision = decide(snapshot, POLICY)

    assert decision.action is Action.HOLD
    assert decision.reason.startswith("delta of BTC is outside its band, but the limits leave no trade")


def test_gamma_of_one_underlying_that_no_hedge_can_mend_is_named(snapshot_of: SNAPSHOTS) -> None:
    """BTC's gamma is beyond its band and every delta inside: the contract refuses any trade, in ETH too."""
    book = (option(True, 90_000, -6, underlying=BTC), option(True, 3_000, -8))
    snapshot = snapshot_of(book, btc=Bitcoin(held=6 * 0.527), idle=700_000)

    decision = decide(snapshot, replace(POLICY, risk_aversion=10_000.0))

    assert decision.action is Action.HOLD
    assert decision.reason.startswith("outside its band: gamma of BTC; every delta is inside")


def test_gas_is_paid_in_ether_whatever_is_traded(snapshot_of: SNAPSHOTS) -> None:
    book = (option(True, 90_000, -1.5, underlying=BTC),)

    costs = [
        decide(snapshot_of(book, btc=Bitcoin(), spot=spot, base_fee_gwei=10.0), POLICY).costs.gas
        for spot in (3_000, 6_000)
    ]

    assert costs == pytest.approx([POLICY.rebalance_gas * 10e-9 * spot for spot in (3_000, 6_000)])


@pytest.mark.parametrize("btc_is_call", [True, False])
def test_the_risk_is_the_variance_of_correlated_moves(snapshot_of: SNAPSHOTS, btc_is_call: bool) -> None:
    """Short calls on both are short both; with short puts on BTC the deltas offset each other, as far as both move."""
    book = (option(True, 3_000, -60), option(btc_is_call, 90_000, -2, underlying=BTC))

    decision = decide(snapshot_of(book, btc=Bitcoin()), POLICY)

    eth, btc = (c.before * spot for c, spot in zip(decision.deltas, (3_000.0, 90_000.0), strict=True))
    snapshot = snapshot_of(book, btc=Bitcoin())
    found = book_of(snapshot, value(snapshot), POLICY)
    eth, btc = (  # deviations until each trades again; both slices are at 60 %
        delta * 0.6 * math.sqrt(exposure.horizon) for delta, exposure in zip((eth, btc), found.exposures, strict=True)
    )
    variance = eth**2 + btc**2 + 2 * POLICY.correlation * eth * btc
    assert decision.risk_before == pytest.approx(POLICY.risk_aversion / found.nav * variance / 2, rel=0.02)


def test_deltas_that_offset_each_other_are_hedged_less(snapshot_of: SNAPSHOTS) -> None:
    """Inside the bands, where only variance asks for a hedge."""
    loose = replace(POLICY, band_use=1.0, risk_aversion=400.0)

    def traded_of_eth(is_call: bool) -> float:
        book = (option(True, 3_000, -12), option(is_call, 90_000, -0.2, underlying=BTC))
        decision = decide(snapshot_of(book, btc=Bitcoin(depth=1.0)), loose)  # BTC itself cannot be traded
        return abs(decision.deltas[ETH].after - decision.deltas[ETH].before)

    assert traded_of_eth(is_call=False) < traded_of_eth(is_call=True)


def test_the_cash_is_shared(snapshot_of: SNAPSHOTS) -> None:
    """Either alone could be hedged with it, not both."""
    book = (option(True, 3_000, -45), option(True, 90_000, -1.5, underlying=BTC))
    snapshot = snapshot_of(book, btc=Bitcoin(held=1.2), held=33.0, idle=60_000, spot=3_300)
    nav = snapshot.assessment.nav_bid / WAD

    decision = decide(replace(snapshot, limits=replace(snapshot.limits, delta_target=to_wad(0.01))), POLICY)

    spent = sum(leg.delta_change * leg.limit_price / WAD / WAD for leg in decision.legs)
    assert spent <= 60_000 - POLICY.min_idle * nav


positions = st.lists(
    st.tuples(
        st.sampled_from([ETH, BTC]),
        st.booleans(),
        st.sampled_from([0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2]),
        st.integers(-60, 20),
    ),
    max_size=8,
    unique_by=lambda row: row[:3],
)
BTC_PER_ETH = 1 / 30  # sizes of the same worth


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(
    rows=positions,
    held=st.tuples(st.floats(0, 80), st.floats(0, 80)),
    debt=st.tuples(st.floats(0, 80), st.floats(0, 80)),
    idle=st.floats(200_000, 2_000_000),
    twap=st.tuples(st.floats(0.98, 1.02), st.floats(0.98, 1.02)),
)
def test_whatever_is_decided_for_a_mixed_book_the_contract_would_let_stand(
    rows: list[tuple[int, bool, float, int]],
    held: tuple[float, float],
    debt: tuple[float, float],
    idle: float,
    twap: tuple[float, float],
) -> None:
    spots, scale = (3_000.0, 90_000.0), (1.0, BTC_PER_ETH)
    book = tuple(
        option(is_call, spots[u] * m, round(size * scale[u], 6), underlying=u) for u, is_call, m, size in rows if size
    )
    btc = Bitcoin(held=held[BTC] * BTC_PER_ETH, debt=debt[BTC] * BTC_PER_ETH, twap=90_000 * twap[BTC])
    snapshot = make_snapshot(book, held=held[ETH], debt=debt[ETH], idle=idle, twap=3_000 * twap[ETH], btc=btc)
    assume(snapshot.assessment.nav_bid > 0)

    decision = decide(snapshot, POLICY)

    assert decision.action is not Action.REFUSE, decision.reason
    if any(leg.delta_change for leg in decision.legs):
        after = after_trades(snapshot, decision.legs).assessment
        verdict = check_rebalance(snapshot.assessment, after, snapshot.limits)
        assert verdict.stands, verdict.reason
        touched = {snapshot.venues[leg.venue].state.underlying for leg in decision.legs if leg.delta_change}
        for u in touched:
            assert abs(after.delta[u]) < abs(snapshot.assessment.delta[u])
