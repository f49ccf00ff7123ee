"""web3's HTTP provider, with the node's answers looked at before anything takes them apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse

from keeper.errors import RpcUnavailableError

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile(r"0x([0-9a-fA-F]{2})*")


def _is_quantity(result: Any) -> bool:
    return isinstance(result, str) and _QUANTITY.fullmatch(result) is not None


def _is_data(result: Any) -> bool:
    return isinstance(result, str) and _DATA.fullmatch(result) is not None


def _is_block(result: Any) -> bool:
    if not isinstance(result, dict):
        return result is None  # an unknown one
    quantities = result.get("number"), result.get("timestamp"), result.get("baseFeePerGas", "0x0")
    return all(map(_is_quantity, quantities)) and _is_data(result.get("hash"))


def _is_object(result: Any) -> bool:
    return result is None or isinstance(result, dict)  # None: an unknown one


def _is_simulation(result: Any) -> bool:
    calls = result[0].get("calls") if isinstance(result, list) and result and isinstance(result[0], dict) else None
    return isinstance(calls, list) and all(
        isinstance(call, dict)
        and _is_quantity(call.get("status"))
        and _is_quantity(call.get("gasUsed"))
        and _is_data(call.get("returnData"))
        for call in calls
    )


# What the result of a method must be, as far as Keel relies on it, and how it is called.
_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(
        (
            "eth_blockNumber",
            "eth_chainId",
            "eth_estimateGas",
            "eth_gasPrice",
            "eth_getBalance",
            "eth_getTransactionCount",
            "eth_maxPriorityFeePerGas",
        ),
        (_is_quantity, "number"),
    ),
    **dict.fromkeys(("eth_call", "eth_getCode", "eth_sendRawTransaction"), (_is_data, "data")),
    **dict.fromkeys(("eth_getBlockByHash", "eth_getBlockByNumber"), (_is_block, "block")),
    **dict.fromkeys(("eth_getTransactionByHash", "eth_getTransactionReceipt"), (_is_object, "transaction")),
    "eth_simulateV1": (_is_simulation, "simulation"),
}


class CheckedProvider(HTTPProvider):
    """Answers as the node gave them, or one error without its URL. Asks once: what is tried again is decided above.

    Args:
        label: What the node is called in errors.
        timeout: Seconds for one request.
    """

    def __init__(self, url: str, label: str, timeout: float) -> None:
        super().__init__(url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None)
        self._label, self._seconds = label, timeout

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """
        Raises:
            RpcUnavailableError: no answer, or none that the method can have.
        """
        # `from None` throughout: the causes print the whole URL.
        try:
            answer: Any = super().make_request(method, params)
        except requests.Timeout:
            raise self._unavailable(f"did not answer {method} within {self._seconds:g} s") from None
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else "an error"
            raise self._unavailable(f"answered {method} with HTTP status {status}") from None
        except (requests.RequestException, OSError):
            raise self._unavailable("cannot be reached") from None
        except (Web3Exception, ValueError):
            raise self._unavailable(f"gave an answer to {method} that is not JSON-RPC") from None
        if not isinstance(answer, dict) or (answer.get("error") is None and "result" not in answer):
            raise self._unavailable(f"gave an answer to {method} that is not JSON-RPC")
        if answer.get("error") is None:
            is_right, kind = _KINDS.get(method, (lambda _: True, ""))
            if not is_right(answer["result"]):
                raise self._unavailable(f"gave an answer to {method} that is no {kind}")
            answer.pop("error", None)  # null, which some nodes send along
        return cast(RPCResponse, answer)

    def _unavailable(self, what: str) -> RpcUnavailableError:
        return RpcUnavailableError(
            f"The node at {self._label} {what}.", todo="Check that it runs and that `rpc_url` is right."
        )
