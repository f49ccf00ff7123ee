"""Builds a chain by its plan: published bytecode at its addresses, wired, seeded and dumped."""

import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from keeper.simulation.anvil import BLOCK_GAS_LIMIT, HARDFORK, Anvil
from keeper.simulation.chain.packages import fetch_packages
from keeper.simulation.chain.placement import LocalChain
from keeper.simulation.chain.plan import HEAD_TIMESTAMP, ChainPlan
from keeper.simulation.chain.protocols import infrastructure, tokens
from keeper.simulation.chain.protocols.aave import Aave, compile_upgrade
from keeper.simulation.chain.protocols.chainlink import Feeds
from keeper.simulation.chain.protocols.uniswap import Uniswap
from keeper.simulation.chain.recorded_pools import with_recording

BASE_FEE: Final = 10**9  # wei

_BLOCK_TIME = 12  # seconds
_BUILD_TIME = 8 * 3600  # seconds of chain time from the first block to the head
_HISTORY_TURNS = 24
_HISTORY_STEP = 600  # seconds
_HISTORY_TRADE = 150_000.0  # USD
_ROUNDS_EVERY = 6  # turns: an hour, the heartbeat of ETH/USD
_KEPT_BLOCKS = 256  # all that BLOCKHASH can see


def build_snapshot(plan: ChainPlan, target: Path) -> None:
    """Build the chain and leave its state in `target`. About 5 s, and 30 s more the first time.

    Raises PackageError, AnvilError, or AnvilRpcError with the reason of a transaction that failed.
    """
    fetch_packages()
    plan = with_recording(plan)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".snapshot-") as folder:
        state = Path(folder) / "state.json"
        with (
            Anvil(
                *("--chain-id", plan.chain_id, "--hardfork", HARDFORK, "--order", "fifo"),
                *("--number", plan.first_block, "--timestamp", HEAD_TIMESTAMP - _BUILD_TIME),
                *("--gas-limit", BLOCK_GAS_LIMIT, "--base-fee", BASE_FEE, "--dump-state", state, "--prune-history"),
            ) as anvil,
            ThreadPoolExecutor(max_workers=1) as pool,
        ):
            upgrade = pool.submit(compile_upgrade)  # in parallel: the slowest part of a first build
            anvil.rpc.call("anvil_setBlockTimestampInterval", _BLOCK_TIME)
            chain = LocalChain(anvil.rpc)
            infrastructure.install(chain)
            tokens.install(chain, plan)
            feeds = Feeds(chain, plan)
            uniswap = Uniswap(chain, plan)
            Aave(chain, plan, upgrade.result)
            uniswap.open_pools()  # last: every block copies the whole state, and recorded pools are most of it
            _make_history(chain, feeds, uniswap)
        _drop_old_blocks(state)
        shutil.move(state, target)


def _make_history(chain: LocalChain, feeds: Feeds, uniswap: Uniswap) -> None:
    """Some trades and rounds, so that the pools' observations and the feeds have a past; then the head."""
    start = HEAD_TIMESTAMP - _HISTORY_TURNS * _HISTORY_STEP
    if chain.time > start:
        raise RuntimeError("building took more chain time than was set aside for it: raise _BUILD_TIME")
    for turn in range(_HISTORY_TURNS):
        chain.mine_at(start + turn * _HISTORY_STEP)
        uniswap.trade(turn, _HISTORY_TRADE)
        if turn % _ROUNDS_EVERY == _ROUNDS_EVERY - 1:
            feeds.refresh()
    chain.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
    chain.mine_at(HEAD_TIMESTAMP)


def _drop_old_blocks(state_file: Path) -> None:
    """Drop what nothing on the chain can see: transactions, and blocks that BLOCKHASH can't reach."""
    state: dict[str, Any] = json.loads(state_file.read_text())
    oldest = state["best_block_number"] - _KEPT_BLOCKS + 1
    state["transactions"] = []
    state["blocks"] = [
        {**block, "transactions": []} for block in state["blocks"] if int(block["header"]["number"], 16) >= oldest
    ]
    state_file.write_text(json.dumps(state, separators=(",", ":")))
