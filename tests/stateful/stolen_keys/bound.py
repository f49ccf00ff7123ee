"""The published bound on what stolen keys can cost within 24 hours, from the parameters of the deployed contracts.

docs/stolen_keys.md derives each line; everything is a share of NAV.
"""

from tests.contracts.chain import WAD
from tests.contracts.protocol import Protocol
from tests.stateful.stolen_keys.heist import (
    AWAY,
    CARRY,
    FEED_ERROR,
    OPTIONS,
    RECORDED,
    SHARES,
    TOWARDS,
    VOL_MOVE,
    Heist,
)

BORROW_RATE = 0.09  # a year: the most that Aave may charge for what the vault is short of
ROUNDING = 1.02  # budgets are shares of NAV by the marks at each call


def bound(protocol: Protocol, underlyings: int | None = None) -> dict[str, float]:
    """The most that each channel can cost, with the vault's or another number of underlyings.

    A bucket that is full at the theft gives its capacity and a day's refill.
    """
    hedges = protocol.hedger.budgets()
    options = protocol.book.budgets()
    shares = protocol.breaker.thresholds()
    limits = protocol.risk.limits()
    unposted = VOL_MOVE - protocol.vol_oracle.bounds().min_half_spread / WAD
    underlyings = underlyings or (2 if protocol.has_btc else 1)
    deposits = _day(shares.deposit_capacity, shares.deposit_per_day)
    exits = _day(shares.exit_capacity, shares.exit_per_day)
    by_volatility = max(deposits, exits) * limits.vega_band / WAD * unposted  # its range is there once, for one of them
    by_spot = (deposits + exits) * limits.delta_hard / WAD * FEED_ERROR
    losses = _day(hedges.loss_capacity, hedges.loss_per_day)
    emergencies = _day(hedges.emergency_capacity, hedges.emergency_per_day)
    return {
        RECORDED: losses + emergencies,
        AWAY: _day(hedges.turnover_capacity, hedges.turnover_per_day) * FEED_ERROR,
        TOWARDS: _day(hedges.hedging_capacity, hedges.hedging_per_day) * FEED_ERROR,
        OPTIONS: _day(options.vega_capacity, options.vega_per_day) * unposted,
        SHARES: underlyings * (by_volatility + by_spot),
        CARRY: limits.gross_leverage / WAD / 2 * BORROW_RATE / 365,
    }


def budgets_left(protocol: Protocol) -> float:
    """What the budgets that are left could still cost, share of NAV."""
    hedger, breaker, most = protocol.hedger, protocol.breaker, bound(protocol)
    vega, flows = protocol.book.budgets(), breaker.thresholds()
    seen = hedger.loss_budget() + hedger.emergency_budget()
    hidden = (hedger.turnover_budget() + hedger.hedging_budget()) * FEED_ERROR
    options = protocol.book.vega_budget() / _day(vega.vega_capacity, vega.vega_per_day) * most[OPTIONS]
    shares = max(breaker.deposit_budget(), breaker.exit_budget()) / _day(flows.exit_capacity, flows.exit_per_day)
    return (seen + hidden + options + shares * most[SHARES]) / WAD


def published(protocol: Protocol) -> float:
    """All channels at their worst at once."""
    return sum(bound(protocol).values())


def excess(heist: Heist) -> dict[str, float]:
    """By how much a channel, or all together, cost more than is published; empty when none does."""
    most, found = bound(heist.protocol), heist.by_channel
    over = {name: found[name] - most[name] for name in most if found[name] > most[name] * ROUNDING}
    if heist.lost > sum(most.values()):
        over["together"] = heist.lost - sum(most.values())
    return over


def _day(capacity: int, per_day: int) -> float:
    return (capacity + per_day) / WAD
