"""Attack A29: each way to take money out of the vault with stolen keys, driven to its end.

A channel must give most of its published share, or the search would prove nothing, and no more.
"""

from tests.contracts.chain import DAY, HOUR
from tests.contracts.protocol import wad
from tests.stateful.stolen_keys.bound import bound
from tests.stateful.stolen_keys.heist import AWAY, FEED_ERROR, NO_WORSE, RECORDED, TOWARDS, WORST, Heist

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

    _pays(heist, RECORDED, 0.9)


def test_what_the_oracle_hides_of_hedges_ends_with_their_bucket(busy_vault):
    """The market swings, and Chainlink is half a per cent on the wrong side of it whenever he hedges. Then he goes on:
    what is hedged beyond the bucket is hidden no longer.
    """
    heist = Heist(busy_vault)

    for stop in range(25):
        for swing in range(8):
            if heist.protocol.hedger.hedging_budget() < wad(0.02):
                break  # more would count as lost
            heist.true_spot(3_000 * (1.02 if swing % 2 else 0.98))
            heist.neutralise(NO_WORSE)
        if stop < 24:
            heist.wait(HOUR)

    for swing in range(12):
        heist.true_spot(3_000 * (1.02 if swing % 2 else 0.98))
        heist.neutralise(NO_WORSE)

    _pays(heist, TOWARDS, 0.9)


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

    _pays(heist, AWAY, 0.8)
