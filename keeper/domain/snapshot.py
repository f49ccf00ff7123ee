"""What the keeper sees: everything a decision depends on, read at one block hash. Integers are as on chain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keeper.domain.series import Position
from keeper.domain.units import MAX_UINT256


class Mode(StrEnum):
    """Mode of the Vault; the order is that of its flag."""

    NORMAL = "normal"
    REDUCE_ONLY = "reduce-only"
    FROZEN = "frozen"


class VenueKind(StrEnum):
    """Which contract a venue is."""

    UNISWAP_V3_SPOT = "uniswap_v3_spot"
    AAVE_V3_SHORT = "aave_v3_short"
    AAVE_V3_LENDING = "aave_v3_lending"


@dataclass(frozen=True, slots=True)
class Reading:
    """PriceOracle.read: prices in USDC, WAD; ``twap_wad`` is 0 when there is none.

    All zeros stand for an underlying without a price, which no position and no exposure needs.
    """

    price_wad: int
    twap_wad: int
    updated_at: int
    doubt: bool


@dataclass(frozen=True, slots=True)
class Window:
    """IVolOracle.Window: sums of what a slice moved by in the last 24 to 28 hours, WAD.

    ``up`` of its bid volatilities upwards, ``down`` of its ask volatilities downwards.
    """

    up: int = 0
    down: int = 0
    carry_up: int = 0
    carry_down: int = 0


@dataclass(frozen=True, slots=True)
class VolSlice:
    """VolOracle.posted: theta is the at-the-money total variance from ``posted_at`` to expiry; WAD but for times."""

    theta: int
    rho: int
    phi: int
    carry: int
    half_spread: int
    posted_at: int
    window: Window = Window()


@dataclass(frozen=True, slots=True)
class Surface:
    """The slices in force, by (underlying, expiry)."""

    slices: tuple[tuple[int, int, VolSlice], ...]

    def slice_of(self, underlying: int, expiry: int) -> VolSlice:
        """
        Raises:
            KeyError: no slice is posted.
        """
        for u, e, posted in self.slices:
            if (u, e) == (underlying, expiry):
                return posted
        raise KeyError(f"no volatility slice for underlying {underlying}, expiry {expiry}")


@dataclass(frozen=True, slots=True)
class PoolState:
    """A Uniswap v3 pool of the underlying and USDC.

    ``ticks`` are the initialised ticks around the price, rising, each with the liquidity that comes in there when the
    price rises; the first and the last, initialised or not, end what was read. Empty where they were not read, and then
    the current range is all that is known.
    """

    address: str
    fee_pips: int
    sqrt_price_x96: int
    liquidity: int
    tick: int
    usdc_is_token0: bool
    token_decimals: int
    ticks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class VenueState:
    """IVenue.state at the oracle price, WAD."""

    underlying: int
    exposure: int
    equity: int
    stressed_down: int
    stressed_up: int
    health: int


@dataclass(frozen=True, slots=True)
class Lending:
    """What an Aave venue adds: annual rates as floats, threshold and health levels as shares (0.78, 1.5, 1.8).

    Attributes:
        borrow_room_wad: Units that Aave lends beyond the debt now: none while a reserve is frozen or paused.
        supply_room_usdc: USDC that it takes as collateral beyond what is there.
        payable_usdc: USDC of any collateral that it pays out: none while USDC is paused.
        is_repayable: Not while the token is paused.
    """

    borrow_rate: float
    supply_rate: float
    liquidation_threshold: float
    health_floor: float
    health_target: float
    collateral_usdc: int
    debt_wad: int
    borrow_room_wad: int = MAX_UINT256
    supply_room_usdc: int = MAX_UINT256
    payable_usdc: int = MAX_UINT256
    is_repayable: bool = True


@dataclass(frozen=True, slots=True)
class Venue:
    """A listed venue as the keeper sees it."""

    index: int
    kind: VenueKind
    address: str
    state: VenueState
    pools: tuple[PoolState, ...]
    lending: Lending | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """IRiskEngine.Assessment: one entry per underlying in the tuples, WAD."""

    nav_bid: int
    nav_mid: int
    nav_ask: int
    maintenance: int
    initial: int
    gap_headroom: int
    gross: int
    short_notional: int
    spot: tuple[int, int]
    twap: tuple[int, int]
    delta: tuple[int, int]
    gamma: tuple[int, int]
    vega: tuple[int, int]
    doubt: bool
    unfixed: bool
    stale: bool
    venue_failed: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """RiskEngine.limits, WAD shares of NAV."""

    delta_target: int
    delta_hard: int
    gamma_band: int
    vega_band: int
    notional_total: int
    notional_expiry: int
    notional_series: int
    gross_leverage: int
    liquidity_buffer: int


@dataclass(frozen=True, slots=True)
class Budgets:
    """Hedger.budgets: WAD shares."""

    loss_capacity: int
    loss_per_day: int
    turnover_capacity: int
    turnover_per_day: int
    hedging_capacity: int
    hedging_per_day: int
    emergency_capacity: int
    emergency_per_day: int
    distress_per_day: int
    leg_slippage: int


@dataclass(frozen=True, slots=True)
class VaultState:
    """The Vault's own accounts and the Hedger's; USDC amounts in smallest units, ``*_budget`` WAD shares of NAV.

    ``effective_supply`` is ``total_supply`` and the fee shares that are owed and not minted yet: prices divide by it.
    """

    idle: int
    owed: int
    total_supply: int
    effective_supply: int
    sequence: int
    mode: Mode
    loss_budget: int
    turnover_budget: int
    hedging_budget: int
    emergency_budget: int
    budgets: Budgets
    withdrawable: int = 0  # from the lending venue now

    @property
    def free(self) -> int:
        """USDC, idle or to be had from the lending venue at once, that is not owed to option holders."""
        return max(0, self.idle + self.withdrawable - self.owed)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The chain at one block, and nothing else.

    ``closes`` are daily prices of each underlying in its feed's own unit, midnight after midnight up to the last one
    before the block; 0 where there was none, and empty where they were not read.
    """

    chain_id: int
    block_number: int
    block_hash: str
    timestamp: int
    base_fee_wei: int
    keeper_balance_wei: int
    vault: VaultState
    limits: Limits
    readings: tuple[Reading, ...]
    book: tuple[Position, ...]
    surface: Surface
    venues: tuple[Venue, ...]
    assessment: Assessment
    closes: tuple[tuple[int, ...], ...] = ()

    def venue(self, index: int) -> Venue:
        """The venue at an index of the Vault's, some of which may have been vacated.

        Raises:
            KeyError: there is none.
        """
        for venue in self.venues:
            if venue.index == index:
                return venue
        raise KeyError(f"no venue {index}")
