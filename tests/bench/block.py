"""From a block to the transaction that hedges it, as `keel run` does it: 32 series, which is as many as there can be,
four instruments on two underlyings, and 5,000 scenarios; kill switch, journal and watch as an operator has them.

Live, scenarios come from the feeds' 180 days: `decide` is given 5,000 here, priced anew at every block, since what they
cost must not be what keeps anyone from having them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

import keeper.hedging.decide as decide_module
import keeper.runtime.loop as loop_module
from keeper.chain.rpc import Connection
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.domain.safety import KillLevels, WatchLevels
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.execution.executor import Executor
from keeper.execution.journal import Journal
from keeper.execution.orders import Orders
from keeper.execution.records import Attempt, Call, Outcome, Result
from keeper.execution.states import State
from keeper.hedging.decide import decide
from keeper.hedging.problem import Scenarios
from keeper.risk.revaluation import revalue
from keeper.risk.scenarios import Scenarios as Moves
from keeper.runtime.guard import Guard
from keeper.runtime.loop import Keeper
from keeper.runtime.metrics import Metrics
from keeper.runtime.watch import Watch
from tests.bench.results import Row, row
from tests.bench.stopwatch import Stopwatch
from tests.keeper.vault_on_fork import BTC_SPOT, SPOT, VaultOnFork

BLOCKS, WARM_UP = 120, 5
SERIES, INSTRUMENTS, SCENARIOS = 32, 4, 5_000
_STOPWATCH = Stopwatch()
_POLICY = Policy()
_STAGES = [
    ("what is open", Executor, "reconcile"),
    ("duties", Keeper, "_do_duties"),
    ("read the snapshot", loop_module, "read_snapshot"),
    ("value the book", decide_module, "value"),
    ("solve", decide_module, "solve_by_legs"),
    ("second opinion", decide_module, "second_opinion"),
    ("kill switch", Guard, "review"),
    ("record", Journal, "record_action"),
    ("record", loop_module, "rebalance_call"),
    ("simulate", Executor, "_rehearse"),
    ("sign and store", Executor, "_next_nonce"),
    ("sign and store", Executor, "_sign"),
]
_DAILY = 0.8 / 365**0.5
_DRAWN = np.random.default_rng(5).standard_t(5, size=(SCENARIOS, 2)) * _DAILY * (3 / 5) ** 0.5  # of variance DAILY²


def run(vault: VaultOnFork) -> list[Row]:
    """All rows, milliseconds."""
    _settle_down(vault)
    rows = _rows(_measured(vault, _decide_on_5000, BLOCKS))
    [shipped] = _rows(_measured(vault, decide, BLOCKS // 3), name="the same with the feeds' 180 days")[:1]
    return [*rows, shipped]


def _decide_on_5000(snapshot: Snapshot, policy: Policy) -> Decision:
    with _STOPWATCH.stage("5,000 scenarios of the book"):
        moves = Moves(1 / 365, _DRAWN, np.zeros((SCENARIOS, 1)))
        spot = np.array([reading.price_wad / WAD for reading in snapshot.readings])
        scenarios = Scenarios(revalue(snapshot, moves, method="numpy").total, np.expm1(_DRAWN) * spot)
    return decide(snapshot, policy, scenarios)


def _hold(snapshot: Snapshot, _: Policy) -> Decision:
    return Decision(snapshot.block_number, snapshot.block_hash, Action.HOLD, "for the benchmark")


def _in_turn(*rules: Callable[..., Decision]) -> Callable[..., Decision]:
    """Each for one block."""
    left = iter(rules)
    return lambda *args: next(left)(*args)


def _settle_down(vault: VaultOnFork) -> None:
    """What is due at the start is done: lending, a sign of life."""
    with _keeper(vault, vault.connection, _hold) as keeper:
        while keeper.tick() is not None:
            pass
    snapshot = loop_module.read_snapshot(vault.connection, vault.deployment, vault.keeper.address)
    assert len(snapshot.book) == SERIES
    assert len(decide_module.instruments_of(snapshot)) == INSTRUMENTS


@contextmanager
def _keeper(vault: VaultOnFork, connection: Connection, decide: Callable[..., Decision]) -> Iterator[Keeper]:
    """With a new journal."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'keel.sqlite'}"
        with closing(Journal(url)) as journal, closing(Orders(url)) as orders:
            _warm_up(journal)
            yield Keeper(
                *(connection, vault.deployment, vault.keeper, _POLICY, journal, decide),
                poll_seconds=0.01,
                guard=Guard(connection, vault.deployment, orders, KillLevels(), _POLICY.margin_tolerance),
                watch=Watch(connection, WatchLevels(), Metrics()),
            )


def _warm_up(journal: Journal) -> None:
    """SQLAlchemy compiles a statement when it is first used: a keeper that has traded before has that behind it."""
    before = Decision(0, "0x", Action.TRADE, "for the benchmark")
    _, intent = journal.record_action(before, _POLICY, None, Call("warm up", "0x", b""), account="0x", timestamp=0)
    intent = journal.record_attempt(intent, Attempt(0, "0x", b"", 1, 1))
    journal.record_outcome(journal.record_state(intent, State.SENT), Outcome(Result.SUPERSEDED))


class _Sending(Connection):
    """Knows when something was sent."""

    sent_at = 0.0

    def send_raw(self, transaction: bytes) -> str:
        with _STOPWATCH.stage("send"):
            sent = super().send_raw(transaction)
        self.sent_at = time.perf_counter()
        _STOPWATCH.stop()
        return sent


def _measured(vault: VaultOnFork, decide: Callable[..., Decision], blocks: int = BLOCKS) -> dict[str, list[float]]:
    """Seconds by stage, and of the whole, at one block after another: each with other prices and the vault as it was.

    The keeper has dealt with the block before.
    """
    found: dict[str, list[float]] = defaultdict(list)
    draw, connection = np.random.default_rng(7), _Sending(vault.url)
    for n in range(WARM_UP + blocks):
        state = vault.market.rpc.call("evm_snapshot")
        with _keeper(vault, connection, _in_turn(_hold, decide)) as keeper, _STOPWATCH.watching(_STAGES):
            keeper.tick()
            eth, btc = draw.uniform(0.0, 0.03), draw.uniform(0.01, 0.03)
            vault.market.step({"ETH": SPOT * (1 + eth), "BTC": BTC_SPOT * (1 + btc)})
            connection.sent_at = 0.0
            begun_at = _STOPWATCH.start()
            record = keeper.tick()
        assert record is not None, "the block was seen before"
        assert connection.sent_at, f"nothing was sent: {record.decision.reason}"
        assert record.decision.action is Action.TRADE, record.decision.reason
        if n >= WARM_UP:
            found[""].append(connection.sent_at - begun_at)
            for stage, seconds in _STOPWATCH.seconds.items():
                found[stage].append(seconds)
        assert vault.market.rpc.call("evm_revert", state)
    return found


def _rows(found: dict[str, list[float]], name: str = "block to submitted transaction") -> list[Row]:
    totals = np.array(found.pop("")) * 1e3
    what = f"{name}, {SERIES} series, {INSTRUMENTS} instruments"
    rows = [
        row(f"{what}, {len(totals)} blocks: median", float(np.median(totals)), "ms", ours_goal=200),
        row(f"{what}: 99th percentile", float(np.quantile(totals, 0.99)), "ms", ours_goal=500),
    ]
    parts = {stage: 1e3 * statistics.median(seconds) for stage, seconds in found.items()}
    return [*rows, *(row(f"  of it: {stage}", ms, "ms") for stage, ms in parts.items())]
