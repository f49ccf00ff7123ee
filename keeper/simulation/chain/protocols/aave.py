"""An Aave v3 market: the published 3.0.2, upgraded to 3.6.0 the way governance did on mainnet."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from keeper.simulation.chain.placement import LocalChain, PublishedContract, published
from keeper.simulation.chain.plan import ChainPlan, Reserve
from keeper.simulation.chain.protocols import seeding
from keeper.simulation.chain.protocols.compiler import compiled

_CORE = "@aave/core-v3@1.19.3"
_PERIPHERY = "@aave/periphery-v3@2.5.2"
_SUPPLIER = "0xE831C8903de820137c13681E78A5780afDdf7697"
_ZERO = "0x0000000000000000000000000000000000000000"
_RAY = 10**27
_VARIABLE = 2  # interest rate mode
_REWARDS_KEY = keccak(text="INCENTIVES_CONTROLLER")
_E_MODE = 1
_E_MODE_PARAMETERS = (9300, 9500, 10100, "ETH correlated")
_PRICE_UNIT = 10**8
_FAUCET_LIMIT = 10_000  # whole tokens in one call


def compile_upgrade() -> Mapping[str, PublishedContract]:
    """The contracts of 3.6.0. About 25 s the first time, from the cache after that."""
    contracts: dict[str, dict[str, Any]] = json.loads(compiled("compile_aave.js").read_text())
    return {
        name: PublishedContract(entry["abi"], entry["bytecode"], entry["linkReferences"])
        for name, entry in contracts.items()
    }


def _core(path: str) -> PublishedContract:
    return published(_CORE, f"artifacts/contracts/{path}.sol/{path.rpartition('/')[2]}.json")


def _rewards(name: str) -> PublishedContract:
    return published(_PERIPHERY, f"artifacts/contracts/rewards/{name}.sol/{name}.json")


def _testnet(name: str) -> PublishedContract:
    return published(_PERIPHERY, f"artifacts/contracts/mocks/testnet-helpers/{name}.sol/{name}.json")


def deploy_libraries(chain: LocalChain, libraries: Mapping[str, PublishedContract]) -> dict[str, str]:
    """Deploy libraries that link to each other, each after those it needs."""
    deployed: dict[str, str] = {}
    waiting = dict(libraries)
    while waiting:
        ready = [name for name, library in waiting.items() if library.libraries <= deployed.keys()]
        if not ready:
            raise RuntimeError(f"libraries that need each other, or one that is missing: {sorted(waiting)}")
        for name in ready:
            deployed[name] = chain.deploy(waiting.pop(name), libraries=deployed).address
    return deployed


class Aave:
    """Builds the market; `upgrade` delivers the compiled 3.6.0 when it is needed."""

    def __init__(
        self, chain: LocalChain, plan: ChainPlan, upgrade: Callable[[], Mapping[str, PublishedContract]]
    ) -> None:
        self._chain = chain
        self._plan = plan
        self._at = plan.aave
        self._provider = self._place_provider()
        self._pool, self._configurator = self._create_proxies()
        self._install_rewards()
        self._install_oracle()
        if self._at.faucet:
            chain.place(_testnet("Faucet"), self._at.faucet, [self._at.admin, False, _FAUCET_LIMIT])
        for reserve in plan.reserves:
            self._list_reserve(reserve)
        self._upgrade(upgrade())
        for reserve in plan.reserves:
            self._configure_reserve(reserve)
        self._configure_market()
        for reserve in plan.reserves:
            self._supply(reserve)
        for reserve in plan.reserves:
            amount = reserve.borrowed * 10**reserve.decimals
            borrow = self._pool.functions.borrow(reserve.asset, amount, _VARIABLE, 0, _SUPPLIER)
            chain.transact(borrow, _SUPPLIER)

    def _admin(self, call: ContractFunction) -> None:
        self._chain.transact(call, self._at.admin)

    def _place_provider(self) -> Contract:
        chain, folder = self._chain, "protocol/configuration"
        provider = chain.place(
            _core(f"{folder}/PoolAddressesProvider"),
            self._at.provider,
            [self._at.market, self._at.admin],
            sender=self._at.admin,
        )
        if self._at.registry:
            source = _core(f"{folder}/PoolAddressesProviderRegistry")
            registry = chain.place(source, self._at.registry, [self._at.admin], sender=self._at.admin)
            self._admin(registry.functions.registerAddressesProvider(self._at.provider, 30))
        self._admin(provider.functions.setACLAdmin(self._at.admin))
        roles = chain.place(_core(f"{folder}/ACLManager"), self._at.acl_manager, [self._at.provider])
        self._admin(provider.functions.setACLManager(self._at.acl_manager))
        for grant in ("addPoolAdmin", "addEmergencyAdmin", "addRiskAdmin", "addAssetListingAdmin"):
            self._admin(roles.functions[grant](self._at.admin))
        return provider

    def _create_proxies(self) -> tuple[Contract, Contract]:
        """The provider creates both proxies: its nonces 1 and 2 give their published addresses."""
        chain = self._chain
        names = (
            "SupplyLogic",
            "BorrowLogic",
            "LiquidationLogic",
            "EModeLogic",
            "BridgeLogic",
            "ConfiguratorLogic",
            "PoolLogic",
            "FlashLoanLogic",
        )
        logic = {name: _core(f"protocol/libraries/logic/{name}") for name in names}
        libraries = deploy_libraries(chain, logic)
        pool = chain.deploy(_core("protocol/pool/Pool"), [self._at.provider], libraries)
        configurator = chain.deploy(_core("protocol/pool/PoolConfigurator"), [], libraries)
        for implementation in (pool, configurator):
            chain.transact(implementation.functions.initialize(self._at.provider))
        functions = self._provider.functions
        self._admin(functions.setPoolImpl(pool.address))
        self._admin(functions.setPoolConfiguratorImpl(configurator.address))
        created = (functions.getPool().call(), functions.getPoolConfigurator().call())
        if created != (self._at.pool, self._at.configurator):
            raise RuntimeError(f"Aave's pool and configurator are not at their published addresses: {created}")
        return chain.contract(pool.abi, self._at.pool), chain.contract(configurator.abi, self._at.configurator)

    def _install_rewards(self) -> None:
        chain = self._chain
        manager = chain.place(_rewards("EmissionManager"), self._at.emission_manager, [self._at.admin])
        self._admin(manager.functions.setRewardsController(self._at.rewards))
        controller = chain.deploy(_rewards("RewardsController"), [self._at.emission_manager])
        functions = self._provider.functions
        self._admin(functions.setAddressAsProxy(_REWARDS_KEY, controller.address))
        if functions.getAddress(_REWARDS_KEY).call() != self._at.rewards:
            raise RuntimeError("Aave's rewards controller is not at its published address")

    def _install_oracle(self) -> None:
        for source, price in self._at.fixed_prices.items():
            self._chain.place(_core("mocks/oracle/CLAggregators/MockAggregator"), source, [int(price * _PRICE_UNIT)])
        assets = [reserve.asset for reserve in self._plan.reserves]
        sources = [reserve.price_feed for reserve in self._plan.reserves]
        args = [self._at.provider, assets, sources, _ZERO, _ZERO, _PRICE_UNIT]
        self._chain.place(_core("misc/AaveOracle"), self._at.oracle, args)
        self._admin(self._provider.functions.setPriceOracle(self._at.oracle))
        self._admin(self._provider.functions.setPoolDataProvider(self._at.data_provider))

    def _list_reserve(self, reserve: Reserve) -> None:
        """The configurator creates the token proxies: its nonce puts them at their published addresses."""
        chain, symbol = self._chain, reserve.symbol
        tokens = [
            chain.deploy(_core(f"protocol/tokenization/{name}"), [self._at.pool]).address
            for name in ("AToken", "StableDebtToken", "VariableDebtToken")
        ]
        rates = [int(rate * _RAY / 100) for rate in (reserve.optimal_usage, 0, reserve.slope_1, reserve.slope_2)]
        strategy = chain.deploy(
            _core("protocol/pool/DefaultReserveInterestRateStrategy"),
            [self._at.provider, *rates, 0, 0, 0, 0, _RAY // 5],
        )
        chain.rpc.call("anvil_setNonce", self._at.configurator, hex(reserve.configurator_nonce))
        listing = (
            *tokens,
            reserve.decimals,
            strategy.address,
            reserve.asset,
            self._at.collector,
            self._at.rewards,
            *self._token_names(symbol),
            f"Aave {self._at.name} Stable Debt {symbol}",
            f"stableDebt{self._at.short_name}{symbol}",
            b"\x10",
        )
        self._admin(self._configurator.functions.initReserves([listing]))

    def _upgrade(self, contracts: Mapping[str, PublishedContract]) -> None:
        """New pool, configurator, tokens and the single rate strategy; the proxies keep their addresses."""
        chain, functions = self._chain, self._provider.functions
        logic = {name: contract for name, contract in contracts.items() if name.endswith("Logic")}
        libraries = deploy_libraries(chain, logic)
        chain.place(contracts["DefaultReserveInterestRateStrategyV2"], self._at.rate_strategy, [self._at.provider])
        pool = chain.deploy(contracts["PoolInstance"], [self._at.provider, self._at.rate_strategy], libraries)
        configurator = chain.deploy(contracts["PoolConfiguratorInstance"], [], libraries)
        self._admin(functions.setPoolImpl(pool.address))
        self._admin(functions.setPoolConfiguratorImpl(configurator.address))
        self._pool = chain.contract(pool.abi, self._at.pool)
        self._configurator = chain.contract(configurator.abi, self._at.configurator)
        data = chain.place(contracts["AaveProtocolDataProvider"], self._at.data_provider, [self._at.provider])

        a_token = chain.deploy(contracts["ATokenInstance"], [self._at.pool, self._at.rewards, self._at.collector])
        debt_token = chain.deploy(contracts["VariableDebtTokenInstance"], [self._at.pool, self._at.rewards])
        configure = self._configurator.functions
        for reserve in self._plan.reserves:
            name, short_name, debt_name, short_debt_name = self._token_names(reserve.symbol)
            asset = reserve.asset
            self._admin(configure.updateAToken((asset, name, short_name, a_token.address, b"")))
            self._admin(configure.updateVariableDebtToken((asset, debt_name, short_debt_name, debt_token.address, b"")))
            rates = [int(rate * 100) for rate in (reserve.optimal_usage, 0, reserve.slope_1, reserve.slope_2)]
            self._admin(configure.setReserveInterestRateData(asset, encode(["uint256"] * 4, rates)))
            found = data.functions.getReserveTokensAddresses(asset).call()
            if (found[0], found[2]) != (reserve.a_token, reserve.debt_token):
                raise RuntimeError(f"Aave's {reserve.symbol} tokens are not at their published addresses: {found}")

    def _configure_reserve(self, reserve: Reserve) -> None:
        configure, asset = self._configurator.functions, reserve.asset
        limits = (reserve.loan_to_value, reserve.liquidation_threshold, reserve.liquidation_bonus)
        for call in (
            configure.configureReserveAsCollateral(asset, *limits),
            configure.setReserveBorrowing(asset, True),
            configure.setReserveFactor(asset, reserve.reserve_factor),
            configure.setSupplyCap(asset, reserve.supply_cap),
            configure.setBorrowCap(asset, reserve.borrow_cap),
            configure.setLiquidationProtocolFee(asset, 1000),
            configure.setReserveFlashLoaning(asset, True),
        ):
            self._admin(call)

    def _configure_market(self) -> None:
        configure = self._configurator.functions
        self._admin(configure.updateFlashloanPremium(5))
        self._admin(configure.setEModeCategory(_E_MODE, *_E_MODE_PARAMETERS))
        weth = self._plan.reserves[0].asset
        self._admin(configure.setAssetCollateralInEMode(weth, _E_MODE, True))
        self._admin(configure.setAssetBorrowableInEMode(weth, _E_MODE, True))

    def _supply(self, reserve: Reserve) -> None:
        amount = reserve.supplied * 10**reserve.decimals
        seeding.fund(self._chain, self._plan.token(reserve.asset), _SUPPLIER, amount)
        seeding.approve(self._chain, reserve.asset, _SUPPLIER, self._at.pool)
        self._chain.transact(self._pool.functions.supply(reserve.asset, amount, _SUPPLIER, 0), _SUPPLIER)

    def _token_names(self, symbol: str) -> tuple[str, str, str, str]:
        name, short_name = self._at.name, self._at.short_name
        return (
            f"Aave {name} {symbol}",
            f"a{short_name}{symbol}",
            f"Aave {name} Variable Debt {symbol}",
            f"variableDebt{short_name}{symbol}",
        )
