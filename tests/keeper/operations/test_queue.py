"""Redemptions that wait: asked, cancelled, settled by the keeper or by anyone, claimed; and what people are told."""

import pytest

from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.execution.records import Kind
from keeper.operations.contracts import usdc_of
from keeper.operations.queue import (
    cancel_request,
    claim_redemption,
    read_queue,
    read_request,
    request_redeem,
    settle_epoch,
)
from keeper.operations.vault import redeem
from keeper.runtime.loop import Keeper
from tests.keeper.vault_on_fork import SPOT, account_of

DAY = 86_400


def shares_of(vault, role="depositor"):
    return vault.read("Vault", "balanceOf", account_of(role).address)


def usdc_balance(vault, role="depositor"):
    return usdc_of(vault.w3, vault.deployment).functions.balanceOf(account_of(role).address).call()


def allowance(vault):
    queue = vault.deployment.address("RedemptionQueue")
    return vault.read("Vault", "allowance", account_of("depositor").address, queue)


def close_the_epoch(vault, *, new_rounds=True):
    """To five minutes after the close; the feeds have a round since, or none."""
    close = read_queue(vault.w3, vault.deployment).closes_at
    vault.market.step(SPOT, timestamp=close - 60)
    if new_rounds:
        vault.market.step(SPOT, timestamp=close + 300)
    else:
        vault.market.warp(360)
    return close


def request(vault, shares):
    return request_redeem(vault.sender("depositor"), vault.deployment, shares)


def mine(vault, role="depositor"):
    return read_request(vault.w3, vault.deployment, account_of(role).address)


def test_a_request_hands_over_exactly_its_shares_and_leaves_no_allowance(vault):
    before = shares_of(vault)

    request(vault, 1_000 * WAD)

    assert shares_of(vault) == before - 1_000 * WAD
    assert allowance(vault) == 0
    assert (mine(vault).pending, mine(vault).cancellable) == (1_000 * WAD, 1_000 * WAD)


def test_a_cancelled_request_gives_exactly_the_shares_back(vault):
    before = shares_of(vault)
    request(vault, 1_000 * WAD)
    request(vault, 500 * WAD)

    cancel_request(vault.sender("depositor"), vault.deployment)

    assert shares_of(vault) == before
    assert mine(vault).pending == 0


def test_what_was_queued_is_settled_after_the_close_and_claimed_at_the_price_of_then(vault):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault)
    price = vault.read("Vault", "previewRedeem", 1_000 * WAD)

    settle_epoch(vault.sender("stranger"), vault.deployment)
    claim_redemption(vault.sender("depositor"), vault.deployment)

    assert usdc_balance(vault) == pytest.approx(price, rel=1e-5)
    assert (mine(vault).pending, mine(vault).claimable) == (0, 0)


def test_the_keeper_settles_an_epoch_once_and_records_why(vault, journal):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault)
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, poll_seconds=0.01)

    keeper.tick()
    vault.market.step(SPOT, timestamp=vault.now() + 12)
    keeper.tick()

    assert mine(vault).claimable == 1_000 * WAD
    told = [record for record in journal.decisions() if record.kind is Kind.REDEEM]
    assert [record.decision.action for record in told] == [Action.TRADE]
    assert "settle redemptions of epoch" in told[0].decision.reason
    assert "1,000.00 shares, closed" in told[0].decision.reason


def test_the_keeper_says_once_that_it_waits_for_a_newer_round_and_settles_when_it_is_there(vault, journal):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault, new_rounds=False)
    keeper = Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal, poll_seconds=0.01)

    for _ in range(3):
        keeper.tick()
        vault.market.warp(12)

    told = [record.decision for record in journal.decisions() if record.kind is Kind.REDEEM]
    assert [decision.action for decision in told] == [Action.HOLD]
    assert "wait for a newer round" in told[0].reason

    vault.market.step(SPOT, timestamp=vault.now() + 12)
    keeper.tick()

    assert mine(vault).claimable == 1_000 * WAD


def test_an_open_epoch_is_no_duty(vault, journal):
    request(vault, 1_000 * WAD)

    Keeper(vault.connection, vault.deployment, vault.keeper, Policy(), journal).tick()

    assert Kind.REDEEM not in [record.kind for record in journal.decisions()]


def test_an_instant_redemption_beyond_margin_says_how_much_now_and_offers_the_queue(vault):
    with pytest.raises(KeelError, match=r"shares can be redeemed now, not .*keel redeem --queue"):
        redeem(vault.sender("depositor"), vault.deployment, shares_of(vault))


def test_fewer_shares_than_the_queue_takes_are_refused(vault):
    block = vault.w3.eth.block_number

    with pytest.raises(KeelError, match=r"99\.000000 shares are fewer than the queue takes, 100 or all"):
        request(vault, 99 * WAD)
    assert vault.w3.eth.block_number == block


def test_all_of_a_small_account_can_be_queued(vault):
    vault.deposit("stranger", 100 * USDC)  # at the ask: fewer than 100 shares

    request_redeem(vault.sender("stranger"), vault.deployment, shares_of(vault, "stranger"))

    assert mine(vault, "stranger").pending > 0


def test_a_second_request_waits_for_the_settlement_of_the_first(vault):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault)

    with pytest.raises(KeelError, match=r"is not settled yet.*1,000\.000000 shares of that request wait.*settle"):
        request(vault, 1_000 * WAD)


def test_after_the_close_a_request_cannot_be_cancelled(vault):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault)

    with pytest.raises(KeelError, match=r"no request that can be cancelled.*1,000\.000000 shares wait to be paid"):
        cancel_request(vault.sender("depositor"), vault.deployment)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (cancel_request, "has no request that can be cancelled"),
        (claim_redemption, "The queue has no USDC for .*Ask with `keel redeem --queue` first"),
        (settle_epoch, "Nobody waits in the queue"),
    ],
)
def test_an_empty_queue_is_told(vault, act, message):
    with pytest.raises(KeelError, match=message):
        act(vault.sender("stranger"), vault.deployment)


def test_an_open_epoch_is_not_settled_and_says_when_it_closes(vault):
    request(vault, 1_000 * WAD)

    with pytest.raises(KeelError, match=r"The epoch closes at .* UTC; the newest block is of"):
        settle_epoch(vault.sender("stranger"), vault.deployment)


def test_a_close_without_a_newer_round_is_not_settled(vault):
    request(vault, 1_000 * WAD)
    close_the_epoch(vault, new_rounds=False)

    with pytest.raises(KeelError, match=r"waits for a newer round of every price feed"):
        settle_epoch(vault.sender("stranger"), vault.deployment)
