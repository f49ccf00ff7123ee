"""CircuitBreaker.exit_frozen: shares for cash at a discount while NAV cannot be computed."""

import boa
import pytest

from tests.contracts.aave import lend_out
from tests.contracts.chain import DAY, HOUR, USDC, WAD, account, events, reverts
from tests.contracts.protocol import ETH, SPOT, fault

HEIR = account("heir")
FLOOR = 8_000_000  # CircuitBreaker's _FROZEN_GAS
LENT = 800_000 * USDC
FROZEN = 4


@pytest.fixture
def frozen(funded, sold):
    """Ten calls sold; prices were last known at a checkpoint, and are stale."""
    funded.vault.checkpoint()
    funded.market.pass_time(2 * HOUR)
    return funded


def test_pays_ninety_percent_of_the_last_known_price(frozen):
    """Invariant 42. Cash is plenty: the discount binds."""
    good, shares = frozen.breaker.last_good(), 10_000 * WAD
    before = frozen.vault.idle()

    assets = frozen.breaker.exit_frozen(shares, HEIR, sender=frozen.depositor)

    assert assets == shares * good.price // WAD * 9 // 10 // 10**12
    assert frozen.asset.balanceOf(HEIR) == assets
    assert frozen.vault.idle() == before - assets
    assert frozen.vault.balanceOf(frozen.depositor) == 990_000 * WAD


def test_says_so_in_events_of_both(frozen):
    frozen.breaker.exit_frozen(10_000 * WAD, HEIR, sender=frozen.depositor)

    (event,) = events(frozen.breaker, "FrozenExit")
    assert (event.owner, event.receiver, event.shares) == (frozen.depositor, HEIR, 10_000 * WAD)
    (withdrawn,) = events(frozen.breaker, "Withdraw")
    assert (withdrawn.owner, withdrawn.receiver, withdrawn.assets) == (frozen.depositor, HEIR, event.assets)


def test_the_last_known_price_and_margin_are_those_of_the_last_transaction(funded, sold):
    a = funded.vault.assessment()
    funded.vault.checkpoint()
    when = funded.market.now

    good = funded.breaker.last_good()

    assert good.price == (a.nav_bid + 10**12) * WAD // (funded.vault.effective_supply() + 10**12)
    assert (good.initial, good.time) == (a.initial, when)


def test_pays_no_more_than_a_part_of_what_cash_leaves_above_the_last_margin(funded, sold):
    """Most is in spot: who leaves first gets what who leaves last gets."""
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 150))
    funded.vault.transfer(HEIR, 500_000 * WAD, sender=funded.depositor)
    funded.market.pass_time(2 * HOUR)
    initial = funded.breaker.last_good().initial
    free = funded.vault.cash() - initial

    first = funded.breaker.exit_frozen(500_000 * WAD, HEIR, sender=HEIR)
    last = funded.breaker.exit_frozen(500_000 * WAD, funded.depositor, sender=funded.depositor)

    assert first == free * 500_000 * WAD // (1_000_000 * WAD + 10**12) // 10**12
    assert abs(first - last) <= 1
    assert funded.vault.cash() >= initial


def test_what_the_queue_waits_for_stays(funded, sold):
    funded.loosen()
    funded.rebalance(funded.leg(SPOT, 150))
    funded.request(400_000 * WAD)
    funded.close_epoch(3_000)
    funded.vault.checkpoint()
    funded.market.pass_time(2 * HOUR)
    good = funded.breaker.last_good()
    kept = good.initial + 400_000 * good.price

    assets = funded.breaker.exit_frozen(600_000 * WAD, HEIR, sender=funded.depositor)

    assert 0 < assets <= (funded.vault.cash() + assets * 10**12 - kept) * 6 // 10 // 10**12 + 1
    assert funded.vault.cash() >= kept


def test_cash_owed_to_option_holders_stays(funded, sold):
    """Invariant 42, and seniority: payouts come before shares."""
    expiry = funded.expiry()
    funded.sell(funded.open_series(3_300, expiry=funded.expiry(14)), WAD)  # without a position no price is asked for
    funded.settle(expiry, 4_000)
    funded.vault.checkpoint()
    owed = funded.vault.owed()
    funded.market.pass_time(2 * HOUR)

    funded.breaker.exit_frozen(1_000_000 * WAD, HEIR, sender=funded.depositor)

    assert owed > 0
    assert funded.vault.idle() >= owed
    assert funded.clearing.claim(sold, sender=funded.taker) == owed


def test_refused_while_nav_can_be_computed(funded, sold):
    funded.vault.checkpoint()

    with reverts("breaker: not frozen"):
        funded.breaker.exit_frozen(WAD, HEIR, sender=funded.depositor)


def test_an_unsettled_expiry_is_no_freeze(funded, sold):
    funded.vault.checkpoint()
    funded.reach_expiry(funded.expiry(), 3_100)
    funded.market.submit_usdc()

    with reverts("breaker: not frozen"):
        funded.breaker.exit_frozen(WAD, HEIR, sender=funded.depositor)


def expire(p, seconds):
    """The ten calls at 3,000 expire, and the first round since comes `seconds` later, at 3,100. Returns the proof."""
    p.vault.checkpoint()
    expiry = p.expiry()
    p.market.wait(expiry - HOUR - p.market.now)
    usdc_round = p.market.usdc_feed.latestRound()
    p.market.pass_time(HOUR + seconds)
    p.market.submit_usdc()
    return expiry, p.market.submit(3_100), usdc_round


@pytest.fixture
def late(funded, sold):
    """A second later than a round can fix the expiry."""
    funded.proof = expire(funded, 2 * HOUR + 1)
    return funded


def test_an_expiry_that_cannot_be_fixed_for_days_leaves_frozen_exits_open(late):
    """Invariant 42. The first round came too late: for three days nobody settles, and other exits are shut."""
    vault, who = late.vault, late.depositor
    with reverts("fixing: round too late"):
        late.book.settle(ETH, *late.proof)
    with reverts("vault: settle the expired series first"):
        vault.redeem(WAD, who, who, sender=who)
    assert vault.mode() != FROZEN
    assert late.breaker.is_frozen()
    preview = late.breaker.preview_exit_frozen(10_000 * WAD)

    assets = late.breaker.exit_frozen(10_000 * WAD, HEIR, sender=who)

    assert assets == preview == late.asset.balanceOf(HEIR) > 0


def test_until_two_hours_after_it_an_expiry_is_no_freeze(funded, sold):
    """A round in time is there by then, and anybody may settle with it."""
    proof = expire(funded, 2 * HOUR)

    assert not funded.breaker.is_frozen()
    with reverts("breaker: not frozen"):
        funded.breaker.exit_frozen(WAD, HEIR, sender=funded.depositor)
    funded.book.settle(ETH, *proof, sender=funded.stranger)


def test_a_late_expiry_in_which_nothing_is_open_is_no_freeze(funded, sold):
    funded.buy_back(sold, 10 * WAD)
    expire(funded, 3 * HOUR)

    assert not funded.breaker.is_frozen()


def test_who_leaves_a_late_expiry_takes_no_more_than_of_what_a_share_is_worth_now(late):
    """Invariant 7. Ten calls cost the vault 30,000 of a million since the price was last known: nobody runs from it."""
    late.market.submit(6_000)
    good, shares = late.breaker.last_good(), 100_000 * WAD
    now = late.vault.previewRedeem(shares)

    assets = late.breaker.exit_frozen(shares, HEIR, sender=late.depositor)

    assert now * 10**12 < shares * good.price // WAD
    assert assets == now * 9 // 10


def test_who_leaves_a_late_expiry_gains_nothing_by_a_price_that_has_risen(late):
    late.overwrite("idle", late.vault.idle() * 120 // 100)
    good, shares = late.breaker.last_good(), 100_000 * WAD

    assets = late.breaker.exit_frozen(shares, HEIR, sender=late.depositor)

    assert assets == shares * good.price // WAD * 9 // 10 // 10**12


def test_once_it_is_settled_frozen_exits_are_shut(late):
    late.market.wait(3 * DAY)
    late.book.settle(ETH, *late.proof, sender=late.stranger)

    with reverts("breaker: not frozen"):
        late.breaker.exit_frozen(WAD, HEIR, sender=late.depositor)


def test_nobody_feigns_a_failure_by_starving_the_assessment(funded, sold):
    """Attack: just enough gas that the assessment runs out, the rest does not. The largest book: see tests/attacks."""
    funded.vault.checkpoint()

    for gas in range(300_000, FLOOR, 450_000):
        with pytest.raises(boa.BoaError), boa.env.anchor():
            funded.breaker.exit_frozen(10_000 * WAD, HEIR, sender=funded.depositor, gas=gas)
    assert funded.asset.balanceOf(HEIR) == 0
    with reverts("breaker: too little gas"):
        funded.breaker.exit_frozen(10_000 * WAD, HEIR, sender=funded.depositor, gas=FLOOR - 100_000)


@pytest.fixture
def lending(funded, sold):
    """Of 1,000,000 USDC 800,000 are lent to Aave."""
    funded.list_lending()
    funded.hedger.lend(LENT, sender=funded.keeper)
    funded.vault.checkpoint()
    return funded


def freeze(p):
    """Prices get stale."""
    p.market.pass_time(2 * HOUR)


def test_what_is_lent_is_recalled_and_paid(lending):
    """Idle is 200,000: what can be had from Aave at once is as good."""
    freeze(lending)
    good, shares = lending.breaker.last_good(), 400_000 * WAD

    assets = lending.breaker.exit_frozen(shares, HEIR, sender=lending.depositor)

    assert assets == shares * good.price // WAD * 9 // 10 // 10**12
    assert lending.asset.balanceOf(HEIR) == assets > 300_000 * USDC
    assert lending.vault.idle() == 0


def test_what_aave_has_lent_on_is_no_cash(lending):
    """Attack A21: only 50,000 of the 800,000 can be had, and everybody's part is of idle and those."""
    lend_out(lending.market, lending.stranger, left=50_000 * USDC)
    freeze(lending)
    free = lending.vault.cash() + 50_000 * WAD - lending.breaker.last_good().initial

    assets = lending.breaker.exit_frozen(500_000 * WAD, HEIR, sender=lending.depositor)

    assert assets == free * 500_000 * WAD // (1_000_000 * WAD + 10**12) // 10**12


@pytest.fixture
def boastful(funded, sold):
    """800,000 USDC are lent to a venue that does not give them back."""
    venue = fault("BoastfulLending")
    funded.vault.list_venue(venue, ETH, sender=funded.governor)
    funded.vault.set_lending(2, sender=funded.governor)
    funded.hedger.lend(LENT, sender=funded.keeper)
    funded.vault.checkpoint()
    freeze(funded)
    return funded, venue


def test_a_lender_that_breaks_its_word_leaves_idle_to_go_out(boastful):
    p, _ = boastful
    with reverts("vault: not enough idle cash"):
        p.breaker.exit_frozen(400_000 * WAD, HEIR, sender=p.depositor)

    assert p.breaker.exit_frozen(200_000 * WAD, HEIR, sender=p.depositor) > 175_000 * USDC


def test_a_lender_that_does_not_answer_counts_nothing(boastful):
    p, venue = boastful
    venue.fall_silent()
    free = p.vault.cash() - p.breaker.last_good().initial

    assets = p.breaker.exit_frozen(500_000 * WAD, HEIR, sender=p.depositor)

    assert assets == free * 500_000 * WAD // (1_000_000 * WAD + 10**12) // 10**12


def test_not_while_a_component_holds_the_lock(frozen):
    """In the middle of a fill the Vault answers nobody: that is no freeze."""
    frozen.vault.acquire(sender=frozen.book.address)

    with reverts("vault: locked"):
        frozen.breaker.exit_frozen(WAD, HEIR, sender=frozen.depositor)


def test_nobody_else_can_make_the_vault_pay(frozen):
    for who in (frozen.governor, frozen.keeper, frozen.stranger):
        with reverts("vault: not a component"):
            frozen.vault.pay_frozen(WAD, 1, who, frozen.depositor, sender=who)


def test_nobody_burns_more_than_he_has(frozen):
    with reverts("erc20: burn amount exceeds balance"):
        frozen.breaker.exit_frozen(WAD, HEIR, sender=frozen.stranger)


def test_shares_worth_nothing_are_not_burned(frozen):
    with reverts("vault: zero assets"):
        frozen.breaker.exit_frozen(10**11, HEIR, sender=frozen.depositor)


def test_its_preview_is_what_it_pays(frozen):
    preview = frozen.breaker.preview_exit_frozen(123_456 * WAD)

    assert frozen.breaker.exit_frozen(123_456 * WAD, HEIR, sender=frozen.depositor) == preview


def test_those_who_stay_gain_what_those_who_go_leave(frozen):
    """Invariant 7: when prices come back the share is worth more, not less."""
    before = frozen.breaker.last_good().price

    frozen.breaker.exit_frozen(500_000 * WAD, HEIR, sender=frozen.depositor)
    frozen.market.submit(3_000)
    frozen.market.submit_usdc()
    frozen.vault.checkpoint()

    assert frozen.breaker.last_good().price > before


def test_no_price_was_ever_known_nothing_is_paid(protocol):
    protocol.market.pass_time(2 * DAY)

    assert protocol.breaker.preview_exit_frozen(1_000 * WAD) == 0


def test_nothing_is_learned_from_a_wrong_book(funded, sold):
    """Neither while an expired series is marked at a later spot, nor while a venue is silent."""
    funded.vault.checkpoint()
    good = funded.breaker.last_good()
    funded.reach_expiry(funded.expiry(), 4_000)
    funded.market.submit_usdc()

    funded.vault.checkpoint()

    assert funded.breaker.last_good() == good
