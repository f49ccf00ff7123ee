"""A19 and A21: a queue that is spammed, and a run on a vault whose lending venue has lent everything on."""

import boa
import pytest

from tests.contracts.aave import lend_out
from tests.contracts.chain import DAY, USDC, WAD, account, reverts

SPAMMERS = 120
SMALLEST = 100 * WAD  # RedemptionQueue's _MIN_REQUEST


@pytest.fixture
def rich(hedged):
    """The depositor's 1,000,000 and the stranger's 250,000 USDC."""
    hedged.open_gates()
    hedged.deposit(250_000 * USDC, hedged.stranger)
    return hedged


def gas_of_settlement(p):
    with boa.env.anchor():
        p.settle_epoch()
        return int(boa.env.evm.evm.result.gas_used)


def spam(p):
    """As many requests of the smallest size as there are spammers, each from an account of its own. Returns them."""
    for n in range(SPAMMERS):
        spammer = account(f"spammer {n}")
        p.vault.transfer(spammer, SMALLEST, sender=p.stranger)
        p.request(SMALLEST, spammer)
    return [account(f"spammer {n}") for n in range(SPAMMERS)]


def test_a19_a_spammed_queue_costs_the_same_gas_and_pays_the_same(rich):
    """Attack A19, invariant 17: settlement writes two numbers, however many wait."""
    with boa.env.anchor():
        rich.request(100_000 * WAD)
        rich.close_epoch()
        alone = gas_of_settlement(rich)
        rich.settle_epoch()
        undisturbed = rich.queue.maxWithdraw(rich.depositor)

    rich.request(100_000 * WAD)
    spammers = spam(rich)
    rich.close_epoch()
    crowded = gas_of_settlement(rich)
    shares, _ = rich.settle_epoch()

    assert shares == 100_000 * WAD + SPAMMERS * SMALLEST
    assert crowded == pytest.approx(alone, rel=0.01)
    assert rich.queue.maxWithdraw(rich.depositor) == pytest.approx(undisturbed, rel=1e-9)
    assert rich.ledger_problems([rich.depositor, rich.stranger, rich.queue.address, *spammers]) == []


def test_a19_the_smallest_request_keeps_dust_out(rich):
    """Attack A19: a request is worth what the smallest deposit is, unless it is all that somebody has."""
    with reverts("queue: below minimum request"):
        rich.request(SMALLEST - 1, rich.stranger)

    rich.vault.transfer(account("spammer"), 1, sender=rich.stranger)
    rich.request(1, account("spammer"))
    rich.request(100_000 * WAD)
    rich.close_epoch()

    assert rich.settle_epoch()[0] == 100_000 * WAD + 1


def test_a19_coming_and_going_holds_up_nobody(rich):
    """Attack A19: requests that are taken back before the close leave nothing behind, in this epoch or the next."""
    rich.request(100_000 * WAD)
    for _ in range(20):
        rich.request(SMALLEST, rich.stranger)
        rich.queue.cancel(rich.stranger, rich.stranger, sender=rich.stranger)
    rich.close_epoch()

    assert rich.settle_epoch()[0] == 100_000 * WAD


@pytest.fixture
def illiquid(rich):
    """Of some 1,220,000 idle USDC 1,000,000 are lent, and Aave has lent all but 20,000 of its own on."""
    rich.list_lending()
    rich.hedger.lend(1_000_000 * USDC, sender=rich.keeper)
    lend_out(rich.market, account("borrower"), left=20_000 * USDC)
    return rich


def repay(p):
    """Aave's borrower brings back what he has borrowed."""
    who, most = account("borrower"), 2**256 - 1
    p.market.mint(who, 10_000_000 * USDC)
    p.market.usdc.approve(p.market.aave, most, sender=who)
    p.market.aave.repay(p.market.usdc, most, 2, who, sender=who)


def test_a21_who_runs_first_takes_idle_at_the_price_and_nothing_of_what_others_are_worth(illiquid):
    """Attack A21: what Aave owes is worth what it is; it only is not there yet."""
    p = illiquid
    price = p.vault.previewRedeem(1_000 * WAD)
    most = p.vault.maxRedeem(p.stranger)

    p.vault.redeem(most, p.stranger, p.stranger, sender=p.stranger)

    assert 0 < most < p.vault.balanceOf(p.depositor)
    assert p.vault.previewRedeem(1_000 * WAD) >= price
    assert p.vault.maxRedeem(p.depositor) < 300_000 * WAD


def test_a21_the_rest_of_a_run_is_paid_pro_rata_as_liquidity_comes_back(illiquid):
    """Attack A21: both ask for all; each settlement pays both the same part; in the end both have all of it."""
    p = illiquid
    held = {who: p.vault.balanceOf(who) for who in (p.depositor, p.stranger)}
    for who, shares in held.items():
        p.request(shares, who)
    p.close_epoch()
    p.market.submit_btc(90_000)

    first, _ = p.settle_epoch()
    parts = [p.queue.maxRedeem(who) / shares for who, shares in held.items()]
    assert 0 < first < sum(held.values())
    assert parts[0] == pytest.approx(parts[1], rel=1e-9)

    repay(p)
    p.market.wait(DAY)
    second, _ = p.settle_epoch()
    parts = [p.queue.maxRedeem(who) / shares for who, shares in held.items()]
    assert second > 0
    assert parts[0] == pytest.approx(parts[1], rel=1e-9)
    assert min(parts) > 0.9  # what margin and hedges hold waits for the expiry
    assert p.ledger_problems([*held, p.queue.address]) == []


def test_a21_nobody_overtakes_those_who_wait(illiquid):
    """Attack A21: what comes back from Aave is the queue's first; only what is beyond that may leave at once."""
    p = illiquid
    p.request(1_000_000 * WAD)
    p.close_epoch()
    p.settle_epoch()
    repay(p)
    p.market.wait(12)

    due = p.queue.shares_due()
    free = p.vault.idle() + p.lending.withdrawable() - p.vault.owed()
    assert due > 500_000 * WAD
    assert 0 < p.vault.maxWithdraw(p.stranger) <= free - p.vault.previewRedeem(due)
    assert p.vault.maxWithdraw(p.stranger) < p.vault.previewRedeem(p.vault.balanceOf(p.stranger))
