"""Bringing a vault to rest: with no option left, every hedge is closed, a part at each block."""

from __future__ import annotations

from collections.abc import Sequence

from keeper.domain.decision import Action, Decision, DeltaChange, Leg
from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot, Venue
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.hedging.decide import instruments_of
from keeper.risk.valuation import margin_mismatch, value
from keeper.venues.instrument import Instrument

_UNIT = 10**12  # trades are rounded to 1e-6 units
_SHY = 0.999  # of the slippage that the contracts allow: prices move before a transaction is mined


def close_hedges(snapshot: Snapshot, policy: Policy) -> Decision:
    """Close what the vault's venues hold, each through one pool, and all by the same part, so that net delta only
    shrinks.

    The part is what the policy's share of the loss budget pays for, if every leg lost all that the contracts allow, and
    what every one of these pools takes within that.

    Raises:
        KeelError: an option is held, which a hedge may stand against.
        ValuationError: the book cannot be valued.
        VenueError: a venue was read without its lending data.
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
    if gross < policy.min_trade:
        return _plain(snapshot, Action.HOLD, "unwinding: no option is left, and no hedge that is worth its gas")
    slippage = snapshot.vault.budgets.leg_slippage / WAD * _SHY
    nav = max(snapshot.assessment.nav_bid, 0) / WAD
    paid_for = min(1.0, policy.max_loss_use * snapshot.vault.loss_budget / WAD * nav / (slippage * gross))
    instruments = instruments_of(snapshot)
    ways = [_best_pool(venue, instruments) for venue in held]
    part = min(paid_for, *(taken for taken, _ in ways))
    legs = []
    for venue, (_, pool) in zip(held, ways, strict=True):
        change = -int(venue.state.exposure * part) if part < 1 else -venue.state.exposure
        limit = int(spots[venue.state.underlying] * (1 + slippage if change > 0 else 1 - slippage) * WAD)
        legs.append(Leg(venue.index, pool, change, limit))
    if part * gross < policy.min_trade:
        what = (
            "the loss budget to refill" if part == paid_for else "a pool that takes enough at a price that is allowed"
        )
        return _plain(snapshot, Action.HOLD, f"unwinding: waits for {what}")
    names = sorted({UNDERLYINGS[venue.state.underlying] for venue in held})
    reason = f"unwinding: {part:.0%} of every hedge in {' and '.join(names)} is closed, {part * gross:,.0f} USDC"
    band = nav * snapshot.limits.delta_target / WAD
    deltas = tuple(
        DeltaChange(u, delta / WAD, delta / WAD * (1 - part), band / spot if spot else 0.0)
        for u, (delta, spot) in enumerate(zip(snapshot.assessment.delta, spots, strict=False))
    )
    return Decision(snapshot.block_number, snapshot.block_hash, Action.TRADE, reason, tuple(legs), deltas)


def _best_pool(venue: Venue, instruments: Sequence[Instrument]) -> tuple[float, int]:
    """The part of a venue's exposure that one of its pools takes, and the pool: the deepest, of equals the cheapest."""
    exposure = venue.state.exposure / WAD
    units = abs(exposure)
    ways = [(one.sell if exposure > 0 else one.buy, one.pool) for one in instruments if one.venue == venue.index]
    parts = [(min(1.0, side.capacity / units), -side.fee - side.impact * units, pool) for side, pool in ways]
    part, _, pool = max(parts, default=(0.0, 0.0, 0))
    return part, pool


def _plain(snapshot: Snapshot, action: Action, reason: str) -> Decision:
    return Decision(snapshot.block_number, snapshot.block_hash, action, reason)
