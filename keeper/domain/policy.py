"""What the operator wants, inside what the contracts allow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How the keeper hedges, and what it quotes.

    Attributes:
        risk_aversion: Weight of variance: a P&L variance v (USDC^2 over the horizon) costs risk_aversion / NAV * v / 2.
        tail_aversion: Weight of CVaR, USDC per USDC: for who has scenarios; they are of the horizon too.
        tail_level: Of that CVaR: 0.95 is the mean of the worst twentieth.
        risk_horizon_days: Of the CVaR's scenarios; how long an unhedged delta is assumed to stay where no gamma moves
            it; and over which it may lose what a hedge may cost in gas (keeper/execution/ceiling.py).
        capital_charge: Annual cost of idle cash that a hedge ties up: it is what depositors leave with.
        correlation: Of the underlyings' daily returns.
        default_vol: Annualised volatility that is assumed without options on the book, and for that cost.
        band_use: Share of the contracts' target delta band that a trade brings delta into; of what it counts as taking
            away at least, for that cost.
        limit_slippage: Distance of a leg's limit price from the pool's expected average price.
        min_idle: Share of NAV that stays idle when a hedge needs cash.
        min_trade: Smallest leg, USDC.
        margin_tolerance: Largest difference of the keeper's margin from the chain's, per unit of notional.
        deadline_seconds: Life of a rebalance.
        max_loss_use: Share of the loss bucket, and of the turnover bucket, that one rebalance may use.
        rebalance_gas: Gas of a rebalance of one leg, for its cost, until there has been one: it grows with the book.
        leg_gas: Gas of each leg beyond the first.
        uncertainty_width: A quote's half-spread, in deviations of what is not known of the surface.
        premium_floor: Implied less forecast variance, annual, above which selling was paid for on the recorded days:
            the least of the upper third, with the forecast of closes (a week ahead; docs/quant.md, Quotes).
        premium_share: Of what is above that floor, how much a quote gives up to sell: about what it was worth in the
            later half of those days.
    """

    risk_aversion: float = 30.0
    tail_aversion: float = 0.02
    tail_level: float = 0.95
    risk_horizon_days: float = 1.0
    capital_charge: float = 0.15
    correlation: float = 0.8
    default_vol: float = 0.6
    band_use: float = 0.5
    limit_slippage: float = 0.002
    min_idle: float = 0.05
    min_trade: float = 100.0
    margin_tolerance: float = 1e-6
    deadline_seconds: int = 60
    max_loss_use: float = 0.5
    rebalance_gas: int = 1_500_000
    leg_gas: int = 300_000
    uncertainty_width: float = 1.0
    premium_floor: float = 0.065
    premium_share: float = 0.25
