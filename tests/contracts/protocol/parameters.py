"""The parameters that the contracts are deployed with, and the numbers of roles, underlyings and venues."""

from typing import NamedTuple

from tests.contracts.chain import USDC, WAD

GOVERNOR, GUARDIAN, KEEPER, QUOTER, VOL_POSTER = 1, 2, 4, 8, 16  # roles.Role
ETH, BTC = 0, 1
SPOT, SHORT = 0, 1  # indices of the venues
BTC_SPOT, BTC_SHORT = 2, 3  # of a vault that has both underlyings
ZERO = "0x" + "00" * 20
HEALTH_FLOOR, HEALTH_TARGET = 15 * WAD // 10, 18 * WAD // 10
STRIKE_STEP, MIN_FILL = 50 * WAD, WAD // 10


def wad(value: float) -> int:
    """`value` in WAD, exact for up to nine decimals."""
    return round(value * 10**9) * 10**9


class Limits(NamedTuple):
    delta_target: int = wad(0.02)
    delta_hard: int = wad(0.10)
    gamma_band: int = wad(0.02)
    vega_band: int = wad(0.12)
    notional_total: int = wad(1.0)
    notional_expiry: int = wad(0.5)
    notional_series: int = wad(0.2)
    gross_leverage: int = wad(2.0)
    liquidity_buffer: int = wad(0.1)


LOOSE = Limits(*(100 * WAD,) * 8, liquidity_buffer=0)  # no bands: what is tested is something else


class Thresholds(NamedTuple):
    kill_drawdown: int = wad(0.15)
    min_deposit: int = 100 * USDC
    max_utilisation: int = wad(0.80)
    deposit_capacity: int = wad(0.08)
    deposit_per_day: int = wad(0.08)
    exit_capacity: int = wad(0.08)
    exit_per_day: int = wad(0.08)


class Budgets(NamedTuple):
    loss_capacity: int = wad(0.002)
    loss_per_day: int = wad(0.002)
    turnover_capacity: int = wad(0.08)
    turnover_per_day: int = wad(0.08)
    hedging_capacity: int = wad(0.17)
    hedging_per_day: int = wad(0.20)
    emergency_capacity: int = wad(0.001)
    emergency_per_day: int = wad(0.0005)
    distress_per_day: int = wad(0.01)
    leg_slippage: int = wad(0.0075)


class VegaBudgets(NamedTuple):
    vega_capacity: int = wad(0.07)
    vega_per_day: int = wad(0.02)


class Bounds(NamedTuple):
    min_vol: int = wad(0.2)
    max_vol: int = wad(3.0)
    vol_anchor: int = wad(0.25)
    vol_per_hour: int = wad(0.05)
    vol_per_day: int = wad(0.10)
    max_carry: int = wad(0.5)
    carry_per_day: int = wad(0.05)
    min_half_spread: int = wad(0.02)
    max_half_spread: int = wad(0.2)
