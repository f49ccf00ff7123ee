"""Vault.maxDeposit, maxMint, maxWithdraw, maxRedeem: honoured, and never a revert."""

import pytest

from tests.contracts.chain import DAY, USDC, WAD
from tests.contracts.protocol import fault

LIMITS = ("maxDeposit", "maxMint", "maxWithdraw", "maxRedeem")


def limits(protocol, who=None):
    return [getattr(protocol.vault, name)(who or protocol.depositor) for name in LIMITS]


def test_deposits_are_all_or_nothing(funded):
    assert limits(funded)[:2] == [2**256 - 1, 2**256 - 1]

    funded.breaker.set_reduce_only(True, sender=funded.guardian)

    assert limits(funded)[:2] == [0, 0]


def test_exits_are_the_whole_balance_when_cash_is_free(funded):
    assert limits(funded)[2:] == [1_000_000 * USDC, 1_000_000 * WAD]


def test_of_a_stranger_are_zero(funded):
    assert limits(funded, funded.stranger)[2:] == [0, 0]


@pytest.mark.parametrize("how", ["withdraw", "redeem"])
def test_exits_are_honoured_when_margin_limits_them(hedged, how):
    vault, depositor = hedged.vault, hedged.depositor
    assets, shares = limits(hedged)[2:]
    assert 0 < shares < vault.balanceOf(depositor)

    if how == "withdraw":
        vault.withdraw(assets, depositor, depositor, sender=depositor)
    else:
        vault.redeem(shares, depositor, depositor, sender=depositor)

    after = vault.assessment()
    assert after.nav_bid >= after.initial


def test_exits_are_honoured_when_owed_cash_limits_them(funded, sold):
    funded.settle(funded.expiry(), 3_500)
    assets, shares = limits(funded)[2:]

    assert funded.vault.withdraw(assets, funded.depositor, funded.depositor, sender=funded.depositor) <= shares + 10**12


def test_dust_that_redeems_to_nothing_is_not_redeemable(funded):
    funded.vault.transfer(funded.stranger, 10**11, sender=funded.depositor)

    assert limits(funded, funded.stranger)[2:] == [0, 0]


def test_are_zero_with_a_stale_oracle(funded, sold):
    funded.market.pass_time(2 * DAY)

    assert limits(funded) == [0, 0, 0, 0]


def test_are_zero_while_an_expired_series_is_unfixed(funded, sold):
    funded.reach_expiry(funded.expiry(), 3_100)

    assert limits(funded) == [0, 0, 0, 0]


def test_when_a_venue_does_not_answer_only_exits_are_open(funded):
    venue = fault("LyingVenue")
    funded.vault.list_venue(venue, 0, sender=funded.governor)
    was = limits(funded)
    venue.break_down()

    assert limits(funded) == [0, 0, *was[2:]]


def test_are_zero_for_exits_when_the_vault_is_under_water(funded, sold):
    funded.overwrite("owed", 2_000_000 * USDC)

    assert limits(funded) == [0, 0, 0, 0]


def test_of_an_empty_vault(protocol):
    assert limits(protocol) == [2**256 - 1, 2**256 - 1, 0, 0]
