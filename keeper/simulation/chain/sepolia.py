"""Ethereum Sepolia as a plan: Aave's market with its own test tokens and faucet, and Uniswap without a pool for them.

What a deployment stands on comes from keeper/chain/address_book.py, the rest from the packages that it names. It
differs from the real Sepolia in what no package says: Aave's version (here the newest, as on mainnet), its oracle's
fixed prices, its rates and caps, and the feeds' owner.
"""

from typing import Final

from keeper.chain.address_book import SEPOLIA as BOOK
from keeper.simulation.chain import addresses
from keeper.simulation.chain.plan import AaveContracts, ChainPlan, Market, Reserve, Token, TokenKind, UniswapContracts

assert BOOK.own_pool is not None
_ETH: Final = BOOK.markets[0]
_FAUCET: Final = BOOK.own_pool.faucet
_WETH9: Final = "0xfFf9976782d46CC05630D1f6eBAb18b2324d6B14"
_LINK: Final = "0x779877A7B0D9E8603169DdbD7836e478b4624789"
_WETH_PRICE: Final = "0xDde0E8E6d3653614878Bf5009EDC317BC129fE2F"
_USDC_PRICE: Final = "0x98458D6A99489F15e6eB5aFa67ACFAcf6F211051"

SEPOLIA: Final = ChainPlan(
    name="sepolia",
    chain_id=BOOK.chain_id,
    first_block=9_700_000,
    tokens=(
        Token(TokenKind.WETH9, _WETH9),
        Token(TokenKind.LINK, _LINK),
        Token(TokenKind.TEST_WETH, _ETH.token, _FAUCET, "Wrapped Ether", "WETH"),
        Token(TokenKind.TEST_ERC20, BOOK.usdc, _FAUCET, "USDC", "USDC", 6),
    ),
    usdc=BOOK.usdc,
    usdc_feed=BOOK.usdc_feed,
    link=_LINK,
    feed_owner=addresses.FEED_OWNER,
    uniswap=UniswapContracts(
        factory=BOOK.uniswap_factory,
        owner=addresses.UNISWAP_FACTORY_OWNER,
        v2_factory="0xF62c03E08ada871A0bEb309762E260a7a6a880E6",
        position_manager=BOOK.own_pool.position_manager,
        position_descriptor=addresses.POSITION_DESCRIPTOR,
        swap_router="",
        swap_router_02=BOOK.own_pool.router,
        quoter_v2="0xEd1f6473345F45b75F8179591dd5bA1888cf2FB3",
        tick_lens="0x0b343475d44EC2b4b8243EBF81dc888BF0A14b36",
    ),
    aave=AaveContracts(
        market="Aave Testnet Market",
        name="Sepolia",
        short_name="EthSep",
        provider="0x012bAC54348C0E635dCAc9D5FB99f06F24136C9A",
        pool=BOOK.aave_pool,
        configurator="0x7Ee60D184C24Ef7AfC1Ec7Be59A0f448A0abd138",
        rewards="0x4DA5c4da71C5a167171cC839487536d86e083483",
        emission_manager="0x098a890BAfDf6FB4ACD24bF107D20EA15D229C62",
        oracle=BOOK.aave_oracle,
        data_provider=BOOK.aave_data_provider,
        acl_manager="0x7F2bE3b178deeFF716CD6Ff03Ef79A1dFf360ddD",
        admin="0xfA0e305E0f46AB04f00ae6b5f4560d61a2183E00",
        collector="0x604264f8017fEF3b11B3dD63537CB501560380B5",
        rate_strategy="0xCA30c502d52F905FB3D04eE60cA48F5A1A89f8dB",
        faucet=_FAUCET,
        fixed_prices={_WETH_PRICE: 4_000.0, _USDC_PRICE: 1.0},
    ),
    markets=(Market("ETH", _ETH.token, 18, price_usd=3_000.0, feeds=(_ETH.feed,), pools=()),),
    reserves=(
        Reserve(
            symbol="WETH",
            asset=_ETH.token,
            decimals=18,
            price_feed=_WETH_PRICE,
            configurator_nonce=13,
            loan_to_value=8000,
            liquidation_threshold=8250,
            liquidation_bonus=10500,
            reserve_factor=1000,
            optimal_usage=80.0,
            slope_1=3.8,
            slope_2=80.0,
            supply_cap=0,
            borrow_cap=0,
            supplied=5_000,
            borrowed=1_000,
            a_token="0x5b071b590a59395fE4025A0Ccc1FcC931AAc1830",
            debt_token="0x22a35DB253f4F6D0029025D6312A3BdAb20C2c6A",
        ),
        Reserve(
            symbol="USDC",
            asset=BOOK.usdc,
            decimals=6,
            price_feed=_USDC_PRICE,
            configurator_nonce=7,
            loan_to_value=8000,
            liquidation_threshold=8500,
            liquidation_bonus=10500,
            reserve_factor=1000,
            optimal_usage=90.0,
            slope_1=4.0,
            slope_2=60.0,
            supply_cap=0,
            borrow_cap=0,
            supplied=50_000_000,
            borrowed=10_000_000,
            a_token="0x16dA4541aD1807f4443d92D26044C1147406EB80",
            debt_token="0x36B5dE936eF1710E1d22EabE5231b28581a92ECc",
        ),
    ),
)
