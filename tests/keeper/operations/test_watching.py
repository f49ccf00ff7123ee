"""A keeper as a process, with everything that watches it: what docs/operate.md leads to."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys

import httpx
import pytest

from keeper.chain.deployments import save
from tests.keeper.vault_on_fork import PASSPHRASE, write_key


@pytest.fixture
def folder(vault, tmp_path, endpoint):
    save(vault.deployment, tmp_path / "1.json")
    write_key(tmp_path / "keeper.json", "keeper")
    (tmp_path / "secret").write_text(PASSPHRASE)
    (tmp_path / "keel.toml").write_text(
        f'rpc_url = "{vault.url}"\ndeployment = "1.json"\nkeystore = "keeper.json"\npassphrase_file = "secret"\n'
        'poll_seconds = 0.05\nlisten = "127.0.0.1:0"\n'
        f'[alerts]\nlow_gas = 1000.0\nurls = ["json://127.0.0.1:{endpoint.server_port}/"]\n'
    )
    return tmp_path


@pytest.fixture
def running(folder):
    """`keel run --log json`, and its log's lines as objects."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KEEL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "keeper.cli", "run", "--log", "json"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, map(json.loads, process.stderr)
    process.kill()
    process.wait()
    process.stderr.close()


def test_a_keeper_is_healthy_measured_and_alerts_and_ends_when_it_is_told_to(running, endpoint):
    process, log = running
    served = next(line["event"] for line in log if line["event"].startswith("health and metrics at "))
    url = served.removeprefix("health and metrics at ")
    decided = next(line for line in log if ": trade: " in line["event"] or ": hold: " in line["event"])

    alert = endpoint.received.get(timeout=120)
    health = httpx.get(f"{url}/health")
    metrics = httpx.get(f"{url}/metrics").text
    process.send_signal(signal.SIGTERM)
    over = endpoint.received.queue

    assert decided["logger"] == "keeper.runtime.loop"
    assert decided["block"] <= health.json()["block"]
    assert alert["title"] == "Keel: low-gas: new"
    assert alert["type"] == "failure"  # less than a quarter of the level
    assert (health.status_code, health.json()["conditions"]) == (200, ["low-gas"])
    assert 'keel_nav_usdc{side="bid"}' in metrics
    assert process.wait(120) == 0
    assert not over


def test_a_keeper_that_stops_by_an_error_says_so_last(vault, running, folder, endpoint):
    process, log = running
    next(line for line in log if line["event"].startswith("health and metrics at "))
    endpoint.received.get(timeout=120)

    with contextlib.closing(sqlite3.connect(folder / "keel.sqlite", timeout=120, isolation_level=None)) as another:
        another.execute("BEGIN IMMEDIATE")
        vault.market.warp(12)

        last = endpoint.received.get(timeout=120)
        assert process.wait(120) == 6

    assert last["title"] == "Keel: keeper-stopped: new"
    assert "Another process writes to it" in last["message"]
