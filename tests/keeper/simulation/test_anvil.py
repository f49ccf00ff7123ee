"""Anvil processes end with their owner."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keeper.simulation.anvil import Anvil, AnvilError, find_anvil
from keeper.simulation.rpc import Rpc


def answers(url):
    try:
        return bool(Rpc(url).call("eth_chainId"))
    except OSError:
        return False


def test_it_answers_inside_the_block_and_is_gone_after_it():
    with Anvil("--chain-id", 7) as anvil:
        assert anvil.rpc.call("eth_chainId") == "0x7"

    assert not anvil.running
    assert not answers(anvil.url)


def test_it_ends_when_its_owner_is_killed():
    start = "from keeper.simulation.anvil import Anvil; print(Anvil().url, flush=True)"
    script = f"{start}; import time; time.sleep(600)"
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    url = owner.stdout.readline().strip()
    assert answers(url)

    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()

    deadline = time.monotonic() + 60
    while answers(url) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not answers(url)


def test_a_start_that_fails_says_why():
    with pytest.raises(AnvilError, match=r"anvil did not start: .*--no-such-flag"):
        Anvil("--no-such-flag")


def test_our_own_command_is_never_taken_for_anvil(monkeypatch):
    own_bin = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{own_bin}{os.pathsep}{os.environ['PATH']}")
    find_anvil.cache_clear()

    assert find_anvil().parent != own_bin
