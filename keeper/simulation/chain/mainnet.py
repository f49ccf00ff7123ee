"""Ethereum mainnet as a plan, with recorded pools where there is a recording."""

from pathlib import Path

from keeper.simulation.chain import addresses as a
from keeper.simulation.chain.markets import MARKETS, RESERVES
from keeper.simulation.chain.plan import AaveContracts, ChainPlan, Token, TokenKind, UniswapContracts
from keeper.simulation.paths import data_dir

_RECORDING = "dex/univ3_pools_2026-01-30.json.gz"


def mainnet() -> ChainPlan:
    """The plan of the mainnet snapshot. Its pools are recorded ones where there is a recording, else bands."""
    return ChainPlan(
        name="mainnet",
        chain_id=1,
        first_block=26_449_000,  # so that the head is near mainnet's block at that time
        tokens=(
            Token(TokenKind.WETH9, a.WETH),
            Token(TokenKind.FIAT_TOKEN, a.USDC, a.USDC_MINTER),
            Token(TokenKind.LINK, a.LINK),
            # No package ships WBTC: an ERC-20 with the same owner and mint function stands in for it.
            Token(TokenKind.TEST_ERC20, a.WBTC, a.WBTC_OWNER, "Wrapped BTC", "WBTC", 8),
        ),
        usdc=a.USDC,
        usdc_feed=a.USDC_USD_FEED,
        link=a.LINK,
        feed_owner=a.FEED_OWNER,
        uniswap=UniswapContracts(
            factory=a.UNISWAP_FACTORY,
            owner=a.UNISWAP_FACTORY_OWNER,
            v2_factory=a.UNISWAP_V2_FACTORY,
            position_manager=a.POSITION_MANAGER,
            position_descriptor=a.POSITION_DESCRIPTOR,
            swap_router=a.SWAP_ROUTER,
            swap_router_02=a.SWAP_ROUTER_02,
            quoter_v2=a.QUOTER_V2,
            tick_lens=a.TICK_LENS,
        ),
        aave=AaveContracts(
            market="Aave Ethereum Market",
            name="Ethereum",
            short_name="Eth",
            provider=a.AAVE_PROVIDER,
            registry=a.AAVE_REGISTRY,
            pool=a.AAVE_POOL,
            configurator=a.AAVE_CONFIGURATOR,
            rewards=a.AAVE_REWARDS,
            emission_manager=a.AAVE_EMISSION_MANAGER,
            oracle=a.AAVE_ORACLE,
            data_provider=a.AAVE_DATA_PROVIDER,
            acl_manager=a.AAVE_ACL_MANAGER,
            admin=a.AAVE_ADMIN,
            collector=a.AAVE_COLLECTOR,
            rate_strategy=a.AAVE_RATE_STRATEGY,
        ),
        markets=MARKETS,
        reserves=RESERVES,
        recording=_recording(),
    )


def _recording() -> Path | None:
    folder = data_dir()
    file = folder / _RECORDING if folder else None
    return file if file and file.is_file() else None
