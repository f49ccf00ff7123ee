"""One long-lived `keel run`, as an operator would start it, watched through its journal."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from eth_account import Account

from keeper.errors import KeelError
from keeper.execution.journal import Journal
from keeper.simulation.supervised import supervised

if TYPE_CHECKING:
    from types import TracebackType

    from eth_account.signers.local import LocalAccount

_POLL_SECONDS = 0.004
_STOP_SECONDS = 60.0
_LAST_LINES = 12
_KILLED = 128 + signal.SIGKILL  # as a shell says it


class KeeperProcess:
    """The keeper of a demo: its own process, config file, keystore and journal, all in ``folder``."""

    def __init__(self, folder: Path, rpc_url: str, manifest: Path, account: LocalAccount) -> None:
        self.folder = folder
        self.journal_path = folder / "keeper.sqlite"
        self.log_path = folder / "keeper.log"
        self.config = folder / "keel.toml"
        self._passphrase = secrets.token_hex(16)
        keystore = folder / "keystore.json"
        _write_keystore(keystore, account, self._passphrase)
        self.config.write_text(
            f'rpc_url = "{rpc_url}"\n'
            f'deployment = "{manifest}"\n'
            f'journal_url = "sqlite:///{self.journal_path}"\n'
            f'keystore = "{keystore}"\n'
            "poll_seconds = 0.01\n"
            "rpc_timeout_seconds = 60\n"
        )
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._journal: Journal | None = None

    @property
    def journal(self) -> Journal:
        """Its journal, read from outside."""
        if self._journal is None:
            self._journal = Journal(f"sqlite:///{self.journal_path}")
        return self._journal

    def start(self) -> Self:
        """Start `keel run`."""
        self._release()
        self._log = self.log_path.open("ab")
        self._process = subprocess.Popen(
            supervised([sys.executable, "-m", "keeper.cli", "run", "--config", str(self.config)]),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "KEEL_PASSPHRASE": self._passphrase},
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        return self

    def wait_for(self, block_number: int, timeout: float = 300.0) -> None:
        """Return when the journal holds the decision on a block and how its transaction ended.

        A keeper that was killed is started again, as an operator's supervisor would.

        Raises:
            KeelError: the keeper has ended by itself, or said nothing in time.
        """
        deadline = time.monotonic() + timeout
        while not self.journal.is_done_with(block_number):
            code = 0 if self._process is None else self._process.poll()
            if code == _KILLED:
                self.restarts += 1
                self.start()
            elif code is not None:
                raise self._lost("has ended")
            if time.monotonic() > deadline:
                raise self._lost(f"has not decided on block {block_number} within {timeout:.0f} s")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it as an operator would, by SIGTERM."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                raise self._lost(f"does not end within {_STOP_SECONDS:.0f} s of SIGTERM") from None
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _release(self) -> None:
        """What is left of a process that has ended."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._log is not None:
            self._log.close()

    def _lost(self, what: str) -> KeelError:
        tail = "\n".join(self.log_path.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        return KeelError(
            f"The keeper {what}. Its last words:\n{tail}",
            kept=f"Its journal is {self.journal_path}, its log {self.log_path}.",
            todo="Read the log.",
        )


def _write_keystore(path: Path, account: LocalAccount, passphrase: str) -> None:
    """An encrypted key file that only its owner can read; few rounds, for a key that lives as long as the demo."""
    encrypted = Account.encrypt(account.key, passphrase, kdf="pbkdf2", iterations=1_000)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(encrypted, file)
