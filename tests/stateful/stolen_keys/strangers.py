"""What the thief does as anybody: once a breach has lasted he trades in the keeper's place, and is paid for it."""

from tests.contracts.chain import USDC, WAD, events
from tests.contracts.protocol import ETH, Leg
from tests.stateful.stolen_keys.heist import FEED_ERROR, Heist, Seen

_CONFIRM = 590  # seconds: a record is confirmed within ten minutes
_STEP = 61
_SLIPPAGES = (0.0295, 0.0045)  # what a leg may lose after half an hour, and at first; he pays the pool's fee out of it
_SIZES = (0.02, 0.005)  # share of NAV per step


def wait_for_the_public(heist: Heist, further: int = 0) -> bool:
    """He does not hedge, records the breach, and confirms it until anybody may act, and for ``further`` seconds."""
    hedger = heist.protocol.hedger
    while heist.attempt(lambda: hedger.record_breach(sender=heist.thief)):
        left = hedger.opens_at() + further - heist.market.now
        if left <= 0:
            return True
        if heist.is_over:
            break
        heist.wait(min(left, _CONFIRM))
    return False


def de_risk(heist: Heist, steps: int) -> int:
    """Steps towards neutral at the worst price, Chainlink on the wrong side. Returns how many were let through."""

    def act(leg: Leg) -> Seen:
        heist.protocol.de_risk(leg, who=heist.thief)
        (done,) = events(heist.protocol.hedger, "DeRisked")
        return Seen(done.loss / WAD + done.bounty / USDC, away=0.0)

    def step() -> bool:
        buys = heist.delta() < 0
        heist.feed(FEED_ERROR if buys else -FEED_ERROR)
        for slippage in _SLIPPAGES:
            for share in _SIZES:
                units = share * heist.nav / heist.spot
                for venue, most in heist.reductions(buys):
                    size = min(units, most)
                    if heist.trade(venue, size if buys else -size, slippage, act):
                        return True
        return False

    done = 0
    for _ in range(steps):
        if not step():
            break
        done += 1
        heist.wait(_STEP)
    return done


def is_in_breach(heist: Heist) -> bool:
    """Whether delta is farther from neutral than the keeper may leave it."""
    a, limits = heist.protocol.vault.assessment(), heist.protocol.risk.limits()
    return bool(abs(a.delta[ETH]) * a.spot[ETH] > limits.delta_target * max(a.nav_mid, a.maintenance))
