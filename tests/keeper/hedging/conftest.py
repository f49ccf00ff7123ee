"""Snapshots made by hand. The chain's side is the integer mirror: keeper and chain agree unless a test wants not."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from keeper.domain.series import Position, Series, next_expiry
from keeper.domain.snapshot import (
    Budgets,
    Lending,
    Limits,
    Mode,
    PoolState,
    Reading,
    Snapshot,
    Surface,
    VaultState,
    Venue,
    VenueKind,
    VenueState,
    VolSlice,
)
from keeper.domain.units import MAX_UINT256, USDC, WAD, YEAR, to_wad
from keeper.operations.parameters import Parameters
from keeper.pricing.fixed_point import wad_ln
from keeper.risk.mirror import assess, option_risk

ETH, BTC = 0, 1
NOW = 1_795_050_000
EXPIRY = next_expiry(NOW + 86_400)
LIMITS = Limits(*Parameters().limits())
BUDGETS = Budgets(*Parameters().budgets())


def option(is_call: bool, strike: float, size: float, expiry: int = EXPIRY, underlying: int = ETH) -> Position:
    """A position of ``size`` units; + = the vault is long."""
    strike_wad = to_wad(strike)
    return Position(Series(underlying, is_call, expiry, strike_wad, wad_ln(strike_wad)), to_wad(size))


def slice_at(vol: float, expiry: int = EXPIRY) -> VolSlice:
    """A flat-ish slice with at-the-money volatility ``vol``, posted now."""
    theta = vol * vol * (expiry - NOW) / YEAR
    return VolSlice(to_wad(theta), to_wad(-0.2), to_wad(0.6 / math.sqrt(theta)), 0, to_wad(0.02), NOW)


def pool_at(price: float, depth: float = 40e6) -> PoolState:
    """The USDC/WETH 0.05 % pool at ``price`` with a virtual reserve of ``depth`` USDC."""
    root = math.sqrt(1e12 / price)
    reserve = depth / price  # units of WETH
    liquidity = int(reserve * 1e12 * math.sqrt(price))
    tick = int(math.log(1e12 / price, 1.0001))
    return PoolState("0x" + "11" * 20, 500, int(root * 2**96), liquidity, tick, True, 18)


def btc_pool_at(price: float, depth: float = 40e6) -> PoolState:
    """The WBTC/USDC 0.3 % pool at ``price`` with a virtual reserve of ``depth`` USDC."""
    root = math.sqrt(price / 1e2)
    liquidity = int(depth / price * 1e7 * math.sqrt(price))
    return PoolState("0x" + "55" * 20, 3_000, int(root * 2**96), liquidity, int(math.log(root**2, 1.0001)), False, 8)


@dataclass(frozen=True)
class Bitcoin:
    """A second underlying: its market and what the vault holds and owes of it."""

    spot: float = 90_000.0
    twap: float | None = None
    held: float = 0.0
    debt: float = 0.0
    depth: float = 40e6
    borrow_rate: float = 0.01


def make_snapshot(
    book: tuple[Position, ...] = (),
    *,
    spot: float = 3_000.0,
    twap: float | None = None,
    pool: float | None = None,
    vol: float = 0.6,
    idle: float = 1_000_000.0,
    held: float = 0.0,
    debt: float = 0.0,
    health: float = 1.8,
    loss_budget: float = 0.002,
    turnover_budget: float = 0.08,
    hedging_budget: float = 0.17,
    emergency_budget: float = 0.001,
    base_fee_gwei: float = 1.0,
    depth: float = 40e6,
    btc: Bitcoin | None = None,
) -> Snapshot:
    """A vault with ``idle`` USDC, ``held`` ETH of spot and a short of ``debt`` ETH at health factor ``health``; with
    ``btc`` it trades BTC as well."""
    budgets = (loss_budget, turnover_budget, hedging_budget, emergency_budget)
    readings = [Reading(to_wad(spot), to_wad(twap if twap is not None else spot), NOW - 60, False)]
    venues = list(_venues(ETH, spot, pool_at(pool or spot, depth), held, debt, health, borrow_rate=0.027))
    if btc is not None:
        readings.append(Reading(to_wad(btc.spot), to_wad(btc.twap or btc.spot), NOW - 60, False))
        pool_of_btc = btc_pool_at(btc.spot, btc.depth)
        venues += _venues(BTC, btc.spot, pool_of_btc, btc.held, btc.debt, 1.8, borrow_rate=btc.borrow_rate)
    terms = sorted({(position.series.underlying, position.series.expiry) for position in book})
    surface = Surface(tuple((underlying, expiry, slice_at(vol, expiry)) for underlying, expiry in terms))
    assessment = assess(
        option_risk(book, readings, surface, NOW), [venue.state for venue in venues], int(idle * USDC) * 10**12
    )
    return Snapshot(
        chain_id=1,
        block_number=100,
        block_hash="0x" + "ab" * 32,
        timestamp=NOW,
        base_fee_wei=int(base_fee_gwei * 1e9),
        keeper_balance_wei=10**18,
        vault=VaultState(int(idle * USDC), 0, 10**24, 10**24, 7, Mode.NORMAL, *map(to_wad, budgets), BUDGETS),
        limits=LIMITS,
        readings=tuple(readings),
        book=book,
        surface=surface,
        venues=tuple(venues),
        assessment=assessment,
    )


def _venues(
    underlying: int, spot: float, pool: PoolState, held: float, debt: float, health: float, borrow_rate: float
) -> tuple[Venue, Venue]:
    """Spot and short of one underlying, indices as a deployment gives them."""
    collateral = debt * spot * health / 0.78
    spot_state = _linear(underlying, held, held * spot, spot, MAX_UINT256)
    short_state = _linear(underlying, -debt, collateral - debt * spot, spot, to_wad(health) if debt else MAX_UINT256)
    lending = Lending(borrow_rate, 0.04, 0.78, 1.5, 1.8, int(collateral * USDC), to_wad(debt))
    return (
        Venue(2 * underlying, VenueKind.UNISWAP_V3_SPOT, f"0x{0x22 + underlying:040x}", spot_state, (pool,)),
        Venue(
            2 * underlying + 1, VenueKind.AAVE_V3_SHORT, f"0x{0x33 + underlying:040x}", short_state, (pool,), lending
        ),
    )


def after_trades(snapshot: Snapshot, legs: tuple[Any, ...]) -> Snapshot:
    """The snapshot as if the legs had traded at the oracle price without cost: what the contract would check."""
    venues = list(snapshot.venues)
    for leg in legs:
        venue = venues[leg.venue]
        underlying = venue.state.underlying
        spot = snapshot.readings[underlying].price_wad / WAD
        exposure = (venue.state.exposure + leg.delta_change) / WAD
        if venue.kind is VenueKind.AAVE_V3_SHORT:
            exposure = min(exposure, 0.0)
        equity = venue.state.equity / WAD  # cash and venue change places: the sum is what counts
        venues[leg.venue] = replace(venue, state=_linear(underlying, exposure, equity, spot, venue.state.health))
    risks = option_risk(snapshot.book, snapshot.readings, snapshot.surface, snapshot.timestamp)
    cash = (snapshot.vault.idle - snapshot.vault.owed) * 10**12
    return replace(snapshot, venues=tuple(venues), assessment=assess(risks, [v.state for v in venues], cash))


def _linear(underlying: int, units: float, equity: float, spot: float, health: int) -> VenueState:
    down, up = equity - units * spot / 2, equity + units * spot / 2
    return VenueState(underlying, to_wad(units), to_wad(equity), to_wad(down), to_wad(up), health)


@pytest.fixture
def snapshot_of() -> Callable[..., Snapshot]:
    """`snapshot_of(book, spot=..., ...)`."""
    return make_snapshot
