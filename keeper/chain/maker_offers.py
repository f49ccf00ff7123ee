"""What a maker signs to offer the vault a trade: EIP-712, under the domain of the deployment's OptionBook.

No contract reads it. It says who offers, so that nobody offers in another's name; what is traded is the quote that the
vault's quoter signs for it (`keeper.chain.option_quotes`).
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Any, Final

from keeper.chain.deployments import Deployment
from keeper.chain.option_quotes import Signatory, hash_of, message_of

_FIELDS: Final = [
    {"name": "series", "type": "uint256"},
    {"name": "vaultSells", "type": "bool"},
    {"name": "price", "type": "uint256"},
    {"name": "size", "type": "uint256"},
    {"name": "minFill", "type": "uint256"},
    {"name": "maker", "type": "address"},
    {"name": "deadline", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
]


@dataclass(frozen=True, slots=True)
class MakerOffer:
    """A maker's offer; price in USDC per unit and sizes in units, WAD.

    Attributes:
        series: OptionBook's identifier.
        vault_sells: True where the maker buys what the vault holds; else he writes, or gives tokens back.
        size: The most. 0 takes back what he offered for the series on this side.
        min_fill: The least.
        deadline: Last second, chain time.
        nonce: Higher than in his offers before.
    """

    series: int
    vault_sells: bool
    price: int
    size: int
    min_fill: int
    maker: str
    deadline: int
    nonce: int


def sign_offer(offer: MakerOffer, deployment: Deployment, account: Signatory) -> bytes:
    """The maker's signature, 65 bytes.

    Raises:
        KeelError: of the account's, where somebody else holds the key.
    """
    return bytes(account.sign_typed_data(full_message=_typed_data(offer, deployment)).signature)


def offer_digest(offer: MakerOffer, deployment: Deployment) -> str:
    """What is signed, 0x-hex: by this it is asked for."""
    return "0x" + hash_of(_typed_data(offer, deployment)).hex()


def signer_of(offer: MakerOffer, deployment: Deployment, signature: bytes) -> str:
    """Who has signed it, checksummed; empty where the bytes are no signature."""
    from eth_account import Account
    from eth_account.messages import encode_typed_data
    from eth_keys.exceptions import BadSignature

    message = encode_typed_data(full_message=_typed_data(offer, deployment))
    try:
        return str(Account.recover_message(message, signature=signature))
    except (BadSignature, ValueError):
        return ""


def offer_to_json(offer: MakerOffer) -> dict[str, Any]:
    """Integers as texts, since many programs cannot hold them."""
    return {name: str(value) if type(value) is int else value for name, value in asdict(offer).items()}


def _typed_data(offer: MakerOffer, deployment: Deployment) -> dict[str, Any]:
    return message_of("Offer", _FIELDS, astuple(offer), deployment)
