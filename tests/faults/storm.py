"""A run in which everything fails at once, by a seed: nodes, chain, host, process and alert channel, over a market that
moves.

Nothing in it depends on threads or on how fast the machine is: the nodes are asked one after the other, and time is the
chain's. So the seed reproduces the run.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from keeper.domain.decision import Action
from keeper.domain.safety import KillLevels, WatchLevels
from keeper.errors import KeelError, LeaseError, RpcError, RpcUnavailableError
from keeper.execution import schema
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.execution.orders import Orders
from keeper.runtime.alerts import Alerter, AlertPace, Message
from keeper.runtime.guard import Guard
from keeper.runtime.loop import SERVICES, Keeper, Service
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from tests.faults.doom import MOMENTS, Crash, Doom, DoomedEndpoints
from tests.faults.rig import Chain, Faults, Node
from tests.faults.stage import GWEI, POLICY, Stage, hasty
from tests.keeper.vault_on_fork import VaultOnFork

BLOCKS = 12  # with faults
MIDST = (  # what the world goes on after while a look at it is under way; most of all after a send
    *("eth_sendRawTransaction",) * 5,
    *("eth_getBlockByNumber", "eth_call", "eth_simulateV1", "eth_getTransactionCount", "eth_getTransactionReceipt"),
)
HALTING = ("missed-hedge", "refusing", "unreadable", "stuck-transaction", "signer-down")  # conditions


@dataclass(frozen=True)
class Process:
    """What one `keel run` has. ``keeper`` is None where it did not start."""

    journal: Journal
    orders: Orders
    watch: Watch
    alerter: Alerter
    keeper: Keeper | None

    def end(self) -> None:
        self.journal.close()
        self.orders.close()


class Storm(Stage):
    """A keeper as `keel run` makes it, with kill switch, watch and alerts, in the weather of a seed.

    The world goes on in the midst of a look, too: a block, a reorganisation, or another machine that takes over.
    """

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
        self.levels = KillLevels()
        self.is_silent = False  # the feeds
        self.name, self._others = "alpha", list[Process]()  # who took over in the midst of a look
        self._midst: tuple[str, int] | None = None  # a method, and after how many answers to it something happens
        self._is_uncle, self._is_disturbed = False, False
        self._begun = set[int]()  # ids of intents of which something was signed before the last look
        self._midst_errors: list[BaseException] = []
        nodes[0].chain.hears = self._hears
        super().__init__(vault, Journal(self.url), nodes[0].chain, nodes)

    @property
    def fired(self) -> dict[str, int]:
        """How often each fault took effect."""
        return self.chain.fired

    # ------------------------------------------------------------------ the process

    def restart(self) -> None:
        """A new process on the same journal. It fails to start when the nodes are too bad: then the next block does."""
        self.stop()
        self._be(self._started())

    def _started(self) -> Process:
        """A process of the machine with this ``name``."""
        journal, orders = Journal(self.url), Orders(self.url)
        connection = DoomedEndpoints([node.url for node in self.nodes], self.doom, lambda: self.awake)
        watch = Watch(connection, WatchLevels(), Metrics(), lambda: self.awake)
        alerter = Alerter(self._deliver, AlertPace(), watch=watch.stalled, clock=lambda: self.awake)
        watch.tell(alerter)
        deployment = self.vault.deployment
        lease = Lease(self.url, deployment.chain_id, deployment.address("Vault"), self.name, 30.0)
        guard = Guard(connection, deployment, orders, self.levels, POLICY.margin_tolerance)
        keeper = None
        try:
            keeper = Keeper(
                *(connection, deployment, self.vault.keeper, POLICY, journal),
                wait_seconds=0,
                services=self.services,
                guard=guard,
                watch=watch,
                lease=lease,
            )
        except KeelError:
            self.fired["start refused"] += 1
        return Process(journal, orders, watch, alerter, keeper)

    def _be(self, process: Process) -> None:
        self.process = process
        self.journal, self.orders = process.journal, process.orders
        self.keeper = process.keeper  # type: ignore[assignment]

    def stop(self) -> None:
        self.journal.close()
        if hasattr(self, "process"):
            self.process.end()
        self.keeper = None  # type: ignore[assignment]

    def tick(self) -> Any:
        """As the loop does it, with what the process may end of."""
        if self.keeper is None:
            try:
                self.restart()
            except Crash as crash:
                self.fired[str(crash)] += 1
        if self.keeper is None:
            return None
        self._is_disturbed = False
        record = self._look(self.process)
        if self._midst_errors:
            raise self._midst_errors[0]
        for other in self._others:  # the newest one has the vault
            self.stop()
            self._be(other)
        is_looked_through = record is not None and not self._is_disturbed and not self._others
        self._others = []
        self._check_look(record if is_looked_through else None)
        return record

    def _look(self, process: Process) -> Any:
        assert process.keeper is not None
        process.watch.came_round()
        record = None
        try:
            record = process.keeper.tick()
        except LeaseError:
            self.fired["another machine has taken over"] += 1
        except (RpcUnavailableError, RpcError) as error:
            self.errors += 1
            process.watch.node_failed(str(error))
        except Crash as crash:
            self.fired[str(crash)] += 1
            self.stop()
            return None
        process.alerter.round()
        return record

    def _check_look(self, record: Any) -> None:
        """What must hold at any time: a transaction that a node was given is in the journal. And after a look that
        nothing disturbed: no nonce was taken behind one that is free, and what the journal has as mined is in that
        very block."""
        with self.journal._engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT intent_id, tx_hash, nonce FROM attempts ORDER BY id")).all()
        assert set(self.chain.seen) <= {row.tx_hash for row in rows}, "what was sent is not in the journal"
        begun = {row.intent_id: row.nonce for row in reversed(rows)}
        fresh, self._begun = begun.keys() - self._begun, set(begun)
        if record is None:
            return
        assert all(begun[intent_id] <= self.used_nonces() for intent_id in fresh), "a nonce behind one that is free"
        if self._hash_at(record.block_number) != record.block_hash:
            return  # two bad nodes may agree on a block that there is not
        for intent, outcome in self.journal.mined_intents():
            if outcome.block_number <= record.block_number:
                there = self._hash_at(outcome.block_number)
                assert outcome.block_hash == there, f"{intent.call.purpose} is not in its block any more"

    def _hash_at(self, number: int) -> str:
        return str((self.chain.rpc.call("eth_getBlockByNumber", hex(number), False) or {}).get("hash"))

    def _deliver(self, message: Message) -> bool:
        if self.is_deaf:
            self.fired["alert channel down"] += 1
            return False
        self.told.append(message)
        return True

    # ------------------------------------------------------------------ the weather

    def rage(self, blocks: int = BLOCKS) -> None:
        """Blocks with faults."""
        for _ in range(blocks):
            self._strike_nodes()
            self._strike_process()
            self._strike_chain()
            if self._midst is None and self.dice.random() < 0.5:
                self._midst = self.dice.choice(MIDST), self.dice.randint(1, 4)
            self.tick()
        self.doom.moment, self.is_deaf, self._midst = "", False, None

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
        is_hit, is_uncle, self._is_uncle = dice.random() < 0.2, self._is_uncle, False
        if is_uncle:  # the newest block was seen, and another one has its place
            self._reorganise(1)
            return
        self._mine()
        if is_hit:
            self._reorganise(dice.randint(1, 12))

    def _reorganise(self, depth: int) -> None:
        """What was in the blocks waits again, all of it, nothing of it, or some."""
        share = self.dice.choice((1.0, 1.0, 0.5, 0.0))
        depth = min(depth, self.chain.head - self.first_block)
        if depth > 0:
            self.chain.reorganise(depth, requeue=lambda: self.dice.random() < share)

    def _hears(self, method: str, is_done: bool) -> bool:
        """Something happens between two requests of one look, before the keeper has the answer to the first."""
        if self._midst is None or not is_done or method != self._midst[0]:
            return False
        method, left = self._midst
        self._midst = (method, left - 1) if left > 1 else None
        if left == 1:
            self._is_disturbed = True
            try:
                self.dice.choice((self._block_in_the_midst,) * 4 + (self._other_branch_in_the_midst, self._take_over))()
            except BaseException as error:  # of the storm's own: it is not the node's to swallow
                self._midst_errors.append(error)
        return False

    def _block_in_the_midst(self) -> None:
        self.fired["block in the midst of a look"] += 1
        self._mine()
        self._is_uncle = self.dice.random() < 0.75

    def _other_branch_in_the_midst(self) -> None:
        self.fired["reorganisation in the midst of a look"] += 1
        self._reorganise(self.dice.randint(1, 3))

    def _take_over(self) -> None:
        """This machine was silent for so long that another takes over and acts; then it goes on where it was."""
        was, moment, self.name = self.name, self.doom.moment, "beta" if self.name == "alpha" else "alpha"
        self.doom.moment = ""
        with self.journal._engine.begin() as connection:
            connection.execute(sa.text("UPDATE leases SET expires_ms = 1"))
        other = self._started()
        if other.keeper is None:
            other.end()
            self.name = was
        else:
            self.fired["take-over in the midst of a look"] += 1
            self._look(other)
            self._others.append(other)
        self.doom.moment = moment

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

    def market_jumps(self) -> None:
        """By so much that there is something to hedge."""
        self.price *= 1.04 if self.price < 3_050 else 1 / 1.04

    # ------------------------------------------------------------------ afterwards

    def calm(self, seconds: int = 12) -> None:
        """The market has come to rest, and a block has passed."""
        self.awake += seconds
        self.chain.mine(GWEI, seconds, None if self.is_silent else self._move)

    def is_over(self, action: Action) -> bool:
        """What was given up may wait on, behind a nonce that is free, and fail when the next transaction has that."""
        is_quiet = not self.journal.open_intents() and not self.chain.is_moving(self.vault.keeper.address)
        return is_quiet and action is Action.HOLD and self.is_hedged()

    def halts(self) -> set[str]:
        """What people were told of that keeps a keeper from hedging, while it lasts."""
        found = {one.condition.key for one in self.told} & set(self.process.watch.health().conditions)
        return {key for key in found if key in HALTING or key.startswith("kill-switch-")}

    def check_delta(self) -> None:
        assert self.is_hedged()


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
