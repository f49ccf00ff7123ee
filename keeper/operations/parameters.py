"""The contracts' parameters, in the units that people use. Defaults are those of the design.

A deployment by hand takes them from a file that people have reviewed: `parameters.toml` has each, with its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError, create_model

from keeper.config import Location, problem_of, read_table
from keeper.domain.units import to_usdc, to_wad
from keeper.errors import ConfigError

PATH: Final = Path("parameters.toml")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a deployment sets. Shares are of NAV unless named otherwise, volatilities 1.0 = 100 %, times in seconds.

    ``max_price_age``, ``opening_vol`` and ``strike_step``, ``min_fill`` (USDC, units) have one entry per underlying.
    """

    max_price_age: tuple[int, ...] = (3_900, 3_900)
    max_usdc_age: int = 90_000

    opening_vol: tuple[float, ...] = (0.60, 0.50)
    min_vol: float = 0.20
    max_vol: float = 3.00
    vol_anchor: float = 0.25
    vol_per_hour: float = 0.05
    vol_per_day: float = 0.10
    max_carry: float = 0.50
    carry_per_day: float = 0.05
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
    liquidity_buffer: float = 0.10

    loss_capacity: float = 0.0020
    loss_per_day: float = 0.0020
    turnover_capacity: float = 0.08
    turnover_per_day: float = 0.08
    hedging_capacity: float = 0.17
    hedging_per_day: float = 0.20
    emergency_capacity: float = 0.0010
    emergency_per_day: float = 0.0005
    distress_per_day: float = 0.01
    leg_slippage: float = 0.0075

    kill_drawdown: float = 0.15
    min_deposit: float = 100.0
    max_utilisation: float = 0.80
    deposit_capacity: float = 0.08
    deposit_per_day: float = 0.08
    exit_capacity: float = 0.08
    exit_per_day: float = 0.08

    management_fee: float = 0.01
    performance_fee: float = 0.10

    strike_step: tuple[float, ...] = (50.0, 1_000.0)
    min_fill: tuple[float, ...] = (0.1, 0.005)
    vega_capacity: float = 0.07
    vega_per_day: float = 0.02

    health_floor: float = 1.5
    health_target: float = 1.8

    def vol_bounds(self) -> tuple[int, ...]:
        """VolOracle.Bounds."""
        return _wads(
            self.min_vol,
            self.max_vol,
            self.vol_anchor,
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
            self.liquidity_buffer,
        )

    def budgets(self) -> tuple[int, ...]:
        """Hedger.Budgets."""
        return _wads(
            self.loss_capacity,
            self.loss_per_day,
            self.turnover_capacity,
            self.turnover_per_day,
            self.hedging_capacity,
            self.hedging_per_day,
            self.emergency_capacity,
            self.emergency_per_day,
            self.distress_per_day,
            self.leg_slippage,
        )

    def thresholds(self) -> tuple[int, ...]:
        """CircuitBreaker.Thresholds."""
        flows = (self.deposit_capacity, self.deposit_per_day, self.exit_capacity, self.exit_per_day)
        return to_wad(self.kill_drawdown), to_usdc(self.min_deposit), *_wads(self.max_utilisation, *flows)

    def fees(self) -> tuple[int, ...]:
        """The rates of Vault.terms."""
        return _wads(self.management_fee, self.performance_fee)

    def listings(self, underlyings: int) -> list[tuple[int, int]]:
        """OptionBook.Listing of the first ``underlyings``."""
        pairs = zip(self.strike_step, self.min_fill, strict=True)
        return [(to_wad(step), to_wad(fill)) for step, fill in list(pairs)[:underlyings]]

    def vega_budgets(self) -> tuple[int, ...]:
        """OptionBook.Budgets."""
        return _wads(self.vega_capacity, self.vega_per_day)

    def health(self) -> tuple[int, int]:
        """AaveV3Short's floor and target."""
        return to_wad(self.health_floor), to_wad(self.health_target)


def _wads(*amounts: float) -> tuple[int, ...]:
    return tuple(to_wad(amount) for amount in amounts)


_SHARE: Final = Field(gt=0, le=1)
_VOL: Final = Field(gt=0, le=10)
_SPEED: Final = Field(gt=0, le=0.5)  # VolOracle keeps no more
_BANDS: Final = Field(gt=0, le=10)
_HEALTH: Final = Field(gt=1, le=10)
_EACH: Final = Field(min_length=1, strict=False)  # a TOML array is a list, which strict tuples refuse

# What can be right for each parameter, as far as it does not depend on another one.
_KINDS: Final[dict[str, Any]] = {
    "max_price_age": Annotated[tuple[Annotated[int, Field(ge=60, le=172_800)], ...], _EACH],
    "max_usdc_age": Annotated[int, Field(ge=60, le=172_800)],
    "opening_vol": Annotated[tuple[Annotated[float, _VOL], ...], _EACH],
    **dict.fromkeys(("min_vol", "max_vol", "vol_anchor"), Annotated[float, _VOL]),
    **dict.fromkeys(("vol_per_hour", "vol_per_day"), Annotated[float, _SPEED]),
    "max_carry": Annotated[float, Field(ge=0, lt=2)],
    "carry_per_day": Annotated[float, _SPEED],
    **dict.fromkeys(("min_half_spread", "max_half_spread"), Annotated[float, Field(ge=0, lt=2)]),
    **dict.fromkeys(("delta_target", "delta_hard", "gamma_band", "vega_band"), Annotated[float, _BANDS]),
    **dict.fromkeys(("notional_total", "notional_expiry", "notional_series"), Annotated[float, _BANDS]),
    "gross_leverage": Annotated[float, _BANDS],
    "liquidity_buffer": Annotated[float, Field(ge=0, le=1)],
    **dict.fromkeys(("loss_capacity", "loss_per_day", "leg_slippage", "kill_drawdown"), Annotated[float, _SHARE]),
    **dict.fromkeys(("turnover_capacity", "turnover_per_day"), Annotated[float, _BANDS]),
    **dict.fromkeys(("hedging_capacity", "hedging_per_day"), Annotated[float, _BANDS]),
    **dict.fromkeys(("emergency_capacity", "emergency_per_day", "distress_per_day"), Annotated[float, _SHARE]),
    **dict.fromkeys(("vega_capacity", "vega_per_day"), Annotated[float, _SHARE]),
    "min_deposit": Annotated[float, Field(ge=0)],
    "max_utilisation": Annotated[float, Field(ge=0.5, le=1)],
    **dict.fromkeys(("deposit_capacity", "deposit_per_day"), Annotated[float, Field(ge=0, le=10)]),
    **dict.fromkeys(("exit_capacity", "exit_per_day"), Annotated[float, Field(ge=0.01, le=10)]),
    "management_fee": Annotated[float, Field(ge=0, le=0.02)],
    "performance_fee": Annotated[float, Field(ge=0, le=0.20)],
    **dict.fromkeys(("strike_step", "min_fill"), Annotated[tuple[Annotated[float, Field(gt=0)], ...], _EACH]),
    **dict.fromkeys(("health_floor", "health_target"), Annotated[float, _HEALTH]),
}
_REQUIRED: Final[dict[str, Any]] = {name: (kind, ...) for name, kind in _KINDS.items()}
_File: Final = create_model(
    "_File",
    __config__=ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False),
    **_REQUIRED,
)

# What the contracts' constructors refuse, and pairs that no reviewer can have meant.
_ORDERED: Final = (
    ("min_vol", "max_vol"),
    ("min_half_spread", "max_half_spread"),
    ("vol_per_hour", "vol_per_day"),
    ("delta_target", "delta_hard"),
    ("notional_expiry", "notional_total"),
    ("notional_series", "notional_expiry"),
    ("health_floor", "health_target"),
    ("emergency_per_day", "distress_per_day"),
)


def load_parameters(path: Path = PATH) -> Parameters:
    """Read the parameters of a deployment. Every one must be in the file, so that whoever reviews it sees them all.

    Raises:
        ConfigError: missing, not TOML, a parameter is missing or unknown, or cannot be right. Names file and key.
    """
    table = read_table(path, "Take parameters.toml of the sources, and review what you change.")
    try:
        values = _File.model_validate(table).model_dump()
    except ValidationError as error:
        raise _refused(path, problem_of(error, _near)) from None
    for lower, upper in _ORDERED:
        if values[lower] > values[upper]:
            raise _refused(path, f"`{lower}`, {values[lower]}, is above `{upper}`, {values[upper]}")
    each = ("max_price_age", "opening_vol", "strike_step", "min_fill")
    if len({len(values[name]) for name in each}) > 1:
        raise _refused(path, f"{', '.join(f'`{name}`' for name in each)} have not the same length")
    return Parameters(**values)


def _refused(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"{path}: {problem}.", kept="Nothing was sent.", todo="See parameters.toml of the sources.")


def _near(_: Location) -> str:
    return f"are {', '.join(_KINDS)}"
