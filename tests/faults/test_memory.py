"""A keeper that runs for weeks does not grow: `keel run` as a process, block after block, with hedges, duties, journal,
kill switch, metrics and watch as an operator has them.

What counts is the resident memory that the kernel gives the process, as the operator's own tools show it: a leak in a C
library counts, too. CI runs the first blocks; `make stress` runs 20,000, three days of a chain at 12 s:

    HYPOTHESIS_PROFILE=stress pytest -p no:ape_test -s tests/faults/test_memory.py
"""

import math
import os
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import pytest

from keeper.domain.decision import Action
from keeper.domain.units import HOUR
from keeper.execution.journal import Journal
from keeper.execution.rehearsal import BLOCK_TIME
from keeper.simulation.demo.poster import Poster
from keeper.simulation.fork import Fork
from tests.faults.machines import Machine
from tests.faults.seeds import IS_LONG
from tests.keeper.vault_on_fork import SPOT, VOL, vault_on_fork

BLOCKS = int(os.environ.get("KEEL_MEMORY_BLOCKS", "20000" if IS_LONG else "300"))
WARM_UP = max(BLOCKS // 10, 150)  # the solver is compiled or loaded, caches fill, the allocator has its pools
WINDOW = 25  # blocks that a measurement is the median of
MOST_GROWTH = 1.05
MOVES_EVERY, POSTS_EVERY = 10, 250  # blocks: prices move, the surface is posted anew
SWING, PERIOD = 0.03, 600  # of the price, and in how many blocks it comes back
PATIENCE = 120.0  # seconds for one block
PAGE = os.sysconf("SC_PAGE_SIZE")

pytestmark = pytest.mark.timeout(4 * 3_600 if IS_LONG else 900)


@pytest.fixture
def vault():
    with Fork() as fork:
        yield vault_on_fork(fork.url, fork.w3)


def resident(machine):
    """Bytes of memory."""
    return int(Path(f"/proc/{machine.process.pid}/statm").read_text().split()[1]) * PAGE


def price_at(number):
    return SPOT * (1 + SWING * math.sin(2 * math.pi * (number - number % MOVES_EVERY) / PERIOD))


def next_block(vault, number):
    if number % MOVES_EVERY == 0:
        vault.market.step(price_at(number))
    else:
        vault.market.warp(BLOCK_TIME)
    if number % POSTS_EVERY == POSTS_EVERY - 1:
        post_surface(vault, price_at(number))


def post_surface(vault, spot):
    """Of the expiries that last for a while: the oracle takes a slice as far as its limits on speed allow."""
    poster, now = Poster(vault.connection, vault.deployment, vault.sender("vol_poster")), vault.now()
    expiries = sorted({slot >> 215 & 0xFFFFFFFF for slot in vault.read("OptionBook", "live_book")})
    lasting = [expiry for expiry in expiries if expiry > now + HOUR]
    if lasting:
        poster.open(poster.look((spot,), (VOL,), lasting, now))


def wait_for(journal, machine, block_number):
    give_up = time.monotonic() + PATIENCE
    while (journal.last_block() or 0) < block_number:
        assert machine.process.poll() is None, f"the keeper has ended:\n{machine.log[-3_000:]}"
        assert time.monotonic() < give_up, f"block {block_number} was not decided:\n{machine.log[-3_000:]}"
        time.sleep(0.002)


def test_memory_is_flat(vault, tmp_path):
    file = tmp_path / "keel.sqlite"
    sizes = []
    url = f"sqlite:///{file}"
    with closing(Journal(url)) as journal, Machine("memory", tmp_path / "memory", vault, vault.url, url) as machine:
        for number in range(BLOCKS):
            next_block(vault, number)
            wait_for(journal, machine, vault.w3.eth.block_number)
            sizes.append(resident(machine))
    warm = statistics.median(sizes[WARM_UP - WINDOW : WARM_UP])
    end = statistics.median(sizes[-WINDOW:])
    with closing(sqlite3.connect(file)) as rows:
        found = rows.execute("SELECT action, count(*) FROM decisions WHERE kind = 'hedge' GROUP BY action").fetchall()
        [[every]] = rows.execute("SELECT count(*) FROM decisions").fetchall()
    counts = dict.fromkeys(Action, 0) | {Action(action): count for action, count in found}
    told = (
        f"{warm / 1e6:.1f} MB after {WARM_UP} blocks, {end / 1e6:.1f} MB after {BLOCKS} ({end / warm - 1:+.2%});"
        f" {', '.join(f'{count} x {action}' for action, count in counts.items())};"
        f" journal {file.stat().st_size / every:,.0f} bytes a decision"
    )
    print(told)

    assert sum(counts.values()) >= BLOCKS
    assert counts[Action.TRADE] >= max(2, BLOCKS // 1_000)  # turnover has its budget
    assert counts[Action.REFUSE] <= BLOCKS // 100, told
    assert end <= MOST_GROWTH * warm, told
