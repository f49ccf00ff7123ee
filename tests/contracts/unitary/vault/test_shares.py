"""The Vault's shares are an ERC-20 with permit."""

import boa
from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.contracts.chain import USDC, WAD, reverts

_PERMIT = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


def test_transfer_moves_shares(funded):
    funded.vault.transfer(funded.stranger, 5 * WAD, sender=funded.depositor)

    assert funded.vault.balanceOf(funded.stranger) == 5 * WAD
    assert funded.ledger_problems([funded.depositor, funded.stranger]) == []


def test_transfer_of_more_than_held_is_refused(funded):
    with reverts("erc20: transfer amount exceeds balance"):
        funded.vault.transfer(funded.depositor, 1, sender=funded.stranger)


def test_transfer_from_spends_the_allowance(funded):
    funded.vault.approve(funded.stranger, 5 * WAD, sender=funded.depositor)

    funded.vault.transferFrom(funded.depositor, funded.taker, 5 * WAD, sender=funded.stranger)

    assert funded.vault.allowance(funded.depositor, funded.stranger) == 0


def test_permit_approves_by_signature_once(protocol):
    owner = Account.from_key(b"\x05" * 32)
    protocol.deposit(100 * USDC, owner.address)
    _, name, version, chain_id, verifier, _, _ = protocol.vault.eip712Domain()
    deadline = protocol.market.now + 60
    message = {
        "owner": owner.address,
        "spender": protocol.stranger,
        "value": WAD,
        "nonce": protocol.vault.nonces(owner.address),
        "deadline": deadline,
    }
    domain = {"name": name, "version": version, "chainId": chain_id, "verifyingContract": str(verifier)}
    signed = owner.sign_message(encode_typed_data(domain, {"Permit": _PERMIT}, message))
    arguments = (owner.address, protocol.stranger, WAD, deadline, signed.v, *map(_word, (signed.r, signed.s)))

    protocol.vault.permit(*arguments)

    assert chain_id == boa.env.evm.patch.chain_id
    assert protocol.vault.allowance(owner.address, protocol.stranger) == WAD
    with reverts("erc20: invalid signature"):
        protocol.vault.permit(*arguments)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
