"""One long-lived `keel run`, as an operator would start it, watched through its journal."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from eth_account import Account

from keeper.domain.decision import Action
from keeper.errors import KeelError
from keeper.execution.journal import Journal
from keeper.simulation.supervised import supervised

if TYPE_CHECKING:
    from types import TracebackType

    from eth_account.signers.local import LocalAccount

_POLL_SECONDS = 0.004
_STOP_SECONDS = 10.0
_LAST_LINES = 12


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
        )
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
        self._log = self.log_path.open("ab")
        self._process = subprocess.Popen(
            supervised([sys.executable, "-m", "keeper.cli", "run", "--config", str(self.config)]),
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "KEEL_PASSPHRASE": self._passphrase},
        )
        return self

    def wait_for(self, block_number: int, timeout: float = 60.0) -> None:
        """Return when the journal holds the decision on a block and how its transaction ended.

        Raises:
            KeelError: the keeper has ended, or said nothing in time.
        """
        deadline = time.monotonic() + timeout
        while not self._is_done_with(block_number):
            if self._process is None or self._process.poll() is not None:
                raise self._lost("has ended")
            if time.monotonic() > deadline:
                raise self._lost(f"has not decided on block {block_number} within {timeout:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _is_done_with(self, block_number: int) -> bool:
        if (self.journal.last_block() or 0) < block_number:
            return False
        record = self.journal.last_decision()
        if record is None or record.decision.action is not Action.TRADE:
            return True
        transactions = self.journal.transactions_of(record.id)
        return bool(transactions) and all(outcome is not None for _, outcome in transactions)

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
        if self._log is not None:
            self._log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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
