"""What a call would do in the next block, found out before anything is signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from keeper.chain.abi import function, revert_reason
from keeper.chain.gas import GAS_CAP, gas_limit, gas_limit_after
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Decision
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Assessment, Snapshot
from keeper.domain.units import WAD
from keeper.errors import RpcError
from keeper.execution.records import Call

BLOCK_TIME: Final = 12  # seconds
_NO_SUCH_METHOD: Final = -32601
_DELTA_TOLERANCE: Final = 0.5  # of the band, between the delta that was planned and that of the simulation
_COST_TOLERANCE: Final = 2.0  # times the planned costs: by so much a margin that is short may become shorter


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``gas`` is a limit that the call succeeds with; ``refusal`` is why it would not, or empty.

    ``after`` is the vault's assessment behind it, where it was asked for and the node can tell.
    """

    gas: int = 0
    refusal: str = ""
    after: Assessment | None = None


def rehearse(connection: Connection, sender: str, call: Call, head: Header, vault: str = "") -> Rehearsal:
    """The call from ``sender`` on top of ``head``, a block's time later; what waits in the mempool does not count.

    Args:
        vault: Is assessed behind the call; nothing is where it is empty.

    Raises:
        RpcUnavailableError: no answer.
    """
    try:
        called, after = _simulate(connection, sender, call, head, GAS_CAP, vault)
        if not _succeeds(called):
            return Rehearsal(refusal=revert_reason(_data(called)))
        gas = gas_limit_after(int(called["gasUsed"], 16))
        within_limit, _ = _simulate(connection, sender, call, head, gas, "")
        if not _succeeds(within_limit):  # some contracts want more left over than they use
            gas = _estimate(connection, sender, call, "latest")
        return Rehearsal(gas, after=after)
    except RpcError as error:
        if error.code != _NO_SUCH_METHOD:
            return Rehearsal(refusal=reason_of(error))
    return _without_simulation(connection, sender, call)


def _simulate(
    connection: Connection, sender: str, call: Call, head: Header, gas: int, vault: str
) -> tuple[dict[str, Any], Assessment | None]:
    calls = [_as_params(sender, call) | {"gas": hex(gas)}]
    assess = function("Vault", "assessment")
    if vault:
        calls.append({"from": sender, "to": vault, "data": "0x" + assess.encode().hex(), "gas": hex(GAS_CAP)})
    # At the time of the next block: that of the head itself is over.
    block = {"blockOverrides": {"time": hex(head.timestamp + BLOCK_TIME)}, "calls": calls}
    results = connection.request("eth_simulateV1", {"blockStateCalls": [block]}, hex(head.number))[0]["calls"]
    is_assessed = len(results) > 1 and _succeeds(results[0]) and _succeeds(results[1])
    return results[0], Assessment(*assess.decode(_data(results[1]))) if is_assessed else None


def _without_simulation(connection: Connection, sender: str, call: Call) -> Rehearsal:
    """By a node that does not have `eth_simulateV1`: what the call leaves behind is not seen."""
    try:
        connection.request("eth_call", _as_params(sender, call), "pending")
        return Rehearsal(_estimate(connection, sender, call, "pending"))
    except RpcError as error:
        return Rehearsal(refusal=reason_of(error))


def _estimate(connection: Connection, sender: str, call: Call, block: str) -> int:
    return gas_limit(int(connection.request("eth_estimateGas", _as_params(sender, call), block), 16))


def _as_params(sender: str, call: Call) -> dict[str, str]:
    return {"from": sender, "to": call.target, "data": "0x" + call.data.hex()}


def _succeeds(result: dict[str, Any]) -> bool:
    return int(result["status"], 16) == 1


def _data(result: dict[str, Any]) -> bytes:
    return bytes.fromhex(result["returnData"].removeprefix("0x"))


def reason_of(error: RpcError) -> str:
    """The contract's reason if there is one, else the node's."""
    if len(error.data) > 2:
        return revert_reason(bytes.fromhex(error.data.removeprefix("0x")))
    return error.message


def objection(decision: Decision, before: Snapshot, after: Assessment) -> str:
    """Why a rebalance does not do what was decided, or nothing.

    Every delta must come to where it was planned, within half the band; initial margin and gap solvency must hold, or
    not be shorter than they were by more than the costs.
    """
    for change in decision.deltas:
        delta = after.delta[change.underlying] / WAD
        if not abs(delta - change.after) <= _DELTA_TOLERANCE * change.band:
            name = UNDERLYINGS[change.underlying]
            return f"{name} delta would come to {delta:+.3f}, {change.after:+.3f} was planned"
    was, room = before.assessment, int(_COST_TOLERANCE * decision.costs.total * WAD)
    for name, short, was_short in (
        ("initial margin", after.initial - after.nav_bid, was.initial - was.nav_bid),
        ("gap solvency", -after.gap_headroom, -was.gap_headroom),
    ):
        if short > (was_short + room if was_short > 0 else 0):
            return f"{name} would be short by {short / WAD:,.2f} USDC"
    return ""
