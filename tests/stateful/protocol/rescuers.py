"""What anyone may do when a limit is in breach and the keeper does nothing."""

from __future__ import annotations

from random import Random

from tests.contracts.chain import HOUR, WAD
from tests.contracts.protocol import SHORT, SPOT
from tests.stateful.protocol.campaign import rule
from tests.stateful.protocol.world import World

_PATIENCE = 1_800  # seconds


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
        a = self.books.assessment
        side = -1 if a.delta[0] > 0 else 1
        worst = self.p.risk.breaches(a, max(a.nav_mid, a.maintenance))
        held, owed = self.p.spot.state(WAD).exposure, -self.p.short.state(WAD).exposure
        most = (SPOT, held) if side < 0 and held > 0 else (SHORT, owed) if side > 0 and owed > 0 else (None, 0)
        venue = most[0] if most[0] is not None else (SHORT if side < 0 else SPOT)
        excess = max(worst[2:4])
        allowed = max(excess // 4, max(a.nav_bid, a.maintenance) // 200) * 95 // 100
        units = min(abs(a.delta[0]), allowed * WAD // a.spot[0])
        if most[0] is not None:
            units = min(units, most[1])
        leg = self.p.leg(venue, side * round(units / WAD, 6))
        too_soon = self.now < self.hedger.stepped_at() + 60  # a step a minute
        if too_soon or abs(leg.delta_change) < WAD // 100 or self.next_expiry - self.now < 2 * HOUR:
            return
        if self.hedger.opens_at() > self.now:
            self.refused("de-risk too early", lambda: self.p.de_risk(leg), "derisk: not open")
        elif self.hedger.limits_hold():
            self.impossible("de-risk without a breach", lambda: self.p.de_risk(leg), "invariant 33")
        if not (worst[0] or worst[1] or worst[3]):  # what a trade of delta mends
            return
        self.attempt("let it last", lambda: self.p.last(_PATIENCE), market=True)
        a = self.books.assessment
        if not self.attempt("de-risk", lambda: self.p.de_risk(leg), f"{leg.delta_change / WAD:.4f}", may_lose=True):
            return
        b, nav = self.books.assessment, max(a.nav_mid, a.maintenance)
        for was, now in zip(self.p.risk.breaches(a, nav), self.p.risk.breaches(b, nav), strict=True):
            assert now <= was, "invariant 33: de_risk moves away from a limit"
        assert abs(b.delta[0]) < abs(a.delta[0]), "invariant 33: de_risk does not go towards neutral"
        paid = (a.nav_mid - b.nav_mid) / WAD
        most_paid = abs(leg.delta_change) / WAD * a.spot[0] / WAD * (0.03 + 0.0005) + 1
        assert paid <= most_paid, "invariant 21: de_risk lost more than its slippage and bounty"
