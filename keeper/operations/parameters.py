"""The contracts' parameters, in the units that people use. Defaults are those of the design."""

from __future__ import annotations

from dataclasses import dataclass

from keeper.domain.units import to_usdc, to_wad


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a deployment sets. Shares are of NAV unless named otherwise, volatilities 1.0 = 100 %, times in seconds.

    ``max_price_age`` and ``strike_step``, ``min_fill`` (USDC, units) have one entry per underlying.
    """

    max_price_age: tuple[int, ...] = (3_900, 3_900)
    max_usdc_age: int = 90_000

    min_vol: float = 0.20
    max_vol: float = 3.00
    vol_per_hour: float = 0.05
    vol_per_day: float = 0.10
    max_carry: float = 0.50
    carry_per_day: float = 0.10
    min_half_spread: float = 0.02
    max_half_spread: float = 0.20

    delta_target: float = 0.02
    delta_hard: float = 0.10
    gamma_band: float = 0.02
    vega_band: float = 0.12
    notional_total: float = 1.00
    notional_expiry: float = 0.50
    notional_series: float = 0.20
    gross_leverage: float = 2.0

    loss_capacity: float = 0.0020
    loss_per_day: float = 0.0020
    leg_slippage: float = 0.0075
    kill_drawdown: float = 0.15
    min_deposit: float = 100.0

    strike_step: tuple[float, ...] = (50.0, 1_000.0)
    min_fill: tuple[float, ...] = (0.1, 0.005)

    health_floor: float = 1.5
    health_target: float = 1.8

    def vol_bounds(self) -> tuple[int, ...]:
        """VolOracle.Bounds."""
        return _wads(
            self.min_vol,
            self.max_vol,
            self.vol_per_hour,
            self.vol_per_day,
            self.max_carry,
            self.carry_per_day,
            self.min_half_spread,
            self.max_half_spread,
        )

    def limits(self) -> tuple[int, ...]:
        """RiskEngine.Limits."""
        return _wads(
            self.delta_target,
            self.delta_hard,
            self.gamma_band,
            self.vega_band,
            self.notional_total,
            self.notional_expiry,
            self.notional_series,
            self.gross_leverage,
        )

    def budgets(self) -> tuple[int, ...]:
        """Vault.Budgets."""
        shares = _wads(self.loss_capacity, self.loss_per_day, self.leg_slippage, self.kill_drawdown)
        return (*shares, to_usdc(self.min_deposit))

    def listings(self, underlyings: int) -> list[tuple[int, int]]:
        """OptionBook.Listing of the first ``underlyings``."""
        pairs = zip(self.strike_step, self.min_fill, strict=True)
        return [(to_wad(step), to_wad(fill)) for step, fill in list(pairs)[:underlyings]]

    def health(self) -> tuple[int, int]:
        """AaveV3Short's floor and target."""
        return to_wad(self.health_floor), to_wad(self.health_target)


def _wads(*amounts: float) -> tuple[int, ...]:
    return tuple(to_wad(amount) for amount in amounts)
