"""Anvil: finding the right version, running a child that never outlives us, and the `anvil` command."""

import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from keeper.errors import KeelError
from keeper.simulation.paths import PROJECT
from keeper.simulation.rpc import AnvilRpcError, Rpc
from keeper.simulation.supervised import supervised

if TYPE_CHECKING:
    from web3 import Web3

VERSION = "1.7.1"
HARDFORK = "osaka"
PRUNE_HISTORY = 300  # block states kept; without it every state ends up on disk
BLOCK_GAS_LIMIT = 60_000_000
_LOOKING = "KEEL_LOOKING_FOR_ANVIL"  # set while candidates are tried: our own command isn't one
_START_TIMEOUT = 60.0  # seconds; a fork of a remote node can be slow to answer
_STOP_TIMEOUT = 30.0  # seconds
_URL = re.compile(r"\b(?:https?|wss?)://[^\s)]+")


class AnvilError(KeelError):
    """Anvil is missing, of another version, or did not start."""


@functools.cache
def find_anvil() -> Path:
    """Anvil of exactly our version: the one on PATH if it is, else the one that npm installed.

    Raises AnvilError when there is none.
    """
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    on_path = [found for folder in folders if (found := shutil.which("anvil", path=str(folder)))]
    installed = sorted((PROJECT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil*"))
    for candidate in [*map(Path, on_path), *installed]:
        if _version(candidate) == VERSION:
            return candidate
    raise AnvilError(f"anvil {VERSION} is neither on PATH nor in node_modules.", todo="Run `make setup` to install it.")


def _version(binary: Path) -> str | None:
    try:
        output = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT,
            env={**os.environ, _LOOKING: "1"},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = output.split()
    return words[2].partition("-")[0] if len(words) > 2 else None


def _masked(text: str) -> str:
    """Without what URLs say beyond their host: providers put their keys there."""
    from keeper.chain.rpc import mask_url  # here, so that the `anvil` command starts fast

    return _URL.sub(lambda url: mask_url(url[0]), text)


def free_port() -> int:
    """A TCP port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Anvil:
    """One anvil process on a free port, running when the constructor returns.

    It ends on `stop()`, at the end of a `with` block, and when this process ends, even by a kill.
    """

    def __init__(self, *args: str | int | Path) -> None:
        command = [str(find_anvil()), "--quiet", *map(str, args)]
        for attempt in range(3):
            self.port = free_port()
            self.url = f"http://127.0.0.1:{self.port}"
            self.rpc = Rpc(self.url)
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
            self._process = subprocess.Popen(
                supervised([*command, "--port", str(self.port)]),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is ours to handle; anvil ends when we are done
            )
            if self._answers():
                return
            reason = self._failure()
            # Another process may have taken the port since we looked.
            if "in use" not in reason or attempt == 2:
                raise AnvilError(f"anvil did not start: {reason.rstrip('.')}.")

    def _answers(self) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            try:
                self.rpc.call("eth_chainId")
            except (OSError, AnvilRpcError):
                if self._process.poll() is not None:
                    return False
                time.sleep(0.01)
            else:
                return self._process.poll() is None
        return False

    def _failure(self) -> str:
        code = self._process.poll()
        self._errors.seek(0)
        text = _masked(" ".join(self._errors.read().split()))[-500:]
        self.stop()
        if code is None:
            return f"no answer within {_START_TIMEOUT:.0f} s"
        return text or f"it exited with code {code}"

    @property
    def w3(self) -> "Web3":
        """A new web3 connection to it."""
        from web3 import Web3

        w3 = Web3(Web3.HTTPProvider(self.url, request_kwargs={"timeout": 120}))
        w3.middleware_onion.remove("validation")  # it asks for the chain id again with every request
        return w3

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process and wait for it. Does nothing when it has ended already."""
        self.rpc.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired as late:
            raise AnvilError(f"anvil on port {self.port} did not end within {_STOP_TIMEOUT:.0f} s") from late
        finally:
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def main() -> None:
    """The `anvil` command that ape finds first on PATH: adds flags that ape-foundry can't be told to pass."""
    if _LOOKING in os.environ:
        sys.exit("this is Keel's `anvil` command, not anvil")
    args = sys.argv[1:]
    args += ["--prune-history", str(PRUNE_HISTORY), "--enable-tx-gas-limit"]
    if "--fork-url" in args:
        args.append("--no-storage-caching")  # else a rebuilt snapshot would serve stale state
    binary = find_anvil()
    os.execv(binary, [str(binary), *args])
