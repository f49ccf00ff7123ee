"""Gas of a transaction, the same for people's and the keeper's: its limit and what is bid for it."""

from __future__ import annotations

from typing import Final

GAS_CAP: Final = 16_777_216  # of one transaction since Osaka (EIP-7825)
_MARGIN: Final = 1.25  # over the estimate: state may move between estimate and inclusion
_BASE_FEE_ROOM: Final = 2  # the base fee can double in six full blocks
_PRIORITY_FEE: Final = 10**9  # wei


def gas_limit(estimate: int) -> int:
    """Gas limit for an estimate."""
    return min(int(estimate * _MARGIN), GAS_CAP)


def bids(base_fee: int) -> tuple[int, int]:
    """Most per gas in all and for the proposer at a base fee, all in wei (EIP-1559)."""
    return _BASE_FEE_ROOM * base_fee + _PRIORITY_FEE, _PRIORITY_FEE
