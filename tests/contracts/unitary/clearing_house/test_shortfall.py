"""ClearingHouse.fund, claim and declare_shortfall while the vault has less than it owes. Invariants 25 and 34."""

from fractions import Fraction

import pytest

from tests.contracts.chain import DAY, USDC, WAD, account, events, reverts
from tests.contracts.protocol import ETH, SPOT

HOLDERS = [account(f"holder {i}") for i in range(3)]
WEEK = 7 * DAY


@pytest.fixture
def short(funded):
    """Ten calls that owe 5,000 USDC to three holders (5, 3 and 2), and a vault with 2,000 USDC left."""
    series = funded.open_series()
    for holder, size in zip(HOLDERS, (5, 3, 2), strict=True):
        funded.sell(series, size * WAD, holder)
    funded.settle(funded.expiry(), 3_500)
    funded.overwrite("idle", 2_000 * USDC)
    funded.called = series
    return funded


def claim(protocol, holder):
    return int(protocol.clearing.claim(protocol.called, sender=holder))


def test_each_holder_gets_his_part_of_what_there_is(short):
    """2,000 of 5,000: 40 % of 2,500, 1,500 and 1,000, less at most a unit each."""
    paid = [claim(short, holder) for holder in HOLDERS]

    assert all(0 <= part * USDC - got <= 1 for part, got in zip((1_000, 600, 400), paid, strict=True))
    assert short.clearing.funded() == 2_000 * USDC - sum(paid)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_claims_changes_nothing(short, order):
    """Invariant 34: who claims first has no more than who claims after two top-ups."""
    paid = dict.fromkeys(HOLDERS, 0)
    for i, cash in zip(order, (0, 700, 1_100), strict=True):
        short.overwrite("idle", short.vault.idle() + cash * USDC)
        short.clearing.fund()
        paid[HOLDERS[i]] += claim(short, HOLDERS[i])
    for holder in HOLDERS:
        if short.clearing.claimable(short.called, holder):
            paid[holder] += claim(short, holder)

    exact = [Fraction(3_800 * share * USDC, 10) for share in (5, 3, 2)]
    assert all(0 <= part - paid[holder] <= 3 for part, holder in zip(exact, HOLDERS, strict=True))


def test_later_cash_tops_everybody_up_to_the_whole(short):
    """Invariant 25: each is paid his payout once, in however many parts."""
    first = [claim(short, holder) for holder in HOLDERS]
    with reverts("claim: vault has not funded it yet"):
        claim(short, HOLDERS[0])
    short.overwrite("idle", 3_000 * USDC)

    rest = [claim(short, holder) for holder in HOLDERS]

    assert [a + b for a, b in zip(first, rest, strict=True)] == [2_500 * USDC, 1_500 * USDC, 1_000 * USDC]
    assert (short.vault.owed(), short.clearing.funded()) == (0, 0)
    with reverts("claim: nothing held"):
        claim(short, HOLDERS[0])


def test_a_series_settled_later_shares_what_comes_later(short):
    """What was funded stays with those it was funded for; from then on all that is lacking shares alike."""
    short.clearing.fund()
    later = short.expiry(7)
    short.overwrite("idle", 990_000 * USDC)
    short.market.move(3_500)
    series = short.open_series(3_500, expiry=later)
    idle = short.vault.idle()
    short.sell(series, 3 * WAD, HOLDERS[0])
    assert short.vault.idle() > idle
    short.overwrite("idle", 0)
    proof = short.reach_expiry(later, 4_500)
    short.book.settle(ETH, later, *proof)
    assert short.vault.owed() == 6_000 * USDC  # 3,000 of each
    short.overwrite("idle", 3_000 * USDC)

    short.clearing.fund()

    assert 0 <= 3_500 * USDC - sum(short.clearing.claimable(short.called, h) for h in HOLDERS) <= 3
    assert 0 <= 1_500 * USDC - short.clearing.claimable(series, HOLDERS[0]) <= 1


def test_tokens_can_be_sold_before_the_rest_is_claimed(short):
    """Who gave up his tokens keeps his claim; who buys others' has theirs."""
    first = claim(short, HOLDERS[0])
    short.token.safeTransferFrom(HOLDERS[1], HOLDERS[0], short.called, WAD, b"", sender=HOLDERS[1])

    more = claim(short, HOLDERS[0])

    assert 0 <= 1_200 * USDC - first - more <= 1
    assert short.clearing.claims(short.called, HOLDERS[0]) == (3_000 * USDC, first + more)


def test_many_small_fundings_never_promise_more_than_came(short):
    """Rounding is against claimants, however often it happens."""
    short.overwrite("idle", 0)
    came = 0
    for amount in (1, 7, 13, 999, 123_457, 1_000_003):
        short.overwrite("idle", amount)
        short.clearing.fund()
        came += amount

    promised = sum(short.clearing.claimable(short.called, holder) for holder in HOLDERS)
    assert came - 20 <= promised <= came == short.clearing.funded()


def test_claims_need_no_cash_of_those_who_are_funded_already(short):
    """Invariant 42: a later debt that has no cash does not hold up a series that is funded."""
    short.overwrite("idle", 10_000 * USDC)
    short.clearing.fund()
    short.vault.acquire(sender=short.book.address)
    short.vault.book_owed(50_000 * USDC, sender=short.book.address)
    short.vault.release(sender=short.book.address)
    short.overwrite("idle", 0)

    assert claim(short, HOLDERS[2]) == 1_000 * USDC


# ---------------------------------------------------------------- declaring it


def test_a_venue_that_was_retired_is_empty(short):
    short.vault.retire_venue(SPOT, False, sender=short.governor)

    short.clearing.declare_shortfall(sender=short.stranger)
    short.market.pass_time(WEEK)

    assert short.clearing.declare_shortfall(sender=short.stranger) is True


def test_a_shortfall_is_recorded_after_a_week_of_empty_venues(short):
    assert short.clearing.declare_shortfall(sender=short.stranger) is False
    short.market.pass_time(WEEK - 1)
    assert short.clearing.declare_shortfall(sender=short.stranger) is False
    short.market.pass_time(1)

    assert short.clearing.declare_shortfall(sender=short.stranger) is True

    (event,) = events(short.clearing, "ShortfallDeclared")
    assert event.owed == short.clearing.shortfall() == 3_000 * USDC
    with reverts("shortfall: declared"):
        short.clearing.declare_shortfall()


def test_it_does_not_end_what_holders_are_due(short):
    first = claim(short, HOLDERS[0])
    short.clearing.declare_shortfall()
    short.market.pass_time(WEEK)
    short.clearing.declare_shortfall()
    short.overwrite("idle", 3_000 * USDC)

    assert first + claim(short, HOLDERS[0]) == 2_500 * USDC
    assert short.clearing.shortfall() == 0


def test_cash_that_comes_begins_the_week_anew(short):
    short.clearing.declare_shortfall()
    short.market.pass_time(WEEK)
    short.overwrite("idle", 10 * USDC)

    assert short.clearing.declare_shortfall() is False
    assert short.clearing.short_since() == short.market.now


def test_a_venue_that_holds_something_begins_the_week_anew(short):
    short.clearing.declare_shortfall()
    short.market.pass_time(WEEK)
    short.market.wrap(short.stranger, WAD)
    short.market.weth.transfer(short.spot, WAD, sender=short.stranger)
    short.spot.take_in(WAD, sender=short.vault.address)

    assert short.clearing.declare_shortfall() is False
    assert short.clearing.short_since() == 0


def test_without_a_debt_there_is_none(funded):
    with reverts("shortfall: nothing is lacking"):
        funded.clearing.declare_shortfall()


def test_a_debt_that_can_be_paid_is_none(hedged):
    hedged.settle(hedged.expiry(), 3_500)

    with reverts("shortfall: nothing is lacking"):
        hedged.clearing.declare_shortfall()
