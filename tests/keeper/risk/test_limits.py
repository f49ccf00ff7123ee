"""The mirror of the checks of a trade: the contract's verdict for the contract's reason, and what checks promise."""

from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from keeper.domain.series import Position, Series
from keeper.domain.snapshot import Assessment
from keeper.domain.units import WAD
from keeper.risk.limits import check_fill, check_rebalance
from tests.keeper.evm import Reverted
from tests.keeper.risk.books import DAY, LIMITS, NOW, option
from tests.keeper.risk.conftest import Contracts

EXPIRY = NOW + 20 * DAY
CALL = option(0, True, EXPIRY, 3000.0, 0.0).series
PUT = option(0, False, EXPIRY, 3000.0, 0.0).series
FREE = (0, 0)  # short margins where shorting ties up nothing

CALM = Assessment(
    nav_bid=1_000_000 * WAD,
    nav_mid=1_000_000 * WAD,
    nav_ask=1_000_000 * WAD,
    maintenance=80_000 * WAD,
    initial=100_000 * WAD,
    gap_headroom=300_000 * WAD,
    gross=100_000 * WAD,
    short_notional=100_000 * WAD,
    spot=(3000 * WAD, 90_000 * WAD),
    twap=(3000 * WAD, 90_000 * WAD),
    delta=(WAD, WAD // 10),
    gamma=(-(10**15), -(10**12)),
    vega=(-10_000 * WAD, -10_000 * WAD),
    doubt=False,
    unfixed=False,
    stale=False,
    venue_failed=False,
)
near_limits = st.sampled_from([0, 1, 10, 11, 50, 95, 100, 105, 120])


@st.composite
def assessments(draw: st.DrawFn) -> Assessment:
    """Every quantity at a few hundredths of its limit, inside it, at it and beyond it: breaches of all kinds."""

    def pair(limit: int) -> tuple[int, int]:
        first, second = (draw(st.sampled_from([-1, 1])) * limit * draw(near_limits) // 100 for _ in range(2))
        return first, second

    nav = CALM.nav_bid
    delta_eth, delta_btc = pair(nav // 10)
    gamma_eth, gamma_btc = pair(nav * 2)
    return replace(
        CALM,
        initial=nav * draw(near_limits) // 100,
        gap_headroom=nav - nav * draw(near_limits) // 100,
        gross=2 * nav * draw(near_limits) // 100,
        short_notional=nav * draw(near_limits) // 100,
        delta=(delta_eth // 3000, delta_btc // 90_000),
        gamma=(gamma_eth // 3000**2, gamma_btc // 90_000**2),
        vega=pair(nav * 12 // 100),
    )


def contracts_reason(call: object, *args: object) -> str | None:
    """Why the contract refuses, None when it does not."""
    try:
        call(*args)  # type: ignore[operator]
    except Reverted as reverted:
        return str(reverted)
    return None


@settings(max_examples=300)
@given(assessments(), assessments())
def test_the_verdict_on_a_rebalance_is_the_contracts(
    contracts: Contracts, before: Assessment, after: Assessment
) -> None:
    verdict = check_rebalance(before, after, LIMITS)

    event(str(verdict.reason))
    assert verdict.reason == contracts_reason(contracts.check_rebalance, before, after)


@settings(max_examples=200)
@given(assessments(), st.integers(0, 8), st.integers(0, 120))
def test_the_verdict_on_a_change_of_one_quantity_is_the_contracts(
    contracts: Contracts, before: Assessment, index: int, percent: int
) -> None:
    """One quantity at a time, so that verdicts of all kinds occur, the good ones too."""
    fields = ("initial", "gap_headroom", "gross", "delta", "gamma", "vega")
    name, underlying = (fields[index], None) if index < 3 else (fields[3 + (index - 3) % 3], (index - 3) // 3)
    old = getattr(before, name)
    new = (
        old * percent // 100
        if underlying is None
        else tuple(v * percent // 100 if u == underlying else v for u, v in enumerate(old))
    )
    after = replace(before, **{name: new})

    verdict = check_rebalance(before, after, LIMITS)

    event(str(verdict.reason))
    assert verdict.reason == contracts_reason(contracts.check_rebalance, before, after)


book_sizes = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1]), st.booleans(), st.sampled_from([-19, 0, 7]), st.integers(-150, 50)),
    max_size=4,
)
margins = st.sampled_from([0, WAD // 10, 923 * WAD // 1000, 3 * WAD, 2**256 - 1])


@settings(max_examples=300)
@given(
    st.one_of(st.just(CALM), assessments()),
    st.booleans(),
    st.booleans(),
    book_sizes,
    st.sampled_from([CALL, PUT]),
    st.integers(-150, 50),
    st.tuples(margins, margins),
)
def test_the_verdict_on_a_fill_is_the_contracts(
    contracts: Contracts,
    before: Assessment,
    is_sale: bool,
    grows: bool,
    others: list[tuple[int, bool, int, int]],
    series: Series,
    size: int,
    short_margins: tuple[int, int],
) -> None:
    after = replace(before, short_notional=before.short_notional * (13 if grows else 9) // 10)
    book = [option(u, c, EXPIRY + days * DAY, (3500.0, 85_000.0)[u], n / (1, 30)[u]) for u, c, days, n in others]
    book.append(Position(series, size * WAD))

    verdict = check_fill(before, after, book, series, is_sale, LIMITS, short_margins=short_margins, timestamp=NOW)

    event(str(verdict.reason))
    reason = contracts_reason(contracts.check_fill, before, after, book, series, is_sale, short_margins)
    assert verdict.reason == reason


def test_a_book_inside_all_limits_may_be_rebalanced() -> None:
    verdict = check_rebalance(CALM, replace(CALM, delta=(0, 0)), LIMITS)

    assert verdict.stands
    assert verdict.excess_after == (0,) * 9


def test_a_breach_must_shrink_by_a_tenth(contracts: Contracts) -> None:
    """The vega band is 120,000 USDC."""
    breached = replace(CALM, vega=(130_000 * WAD, 0))
    a_tenth_closer = replace(CALM, vega=(129_000 * WAD, 0))
    a_unit_less = replace(CALM, vega=(129_000 * WAD + 1, 0))

    assert check_rebalance(breached, a_tenth_closer, LIMITS).stands
    assert check_rebalance(breached, a_unit_less, LIMITS).reason == "risk: no breach improves"
    assert contracts_reason(contracts.check_rebalance, breached, a_tenth_closer) is None
    assert contracts_reason(contracts.check_rebalance, breached, a_unit_less) == "risk: no breach improves"


@pytest.mark.parametrize(
    ("size", "reason"), [(-66, None), (-67, "risk: series notional")], ids=["at the limit", "beyond it"]
)
def test_a_sale_may_not_pass_the_limit_of_its_series(size: int, reason: str | None) -> None:
    book = [Position(CALL, size * WAD)]

    assert check_fill(CALM, CALM, book, CALL, True, LIMITS, short_margins=FREE, timestamp=NOW).reason == reason
    assert check_fill(CALM, CALM, book, CALL, False, LIMITS, short_margins=FREE, timestamp=NOW).stands


@pytest.mark.parametrize(
    ("margin", "reason"), [(4.54, None), (4.55, "risk: hedge capacity")], ids=["at the limit", "beyond it"]
)
def test_puts_are_sold_while_their_hedge_fits_beside_the_buffer(
    contracts: Contracts, margin: float, reason: str | None
) -> None:
    """66 puts at 3,000 are 198,000 USDC: at 4.545 of it they fill what 10 % of buffer leave of a million."""
    book = [Position(PUT, -66 * WAD)]
    margins = (int(margin * WAD), 0)

    assert check_fill(CALM, CALM, book, PUT, True, LIMITS, short_margins=margins, timestamp=NOW).reason == reason
    assert contracts_reason(contracts.check_fill, CALM, CALM, book, PUT, True, margins) == reason


def test_what_expires_in_the_money_within_two_days_is_kept_beside_the_buffer(contracts: Contracts) -> None:
    """33 calls at 1,500 that expire in a day are worth 49,500 USDC, which the puts' hedge can no longer have."""
    soon = [option(0, True, NOW + DAY, 1500.0, -33.0), Position(PUT, -66 * WAD)]
    later = [option(0, True, NOW + 3 * DAY, 1500.0, -33.0), Position(PUT, -66 * WAD)]
    margins = (44 * WAD // 10, 0)

    for book, reason in ((soon, "risk: hedge capacity"), (later, None)):
        assert check_fill(CALM, CALM, book, PUT, True, LIMITS, short_margins=margins, timestamp=NOW).reason == reason
        assert contracts_reason(contracts.check_fill, CALM, CALM, book, PUT, True, margins) == reason


def test_without_a_venue_that_shorts_no_put_is_sold(contracts: Contracts) -> None:
    book, nowhere = [Position(PUT, -WAD)], (2**256 - 1, 0)

    assert contracts_reason(contracts.check_fill, CALM, CALM, book, PUT, True, nowhere) == "risk: hedge capacity"
    assert contracts_reason(contracts.check_fill, CALM, CALM, book, PUT, False, nowhere) is None
