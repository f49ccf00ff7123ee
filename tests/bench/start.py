"""How long a keeper that was killed takes to be ready again, with a key file as ape makes it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from eth_account import Account

from keeper.chain.deployments import save
from keeper.execution.journal import Journal
from tests.bench.results import Row, row
from tests.keeper.vault_on_fork import PASSPHRASE, SPOT, VaultOnFork

_STARTS = 5
_PATIENCE = 120.0  # seconds


def run(vault: VaultOnFork) -> list[Row]:
    """Milliseconds from the start of the process, the last one having been killed while it ran."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_settings(folder, vault)
        with _started(folder, vault):
            pass  # numba compiles, once per machine
        ready, decided = zip(*(_one_start(folder, vault) for _ in range(_STARTS)), strict=True)
    return [
        row("kill -9, then start: ready (sd_notify)", 1e3 * median(ready), "ms", ours_goal=3_000),
        row("  and a block decided and recorded", 1e3 * median(decided), "ms"),
    ]


def _one_start(folder: Path, vault: VaultOnFork) -> tuple[float, float]:
    with _started(folder, vault) as seconds:
        return seconds


@contextmanager
def _started(folder: Path, vault: VaultOnFork) -> Iterator[tuple[float, float]]:
    """Seconds until it is ready, and until a block that is new is decided. Killed afterwards."""
    vault.market.step(SPOT)
    newest = vault.w3.eth.block_number
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        listening.bind(str(address))
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "keeper.cli", "run"],
            cwd=folder,
            env=os.environ | {"NOTIFY_SOCKET": str(address), "KEEL_PASSPHRASE": PASSPHRASE},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert select.select([listening], [], [], _PATIENCE)[0], "it did not become ready"
            ready = time.perf_counter() - began
            _wait_for_decision(folder, newest)
            yield ready, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _wait_for_decision(folder: Path, block_number: int) -> None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        with closing(Journal(f"sqlite:///{folder / 'keel.sqlite'}")) as journal:
            if (journal.last_block() or 0) >= block_number:
                return
        time.sleep(0.02)
    raise AssertionError(f"block {block_number} was not decided in {_PATIENCE:.0f} s")


def _write_settings(folder: Path, vault: VaultOnFork) -> None:
    (folder / "keeper.json").write_text(json.dumps(Account.encrypt(vault.keeper.key, PASSPHRASE)))
    save(vault.deployment, folder / "deployment.json")
    settings = {"rpc_url": vault.url, "keystore": "keeper.json", "deployment": "deployment.json"}
    lines = [*(f'{name} = "{value}"' for name, value in settings.items()), "poll_seconds = 0.05", ""]
    (folder / "keel.toml").write_text("\n".join(lines))
