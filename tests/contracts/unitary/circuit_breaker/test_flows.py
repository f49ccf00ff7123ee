"""CircuitBreaker: how much may come and go in a day while an option position is open, and how near to its margin."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.chain import DAY, HOUR, USDC, WAD, account, reverts
from tests.contracts.protocol import ETH, SPOT, wad

BORROWER = account("borrower of a flash loan")


def wait(protocol, seconds):
    """Let time pass with a fresh surface, so that marks hardly move."""
    protocol.market.wait(seconds)


def test_without_a_position_everything_may_come_and_go(funded, series):
    """A listed series without a position is none."""
    assert funded.vault.maxDeposit(funded.stranger) == 2**256 - 1

    shares = funded.deposit(50_000_000 * USDC, funded.stranger)
    funded.vault.redeem(shares, funded.stranger, funded.stranger, sender=funded.stranger)

    assert funded.breaker.deposit_budget() == funded.breaker.exit_budget() == wad(0.08)


def test_deposits_of_a_day_are_a_share_of_nav(funded, sold):
    nav = funded.vault.assessment().nav_bid
    limit = funded.vault.maxDeposit(funded.stranger)
    funded.fund(funded.stranger, limit + 1)

    with reverts("breaker: deposits of a day"):
        funded.vault.deposit(limit + 1, funded.stranger, sender=funded.stranger)
    funded.vault.deposit(limit, funded.stranger, sender=funded.stranger)

    assert limit == nav * 8 // 100 // 10**12
    assert funded.breaker.deposit_budget() < 10**12
    assert funded.vault.maxDeposit(funded.stranger) == funded.vault.maxMint(funded.stranger) == 0


def test_less_than_the_minimum_is_no_limit(funded, sold):
    """Invariant 4: what is left of the day could not be deposited but by who has no more."""
    most = funded.vault.maxDeposit(funded.stranger)
    funded.fund(funded.stranger, most)
    funded.vault.deposit(most - 50 * USDC, funded.stranger, sender=funded.stranger)

    assert funded.breaker.deposit_budget() > 0
    assert funded.vault.maxDeposit(funded.stranger) == funded.vault.maxMint(funded.stranger) == 0


def test_instant_exits_of_a_day_are_a_share_of_nav(funded, sold):
    nav = funded.vault.assessment().nav_bid
    who, limit = funded.depositor, funded.vault.maxWithdraw(funded.depositor)

    with reverts("breaker: exits of a day"):
        funded.vault.withdraw(limit + 1, who, who, sender=who)
    funded.vault.withdraw(limit, who, who, sender=who)

    assert limit == nav * 8 // 100 // 10**12
    assert funded.breaker.exit_budget() < 10**12
    assert funded.vault.maxWithdraw(who) == 0


def test_both_refill_within_a_day(funded, sold):
    who = funded.depositor
    funded.vault.withdraw(funded.vault.maxWithdraw(who), who, who, sender=who)
    funded.fund(who, funded.vault.maxDeposit(who))
    funded.vault.deposit(funded.vault.maxDeposit(who), who, sender=who)

    wait(funded, 6 * HOUR)

    for budget in (funded.breaker.exit_budget(), funded.breaker.deposit_budget()):
        assert abs(budget - wad(0.02)) < 10**13
    wait(funded, DAY)
    assert funded.breaker.exit_budget() == funded.breaker.deposit_budget() == wad(0.08)


def test_the_queue_has_no_such_limit(funded, sold):
    """Invariant 42."""
    funded.request(500_000 * WAD)
    funded.close_epoch()

    assert funded.settle_epoch()[0] == 500_000 * WAD


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(st.integers(1, 20_000), min_size=2, max_size=6))
def test_splitting_an_exit_gains_nothing(funded, sold, parts):
    """Invariant 38."""
    who = funded.depositor
    whole = funded.vault.maxWithdraw(who)
    taken = 0

    for part in parts:
        amount = min(whole * part // sum(parts), funded.vault.maxWithdraw(who))
        if amount > 0:
            funded.vault.withdraw(amount, who, who, sender=who)
            taken += amount

    assert taken + funded.vault.maxWithdraw(who) <= whole


def test_an_instant_exit_leaves_a_distance_from_initial_margin(funded, sold):
    funded.open_gates(max_utilisation=WAD // 2)
    who, limit = funded.depositor, funded.vault.maxWithdraw(funded.depositor)

    with reverts("breaker: utilisation"):
        funded.vault.withdraw(limit + 1, who, who, sender=who)
    funded.vault.withdraw(limit, who, who, sender=who)

    a = funded.vault.assessment()
    assert 0 <= a.nav_bid - 2 * a.initial < 2 * 10**12


def test_beyond_it_the_queue_goes_on(funded, sold):
    funded.open_gates(max_utilisation=WAD // 2)
    who = funded.depositor
    funded.vault.withdraw(funded.vault.maxWithdraw(who), who, who, sender=who)
    funded.request(1_000 * WAD)
    funded.close_epoch()

    assert funded.settle_epoch()[0] == 1_000 * WAD


def test_a_flash_loan_stretches_no_limit_that_is_a_share_of_nav(funded, sold):
    """Attack A26: NAV grows for a block by what may come in a day, and with it every limit by as much, no more."""
    nav = funded.vault.assessment().nav_bid
    funded.fund(BORROWER, 100_000_000 * USDC)

    with reverts("breaker: deposits of a day"):
        funded.vault.deposit(100_000_000 * USDC, BORROWER, sender=BORROWER)
    shares = funded.vault.deposit(funded.vault.maxDeposit(BORROWER), BORROWER, sender=BORROWER)
    while funded.vault.maxDeposit(BORROWER) > 0:
        funded.vault.deposit(funded.vault.maxDeposit(BORROWER), BORROWER, sender=BORROWER)

    assert funded.vault.assessment().nav_bid <= nav * 109 // 100
    assert funded.vault.previewRedeem(shares) < nav * 8 // 100 // 10**12  # and it costs the spread


def test_a_flash_loan_before_a_position_is_open_cannot_be_paid_back(funded, series):
    """Attack A26: deposits are free then; but an option sold against them closes the way out again."""
    funded.fund(BORROWER, 10_000_000 * USDC)
    shares = funded.vault.deposit(10_000_000 * USDC, BORROWER, sender=BORROWER)
    funded.sell(series, 100 * WAD)

    with reverts("breaker: exits of a day"):
        funded.vault.redeem(shares, BORROWER, BORROWER, sender=BORROWER)


def test_who_deposits_just_before_a_gain_takes_little_of_it(funded, sold):
    """Attack A14: the surface is about to be posted lower, and all that may come in a day comes before that."""
    thief, before = BORROWER, funded.vault.convertToAssets(funded.vault.balanceOf(funded.depositor))
    funded.fund(thief, 10_000_000 * USDC)
    paid = funded.vault.maxDeposit(thief)
    shares = funded.vault.deposit(paid, thief, sender=thief)

    funded.market.wait(HOUR)
    funded.post_slice(vol=0.56)
    gain = funded.vault.convertToAssets(funded.vault.balanceOf(funded.depositor)) - before

    assert gain > 0
    assert funded.vault.previewRedeem(shares) - paid < gain * 9 // 100


def test_who_redeems_just_before_a_loss_leaves_little_of_it(funded, sold):
    """Attack A15: those who stay bear a day's exits of it more than their part."""
    who = funded.depositor
    funded.vault.transfer(BORROWER, 500_000 * WAD, sender=who)
    before = funded.vault.convertToAssets(500_000 * WAD)
    funded.vault.withdraw(funded.vault.maxWithdraw(BORROWER), BORROWER, BORROWER, sender=BORROWER)

    with reverts("breaker: exits of a day"):
        funded.vault.redeem(100_000 * WAD, BORROWER, BORROWER, sender=BORROWER)
    funded.market.wait(HOUR)
    funded.market.submit(3_090)
    loss = before - funded.vault.convertToAssets(500_000 * WAD)

    assert loss > 0
    fair = loss * (1_000_000 - 80_000) // 1_000_000
    assert loss - fair <= loss * 9 // 100


def test_nothing_is_withdrawn_from_a_vault_without_value(funded, sold):
    """NAV below zero: nothing is paid, and nothing but that is the reason."""
    funded.overwrite("owed", 2_000_000 * USDC)

    assert funded.vault.maxWithdraw(funded.depositor) == funded.vault.maxRedeem(funded.depositor) == 0
    for amount, why in ((0, "vault: zero assets"), (1, "vault: not enough idle cash")):
        with reverts(why):
            funded.vault.withdraw(amount, funded.stranger, funded.depositor, sender=funded.depositor)


def test_a_rebalance_uses_no_flow(hedged):
    hedged.rebalance(hedged.leg(SPOT, 0.1))

    assert hedged.breaker.exit_budget() == hedged.breaker.deposit_budget() == wad(0.08)


def test_positions_of_an_expired_series_count_until_it_is_settled(funded, sold):
    expiry = funded.expiry()
    funded.settle(expiry, 3_000)

    assert funded.vault.maxDeposit(funded.stranger) == 2**256 - 1
    assert funded.price_oracle.fixing(ETH, expiry) > 0
