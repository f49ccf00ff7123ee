"""The storm over `keel run`, a process of its own that is ended by `kill -9` and started again, on the machine's clock.

One node is bad, and the others only lose sends: nodes are banned for real seconds, and nobody waits for those.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from keeper.errors import RpcError
from keeper.execution.orders import Orders
from tests.faults.doom import Doom
from tests.faults.machines import Machine
from tests.faults.rig import Chain, Faults, Node
from tests.faults.storm import Storm
from tests.keeper.vault_on_fork import VaultOnFork

BLOCKS = 10
METHODS = (  # what the keeper asks when it is about to look, decide, sign, send or follow; sends more often
    *("eth_sendRawTransaction",) * 3,
    *("eth_getBlockByNumber", "eth_call", "eth_simulateV1", "eth_getTransactionCount", "eth_getTransactionReceipt"),
)
_CHANCES = 30  # looks for the newest block, of all nodes together, in which a keeper can come to a decision
_REFUSED_BY_NODES = RpcError.exit_code  # at a start; who runs waits for better nodes
_TIMEOUT = 1_200.0  # seconds, of a machine that has other things to do


class Killing(Storm):
    """``killed_at(method, count, moment)`` arms: `before` or `after` a node has done what it was asked for the
    ``count``-th time, or a few milliseconds `later`, when the keeper has the answer and writes."""

    def __init__(self, vault: VaultOnFork, folder: Path, nodes: list[Node], seed: int) -> None:
        self.folder, self.bad = folder, nodes[seed % len(nodes)]
        self.ready: list[float] = []  # seconds from a start after a kill to the first decision
        self._armed: tuple[str, int, str, signal.Signals] | None = None
        self._looks = 0
        self._lock = threading.Lock()
        self.machine: Machine | None = None
        nodes[0].chain.hears = self._hears
        super().__init__(vault, folder, nodes, seed, Doom())

    # ------------------------------------------------------------------ the process

    def restart(self) -> None:
        if self.machine is None:
            self.orders = Orders(self.url)
            urls = " ".join(node.url for node in self.nodes)
            self.machine = Machine("rig", self.folder / "rig", self.vault, urls, self.url, patience=0.05)
        else:
            self.machine.start()

    def stop(self) -> None:
        assert self.machine is not None
        self.machine.__exit__()
        self.journal.close()
        self.orders.close()

    def arm(self, method: str, count: int, moment: str, by: signal.Signals = signal.SIGKILL) -> None:
        with self._lock:
            self._armed = method, count, moment, by

    def _hears(self, method: str, is_done: bool) -> bool:
        with self._lock:
            self._looks += method == "eth_getBlockByNumber" and not is_done
            if self._armed is None or method != self._armed[0] or is_done == (self._armed[2] == "before"):
                return False
            method, count, moment, by = self._armed
            self._armed = (method, count - 1, moment, by) if count > 1 else None
            if count > 1:
                return False
        if moment == "later":
            threading.Timer(self.dice.uniform(0.0, 0.02), self._end, (by,)).start()
        else:
            self._end(by)
        return moment == "before" and by is signal.SIGKILL

    def _end(self, by: signal.Signals) -> None:
        assert self.machine is not None
        if self.machine.process.poll() is None:
            self.machine.process.send_signal(by)
            self.fired["kill -9" if by is signal.SIGKILL else "SIGTERM"] += 1
            self.machine.process.wait()

    def tick(self) -> Any:
        """Wait until the keeper has decided on the newest block, or had the chance to."""
        assert self.machine is not None
        begun, looks = time.monotonic(), self._looks
        started = None
        while self._looks < looks + _CHANCES:
            assert time.monotonic() < begun + _TIMEOUT, f"the keeper does nothing:\n{self.machine.log[-3_000:]}"
            if self.machine.process.poll() is not None:
                code = self.machine.process.returncode
                assert code in (-signal.SIGKILL, _REFUSED_BY_NODES), f"ended with {code}:\n{self.machine.log[-3_000:]}"
                if code == _REFUSED_BY_NODES:
                    self.fired["start refused"] += 1
                started, decided = time.monotonic(), self._decided()
                self.restart()
            if started is not None and self._decided() > decided:
                self.ready.append(time.monotonic() - started)
                started = None
            if self._decided(self._head()) and started is None:
                break
            time.sleep(0.01)
        return self.journal.decision_at(self.chain.head)

    def _head(self) -> str:
        return str(self.chain.rpc.call("eth_getBlockByNumber", "latest", False)["hash"])

    def _decided(self, block_hash: str = "%") -> int:
        """How many hedging decisions there are, on one block or on any."""
        query = sa.text("SELECT count(*) FROM decisions WHERE kind = 'hedge' AND block_hash LIKE :block")
        with self.journal._engine.connect() as connection:
            return int(connection.scalar(query, {"block": block_hash}) or 0)

    # ------------------------------------------------------------------ the weather

    def rage(self) -> None:
        for _ in range(BLOCKS):
            self._strike_nodes()
            if self.dice.random() < 0.4:
                moment = self.dice.choice(("before", "after", "later"))
                self.arm(self.dice.choice(METHODS), self.dice.randint(1, 3), moment)
            self._strike_chain()
            self.tick()
        with self._lock:
            self._armed = None
        for node in self.nodes:
            node.faults = Faults()
        self._end(signal.SIGKILL)  # and this start is one without faults

    def _strike_nodes(self) -> None:
        bad = self.bad.faults
        super()._strike_nodes()
        worst = [node.faults for node in self.nodes]
        for node in self.nodes:
            sends = {"lost_sends": node.faults.lost_sends, "late_sends": node.faults.late_sends}
            node.faults = Faults(**sends, logs=node.faults.logs)
        found = [one for one in worst if one.is_down or one.lag or one.is_forked or one.mixes]
        self.bad.faults = found[0] if found else bad

    def halts(self) -> set[str]:
        return {entry.cause for entry in self.orders.standing()}


@contextmanager
def killing(vault: VaultOnFork, folder: Path, seed: int = 0) -> Iterator[Killing]:
    """The run of a seed, on three nodes."""
    chain = Chain(vault.market.rpc)
    nodes = [Node(chain, seed=1_000 * seed + i) for i in range(3)]
    found = Killing(vault, folder, nodes, seed)
    try:
        yield found
    finally:
        found.stop()
        for node in nodes:
            node.stop()
