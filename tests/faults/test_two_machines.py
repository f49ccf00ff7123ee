"""Fault 13: two keepers, each a process, on one journal; the one that acts is frozen at any moment, and thawed later.

Whatever happens, each decision is carried out once, and journal and chain agree. The seed says at which moments.
"""

import contextlib
import os
import random
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from keeper.domain.decision import Action
from keeper.execution.database import make_engine, parse_url
from keeper.execution.journal import Journal
from keeper.execution.lease import holder_of
from tests.faults.machines import STOPPED_BY_JOURNAL, Machine
from tests.faults.stage import GWEI, stage

pytestmark = pytest.mark.timeout(1_800)

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "stress"
# A new row in these says that the keeper has just decided, means to act, has signed, has sent or has seen the end.
MOMENTS = ("decisions", "intents", "attempts", "steps")
PATIENCE = 400  # blocks, one in half a second: nobody waits for long on any machine


class Play:
    """A chain whose blocks come one after the other while a test waits, and two machines."""

    def __init__(self, found, journal_url, folder):
        self.stage, self.vault, self.url = found, found.vault, journal_url
        self.engine = make_engine(parse_url(journal_url))
        node = found.nodes[0].url
        self.machines = [Machine(name, folder / name, found.vault, node, journal_url) for name in ("alpha", "beta")]
        self.price = 3_000.0

    def close(self):
        for machine in self.machines:
            machine.__exit__()
        self.engine.dispose()

    def until(self, holds):
        """Blocks until something holds; machines that have ended are started again."""
        for _ in range(PATIENCE):
            for _ in range(20):
                if holds():
                    return
                time.sleep(0.025)
            for machine in self.machines:
                machine.start_again_if_it_ended()
            self.stage.chain.mine(GWEI, seconds=1)  # so that no feed is stale however long it takes
        logs = "\n".join(f"{machine.name}:\n{machine.log[-3_000:]}" for machine in self.machines)
        pytest.fail(f"it never does.\n{logs}")

    def leader(self):
        """Who acts, and who does not."""
        self.until(lambda: (found := self.holder()) is not None and found.seconds > 0)
        name = self.holder().machine
        return sorted(self.machines, key=lambda machine: machine.name != name)

    def holder(self):
        return holder_of(self.url, self.vault.deployment.chain_id, self.vault.deployment.address("Vault"))

    def expire(self):
        """As if a lease's time had passed by the database's clock, unless somebody is writing."""
        with contextlib.suppress(OperationalError), self.engine.begin() as connection:
            connection.execute(sa.text("UPDATE leases SET expires_ms = 1"))

    def rows(self, table):
        with self.engine.connect() as connection:
            return connection.scalar(sa.text(f"SELECT count(*) FROM {table}"))

    def is_done_with(self, block):
        return self.stage.journal.is_done_with(block)

    def move_market(self, dice):
        """By so much that there is something to hedge."""
        self.price *= 1 + dice.choice((-1, 1)) * dice.uniform(0.015, 0.025)
        self.vault.market.step(self.price)

    def come_to_rest(self):
        journal = self.stage.journal

        def is_quiet():
            last = journal.last_decision()
            is_idle = last is not None and last.decision.action is Action.HOLD and not journal.open_intents()
            return is_idle and not self.stage.chain.pool and journal.is_done_with(self.stage.chain.head)

        self.until(is_quiet)


@contextlib.contextmanager
def playing(vault, journal_url, tmp_path):
    journal = Journal(journal_url)
    with stage(vault, journal) as found:
        play = Play(found, journal_url, tmp_path)
        try:
            yield play
        finally:
            play.close()
    journal.close()


def freeze_at_some_moment(play, leader, dice):
    """Between any two steps of what the market's move makes it do."""
    table = dice.choice(MOMENTS)
    before = play.rows(table)
    play.move_market(dice)
    patience = time.monotonic() + 5.0
    while play.rows(table) == before and time.monotonic() < patience:
        time.sleep(0.0005)
    time.sleep(dice.choice((0.0, dice.uniform(0.0, 0.05))))
    leader.freeze()
    if play.url.startswith("sqlite") and not IS_LONG:
        play.expire()  # on Postgres, and in the long run, it takes its time


def freeze_and_thaw(play, dice):
    """The other takes over and acts; then the first wakes up in the middle of what it did."""
    leader, other = play.leader()
    token = play.holder().token
    freeze_at_some_moment(play, leader, dice)
    stuck = len(other.log)

    def has_taken_over():
        return play.holder().machine == other.name or "Another process writes to it" in other.log[stuck:]

    play.until(has_taken_over)
    if play.holder().machine == other.name:
        assert play.holder().token == token + 1
        block = play.stage.chain.head
        play.until(lambda: play.is_done_with(block))
    else:
        assert play.url.startswith("sqlite")  # which has one writer at a time, and that one was frozen
    leader.thaw()
    block = play.stage.chain.head + 1
    play.until(lambda: play.is_done_with(block))


@pytest.mark.parametrize("seed", range(24 if IS_LONG else 1))
def test_a_leader_that_is_frozen_at_any_moment_is_replaced_and_does_nothing_afterwards(
    vault, database_url, tmp_path, seed
):
    dice = random.Random(seed)
    with playing(vault, database_url, tmp_path) as play:
        for _ in range(6 if IS_LONG else 1):
            freeze_and_thaw(play, dice)

        play.come_to_rest()
        play.stage.check()


@pytest.mark.parametrize("seed", range(8 if IS_LONG else 1))
def test_both_killed_and_the_database_restarted(vault, postgres, tmp_path, seed):
    """Fault 14: without the database both stop, with a message, and nothing is sent until it is back."""
    dice = random.Random(seed)
    with playing(vault, postgres.new_database(), tmp_path) as play:
        leader, other = play.leader()
        freeze_at_some_moment(play, leader, dice)
        leader.kill()
        other.kill()
        block = play.stage.chain.head + 1
        play.until(lambda: play.is_done_with(block))

        play.move_market(dice)
        time.sleep(dice.uniform(0.0, 0.3))
        postgres.stop()
        for machine in play.machines:
            assert machine.process.wait(120) == STOPPED_BY_JOURNAL, machine.log[-3_000:]
            assert "See that the database's server runs" in machine.log
        pool, nonce = dict(play.stage.chain.pool), play.stage.used_nonces()
        if IS_LONG:
            leader.start()  # its supervisor tries
            assert leader.process.wait(120) == STOPPED_BY_JOURNAL, leader.log[-3_000:]
        assert (play.stage.chain.pool, play.stage.used_nonces()) == (pool, nonce)
        postgres.start()

        play.come_to_rest()
        play.stage.check()
