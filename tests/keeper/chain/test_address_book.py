"""Address books: what can be recomputed is, and what must hold on every chain does."""

from dataclasses import asdict

import pytest
from eth_abi.abi import encode
from eth_utils.address import is_checksum_address, to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.address_book import BOOKS, MAINNET
from keeper.simulation.chain.packages import fetch_packages
from keeper.simulation.chain.protocols.uniswap import CORE, artifact

FEES = (100, 500, 3_000, 10_000)
ROLLUPS = [book for book in BOOKS if book.sequencer]
by_chain = pytest.mark.parametrize("book", BOOKS, ids=lambda book: str(book.chain_id))


def pool_of(factory, token, other, fee):
    """Where a Uniswap v3 factory puts a pool: CREATE2 with the tokens and the fee as salt."""
    fetch_packages()
    code = artifact(CORE, "UniswapV3Pool").creation_code()
    token_0, token_1 = sorted((token, other), key=to_canonical_address)
    salt = keccak(encode(["address", "address", "uint24"], [token_0, token_1, fee]))
    return to_checksum_address(keccak(b"\xff" + to_canonical_address(factory) + salt + keccak(code))[12:])


@by_chain
def test_every_pool_is_where_the_factory_puts_it(book):
    for market in book.markets:
        possible = {pool_of(book.uniswap_factory, book.usdc, market.token, fee) for fee in FEES}

        assert set(market.pools) <= possible


@by_chain
def test_every_address_has_its_checksum(book):
    def addresses(value):
        if isinstance(value, dict):
            return [found for item in value.values() for found in addresses(item)]
        if isinstance(value, list | tuple):
            return [found for item in value for found in addresses(item)]
        return [value] if isinstance(value, str) and value.startswith("0x") else []

    found = addresses(asdict(book))

    assert len(found) >= 9
    assert all(is_checksum_address(address) for address in found)


@by_chain
def test_every_underlying_has_a_pool_to_hedge_in_and_eth_comes_first(book):
    assert book.markets[0].symbol == "ETH"
    assert all(market.pools for market in book.markets)


def test_rollups_have_an_uptime_feed_and_mainnet_has_none():
    assert {book.chain_id for book in ROLLUPS} == {42_161, 8_453, 10}
    assert MAINNET.sequencer == ""
