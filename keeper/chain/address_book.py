"""Where the protocols that Keel stands on are, per chain. Every address is from a published package:

- Aave's contracts and its markets' tokens: npm @bgd-labs/aave-address-book 4.44.22, `AaveV3<chain>.sol`.
- Chainlink's feeds: the same, `Chainlink<chain>.sol`, and npm @chainlink/mcp-server 0.0.1-alpha.17, `data/feeds`, which
  alone has Sepolia's.
- Uniswap's factories and periphery: npm @uniswap/sdk-core 7.19.4, `addresses.js`. The pools follow from them: CREATE2
  of factory, tokens, fee and the code of npm @uniswap/v3-core 1.0.1 (tests/keeper/chain/test_address_book.py).

Rollups have ETH only: nobody has checked how deep their bitcoin markets are. A deployment on guesses would lose money.
"""

from __future__ import annotations

from dataclasses import dataclass

from keeper.errors import KeelError


@dataclass(frozen=True, slots=True)
class MarketAddresses:
    """One underlying: its token, its Chainlink USD feed and its Uniswap v3 pools against USDC, the deepest first."""

    symbol: str
    token: str
    decimals: int
    feed: str
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnPool:
    """Where a lending market's tokens are traded nowhere: with what a deployment makes and fills a pool of its own.

    Attributes:
        fee: Of the pool, millionths.
        faucet: Aave's, which mints its market's test tokens for everybody.
    """

    fee: int
    position_manager: str
    router: str
    faucet: str


@dataclass(frozen=True, slots=True)
class AddressBook:
    """The addresses that a deployment needs.

    Attributes:
        markets: In the order of the contracts' underlying indices.
        sequencer: Chainlink's sequencer uptime feed, empty where there is no sequencer.
        own_pool: For the first pool of each market, on chains where a deployment has to make it.
    """

    chain_id: int
    uniswap_factory: str
    usdc: str
    usdc_feed: str
    aave_pool: str
    aave_oracle: str
    aave_data_provider: str
    markets: tuple[MarketAddresses, ...]
    sequencer: str = ""
    own_pool: OwnPool | None = None


MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"  # the same on every chain

MAINNET = AddressBook(
    chain_id=1,
    uniswap_factory="0x1F98431c8aD98523631AE4a59f267346ea31F984",
    usdc="0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    usdc_feed="0x8fFfFfd4AfB6115b954Bd326cbe7B4BA576818f6",
    aave_pool="0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
    aave_oracle="0x54586bE62E3c3580375aE3723C145253060Ca0C2",
    aave_data_provider="0x0a16f2FCC0D44FaE41cc54e079281D84A363bECD",
    markets=(
        MarketAddresses(
            symbol="ETH",
            token="0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            decimals=18,
            feed="0x5f4eC3Df9cbd43714FE2740f5E3616155c5b8419",
            pools=("0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640",),
        ),
        MarketAddresses(
            symbol="BTC",
            token="0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599",
            decimals=8,
            feed="0xF4030086522a5bEEa4988F8cA5B36dbC97BeE88c",
            pools=("0x99ac8cA7087fA4A2A1FB6357269965A2014ABc35",),
        ),
    ),
)

SEPOLIA = AddressBook(
    chain_id=11_155_111,
    uniswap_factory="0x0227628f3F023bb0B980b67D528571c95c6DaC1c",
    # Aave's test tokens, which are neither Circle's USDC nor the WETH of Uniswap.
    usdc="0x94a9D9AC8a22534E3FaCa9F4e7F2E2cf85d5E4C8",
    usdc_feed="0xA2F78ab2355fe2f984D808B5CeE7FD0A93D5270E",
    aave_pool="0x6Ae43d3271ff6888e7Fc43Fd7321a503ff738951",
    aave_oracle="0x2da88497588bf89281816106C7259e31AF45a663",
    aave_data_provider="0x3e9708d80f7B3e43118013075F7e95CE3AB31F31",
    markets=(
        MarketAddresses(
            symbol="ETH",
            token="0xC558DBdd856501FCd9aaF1E62eae57A9F0629a3c",
            decimals=18,
            feed="0x694AA1769357215DE4FAC081bf1f309aDC325306",
            pools=("0xd37AC323adF2B42ACde752e765feb586Fa9B450F",),  # 0.05 %
        ),
    ),
    own_pool=OwnPool(
        fee=500,
        position_manager="0x1238536071E1c677A632429e3655c799b22cDA52",
        router="0x3bFA4769FB09eefC5a80d6E87c3B9C650f7Ae48E",
        faucet="0xC959483DBa39aa9E78757139af0e9a2EDEb3f42D",
    ),
)

ARBITRUM = AddressBook(
    chain_id=42_161,
    uniswap_factory="0x1F98431c8aD98523631AE4a59f267346ea31F984",
    usdc="0xaf88d065e77c8cC2239327C5EDb3A432268e5831",  # Circle's own, `USDCn` at Aave; not the bridged one
    usdc_feed="0x50834F3163758fcC1Df9973b6e91f0F0F0434aD3",
    aave_pool="0x794a61358D6845594F94dc1DB02A252b5b4814aD",
    aave_oracle="0xb56c2F0B653B2e0b10C9b928C8580Ac5Df02C7C7",
    aave_data_provider="0x243Aa95cAC2a25651eda86e80bEe66114413c43b",
    markets=(
        MarketAddresses(
            symbol="ETH",
            token="0x82aF49447D8a07e3bd95BD0d56f35241523fBab1",
            decimals=18,
            feed="0x639Fe6ab55C921f74e7fac1ee960C0B6293ba612",
            pools=("0xC6962004f452bE9203591991D15f6b388e09E8D0",),  # 0.05 %
        ),
    ),
    sequencer="0xFdB631F5EE196F0ed6FAa767959853A9F217697D",
)

BASE = AddressBook(
    chain_id=8_453,
    uniswap_factory="0x33128a8fC17869897dcE68Ed026d694621f6FDfD",
    usdc="0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    usdc_feed="0x7e860098F58bBFC8648a4311b374B1D669a2bc6B",
    aave_pool="0xA238Dd80C259a72e81d7e4664a9801593F98d1c5",
    aave_oracle="0x2Cc0Fc26eD4563A5ce5e8bdcfe1A2878676Ae156",
    aave_data_provider="0x0F43731EB8d45A581f4a36DD74F5f358bc90C73A",
    markets=(
        MarketAddresses(
            symbol="ETH",
            token="0x4200000000000000000000000000000000000006",
            decimals=18,
            feed="0x71041dddad3595F9CEd3DcCFBe3D1F4b0a16Bb70",
            pools=("0xd0b53D9277642d899DF5C87A3966A349A798F224",),  # 0.05 %
        ),
    ),
    sequencer="0xBCF85224fc0756B9Fa45aA7892530B47e10b6433",
)

OPTIMISM = AddressBook(
    chain_id=10,
    uniswap_factory="0x1F98431c8aD98523631AE4a59f267346ea31F984",
    usdc="0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",  # Circle's own, `USDCn` at Aave; not the bridged one
    usdc_feed="0x16a9FA2FDa030272Ce99B29CF780dFA30361E0f3",
    aave_pool="0x794a61358D6845594F94dc1DB02A252b5b4814aD",
    aave_oracle="0xD81eb3728a631871a7eBBaD631b5f424909f0c77",
    aave_data_provider="0x243Aa95cAC2a25651eda86e80bEe66114413c43b",
    markets=(
        MarketAddresses(
            symbol="ETH",
            token="0x4200000000000000000000000000000000000006",
            decimals=18,
            feed="0x13e3Ee699D1909E989722E753853AE30b17e08c5",
            pools=("0x1fb3cf6e48F1E7B10213E7b6d87D4c073C7Fdb7b",),  # 0.05 %
        ),
    ),
    sequencer="0x371EAD81c9102C9BF4874A9075FFFf170F2Ee389",
)

BOOKS = (MAINNET, SEPOLIA, ARBITRUM, BASE, OPTIMISM)

_BY_CHAIN = {book.chain_id: book for book in BOOKS}


def address_book(chain_id: int) -> AddressBook:
    """
    Raises:
        KeelError: there is no address book for the chain.
    """
    if chain_id not in _BY_CHAIN:
        known = ", ".join(str(known) for known in sorted(_BY_CHAIN))
        raise KeelError(
            f"Keel has no address book for chain {chain_id}; it knows {known}.",
            kept="Nothing was sent.",
            todo="Connect to a chain that Keel knows, or add its addresses to keeper/chain/address_book.py.",
        )
    return _BY_CHAIN[chain_id]
