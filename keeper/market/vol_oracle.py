"""What VolOracle holds of one underlying, read at one block: all that a post is judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Answer, Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.snapshot import VolSlice, Window
from keeper.pricing.vol_oracle import Bounds, Held, Oracle

PASTS_SLOT: Final = 12  # of `_pasts` in the contract's storage: there is no view of the volatilities of past days
_SAMPLES: Final = 3  # word of a Past


def read_oracle(connection: Connection, deployment: Deployment, underlying: int, block: Header) -> Oracle:
    """
    Raises:
        SnapshotError, RpcError, RpcUnavailableError: it cannot be read at that block.
    """
    address = deployment.address("VolOracle")

    def ask(batch: Batch, name: str, *args: Any) -> Answer:
        return batch.add("VolOracle", address, function("VolOracle", name), *args)

    first, second = Batch(), Batch()
    bounds, expiries = ask(first, "bounds"), ask(first, "expiries", underlying)
    first.run(connection, block)
    live = sorted(expiry for expiry in expiries.value if expiry > block.timestamp)
    asked = [
        (expiry, ask(second, "posted", underlying, expiry), ask(second, "room", underlying, expiry)) for expiry in live
    ]
    if asked:
        second.run(connection, block)
    held = []
    for expiry, posted, room in asked:
        word = connection.request(
            "eth_getStorageAt", address, hex(samples_slot(underlying, expiry)), {"blockHash": block.hash}
        )
        newest, window = posted.value
        held.append(Held(expiry, replace(VolSlice(*newest), window=Window(*window)), int(word, 16), *room.value))
    return Oracle(Bounds(*bounds.value), tuple(held))


def samples_slot(underlying: int, expiry: int) -> int:
    """Where the contract keeps the daily volatilities of a slice: Vyper hashes a mapping's place and key."""
    place = PASTS_SLOT
    for key in (underlying, expiry):
        place = int.from_bytes(keccak(place.to_bytes(32) + key.to_bytes(32)))
    return place + _SAMPLES
