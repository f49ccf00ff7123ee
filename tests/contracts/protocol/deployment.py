"""Every contract deployed and wired, and everyone who has to do with them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boa
from eth_account import Account
from eth_account.signers.local import LocalAccount

from keeper.pricing.normal_table import normal_table
from keeper.simulation.chain import addresses
from tests.contracts.chain import WAD, Market, account
from tests.contracts.protocol.compiled import load
from tests.contracts.protocol.parameters import (
    BTC,
    ETH,
    GUARDIAN,
    HEALTH_FLOOR,
    HEALTH_TARGET,
    KEEPER,
    MIN_FILL,
    QUOTER,
    STRIKE_STEP,
    VOL_POSTER,
    ZERO,
    Bounds,
    Budgets,
    Limits,
    Thresholds,
    VegaBudgets,
)


@dataclass
class Deployment:
    """Every contract and every actor. Contracts are wired, roles granted, nothing deposited or listed.

    Over another asset than USDC there are no venues: they trade USDC.
    """

    market: Market
    asset: Any = None  # USDC when nothing else is given
    has_btc: bool = False
    sequencer: str = ZERO  # uptime feed of a rollup
    governor: str = field(default_factory=lambda: account("governor"))
    guardian: str = field(default_factory=lambda: account("guardian"))
    keeper: str = field(default_factory=lambda: account("keeper"))
    vol_poster: str = field(default_factory=lambda: account("vol poster"))
    depositor: str = field(default_factory=lambda: account("depositor"))
    taker: str = field(default_factory=lambda: account("taker"))
    maker: str = field(default_factory=lambda: account("maker"))
    stranger: str = field(default_factory=lambda: account("stranger"))
    quoter: LocalAccount = field(default_factory=lambda: Account.from_key(b"\x07" * 32))
    _nonces: Iterator[int] = field(default_factory=lambda: itertools.count(100))  # equal quotes would share one hash

    def __post_init__(self) -> None:
        if self.asset is None:
            self.asset = self.market.usdc
        with boa.env.prank(self.governor):
            self._deploy()
            if self.asset is self.market.usdc:
                self._deploy_venues()
            self._grant()

    def _deploy(self) -> None:
        asset, governor = self.asset.address, self.governor
        markets = [(addresses.ETH_USD_FEED, 3900, addresses.POOL_USDC_WETH_500, True, 18)]
        if self.has_btc:
            markets.append((addresses.BTC_USD_FEED, 3900, addresses.POOL_WBTC_USDC_3000, False, 8))
        self.price_oracle = load("PriceOracle").deploy(
            governor, markets, addresses.USDC_USD_FEED, 90_000, self.sequencer
        )
        self.vol_oracle = load("VolOracle").deploy(governor, Bounds())
        self.pricer = load("OptionPricer").deploy(
            self.price_oracle, self.vol_oracle, len(markets), list(normal_table())
        )
        self.risk = load("RiskEngine").deploy(governor, self.pricer, Limits())
        self.vault = load("Vault").deploy(governor, asset, self.risk)
        listings = [(STRIKE_STEP, MIN_FILL), (1_000 * WAD, 5 * WAD // 1_000)][: len(markets)]
        self.book = load("OptionBook").deploy(
            governor, self.vault, self.pricer, self.price_oracle, asset, listings, VegaBudgets()
        )
        tokens = [addresses.WETH, addresses.WBTC][: len(markets)]
        self.clearing = load("ClearingHouse").deploy(self.book, self.vault, asset, tokens)
        self.token = load("OptionToken").deploy(self.book, self.clearing, "https://example.org/series/{id}")
        self.queue = load("RedemptionQueue").deploy(self.vault, self.price_oracle, len(markets))
        self.hedger = load("Hedger").deploy(governor, self.vault, self.book, self.risk, Budgets())
        self.auction = load("BuybackAuction").deploy(self.vault, self.book, self.hedger, self.risk, self.pricer)
        self.book.wire(self.token, self.clearing, self.hedger, self.auction)
        thresholds = Thresholds(min_deposit=100 * self.unit)
        self.breaker = load("CircuitBreaker").deploy(governor, self.vault, self.book, self.queue, thresholds)
        self.vault.wire(self.book, self.queue, self.hedger, self.auction, self.breaker)
        self.governance = load("Governance").deploy(governor, [self.guardian])

    def _deploy_venues(self) -> None:
        pools = [addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000]
        self.spot, self.short = self._list_venues(ETH, addresses.WETH, 18, pools, addresses.AAVE_WETH_DEBT)
        if self.has_btc:
            btc = (addresses.WBTC, 8, [addresses.POOL_WBTC_USDC_3000], addresses.AAVE_WBTC_DEBT)
            self.btc_spot, self.btc_short = self._list_venues(BTC, *btc)

    def list_lending(self) -> int:
        """A venue that lends idle USDC to Aave. Returns its index."""
        index = len(self.vault.all_venues())
        self.lending = load("venues/AaveV3Lending").deploy(
            self.vault, addresses.USDC, addresses.AAVE_POOL, addresses.AAVE_USDC
        )
        self.vault.list_venue(self.lending, ETH, sender=self.governor)
        self.vault.set_lending(index, sender=self.governor)
        return index

    def _list_venues(self, underlying: int, token: str, decimals: int, pools: list[str], debt: str) -> tuple[Any, Any]:
        common = (self.vault, underlying, addresses.USDC, token, decimals, pools)
        aave = (addresses.AAVE_POOL, addresses.AAVE_ORACLE, addresses.AAVE_USDC, debt)
        spot = load("venues/UniswapV3Spot").deploy(*common)
        short = load("venues/AaveV3Short").deploy(*common, *aave, HEALTH_FLOOR, HEALTH_TARGET)
        for venue in (spot, short):
            self.vault.list_venue(venue, underlying)
        return spot, short

    def _grant(self) -> None:
        for contract in (
            self.vault,
            self.breaker,
            self.hedger,
            self.book,
            self.vol_oracle,
            self.risk,
            self.price_oracle,
        ):
            contract.grant_role(self.guardian, GUARDIAN)
        self.hedger.grant_role(self.keeper, KEEPER)
        self.book.grant_role(self.keeper, KEEPER)
        self.book.grant_role(self.quoter.address, QUOTER)
        self.vol_oracle.grant_role(self.vol_poster, VOL_POSTER)

    @property
    def venues(self) -> list[Any]:
        """The venues' contracts in index order."""
        if self.asset is not self.market.usdc:
            return []
        return [self.spot, self.short, *([self.btc_spot, self.btc_short] if self.has_btc else [])]

    @property
    def unit(self) -> int:
        """One whole unit of the asset."""
        return 10 ** int(self.asset.decimals())

    @property
    def contracts(self) -> dict[str, Any]:
        """The deployed contracts by name."""
        return {
            "Vault": self.vault,
            "CircuitBreaker": self.breaker,
            "Hedger": self.hedger,
            "BuybackAuction": self.auction,
            "Governance": self.governance,
            "OptionBook": self.book,
            "ClearingHouse": self.clearing,
            "OptionToken": self.token,
            "RedemptionQueue": self.queue,
            "PriceOracle": self.price_oracle,
            "VolOracle": self.vol_oracle,
            "RiskEngine": self.risk,
            "OptionPricer": self.pricer,
            "UniswapV3Spot": self.spot,
            "AaveV3Short": self.short,
        }

    @property
    def governed(self) -> list[Any]:
        """The contracts that have a governor."""
        return [contract for contract in self.contracts.values() if hasattr(contract, "hand_over")]

    def hand_over(self) -> None:
        """From now on the Governance is governor of every contract; its owner has become a guardian."""
        for contract in self.governed:
            contract.grant_role(self.governor, GUARDIAN, sender=self.governor)
            contract.hand_over(self.governance, sender=self.governor)
