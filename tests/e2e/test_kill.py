"""kill -9 of the live keeper at ten moments of a short crash: it goes on where it was, and trades nothing twice."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from keeper.execution.journal import Journal
from keeper.execution.records import Kind, Result
from keeper.operations.contracts import bind
from keeper.simulation.demo.path import START_VOLS, MarketStep, built_in
from keeper.simulation.demo.record import DemoRecord
from keeper.simulation.demo.run import record_of
from keeper.simulation.demo.story import Story
from keeper.simulation.fork import Fork

pytestmark = pytest.mark.timeout(3_600)  # a story takes minutes on a busy machine

# A slide in steps that the loss budget bears: a jump as deep would use it up, and delta would stay outside for that.
SLIDE = [(0.988**i, 0.99**i) for i in range(1, 13)]
PATH = replace(
    built_in(hours=1, seed=11), title="a slide", steps=tuple(MarketStep(each, START_VOLS, 2 * 10**9) for each in SLIDE)
)
KILLS = 10
SEED = 20260607
# A new row in these says that the keeper is between deciding and signing, signing and sending, sending and the receipt.
MOMENTS = ("decisions", "intents", "attempts", "attempts", "steps")
PATIENCE = 1  # steps of the story until a moment that does not come is taken to have come


class Killer(threading.Thread):
    """Kills the keeper of a folder whenever its journal reaches the next moment; ``kills`` says how that was.

    It waits for steps of the story, which need a living keeper, and not for seconds: on no machine is the story over
    before it is done. ``steps`` is how many are.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.kills, self.steps, self._over = folder, [], 0, threading.Event()

    def run(self) -> None:
        rng, last = random.Random(SEED), 0
        journal = sqlite3.connect(f"file:{self.folder / 'keeper.sqlite'}?mode=ro", uri=True, isolation_level=None)
        while len(self.kills) < KILLS and not self._over.is_set():
            pid = self._keeper()
            if pid in (None, last):
                time.sleep(0.01)
                continue
            begin = self.steps + rng.randrange(2)
            while self._waits(begin):
                time.sleep(0.0005)
            moment, late = rng.choice(MOMENTS), rng.uniform(0.0, 0.01)
            before, until = self._rows(journal, moment), self.steps + PATIENCE
            while self._rows(journal, moment) == before and self._waits(until):
                time.sleep(0.0005)
            time.sleep(rng.choice((0.0, late)))
            if self._over.is_set():
                break
            os.kill(pid, signal.SIGKILL)
            last = pid
            self.kills.append(moment)
        journal.close()

    def _waits(self, until: int) -> bool:
        return self.steps < until and not self._over.is_set()

    def stop(self) -> None:
        self._over.set()
        self.join()

    @staticmethod
    def _rows(journal: sqlite3.Connection, table: str) -> int:
        return journal.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def _keeper(self) -> int | None:
        """The process that was started with the folder's settings; not the shell that watches over it."""
        for process in Path("/proc").iterdir():
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdecimal() else []
            except OSError:
                continue  # it has just ended
            if os.fsencode(self.folder / "keel.toml") in arguments and b"python" in arguments[0]:
                return int(process.name)
        return None


@dataclass(frozen=True)
class Outcome:
    """What is left of the story: its record, the kills, and how journal and chain look."""

    record: DemoRecord
    kills: list[str]
    restarts: int
    sequences: list[int]  # of the rebalances on the chain, in order
    rebalanced_by: list[str]  # their transactions
    sent: int  # transactions of the keeper on the chain since it was started
    folder: Path


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("killed")
    with Fork() as fork:
        story = Story(PATH, folder, fork, lambda *_: None)
        story.open()
        keeper = story.cast.address("keeper")
        before = fork.w3.eth.get_transaction_count(keeper)
        with story.keeper:
            story.let_keeper_act()
            story.observer.look()
            killer = Killer(folder)
            killer.start()
            for _ in story.hedge():
                killer.steps += 1
            killer.stop()
            story.close()
        logs = bind(fork.w3, story.deployment, "Hedger").events.Rebalanced().get_logs(from_block=story.deployment.block)
        return Outcome(
            record=record_of(story, 0.0),
            kills=killer.kills,
            restarts=story.keeper.restarts,
            sequences=[log["args"]["sequence"] for log in logs],
            rebalanced_by=[log["transactionHash"].to_0x_hex() for log in logs],
            sent=fork.w3.eth.get_transaction_count(keeper) - before,
            folder=folder,
        )


@pytest.fixture(scope="module")
def journal(outcome: Outcome) -> Journal:
    return Journal(f"sqlite:///{outcome.folder / 'keeper.sqlite'}")


def test_the_keeper_was_killed_ten_times_and_started_again_each_time(outcome: Outcome) -> None:
    assert len(outcome.kills) == outcome.restarts == KILLS


def test_each_sequence_number_is_one_rebalance(outcome: Outcome) -> None:
    assert len(outcome.sequences) >= 5
    assert outcome.sequences == list(range(outcome.sequences[0], outcome.sequences[0] + len(outcome.sequences)))


def test_the_journal_has_the_rebalances_of_the_chain_and_no_others(outcome: Outcome, journal: Journal) -> None:
    confirmed = [
        end.tx_hash
        for record in journal.decisions()
        if record.kind is Kind.HEDGE
        for _, end in journal.transactions_of(record.id)
        if end is not None and end.result is Result.CONFIRMED
    ]

    assert confirmed == outcome.rebalanced_by
    assert [trade.transaction for trade in outcome.record.trades] == outcome.rebalanced_by


def test_no_decision_is_carried_out_twice(outcome: Outcome, journal: Journal) -> None:
    carried_out = Counter(
        (record.kind, record.block_hash)
        for record in journal.decisions()
        for _, end in journal.transactions_of(record.id)
        if end is not None and end.result is Result.CONFIRMED
    )

    assert set(carried_out.values()) == {1}


def test_every_transaction_of_the_keeper_is_in_the_journal_with_its_end(outcome: Outcome, journal: Journal) -> None:
    ends = [end for record in journal.decisions() for _, end in journal.transactions_of(record.id)]

    assert None not in ends
    assert sum(end.result in (Result.CONFIRMED, Result.FAILED) for end in ends if end is not None) == outcome.sent


def test_the_books_balance_and_delta_is_in_its_band(outcome: Outcome) -> None:
    assert outcome.record.books_balance, [check for check in outcome.record.checks if not check.holds]
    for underlying in outcome.record.steps[-1].underlyings:
        assert abs(underlying.delta) <= underlying.band, underlying.outside_because
