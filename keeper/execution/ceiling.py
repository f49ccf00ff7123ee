"""What a transaction may cost: a hedge's no more than what is at risk without it."""

from __future__ import annotations

import math
from typing import Final

from keeper.domain.decision import Decision
from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.execution.records import FEE_FLOOR, Kind

_QUANTILE: Final = 1.645  # of the normal distribution at 95 %
_ETHER: Final = UNDERLYINGS.index("ETH")  # what gas is paid in
_OWED: Final = 25 * 10**16  # wei: enough for each of them at a base fee of 100 gwei
_POST: Final = 2 * 10**16  # wei: 78 gwei for a slice; the surface may be two hours old before it stops business


def duty_ceiling(kind: Kind) -> int:
    """Wei, of what is no hedge: more for what people wait for, as a settlement, a payout or an exit, and for the kill
    switch, than for what can wait itself. docs/operate.md has a table of them."""
    if kind is Kind.POST:
        return _POST
    return _OWED if kind in (Kind.SETTLE, Kind.FUND, Kind.REDEEM, Kind.STOP) else FEE_FLOOR


def fee_ceiling(decision: Decision, policy: Policy, snapshot: Snapshot) -> int:
    """Wei: what the delta that the decision takes away may lose (95 %) until a spike of fees is over, at the policy's
    volatility and over its horizon of a day; what the decision is worth to the objective, or `FEE_FLOOR`, where these
    are more.

    Never more than the account has: nodes take no transaction that it could not pay, and one at lower fees they do.

    It counts as taking away half a target band at least: a trade that takes less mends a limit, as collateral does, or
    has been found worth its gas. Losses of the underlyings are added up, as if they always came together.
    """
    prices = [reading.price_wad / WAD for reading in snapshot.readings]
    if not prices[_ETHER] > 0:
        return min(FEE_FLOOR, snapshot.keeper_balance_wei)
    taken = sum(
        max(abs(change.before) - abs(change.after), policy.band_use * change.band) * prices[change.underlying]
        for change in decision.deltas
    )
    at_risk = _QUANTILE * taken * policy.default_vol * math.sqrt(policy.risk_horizon_days / 365.0)
    worth = max(at_risk, decision.risk_before - decision.risk_after)
    return min(max(FEE_FLOOR, int(worth / prices[_ETHER] * WAD)), snapshot.keeper_balance_wei)
