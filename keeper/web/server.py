"""An HTTP server in a thread of its own: the loop never waits for it, and it answers when the loop does not."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import uvicorn

from keeper.errors import ConfigError

_PATIENCE: Final = 5.0  # seconds for requests that are being answered when it ends

_MAX_CONNECTIONS: Final = 200  # what comes on top is answered 503


class Server:
    """Serves an application at `host:port` while a `with` block lasts; port 0 takes a free one. ``setting`` is what
    errors call it.

    Raises:
        ConfigError: not an address of this machine, or taken.
    """

    def __init__(self, app: Any, listen: str, setting: str = "listen") -> None:
        host, port = address_of(listen, setting)
        try:
            self._socket = socket.create_server((host, port), reuse_port=False)
        except OSError as error:
            raise ConfigError(
                f"Nothing can be served at {listen}: {error.strerror}.",
                kept="Nothing was started.",
                todo=f"Change `{setting}` in keel.toml, or end what listens there.",
            ) from None
        # asyncio does so for sockets of its own alone; connections inherit it. Without, a body waits 40 ms for an ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=int(_PATIENCE),
            limit_concurrency=_MAX_CONNECTIONS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(2 * _PATIENCE)
        self._socket.close()


def address_of(listen: str, setting: str = "listen") -> tuple[str, int]:
    """
    Raises:
        ConfigError: not `host:port`.
    """
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise ConfigError(f"`{setting}` is {listen!r}, not host:port.", todo="As in 127.0.0.1:9464.")
    return host, port
