"""A plausible demo record without a chain: two underlyings on random paths that fall, the rest is simple arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from keeper.risk.attribution import Attribution, HedgingError
from keeper.simulation.demo.record import (
    BookCheck,
    CashFlow,
    DeltaMove,
    DemoRecord,
    EpochFill,
    FillRecord,
    PoolCost,
    RedemptionRecord,
    SettlementRecord,
    StepRecord,
    TradeRecord,
    UnderlyingStep,
)

HOUR = 3600
_FALL_AT = 1_795_132_800  # Fri 20 Nov 2026 00:00 UTC, eight hours before an expiry
_VOL, _NAV = 0.6, 1_000_000.0
_PRICES = {"ETH": 3000.0, "BTC": 90_000.0}
_NOTIONAL = 180_000.0
_STRIKES = {"ETH": (2700.0, 2900.0, 3200.0, 3300.0), "BTC": (82_000.0, 97_000.0)}


@dataclass
class _Leg:
    """One underlying on its way."""

    symbol: str
    begin: float
    hedge: float = 0.0
    cash: float = 0.0
    costs: float = 0.0
    rows: list[UnderlyingStep] = field(default_factory=list)

    @property
    def units(self) -> float:
        return _NOTIONAL / self.begin

    def liability(self, price: float) -> float:
        """A smooth strangle: what the sold options are worth, USDC."""
        width = 0.04 * self.begin
        calls = math.log1p(math.exp((price - 1.05 * self.begin) / width))
        puts = math.log1p(math.exp((0.92 * self.begin - price) / width))
        return self.units * width * (calls + puts)

    def delta(self, price: float) -> float:
        h = 1e-4 * self.begin
        return -(self.liability(price + h) - self.liability(price - h)) / (2 * h)


def made_record(seed: int = 1, hours: float = 12) -> DemoRecord:
    """A vault short strangles through a quiet day and a fall, rebalanced whenever a net delta leaves its band."""
    times, paths = _market(seed, hours)
    legs = [_Leg(symbol, price) for symbol, price in _PRICES.items()]
    steps: list[StepRecord] = []
    trades: list[TradeRecord] = []
    nav = _NAV
    for i, time in enumerate(times):
        shares = [path[i] for path in paths]
        moved = [_row(leg, share, nav) for leg, share in zip(legs, shares, strict=True)]
        action, reason = "hold", f"delta is in the no-trade region: trading gains {i:.2f} USDC, gas costs 9.10 USDC"
        if any(change is not None for change in moved):
            trades.append(_trade(len(trades), time, legs, moved))
            action, reason = "trade", trades[-1].reason
        elif i % 37 == 5:
            action, reason = "refuse", f"keeper and chain disagree by {i}.0e-06 of notional, 1e-06 is allowed"
        unhedged = _NAV + 1800 - sum(leg.liability(leg.rows[-1].price) - leg.liability(leg.begin) for leg in legs)
        nav = unhedged + sum(leg.cash - leg.costs for leg in legs)
        steps.append(_step(i, time, nav, unhedged, legs, action, reason))
    end = steps[-1]
    return DemoRecord(
        market=f"built-in crash, seed {seed}",
        seed=seed,
        hours=hours,
        seconds=71.4,
        crash_from=_FALL_AT,
        underlyings=tuple(_PRICES),
        steps=tuple(steps),
        trades=tuple(trades),
        fills=tuple(
            _fill(times[2] + 60 * k, k, symbol, strike)
            for symbol, strikes in _STRIKES.items()
            for k, strike in enumerate(strikes)
        ),
        settlements=(
            SettlementRecord(_FALL_AT + 8 * HOUR, "ETH", "ETH-20NOV26-2900-P", 2540.12, 359.88, 20.0, 7197.60, 7197.60),
            SettlementRecord(_FALL_AT + 8 * HOUR, "BTC", "BTC-20NOV26-97000-C", 76_250.5, 0.0, 0.2, 0.0),
        ),
        flows=(
            CashFlow(times[0], "first depositor", 500_000.0, 500_000.0),
            CashFlow(times[0], "second depositor", 400_000.0, 400_000.0),
            CashFlow(times[0], "third depositor", 100_000.0, 100_000.0),
            CashFlow(end.timestamp, "second depositor", -100_000.0 * end.share_price, -100_000.0),
        ),
        redemptions=(
            RedemptionRecord(
                "second depositor",
                "instant",
                end.timestamp,
                100_000.0,
                claimed_at=end.timestamp,
                claimed_shares=100_000.0,
                usdc=100_000.0 * end.share_price,
            ),
            RedemptionRecord(
                "third depositor",
                "queued",
                _FALL_AT + 2 * HOUR,
                50_000.0,
                epoch=1,
                fills=(EpochFill(1, _FALL_AT + 10 * HOUR, 30_000.0, 0.97, 0.6),),
                claimed_at=_FALL_AT + 11 * HOUR,
                claimed_shares=30_000.0,
                usdc=29_100.0,
            ),
        ),
        checks=(
            BookCheck("USDC in = USDC out + profit and loss", 1_000_000_000_000, 1_000_000_000_000, "1e-6 USDC"),
            BookCheck("Shares = minted − burned", 900_000 * 10**18 + 1, 900_000 * 10**18 + 1, "1e-18 shares"),
            BookCheck("NAV = idle + venues + options − owed", 993_201_112_345, 993_201_112_345, "1e-6 USDC"),
            BookCheck("WBTC in its venues", 12_345_678, 12_345_678, "1e-8 WBTC"),
        ),
    )


def _market(seed: int, hours: float) -> tuple[list[int], list[list[float]]]:
    """Times, and each underlying's price as a share of its first: a still day, then a noisy slide to three quarters."""
    rng = np.random.default_rng(seed)
    count = round(hours * 12)
    times = [_FALL_AT + HOUR * (k - 25) for k in range(26)] + [_FALL_AT + 300 * (k + 1) for k in range(count)]
    paths = []
    for fall in (-0.30, -0.24):
        still = np.cumsum(rng.normal(0, 0.002, 26))
        slide = still[-1] + np.linspace(0, fall, count) + np.cumsum(rng.normal(0, 0.003, count))
        paths.append(np.exp(np.concatenate([still, slide])).tolist())
    return times, paths


def _row(leg: _Leg, share: float, nav: float) -> DeltaMove | None:
    """The next row of one underlying; the rebalance of it, if one was due."""
    price = leg.begin * share
    before_move = leg.rows[-1] if leg.rows else None
    moved = price - before_move.price if before_move else 0.0
    options, hedged = leg.delta(price), leg.hedge * moved
    leg.cash += hedged
    band, before = 0.018 * nav / price, options + leg.hedge
    change, paid = None, 0.0
    if abs(before) > band:
        after = math.copysign(0.55 * band, before)
        change = DeltaMove(leg.symbol, price, before, after, band)
        paid = 0.00064 * abs(after - before) * price
        leg.hedge += after - before
        leg.costs += paid
    fell = max(0.0, 1 - share)
    worth = -leg.liability(price)
    first = before_move.option_delta * moved if before_move else 0.0
    gained = worth - before_move.options if before_move else 1800.0
    gamma = min(gained - first, 0.0) if before_move else 0.0
    pnl = Attribution(
        premium=0.0 if before_move else gained,
        option_delta=first,
        gamma=gamma,
        option_residual=gained - first - gamma if before_move else 0.0,
        hedge_delta=hedged,
        costs=-paid,
    )
    inside = (first + hedged) * 0.9
    leg.rows.append(
        UnderlyingStep(
            symbol=leg.symbol,
            price=price,
            pool_price=price * (1 + 0.0012 * math.sin(len(leg.rows))),
            market_vol=_VOL * (1 + 1.6 * fell),
            posted_vol=_VOL * (1 + 1.5 * fell),
            options=worth,
            option_delta=options,
            option_gamma=-0.01,
            option_vega=-500.0,
            option_theta=9000.0,
            spot_units=max(leg.hedge, 0.0),
            short_units=min(leg.hedge, 0.0),
            delta=options + leg.hedge,
            band=band,
            gamma_use=0.35 + 0.3 * abs(math.sin(len(leg.rows) / 30)),
            vega_use=0.5 - 0.2 * fell,
            pnl=pnl,
            error=HedgingError(inside, first + hedged - inside, gamma, 0.0, pnl.residual),
            outside_because="" if abs(options + leg.hedge) <= band else "loss budget",
        )
    )
    return change


def _trade(sequence: int, time: int, legs: list[_Leg], moved: list[DeltaMove | None]) -> TradeRecord:
    changes, pools, words = [], [], []
    for leg, change in zip(legs, moved, strict=True):
        if change is None:
            row = leg.rows[-1]
            changes.append(DeltaMove(leg.symbol, row.price, row.delta, row.delta, row.band))
            continue
        changes.append(change)
        size = abs(change.after - change.before)
        worth = size * change.price
        words.append(f"{'sell' if change.after < change.before else 'buy'} {size:.4f} {leg.symbol} by AaveV3Short")
        pools.append(PoolCost(leg.symbol, f"{leg.symbol} 0.05 %", 0.0005 * worth, 0.0001 * worth, 0.00004 * worth))
    return TradeRecord(
        sequence=sequence,
        decided_at=time,
        block=time,
        timestamp=time + 12,
        transaction="0x" + f"{sequence:064x}",
        reason=f"{', '.join(words)}: gains 41.20 USDC over its costs, gas 9.10 USDC, trade {sequence}",
        legs=tuple(f"{word}, leg of trade {sequence}" for word in words),
        deltas=tuple(changes),
        pools=tuple(pools),
        hedge_usdc=(0.0, 0.0),
        turnover=sum(pool.fees for pool in pools) / 0.0005,
        gas=9.1,
        gas_used=912_345,
        recorded_loss=sum(pool.fees for pool in pools) * 1.2,
        binding=(("delta band", 0.41),),
    )


def _step(i: int, time: int, nav: float, unhedged: float, legs: list[_Leg], action: str, reason: str) -> StepRecord:
    fell = max(0.0, 1 - legs[0].rows[-1].price / legs[0].begin)
    maintenance = 60_000 + 90_000 * fell
    return StepRecord(
        block=21_000_000 + i,
        timestamp=time,
        base_fee_gwei=1 + 60 * fell,
        nav_bid=nav - 4000,
        nav_mid=nav,
        nav_unhedged=unhedged,
        deposited=_NAV,
        share_price=nav / _NAV,
        initial_margin=1.25 * maintenance,
        maintenance_margin=maintenance,
        gap_headroom=420_000 - 250_000 * fell,
        idle=nav * 0.6,
        owed=0.0,
        mode="normal" if i % 60 < 50 else "reduce-only",
        doubt=i % 80 > 70,
        action=action,
        reason=reason,
        underlyings=tuple(leg.rows[-1] for leg in legs),
    )


def _fill(time: int, k: int, symbol: str, strike: float) -> FillRecord:
    expiry, kind = ("20NOV26", "27NOV26")[k % 2], "C" if strike > _PRICES[symbol] else "P"
    size, price = _NOTIONAL / _PRICES[symbol] / 3, _PRICES[symbol] * (0.01 + 0.0003 * k)
    name = f"{symbol}-{expiry}-{strike:g}-{kind}"
    return FillRecord(time, symbol, name, "first taker", k != 3, size, price, 0.96 * price, size * price, 0.64)
