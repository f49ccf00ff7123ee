"""A plausible demo record without a chain: the price is the demo's own path, the rest is simple arithmetic."""

from __future__ import annotations

import math

from keeper.simulation.path import crash, quiet
from keeper.simulation.record import (
    BookCheck,
    CashFlow,
    DemoRecord,
    FillRecord,
    SettlementRecord,
    StepRecord,
    TradeRecord,
)

HOUR = 3600
_FALL_AT = 1_795_132_800  # Fri 20 Nov 2026 00:00 UTC, eight hours before an expiry
_PRICE, _VOL, _NAV = 3000.0, 0.6, 1_000_000.0
_CALLS, _PUTS = 60.0, 60.0
_STRIKES = (2700.0, 2800.0, 2900.0, 3000.0, 3200.0, 3300.0)


def made_record(seed: int = 1, hours: float = 12) -> DemoRecord:
    """A vault short calls and puts through a quiet day and a fall, rebalanced whenever net delta leaves its band."""
    times, market = _market(seed, hours)
    steps: list[StepRecord] = []
    trades: list[TradeRecord] = []
    hedge, cash, costs = 0.0, 0.0, {"pool fees": 0.0, "price impact": 0.0, "basis": 0.0, "gas": 0.0}
    previous = _PRICE
    for i, (time, (price, vol)) in enumerate(zip(times, market, strict=True)):
        options = _option_delta(price)
        cash += hedge * (price - previous)
        previous = price
        liability = _liability(price, vol) - _liability(_PRICE, _VOL)
        unhedged = _NAV + 1800 - liability
        nav = unhedged + cash - sum(costs.values())
        band, before = 0.018 * nav / price, options + hedge
        trading = abs(before) > band
        action, reason = (
            "hold",
            f"delta is in the no-trade region: trading gains {i:.2f} USDC, gas costs 9.10 USDC",
        )
        if trading:
            after = math.copysign(0.55 * band, before)
            trade = _trade(len(trades), time, price, before, after, band)
            trades.append(trade)
            hedge += after - before
            for cause, paid in zip(costs, (trade.fees, trade.impact, trade.basis, trade.gas), strict=True):
                costs[cause] += paid
            action, reason = "trade", trade.reason
        elif i % 37 == 5:
            action, reason = "refuse", f"keeper and chain disagree by {i}.0e-06 of notional, 1e-06 is allowed"
        steps.append(_step(i, time, price, vol, nav, unhedged, options, hedge, band, action, reason))
    end = steps[-1]
    return DemoRecord(
        market=f"built-in crash, seed {seed}",
        seed=seed,
        hours=hours,
        seconds=71.4,
        crash_from=_FALL_AT,
        steps=tuple(steps),
        trades=tuple(trades),
        fills=tuple(_fill(times[2] + 60 * k, k, strike) for k, strike in enumerate(_STRIKES)),
        settlements=(
            SettlementRecord(_FALL_AT + 8 * HOUR, "ETH-20NOV26-3000-P", 2540.12, 459.88, 20.0, 9197.60),
            SettlementRecord(_FALL_AT + 8 * HOUR, "ETH-20NOV26-3200-C", 2540.12, 0.0, 20.0, 0.0),
        ),
        flows=(
            CashFlow(times[0], "depositor 1", 600_000.0, 600_000.0),
            CashFlow(times[0], "depositor 2", 400_000.0, 400_000.0),
            CashFlow(end.timestamp + 12, "depositor 2", -100_000.0 * end.share_price, -100_000.0),
        ),
        costs=costs,
        profit={
            "options": end.nav_unhedged - _NAV,
            "spot_hedge": 0.2 * cash,
            "short_hedge": 0.8 * cash,
            "borrow_interest": -21.4,
            "hedging costs": -sum(costs.values()),
        },
        checks=(
            BookCheck("USDC in = USDC out + profit and loss", 1_000_000_000_000, 1_000_000_000_000, "1e-6 USDC"),
            BookCheck("Shares = minted − burned", 900_000 * 10**18 + 1, 900_000 * 10**18 + 1, "1e-18 shares"),
            BookCheck("NAV = idle + venues + options − owed", 993_201_112_345, 993_201_112_345, "1e-6 USDC"),
        ),
    )


def _market(seed: int, hours: float) -> tuple[list[int], list[tuple[float, float]]]:
    before = quiet(26, (_VOL, _VOL), seed)
    fall = crash(hours, seed, vols=(_VOL, _VOL))
    times = [_FALL_AT + HOUR * (k - 25) for k in range(26)] + [_FALL_AT + 300 * (k + 1) for k in range(len(fall))]
    return times, [(_PRICE * step.prices[0], step.vols[0]) for step in (*before, *fall)]


def _liability(price: float, vol: float) -> float:
    """A smooth strangle: what the sold options are worth, USDC."""
    width = 0.04 * _PRICE * vol / _VOL
    calls = _CALLS * width * math.log1p(math.exp((price - 1.05 * _PRICE) / width))
    puts = _PUTS * width * math.log1p(math.exp((0.92 * _PRICE - price) / width))
    return calls + puts


def _option_delta(price: float) -> float:
    return -(_liability(price + 1, _VOL) - _liability(price - 1, _VOL)) / 2


def _trade(sequence: int, time: int, price: float, before: float, after: float, band: float) -> TradeRecord:
    turnover = abs(after - before) * price
    verb, venue = ("sell", "AaveV3Short") if after < before else ("buy", "UniswapV3Spot")
    return TradeRecord(
        sequence=sequence,
        decided_at=time,
        timestamp=time + 12,
        transaction="0x" + f"{sequence:064x}",
        reason=(
            f"{verb} {abs(after - before):.4f} by {venue}: delta {before:+.3f} to {after:+.3f}, band {band:.3f}; "
            "gains 41.20 USDC over its costs, gas 9.10 USDC"
        ),
        legs=(f"{verb} {abs(after - before):.6f} ETH, {venue}, limit {price * 0.998:,.2f} USDC",),
        price=price,
        delta_before=before,
        delta_after=after,
        band=band,
        turnover=turnover,
        fees=0.0005 * turnover,
        impact=0.0001 * turnover,
        basis=0.00004 * turnover,
        gas=9.1,
        gas_used=912_345,
        recorded_loss=0.0006 * turnover,
        binding=(("delta band of ETH", 0.41),),
    )


def _step(
    i: int,
    time: int,
    price: float,
    vol: float,
    nav: float,
    unhedged: float,
    options: float,
    hedge: float,
    band: float,
    action: str,
    reason: str,
) -> StepRecord:
    maintenance = 60_000 + 90_000 * (1 - price / _PRICE)
    return StepRecord(
        block=21_000_000 + i,
        timestamp=time,
        price=price,
        pool_price=price * (1 + 0.0012 * math.sin(i)),
        market_vol=vol,
        posted_vol=_VOL + min(vol - _VOL, 0.004 * max(0, i - 25)),
        base_fee_gwei=1 + 60 * (1 - price / _PRICE),
        nav_bid=nav - 4000,
        nav_mid=nav,
        nav_unhedged=unhedged,
        share_price=nav / _NAV,
        initial_margin=1.25 * maintenance,
        maintenance_margin=maintenance,
        gap_headroom=420_000 - 250_000 * (1 - price / _PRICE),
        option_delta=options,
        spot_units=max(hedge, 0.0),
        short_units=min(hedge, 0.0),
        delta=options + hedge,
        band=band,
        gamma_use=0.35 + 0.3 * abs(math.sin(i / 30)),
        vega_use=0.5 - 0.2 * (1 - price / _PRICE),
        idle=nav * 0.6,
        owed=0.0,
        mode="normal",
        action=action,
        reason=reason,
    )


def _fill(time: int, k: int, strike: float) -> FillRecord:
    expiry, kind = ("20NOV26", "27NOV26")[k % 2], "C" if strike > _PRICE else "P"
    return FillRecord(time, f"ETH-{expiry}-{strike:g}-{kind}", k != 4, 20.0, 31.5 + k, 20 * (31.5 + k), 0.64)
