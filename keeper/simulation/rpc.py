"""JSON-RPC over one kept-alive connection: several times faster than a web3 provider for a local anvil."""

import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit


class AnvilRpcError(RuntimeError):
    """The node answered with an error; `code` and `data` are the node's own."""

    def __init__(self, method: str, error: dict[str, Any]) -> None:
        super().__init__(f"{method}: {error.get('message', error)}")
        self.code = error.get("code")
        self.data = error.get("data")


class Rpc:
    """One endpoint, `http://host:port`. Safe to share between threads: calls queue up."""

    def __init__(self, url: str, timeout: float = 120.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError("Rpc is for a local anvil and speaks plain http only")
        self.url = url
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
        self._lock = threading.Lock()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call. Raises AnvilRpcError for the node's errors, OSError if it can't be reached."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        with self._lock:
            answer = self._post(body)
        if "error" in answer:
            raise AnvilRpcError(method, answer["error"])
        return answer["result"]

    def _post(self, body: str) -> dict[str, Any]:
        fresh = self._connection.sock is None
        try:
            return self._exchange(body)
        except ConnectionError:
            self._connection.close()
            if fresh:
                raise
            # The server closes idle connections: the call never reached it.
            return self._exchange(body)

    def _exchange(self, body: str) -> dict[str, Any]:
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with self._lock:
            self._connection.close()
