"""Idle USDC earns: what is beyond a comfortable buffer is lent, and recalled before the buffer is used up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import USDC, WAD, WAD_PER_USDC_UNIT
from keeper.execution.records import Call, Kind
from keeper.runtime.settlement import Duty

# Multiples of the buffer that the Hedger enforces. Far apart, so that a few exits or hedges move nothing.
RECALL_BELOW: Final = 1.0
KEPT: Final = 1.5
LEND_ABOVE: Final = 2.0
LEAST: Final = 10_000 * USDC  # at a few per cent a year, what an hour of gas is worth in a month
MAX_BASE_FEE: Final = (
    5 * 10**9
)  # wei: a transaction of 1.3 million gas, and later the way back, for a few days' interest


def lending(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duty in the state after `block`: none without a lending venue, while NAV cannot be computed, or while it is
    not worth its gas.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    venues = [venue for venue in deployment.venues if venue.kind is VenueKind.AAVE_V3_LENDING]
    if not venues or block.base_fee > MAX_BASE_FEE:
        return
    batch, vault, risk = Batch(), deployment.address("Vault"), deployment.address("RiskEngine")
    idle = batch.add("Vault", vault, function("Vault", "idle"))
    owed = batch.add("Vault", vault, function("Vault", "owed"))
    assessment = batch.add("Vault", vault, function("Vault", "assessment"), optional=True)
    book = batch.add("OptionBook", deployment.address("OptionBook"), function("OptionBook", "live_book"))
    lent = function("AaveV3Lending", "withdrawable")
    withdrawable = batch.add("AaveV3Lending", venues[0].address, lent, optional=True)
    batch.run(connection, block)
    if assessment.value is None or withdrawable.value is None:
        return
    second = Batch()
    asked = function("RiskEngine", "liquidity_buffer")
    buffer = second.add("RiskEngine", risk, asked, book.value, assessment.value)
    second.run(connection, block)

    change = change_of(idle.value - owed.value, buffer.value // WAD_PER_USDC_UNIT, withdrawable.value)
    if change == 0:
        return
    hedger, name = deployment.address("Hedger"), "lend" if change > 0 else "recall"
    reason = (
        f"{name} {abs(change) / USDC:,.0f} USDC: {(idle.value - owed.value) / USDC:,.0f} are idle,"
        f" the buffer is {buffer.value / WAD:,.0f}"
    )
    call = Call(f"{name} {abs(change) / USDC:,.0f} USDC", hedger, function("Hedger", name).encode(abs(change)))
    yield Duty(Kind.LEND, "idle USDC", Action.TRADE, reason, call)


def change_of(free: int, buffer: int, withdrawable: int) -> int:
    """USDC to lend (+) or to recall (-), smallest units, of what is idle and not owed; 0 when it stays as it is."""
    if free > LEND_ABOVE * buffer:
        change = free - int(KEPT * buffer)
    elif free < RECALL_BELOW * buffer:
        change = -min(int(KEPT * buffer) - free, withdrawable)
    else:
        return 0
    return change if abs(change) >= LEAST else 0
