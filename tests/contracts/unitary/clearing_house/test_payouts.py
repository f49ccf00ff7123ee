"""OptionBook.settle, ClearingHouse.fund and claim: what an expired series pays, to the unit."""

import pytest

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import ETH, replace_code


@pytest.fixture
def rich(funded):
    for holder in (funded.taker, funded.stranger):
        funded.fund(holder, 1_000_000 * USDC, funded.book)
    return funded


@pytest.fixture
def paying(funded, sold):
    """Ten calls that expired 500 USDC in the money and were settled."""
    funded.settle(funded.expiry(), 3_500)
    return sold


# ---------------------------------------------------------------- settle


@pytest.mark.parametrize(
    ("is_call", "fixing", "payout"),
    [(True, 3_500, 500), (True, 3_000, 0), (True, 2_500, 0), (False, 2_500, 500), (False, 3_000, 0), (False, 3_500, 0)],
)
def test_payout_is_the_intrinsic_value_at_the_fixing(rich, is_call, fixing, payout):
    expiry = rich.expiry()
    series = rich.open_series(is_call=is_call)
    rich.fill(rich.quote(series, size=3 * WAD))

    proof = rich.reach_expiry(expiry, fixing)
    rich.book.settle(ETH, expiry, *proof, sender=rich.stranger)

    (event,) = events(rich.book, "Settled")
    assert (event.series, event.fixing, event.payout) == (series, fixing * WAD, payout * WAD)
    assert event.owed == rich.vault.owed() == 3 * payout * USDC
    assert rich.clearing.settlement(series)[:3] == (True, fixing * WAD, payout * WAD)
    assert rich.book.live_book() == []


def test_settles_all_series_of_the_expiry_and_no_other(rich):
    expiry, later = rich.expiry(), rich.expiry(14)
    calls = [rich.open_series(3_000 + 50 * i, expiry=expiry) for i in range(3)]
    put = rich.open_series(3_300, is_call=False, expiry=expiry)
    unsold = rich.open_series(3_500, expiry=expiry)
    other = rich.open_series(expiry=later)
    for series in (*calls, put, other):
        rich.fill(rich.quote(series))

    proof = rich.reach_expiry(expiry, 3_200)
    rich.book.settle(ETH, expiry, *proof)

    payouts = {event.series: event.payout // WAD for event in events(rich.book, "Settled")}
    assert payouts == {calls[0]: 200, calls[1]: 150, calls[2]: 100, put: 100, unsold: 0}
    assert rich.vault.owed() == 550 * USDC
    assert [slot >> 87 << 87 for slot in rich.book.live_book()] == [other]


def test_owed_is_a_liability_at_once(rich, series):
    rich.fill(rich.quote(series, size=10 * WAD))
    expiry = rich.expiry()
    proof = rich.reach_expiry(expiry, 3_500)
    before = rich.vault.assessment().nav_mid

    rich.book.settle(ETH, expiry, *proof)

    assert rich.vault.assessment().nav_mid == before  # at expiry the mark was the intrinsic value already
    assert rich.vault.idle() * 10**12 - rich.vault.assessment().nav_mid == 5_000 * WAD


def test_ends_the_wait_for_deposits_and_exits(funded, sold):
    expiry = funded.expiry()
    proof = funded.reach_expiry(expiry, 3_500)
    with reverts("vault: settle the expired series first"):
        funded.vault.redeem(WAD, funded.depositor, funded.depositor, sender=funded.depositor)

    funded.book.settle(ETH, expiry, *proof)

    assert funded.vault.redeem(WAD, funded.depositor, funded.depositor, sender=funded.depositor) > 0


def test_works_after_the_price_was_fixed_by_somebody_else(funded, sold):
    expiry = funded.expiry()
    proof = funded.reach_expiry(expiry, 3_500)
    funded.price_oracle.fix(ETH, expiry, *proof, sender=funded.stranger)
    funded.market.submit(9_000)

    funded.book.settle(ETH, expiry, 0, 0)

    assert funded.clearing.settlement(sold).payout == 500 * WAD


def test_a_wrong_proof_is_refused(funded, sold):
    expiry = funded.expiry()
    round_id, usdc_round = funded.reach_expiry(expiry, 3_500)

    with reverts("fixing: round before expiry"):
        funded.book.settle(ETH, expiry, round_id - 1, usdc_round)


def test_before_expiry_it_is_refused(funded, sold):
    with reverts("fixing: round before expiry"):
        funded.book.settle(
            ETH, funded.expiry(), funded.market.feed.latestRound(), funded.market.usdc_feed.latestRound()
        )


def test_twice_is_refused(funded, paying):
    with reverts("book: nothing to settle"):
        funded.book.settle(ETH, (paying >> 215) % 2**32, 0, 0)


def test_an_expiry_without_series_is_refused(protocol):
    market = protocol.market
    usdc_round, expiry = market.usdc_feed.latestRound(), market.now + 100
    market.pass_time(100)
    round_id = market.submit(3_000)

    with reverts("book: nothing to settle"):
        protocol.book.settle(ETH, expiry, round_id, usdc_round)


def test_works_while_reduce_only(funded, sold):
    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    funded.settle(funded.expiry(), 3_500)
    funded.clearing.claim(sold, sender=funded.taker)

    assert funded.token.total_supply(sold) == 0


# ---------------------------------------------------------------- fund


def test_funding_moves_what_is_owed(funded, paying):
    idle = funded.vault.idle()

    funded.clearing.fund(sender=funded.stranger)

    (event,) = events(funded.clearing, "Funded")
    assert event.amount == funded.clearing.funded() == funded.market.usdc.balanceOf(funded.clearing) == 5_000 * USDC
    assert (funded.vault.owed(), funded.vault.idle()) == (0, idle - 5_000 * USDC)


def test_funding_does_not_move_nav(funded, paying):
    before = funded.vault.assessment()

    funded.clearing.fund()

    assert funded.vault.assessment() == before


def test_funding_goes_as_far_as_idle_cash(funded, paying):
    funded.overwrite("idle", 2_000 * USDC)

    funded.clearing.fund()

    assert funded.clearing.funded() == 2_000 * USDC
    assert (funded.vault.owed(), funded.vault.idle()) == (3_000 * USDC, 0)


def test_funding_twice_moves_nothing_more(funded, paying):
    funded.clearing.fund()

    funded.clearing.fund()

    assert funded.clearing.funded() == 5_000 * USDC


def test_funding_with_a_token_that_returns_false_is_refused(funded, paying):
    replace_code(funded.market.usdc.address, "RefusingToken", funded.vault)

    with reverts("vault: transfer"):
        funded.clearing.fund()


# ---------------------------------------------------------------- claim


def test_a_holder_is_paid_in_one_call_without_waiting_for_funding(funded, paying):
    cash = funded.market.usdc.balanceOf(funded.taker)

    paid = funded.clearing.claim(paying, sender=funded.taker)

    (event,) = events(funded.clearing, "Claimed")
    assert (event.series, event.holder, event.size, event.amount) == (paying, funded.taker, 10 * WAD, 5_000 * USDC)
    assert paid == funded.market.usdc.balanceOf(funded.taker) - cash == 5_000 * USDC
    assert funded.token.balanceOf(funded.taker, paying) == 0
    assert funded.book.written(paying) == (0, 0)


def test_payouts_add_up_to_the_unit(rich):
    """Sizes that do not divide: holders get their size times the payout rounded down, and there is enough for all."""
    expiry = rich.expiry()
    series = rich.open_series()
    sizes = {rich.taker: WAD + 10**9, rich.stranger: 333_333_333 * 10**9}
    for holder, size in sizes.items():
        rich.fill(rich.quote(series, size=size), taker=holder)
    rich.settle(expiry, 3_333.33333333)
    owed = rich.vault.owed()

    paid = {holder: rich.clearing.claim(series, sender=holder) for holder in sizes}

    payout = rich.clearing.settlement(series).payout
    assert payout == 333_333_333_330_000_000_000
    assert paid == {holder: size * payout // 10**30 for holder, size in sizes.items()}
    assert 0 <= owed - sum(paid.values()) <= 2
    assert rich.clearing.funded() == owed - sum(paid.values())


def test_options_can_be_sold_on_and_claimed_by_who_holds_them(funded, paying):
    funded.token.safeTransferFrom(funded.taker, funded.stranger, paying, 4 * WAD, b"", sender=funded.taker)

    assert funded.clearing.claim(paying, sender=funded.stranger) == 2_000 * USDC
    assert funded.clearing.claim(paying, sender=funded.taker) == 3_000 * USDC


def test_a_worthless_option_is_burned_for_nothing(funded, sold):
    funded.settle(funded.expiry(), 2_900)

    assert funded.clearing.claim(sold, sender=funded.taker) == 0
    assert funded.token.total_supply(sold) == 0


def test_a_second_claim_is_refused(funded, paying):
    """Invariant 25: a payout happens once."""
    funded.clearing.claim(paying, sender=funded.taker)

    with reverts("claim: nothing held"):
        funded.clearing.claim(paying, sender=funded.taker)


def test_before_the_settlement_nothing_can_be_claimed(funded, sold):
    assert funded.token.balanceOf(funded.taker, sold) == 10 * WAD
    assert funded.clearing.claimable(sold, funded.taker) == 0


def test_before_the_settlement_it_is_refused(funded, sold):
    with reverts("claim: not settled"):
        funded.clearing.claim(sold, sender=funded.taker)


def test_while_the_vault_has_no_cash_it_is_refused_and_works_later(funded, paying):
    funded.overwrite("idle", 0)

    with reverts("claim: vault has not funded it yet"):
        funded.clearing.claim(paying, sender=funded.taker)
    funded.overwrite("idle", 10_000 * USDC)

    assert funded.clearing.claim(paying, sender=funded.taker) == 5_000 * USDC


def test_what_is_funded_stays_when_depositors_leave(funded, paying):
    funded.clearing.fund()
    everything = funded.vault.balanceOf(funded.depositor)
    funded.vault.redeem(everything, funded.depositor, funded.depositor, sender=funded.depositor)

    assert funded.clearing.claim(paying, sender=funded.taker) == 5_000 * USDC


def test_a_payment_that_returns_false_is_refused(funded, paying):
    funded.clearing.fund()
    replace_code(funded.market.usdc.address, "RefusingToken", funded.clearing)

    with reverts("clearing: transfer"):
        funded.clearing.claim(paying, sender=funded.taker)
