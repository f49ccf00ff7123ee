"""Keys that somebody else holds: Web3Signer, or whatever signs by JSON-RPC as it does.

What comes back is looked at before anything is done with it: it must be what was asked for, signed by that account.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_utils.address import is_address, to_checksum_address
from hexbytes import HexBytes

from keeper.chain.rpc import Connection
from keeper.errors import ConfigError, KeelError, RpcError, RpcUnavailableError, SignerError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_QUANTITIES: Final = ("type", "chainId", "nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """As eth_account's."""

    raw_transaction: HexBytes


@dataclass(frozen=True, slots=True)
class SignedData:
    """As eth_account's."""

    signature: HexBytes


class RemoteSigner:
    """An account of a signer at a URL, with the interface of eth_account's LocalAccount as far as Keel uses it.

    Args:
        url: http or https; who may use it is up to what is there (a bearer token in the URL's path, a proxy's mTLS).

    Raises:
        ConfigError: the URL or the address is none.
    """

    def __init__(self, url: str, address: str, *, timeout: float = 3.0) -> None:
        if not url:
            raise ConfigError(
                f"No signer is configured for {address}.",
                kept="Nothing was sent.",
                todo="Set `signer_url` in keel.toml, or name a key file instead of the address.",
            )
        self._connection = Connection(url, timeout=timeout)
        self.address = to_checksum_address(address)
        self._told: Callable[[str], None] = lambda _: None

    def tell(self, told: Callable[[str], None]) -> None:
        """Whom to tell when nothing can be signed."""
        self._told = told

    def require(self) -> None:
        """Whether it answers, and holds the key.

        Raises:
            SignerError
        """
        held = self._ask("eth_accounts")
        if not isinstance(held, list) or self.address.lower() not in {str(one).lower() for one in held}:
            raise self._failed(f"holds no key of {self.address}")

    def sign_transaction(self, transaction_dict: Any) -> SignedTransaction:
        """
        Raises:
            SignerError: no answer, a refusal, or something else was signed.
        """
        from eth_account import Account
        from eth_account.typed_transactions.typed_transaction import TypedTransaction

        asked = dict(transaction_dict)
        fields = {name: hex(asked[name]) for name in _QUANTITIES if name in asked}
        fields |= {"from": self.address, "to": asked["to"], "data": HexBytes(asked["data"]).to_0x_hex()}
        answer = self._ask("eth_signTransaction", fields)
        try:
            raw = HexBytes(answer["raw"] if isinstance(answer, dict) else answer)  # an object where geth signs, or Clef
            signed = TypedTransaction.from_bytes(raw).as_dict()
            by = Account.recover_transaction(raw)
        except Exception:  # whatever it is that came back
            raise self._failed("gave back no signed transaction") from None
        wanted = {name: asked[name] for name in _QUANTITIES if name in asked}
        same = {name: signed.get(name) for name in wanted} == wanted
        same = same and HexBytes(signed["to"]) == HexBytes(asked["to"]) and HexBytes(signed["data"]) == asked["data"]
        if not same or by != self.address:
            raise self._failed("signed another transaction, or with another key")
        return SignedTransaction(raw)

    def sign_typed_data(self, *, full_message: dict[str, Any]) -> SignedData:
        """
        Raises:
            SignerError: no answer, a refusal, or something else was signed.
        """
        from eth_account import Account
        from eth_account.messages import encode_typed_data

        # Numbers as texts: not every reader of JSON can hold 256 bits.
        message = {key: str(v) if type(v) is int else v for key, v in full_message["message"].items()}
        answer = self._ask("eth_signTypedData", self.address, json.dumps({**full_message, "message": message}))
        try:
            signature = HexBytes(answer)
            by = Account.recover_message(encode_typed_data(full_message=full_message), signature=signature)
        except Exception:  # whatever it is that came back
            raise self._failed("gave back no signature") from None
        if by != self.address or len(signature) != 65:
            raise self._failed("signed something else, or with another key")
        return SignedData(signature)

    def _ask(self, method: str, *params: Any) -> Any:
        try:
            return self._connection.request(method, *params)
        except RpcUnavailableError:
            raise self._failed("does not answer") from None
        except RpcError as error:
            raise self._failed(f"refuses {method}: {error.message}") from None

    def _failed(self, what: str) -> KeelError:
        error = SignerError(
            f"The signer at {self._connection.label} {what}.",
            kept="Nothing was signed, and nothing was sent.",
            todo="See whether it runs, and whether it has the key; nothing has to be done here then.",
        )
        self._told(error.what)
        return error


def remote_address(keystore: str) -> str | None:
    """The account, where a setting names an address instead of a key file."""
    return str(to_checksum_address(keystore)) if is_address(keystore) else None


def open_key(keystore: str, signer_url: str, unlock: Callable[[str], LocalAccount]) -> LocalAccount | RemoteSigner:
    """The account of a setting: the signer's where it is an address, else what ``unlock`` makes of it.

    Raises:
        KeelError: as they do.
    """
    address = remote_address(keystore)
    if address is None:
        return unlock(keystore)
    signer = RemoteSigner(signer_url, address)
    signer.require()
    return signer
