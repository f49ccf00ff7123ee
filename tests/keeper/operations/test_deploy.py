"""Deployment: wired as asked for, verified, and refused on the wrong chain."""

from dataclasses import replace
from typing import Any

import pytest

from keeper.chain.address_book import MAINNET, address_book
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.operations.deploy import deploy, verify
from keeper.operations.roles import Keys, Role, governed
from keeper.operations.seed import NOBODY as DEAD
from keeper.operations.seed import SEED
from tests.keeper.vault_on_fork import VaultOnFork, account_of

NOBODY = "0x" + "00" * 19 + "01"


def pass_through(vault: VaultOnFork, name: str, function: str, *args: Any) -> None:
    """A call of the Governance that has waited for as long as any does."""
    call = vault.contract(name).functions[function](*args)
    target = (vault.deployment.address(name), call._encode_transaction_data())
    vault.send("governor", "Governance", "submit", *target)
    vault.market.warp(7 * 86_400)
    vault.send("governor", "Governance", "accept", *target)


def test_a_deployment_verifies(vault: VaultOnFork) -> None:
    verify(vault.sender("stranger"), vault.deployment)

    kinds = (VenueKind.UNISWAP_V3_SPOT, VenueKind.AAVE_V3_SHORT)
    assert [(venue.underlying, venue.kind) for venue in vault.deployment.venues] == [
        *((underlying, kind) for underlying in (0, 1) for kind in kinds),
        (0, VenueKind.AAVE_V3_LENDING),
    ]


def test_contracts_stay_under_the_limit_of_size(vault: VaultOnFork) -> None:
    for name, contract in vault.deployment.contracts.items():
        assert len(vault.w3.eth.get_code(contract.address)) <= 24_576, name


def test_a_revoked_role_does_not_verify(vault: VaultOnFork) -> None:
    vault.send("guardian", "Hedger", "revoke_role", vault.keeper.address, int(Role.KEEPER))

    with pytest.raises(KeelError, match="Hedger: roles of keeper"):
        verify(vault.sender("stranger"), vault.deployment)


def test_the_deployer_keeps_nothing_but_what_a_governor_has(vault: VaultOnFork) -> None:
    """Here the deployer owns the Governance; another owner would leave it no role at all."""
    account, governance = account_of("governor").address, vault.deployment.address("Governance")

    for name in governed():
        assert vault.read(name, "roles_of", account) == Role.GUARDIAN
        assert vault.read(name, "roles_of", governance) == Role.GOVERNOR
        with pytest.raises(KeelError, match="roles: not allowed"):
            vault.send("governor", name, "grant_role", account, int(Role.KEEPER))


def test_a_role_too_many_does_not_verify(vault: VaultOnFork) -> None:
    pass_through(vault, "Hedger", "grant_role", account_of("quoter").address, int(Role.KEEPER))

    with pytest.raises(KeelError, match="Hedger: roles of quoter"):
        verify(vault.sender("depositor"), vault.deployment)


def test_a_role_of_the_verifying_deployer_does_not_verify(vault: VaultOnFork) -> None:
    pass_through(vault, "Hedger", "grant_role", account_of("stranger").address, int(Role.KEEPER))

    with pytest.raises(KeelError, match="Hedger: roles of the deployer"):
        verify(vault.sender("stranger"), vault.deployment)


def test_another_governor_or_owner_does_not_verify(vault: VaultOnFork) -> None:
    pass_through(vault, "VolOracle", "hand_over", account_of("stranger").address)
    pass_through(vault, "Governance", "set_owner", account_of("stranger").address)
    vault.send("stranger", "Governance", "drop_guardian", account_of("guardian").address)

    wrong = r"VolOracle: roles of the Governance, Governance\.owner, Governance: guardian"
    with pytest.raises(KeelError, match=wrong):
        verify(vault.sender("depositor"), vault.deployment)


def test_other_code_at_an_address_does_not_verify(vault: VaultOnFork) -> None:
    code = vault.w3.eth.get_code(vault.deployment.address("OptionToken"))
    vault.market.rpc.call("anvil_setCode", vault.deployment.address("OptionToken"), "0x" + code.hex() + "00")

    with pytest.raises(KeelError, match="code of OptionToken"):
        verify(vault.sender("stranger"), vault.deployment)


def test_the_first_shares_are_nobody_s(vault: VaultOnFork) -> None:
    """100 USDC at the first price: the vault is never empty."""
    assert vault.read("Vault", "balanceOf", DEAD) == 100 * WAD


def test_a_vault_whose_first_shares_somebody_has_does_not_verify(vault: VaultOnFork) -> None:
    vault.market.rpc.call("anvil_impersonateAccount", DEAD)
    vault.market.fund_eth(DEAD, WAD)
    move = vault.contract("Vault").functions.transfer(account_of("stranger").address, 2 * WAD)
    vault.w3.eth.wait_for_transaction_receipt(move.transact({"from": DEAD}))

    with pytest.raises(KeelError, match=rf"Vault: 98\.00 shares of nobody \({DEAD}\) instead of 100 at least"):
        verify(vault.sender("stranger"), vault.deployment)


def test_who_cannot_pay_the_first_deposit_sends_nothing(vault: VaultOnFork) -> None:
    vault.market.fund_usdc(account_of("stranger").address, SEED - USDC)
    block = vault.w3.eth.block_number

    with pytest.raises(KeelError, match=r"has 99\.00 USDC; .* is 100\.00\. Nothing was sent\. Send USDC"):
        deploy(vault.sender("stranger"), MAINNET, Keys(NOBODY, NOBODY, NOBODY, NOBODY))

    assert vault.w3.eth.block_number == block


def test_an_address_book_of_another_chain_is_refused_before_anything_is_sent(vault: VaultOnFork) -> None:
    block = vault.w3.eth.block_number

    with pytest.raises(KeelError, match=r"for chain 10, the node is on chain 1\..*Nothing was sent"):
        deploy(vault.sender("stranger"), replace(MAINNET, chain_id=10), Keys(NOBODY, NOBODY, NOBODY, NOBODY))

    assert vault.w3.eth.block_number == block


def test_a_deployment_behind_a_sequencer_that_is_down_stops(vault: VaultOnFork) -> None:
    vault.market.fund_usdc(account_of("governor").address, SEED)
    down = vault.deployment.feeds["USDC"]  # answers something else than zero, which is what "up" is

    with pytest.raises(KeelError, match=r"Vault\.list_venue: .*vault: underlying without a price"):
        deploy(vault.sender("governor"), replace(MAINNET, sequencer=down), Keys(NOBODY, NOBODY, NOBODY, NOBODY))


def test_an_unknown_chain_has_no_address_book() -> None:
    with pytest.raises(KeelError, match="no address book for chain 99"):
        address_book(99)
