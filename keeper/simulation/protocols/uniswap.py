"""Uniswap v3: factory, periphery, and pools against USDC with bands of liquidity."""

import math

from web3.contract import Contract

from keeper.simulation.addresses import (
    POSITION_DESCRIPTOR,
    POSITION_MANAGER,
    QUOTER_V2,
    SWAP_ROUTER,
    SWAP_ROUTER_02,
    TICK_LENS,
    UNISWAP_FACTORY,
    UNISWAP_FACTORY_OWNER,
    UNISWAP_V2_FACTORY,
    USDC,
    WETH,
)
from keeper.simulation.markets import MARKETS, USDC_USD, Market, Pool
from keeper.simulation.placement import LocalChain, PublishedContract, published
from keeper.simulation.protocols import seeding

CORE = "@uniswap/v3-core@1.0.1"
PERIPHERY = "@uniswap/v3-periphery@1.4.4"
ROUTERS = "@uniswap/swap-router-contracts@1.3.1"
OBSERVATIONS = 300  # an hour of 12 s blocks for the TWAP

_LIQUIDITY_PROVIDER = "0xE8c060F8052E07423f71D445277c61AC5138A2e5"
_TRADER = "0x28C6c06298d514Db089934071355E5743bf21d60"
_TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10_000: 200}
_MAX_TICK = 887_272
_NO_DEADLINE = 2**40


def artifact(package: str, path: str) -> PublishedContract:
    """`lens/QuoterV2` -> the artifact of contract QuoterV2 in lens/QuoterV2.sol."""
    return published(package, f"artifacts/contracts/{path}.sol/{path.rpartition('/')[2]}.json")


class Uniswap:
    def __init__(self, chain: LocalChain) -> None:
        self._chain = chain
        self._factory = chain.place(artifact(CORE, "UniswapV3Factory"), UNISWAP_FACTORY, sender=UNISWAP_FACTORY_OWNER)
        chain.transact(self._factory.functions.enableFeeAmount(100, 1), UNISWAP_FACTORY_OWNER)
        self._positions = self._place_periphery()
        self._router = chain.contract(artifact(PERIPHERY, "SwapRouter").abi, SWAP_ROUTER)
        for market in MARKETS:
            for pool in market.pools:
                self._open_pool(market, pool)

    def _place_periphery(self) -> Contract:
        chain = self._chain
        library = chain.deploy(artifact(PERIPHERY, "libraries/NFTDescriptor"))
        # On mainnet the descriptor is behind a proxy; here it is placed where the proxy is.
        chain.place(
            artifact(PERIPHERY, "NonfungibleTokenPositionDescriptor"),
            POSITION_DESCRIPTOR,
            [WETH, b"ETH".ljust(32, b"\0")],
            libraries={"NFTDescriptor": library.address},
        )
        positions = chain.place(
            artifact(PERIPHERY, "NonfungiblePositionManager"),
            POSITION_MANAGER,
            [UNISWAP_FACTORY, WETH, POSITION_DESCRIPTOR],
        )
        chain.place(artifact(PERIPHERY, "SwapRouter"), SWAP_ROUTER, [UNISWAP_FACTORY, WETH])
        chain.place(
            artifact(ROUTERS, "SwapRouter02"),
            SWAP_ROUTER_02,
            [UNISWAP_V2_FACTORY, UNISWAP_FACTORY, POSITION_MANAGER, WETH],
        )
        chain.place(artifact(ROUTERS, "lens/QuoterV2"), QUOTER_V2, [UNISWAP_FACTORY, WETH])
        chain.place(artifact(PERIPHERY, "lens/TickLens"), TICK_LENS)
        return positions

    def _open_pool(self, market: Market, pool: Pool) -> None:
        """Create the pool at the market's price, with room for observations, and mint its bands."""
        chain, price = self._chain, market.price_usd / USDC_USD
        token_0, token_1 = sorted((USDC, market.token), key=lambda token: int(token, 16))
        per_unit = price * 10.0 ** (6 - market.decimals)  # USDC base units for one base unit of the token
        ratio = 1 / per_unit if token_0 == USDC else per_unit
        root = math.isqrt(int(ratio * 2**96) << 96)
        functions = self._positions.functions
        chain.transact(functions.createAndInitializePoolIfNecessary(token_0, token_1, pool.fee, root))
        if self._factory.functions.getPool(token_0, token_1, pool.fee).call() != pool.address:
            raise RuntimeError(f"{market.symbol} {pool.fee}: the pool is not at {pool.address}")
        contract = chain.contract(artifact(CORE, "UniswapV3Pool").abi, pool.address)
        chain.transact(contract.functions.increaseObservationCardinalityNext(OBSERVATIONS))

        total = sum(band.usd for band in pool.bands)
        amounts = {USDC: int(total * 10**6), market.token: int(total / price * 10**market.decimals)}
        for asset, amount in amounts.items():
            seeding.fund(chain, asset, _LIQUIDITY_PROVIDER, amount)
            seeding.approve(chain, asset, _LIQUIDITY_PROVIDER, POSITION_MANAGER)
        tick, spacing = math.log(ratio, 1.0001), _TICK_SPACING[pool.fee]
        for band in pool.bands:
            reach = _MAX_TICK if band.width is None else math.log(1 + band.width, 1.0001)
            lower = math.ceil(max(tick - reach, -_MAX_TICK) / spacing) * spacing
            upper = math.floor(min(tick + reach, _MAX_TICK) / spacing) * spacing
            share = band.usd / total / 2
            offered = [int(amounts[asset] * share) for asset in (token_0, token_1)]
            mint = (
                token_0,
                token_1,
                pool.fee,
                lower,
                upper,
                *offered,
                0,
                0,
                _LIQUIDITY_PROVIDER,
                _NO_DEADLINE,
            )
            chain.transact(functions.mint(mint), _LIQUIDITY_PROVIDER)

    def trade(self, turn: int, usd: float) -> None:
        """A trade worth `usd` in every pool, buying on even turns and selling on odd ones."""
        chain = self._chain
        for market in MARKETS:
            amounts = {
                USDC: int(usd * 10**6),
                market.token: int(usd / market.price_usd * 10**market.decimals),
            }
            sold, bought = (USDC, market.token) if turn % 2 == 0 else (market.token, USDC)
            for pool in market.pools:
                seeding.fund(chain, sold, _TRADER, amounts[sold])
                seeding.approve(chain, sold, _TRADER, SWAP_ROUTER)
                order = (sold, bought, pool.fee, _TRADER, _NO_DEADLINE, amounts[sold], 0, 0)
                chain.transact(self._router.functions.exactInputSingle(order), _TRADER)
