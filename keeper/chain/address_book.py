"""Where the protocols that Keel stands on are, per chain. Checked against published packages."""

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
class AddressBook:
    """The addresses that a deployment needs. ``markets`` are in the order of the contracts' underlying indices."""

    chain_id: int
    usdc: str
    usdc_feed: str
    aave_pool: str
    aave_oracle: str
    aave_data_provider: str
    markets: tuple[MarketAddresses, ...]


MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"  # the same on every chain

MAINNET = AddressBook(
    chain_id=1,
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

_BOOKS = {book.chain_id: book for book in (MAINNET,)}

# Chains that a book is meant for, and what nobody has checked yet. A deployment on guesses would lose money.
_L2_LACKS = "Aave's oracle and data provider, the Uniswap pool, and a check that the sequencer is up"
_UNCHECKED = {
    11_155_111: ("Sepolia", "the USDC/USD feed, and a Uniswap pool of Aave's tokens, which are not Uniswap's"),
    42_161: ("Arbitrum", _L2_LACKS),
    8_453: ("Base", _L2_LACKS),
    10: ("Optimism", _L2_LACKS),
}


def address_book(chain_id: int) -> AddressBook:
    """
    Raises:
        KeelError: there is no address book for the chain.
    """
    if chain_id in _UNCHECKED:
        name, lacks = _UNCHECKED[chain_id]
        raise KeelError(
            f"Keel has no checked addresses for {name}, chain {chain_id}: it lacks {lacks}.",
            kept="Nothing was sent.",
            todo="Rehearse on a fork of mainnet, or check what lacks and add it to keeper/chain/address_book.py.",
        )
    if chain_id not in _BOOKS:
        known = ", ".join(str(known) for known in sorted(_BOOKS))
        raise KeelError(
            f"Keel has no address book for chain {chain_id}; it knows {known}.",
            kept="Nothing was sent.",
            todo="Connect to a chain that Keel knows, or add its addresses to keeper/chain/address_book.py.",
        )
    return _BOOKS[chain_id]
