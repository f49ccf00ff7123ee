"""systemd's notification protocol (sd_notify(3)): that the keeper is ready, and that its loop comes round."""

from __future__ import annotations

import contextlib
import socket


class Supervisor:
    """Who started this process.

    Args:
        address: A path of a datagram socket, or with @ a name of Linux's abstract ones; empty where nobody listens.
    """

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._is_ready = False

    def still_alive(self) -> None:
        """The loop has come round; the first time that says that the keeper is ready, too."""
        if not self._address:
            return
        words = b"WATCHDOG=1" if self._is_ready else b"READY=1\nWATCHDOG=1"
        # Who does not listen any more restarts nobody: no reason to stop hedging.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(words, self._address)
            self._is_ready = True
