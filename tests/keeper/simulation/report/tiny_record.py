"""A demo record of four steps, small enough to know every figure of its summary by hand."""

from __future__ import annotations

from keeper.simulation.record import (
    BookCheck,
    CashFlow,
    DemoRecord,
    FillRecord,
    SettlementRecord,
    StepRecord,
    TradeRecord,
)


def step(timestamp, *, price, nav, unhedged, vol=0.5, action="hold", reason="", **values):
    defaults = {
        "block": timestamp,
        "pool_price": price,
        "posted_vol": vol,
        "base_fee_gwei": 1.0,
        "nav_bid": nav - 10,
        "share_price": nav / 1000,
        "initial_margin": 125.0,
        "maintenance_margin": 100.0,
        "gap_headroom": 300.0,
        "option_delta": 0.5,
        "spot_units": 0.0,
        "short_units": -0.4,
        "delta": 0.1,
        "band": 0.2,
        "gamma_use": 0.3,
        "vega_use": 0.4,
        "idle": nav,
        "owed": 0.0,
        "mode": "normal",
    }
    return StepRecord(
        timestamp=timestamp,
        price=price,
        market_vol=vol,
        nav_mid=nav,
        nav_unhedged=unhedged,
        action=action,
        reason=reason,
        **{**defaults, **values},
    )


def trade(sequence, *, before, after, band, reason="sell 1 by aave: delta falls"):
    return TradeRecord(
        sequence=sequence,
        decided_at=5000 + sequence,
        timestamp=200 + sequence,
        transaction=f"0x{sequence:064x}",
        reason=reason,
        legs=(f"leg of trade {sequence}",),
        price=2400.0,
        delta_before=before,
        delta_after=after,
        band=band,
        turnover=100.0,
        fees=0.5,
        impact=0.25,
        basis=-0.05,
        gas=2.0,
        gas_used=900_000,
        recorded_loss=0.7,
        binding=(("delta band", 0.5),),
    )


def tiny_record():
    """1,000 USDC, the fall begins at 100, 500 USDC come at 250 and 300 go at 350."""
    return DemoRecord(
        market="built-in crash, seed 7",
        seed=7,
        hours=0.5,
        seconds=3.0,
        crash_from=100,
        steps=(
            step(0, price=3100.0, nav=1000.0, unhedged=1000.0),
            step(100, price=3000.0, nav=1010.0, unhedged=1005.0, reason="delta is in the no-trade region: gains 1.00"),
            step(300, price=2250.0, nav=1490.0, unhedged=1380.0, vol=0.8, initial_margin=745.0, gap_headroom=-5.0),
            step(400, price=2400.0, nav=1202.0, unhedged=1120.0, vol=0.7, gamma_use=0.9),
        ),
        trades=(
            trade(1, before=0.5, after=0.2, band=0.2),
            trade(2, before=-0.5, after=-0.3, band=0.2),
            trade(3, before=-0.5, after=-0.1, band=0.2),
            trade(4, before=0.3, after=0.0, band=0.2),
        ),
        fills=(
            FillRecord(50, "ETH-20NOV26-3000-C", True, 2.0, 30.0, 60.0, 0.5),
            FillRecord(60, "ETH-20NOV26-2500-P", False, 1.0, 20.0, 20.0, 0.5),
        ),
        settlements=(SettlementRecord(390, "ETH-20NOV26-3000-C", 2400.0, 0.0, 2.0, 0.0),),
        flows=(
            CashFlow(0, "first depositor", 1000.0, 1000.0),
            CashFlow(250, "second depositor", 500.0, 500.0),
            CashFlow(350, "first depositor", -300.0, -300.0),
        ),
        costs={"pool fees": 2.0, "price impact": 1.0, "interest": -0.5},
        profit={"premiums": 40.0, "hedges": -38.0},
        checks=(BookCheck("idle", 1202, 1202, "USDC"), BookCheck("shares", 10**24 + 1, 10**24 + 1, "1e-18 share")),
    )
