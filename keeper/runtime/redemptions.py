"""The redemption queue is due: its epoch has closed and somebody waits. Anyone may settle it; the keeper does."""

from __future__ import annotations

from collections.abc import Iterator

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.times import utc_minute
from keeper.domain.units import WAD
from keeper.execution.records import Call, Kind
from keeper.runtime.settlement import Duty


def redemptions(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duty in the state after `block`: none until the epoch that is settled next has closed.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    batch, queue = Batch(), deployment.address("RedemptionQueue")
    settlement = batch.add("RedemptionQueue", queue, function("RedemptionQueue", "next_settlement"))
    can_settle = batch.add("RedemptionQueue", queue, function("RedemptionQueue", "can_settle"))
    batch.run(connection, block)

    epoch, closes_at, joins, shares = settlement.value
    if not (joins or shares) or block.timestamp < closes_at:
        return
    subject = f"redemptions of epoch {epoch}"
    waits = f"{shares / WAD:,.2f} shares, closed {utc_minute(closes_at)} UTC"
    if not can_settle.value:
        wants = "a newer round of every feed, the settlement of what has expired, or cash"
        yield Duty(Kind.REDEEM, subject, Action.HOLD, f"{subject} ({waits}) wait for {wants}")
        return
    call = Call(f"settle {subject}", queue, function("RedemptionQueue", "settle_epoch").encode())
    yield Duty(Kind.REDEEM, subject, Action.TRADE, f"settle {subject} ({waits})", call)
