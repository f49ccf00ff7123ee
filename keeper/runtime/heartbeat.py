"""The dead-man switch: the keeper shows the Hedger that it lives. It counts only while every limit holds.

Each rebalance that leaves every limit in its place shows it, too: the duty is for the quiet hours between them. The
contract computes the whole margin for it, 1.2 to 1.7 million gas, so that it is due as seldom as the Hedger's patience
of 30 minutes allows, and not at all while gas is dear: the keeper has 15 minutes from a breach's beginning anyway.
"""

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

EVERY: Final = 1_200  # seconds
MAX_BASE_FEE: Final = 5 * 10**9  # wei: beyond it a day of them costs more than half an ether


def heartbeat(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duty after `block`: none while the last heartbeat is young, a limit is in breach, or gas is dear.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    if block.base_fee > MAX_BASE_FEE:
        return
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
