"""How much the underlying may move before the keeper trades again: volatility, and the time that delta stays."""

from __future__ import annotations

from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.units import WAD, YEAR
from keeper.domain.valuation import Valuation
from keeper.hedging.bands import staying_time
from keeper.venues.uniswap_v3 import fee_rate

_ETHER = UNDERLYINGS.index("ETH")  # what gas is paid in


def volatility(valuation: Valuation, underlying: int, policy: Policy) -> float:
    """Of the underlying: the gross-vega-weighted mean of the book's, or the policy's without options.

    Implied and not forecast: it foretells the days ahead better than closes do, which is all that the chain keeps, and
    the width of the no-trade region does not depend on it (docs/quant.md, Hedge program).
    """
    lines = [line for line in valuation.positions if line.series.underlying == underlying]
    weight = sum(abs(line.vega) for line in lines)
    if weight == 0:
        return policy.default_vol
    return sum(abs(line.vega) * line.vol for line in lines) / weight


def horizon(snapshot: Snapshot, valuation: Valuation, underlying: int, vol: float, policy: Policy) -> float:
    """Years that delta stays where a trade leaves it: until the book's gamma makes the next one worth the cheapest
    pool's fee and the gas, or its last option expires; the policy's where no gamma moves it or no trade costs."""
    options = valuation.options[underlying]
    venues = [venue for venue in snapshot.venues if venue.state.underlying == underlying]
    fee = min((fee_rate(pool) for venue in venues for pool in venue.pools if pool.liquidity), default=0.0)
    if options.gamma * fee * vol == 0:
        return policy.risk_horizon_days / 365.0
    gas = policy.rebalance_gas * gas_price(snapshot)
    aversion = policy.risk_aversion / valuation.margins.nav_bid
    stays = float(staying_time(options.gamma, options.spot, vol, fee, gas, aversion))
    expiry = max(line.series.expiry for line in valuation.positions if line.series.underlying == underlying)
    return min(stays, (expiry - snapshot.timestamp) / YEAR)


def gas_price(snapshot: Snapshot) -> float:
    """USDC per unit of gas."""
    return snapshot.base_fee_wei / WAD * (snapshot.readings[_ETHER].price_wad / WAD or 1.0)
