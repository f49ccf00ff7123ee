"""One JSON-RPC endpoint: reads that are tried again, sends that are not, and errors that don't leak its URL."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import requests
import stamina
from web3.exceptions import Web3Exception

from keeper.errors import ConfigError, RpcError, RpcUnavailableError, WrongChainError

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import RPCEndpoint

_ATTEMPTS: Final = 3
_FIRST_WAIT: Final = 0.1  # seconds, doubled each time
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
        """web3 on this endpoint. Its own errors may contain the URL: prefer the methods here."""
        from web3 import HTTPProvider, Web3

        # Retrying is decided here, per request: a send that got no answer must not be repeated blindly.
        provider = HTTPProvider(
            self._url, request_kwargs={"timeout": self._timeout}, exception_retry_configuration=None
        )
        return Web3(provider)

    @functools.cached_property
    def chain_id(self) -> int:
        """As the node says, asked once."""
        return int(self.request("eth_chainId"), 16)

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
        """Hand a signed transaction to the node, once. Returns its hash.

        Raises:
            RpcUnavailableError: no answer, so it may be on its way nevertheless.
            RpcError: the node refused it.
        """
        return str(self._once("eth_sendRawTransaction", ("0x" + transaction.hex(),)))

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
        try:
            return Header(
                number=int(block["number"], 16),
                hash=block["hash"],
                timestamp=int(block["timestamp"], 16),
                base_fee=int(block.get("baseFeePerGas", "0x0"), 16),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._unavailable(f"gave an answer to {method} that is no block") from None

    def call_at(self, block_hash: str, to: str, data: bytes) -> bytes:
        """`eth_call` in the state after a block, which must be in the canonical chain (EIP-1898).

        Raises:
            RpcError: it reverts, or the block is not canonical any more.
            RpcUnavailableError: no answer, or what it says is no data.
        """
        block = {"blockHash": block_hash, "requireCanonical": True}
        result = self.request("eth_call", {"to": to, "data": "0x" + data.hex()}, block)
        try:
            return bytes.fromhex(result.removeprefix("0x"))
        except (AttributeError, ValueError):
            raise self._unavailable("gave an answer to eth_call that is no data") from None

    def _once(self, method: str, params: tuple[Any, ...]) -> Any:
        # `from None` throughout: the causes print the whole URL.
        try:
            answer: Any = self.w3.provider.make_request(cast("RPCEndpoint", method), params)
        except requests.Timeout:
            raise self._unavailable(f"did not answer {method} within {self._timeout:g} s") from None
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "an error"
            raise self._unavailable(f"answered {method} with HTTP status {status}") from None
        except (requests.RequestException, OSError):
            raise self._unavailable("cannot be reached") from None
        except (Web3Exception, ValueError):
            raise self._unavailable(f"gave an answer to {method} that is not JSON-RPC") from None
        if not isinstance(answer, dict):
            raise self._unavailable(f"gave an answer to {method} that is not JSON-RPC")
        if "error" in answer:
            raise _refusal(method, answer["error"])
        return answer.get("result")

    def _unavailable(self, what: str) -> RpcUnavailableError:
        return RpcUnavailableError(
            f"The node at {self.label} {what}.", todo="Check that it runs and that `rpc_url` is right."
        )


def _refusal(method: str, error: Any) -> RpcError:
    fields = error if isinstance(error, dict) else {"message": error}
    data = fields.get("data")
    return RpcError(
        method,
        _bounded(str(fields.get("message", "no reason given"))),
        code=fields.get("code"),
        data=data if isinstance(data, str) else "",
    )


def _bounded(text: str, limit: int = 300) -> str:
    """A node's text, fit for a log line."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1]).rstrip(". ")
    return clean if len(text) <= limit else clean[:limit] + "..."
