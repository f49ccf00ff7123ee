"""What the snapshot trades: one row per market and reserve. A new underlying is a new row."""

from dataclasses import dataclass
from typing import Final

from keeper.simulation import addresses

HEAD_TIMESTAMP: Final = 1_795_046_400  # Thursday 2026-11-19 00:00 UTC
FIRST_BLOCK: Final = 26_449_000  # so that the head is near mainnet's block at that time
BASE_FEE: Final = 10**9  # wei


@dataclass(frozen=True)
class Band:
    """Liquidity worth `usd` within a price factor of 1 + width either way; None is the full range."""

    usd: float
    width: float | None


@dataclass(frozen=True)
class Pool:
    """A Uniswap v3 pool against USDC; `fee` in millionths."""

    fee: int
    address: str
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Reserve:
    """An Aave v3 reserve. Ratios in basis points, rates in percent a year, amounts in whole tokens."""

    symbol: str
    asset: str
    decimals: int
    price_feed: str
    configurator_nonce: int  # of its first token proxy: this puts the tokens at their mainnet addresses
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


@dataclass(frozen=True)
class Market:
    """An underlying: its token, its feeds (all follow one price) and its pools."""

    symbol: str
    token: str
    decimals: int
    price_usd: float
    feeds: tuple[str, ...]
    pools: tuple[Pool, ...]


ETH: Final = Market(
    symbol="ETH",
    token=addresses.WETH,
    decimals=18,
    price_usd=3_000.0,
    feeds=(addresses.ETH_USD_FEED, addresses.AAVE_ETH_USD_FEED),
    pools=(
        # The shape of busy pools: most of the depth is near the money. The wide bands stand for the liquidity that
        # follows a price that runs away.
        Pool(
            500,
            addresses.POOL_USDC_WETH_500,
            (Band(20e6, 0.01), Band(25e6, 0.03), Band(30e6, 0.10), Band(40e6, 1.5), Band(15e6, None)),
        ),
        Pool(3000, addresses.POOL_USDC_WETH_3000, (Band(20e6, 0.10), Band(25e6, 1.5), Band(15e6, None))),
    ),
)

BTC: Final = Market(
    symbol="BTC",
    token=addresses.WBTC,
    decimals=8,
    price_usd=90_000.0,
    feeds=(addresses.BTC_USD_FEED,),
    pools=(Pool(3000, addresses.POOL_WBTC_USDC_3000, (Band(20e6, 0.10), Band(25e6, 1.5), Band(15e6, None))),),
)

MARKETS: Final = (ETH, BTC)
USDC_USD: Final = 1.0

RESERVES: Final = (
    Reserve(
        symbol="WETH",
        asset=addresses.WETH,
        decimals=18,
        price_feed=addresses.AAVE_ETH_USD_FEED,
        configurator_nonce=1,
        loan_to_value=8050,
        liquidation_threshold=8300,
        liquidation_bonus=10500,
        reserve_factor=1500,
        optimal_usage=90.0,
        slope_1=2.7,
        slope_2=80.0,
        supply_cap=3_000_000,
        borrow_cap=2_700_000,
        supplied=150_000,
        borrowed=85_000,
        a_token=addresses.AAVE_WETH,
        debt_token=addresses.AAVE_WETH_DEBT,
    ),
    Reserve(
        symbol="WBTC",
        asset=addresses.WBTC,
        decimals=8,
        price_feed=addresses.BTC_USD_FEED,
        configurator_nonce=7,
        loan_to_value=7300,
        liquidation_threshold=7800,
        liquidation_bonus=10500,
        reserve_factor=5000,
        optimal_usage=80.0,
        slope_1=4.0,
        slope_2=300.0,
        supply_cap=43_000,
        borrow_cap=28_000,
        supplied=30_000,
        borrowed=3_000,
        a_token=addresses.AAVE_WBTC,
        debt_token=addresses.AAVE_WBTC_DEBT,
    ),
    Reserve(
        symbol="USDC",
        asset=addresses.USDC,
        decimals=6,
        price_feed=addresses.USDC_USD_FEED,
        configurator_nonce=10,
        loan_to_value=7500,
        liquidation_threshold=7800,
        liquidation_bonus=10450,
        reserve_factor=1000,
        optimal_usage=92.0,
        slope_1=5.5,
        slope_2=40.0,
        supply_cap=6_500_000_000,
        borrow_cap=6_000_000_000,
        supplied=900_000_000,
        borrowed=250_000_000,
        a_token=addresses.AAVE_USDC,
        debt_token=addresses.AAVE_USDC_DEBT,
    ),
)
