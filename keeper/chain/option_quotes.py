"""OptionBook's quotes as they are signed: EIP-712, the same bytes as `OptionBook.hash_quote` makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final, Protocol

from eth_utils.crypto import keccak

from keeper.chain.deployments import Deployment

ANYONE: Final = "0x0000000000000000000000000000000000000000"
SPOT_TOLERANCE: Final = 25 * 10**14  # of a quote's, WAD: the most that OptionBook allows
_DOMAIN: Final = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_FIELDS: Final = [
    {"name": "series", "type": "uint256"},
    {"name": "vaultSells", "type": "bool"},
    {"name": "price", "type": "uint256"},
    {"name": "size", "type": "uint256"},
    {"name": "taker", "type": "address"},
    {"name": "deadline", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "referenceSpot", "type": "uint256"},
    {"name": "spotTolerance", "type": "uint256"},
]


class Signatory(Protocol):
    """An account that signs typed data, as eth_account's LocalAccount does."""

    @property
    def address(self) -> Any:
        """Checksummed."""

    def sign_typed_data(self, *, full_message: dict[str, Any]) -> Any:
        """Signed, with `signature` of 65 bytes."""


@dataclass(frozen=True, slots=True)
class Quote:
    """OptionBook.Quote; price in USDC per unit and size in units, WAD."""

    series: int
    vault_sells: bool
    price: int
    size: int
    taker: str
    deadline: int
    nonce: int
    reference_spot: int
    spot_tolerance: int


@dataclass(frozen=True, slots=True)
class SignedQuote:
    """A quote with its signer, who must hold QUOTER, and the 65-byte signature of its EIP-712 digest."""

    quote: Quote
    signer: str
    signature: bytes


def sign_quote(quote: Quote, deployment: Deployment, account: Signatory) -> SignedQuote:
    """
    Raises:
        KeelError: of the account's, where somebody else holds the key.
    """
    signed = account.sign_typed_data(full_message=typed_data(quote, deployment))
    return SignedQuote(quote, str(account.address), bytes(signed.signature))


def typed_data(quote: Quote, deployment: Deployment) -> dict[str, Any]:
    """As `eth_signTypedData` takes it."""
    return message_of("Quote", _FIELDS, astuple(quote), deployment)


def message_of(
    kind: str, fields: Sequence[Mapping[str, str]], values: Sequence[Any], deployment: Deployment
) -> dict[str, Any]:
    """Typed data under the domain of the deployment's OptionBook."""
    domain = {
        "name": "Keel OptionBook",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.address("OptionBook"),
    }
    message = dict(zip((field["name"] for field in fields), values, strict=True))
    return {"types": {"EIP712Domain": _DOMAIN, kind: fields}, "primaryType": kind, "domain": domain, "message": message}


def to_json(signed: SignedQuote, deployment: Deployment) -> dict[str, Any]:
    """A quote for a file: integers as texts, since many programs cannot hold them."""
    plain = {name: str(value) if type(value) is int else value for name, value in asdict(signed.quote).items()}
    book = {"chain_id": deployment.chain_id, "option_book": deployment.address("OptionBook")}
    return {**book, "quote": plain, "signer": signed.signer, "signature": "0x" + signed.signature.hex()}


def digest_of(quote: Quote, deployment: Deployment) -> bytes:
    """What is signed, and what OptionBook counts fills by."""
    return hash_of(typed_data(quote, deployment))


def hash_of(message: dict[str, Any]) -> bytes:
    """The EIP-712 digest of typed data."""
    from eth_account.messages import encode_typed_data

    encoded = encode_typed_data(full_message=message)
    return bytes(keccak(b"\x19" + encoded.version + encoded.header + encoded.body))
