"""One JSON-RPC endpoint: reads that are tried again, sends that are not, and errors that don't leak its URL."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import stamina
from eth_utils.crypto import keccak

from keeper.errors import ConfigError, RpcError, RpcUnavailableError, WrongChainError

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import RPCEndpoint

_ATTEMPTS: Final = 3
_FIRST_WAIT: Final = 0.1  # seconds, doubled each time
_ALREADY_THERE: Final = ("already known", "already imported", "known transaction")  # what a send is refused with then
_OWN_TIME: Final = ("anvil", "hardhat")
_JITTER: Final = 0.1  # seconds at most, on top

stamina.instrumentation.set_on_retry_hooks(())  # what comes of it is told once, at the end


def mask_url(url: str) -> str:
    """Host only: providers put their keys into the path, the query or the user name."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "(not a URL)"
    if not parts.scheme or not parts.hostname:
        return "(not a URL)"
    secret = bool(parts.path.strip("/") or parts.query or parts.username or parts.fragment)
    return f"{parts.scheme}://{host}{'/...' if secret else ''}"


@dataclass(frozen=True, slots=True)
class Header:
    """A block: `base_fee` in wei."""

    number: int
    hash: str
    timestamp: int
    base_fee: int
    parent_hash: str = ""


class Connection:
    """A node at `url` (http or https). `timeout` in seconds is for each request.

    Raises:
        ConfigError: the URL is not one.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        if urlsplit(url).scheme not in ("http", "https") or mask_url(url) == "(not a URL)":
            raise ConfigError(
                "The RPC URL is not an http or https URL.",
                todo="Set `rpc_url` in keel.toml, or KEEL_RPC_URL, as in http://127.0.0.1:8545.",
            )
        self.label = mask_url(url)
        self._url = url
        self._timeout = timeout

    @functools.cached_property
    def w3(self) -> Web3:
        """web3 on this endpoint. What comes from the node is looked at first; web3's other errors are its own."""
        from web3 import Web3

        from keeper.chain.provider import CheckedProvider

        return Web3(CheckedProvider(self._url, self.label, self._timeout))

    @functools.cached_property
    def chain_id(self) -> int:
        """As the node says, asked once."""
        return int(self.request("eth_chainId"), 16)

    @functools.cached_property
    def client(self) -> str:
        """As the node calls itself, asked once; empty where it does not say."""
        try:
            return bounded(str(self.request("web3_clientVersion")), 60)
        except RpcError:
            return ""

    @property
    def has_own_time(self) -> bool:
        """Whether it is a local chain, or a fork on one, whose blocks need not have the world's time."""
        return self.client.lower().startswith(_OWN_TIME)

    def require_chain(self, chain_id: int) -> None:
        """
        Raises:
            WrongChainError: the node serves another chain.
        """
        if self.chain_id != chain_id:
            raise WrongChainError(
                f"The node at {self.label} serves chain {self.chain_id}, the deployment is on chain {chain_id}.",
                kept="Nothing was sent.",
                todo="Change `rpc_url` or `deployment` in keel.toml.",
            )

    def request(self, method: str, *params: Any) -> Any:
        """The result of a read, tried three times when the node cannot be reached.

        Raises:
            RpcUnavailableError: no answer.
            RpcError: the node's own error.
        """
        for attempt in stamina.retry_context(
            RpcUnavailableError, attempts=_ATTEMPTS, wait_initial=_FIRST_WAIT, wait_jitter=_JITTER
        ):
            with attempt:
                return self._once(method, params)
        raise AssertionError("unreachable: the last attempt raises")

    def send_raw(self, transaction: bytes) -> str:
        """Hand a signed transaction to the node, once. Returns its hash, also where the node has it already.

        Raises:
            RpcUnavailableError: no answer, so it may be on its way nevertheless.
            RpcError: the node refused it.
        """
        try:
            return str(self._once("eth_sendRawTransaction", ("0x" + transaction.hex(),)))
        except RpcError as error:
            if any(phrase in error.message.lower() for phrase in _ALREADY_THERE):
                return "0x" + keccak(transaction).hex()
            raise

    def knows(self, tx_hash: str) -> bool:
        """Whether the node has a transaction, mined or not.

        Raises:
            RpcUnavailableError: no answer.
        """
        return self.request("eth_getTransactionByHash", tx_hash) is not None

    def header(self, block_hash: str | None = None) -> Header:
        """The newest block, or the one with this hash.

        Raises:
            RpcError: the node does not know it.
            RpcUnavailableError: no answer, or what it says is no block.
        """
        method = "eth_getBlockByNumber" if block_hash is None else "eth_getBlockByHash"
        block = self.request(method, block_hash or "latest", False)
        if block is None:
            raise RpcError(method, f"block {block_hash or 'latest'} is unknown to {self.label}")
        return Header(
            number=int(block["number"], 16),
            hash=block["hash"],
            timestamp=int(block["timestamp"], 16),
            base_fee=int(block.get("baseFeePerGas", "0x0"), 16),
            parent_hash=block.get("parentHash", ""),
        )

    def call_at(self, block_hash: str, to: str, data: bytes) -> bytes:
        """`eth_call` in the state after a block, which must be in the canonical chain (EIP-1898).

        Raises:
            RpcError: it reverts, or the block is not canonical any more.
            RpcUnavailableError: no answer, or what it says is no data.
        """
        block = {"blockHash": block_hash, "requireCanonical": True}
        result = self.request("eth_call", {"to": to, "data": "0x" + data.hex()}, block)
        return bytes.fromhex(result[2:])

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        answer: Any = self.w3.provider.make_request(cast("RPCEndpoint", method), params)
        if answer.get("error") is not None:
            raise _refusal(method, answer["error"])
        return answer["result"]


def _refusal(method: str, error: Any) -> RpcError:
    fields = error if isinstance(error, dict) else {"message": error}
    data = fields.get("data")
    return RpcError(
        method,
        bounded(str(fields.get("message", "no reason given"))),
        code=fields.get("code"),
        data=data if isinstance(data, str) else "",
    )


def bounded(text: str, limit: int = 300) -> str:
    """A node's text, fit for a log line."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1]).rstrip(". ")
    return clean if len(text) <= limit else clean[:limit] + "..."
