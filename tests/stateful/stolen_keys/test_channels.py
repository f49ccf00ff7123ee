"""Attack A29: each way to take money out of the vault with stolen keys, driven to its end.

A channel must give most of its published share, or the search would prove nothing, and no more.
"""

from tests.contracts.chain import DAY
from tests.stateful.stolen_keys.bound import bound
from tests.stateful.stolen_keys.heist import AWAY, FEED_ERROR, NO_WORSE, RECORDED, WORST, Heist

_ROUNDING = 1.01  # budgets are shares of NAV by the marks at each call


def _pays(heist: Heist, channel: str, at_least: float) -> None:
    most = bound(heist.protocol)[channel]
    found = heist.by_channel[channel]
    print(f"{channel}: {found:.3%} of NAV found, {most:.3%} published")
    assert at_least * most <= found <= most * _ROUNDING


def test_recorded_losses_of_legs_end_where_the_buckets_do(busy_vault):
    """A market that swings by 2 % moves the delta, and he hedges it at the worst price of a leg."""
    heist = Heist(busy_vault)

    for stop in range(9):
        for swing in range(12):
            heist.true_spot(3_000 * (1.02 if swing % 2 else 0.98))
            heist.neutralise(WORST)
        if stop < 8:
            heist.wait(DAY // 8)

    print(heist.by_channel, heist.refusals, heist.done)
    _pays(heist, RECORDED, 0.9)


def test_what_the_oracle_hides_of_trades_away_from_neutral_ends_with_the_turnover(new_vault):
    """He holds the pool, and with it the TWAP, where Chainlink errs: or the budgets would see it."""
    heist = Heist(new_vault)

    for stop in range(9):
        heist.wait(600, pool_at=heist.spot * (1 + FEED_ERROR))
        for _ in range(5):
            heist.feed(FEED_ERROR)
            heist.open(6.6, NO_WORSE)
            heist.neutralise(NO_WORSE)
        heist.wait(DAY // 8 - 600 if stop < 8 else 0)

    print(heist.by_channel, heist.refusals, heist.done)
    _pays(heist, AWAY, 0.8)
