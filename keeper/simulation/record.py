"""What a demo run leaves behind: everything that its summary and its report are made of. Floats in USDC and units."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The vault after one step of the market, and the keeper's decision on it; ``delta`` and ``band`` in units.

    ``posted_vol`` is at the money, the mean over live expiries. ``nav_unhedged`` is what ``nav_mid`` would be had
    nothing ever been hedged: deposits, premiums and options only.
    """

    block: int
    timestamp: int
    price: float
    pool_price: float
    market_vol: float
    posted_vol: float
    base_fee_gwei: float
    nav_bid: float
    nav_mid: float
    nav_unhedged: float
    share_price: float
    initial_margin: float
    maintenance_margin: float
    gap_headroom: float
    option_delta: float
    spot_units: float
    short_units: float
    delta: float
    band: float
    gamma_use: float  # share of the gamma band in use
    vega_use: float
    idle: float
    owed: float
    mode: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One rebalance that was mined. Costs in USDC: pool fees, price impact, distance of pool from oracle, gas."""

    sequence: int
    decided_at: int
    timestamp: int
    transaction: str
    reason: str
    legs: tuple[str, ...]
    price: float
    delta_before: float
    delta_after: float
    band: float
    turnover: float
    fees: float
    impact: float
    basis: float
    gas: float
    gas_used: int
    recorded_loss: float
    binding: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One option trade with a taker: size in units, price and premium in USDC."""

    timestamp: int
    series: str
    vault_sells: bool
    size: float
    price: float
    premium: float
    vol: float


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """One settled series: fixing and payout per unit, what was paid to holders in all."""

    timestamp: int
    series: str
    fixing: float
    payout: float
    size: float
    paid: float


@dataclass(frozen=True, slots=True)
class CashFlow:
    """A deposit (positive) or redemption (negative) of a depositor, with the shares minted or burned.

    ``note`` says what was odd about it.
    """

    timestamp: int
    who: str
    usdc: float
    shares: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class BookCheck:
    """One identity of the books in the smallest unit of what it counts."""

    name: str
    expected: int
    actual: int
    unit: str

    @property
    def holds(self) -> bool:
        """Whether both sides agree to the unit."""
        return self.expected == self.actual


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """A whole run. ``costs`` by cause and ``profit`` by source in USDC, each summing to what the checks confirm."""

    market: str  # which path it took, for people
    seed: int
    hours: float
    seconds: float
    crash_from: int  # timestamp at which the path begins, after the quiet day
    steps: tuple[StepRecord, ...]
    trades: tuple[TradeRecord, ...]
    fills: tuple[FillRecord, ...]
    settlements: tuple[SettlementRecord, ...]
    flows: tuple[CashFlow, ...]
    costs: dict[str, float]
    profit: dict[str, float]
    checks: tuple[BookCheck, ...] = field(default_factory=tuple)

    @property
    def books_balance(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(check.holds for check in self.checks)
