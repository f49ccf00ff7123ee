"""RiskEngine.set_limits, assess, assess_with, check_fill, check_rebalance. Its numbers are compared elsewhere."""

import pytest

from tests.contracts.chain import WAD, events, reverts
from tests.contracts.protocol import Limits, load, wad


def test_the_governor_sets_limits(protocol):
    limits = Limits(delta_target=wad(0.01))

    protocol.risk.set_limits(limits, sender=protocol.governor)

    (event,) = events(protocol.risk, "LimitsSet")
    assert event.limits == limits == protocol.risk.limits()


@pytest.mark.parametrize("role", ["guardian", "keeper", "stranger"])
def test_setting_limits_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.risk.set_limits(Limits(), sender=getattr(protocol, role))


@pytest.mark.parametrize("limits", [Limits(delta_target=0), Limits(delta_target=wad(0.11))])
def test_impossible_delta_bands_are_refused(protocol, limits):
    with reverts("risk: delta bands"):
        load("RiskEngine").deploy(protocol.governor, protocol.pricer, limits)


OF_HEDGES = {"delta_target", "gamma_band", "vega_band", "gross_leverage"}


@pytest.mark.parametrize("name", [name for name in Limits._fields if name not in OF_HEDGES])
def test_the_guardian_tightens_each_limit_of_fills_and_loosens_none(protocol, name):
    """Invariants 40 and 41. A larger buffer is tighter, of everything else less is."""
    now, step = Limits(), 1 if name == "liquidity_buffer" else -1
    tighter, looser = (now._replace(**{name: getattr(now, name) + sign * step}) for sign in (1, -1))

    with reverts("risk: loosens"):
        protocol.risk.tighten_limits(looser, sender=protocol.guardian)
    protocol.risk.tighten_limits(tighter, sender=protocol.guardian)

    assert protocol.risk.limits() == tighter


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("name", sorted(OF_HEDGES))
def test_what_hedges_are_measured_by_the_guardian_leaves_alone(protocol, name, step):
    """Invariant 40: leverage of nothing would stop them, and a band of nothing be in breach for ever."""
    with reverts("risk: hedges"):
        protocol.risk.tighten_limits(
            Limits()._replace(**{name: getattr(Limits(), name) + step}), sender=protocol.guardian
        )


@pytest.mark.parametrize("role", ["keeper", "vol_poster", "stranger"])
def test_tightening_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.risk.tighten_limits(Limits(), sender=getattr(protocol, role))


def test_assessing_in_one_step_and_in_two_is_the_same(hedged):
    book, venues, cash = hedged.book.live_book(), hedged.vault.all_venues(), hedged.vault.idle() * 10**12

    whole = hedged.risk.assess(book, venues, cash)
    in_two = hedged.risk.assess_with(hedged.risk.option_state(book), venues, cash)

    assert whole == in_two == hedged.vault.assessment()


def test_cash_alone_is_worth_itself(protocol):
    a = protocol.risk.assess([], [], 5 * WAD)

    assert a.nav_bid == a.nav_mid == a.nav_ask == a.gap_headroom == 5 * WAD
    assert (a.maintenance, a.initial, a.gross, a.short_notional) == (0, 0, 0, 0)


def test_more_cash_never_worsens_margin(hedged):
    """Invariant 30."""
    book, venues, cash = hedged.book.live_book(), hedged.vault.all_venues(), hedged.vault.idle() * 10**12

    less, more = (hedged.risk.assess(book, venues, amount) for amount in (cash, cash + WAD))

    assert more.nav_bid - less.nav_bid == more.gap_headroom - less.gap_headroom == WAD
    assert (more.maintenance, more.initial) == (less.maintenance, less.initial)


def test_initial_margin_is_above_maintenance_margin(hedged):
    """Invariant 29."""
    a = hedged.vault.assessment()

    assert a.initial == a.maintenance * 5 // 4 > a.maintenance > 0


def test_hedging_lowers_margin(funded, sold):
    before = funded.vault.assessment().maintenance

    funded.rebalance(funded.leg(0, 5))

    assert funded.vault.assessment().maintenance < before


# ---------------------------------------------------------------- checks on hand-made assessments


@pytest.fixture
def calm(protocol):
    """An assessment of 1,000,000 USDC with nothing at risk, and limits of the default table."""
    return protocol.risk.assess([], [], 10**6 * WAD)


def changed(assessment, **changes):
    return assessment._replace(**changes)


def in_breach(calm, delta_usdc):
    """Delta of so many USDC: the target band is 20,000, the hard band 100,000."""
    return changed(calm, delta=[delta_usdc * WAD // 3_000, 0])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"initial": 2 * 10**6 * WAD}, "margin: below initial"),
        ({"gap_headroom": -1}, "margin: gap insolvent"),
        ({"gross": 2 * 10**6 * WAD + 1}, "risk: gross leverage"),
        ({"delta": [7 * WAD, 0]}, "risk: delta band"),
        ({"delta": [-7 * WAD, 0]}, "risk: delta band"),
        ({"gamma": [-WAD // 4, 0]}, "risk: gamma band"),
        ({"vega": [-120_001 * WAD, 0]}, "risk: vega band"),
        ({"spot": [3_000 * WAD, 100 * WAD], "delta": [0, 201 * WAD]}, "risk: delta band"),
    ],
)
def test_a_rebalance_may_not_leave_a_new_breach(protocol, calm, changes, reason):
    with reverts(reason):
        protocol.risk.check_rebalance(calm, changed(calm, **changes))


def test_a_rebalance_inside_every_band_may_do_anything(protocol, calm):
    assert protocol.risk.check_rebalance(in_breach(calm, 0), in_breach(calm, 19_999))


@pytest.mark.parametrize(("after", "allowed"), [(30_000, False), (29_001, False), (29_000, True), (0, True)])
def test_a_breach_must_shrink_by_a_tenth_of_its_excess(protocol, calm, after, allowed):
    """Invariant 36: an excess of 10,000 over the band must end at 9,000 or less."""
    if allowed:
        assert protocol.risk.check_rebalance(in_breach(calm, 30_000), in_breach(calm, after))
    else:
        with reverts("risk: no breach improves"):
            protocol.risk.check_rebalance(in_breach(calm, 30_000), in_breach(calm, after))


def test_crossing_to_a_larger_breach_of_the_other_sign_is_refused(protocol, calm):
    with reverts("risk: delta band"):
        protocol.risk.check_rebalance(in_breach(calm, 30_000), in_breach(calm, -30_001))


def test_bands_are_shares_of_the_nav_before(protocol, calm):
    """Losing NAV does not make the band wider or narrower in the same trade."""
    poorer = changed(in_breach(calm, 19_999), nav_bid=calm.nav_bid // 2, initial=0)

    assert protocol.risk.check_rebalance(calm, poorer)


def test_a_purchase_may_end_in_a_breach_that_it_does_not_worsen(protocol, calm, series):
    was, now = in_breach(calm, 200_000), in_breach(calm, 199_000)

    assert protocol.risk.check_fill(was, now, [series], [], series, False)


@pytest.mark.parametrize("trouble", [{"initial": 2 * 10**6 * WAD}, {"venue_failed": True}], ids=["margin", "venue"])
def test_without_margin_or_a_venue_a_purchase_must_reduce_gamma_or_vega(protocol, calm, series, trouble):
    """As in every other way to be reduce-only; in better days it need not."""
    was = changed(calm, gamma=[-WAD // 100, 0], vega=[-100 * WAD, 0], **trouble)
    larger = {"gamma": [-WAD // 90, 0], "vega": [-101 * WAD, 0]}

    for reduced in ({"gamma": [-WAD // 110, 0]}, {"vega": [-99 * WAD, 0]}):
        assert protocol.risk.check_fill(was, changed(was, **larger | reduced), [series], [], series, False)
    for nothing in ({}, larger):
        with reverts("risk: reduces nothing"):
            protocol.risk.check_fill(was, changed(was, **nothing), [series], [], series, False)
    assert protocol.risk.check_fill(calm, changed(calm, **larger), [series], [], series, False)


def test_a_sale_must_end_above_initial_margin_even_when_it_helps(protocol, calm, series):
    was, now = (changed(calm, initial=calm.nav_bid + excess) for excess in (100, 50))

    with reverts("margin: below initial"):
        protocol.risk.check_fill(was, now, [series], [], series, True)


def test_a_sale_must_end_gap_solvent_even_when_it_helps(protocol, calm, series):
    was, now = (changed(calm, gap_headroom=-excess) for excess in (100, 50))

    with reverts("margin: gap insolvent"):
        protocol.risk.check_fill(was, now, [series], [], series, True)
