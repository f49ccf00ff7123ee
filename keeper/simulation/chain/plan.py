"""What a local chain is built from: which published contracts are where, and what they are seeded with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

HEAD_TIMESTAMP: Final = 1_795_046_400  # of every chain's newest block: Thursday 2026-11-19 00:00 UTC


@dataclass(frozen=True)
class Band:
    """Liquidity worth `usd` within a price factor of 1 + width either way; None is the full range."""

    usd: float
    width: float | None


@dataclass(frozen=True)
class Profile:
    """A pool as it was once: `intervals` of (lower tick, upper tick, liquidity), which do not overlap."""

    root: int  # sqrtPriceX96
    intervals: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Pool:
    """A Uniswap v3 pool against USDC; `fee` in millionths. It is seeded with `profile`, else with `bands`."""

    fee: int
    address: str
    bands: tuple[Band, ...]
    profile: Profile | None = None


@dataclass(frozen=True)
class Market:
    """An underlying: its token, its feeds (all follow one price) and its pools."""

    symbol: str
    token: str
    decimals: int
    price_usd: float
    feeds: tuple[str, ...]
    pools: tuple[Pool, ...]


@dataclass(frozen=True)
class Reserve:
    """An Aave v3 reserve. Ratios in basis points, rates in percent a year, amounts in whole tokens."""

    symbol: str
    asset: str
    decimals: int
    price_feed: str
    configurator_nonce: int  # of its first token proxy: this puts the tokens at their published addresses
    loan_to_value: int
    liquidation_threshold: int
    liquidation_bonus: int
    reserve_factor: int
    optimal_usage: float
    slope_1: float
    slope_2: float
    supply_cap: int
    borrow_cap: int
    supplied: int
    borrowed: int
    a_token: str
    debt_token: str


class TokenKind(Enum):
    """Which published contract a token is."""

    WETH9 = "WETH9"
    FIAT_TOKEN = "Circle's FiatToken v2.2"
    LINK = "LINK"
    TEST_ERC20 = "Aave's TestnetERC20"
    TEST_WETH = "Aave's WETH9Mock"


@dataclass(frozen=True)
class Token:
    """A token and who may mint it; ether is wrapped for WETH9, nobody mints LINK."""

    kind: TokenKind
    address: str
    minter: str = ""
    name: str = ""
    symbol: str = ""
    decimals: int = 18


@dataclass(frozen=True)
class UniswapContracts:
    """Uniswap v3. Where a chain has no first router, `swap_router` is empty."""

    factory: str
    owner: str
    v2_factory: str
    position_manager: str
    position_descriptor: str
    swap_router: str
    swap_router_02: str
    quoter_v2: str
    tick_lens: str


@dataclass(frozen=True)
class AaveContracts:
    """An Aave v3 market. `fixed_prices` are sources of its oracle that never move, in USD, as testnets have them."""

    market: str  # "Aave Ethereum Market"
    name: str  # in the names of its tokens: "Ethereum"
    short_name: str  # in their symbols: "Eth"
    provider: str
    pool: str
    configurator: str
    rewards: str
    emission_manager: str
    oracle: str
    data_provider: str
    acl_manager: str
    admin: str
    collector: str
    rate_strategy: str
    registry: str = ""
    faucet: str = ""
    fixed_prices: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ChainPlan:
    """A chain. `recording` is the file of recorded pools that those of `markets` are seeded from, if there is one."""

    name: str
    chain_id: int
    first_block: int
    tokens: tuple[Token, ...]
    usdc: str
    usdc_feed: str
    link: str
    feed_owner: str
    uniswap: UniswapContracts
    aave: AaveContracts
    markets: tuple[Market, ...]
    reserves: tuple[Reserve, ...]
    recording: Path | None = None

    def token(self, address: str) -> Token:
        """The token at an address."""
        return next(token for token in self.tokens if token.address == address)

    @property
    def weth9(self) -> str:
        """The token that wraps the chain's ether."""
        return next(token.address for token in self.tokens if token.kind is TokenKind.WETH9)
