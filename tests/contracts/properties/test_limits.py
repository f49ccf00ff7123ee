"""maxDeposit, maxMint, maxWithdraw, maxRedeem (invariant 4): no revert, what they say is accepted, more is refused."""

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError

from tests.contracts.chain import DAY, HOUR, WAD
from tests.contracts.properties.shares import act
from tests.contracts.protocol import Thresholds

HUGE = 2**256 - 1


def everything_is_free(live):
    live.settle(live.expiry(), 3_000)
    live.clearing.fund(sender=live.stranger)


def margin_binds(live):
    pass  # options are sold and nothing is hedged


def idle_cash_binds(live):
    live.settle(live.expiry(), 3_900)  # what is owed stays in the Vault until somebody funds it


def reduce_only(live):
    live.breaker.set_reduce_only(True, sender=live.guardian)


def below_initial_margin(live):
    live.overwrite("idle", 8_000 * live.unit)


def under_water(live):
    live.overwrite("owed", 2_000_000 * live.unit)


def dead_oracle(live):
    live.market.pass_time(2 * DAY)


def old_surface(live):
    live.market.wait(14 * HOUR)


def unfixed_expiry(live):
    live.reach_expiry(live.expiry(), 3_100)


def flows_bind(live):
    live.breaker.set_thresholds(Thresholds(min_deposit=100 * live.unit), sender=live.governor)


def flows_are_used_up(live):
    flows_bind(live)
    live.vault.withdraw(live.vault.maxWithdraw(live.depositor), live.keeper, live.depositor, sender=live.depositor)
    live.fund(live.keeper, live.vault.maxDeposit(live.keeper))
    live.vault.deposit(live.vault.maxDeposit(live.keeper), live.keeper, sender=live.keeper)


def utilisation_binds(live):
    live.open_gates(max_utilisation=WAD // 2)


def the_queue_waits(live):
    live.request(500_000 * WAD)
    live.close_epoch()


def many_holders(live):
    for number in range(3):
        live.deposit((777 + number) * live.unit + 1, live.keeper)
        live.vault.transfer(live.stranger, 10**18 + number, sender=live.keeper)


STATES = [
    everything_is_free,
    margin_binds,
    idle_cash_binds,
    reduce_only,
    below_initial_margin,
    under_water,
    dead_oracle,
    unfixed_expiry,
    old_surface,
    flows_bind,
    flows_are_used_up,
    utilisation_binds,
    the_queue_waits,
    many_holders,
]


def refused(live, operation: str, amount: int, who: str) -> bool:
    """Whether the call reverts; undone in either case."""
    with boa.env.anchor():
        try:
            act(live, operation, amount, who)
        except BoaError:
            return True
    return False


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("role", ["depositor", "stranger"])
def test_exits_are_accepted_up_to_the_limit_and_not_beyond(live, state, role):
    state(live)
    vault, who = live.vault, getattr(live, role)

    assets, shares = vault.maxWithdraw(who), vault.maxRedeem(who)

    # `redeem` gives whole units: shares beyond the limit that are worth less than one more unit are not refused.
    unit_of_shares = -(-(vault.totalSupply() + WAD // live.unit) // max(_nav(live), 1)) + 1
    assert assets == 0 or not refused(live, "withdraw", assets, who)
    assert shares == 0 or not refused(live, "redeem", shares, who)
    assert refused(live, "withdraw", assets + 1, who)
    assert refused(live, "redeem", shares + unit_of_shares, who)
    assert shares <= vault.balanceOf(who)


@pytest.mark.parametrize("state", STATES)
def test_deposits_are_accepted_up_to_the_limit_and_not_beyond(live, state):
    """Invariant 4."""
    state(live)
    live.fund(live.stranger, 10**10 * live.unit)

    assets, shares = live.vault.maxDeposit(live.stranger), live.vault.maxMint(live.stranger)

    if assets == HUGE:
        assert shares == HUGE
        assert not refused(live, "deposit", 10**8 * live.unit, live.stranger)
        assert not refused(live, "mint", 10**8 * WAD, live.stranger)
        return
    assert assets == 0 or not refused(live, "deposit", assets, live.stranger)
    assert shares == 0 or not refused(live, "mint", shares, live.stranger)
    assert refused(live, "deposit", max(assets + 1, 200 * live.unit), live.stranger)
    assert refused(live, "mint", max(shares + 1, 200 * WAD), live.stranger)


@pytest.mark.parametrize("state", STATES)
def test_limits_do_not_depend_on_who_asks_or_what_the_receiver_owns(live, state):
    state(live)
    vault = live.vault
    for limit in (vault.maxDeposit, vault.maxMint, vault.maxWithdraw, vault.maxRedeem):
        assert limit(live.depositor, sender=live.stranger) == limit(live.depositor, sender=live.depositor)
    assert vault.maxDeposit(live.stranger) == vault.maxDeposit(live.depositor)


def _nav(live) -> int:
    try:
        return max(live.vault.assessment().nav_bid, 0) * live.unit // WAD + 1
    except BoaError:
        return 1
