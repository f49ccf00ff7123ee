"""maxDeposit, maxMint, maxWithdraw, maxRedeem (invariant 4): they never revert, what they say is accepted, and more is refused."""

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError

from tests.contracts.chain import DAY, WAD
from tests.contracts.properties.shares import act

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


def unfixed_expiry(live):
    live.reach_expiry(live.expiry(), 3_100)


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
def test_deposits_are_all_or_nothing(live, state):
    state(live)
    live.fund(live.stranger, 10**9 * live.unit)

    accepted = {"deposit": live.vault.maxDeposit(live.stranger), "mint": live.vault.maxMint(live.stranger)}

    for operation, limit in accepted.items():
        assert limit in (0, HUGE)
        for amount in (200 * live.unit, 10**8 * live.unit):
            size = amount if operation == "deposit" else amount * WAD // live.unit
            assert refused(live, operation, size, live.stranger) == (limit == 0)


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
