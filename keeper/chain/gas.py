"""Gas of a transaction, the same for people's and the keeper's: its limit and what is bid for it."""

from __future__ import annotations

from typing import Final

from keeper.chain.rpc import Connection
from keeper.errors import RpcError, RpcUnavailableError

GAS_CAP: Final = 16_777_216  # of one transaction since Osaka (EIP-7825)
_MARGIN: Final = 1.25  # over the estimate: state may move between estimate and inclusion
_BASE_FEE_ROOM: Final = 2  # the base fee can double in six full blocks
_PRIORITY_FEE: Final = 10**9  # wei, at least
_MOST_PRIORITY_FEE: Final = 10 * 10**9  # wei: all of it is paid, and one node alone suggests it
_REPLACEMENT: Final = (9, 8)  # nodes take a replacement from 10 % more on, some from 12.5 %
_SIMULATED_MARGIN: Final = 1.6  # over what a simulation used: refunds, and the 64th part that calls keep back


def gas_limit(estimate: int) -> int:
    """Gas limit for an estimate."""
    return min(int(estimate * _MARGIN), GAS_CAP)


def bids(base_fee: int, priority_fee: int = _PRIORITY_FEE) -> tuple[int, int]:
    """Most per gas in all and for the proposer at a base fee, all in wei (EIP-1559)."""
    return _BASE_FEE_ROOM * base_fee + priority_fee, priority_fee


def suggested_priority_fee(connection: Connection) -> int:
    """What a node suggests for the proposer by the newest blocks, wei per gas, within bounds; the least where it does
    not say, or not in a way that can be read: no transaction waits for that."""
    try:
        suggested = int(connection.request("eth_maxPriorityFeePerGas"), 16)
    except (RpcError, RpcUnavailableError):
        return _PRIORITY_FEE
    return min(max(suggested, _PRIORITY_FEE), _MOST_PRIORITY_FEE)


def gas_limit_after(used: int) -> int:
    """Gas limit for what a simulation used, refunds taken off."""
    return min(int(used * _SIMULATED_MARGIN), GAS_CAP)


def fees(
    base_fee: int,
    gas: int,
    ceiling: int,
    replaced: tuple[int, int] | None = None,
    suggested: int = _PRIORITY_FEE,
) -> tuple[int, int] | None:
    """As `bids`, with the most per gas cut down to a ceiling on the whole transaction, wei.

    Args:
        gas: Its limit.
        replaced: Most per gas and for the proposer of the transaction with the same nonce that a node may have.
        suggested: For the proposer, as far as the ceiling leaves room for it.

    None when what would be mined at this base fee, and taken in place of what it replaces, costs more than the ceiling.
    """
    max_fee, priority = (_more(fee) for fee in replaced or (0, 0))
    priority = max(priority, _PRIORITY_FEE)
    least, most = max(max_fee, base_fee + priority), ceiling // gas
    if least > most:
        return None
    bid, priority = bids(base_fee, max(priority, min(suggested, most - base_fee)))
    return min(max(bid, least), most), priority


def _more(fee: int) -> int:
    more, of = _REPLACEMENT
    return -(-fee * more // of)
