"""What anyone may do when a limit is in breach and the keeper does nothing."""

from __future__ import annotations

from random import Random

from tests.contracts.chain import HOUR, WAD
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.underlyings import Underlying
from tests.stateful.protocol.world import World

_PATIENCE = 1_800  # seconds
_NO_BOUND = 2**255


def _is_known(world: World) -> bool:
    a = world.books.assessment
    return a is not None and not a.unfixed and not a.venue_failed and world.books.accounts.supply > 0


class Rescuers(World):
    @rule(weight=2, when=_is_known)
    def look_for_a_breach(self, draw: Random) -> None:
        """Invariant 33: a breach is recorded when there is one, and cleared when there is none."""
        holds, who = self.hedger.limits_hold(), self.p.stranger
        if holds:
            self.refused("false alarm", lambda: self.hedger.record_breach(sender=who), "breach: every limit holds")
        else:
            self.attempt("record breach", lambda: self.hedger.record_breach(sender=who))
            self.refused("false heartbeat", lambda: self.hedger.heartbeat(sender=self.p.keeper), "heartbeat: in breach")

    @rule(weight=1, when=_is_known)
    def keeper_lives(self, draw: Random) -> None:
        if self.hedger.limits_hold():
            self.attempt("heartbeat", lambda: self.hedger.heartbeat(sender=self.p.keeper))

    @rule(weight=3, when=_is_known)
    def anyone_de_risks(self, draw: Random) -> None:
        """Invariants 33 and 43: not while limits hold, nor before a breach has lasted; then a step towards neutral."""
        a, of = self.books.assessment, draw.choice(self.underlyings)
        base = max(a.nav_mid, a.maintenance)
        margin, gap, leverage, *bands = self.p.risk.breaches(a, base)
        beyond_delta = bands[3 * of.index]
        side, (venue, most) = -1 if a.delta[of.index] > 0 else 1, self._nearer(of)
        allowed = max(leverage // 4, beyond_delta // 4, max(a.nav_bid, a.maintenance) // 200) * 95 // 100
        allowed = min(allowed, int(self.hedger.emergency_budget()) * base // WAD * 100)  # costs are below 1 %
        units = min(abs(a.delta[of.index]), allowed * WAD // a.spot[of.index], most)
        leg = self.p.leg(venue, side * round(units / WAD, 6))
        too_soon = self.hedger.step_budget() < WAD  # a step a minute
        if too_soon or abs(leg.delta_change) < of.min_fill // 10 or self.next_expiry - self.now < 2 * HOUR:
            return
        if self.hedger.opens_at() > self.now:
            self.refused("de-risk too early", lambda: self.p.de_risk(leg), "derisk: not open")
        elif self.hedger.limits_hold():
            self.impossible("de-risk without a breach", lambda: self.p.de_risk(leg), "invariant 33")
        if not (margin or gap or beyond_delta):  # what a trade of delta mends
            return
        self.attempt("let it last", lambda: self.p.last(_PATIENCE), market=True)
        a = self.books.assessment
        said = f"{of.token} {leg.delta_change / WAD:.4f}"
        if not self.attempt("de-risk", lambda: self.p.de_risk(leg), said, may_lose=True):
            return
        b, nav = self.books.assessment, max(a.nav_mid, a.maintenance)
        for was, now in zip(self.p.risk.breaches(a, nav), self.p.risk.breaches(b, nav), strict=True):
            assert now <= was, "invariant 33: de_risk moves away from a limit"
        assert abs(b.delta[of.index]) < abs(a.delta[of.index]), "invariant 33: de_risk does not go towards neutral"
        paid = (a.nav_mid - b.nav_mid) / WAD
        most_paid = abs(leg.delta_change) / WAD * a.spot[of.index] / WAD * (0.03 + 0.0005) + 1
        assert paid <= most_paid, "invariant 21: de_risk lost more than its slippage and bounty"

    def _nearer(self, of: Underlying) -> tuple[int, int]:
        """The venue whose trade brings delta closer to neutral, where it has a position to close, and how much."""
        held, owed = of.held(), of.owed()
        if self.books.assessment.delta[of.index] > 0:
            return (of.spot_index, held) if held > 0 else (of.short_index, _NO_BOUND)
        return (of.short_index, owed) if owed > 0 else (of.spot_index, _NO_BOUND)
