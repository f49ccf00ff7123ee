"""Uniswap v3: factory, periphery, and pools against USDC with bands of liquidity, or with a recorded profile."""

import math
from collections.abc import Iterator
from decimal import Decimal, localcontext

from web3.contract import Contract

from keeper.simulation.chain.placement import LocalChain, PublishedContract, published
from keeper.simulation.chain.plan import Band, ChainPlan, Market, Pool, Profile
from keeper.simulation.chain.protocols import seeding
from keeper.simulation.chain.protocols.chainlink import USDC_USD
from keeper.simulation.contract_calls import call_data

CORE = "@uniswap/v3-core@1.0.1"
PERIPHERY = "@uniswap/v3-periphery@1.4.4"
ROUTERS = "@uniswap/swap-router-contracts@1.3.1"
OBSERVATIONS = 300  # an hour of 12 s blocks for the TWAP

_LIQUIDITY_PROVIDER = "0xE8c060F8052E07423f71D445277c61AC5138A2e5"
_TRADER = "0x28C6c06298d514Db089934071355E5743bf21d60"
_TRADER_USD = 1e9
TICK_SPACING = {100: 1, 500: 10, 3000: 60, 10_000: 200}
_MAX_TICK = 887_272
_NO_DEADLINE = 2**40
_MINTS = 30  # in one transaction: 9M gas
_Q96 = 2**96
_MINT = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"

_Mint = tuple[int, int, int, int]  # lower tick, upper tick, most of token 0, most of token 1


def artifact(package: str, path: str) -> PublishedContract:
    """`lens/QuoterV2` -> the artifact of contract QuoterV2 in lens/QuoterV2.sol."""
    return published(package, f"artifacts/contracts/{path}.sol/{path.rpartition('/')[2]}.json")


class Uniswap:
    def __init__(self, chain: LocalChain, plan: ChainPlan) -> None:
        self._chain = chain
        self._plan = plan
        at = plan.uniswap
        self._factory = chain.place(artifact(CORE, "UniswapV3Factory"), at.factory, sender=at.owner)
        chain.transact(self._factory.functions.enableFeeAmount(100, 1), at.owner)
        self._positions = self._place_periphery()
        self._router = chain.contract(artifact(ROUTERS, "SwapRouter02").abi, at.swap_router_02)

    def open_pools(self) -> None:
        """Create and fill the markets' pools, and equip who trades in them."""
        for market in self._plan.markets:
            for pool in market.pools:
                self._open_pool(market, pool)
            for asset, amount in self._worth(market, _TRADER_USD).items():
                self._equip(_TRADER, asset, amount, self._router.address)

    def _equip(self, account: str, asset: str, amount: int, spender: str) -> None:
        seeding.fund(self._chain, self._plan.token(asset), account, amount)
        seeding.approve(self._chain, asset, account, spender)

    def _worth(self, market: Market, usd: float) -> dict[str, int]:
        """What `usd` buys of each token, in base units."""
        token = int(usd / market.price_usd * 10**market.decimals)
        return {self._plan.usdc: int(usd / USDC_USD * 10**6), market.token: token}

    def _place_periphery(self) -> Contract:
        chain, at, weth = self._chain, self._plan.uniswap, self._plan.weth9
        library = chain.deploy(artifact(PERIPHERY, "libraries/NFTDescriptor"))
        # On mainnet the descriptor is behind a proxy; here it is placed where the proxy is.
        chain.place(
            artifact(PERIPHERY, "NonfungibleTokenPositionDescriptor"),
            at.position_descriptor,
            [weth, b"ETH".ljust(32, b"\0")],
            libraries={"NFTDescriptor": library.address},
        )
        positions = chain.place(
            artifact(PERIPHERY, "NonfungiblePositionManager"),
            at.position_manager,
            [at.factory, weth, at.position_descriptor],
        )
        if at.swap_router:
            chain.place(artifact(PERIPHERY, "SwapRouter"), at.swap_router, [at.factory, weth])
        chain.place(
            artifact(ROUTERS, "SwapRouter02"),
            at.swap_router_02,
            [at.v2_factory, at.factory, at.position_manager, weth],
        )
        chain.place(artifact(ROUTERS, "lens/QuoterV2"), at.quoter_v2, [at.factory, weth])
        chain.place(artifact(PERIPHERY, "lens/TickLens"), at.tick_lens)
        return positions

    def _open_pool(self, market: Market, pool: Pool) -> None:
        """Create the pool with room for observations, at its recorded price or the market's, and fill it."""
        chain, profile = self._chain, pool.profile
        pair = self._pair(market)
        root = profile.root if profile else self._root(market)
        functions = self._positions.functions
        chain.transact(functions.createAndInitializePoolIfNecessary(*pair, pool.fee, root))
        if self._factory.functions.getPool(*pair, pool.fee).call() != pool.address:
            raise RuntimeError(f"{market.symbol} {pool.fee}: the pool is not at {pool.address}")
        contract = chain.contract(artifact(CORE, "UniswapV3Pool").abi, pool.address)
        chain.transact(contract.functions.increaseObservationCardinalityNext(OBSERVATIONS))

        mints = list(_of_profile(profile) if profile else self._of_bands(market, pool))
        for asset, amounts in zip(pair, zip(*(mint[2:] for mint in mints), strict=True), strict=True):
            self._equip(_LIQUIDITY_PROVIDER, asset, sum(amounts), self._positions.address)
        calls = [
            bytes.fromhex(call_data(_MINT, (*pair, pool.fee, *mint, 0, 0, _LIQUIDITY_PROVIDER, _NO_DEADLINE))[2:])
            for mint in mints
        ]
        for start in range(0, len(calls), _MINTS):
            chain.transact(functions.multicall(calls[start : start + _MINTS]), _LIQUIDITY_PROVIDER)

    def _of_bands(self, market: Market, pool: Pool) -> Iterator[_Mint]:
        tick, spacing = 2 * math.log(self._root(market) / _Q96, 1.0001), TICK_SPACING[pool.fee]
        for band in pool.bands:
            lower, upper = _ticks(band, tick)
            worth = self._worth(market, band.usd / 2)
            amount_0, amount_1 = (worth[asset] for asset in self._pair(market))
            yield math.ceil(lower / spacing) * spacing, math.floor(upper / spacing) * spacing, amount_0, amount_1

    def _pair(self, market: Market) -> tuple[str, str]:
        first, second = sorted((self._plan.usdc, market.token), key=lambda token: int(token, 16))
        return first, second

    def _root(self, market: Market) -> int:
        """sqrtPriceX96 of the market's price."""
        # USDC base units for one base unit of the token
        per_unit = market.price_usd / USDC_USD * 10.0 ** (6 - market.decimals)
        ratio = 1 / per_unit if self._pair(market)[0] == self._plan.usdc else per_unit
        return math.isqrt(int(ratio * _Q96) << 96)

    def trade(self, turn: int, usd: float) -> None:
        """A trade worth `usd` in every pool, buying on even turns and selling on odd ones."""
        chain, usdc = self._chain, self._plan.usdc
        for market in self._plan.markets:
            amounts = self._worth(market, usd)
            sold, bought = (usdc, market.token) if turn % 2 == 0 else (market.token, usdc)
            for pool in market.pools:
                order = (sold, bought, pool.fee, _TRADER, amounts[sold], 0, 0)
                chain.transact(self._router.functions.exactInputSingle(order), _TRADER)


def _ticks(band: Band, tick: float) -> tuple[float, float]:
    reach = _MAX_TICK if band.width is None else math.log(1 + band.width, 1.0001)
    return max(tick - reach, -_MAX_TICK), min(tick + reach, _MAX_TICK)


def _of_profile(profile: Profile) -> Iterator[_Mint]:
    """What the position manager needs to mint at least the recorded liquidity, and at most a base unit's worth more."""
    with localcontext(prec=60):
        roots = {tick: _root_of(tick) for lower, upper, _ in profile.intervals for tick in (lower, upper)}
        for lower, upper, liquidity in profile.intervals:
            low, high = roots[lower], roots[upper]
            root = min(max(Decimal(profile.root), low), high)
            amount_0 = liquidity * _Q96 * (high - root) / (high * root)
            amount_1 = liquidity * (root - low) / _Q96
            yield lower, upper, math.ceil(amount_0), math.ceil(amount_1)


def _root_of(tick: int) -> Decimal:
    """sqrtPriceX96 of a tick, as TickMath has it but for its rounding."""
    return (Decimal("1.0001") ** tick).sqrt() * _Q96
