"""The keeper on anvil: its parts on a vault with eight series of ETH and BTC, then block to transaction, and its start.

The peer of the snapshot's reader is the obvious one: the same views through web3.py's contract objects, one request
each.
"""

from __future__ import annotations

import itertools
import tempfile
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
from tests.bench import block, start
from tests.bench.results import Row, medians, row
from tests.bench.vault import full_book, sell_btc, six_series
from tests.keeper.vault_on_fork import VaultOnFork

_RUNS = 15
_POLICY = Policy()


def run() -> list[Row]:
    """All rows, milliseconds."""
    with six_series() as vault, tempfile.TemporaryDirectory() as folder:
        sell_btc(vault)
        parts = _parts(vault, Journal(f"sqlite:///{Path(folder) / 'keel.sqlite'}"))
    with full_book() as vault:
        return [*parts, *block.run(vault), *start.run(vault)]


def _parts(vault: VaultOnFork, journal: Journal) -> list[Row]:
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
            replace(decision, block_number=next(blocks)),
            _POLICY,
            snapshot,
            call,
            account=address,
            timestamp=snapshot.timestamp,
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
