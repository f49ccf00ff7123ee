"""Forks to test on: anvil over the mainnet snapshot, or over a true mainnet node when one is configured.

`KEEL_MAINNET_RPC` is the node's URL, `KEEL_MAINNET_BLOCK` the block to fork. `KEEL_UPSTREAM` is set by
whoever already serves an upstream (tests/conftest.py does), and is used as it is.
"""

import functools
import gzip
import os
import tempfile
from types import TracebackType
from typing import TYPE_CHECKING, Self

from keeper.errors import ConfigError, RpcUnavailableError
from keeper.simulation.anvil import BLOCK_GAS_LIMIT, HARDFORK, PRUNE_HISTORY, Anvil, AnvilError
from keeper.simulation.chain.mainnet import mainnet
from keeper.simulation.chain.plan import HEAD_TIMESTAMP, ChainPlan
from keeper.simulation.chain.snapshot import ensure_snapshot
from keeper.simulation.rpc import Rpc

if TYPE_CHECKING:
    from web3 import Web3

DEFAULT_MAINNET_BLOCK = 26_450_000  # mainnet's block at about the time of the snapshot's head


def start_upstream() -> Anvil:
    """An anvil that forks can stand on: mainnet at the configured block, else the snapshot.

    A true mainnet is served through an anvil too, so that every fork of it shares the block and the cache.
    Raises ConfigError when the block is no number or has no node, RpcUnavailableError when the node can't be forked;
    AnvilError, PackageError and others while building the snapshot.
    """
    node = os.environ.get("KEEL_MAINNET_RPC")
    block = _mainnet_block(node)
    if node:
        try:
            return Anvil("--fork-url", node, "--fork-block-number", block, "--hardfork", HARDFORK)
        except AnvilError as error:
            raise _unusable("KEEL_MAINNET_RPC", error) from None
    return start_snapshot(mainnet())


def start_snapshot(plan: ChainPlan) -> Anvil:
    """An anvil that serves a chain's snapshot, built first if need be."""
    # Without --timestamp the first new block would jump to the wall clock. No --number: ape asks for block 0.
    return Anvil(
        *("--chain-id", plan.chain_id, "--load-state", ensure_snapshot(plan), "--timestamp", HEAD_TIMESTAMP),
        *("--hardfork", HARDFORK, "--gas-limit", BLOCK_GAS_LIMIT),
    )


def _mainnet_block(node: str | None) -> int:
    given = os.environ.get("KEEL_MAINNET_BLOCK")
    if given and not node:
        raise ConfigError(
            f"KEEL_MAINNET_BLOCK is {given!r}, but KEEL_MAINNET_RPC names no node that has that block.",
            kept="Nothing was started.",
            todo="Set KEEL_MAINNET_RPC too, or unset KEEL_MAINNET_BLOCK to use the mainnet snapshot.",
        )
    text = given or str(DEFAULT_MAINNET_BLOCK)
    if not text.isdecimal():
        raise ConfigError(
            f"KEEL_MAINNET_BLOCK is {text!r}, not a block number.",
            kept="Nothing was started.",
            todo=f"Set it to a number, or unset it for {DEFAULT_MAINNET_BLOCK}.",
        )
    return int(text)


def _unusable(variable: str, error: AnvilError) -> RpcUnavailableError:
    return RpcUnavailableError(
        f"The node of {variable} cannot be forked: {error.what}",
        kept="Nothing was started.",
        todo=f"Check that it answers and has the block, or unset {variable} to use the mainnet snapshot.",
    )


class Fork:
    """A private fork of mainnet, running inside a `with` block.

        with Fork() as fork:
            market = MarketDriver(fork.w3)

    `upstream` is the URL to fork; by default `KEEL_UPSTREAM`, else one is started and ended with the fork. `state`
    is what `dump_state` of an earlier fork of the same upstream gave: the fork goes on from there.
    """

    def __init__(self, upstream: str | None = None, state: bytes | None = None) -> None:
        self._state = state
        self._upstream_url = upstream or os.environ.get("KEEL_UPSTREAM")
        self._upstream: Anvil | None = None
        self._anvil: Anvil | None = None

    def start(self) -> Self:
        """Start it; for callers that can't use `with`. `stop()` ends it."""
        if self._upstream_url is None:
            self._upstream = start_upstream()
            self._upstream_url = self._upstream.url
        try:
            with tempfile.NamedTemporaryFile(suffix=".json") as file:
                if self._state is not None:
                    file.write(gzip.decompress(self._state))
                    file.flush()
                self._anvil = Anvil(
                    *("--fork-url", self._upstream_url, "--no-storage-caching", "--chain-id", 1),
                    *("--hardfork", HARDFORK, "--enable-tx-gas-limit", "--gas-limit", BLOCK_GAS_LIMIT),
                    *("--prune-history", PRUNE_HISTORY),
                    *(() if self._state is None else ("--load-state", file.name)),
                )
        except BaseException as error:
            self.stop()
            if isinstance(error, AnvilError) and self._upstream is None:
                raise _unusable("KEEL_UPSTREAM", error) from None
            raise
        return self

    def stop(self) -> None:
        """End the fork, and the upstream if it was started here."""
        for process in (self._anvil, self._upstream):
            if process is not None:
                process.stop()

    def dump_state(self) -> bytes:
        """What this fork adds to its upstream."""
        return bytes.fromhex(str(self.rpc.call("anvil_dumpState")).removeprefix("0x"))

    def upstream_hash(self) -> str:
        """Hash of the newest block of what is forked, which stands still."""
        rpc = Rpc(str(self._upstream_url))
        try:
            return str(rpc.call("eth_getBlockByNumber", "latest", False)["hash"])
        finally:
            rpc.close()

    def _running(self) -> Anvil:
        if self._anvil is None:
            raise RuntimeError("the fork is not running: use `with Fork() as fork:`, or start() first")
        return self._anvil

    @property
    def url(self) -> str:
        return self._running().url

    @property
    def rpc(self) -> Rpc:
        """Fast raw JSON-RPC to it."""
        return self._running().rpc

    @functools.cached_property
    def w3(self) -> "Web3":
        return self._running().w3

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
