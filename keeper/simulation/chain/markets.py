"""What the mainnet snapshot trades: one row per market and reserve. A new underlying is a new row."""

from typing import Final

from keeper.simulation.chain import addresses
from keeper.simulation.chain.plan import Band, Market, Pool, Reserve

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
