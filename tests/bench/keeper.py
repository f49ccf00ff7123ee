"""The keeper on anvil, one vault with six series: each stage of a block, and from the block to the sent transaction.

The peer of the snapshot reader is the obvious one: the same values through web3.py's contract objects, one `eth_call`
each.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from keeper.chain.artifacts import artifact as compiled
from keeper.chain.rpc import Connection
from keeper.domain.policy import Policy
from keeper.domain.series import Position
from keeper.domain.snapshot import VenueKind
from keeper.execution.executor import rebalance_call
from keeper.execution.journal import Journal
from keeper.hedging.decide import decide
from keeper.market.reader import CONTRACTS, read_snapshot
from keeper.operations.contracts import bind
from keeper.risk.valuation import value
from keeper.runtime.loop import Keeper
from keeper.simulation.placement import published
from keeper.simulation.protocols.uniswap import CORE, artifact
from tests.bench.results import Row, medians, row
from tests.bench.vault import six_series
from tests.keeper.vault_on_fork import VaultOnFork

_RUNS = 15
_POLICY = Policy()
_AAVE = "@aave/core-v3@1.19.3"
_STAGES = {
    "read": "header, duties and snapshot",
    "simulate": "simulation",
    "prepare": "estimate, fee and nonce",
    "send": "send",
}


def run() -> list[Row]:
    """All rows, milliseconds."""
    with six_series() as vault, tempfile.TemporaryDirectory() as folder:
        journals = (Journal(f"sqlite:///{Path(folder) / f'{i}.sqlite'}") for i in itertools.count())
        return [*_stages(vault, next(journals)), *_block_to_transaction(vault, lambda: next(journals))]


def _stages(vault: VaultOnFork, journal: Journal) -> list[Row]:
    connection, address = vault.connection, vault.keeper.address
    snapshot = read_snapshot(connection, vault.deployment, address)
    decision = decide(snapshot, _POLICY)
    call = rebalance_call(vault.deployment, decision, _POLICY, snapshot)
    blocks = itertools.count(snapshot.block_number)  # a decision that is there already is not written again
    naive = _naive_reader(vault)
    values = naive()
    assert values["assessment"][:3] == astuple(snapshot.assessment)[:3], "the peer reads another block"

    def write() -> None:
        journal.record_action(
            replace(decision, block_number=next(blocks)), _POLICY, snapshot, call, timestamp=snapshot.timestamp
        )

    stages = {
        "read": lambda: read_snapshot(connection, vault.deployment, address),
        "naive": naive,
        "value": lambda: value(snapshot),
        "decide": lambda: decide(snapshot, _POLICY),
        "write": write,
    }
    ms = {name: 1e3 * seconds for name, seconds in medians(stages, _RUNS).items()}
    return [
        row(f"snapshot, 6 series (peer: web3.py, {len(values)} values)", ms["read"], "ms", peer=ms["naive"]),
        row("valuation, 6 series", ms["value"], "ms"),
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
        if method == "eth_call" and params[-1] == "pending":
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


def _naive_reader(vault: VaultOnFork) -> Callable[[], dict[str, Any]]:
    """Reads what a snapshot holds, value by value; the contract objects are made once."""
    w3, deployment = vault.w3, vault.deployment
    names = ("Vault", "RiskEngine", "OptionBook", "PriceOracle", "VolOracle")
    contracts = {name: bind(w3, deployment, name) for name in names}
    pool_abi, token_abi, aave_abi = (
        artifact(CORE, "UniswapV3Pool").abi,
        published(_AAVE, "artifacts/contracts/protocol/tokenization/AToken.sol/AToken.json").abi,
        published(_AAVE, "artifacts/contracts/protocol/pool/Pool.sol/Pool.json").abi,
    )
    venues = [
        (w3.eth.contract(address=venue.address, abi=compiled(CONTRACTS[venue.kind]).abi), venue.kind)
        for venue in deployment.venues
    ]

    def read() -> dict[str, Any]:
        block = w3.eth.get_block("latest")["number"]
        values: dict[str, Any] = {"keeper": w3.eth.get_balance(vault.keeper.address, block)}

        def ask(contract: Any, name: str, *args: Any, key: str = "") -> Any:
            answer = contract.functions[name](*args).call(block_identifier=block)
            values[key or name] = answer
            return answer

        for name in ("idle", "owed", "totalSupply", "sequence", "mode", "loss_budget", "budgets", "all_venues"):
            ask(contracts["Vault"], name)
        ask(contracts["Vault"], "assessment")
        ask(contracts["RiskEngine"], "limits")
        ask(contracts["PriceOracle"], "count")
        spot = ask(contracts["PriceOracle"], "read", 0)[0]
        book = ask(contracts["OptionBook"], "live_book")
        for expiry in {Position.from_slot(slot).series.expiry for slot in book}:
            ask(contracts["VolOracle"], "slice_of", 0, expiry, key=f"slice {expiry}")
        for i, (contract, kind) in enumerate(venues):
            usdc, token = ask(contract, "USDC", key=f"{i} usdc"), ask(contract, "TOKEN", key=f"{i} token")
            ask(contract, "state", spot, key=f"{i} state")
            ask(w3.eth.contract(address=token, abi=token_abi), "decimals", key=f"{i} decimals")
            pool = w3.eth.contract(address=ask(contract, "pools", 0, key=f"{i} pool"), abi=pool_abi)
            for name in ("fee", "slot0", "liquidity", "token0"):
                ask(pool, name, key=f"{i} {name}")
            if kind is VenueKind.AAVE_V3_SHORT:
                aave = w3.eth.contract(address=ask(contract, "AAVE", key="aave"), abi=aave_abi)
                collateral = w3.eth.contract(address=ask(contract, "COLLATERAL_TOKEN"), abi=token_abi)
                for name in ("supplied", "HEALTH_FLOOR", "HEALTH_TARGET"):
                    ask(contract, name)
                ask(aave, "getReserveData", token, key="token reserve")
                ask(aave, "getReserveData", usdc, key="usdc reserve")
                ask(aave, "getConfiguration", usdc)
                ask(collateral, "balanceOf", contract.address)
                ask(collateral, "scaledBalanceOf", contract.address)
        return values

    return read
