"""A run in which everything fails at once, by a seed: nodes, chain, host, process and alert channel, over a market that
moves.

Nothing in it depends on threads or on how fast the machine is: the nodes are asked one after the other, and time is the
chain's. So the seed reproduces the run.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from keeper.domain.decision import Action
from keeper.domain.safety import KillLevels, WatchLevels
from keeper.errors import KeelError, RpcError, RpcUnavailableError
from keeper.execution import schema
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.execution.orders import Orders
from keeper.runtime.alerts import Alerter, AlertPace, Message
from keeper.runtime.guard import Guard
from keeper.runtime.loop import SERVICES, Keeper, Service
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from tests.faults.rig import Chain, Faults, Node
from tests.faults.stage import GWEI, POLICY, InTurn, Stage, hasty
from tests.keeper.vault_on_fork import VaultOnFork

BLOCKS = 14  # with faults
MOMENTS = ("crash before a write", "crash after a write", "crash before a send", "crash after a send")


class Crash(BaseException):
    """The process ends here. Nobody catches it."""


class Doom:
    """Ends the process at the ``left``-th moment of a kind from now."""

    def __init__(self) -> None:
        self.moment, self.left = "", 0

    def at(self, moment: str) -> None:
        """This moment has come."""
        if moment == self.moment:
            self.left -= 1
            if self.left == 0:
                raise Crash(moment)

    @contextmanager
    def over_writes(self) -> Iterator[None]:
        """Of every database of this process."""

        def before(_: Session) -> None:
            self.at("crash before a write")

        def after(_: Session) -> None:
            self.at("crash after a write")

        sa.event.listen(Session, "before_commit", before)
        sa.event.listen(Session, "after_commit", after)
        try:
            yield
        finally:
            sa.event.remove(Session, "before_commit", before)
            sa.event.remove(Session, "after_commit", after)


class DoomedEndpoints(InTurn):
    """The process may end before or after a send."""

    def __init__(self, urls: list[str], doom: Doom, clock: Callable[[], float]) -> None:
        super().__init__(urls, clock)
        self._doom = doom

    def send_raw(self, transaction: bytes) -> str:
        self._doom.at("crash before a send")
        try:
            return super().send_raw(transaction)
        finally:
            self._doom.at("crash after a send")


class Storm(Stage):
    """A keeper as `keel run` makes it, with kill switch, watch and alerts, in the weather of a seed."""

    def __init__(
        self,
        vault: VaultOnFork,
        folder: Path,
        nodes: list[Node],
        seed: int,
        doom: Doom,
        services: Sequence[Service] = SERVICES,
    ) -> None:
        self.dice, self.doom, self.url = random.Random(seed), doom, f"sqlite:///{folder / 'keel.sqlite'}"
        self.awake, self.wall = 0.0, 0.0  # seconds: of the monotonic clock, and by how much the host's is wrong
        self.price, self.base_fee = vault.market.feed_price("ETH"), GWEI
        self.services, self.told = services, list[Message]()
        self.is_deaf = False  # the alert channel
        super().__init__(vault, Journal(self.url), nodes[0].chain, nodes)

    @property
    def fired(self) -> dict[str, int]:
        """How often each fault took effect."""
        return self.chain.fired

    # ------------------------------------------------------------------ the process

    def restart(self) -> None:
        """A new process on the same journal. It fails to start when the nodes are too bad: then the next block does."""
        self.stop()
        self.journal, self.orders = Journal(self.url), Orders(self.url)
        connection = DoomedEndpoints([node.url for node in self.nodes], self.doom, lambda: self.awake)
        self.watch = Watch(connection, WatchLevels(), Metrics(), lambda: self.awake)
        self.alerter = Alerter(self._deliver, AlertPace(), watch=self.watch.stalled, clock=lambda: self.awake)
        self.watch.tell(self.alerter)
        lease = Lease(self.url, self.vault.deployment.chain_id, self.vault.deployment.address("Vault"), "rig", 30.0)
        guard = Guard(connection, self.vault.deployment, self.orders, KillLevels(), POLICY.margin_tolerance)
        try:
            self.keeper = Keeper(
                *(connection, self.vault.deployment, self.vault.keeper, POLICY, self.journal),
                wait_seconds=0,
                services=self.services,
                guard=guard,
                watch=self.watch,
                lease=lease,
            )
        except KeelError:
            self.fired["start refused"] += 1

    def stop(self) -> None:
        self.journal.close()
        if hasattr(self, "orders"):
            self.orders.close()
        self.keeper = None  # type: ignore[assignment]

    def tick(self) -> Any:
        """As the loop does it, with what the process may end of."""
        if self.keeper is None:
            self.restart()
        if self.keeper is None:
            return None
        self.watch.came_round()
        record = None
        try:
            record = self.keeper.tick()
        except (RpcUnavailableError, RpcError) as error:
            self.errors += 1
            self.watch.node_failed(str(error))
        except Crash as crash:
            self.fired[str(crash)] += 1
            self.stop()
            return None
        self.alerter.round()
        return record

    def _deliver(self, message: Message) -> bool:
        if self.is_deaf:
            self.fired["alert channel down"] += 1
            return False
        self.told.append(message)
        return True

    # ------------------------------------------------------------------ the weather

    def rage(self) -> None:
        """Blocks with faults."""
        for _ in range(BLOCKS):
            self._strike_nodes()
            self._strike_process()
            self._strike_chain()
            self.tick()
        self.doom.moment, self.is_deaf = "", False

    def _strike_nodes(self) -> None:
        dice = self.dice
        for node in self.nodes:
            node.faults = Faults(
                lost_requests=dice.choice((0, 0, 0.02)),
                lost_replies=dice.choice((0, 0, 0.02)),
                lost_sends=dice.choice((0, 0, 0.5, 1.0)),
                late_sends=dice.choice((0, 0, 0.5, 1.0)),
                logs=dice.choice((1, 0, 2)),
            )
        bad = (
            Faults(is_down=True),
            Faults(lag=dice.randint(1, 4)),
            Faults(is_forked=True),
            Faults(is_forked=True, chain_id=5),
            Faults(mixes=dice.randint(1, 2)),
        )
        for node in dice.sample(self.nodes, dice.choice((0, 1, 1, 1, 2))):
            node.faults = dice.choice(bad)

    def _strike_process(self) -> None:
        dice = self.dice
        if dice.random() < 0.25:
            self.doom.moment, self.doom.left = dice.choice(MOMENTS), dice.randint(1, 6)
        if dice.random() < 0.08:
            self.fired["restart"] += 1
            self.stop()
        if dice.random() < 0.1:
            self.fired["clock of the host jumps"] += 1
            self.wall += dice.choice((-1, 1)) * dice.uniform(60, 100_000)
        self.is_deaf = dice.random() < 0.3

    def _strike_chain(self) -> None:
        dice = self.dice
        if dice.random() < 0.15:
            self.chain.evict()
        for _ in range(dice.randint(3, 20) if dice.random() < 0.08 else 0):
            self.fired["block while the host sleeps"] += 1
            self._mine()
        self.awake += 12
        self._mine()
        if dice.random() < 0.2:
            depth = min(dice.randint(1, 12), self.chain.head - self.first_block)
            self.chain.reorganise(depth, requeue=dice.random() < 0.7)

    def _mine(self) -> None:
        """A block in which the market moves: by half a percent, or by two and a half."""
        dice = self.dice
        times = dice.choice((0.5, 0.8, 1.0, 1.2, 2.0, 8.0))
        self.base_fee = max(GWEI // 10, min(60 * GWEI, int(self.base_fee * times)))
        move = dice.choice((-0.025, 0.025)) if dice.random() < 0.08 else dice.gauss(0, 0.005)
        self.price = min(3_500.0, max(2_600.0, self.price * math.exp(move)))
        self.chain.mine(self.base_fee, move=self._move)

    def _move(self, timestamp: int, base_fee: int) -> None:
        self.vault.market.step(self.price, timestamp=timestamp, base_fee=base_fee)

    # ------------------------------------------------------------------ afterwards

    def calm(self) -> None:
        """The market has come to rest, and a block has passed."""
        self.awake += 12
        self.chain.mine(GWEI, move=self._move)

    def is_over(self, action: Action) -> bool:
        is_quiet = not self.journal.open_intents() and not self.chain.pool
        return is_quiet and ((action is Action.HOLD and self.is_hedged()) or bool(self.halts()))

    def halts(self) -> set[str]:
        """What people were told that explains a delta outside its band."""
        return {one.condition.key for one in self.told} & set(self.watch.health().conditions)

    def check_delta(self) -> None:
        assert self.is_hedged() or self.halts()


@contextmanager
def storm(vault: VaultOnFork, folder: Path, seed: int = 0, services: Sequence[Service] = SERVICES) -> Iterator[Storm]:
    """The run of a seed, on three nodes."""
    chain, doom = Chain(vault.market.rpc), Doom()
    with pytest.MonkeyPatch.context() as patch, hasty(), doom.over_writes():
        nodes = [Node(chain, seed=1_000 * seed + i) for i in range(3)]
        found = Storm(vault, folder, nodes, seed, doom, services)
        true = time.time
        patch.setattr(time, "time", lambda: true() + found.wall)
        wrong = SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(seconds=found.wall))
        patch.setattr(schema, "datetime", wrong)
        try:
            yield found
        finally:
            found.stop()
            for node in nodes:
                node.stop()
