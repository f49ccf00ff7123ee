"""The kill switch: pure, and closed where it cannot tell.

What comes with the market (drawdown, margin, an oracle in doubt, a loss budget that a crash has used up) stops quotes
and lets the keeper hedge: the contracts bound what that costs. What says that the keeper itself is wrong pauses it, and
then the contracts' dead-man switch takes over.
"""

from __future__ import annotations

from typing import Final

from keeper.domain.safety import Cause, KillLevels, Order, Trip, Vitals

# Stops new business on chain too, where a guardian's key is configured: only the governor ends that, after 48 hours.
ON_CHAIN: Final = frozenset({Cause.DRAWDOWN, Cause.MARGIN, Cause.VALUATION})


def trips(vitals: Vitals, levels: KillLevels, margin_tolerance: float) -> tuple[Trip, ...]:
    """What is beyond its level; a NaN is beyond every level.

    Args:
        margin_tolerance: Largest difference of the keeper's margin from the chain's, per unit of notional.
    """
    found = []

    def stop(cause: Cause, order: Order, reason: str, lasts: bool = True) -> None:
        found.append(Trip(cause, order, reason, lasts))

    # Each asks for what is well and stops otherwise: that is what a NaN falls through to.
    if vitals.drawdown is not None and not vitals.drawdown <= levels.max_drawdown:
        fall = f"the share price is {vitals.drawdown:.2%} below its highest, {levels.max_drawdown:.2%} are allowed"
        stop(Cause.DRAWDOWN, Order.STOP_QUOTES, fall)
    if not vitals.margin_use <= levels.max_margin_use:
        use = f"initial margin is {vitals.margin_use:.1%} of NAV at bid, {levels.max_margin_use:.1%} are allowed"
        stop(Cause.MARGIN, Order.STOP_QUOTES, use)
    if not vitals.doubt_seconds <= levels.max_doubt_seconds:
        doubt = f"an oracle has been in doubt for {vitals.doubt_seconds} s, {levels.max_doubt_seconds} s are allowed"
        stop(Cause.ORACLE, Order.STOP_QUOTES, doubt)
    if not vitals.mismatch <= margin_tolerance:
        differ = f"keeper and chain disagree by {vitals.mismatch:.1e} of notional, {margin_tolerance:.0e} is allowed"
        is_long = not vitals.mismatch_seconds <= levels.max_mismatch_seconds
        stop(Cause.VALUATION, Order.PAUSE, differ, is_long)
    if not vitals.loss_budget >= levels.min_loss_budget:
        left = f"{vitals.loss_budget:.1%} of the loss budget are left, {levels.min_loss_budget:.1%} must be"
        stop(Cause.LOSSES, Order.STOP_QUOTES, left)
    if not vitals.gas_a_day <= levels.max_gas_a_day:
        allowed = f"{levels.max_gas_a_day:g} are allowed"
        spent = f"{vitals.gas_a_day:.4f} ether have left the keeper's account in a day, {allowed}"
        stop(Cause.GAS, Order.PAUSE, spent)
    if not vitals.errors <= levels.max_errors:
        stop(Cause.ERRORS, Order.PAUSE, f"{vitals.errors} errors in an hour, {levels.max_errors} are allowed")
    return tuple(found)
