"""What makers sign: anybody can check it, and nothing of it can be changed."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from keeper.chain.deployments import DeployedContract, Deployment
from keeper.chain.maker_offers import MakerOffer, offer_digest, sign_offer, signer_of
from keeper.domain.units import WAD

MAKER = Account.from_key("0x" + "11" * 32)
BOOK = "0x" + "22" * 20
OFFER = MakerOffer(2**250 + 7, False, 120 * WAD, 10 * WAD, WAD, MAKER.address, 1_800_000_000, 1)


def deployment(chain_id: int = 1, book: str = BOOK) -> Deployment:
    return Deployment(chain_id, 1, "", {"OptionBook": DeployedContract(book, "0x")})


def test_the_signer_is_the_maker() -> None:
    assert signer_of(OFFER, deployment(), sign_offer(OFFER, deployment(), MAKER)) == MAKER.address


def test_any_wallet_that_signs_typed_data_signs_the_same() -> None:
    """The message written out, as a maker's own program has it."""
    types: dict[str, Any] = {
        "Offer": [
            {"name": "series", "type": "uint256"},
            {"name": "vaultSells", "type": "bool"},
            {"name": "price", "type": "uint256"},
            {"name": "size", "type": "uint256"},
            {"name": "minFill", "type": "uint256"},
            {"name": "maker", "type": "address"},
            {"name": "deadline", "type": "uint256"},
            {"name": "nonce", "type": "uint256"},
        ]
    }
    domain = {"name": "Keel OptionBook", "version": "1", "chainId": 1, "verifyingContract": BOOK}
    message = {
        "series": OFFER.series, "vaultSells": False, "price": OFFER.price, "size": OFFER.size, "minFill": WAD,
        "maker": MAKER.address, "deadline": OFFER.deadline, "nonce": 1,
    }  # fmt: skip

    signed = Account.sign_typed_data(MAKER.key, domain, types, message)

    assert bytes(signed.signature) == sign_offer(OFFER, deployment(), MAKER)
    assert "0x" + bytes(signed.message_hash).hex() == offer_digest(OFFER, deployment())


@pytest.mark.parametrize(
    "change", [{"price": 1}, {"size": WAD}, {"vault_sells": True}, {"series": 1}, {"deadline": 2}, {"nonce": 2}]
)
def test_who_changes_it_is_not_the_maker(change: dict[str, Any]) -> None:
    signature = sign_offer(OFFER, deployment(), MAKER)

    assert signer_of(replace(OFFER, **change), deployment(), signature) != MAKER.address


def test_it_is_of_one_chain_and_one_vault() -> None:
    signature = sign_offer(OFFER, deployment(), MAKER)

    assert signer_of(OFFER, deployment(chain_id=11155111), signature) != MAKER.address
    assert signer_of(OFFER, deployment(book="0x" + "33" * 20), signature) != MAKER.address


@pytest.mark.parametrize("signature", [b"\xff" * 65, b"\x00" * 65, b"\x01" * 64 + b"\x1b"])
def test_bytes_that_are_no_signature_have_no_signer_or_another(signature: bytes) -> None:
    assert signer_of(OFFER, deployment(), signature) != MAKER.address
