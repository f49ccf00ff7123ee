"""Keepers as processes, one to a machine, that share a journal; and somebody who starts them again when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Self

from keeper.chain.deployments import save
from tests.keeper.vault_on_fork import PASSPHRASE, VaultOnFork, write_key

STOPPED_BY_JOURNAL = 6  # exit code of a JournalError
LEASE_SECONDS = 10.0  # longer than a decision takes on a busy machine: else two that are well take it from each other


class Machine:
    """`keel run` in a folder of its own; ``log`` has what it said since it was made.

    It waits ``patience`` seconds for a receipt.
    """

    def __init__(
        self, name: str, folder: Path, vault: VaultOnFork, rpc_url: str, journal_url: str, patience: float = 1.0
    ) -> None:
        self.name, self._folder = name, folder
        folder.mkdir()
        save(vault.deployment, folder / "1.json")
        write_key(folder / "keeper.json", "keeper")
        (folder / "secret").write_text(PASSPHRASE)
        (folder / "keel.toml").write_text(
            f'rpc_url = "{rpc_url}"\njournal_url = "{journal_url}"\nmachine = "{name}"\n'
            f"lease_seconds = {LEASE_SECONDS}\npoll_seconds = 0.02\nreceipt_timeout_seconds = {patience}\n"
            'deployment = "1.json"\nkeystore = "keeper.json"\npassphrase_file = "secret"\n'
        )
        self._log: IO[bytes] = (folder / "log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KEEL_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "keeper.cli", "run"],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def start_again_if_it_ended(self) -> bool:
        """As its supervisor does. Whether it had to."""
        code = self.process.poll()
        if code is None:
            return False
        assert code in (STOPPED_BY_JOURNAL, -signal.SIGKILL), f"{self.name} ended with {code}:\n{self.log[-3_000:]}"
        self.start()
        return True

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
