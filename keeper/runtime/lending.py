"""Idle USDC earns: what is beyond a comfortable buffer is lent, and recalled before the buffer is used up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keeper.chain.abi import function, signature
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import MAX_UINT256, USDC, WAD, WAD_PER_USDC_UNIT
from keeper.execution.records import Call, Kind
from keeper.runtime.settlement import Duty
from keeper.venues.aave_v3 import supply_room

# Multiples of the buffer that the Hedger enforces. Far apart, so that a few exits or hedges move nothing.
RECALL_BELOW: Final = 1.0
KEPT: Final = 1.5
LEND_ABOVE: Final = 2.0
LEAST: Final = 10_000 * USDC  # at a few per cent a year, what an hour of gas is worth in a month
LEAST_AT_REST: Final = 100 * USDC
MAX_BASE_FEE: Final = (
    5 * 10**9
)  # wei: a transaction of 1.3 million gas, and later the way back, for a few days' interest

_CONFIGURATION: Final = signature("getConfiguration(address)(uint256)")
_TOTAL_SUPPLY: Final = signature("totalSupply()(uint256)")


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
    aave, usdc, collateral = (
        batch.add("AaveV3Lending", venues[0].address, function("AaveV3Lending", name))
        for name in ("AAVE", "USDC", "COLLATERAL_TOKEN")
    )
    batch.run(connection, block)
    if assessment.value is None or withdrawable.value is None:
        return
    second = Batch()
    asked = function("RiskEngine", "liquidity_buffer")
    buffer = second.add("RiskEngine", risk, asked, book.value, assessment.value)
    configuration = second.add("Aave pool", aave.value, _CONFIGURATION, usdc.value)
    supplied = second.add("aToken", collateral.value, _TOTAL_SUPPLY)
    second.run(connection, block)

    room = supply_room(configuration.value, supplied.value, USDC)
    change = change_of(idle.value - owed.value, buffer.value // WAD_PER_USDC_UNIT, withdrawable.value, room)
    if change == 0:
        return
    hedger, name = deployment.address("Hedger"), "lend" if change > 0 else "recall"
    reason = (
        f"{name} {abs(change) / USDC:,.0f} USDC: {(idle.value - owed.value) / USDC:,.0f} are idle,"
        f" the buffer is {buffer.value / WAD:,.0f}" + (", and Aave takes no more" if change == room else "")
    )
    call = Call(f"{name} {abs(change) / USDC:,.0f} USDC", hedger, function("Hedger", name).encode(abs(change)))
    yield Duty(Kind.LEND, "idle USDC", Action.TRADE, reason, call)


def recalling(connection: Connection, deployment: Deployment, block: Header) -> Iterator[Duty]:
    """The duty of a vault that is brought to rest: recall all that Aave pays out. Dust stays: it is not worth its gas.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    venues = [venue for venue in deployment.venues if venue.kind is VenueKind.AAVE_V3_LENDING]
    if not venues:
        return
    batch, view = Batch(), function("AaveV3Lending", "withdrawable")
    withdrawable = batch.add("AaveV3Lending", venues[0].address, view, optional=True)
    batch.run(connection, block)
    amount = withdrawable.value or 0
    if amount < LEAST_AT_REST:
        return
    words = f"recall {amount / USDC:,.0f} USDC"
    call = Call(words, deployment.address("Hedger"), function("Hedger", "recall").encode(amount))
    yield Duty(Kind.LEND, "idle USDC", Action.TRADE, f"{words}: the vault is brought to rest", call)


def change_of(free: int, buffer: int, withdrawable: int, room: int = MAX_UINT256) -> int:
    """USDC to lend (+) or to recall (-), smallest units, of what is idle and not owed; 0 when it stays as it is.

    Args:
        withdrawable, room: What Aave pays out and takes.
    """
    if free > LEND_ABOVE * buffer:
        change = min(free - int(KEPT * buffer), room)
    elif free < RECALL_BELOW * buffer:
        change = -min(int(KEPT * buffer) - free, withdrawable)
    else:
        return 0
    return change if abs(change) >= LEAST else 0
