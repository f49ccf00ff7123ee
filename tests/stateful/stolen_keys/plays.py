"""What a thief can do: plays of a size between 0 and 1. Each takes what the contracts let through, and says if that
was anything; None when there was nothing to try.
"""

from collections.abc import Callable

from keeper.domain.units import YEAR
from tests.contracts.chain import HOUR
from tests.stateful.stolen_keys.heist import CARRY_MOVE, FEED_ERROR, NO_WORSE, VOL_MOVE, WORST, Heist, Price
from tests.stateful.stolen_keys.strangers import de_risk, is_in_breach, wait_for_the_public

Play = Callable[[Heist, float], bool | None]

_AWAY = 0.16  # share of NAV: more than the bucket of turnover lets through at once
_ROUND_TRIP = 0.08
_FILL = 0.2  # share of NAV per fill: the limit on a series
_VOL_STEP, _CARRY_STEP, _HALF_SPREAD = 0.05, 0.10, 0.05
_BEND, _TILT = 0.5, 0.5
_SPOT_STEP = 0.02
_LEAST = 0.1  # units of options worth a fill
_HALF_AN_HOUR = 30 * 60
_STEPS = 10


def _units(heist: Heist, share: float) -> float:
    return share * heist.nav / heist.spot


# ---------------------------------------------------------------- the keeper's key


def buy_away(heist: Heist, size: float) -> bool:
    """Buy spot beyond neutral, hidden by Chainlink."""
    heist.feed(FEED_ERROR)
    return heist.open(_units(heist, _AWAY * size), NO_WORSE) > 0


def sell_away(heist: Heist, size: float) -> bool:
    heist.feed(-FEED_ERROR)
    return heist.open(-_units(heist, _AWAY * size), NO_WORSE) < 0


def buy_away_with_the_twap(heist: Heist, size: float) -> bool:
    """The same after holding the pool there: the TWAP agrees with Chainlink."""
    heist.wait(10 * 60, pool_at=heist.spot * (1 + FEED_ERROR))
    return buy_away(heist, size)


def round_trip(heist: Heist, size: float) -> bool:
    """Out of one pool and into the other at the worst prices."""
    heist.feed(0.0)
    return heist.largest(_units(heist, _ROUND_TRIP * size), lambda units: heist.round_trip(units, WORST)) > 0


def neutralise(heist: Heist, size: float) -> bool:
    """Hedge, hidden by Chainlink."""
    return heist.neutralise(NO_WORSE) != 0


def neutralise_dearly(heist: Heist, size: float) -> bool:
    """Hedge at the worst price of a leg."""
    return heist.neutralise(WORST) != 0


# ---------------------------------------------------------------- the quoter's key


def sell_options(heist: Heist, size: float) -> bool | None:
    """Every series to himself, at the ask mark."""
    live = heist.live()
    filled = [heist.fill(series, _units(heist, _FILL * size), vault_sells=True) > 0 for series in live]
    return any(filled) if live else None


def buy_options(heist: Heist, size: float) -> bool | None:
    """What he holds of every series back, at the bid mark."""
    return _buy(heist, size, "mark")


def buy_options_at_the_middle(heist: Heist, size: float) -> bool | None:
    """What is above the bid mark drains the loss bucket."""
    return _buy(heist, size, "middle")


def write_options(heist: Heist, size: float) -> bool | None:
    """New ones to the vault, as their maker, at the bid mark."""
    return _write(heist, size, "mark")


def write_options_at_the_middle(heist: Heist, size: float) -> bool | None:
    """Where that makes the vault's gamma or vega smaller."""
    return _write(heist, size, "middle")


def _write(heist: Heist, size: float, price: Price) -> bool | None:
    live = heist.live()
    wrote = [heist.fill(series, _units(heist, _FILL * size), False, price, writes=True) > 0 for series in live]
    return any(wrote) if live else None


def give_options_away(heist: Heist, size: float) -> bool | None:
    """Sell for next to nothing, buy for twice the middle. Refused, or the bound is broken: no success is expected."""
    for series in heist.live():
        heist.fill(series, _units(heist, _FILL * size), True, "gift")
    _buy(heist, size, "gift")
    return None


def _buy(heist: Heist, size: float, price: Price) -> bool | None:
    holds = [(series, heist.held(series) * size) for series in heist.live()]
    filled = [heist.fill(series, held, False, price) > 0 for series, held in holds if held > _LEAST]
    return any(filled) if filled else None


def sell_and_hedge(heist: Heist, size: float) -> bool | None:
    """Calls of the shortest expiry to himself, the delta they leave hedged at a bad price, and all the way back."""
    calls = [series for series in heist.live() if series.is_call]
    if not calls:
        return None
    series = min(calls, key=lambda series: (series.expiry, series.strike))
    sold = heist.fill(series, _units(heist, _FILL * size), vault_sells=True)
    heist.neutralise(NO_WORSE)
    while heist.held(series) > _LEAST and heist.fill(series, heist.held(series), vault_sells=False) > 0:
        heist.neutralise(NO_WORSE)
    return sold > 0


def list_shortest(heist: Heist, size: float) -> bool | None:
    """A call in the money at the first expiry that can be sold: most delta per vega."""
    return _list(heist, heist.protocol.expiry(1), 0.95)


def list_longest(heist: Heist, size: float) -> bool | None:
    """At the money at a far expiry: most carry."""
    return _list(heist, heist.protocol.expiry(50), 1.0)


def _list(heist: Heist, expiry: int, moneyness: float) -> bool | None:
    strike = round(heist.spot * moneyness / 50) * 50
    if any(series.expiry == expiry and series.strike == strike for series in heist.live()):
        return None
    if expiry not in heist.posted and not heist.post(expiry, heist.posted_volatility()):
        return False
    return heist.list_series(strike, True, expiry)


# ---------------------------------------------------------------- the vol poster's key


def _post_all(heist: Heist, vol: float = 0.0, carry: float = 0.0, half_spread: float = 0.0) -> bool | None:
    """Move every slice as far as is let through."""
    expiries = [expiry for expiry in heist.posted if expiry > heist.market.now + HOUR]
    moved = []
    for expiry in expiries:
        old_vol, old_carry, old_half = heist.posted[expiry]
        done = heist.largest(
            1.0,
            lambda part, at=expiry, v=old_vol, c=old_carry, h=old_half: heist.post(
                at, v + part * vol, c + part * carry, max(h + part * half_spread, 0.02)
            ),
        )
        moved.append(done > 0)
    return any(moved) if expiries else None


def post_up(heist: Heist, size: float) -> bool | None:
    return _post_all(heist, vol=_VOL_STEP * size)


def post_down(heist: Heist, size: float) -> bool | None:
    return _post_all(heist, vol=-_VOL_STEP * size)


def post_carry_up(heist: Heist, size: float) -> bool | None:
    return _post_all(heist, carry=_CARRY_STEP * size)


def post_carry_down(heist: Heist, size: float) -> bool | None:
    return _post_all(heist, carry=-_CARRY_STEP * size)


def widen(heist: Heist, size: float) -> bool | None:
    return _post_all(heist, half_spread=_HALF_SPREAD * size)


def bend(heist: Heist, size: float) -> bool | None:
    """Wings up, as far as is let through; at the money nothing moves."""
    return _post_smiles(heist, 0.0, _BEND * size)


def straighten(heist: Heist, size: float) -> bool | None:
    return _post_smiles(heist, 0.0, -_BEND * size)


def tilt_left(heist: Heist, size: float) -> bool | None:
    """One wing up, the other one down."""
    return _post_smiles(heist, -_TILT * size, 0.0)


def tilt_right(heist: Heist, size: float) -> bool | None:
    return _post_smiles(heist, _TILT * size, 0.0)


def _post_smiles(heist: Heist, rho: float, bend: float) -> bool | None:
    """Change rho, and phi by ``bend`` standard deviations."""

    def move(expiry: int, part: float) -> bool:
        was_rho, was_phi = heist.smiles.get(expiry, (0.0, 0.0))
        deviation = heist.posted[expiry][0] * ((expiry - heist.market.now) / YEAR) ** 0.5
        smile = (max(-0.9, min(0.9, was_rho + part * rho)), max(was_phi + part * bend / deviation, 0.0))
        return smile != (was_rho, was_phi) and heist.post(expiry, *heist.posted[expiry], smile)

    expiries = [expiry for expiry in heist.posted if expiry > heist.market.now + HOUR]
    moved = [heist.largest(1.0, lambda part, at=expiry: move(at, part)) > 0 for expiry in expiries]
    return any(moved) if expiries else None


# ---------------------------------------------------------------- strangers' hands


def de_risk_dearly(heist: Heist, size: float) -> bool | None:
    """He leaves a breach alone until anybody may hedge, and until that may cost most, and is paid a bounty."""
    if not is_in_breach(heist) or not wait_for_the_public(heist, round(_HALF_AN_HOUR * size)):
        return None
    return de_risk(heist, _STEPS) > 0


# ---------------------------------------------------------------- the market


def volatility_rises(heist: Heist, size: float) -> bool:
    """The market's, and the thief posts nothing."""
    return heist.true_volatility(heist.truth.shift + VOL_MOVE * size)


def volatility_falls(heist: Heist, size: float) -> bool:
    return heist.true_volatility(heist.truth.shift - VOL_MOVE * size)


def carry_rises(heist: Heist, size: float) -> bool:
    return heist.true_carry(heist.truth.carry + CARRY_MOVE * size)


def carry_falls(heist: Heist, size: float) -> bool:
    return heist.true_carry(heist.truth.carry - CARRY_MOVE * size)


def market_rises(heist: Heist, size: float) -> bool:
    heist.true_spot(heist.spot * (1 + _SPOT_STEP * size))
    return True


def market_falls(heist: Heist, size: float) -> bool:
    heist.true_spot(heist.spot / (1 + _SPOT_STEP * size))
    return True


# ---------------------------------------------------------------- shares


def deposit(heist: Heist, size: float) -> bool:
    return heist.deposit(0.16 * size * heist.nav) > 0


def redeem(heist: Heist, size: float) -> bool | None:
    if heist.protocol.vault.balanceOf(heist.thief) == 0:
        return None
    return heist.redeem(size) > 0


def queue(heist: Heist, size: float) -> bool | None:
    if heist.protocol.vault.balanceOf(heist.thief) == 0:
        return None
    return heist.request(size)


def settle_queue(heist: Heist, size: float) -> bool | None:
    if not heist.protocol.queue.can_settle():
        return None
    return heist.settle_queue()


HARVESTS: tuple[Play, ...] = (
    buy_away,
    sell_away,
    buy_away_with_the_twap,
    round_trip,
    neutralise,
    neutralise_dearly,
    sell_options,
    buy_options,
    buy_options_at_the_middle,
    write_options,
    write_options_at_the_middle,
    give_options_away,
    sell_and_hedge,
    deposit,
    redeem,
    settle_queue,
    de_risk_dearly,
)
SET_UPS: tuple[Play, ...] = (
    list_shortest,
    list_longest,
    post_up,
    post_down,
    post_carry_up,
    post_carry_down,
    widen,
    volatility_rises,
    volatility_falls,
    carry_rises,
    carry_falls,
    market_rises,
    market_falls,
    bend,
    straighten,
    tilt_left,
    tilt_right,
    queue,
)
COMBINATIONS: tuple[tuple[Play, ...], ...] = (
    (volatility_rises, sell_options),
    (list_longest, volatility_rises, sell_options),
    (volatility_falls, buy_options),
    (volatility_falls, write_options),
    (volatility_falls, deposit),
    (volatility_rises, redeem),
    (market_rises, neutralise),
    (market_falls, neutralise),
    (market_rises, neutralise_dearly),
    (market_falls, neutralise_dearly),
    (list_shortest, sell_and_hedge),
    (post_down, sell_options),
    (post_carry_down, sell_options),
    (post_up, write_options_at_the_middle),
    (bend, write_options),
    (tilt_right, sell_options),
    (post_up, neutralise),
    (list_shortest, sell_options, de_risk_dearly),
)
PLAYS = HARVESTS + SET_UPS
