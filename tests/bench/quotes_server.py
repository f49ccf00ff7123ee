"""The quote server under 50 requests a second while its keeper hedges: both in one process, as `keel run` starts them.

Requests leave at their own times, whether or not those before them are answered, and count from when they were due.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from eth_utils.crypto import keccak

from keeper.chain.deployments import save
from keeper.execution.journal import Journal
from keeper.execution.records import Kind
from tests.bench.results import Row, row
from tests.bench.vault import sell_btc, six_series
from tests.keeper.vault_on_fork import PASSPHRASE, SPOT, VaultOnFork, write_key

_PER_SECOND = 50
_SECONDS = 40
_BLOCK_SECONDS = 3.0
_TAKERS = 200
_SETTINGS = """
rpc_url = "{url}"
deployment = "1.json"
keystore = "keeper.json"
passphrase_file = "secret"
quoter_keystore = "quoter.json"
quoter_passphrase_file = "secret"
poll_seconds = 0.1
[quotes]
listen = "127.0.0.1:0"
max_open = 1000
"""


def run() -> list[Row]:
    """Latencies in milliseconds, and what of the requests was answered with a quote."""
    with six_series() as vault, tempfile.TemporaryDirectory() as name:
        sell_btc(vault)
        folder = Path(name)
        with _keeper(vault, folder) as url:
            series = _first_quotes(url)
            over = threading.Event()
            market = threading.Thread(target=_move, args=(vault, over))
            market.start()
            try:
                ms, answers = asyncio.run(_load(url, series))
            finally:
                over.set()
                market.join()
        trades = _trades(folder)
    quoted = answers[200]
    assert quoted, f"no request was answered with a quote: that is no benchmark: {answers}"
    assert trades, "the keeper did not hedge meanwhile: that is no benchmark"
    what = f"{_PER_SECOND} requests/s for {_SECONDS} s"
    return [
        row(f"quote by HTTP, {what}, {trades} hedges meanwhile: median", float(np.median(ms)), "ms"),
        row(f"quote by HTTP: 99th percentile of {len(ms):,}", float(np.quantile(ms, 0.99)), "ms", ours_goal=50.0),
        row("quote by HTTP: the slowest", max(ms), "ms"),
        row("quote by HTTP: requests without an answer", answers[0], "requests", ours_goal=0),
        row("of all answers, quotes", 100.0 * quoted / len(ms), "%"),
    ]


@contextlib.contextmanager
def _keeper(vault: VaultOnFork, folder: Path) -> Iterator[str]:
    """`keel run` on the vault. Yields the quote server's URL."""
    save(vault.deployment, folder / "1.json")
    for role in ("keeper", "quoter"):
        write_key(folder / f"{role}.json", role)
    (folder / "secret").write_text(PASSPHRASE)
    (folder / "keel.toml").write_text(_SETTINGS.format(url=vault.url))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEEL_")}
    command = [sys.executable, "-m", "keeper.cli", "run", "--log", "json"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    events = (json.loads(line)["event"] for line in process.stderr)
    drain = threading.Thread(target=lambda: [None for _ in events], daemon=True)
    try:
        url = next(event.rpartition(" ")[2] for event in events if " signs quotes at " in event)
        drain.start()
        yield url
        process.terminate()
        process.wait(60)
        drain.join()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _first_quotes(url: str) -> list[dict[str, Any]]:
    """Wait for the first block; what can be asked for."""
    give_up = time.monotonic() + 60
    while True:
        answer = httpx.get(f"{url}/series")
        if answer.status_code == 200:
            found: list[dict[str, Any]] = answer.json()
            return found
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.2)


def _move(vault: VaultOnFork, over: threading.Event) -> None:
    """A block every few seconds, with a price that leaves the delta band each second time."""
    up = True
    while not over.wait(_BLOCK_SECONDS):
        vault.market.step({"ETH": SPOT * (1.04 if up else 0.98)})
        up = not up


async def _load(url: str, series: list[dict[str, Any]]) -> tuple[list[float], Counter[int]]:
    rng = np.random.default_rng(3)
    takers = ["0x" + keccak(text=f"taker {i}").hex()[:40] for i in range(_TAKERS)]
    ms: list[float] = []
    answers: Counter[int] = Counter()

    async def ask(client: httpx.AsyncClient, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        line = series[rng.integers(len(series))]
        body = {name: line[name] for name in ("underlying", "expiry", "strike", "kind")}
        body |= {"side": "buy" if rng.random() < 0.7 else "sell", "size": line["min_fill"]}
        try:
            answer = await client.post(f"{url}/quotes", json=body | {"taker": takers[rng.integers(_TAKERS)]})
            answers[answer.status_code] += 1
        except httpx.TransportError:
            answers[0] += 1
        ms.append(1e3 * (time.perf_counter() - due))

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=100, keepalive_expiry=2.0)) as client:
        start = time.perf_counter() + 1.0
        await asyncio.gather(*(ask(client, start + i / _PER_SECOND) for i in range(_PER_SECOND * _SECONDS)))
    return ms, answers


def _trades(folder: Path) -> int:
    """Rebalances that the keeper has sent."""
    journal = Journal(f"sqlite:///{folder / 'keel.sqlite'}")
    try:
        return sum(journal.record_of(intent).kind is Kind.HEDGE for intent, _ in journal.mined_intents())
    finally:
        journal.close()
