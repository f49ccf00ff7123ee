"""Who may take whose shares: allowances, and permits (EIP-2612)."""

import pytest
from boa.contracts.base_evm_contract import BoaError
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.chain import WAD, reverts

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1
FIELDS = ("owner", "spender", "value", "nonce", "deadline")
OWNER, OTHER = Account.from_key(b"\x05" * 32), Account.from_key(b"\x06" * 32)


@pytest.mark.parametrize("operation", ["withdraw", "redeem"])
@given(wanted=st.integers(200, 10**5), allowed=st.integers(0, 10**5))
def test_a_third_party_takes_what_it_is_allowed_and_spends_the_allowance(live, operation, wanted, allowed):
    vault, owner, spender = live.vault, live.depositor, live.stranger
    amount = wanted * (live.unit if operation == "withdraw" else WAD)
    burned = vault.previewWithdraw(amount) if operation == "withdraw" else amount
    allowance = allowed * WAD
    vault.approve(spender, allowance, sender=owner)
    due = amount if operation == "withdraw" else vault.previewRedeem(amount)
    held, taken = vault.balanceOf(owner), getattr(vault, operation)

    if allowance < burned:
        with reverts("erc20: insufficient allowance"):
            taken(amount, spender, owner, sender=spender)
        assert (vault.balanceOf(owner), vault.allowance(owner, spender)) == (held, allowance)
        return
    taken(amount, spender, owner, sender=spender)

    assert vault.balanceOf(owner) == held - burned
    assert vault.allowance(owner, spender) == allowance - burned
    assert live.asset.balanceOf(spender) >= due


@pytest.mark.parametrize("operation", ["withdraw", "redeem"])
def test_an_endless_allowance_stays_and_ones_own_is_not_needed(live, operation):
    vault, owner, spender = live.vault, live.depositor, live.stranger
    vault.approve(spender, 2**256 - 1, sender=owner)
    vault.approve(owner, 0, sender=owner)

    amount = 1_000 * (live.unit if operation == "withdraw" else WAD)
    getattr(vault, operation)(amount, spender, owner, sender=spender)
    getattr(vault, operation)(amount, owner, owner, sender=owner)

    assert vault.allowance(owner, spender) == 2**256 - 1
    assert vault.allowance(owner, owner) == 0


def test_an_allowance_of_assets_to_the_vault_is_nobody_elses(live):
    """A deposit takes the caller's assets, whoever receives the shares."""
    live.fund(live.depositor, 1_000 * live.unit)
    before = live.asset.balanceOf(live.depositor)

    with pytest.raises(BoaError):
        live.vault.deposit(1_000 * live.unit, live.depositor, sender=live.keeper)

    assert live.asset.balanceOf(live.depositor) == before


def signature(live, signer=OWNER, domain=(), **changes):
    """The arguments of `permit`, signed."""
    _, name, version, chain_id, verifier, _, _ = live.vault.eip712Domain()
    standard = {"name": name, "version": version, "chainId": chain_id, "verifyingContract": str(verifier)}
    message = {
        "owner": OWNER.address,
        "spender": live.stranger,
        "value": WAD,
        "nonce": live.vault.nonces(OWNER.address),
        "deadline": live.market.now + 60,
    }
    types = {"Permit": [{"name": f, "type": "address" if f in FIELDS[:2] else "uint256"} for f in FIELDS]}
    signed = signer.sign_message(encode_typed_data({**standard, **dict(domain)}, types, {**message, **changes}))
    return message, signed


def permit(live, message, v, r, s):
    words = [number.to_bytes(32, "big") for number in (r, s)]
    live.vault.permit(*(message[f] for f in FIELDS if f != "nonce"), v, *words)


def test_a_permit_is_an_allowance(live):
    message, signed = signature(live)

    permit(live, message, signed.v, signed.r, signed.s)

    assert live.vault.allowance(OWNER.address, live.stranger) == WAD
    assert live.vault.nonces(OWNER.address) == 1


@pytest.mark.parametrize(
    "forged",
    [
        {"domain": {"chainId": 11155111}},
        {"domain": {"verifyingContract": "0x" + "11" * 20}},
        {"nonce": 7},
        {"value": 2 * WAD},
        {"signer": OTHER},
    ],
    ids=["another chain", "another contract", "another nonce", "another value", "another signer"],
)
def test_a_permit_for_something_else_is_refused(live, forged):
    """Attack A17: signature replay across chain, contract and nonce."""
    message, signed = signature(live, **forged)

    with reverts("erc20: invalid signature"):
        permit(live, message, signed.v, signed.r, signed.s)


def test_a_permit_counts_once_and_not_after_its_deadline(live):
    message, signed = signature(live)
    permit(live, message, signed.v, signed.r, signed.s)

    with reverts("erc20: invalid signature"):
        permit(live, message, signed.v, signed.r, signed.s)
    message, signed = signature(live)
    live.market.pass_time(61)
    with reverts("erc20: expired deadline"):
        permit(live, message, signed.v, signed.r, signed.s)


def test_the_mirror_image_of_a_signature_is_refused(live):
    """Attack A17: malleable signatures."""
    message, signed = signature(live)

    with reverts("ecdsa: invalid signature `s` value"):
        permit(live, message, 55 - signed.v, signed.r, ORDER - signed.s)
