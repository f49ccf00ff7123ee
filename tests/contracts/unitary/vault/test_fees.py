"""Vault.set_fees, crystallise: what is owed dilutes every price at once, minting it moves none (modules/fees.vy)."""

from fractions import Fraction

import pytest

from tests.contracts.chain import DAY, USDC, WAD, account, events, reverts
from tests.contracts.protocol import ZERO, wad

YEAR = 365 * DAY
UNIT = 10**12  # the virtual unit of USDC in WAD, and the virtual shares
TREASURY = account("treasury")
RATES = (wad(0.01), wad(0.10))


@pytest.fixture
def charged(protocol):
    """1,000,000 USDC at a price of 1, under 1 % a year and 10 % of gains."""
    protocol.vault.set_fees((TREASURY, *RATES), sender=protocol.governor)
    protocol.deposit(1_000_000 * USDC)
    return protocol


def earn(protocol, usdc):
    """Profit or loss from nowhere."""
    protocol.overwrite("idle", protocol.vault.idle() + usdc * USDC)
    if usdc > 0:
        protocol.market.mint(str(protocol.vault.address), usdc * USDC)


def price(protocol):
    """`nav_bid` per share after fees, exact."""
    nav = max(protocol.vault.assessment().nav_bid, 0) + UNIT
    return Fraction(nav, protocol.vault.effective_supply() + UNIT)


def test_fees_start_at_nothing(funded):
    assert funded.vault.terms() == (ZERO, 0, 0)
    assert funded.vault.effective_supply() == funded.vault.totalSupply()


def test_only_the_governor_sets_them(protocol):
    protocol.vault.set_fees((TREASURY, *RATES), sender=protocol.governor)

    (event,) = events(protocol.vault, "FeesSet")
    assert tuple(event.terms) == tuple(protocol.vault.terms()) == (TREASURY, *RATES)
    with reverts("roles: not allowed"):
        protocol.vault.set_fees((TREASURY, *RATES), sender=protocol.guardian)


@pytest.mark.parametrize("rates", [(wad(0.02) + 1, 0), (0, wad(0.20) + 1)])
def test_caps_hold(protocol, rates):
    """Invariant 11."""
    protocol.vault.set_fees((TREASURY, wad(0.02), wad(0.20)), sender=protocol.governor)
    with reverts("fees: above the cap"):
        protocol.vault.set_fees((TREASURY, *rates), sender=protocol.governor)


@pytest.mark.parametrize("rates", [(wad(0.01), 0), (0, 0)])
def test_fees_need_a_recipient(protocol, rates):
    """Without rates too: what is owed by earlier ones is minted to him."""
    with reverts("fees: no recipient"):
        protocol.vault.set_fees((ZERO, *rates), sender=protocol.governor)


@pytest.mark.parametrize("name", ["vault", "queue"])
def test_shares_are_not_minted_to_where_nobody_can_use_them(protocol, name):
    with reverts("fees: recipient"):
        protocol.vault.set_fees((getattr(protocol, name).address, *RATES), sender=protocol.governor)


def test_management_is_a_share_of_the_supply_a_year(charged):
    charged.market.wait(YEAR)

    assert charged.vault.effective_supply() == 1_010_000 * WAD
    assert charged.vault.convertToAssets(WAD * 10**6) == pytest.approx(10**12 / 1.01, abs=2)
    assert charged.vault.totalSupply() == 1_000_000 * WAD


def test_performance_is_a_share_of_the_gain_over_the_mark(charged):
    """Of 100,000 USDC gained, 10,000 are the recipient's."""
    earn(charged, 100_000)

    assert float(price(charged)) == pytest.approx(1.09, rel=1e-12)
    owed = charged.vault.effective_supply() - charged.vault.totalSupply()
    assert float(owed * price(charged)) == pytest.approx(10_000 * WAD, rel=1e-9)


def test_no_performance_fee_below_the_mark_or_on_principal(charged):
    """Invariant 10: a loss, its recovery, and a deposit of any size."""
    earn(charged, -200_000)
    assert charged.vault.effective_supply() == charged.vault.totalSupply()
    earn(charged, 200_000)
    assert charged.vault.effective_supply() == charged.vault.totalSupply()

    charged.deposit(5_000_000 * USDC, charged.taker)

    assert charged.vault.effective_supply() == charged.vault.totalSupply()
    assert price(charged) <= 1


def test_a_donation_is_not_profit(charged):
    """Invariant 8."""
    charged.market.mint(str(charged.vault.address), 500_000 * USDC)

    assert charged.vault.effective_supply() == charged.vault.totalSupply()


def test_crystallising_mints_what_is_owed_and_moves_no_price(charged):
    """Invariant 7; the mark is the price after the fee."""
    charged.market.wait(40 * DAY)
    earn(charged, 100_000)
    before, owed = price(charged), charged.vault.effective_supply() - charged.vault.totalSupply()

    charged.vault.crystallise(sender=charged.stranger)

    (event,) = events(charged.vault, "FeesCrystallised")
    assert (event.recipient, event.shares) == (TREASURY, owed)
    assert charged.vault.balanceOf(TREASURY) == owed
    assert charged.vault.effective_supply() == charged.vault.totalSupply()
    assert price(charged) == before
    assert 0 <= charged.vault.accrual().mark - before * WAD < 1


def test_a_gain_is_charged_once(charged):
    charged.market.wait(30 * DAY)
    charged.vault.set_fees((TREASURY, 0, wad(0.10)), sender=charged.governor)
    earn(charged, 100_000)
    charged.market.wait(30 * DAY)
    charged.vault.crystallise()
    supply = charged.vault.totalSupply()
    earn(charged, -50_000)
    earn(charged, 50_000)

    charged.market.wait(30 * DAY)
    charged.vault.crystallise()

    assert charged.vault.totalSupply() == supply


def test_a_loss_that_is_recovered_after_crystallising_is_not_charged(charged):
    """Invariant 10: nothing lowers the mark, minting what management is owed no more than the rest."""
    earn(charged, -200_000)
    charged.market.wait(30 * DAY)
    mark = charged.vault.accrual().mark
    charged.vault.crystallise()
    charged.vault.set_fees((TREASURY, 0, wad(0.20)), sender=charged.governor)

    earn(charged, 200_000)

    assert charged.vault.accrual().mark == mark
    assert charged.vault.effective_supply() == charged.vault.totalSupply()


def test_crystallising_waits_thirty_days(charged):
    charged.market.wait(30 * DAY - 600)
    with reverts("fees: not yet 30 days"):
        charged.vault.crystallise()
    charged.market.wait(600)

    charged.vault.crystallise(sender=charged.stranger)

    with reverts("fees: not yet 30 days"):
        charged.vault.crystallise()


def test_new_rates_do_not_reach_back(charged):
    """What was gained without a fee is not charged later."""
    charged.vault.set_fees((TREASURY, 0, 0), sender=charged.governor)
    earn(charged, 100_000)
    charged.market.wait(YEAR)
    before = price(charged)

    charged.vault.set_fees((TREASURY, wad(0.02), wad(0.20)), sender=charged.governor)

    assert price(charged) == before
    assert charged.vault.balanceOf(TREASURY) == 0


@pytest.mark.parametrize("gain", [-100_000, 0, 100_000])
def test_a_newcomer_pays_nothing_for_what_was_before_him(charged, gain):
    """Neither time nor gains: his shares are worth what he paid, and the others' price has not moved."""
    charged.market.wait(20 * DAY)
    earn(charged, gain)
    before, owed = price(charged), charged.vault.effective_supply() - charged.vault.totalSupply()

    shares = charged.deposit(2_000_000 * USDC, charged.taker)

    assert float(price(charged) / before - 1) == pytest.approx(0, abs=1e-15)
    assert price(charged) >= before
    assert charged.vault.previewRedeem(shares) in (2_000_000 * USDC - 1, 2_000_000 * USDC)
    assert charged.vault.effective_supply() - charged.vault.totalSupply() == pytest.approx(owed, rel=1e-12)


@pytest.mark.parametrize("gain", [0, 100_000])
def test_who_leaves_has_paid_and_those_who_stay_neither_gain_nor_lose(charged, gain):
    """Whatever part leaves: the price stays, and the recipient is owed the same."""
    charged.market.wait(20 * DAY)
    earn(charged, gain)
    before, owed = price(charged), charged.vault.effective_supply() - charged.vault.totalSupply()

    charged.vault.redeem(400_000 * WAD, charged.taker, charged.depositor, sender=charged.depositor)

    assert float(price(charged) / before - 1) == pytest.approx(0, abs=1e-11)
    assert price(charged) >= before
    assert charged.vault.effective_supply() - charged.vault.totalSupply() == pytest.approx(owed, rel=1e-10)


@pytest.mark.parametrize("performance", [wad(0.10), wad(0.20), wad(0.05), 0])
def test_new_terms_mint_nothing_and_keep_what_is_owed_unless_they_are_lower(charged, performance):
    """Not even terms that do not change: or the governor could crystallise every day."""
    charged.market.wait(10 * DAY)
    earn(charged, 100_000)
    before, owed = price(charged), charged.vault.effective_supply() - charged.vault.totalSupply()

    charged.vault.set_fees((TREASURY, wad(0.01), performance), sender=charged.governor)

    now = charged.vault.effective_supply() - charged.vault.totalSupply()
    assert charged.vault.balanceOf(TREASURY) == 0
    if performance < wad(0.10):
        assert now < owed
        assert price(charged) > before
    else:
        assert now == pytest.approx(owed, rel=1e-12)
        assert now <= owed
    earn(charged, -100_000)  # and it still falls with the price
    assert charged.vault.effective_supply() - charged.vault.totalSupply() == charged.vault.accrual().owed


def test_who_comes_and_goes_at_once_sets_nothing_aside(charged):
    """Attack: the recipient borrows a hundred vaults for a block, and the fee of all no longer falls with the price."""
    charged.market.wait(2 * DAY)
    earn(charged, 100_000)
    mark, owed = charged.vault.accrual().mark, charged.vault.effective_supply() - charged.vault.totalSupply()
    before = charged.vault.accrual().owed

    shares = charged.deposit(100_000_000 * USDC, charged.taker)
    charged.vault.redeem(shares, charged.taker, charged.taker, sender=charged.taker)

    now = charged.vault.accrual()
    assert now.owed - before == pytest.approx(int(1_000_000 * WAD * 0.01 * 2 / 365), rel=1e-6)  # management alone
    assert now.mark == pytest.approx(mark, rel=1e-9)
    assert charged.vault.effective_supply() - charged.vault.totalSupply() == pytest.approx(owed, rel=1e-9)
    assert charged.asset.balanceOf(charged.taker) <= 100_000_000 * USDC


def test_coming_and_going_below_the_mark_does_not_raise_it(charged):
    """Attack: a holder would switch the fee off by borrowing what it takes."""
    charged.market.wait(2 * DAY)
    earn(charged, -100_000)
    mark = charged.vault.accrual().mark

    shares = charged.deposit(100_000_000 * USDC, charged.taker)
    charged.vault.redeem(shares, charged.taker, charged.taker, sender=charged.taker)

    assert charged.vault.accrual().mark == mark


def test_what_came_is_forgotten_within_a_day(charged):
    charged.market.wait(DAY // 2)
    charged.deposit(100 * USDC, charged.taker)

    assert charged.vault.accrual().entered == pytest.approx(500_000 * WAD, rel=1e-3)
    charged.market.wait(DAY)
    charged.vault.redeem(WAD, charged.taker, charged.taker, sender=charged.taker)
    assert charged.vault.accrual().entered == 0


def test_what_was_set_aside_for_a_leaver_does_not_fall_with_the_price(charged):
    charged.vault.set_fees((TREASURY, 0, wad(0.10)), sender=charged.governor)
    charged.market.wait(2 * DAY)
    earn(charged, 100_000)
    charged.vault.redeem(500_000 * WAD, charged.taker, charged.depositor, sender=charged.depositor)

    earn(charged, -100_000)

    owed = charged.vault.effective_supply() - charged.vault.totalSupply()
    assert owed == charged.vault.accrual().owed
    assert owed == pytest.approx(5_000 / 1.09 * WAD, rel=1e-9)  # half of 10,000 USDC at 1.09


def test_fees_go_on_while_deposits_come_and_go(charged):
    """Management is on the shares there were, second by second."""
    charged.market.wait(100 * DAY)
    charged.deposit(1_000_000 * USDC, charged.taker)
    charged.market.wait(100 * DAY)

    owed = charged.vault.effective_supply() - charged.vault.totalSupply()

    added = charged.vault.balanceOf(charged.taker)
    assert owed == pytest.approx((1_000_000 * WAD * 200 + added * 100) // 365 // 100, rel=1e-6)


def test_an_emptied_vault_starts_anew(charged):
    """Mark and drawdown: the next depositor does not inherit a high price, nor pay for the time between."""
    earn(charged, 500_000)
    charged.vault.checkpoint()
    started = charged.vault.accrual().crystallised_at
    held = charged.vault.balanceOf(charged.depositor)
    charged.vault.redeem(held, charged.depositor, charged.depositor, sender=charged.depositor)
    owed = charged.vault.effective_supply()
    assert charged.vault.totalSupply() == 0
    charged.overwrite("idle", charged.vault.idle() // 2)  # then it loses half of what is left
    charged.market.wait(200 * DAY)
    assert charged.vault.effective_supply() == owed  # nobody there to be charged
    paid = price(charged)

    charged.deposit(1_000 * USDC, charged.taker)

    assert charged.vault.accrual().mark == pytest.approx(int(paid * WAD), rel=1e-9)
    assert charged.vault.accrual().crystallised_at == started  # or whoever came and went would put off the minting
    charged.vault.checkpoint()
    assert not charged.breaker.latched()
    assert charged.vault.previewRedeem(charged.vault.balanceOf(charged.taker)) >= 1_000 * USDC - 1


def test_a_first_deposit_of_nearly_nothing_cannot_put_the_mark_out_of_reach(protocol):
    """One unit of USDC for 1e-18 shares is a trillion times their price: the mark is what a share is worth after it."""
    protocol.vault.set_fees((TREASURY, 0, wad(0.10)), sender=protocol.governor)
    protocol.fund(protocol.stranger, 1)
    protocol.vault.mint(1, protocol.stranger, sender=protocol.stranger)
    assert 0 <= protocol.vault.accrual().mark - price(protocol) * WAD < 1
    protocol.deposit(1_000_000 * USDC)

    earn(protocol, 100_000)

    owed = protocol.vault.effective_supply() - protocol.vault.totalSupply()
    assert float(owed * price(protocol)) == pytest.approx(10_000 * WAD, rel=1e-9)


def test_nothing_is_stranded_in_an_emptied_vault(charged):
    """Invariant 9: what is left belongs to the recipient, who gets it."""
    earn(charged, 100_000)
    held = charged.vault.balanceOf(charged.depositor)
    charged.vault.redeem(held, charged.depositor, charged.depositor, sender=charged.depositor)
    charged.market.wait(30 * DAY)

    charged.vault.crystallise()
    charged.vault.redeem(charged.vault.balanceOf(TREASURY), TREASURY, TREASURY, sender=TREASURY)

    assert charged.market.usdc.balanceOf(TREASURY) == pytest.approx(10_000 * USDC, rel=1e-9)
    assert charged.vault.idle() <= 1


def test_an_expiry_that_is_not_fixed_blocks_crystallising(charged):
    series = charged.open_series()
    charged.sell(series)
    charged.market.wait(25 * DAY)
    expiry = int(series) >> 215 & 2**32 - 1
    if charged.market.now < expiry:
        charged.reach_expiry(expiry)
    charged.market.wait(10 * DAY)

    with reverts("vault: settle the expired series first"):
        charged.vault.crystallise()
