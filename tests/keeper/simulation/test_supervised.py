"""A supervised child ends when its starter does, however that ends."""

import os
import signal
import subprocess
import sys
import time

from keeper.simulation.supervised import supervised

_STARTER = """
import subprocess, sys, time
from keeper.simulation.supervised import supervised
child = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
subprocess.Popen(supervised(child), stdin=subprocess.PIPE)
time.sleep(600)
"""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _is_running(pid)


def test_a_killed_starter_takes_its_child_along() -> None:
    starter = subprocess.Popen([sys.executable, "-c", _STARTER], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    assert _is_running(child)

    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()

    assert _ends(child)


def test_the_exit_code_is_the_childs() -> None:
    child = subprocess.Popen(supervised([sys.executable, "-c", "raise SystemExit(7)"]), stdin=subprocess.PIPE)

    assert child.wait(60) == 7
    assert child.stdin is not None
    child.stdin.close()
