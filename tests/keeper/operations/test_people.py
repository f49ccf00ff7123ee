"""What depositors and takers do, and what they are told when it cannot be done."""

import pytest

from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.operations.contracts import usdc_of
from keeper.operations.options import claim, fill, post_vol
from keeper.operations.vault import deposit, redeem
from keeper.simulation.fixed_quotes import quote_off_the_mark
from tests.keeper.vault_on_fork import VOL, VaultOnFork, account_of


def shares_of(vault: VaultOnFork, role: str) -> int:
    return int(vault.read("Vault", "balanceOf", account_of(role).address))


def allowance(vault: VaultOnFork, role: str, contract: str) -> int:
    usdc = usdc_of(vault.w3, vault.deployment)
    return int(usdc.functions.allowance(account_of(role).address, vault.deployment.address(contract)).call())


def test_a_deposit_mints_shares_and_leaves_no_allowance(vault: VaultOnFork) -> None:
    vault.deposit("stranger", 10_000 * USDC)

    assert 9_900 * WAD < shares_of(vault, "stranger") < 10_100 * WAD
    assert allowance(vault, "stranger", "Vault") == 0


def test_a_deposit_of_more_than_there_is_is_refused_before_it_is_sent(vault: VaultOnFork) -> None:
    with pytest.raises(KeelError, match=r"has 0\.00 USDC, less than the 10\.00 to deposit.*Nothing was sent"):
        deposit(vault.sender("stranger"), vault.deployment, 10 * USDC)


def test_a_reduce_only_vault_says_that_it_takes_no_deposit(vault: VaultOnFork) -> None:
    vault.market.fund_usdc(account_of("stranger").address, 1_000 * USDC)
    vault.send("guardian", "CircuitBreaker", "set_reduce_only", True)

    with pytest.raises(KeelError, match="reduce-only"):
        deposit(vault.sender("stranger"), vault.deployment, 1_000 * USDC)


def test_shares_are_redeemed_for_their_bid_value(vault: VaultOnFork) -> None:
    shares = shares_of(vault, "depositor") // 20  # of all that is in the vault: within a day's limit
    preview = vault.read("Vault", "previewRedeem", shares)

    redeem(vault.sender("depositor"), vault.deployment, shares)

    got = usdc_of(vault.w3, vault.deployment).functions.balanceOf(account_of("depositor").address).call()
    assert got == pytest.approx(preview, rel=1e-6)


def test_redeeming_more_than_margin_allows_says_how_much_it_allows(vault: VaultOnFork) -> None:
    with pytest.raises(KeelError, match="shares can be redeemed now, not"):
        redeem(vault.sender("depositor"), vault.deployment, shares_of(vault, "depositor"))


def test_an_expired_quote_is_refused_with_the_contracts_reason(vault: VaultOnFork) -> None:
    series = vault.list_series(is_call=True, strike=3_300)
    quote = quote_off_the_mark(vault.w3, vault.deployment, account_of("quoter"), series, 1, edge=0.01)
    vault.market.fund_usdc(account_of("taker").address, 10_000 * USDC)
    vault.market.step(3_000, timestamp=vault.now() + 120)

    with pytest.raises(KeelError, match=r"fill quote: the contract refuses.*quote: expired"):
        fill(vault.sender("taker"), vault.deployment, quote)


def test_a_live_series_cannot_be_claimed(vault: VaultOnFork) -> None:
    series = vault.list_series(is_call=True, strike=3_300)

    with pytest.raises(KeelError, match="claim: not settled"):
        claim(vault.sender("taker"), vault.deployment, series)


def test_volatility_cannot_be_posted_faster_than_the_oracle_allows(vault: VaultOnFork) -> None:
    series = vault.list_series(is_call=True, strike=3_300)

    with pytest.raises(KeelError, match="vol: too fast"):
        post_vol(vault.sender("vol_poster"), vault.deployment, 0, series.expiry, VOL + 0.06)


def test_an_account_without_ether_is_told_that_the_node_refuses(vault):
    vault.market.rpc.call("anvil_setBalance", vault.sender("stranger").address, "0x0")

    with pytest.raises(KeelError, match=r"checkpoint: the node refuses, .*[Ii]nsufficient funds.*Nothing was sent"):
        vault.send("stranger", "Vault", "checkpoint")
