"""The dead-man switch: the keeper shows the Hedger that it lives. It counts only while every limit holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.times import utc_minute
from keeper.execution.records import Call, Kind
from keeper.runtime.settlement import Duty

EVERY: Final = 600  # seconds; a keeper that was silent for 15 minutes when a breach begins gets less time to mend it


def heartbeat(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duty in the state after `block`: none while the last heartbeat is young, or a limit is in breach: a rebalance
    that mends it is a heartbeat, too.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    batch, hedger = Batch(), deployment.address("Hedger")
    beat_at = batch.add("Hedger", hedger, function("Hedger", "heartbeat_at"))
    batch.run(connection, block)
    if block.timestamp < beat_at.value + EVERY:
        return  # without asking for more: the limits take the whole margin, at every block
    second = Batch()
    holds = second.add("Hedger", hedger, function("Hedger", "limits_hold"), optional=True)  # not with a stale oracle
    second.run(connection, block)
    if not holds.value:
        return
    reason = f"show that the keeper lives: the last heartbeat was {utc_minute(beat_at.value)} UTC"
    call = Call("heartbeat", hedger, function("Hedger", "heartbeat").encode())
    yield Duty(Kind.HEARTBEAT, "heartbeat", Action.TRADE, reason, call)
