"""From snapshot, policy and brief to a decision: what the loop runs at a block, and `keel replay` runs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from keeper.domain.decision import Action, Brief, Decision, Rule
from keeper.domain.offer import Offer
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.hedging.decide import decide
from keeper.hedging.unwind import close_hedges

_LEAST_GAS: Final = 21_000  # of any transaction


def brief_of(
    snapshot: Snapshot,
    *,
    unwinding: bool,
    offers: tuple[Offer, ...] = (),
    vega_budget_wad: int = 0,
    last_rebalance: tuple[int, int] | None = None,
) -> Brief:
    """``unwinding`` is whether the operator brings the vault to rest: hedges are closed when no option is left. Each
    of the ``offers`` costs time: `keeper.quoting.offers` says how many there may be."""
    rule = Rule.CLOSE if unwinding and not snapshot.book else Rule.HEDGE
    return Brief(rule, offers, vega_budget_wad, last_rebalance)


def answer(snapshot: Snapshot, policy: Policy, brief: Brief, decide: Callable[..., Decision] = decide) -> Decision:
    """The decision. Pure and deterministic: whatever was decided before changes nothing.

    Raises:
        Exception: deciding failed; `failed` is then the decision.
    """
    if brief.last_rebalance is not None:
        legs, gas = brief.last_rebalance
        policy = replace(policy, rebalance_gas=max(gas - policy.leg_gas * (legs - 1), _LEAST_GAS))
    if brief.rule is Rule.CLOSE:
        return close_hedges(snapshot, policy)
    if brief.offers:
        return decide(snapshot, policy, offers=brief.offers, vega_budget_wad=brief.vega_budget_wad)
    return decide(snapshot, policy)


def failed(snapshot: Snapshot, error: Exception) -> Decision:
    """The decision where `answer` raises: someone should look."""
    reason = f"deciding failed: {type(error).__name__}: {error}"
    return Decision(snapshot.block_number, snapshot.block_hash, Action.REFUSE, reason)


def withheld(decision: Decision, refusal: str) -> Decision:
    """What is recorded of a decision that is not carried out, by order or because the kill switch trips."""
    reason = f"nothing is sent, {refusal}; it would be: {decision.action}: {decision.reason}"
    return replace(decision, action=Action.REFUSE, legs=(), fills=(), reason=reason)
