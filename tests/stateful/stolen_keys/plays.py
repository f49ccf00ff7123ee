"""What a thief can do: plays of a size between 0 and 1. Each tries, and leaves what the contracts refuse."""

from collections.abc import Callable

from tests.contracts.chain import DAY
from tests.stateful.stolen_keys.heist import FEED_ERROR, NO_WORSE, VOL_MOVE, WORST, Heist

Play = Callable[[Heist, float], None]

_AWAY = 0.16  # share of NAV: more than the bucket of turnover lets through at once
_ROUND_TRIP = 0.08
_FILL = 0.2  # share of NAV per fill: the limit on a series
_VOL_STEP, _CARRY_STEP = 0.05, 0.10
_HALF_SPREAD = 0.18


def _units(heist: Heist, share: float) -> float:
    return share * heist.nav / heist.spot


def buy_away(heist: Heist, size: float) -> None:
    """Buy spot beyond neutral, hidden by Chainlink."""
    heist.feed(FEED_ERROR)
    heist.open(_units(heist, _AWAY * size), NO_WORSE)


def sell_away(heist: Heist, size: float) -> None:
    heist.feed(-FEED_ERROR)
    heist.open(-_units(heist, _AWAY * size), NO_WORSE)


def buy_away_dearly(heist: Heist, size: float) -> None:
    """Buy spot beyond neutral at the worst price of a leg."""
    heist.feed(0.0)
    heist.open(_units(heist, _AWAY * size), WORST)


def round_trip(heist: Heist, size: float) -> None:
    """As much as is let through, out of one pool and into the other."""
    heist.feed(0.0)
    heist.largest(_units(heist, _ROUND_TRIP * size), lambda units: heist.round_trip(units, WORST))


def neutralise(heist: Heist, size: float) -> None:
    """Hedge, hidden by Chainlink."""
    heist.neutralise(NO_WORSE)


def neutralise_dearly(heist: Heist, size: float) -> None:
    heist.neutralise(WORST)


def sell_options(heist: Heist, size: float) -> None:
    """Every series to himself, at the ask mark."""
    for series in heist.live():
        heist.fill(series, _units(heist, _FILL * size), vault_sells=True)


def buy_options(heist: Heist, size: float) -> None:
    """What he holds of every series back, at the bid mark."""
    for series in heist.live():
        held = heist.held(series) * size
        if held > 0.1:
            heist.fill(series, held, vault_sells=False)


def sell_and_hedge(heist: Heist, size: float) -> None:
    """Calls to himself, and the delta they leave hedged at a bad price; then back again."""
    series = min(heist.live(), key=lambda series: (not series.is_call, series.expiry, series.strike), default=None)
    if series is None:
        return
    heist.fill(series, _units(heist, _FILL * size), vault_sells=True)
    heist.neutralise(NO_WORSE)
    heist.fill(series, heist.held(series), vault_sells=False)
    heist.neutralise(NO_WORSE)


def list_shortest(heist: Heist, size: float) -> None:
    """A call in the money at the first expiry that can be sold: most delta per vega."""
    _list(heist, heist.protocol.expiry(1), 0.95)


def list_longest(heist: Heist, size: float) -> None:
    """At the money at a far expiry: most carry."""
    _list(heist, heist.protocol.expiry(50), 1.0)


def _list(heist: Heist, expiry: int, moneyness: float) -> None:
    strike = round(heist.spot * moneyness / 50) * 50
    if any(series.expiry == expiry and series.strike == strike for series in heist.live()):
        return
    if expiry not in heist.posted and not heist.post(expiry, heist.truth.volatility(0)):
        return
    heist.list_series(strike, True, expiry)


def _post_all(heist: Heist, vol: float = 0.0, carry: float = 0.0, half_spread: float = 0.0) -> None:
    for expiry, (old_vol, old_carry, old_half) in list(heist.posted.items()):
        if expiry > heist.market.now + DAY // 24:
            heist.post(expiry, old_vol + vol, old_carry + carry, old_half + half_spread)


def post_up(heist: Heist, size: float) -> None:
    _post_all(heist, vol=_VOL_STEP * size)


def post_down(heist: Heist, size: float) -> None:
    _post_all(heist, vol=-_VOL_STEP * size)


def carry_up(heist: Heist, size: float) -> None:
    _post_all(heist, carry=_CARRY_STEP * size)


def carry_down(heist: Heist, size: float) -> None:
    _post_all(heist, carry=-_CARRY_STEP * size)


def widen(heist: Heist, size: float) -> None:
    _post_all(heist, half_spread=_HALF_SPREAD * size)


def volatility_rises(heist: Heist, size: float) -> None:
    """The market's, and the thief posts nothing."""
    heist.true_volatility(heist.truth.shift + VOL_MOVE * size)


def volatility_falls(heist: Heist, size: float) -> None:
    heist.true_volatility(heist.truth.shift - VOL_MOVE * size)


def market_rises(heist: Heist, size: float) -> None:
    heist.true_spot(heist.spot * (1 + 0.02 * size))


def market_falls(heist: Heist, size: float) -> None:
    heist.true_spot(heist.spot / (1 + 0.02 * size))


def deposit(heist: Heist, size: float) -> None:
    heist.deposit(0.16 * size * heist.nav)


def redeem(heist: Heist, size: float) -> None:
    heist.redeem(size)


def queue(heist: Heist, size: float) -> None:
    heist.request(size)


def settle_queue(heist: Heist, size: float) -> None:
    heist.settle_queue()


HARVESTS: tuple[Play, ...] = (
    buy_away,
    sell_away,
    buy_away_dearly,
    round_trip,
    neutralise,
    neutralise_dearly,
    sell_options,
    buy_options,
    sell_and_hedge,
    deposit,
    redeem,
    settle_queue,
)
SET_UPS: tuple[Play, ...] = (
    list_shortest,
    list_longest,
    post_up,
    post_down,
    carry_up,
    carry_down,
    widen,
    volatility_rises,
    volatility_falls,
    market_rises,
    market_falls,
    queue,
)
PLAYS = HARVESTS + SET_UPS
