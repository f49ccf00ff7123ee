"""Bringing a vault to rest: with no option left, every hedge is closed, a part at each block."""

from __future__ import annotations

from keeper.domain.decision import Action, Decision, DeltaChange, Leg
from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.risk.valuation import margin_mismatch, value

_UNIT = 10**12  # trades are rounded to 1e-6 units
_SHY = 0.999  # of the slippage that the contracts allow: prices move before a transaction is mined


def close_hedges(snapshot: Snapshot, policy: Policy) -> Decision:
    """Close what the vault's venues hold, all by the same part, so that net delta only shrinks.

    The part is what the policy's share of the loss budget pays for, if every leg lost all that the contracts allow.

    Raises:
        KeelError: an option is held, which a hedge may stand against.
        ValuationError: the book cannot be valued.
    """
    if snapshot.book:
        raise KeelError("The vault has options: its hedges stay until they are settled.", kept="Nothing was sent.")
    mismatch = margin_mismatch(value(snapshot), snapshot)
    if not mismatch <= policy.margin_tolerance:
        return _plain(snapshot, Action.REFUSE, f"keeper and chain disagree by {mismatch:.1e} of notional")
    held = [venue for venue in snapshot.venues if venue.pools and abs(venue.state.exposure) >= _UNIT]
    if not held:
        return _plain(snapshot, Action.HOLD, "unwinding: no option and no hedge is left")
    spots = [reading.price_wad / WAD for reading in snapshot.readings]
    gross = sum(abs(venue.state.exposure) / WAD * spots[venue.state.underlying] for venue in held)
    slippage = snapshot.vault.budgets.leg_slippage / WAD * _SHY
    budget = policy.max_loss_use * snapshot.vault.loss_budget / WAD * max(snapshot.assessment.nav_bid, 0) / WAD
    part = min(1.0, budget / (slippage * gross))
    legs = []
    for venue in held:
        change = -int(venue.state.exposure * part) if part < 1 else -venue.state.exposure
        limit = int(spots[venue.state.underlying] * (1 + slippage if change > 0 else 1 - slippage) * WAD)
        legs.append(Leg(venue.index, 0, change, limit))
    if not any(legs) or part * gross < policy.min_trade:
        return _plain(snapshot, Action.HOLD, "unwinding: waits for the loss budget to refill")
    names = sorted({UNDERLYINGS[venue.state.underlying] for venue in held})
    reason = f"unwinding: {part:.0%} of every hedge in {' and '.join(names)} is closed, {part * gross:,.0f} USDC"
    deltas = tuple(
        DeltaChange(u, delta / WAD, delta / WAD * (1 - part), 0.0)
        for u, delta in enumerate(snapshot.assessment.delta[: len(spots)])
    )
    return Decision(snapshot.block_number, snapshot.block_hash, Action.TRADE, reason, tuple(legs), deltas)


def _plain(snapshot: Snapshot, action: Action, reason: str) -> Decision:
    return Decision(snapshot.block_number, snapshot.block_hash, action, reason)
