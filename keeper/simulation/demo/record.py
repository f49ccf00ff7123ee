"""What a demo run leaves behind: everything that its summary and its report are made of.

Floats in USDC and units of an underlying; tuples over underlyings are in the order of ``DemoRecord.underlyings``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keeper.risk.attribution import Attribution, HedgingError


@dataclass(frozen=True, slots=True)
class UnderlyingStep:
    """One underlying after one step; deltas and ``band`` in units, Greeks as in `domain.valuation.OptionTotals`.

    Attributes:
        posted_vol: At the money, the mean over live expiries; the market's where none is live.
        options: The options at mid, USDC.
        pnl: Since the step before, by source.
        error: The same for net delta and gamma, by why they were not hedged away.
        outside_because: What kept net delta outside its target band after this step; empty when it is inside.
    """

    symbol: str
    price: float
    pool_price: float
    market_vol: float
    posted_vol: float
    options: float
    option_delta: float
    option_gamma: float
    option_vega: float
    option_theta: float
    spot_units: float
    short_units: float
    delta: float
    band: float
    gamma_use: float  # share of the gamma band in use
    vega_use: float
    pnl: Attribution = field(default_factory=Attribution)
    error: HedgingError = field(default_factory=HedgingError)
    outside_because: str = ""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The vault after one step of the market, and the keeper's decision on it.

    Attributes:
        nav_unhedged: What ``nav_mid`` would be had nothing ever been hedged: deposits, premiums and options only. The
            peers' vault with static collateral.
        deposited: Deposits less redemptions so far: what the depositors would hold had they kept their USDC.
        doubt: Whether an oracle is in doubt.
    """

    block: int
    timestamp: int
    base_fee_gwei: float
    nav_bid: float
    nav_mid: float
    nav_unhedged: float
    deposited: float
    share_price: float
    initial_margin: float
    maintenance_margin: float
    gap_headroom: float
    idle: float
    owed: float
    mode: str
    doubt: bool
    action: str
    reason: str
    underlyings: tuple[UnderlyingStep, ...]

    @property
    def pnl(self) -> Attribution:
        """Of all underlyings, since the step before."""
        return sum((one.pnl for one in self.underlyings), Attribution())


@dataclass(frozen=True, slots=True)
class DeltaMove:
    """Net delta of one underlying around a rebalance, units; ``band`` the target band."""

    symbol: str
    price: float
    before: float
    after: float
    band: float


@dataclass(frozen=True, slots=True)
class PoolCost:
    """What a rebalance paid in one pool, USDC: its fees, price impact, and its distance from the oracle price."""

    symbol: str
    pool: str
    fees: float
    impact: float
    basis: float

    @property
    def total(self) -> float:
        """All of them: what the trade lost against the oracle price."""
        return self.fees + self.impact + self.basis


@dataclass(frozen=True, slots=True)
class LegMove:
    """What a leg did, as on chain: units in WAD, and USDC of idle cash in smallest units (paid: negative)."""

    venue: int
    units: int
    usdc: int


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """One rebalance that was mined. Costs and ``turnover`` in USDC; ``gas`` is the keeper's.

    ``hedge_usdc`` is what its legs brought into the vault's idle cash, per underlying.
    """

    sequence: int
    decided_at: int
    block: int
    timestamp: int
    transaction: str
    reason: str
    legs: tuple[str, ...]
    deltas: tuple[DeltaMove, ...]
    pools: tuple[PoolCost, ...]
    hedge_usdc: tuple[float, ...]
    turnover: float
    gas: float
    gas_used: int
    recorded_loss: float
    binding: tuple[tuple[str, float], ...]
    moves: tuple[LegMove, ...] = ()

    @property
    def fees(self) -> float:
        """Pool fees, USDC."""
        return sum(pool.fees for pool in self.pools)

    @property
    def impact(self) -> float:
        """Price impact, USDC."""
        return sum(pool.impact for pool in self.pools)

    @property
    def basis(self) -> float:
        """Cost of pools being away from the oracle, USDC."""
        return sum(pool.basis for pool in self.pools)


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One option trade with a taker: size in units, price and mid per unit and premium in USDC."""

    timestamp: int
    symbol: str
    series: str
    taker: str
    vault_sells: bool
    size: float
    price: float
    mid: float
    premium: float
    vol: float

    @property
    def edge(self) -> float:
        """What the trade was worth to the vault at mid, USDC."""
        return (self.price - self.mid) * self.size * (1 if self.vault_sells else -1)


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """One settled series: fixing and payout per unit, what is promised to holders and what they have claimed."""

    timestamp: int
    symbol: str
    series: str
    fixing: float
    payout: float
    size: float
    owed: float
    paid: float = 0.0


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
class EpochFill:
    """What one epoch of the queue filled of a request: shares, USDC per share, and the share of what was waiting."""

    epoch: int
    timestamp: int
    shares: float
    price: float
    filled: float


@dataclass(frozen=True, slots=True)
class RedemptionRecord:
    """One redemption from the wish to the cash.

    ``kind`` is "instant" or "queued". An instant one has neither epoch nor fills and is claimed when it is requested.
    ``claimed_at`` is None while nothing was claimed.
    """

    who: str
    kind: str
    requested_at: int
    shares: float
    epoch: int | None = None
    fills: tuple[EpochFill, ...] = ()
    claimed_at: int | None = None
    claimed_shares: float = 0.0
    usdc: float = 0.0
    note: str = ""

    @property
    def price(self) -> float | None:
        """USDC per share that was paid."""
        return self.usdc / self.claimed_shares if self.claimed_shares else None

    @property
    def waited(self) -> int | None:
        """Seconds from the request to the cash."""
        return None if self.claimed_at is None else self.claimed_at - self.requested_at


@dataclass(frozen=True, slots=True)
class BookCheck:
    """One identity of the books in the smallest unit of what it counts; ``at_least`` where it is a bound."""

    name: str
    expected: int
    actual: int
    unit: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether both sides agree to the unit, or the bound is kept."""
        return self.actual >= self.expected if self.at_least else self.expected == self.actual


@dataclass(frozen=True, slots=True)
class DemoRecord:
    """A whole run."""

    market: str  # which path it took, for people
    seed: int
    hours: float
    seconds: float
    crash_from: int  # timestamp at which the path begins, after the quiet day
    underlyings: tuple[str, ...]
    steps: tuple[StepRecord, ...]
    trades: tuple[TradeRecord, ...]
    fills: tuple[FillRecord, ...]
    settlements: tuple[SettlementRecord, ...]
    flows: tuple[CashFlow, ...]
    redemptions: tuple[RedemptionRecord, ...] = ()
    checks: tuple[BookCheck, ...] = field(default_factory=tuple)

    @property
    def books_balance(self) -> bool:
        """Whether every check holds."""
        return bool(self.checks) and all(check.holds for check in self.checks)
