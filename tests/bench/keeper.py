"""The keeper on anvil, one vault with eight series of ETH and BTC: the stages of a block, and block to transaction.

The peer of the snapshot's reader is the obvious one: the same views through web3.py's contract objects, one request
each.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from eth_abi import decode
from eth_abi.grammar import TupleType, parse
from eth_utils.address import to_checksum_address
from web3.exceptions import BadFunctionCallOutput, ContractLogicError

from keeper.chain.abi import Function
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.execution.executor import rebalance_call
from keeper.execution.journal import Journal
from keeper.hedging.decide import decide
from keeper.market import reader
from keeper.risk.valuation import value
from keeper.runtime.loop import Keeper
from tests.bench.results import Row, medians, row
from tests.bench.vault import sell_btc, six_series
from tests.keeper.vault_on_fork import VaultOnFork

_RUNS = 15
_POLICY = Policy()
_STAGES = {
    "read": "header, duties and snapshot",
    "simulate": "simulation",
    "prepare": "nonce",
    "send": "send",
}


def run() -> list[Row]:
    """All rows, milliseconds."""
    with six_series() as vault, tempfile.TemporaryDirectory() as folder:
        sell_btc(vault)
        journals = (Journal(f"sqlite:///{Path(folder) / f'{i}.sqlite'}") for i in itertools.count())
        return [*_stages(vault, next(journals)), *_block_to_transaction(vault, lambda: next(journals))]


def _stages(vault: VaultOnFork, journal: Journal) -> list[Row]:
    connection, address = vault.connection, vault.keeper.address
    snapshot = reader.read_snapshot(connection, vault.deployment, address)
    decision = decide(snapshot, _POLICY)
    call = rebalance_call(vault.deployment, decision, _POLICY, snapshot)
    blocks = itertools.count(snapshot.block_number)  # a decision that is there already is not written again

    def read_one_by_one() -> Snapshot:
        with patch.object(reader, "Batch", _OneByOne):
            return reader.read_snapshot(connection, vault.deployment, address)

    assert read_one_by_one().vault == snapshot.vault, "the peer reads something else"
    requests = _OneByOne.requests

    def write() -> None:
        journal.record_action(
            replace(decision, block_number=next(blocks)), _POLICY, snapshot, call, timestamp=snapshot.timestamp
        )

    stages = {
        "read": lambda: reader.read_snapshot(connection, vault.deployment, address),
        "one by one": read_one_by_one,
        "value": lambda: value(snapshot),
        "decide": lambda: decide(snapshot, _POLICY),
        "write": write,
    }
    ms = {name: 1e3 * seconds for name, seconds in medians(stages, _RUNS).items()}
    return [
        row(
            f"snapshot, 8 series of ETH and BTC (peer: web3.py, {requests} views)",
            ms["read"],
            "ms",
            peer=ms["one by one"],
        ),
        row("valuation, 8 series of ETH and BTC", ms["value"], "ms"),
        row("decide, valuation included", ms["decide"], "ms"),
        row("journal: decision, snapshot and intent", ms["write"], "ms"),
    ]


# ---------------------------------------------------------------- block to transaction


class _Watched(Connection):
    """Adds up how long the node takes for each kind of request, until a transaction has been sent."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.seconds: dict[str, float] = defaultdict(float)
        self.sent_at = 0.0

    def request(self, method: str, *params: Any) -> Any:
        start = time.perf_counter()
        try:
            return super().request(method, *params)
        finally:
            if not self.sent_at:
                self.seconds[self._stage(method, params)] += time.perf_counter() - start

    def _stage(self, method: str, params: tuple[Any, ...]) -> str:
        if method == "eth_simulateV1":
            return "simulate"
        return "prepare" if "simulate" in self.seconds else "read"

    def send_raw(self, transaction: bytes) -> str:
        start = time.perf_counter()
        sent = super().send_raw(transaction)
        self.sent_at = time.perf_counter()
        self.seconds["send"] = self.sent_at - start
        return sent


def _block_to_transaction(vault: VaultOnFork, new_journal: Callable[[], Journal]) -> list[Row]:
    """From the moment the keeper may ask for the block: what the node takes by stage, and the rest."""
    totals, parts = [], defaultdict(list)
    for _ in range(_RUNS + 1):
        state = vault.market.rpc.call("evm_snapshot")
        connection = _Watched(vault.url)
        journal = new_journal()
        keeper = Keeper(connection, vault.deployment, vault.keeper, _POLICY, journal, poll_seconds=0.01)
        keeper._history.closes(connection, connection.header(), vault.now())  # is read at the start and kept
        connection.seconds.clear()  # the check of the chain's id
        start = time.perf_counter()
        record = keeper.tick()
        assert record is not None, "the block was seen before"
        assert connection.sent_at, f"nothing was sent: {record.decision.reason}"
        totals.append(connection.sent_at - start)
        for stage, seconds in connection.seconds.items():
            parts[stage].append(seconds)
        parts["own"].append(totals[-1] - sum(connection.seconds.values()))
        journal.close()
        vault.market.rpc.call("evm_revert", state)

    def ms(seconds: list[float]) -> float:
        return 1e3 * statistics.median(seconds[1:])  # the first one warms up

    rows = [row("block to submitted transaction", ms(totals), "ms")]
    rows += [row(f"of it the node: {label}", ms(parts[stage]), "ms") for stage, label in _STAGES.items()]
    return [*rows, row("of it the keeper itself: decode, decide, journal, sign", ms(parts["own"]), "ms")]


# ---------------------------------------------------------------- the peer


class _OneByOne(Batch):
    """The reader's batch without Multicall: one web3.py contract object and one request per value."""

    contracts: ClassVar[dict[tuple[str, str], Any]] = {}  # made once per view
    requests: ClassVar[int] = 0

    def run(self, connection: Connection, block: Header) -> None:
        for answer in self._answers:
            key = (answer.address, answer.function.name)
            if key not in self.contracts:
                self.contracts[key] = connection.w3.eth.contract(address=answer.address, abi=[_abi_of(answer.function)])
            arguments = decode(answer.function.inputs, answer.data[4:])
            checked = [to_checksum_address(a) if isinstance(a, str) else a for a in arguments]
            call = self.contracts[key].functions[answer.function.name](*checked)
            try:
                answer.value = call.call(block_identifier=block.number)
            except (ContractLogicError, BadFunctionCallOutput):
                assert answer.optional, f"{answer.name} does not answer"
            type(self).requests += 1


def _abi_of(function: Function) -> dict[str, Any]:
    inputs, outputs = ([_abi_type(kind) for kind in kinds] for kinds in (function.inputs, function.outputs))
    view = {"type": "function", "name": function.name, "stateMutability": "view"}
    return {**view, "inputs": inputs, "outputs": outputs}


def _abi_type(kind: str) -> dict[str, Any]:
    parsed = parse(kind)
    if not isinstance(parsed, TupleType):
        return {"name": "", "type": kind}
    dimensions = kind[kind.rindex(")") + 1 :]
    components = [_abi_type(part.to_type_str()) | {"name": f"_{i}"} for i, part in enumerate(parsed.components)]
    return {"name": "", "type": f"tuple{dimensions}", "components": components}
