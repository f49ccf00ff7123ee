"""A demo record of four steps, small enough to know every figure of its summary by hand."""

from __future__ import annotations

from keeper.risk.attribution import Attribution
from keeper.simulation.demo.record import (
    BookCheck,
    CashFlow,
    DeltaMove,
    DemoRecord,
    FillRecord,
    PoolCost,
    SettlementRecord,
    StepRecord,
    TradeRecord,
    UnderlyingStep,
)


def underlying(price, vol=0.5, symbol="ETH", **values):
    defaults = {
        "pool_price": price,
        "posted_vol": vol,
        "options": -20.0,
        "option_delta": 0.5,
        "option_gamma": -0.001,
        "option_vega": -3.0,
        "option_theta": 40.0,
        "spot_units": 0.0,
        "short_units": -0.4,
        "delta": 0.1,
        "band": 0.2,
        "gamma_use": 0.3,
        "vega_use": 0.4,
    }
    return UnderlyingStep(symbol=symbol, price=price, market_vol=vol, **{**defaults, **values})


def step(timestamp, *, price, nav, unhedged, deposited=1000.0, vol=0.5, action="hold", reason="", eth=None, **values):
    """One underlying; ``eth`` are its own values that differ from the defaults."""
    defaults = {
        "block": timestamp,
        "base_fee_gwei": 1.0,
        "nav_bid": nav - 10,
        "share_price": nav / 1000,
        "initial_margin": 125.0,
        "maintenance_margin": 100.0,
        "gap_headroom": 300.0,
        "idle": nav,
        "owed": 0.0,
        "mode": "normal",
        "doubt": False,
    }
    return StepRecord(
        timestamp=timestamp,
        nav_mid=nav,
        nav_unhedged=unhedged,
        deposited=deposited,
        action=action,
        reason=reason,
        underlyings=(underlying(price, vol, **(eth or {})),),
        **{**defaults, **values},
    )


def trade(sequence, *, before, after, band, reason="sell 1 by aave: delta falls"):
    return TradeRecord(
        sequence=sequence,
        decided_at=5000 + sequence,
        block=5001 + sequence,
        timestamp=200 + sequence,
        transaction=f"0x{sequence:064x}",
        reason=reason,
        legs=(f"leg of trade {sequence}",),
        deltas=(DeltaMove("ETH", 2400.0, before, after, band),),
        pools=(PoolCost("ETH", "ETH 0.05 %", 0.5, 0.25, -0.05),),
        hedge_usdc=(100.0, 0.0),
        turnover=100.0,
        gas=2.0,
        gas_used=900_000,
        recorded_loss=0.7,
        binding=(("delta band", 0.5),),
    )


# Sums by hand: 1.0 + 2.0 - 5.0 + 0.5 + 3.0 + 0.25 = 1.75 without the hedge, 2 + 4 + 0.125 - 2.125 with it.
PNL = Attribution(
    premium=1.0,
    option_delta=2.0,
    gamma=-5.0,
    vega=0.5,
    theta=3.0,
    option_residual=0.25,
    hedge_delta=2.0,
    carry=0.125,
    costs=-2.0,
    hedge_residual=0.125,
)


def tiny_record():
    """1,000 USDC, the fall begins at 100, 500 USDC come at 250 and 300 go at 350."""
    return DemoRecord(
        market="built-in crash, seed 7",
        seed=7,
        hours=0.5,
        seconds=3.0,
        crash_from=100,
        underlyings=("ETH",),
        steps=(
            step(0, price=3100.0, nav=1000.0, unhedged=1000.0),
            step(100, price=3000.0, nav=1010.0, unhedged=1005.0, reason="delta is in the no-trade region: gains 1.00"),
            step(
                300,
                price=2250.0,
                nav=1490.0,
                unhedged=1380.0,
                deposited=1500.0,
                vol=0.8,
                initial_margin=745.0,
                gap_headroom=-5.0,
            ),
            step(
                400,
                price=2400.0,
                nav=1202.0,
                unhedged=1120.0,
                deposited=1200.0,
                vol=0.7,
                eth={"gamma_use": 0.9, "pnl": PNL},
            ),
        ),
        trades=(
            trade(1, before=0.5, after=0.2, band=0.2),
            trade(2, before=-0.5, after=-0.3, band=0.2),
            trade(3, before=-0.5, after=-0.1, band=0.2),
            trade(4, before=0.3, after=0.0, band=0.2),
        ),
        fills=(
            FillRecord(50, "ETH", "ETH-20NOV26-3000-C", "first taker", True, 2.0, 30.0, 28.0, 60.0, 0.5),
            FillRecord(60, "ETH", "ETH-20NOV26-2500-P", "first taker", False, 1.0, 20.0, 21.0, 20.0, 0.5),
        ),
        settlements=(SettlementRecord(390, "ETH", "ETH-20NOV26-3000-C", 2400.0, 0.0, 2.0, 0.0),),
        flows=(
            CashFlow(0, "first depositor", 1000.0, 1000.0),
            CashFlow(250, "second depositor", 500.0, 500.0),
            CashFlow(350, "first depositor", -300.0, -300.0),
        ),
        checks=(BookCheck("idle", 1202, 1202, "USDC"), BookCheck("shares", 10**24 + 1, 10**24 + 1, "1e-18 share")),
    )
