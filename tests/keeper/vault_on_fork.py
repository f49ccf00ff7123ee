"""A vault with deposits and short options on a fork, as the tests of the keeper's edge find it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from keeper.chain.address_book import address_book
from keeper.chain.deployments import Deployment
from keeper.chain.rpc import Connection
from keeper.chain.sender import Sender
from keeper.domain.series import WEEK, Series, next_expiry
from keeper.operations.contracts import bind
from keeper.operations.deploy import deploy
from keeper.operations.options import fill, list_series, post_vol
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.operations.seed import SEED
from keeper.operations.vault import deposit
from keeper.simulation.chain.addresses import AAVE_POOL
from keeper.simulation.contract_calls import call_data, read
from keeper.simulation.driver import MarketDriver
from keeper.simulation.fixed_quotes import quote_off_the_mark

DEPOSIT = 1_000_000 * 10**6
ETH, BTC = 0, 1
SPOT = 3_000
BTC_SPOT = 90_000
VOL = 0.6
AAVE_FROZEN, AAVE_PAUSED, AAVE_BORROW_CAP, AAVE_SUPPLY_CAP, CAP_BITS = 57, 60, 80, 116, 36  # of a configuration
PASSPHRASE = "a passphrase of the tests"


def account_of(role: str) -> LocalAccount:
    account: LocalAccount = Account.from_key(Web3.keccak(text=f"keeper tests: {role}"))
    return account


def write_key(path: Path, role: str, passphrase: str = PASSPHRASE) -> None:
    """An encrypted key file of a role, weak so that it is made quickly."""
    path.write_text(json.dumps(Account.encrypt(account_of(role).key, passphrase, kdf="pbkdf2", iterations=1)))


@dataclass(frozen=True)
class VaultOnFork:
    """A deployed vault with its market; accounts by role name."""

    url: str
    w3: Web3
    market: MarketDriver
    deployment: Deployment

    @property
    def connection(self) -> Connection:
        return Connection(self.url)

    @property
    def keeper(self) -> LocalAccount:
        return account_of("keeper")

    def sender(self, role: str) -> Sender:
        return Sender(self.w3, account_of(role))

    def contract(self, name: str) -> Any:
        return bind(self.w3, self.deployment, name)

    def read(self, name: str, function: str, *args: Any, block: Any = "latest") -> Any:
        return self.contract(name).functions[function](*args).call(block_identifier=block)

    def send(self, role: str, name: str, function: str, *args: Any) -> Any:
        return self.sender(role).send(self.contract(name).functions[function](*args), f"{name}.{function}")

    def now(self) -> int:
        return self.market.timestamp()

    def deposit(self, role: str, amount: int) -> None:
        self.market.fund_usdc(account_of(role).address, amount)
        deposit(self.sender(role), self.deployment, amount)

    def list_series(self, *, is_call: bool, strike: int, weeks: int = 1, underlying: int = ETH) -> Series:
        """A series that expires on the `weeks`-th Friday more than a day away, with a slice posted."""
        expiry = next_expiry(self.now() + 86_400) + (weeks - 1) * WEEK
        post_vol(self.sender("vol_poster"), self.deployment, underlying, expiry, VOL)
        return list_series(self.sender("keeper"), self.deployment, underlying, is_call, expiry, strike)

    def sell(self, series: Series, units: float) -> None:
        """The taker buys at 1 % over the ask mark."""
        quote = quote_off_the_mark(self.w3, self.deployment, account_of("quoter"), series, units, edge=0.01)
        self.market.fund_usdc(account_of("taker").address, quote.quote.price * quote.quote.size // 10**30 + 1)
        fill(self.sender("taker"), self.deployment, quote)


def configure_aave(vault: VaultOnFork, asset: str, start: int, value: int, bits: int = 1) -> None:
    """Write a field of a reserve's configuration word, as Aave's configurator does."""
    rpc = vault.market.rpc
    word = read(rpc, AAVE_POOL, "getConfiguration(address)", "uint256", asset)
    provider = read(rpc, AAVE_POOL, "ADDRESSES_PROVIDER()", "address")
    configurator = read(rpc, provider, "getPoolConfigurator()", "address")
    changed = word & ~((1 << bits) - 1 << start) | value << start
    rpc.call("anvil_impersonateAccount", configurator)
    vault.market.fund_eth(configurator, 10**18)
    data = call_data("setConfiguration(address,(uint256))", asset, (changed,))
    digest = rpc.call("eth_sendTransaction", {"from": configurator, "to": AAVE_POOL, "data": data})
    assert vault.w3.eth.wait_for_transaction_receipt(digest)["status"] == 1


def vault_on_fork(url: str, w3: Web3, deposited: int = DEPOSIT) -> VaultOnFork:
    """Deploy at ETH = 3,000 and BTC = 90,000 with TWAPs behind them, deposit, sell ETH options.

    These are 50 calls and 10 puts of two expiries: short about 20 ETH of delta, three times the target band.
    """
    market = MarketDriver(w3)
    for role in ("governor", "guardian", "keeper", "quoter", "vol_poster", "depositor", "taker", "stranger"):
        market.fund_eth(account_of(role).address, 100 * 10**18)
    for _ in range(3):
        market.step({"ETH": SPOT, "BTC": BTC_SPOT}, timestamp=market.timestamp() + 150)
    keys = Keys(*(account_of(role).address for role in ("guardian", "keeper", "quoter", "vol_poster")))
    market.fund_usdc(account_of("governor").address, SEED)
    deployment = deploy(Sender(w3, account_of("governor")), address_book(1), keys, Parameters(opening_vol=(VOL, VOL)))
    vault = VaultOnFork(url, w3, market, deployment)
    vault.deposit("depositor", deposited)
    calls = vault.list_series(is_call=True, strike=3_000)
    puts = vault.list_series(is_call=False, strike=2_800, weeks=2)
    vault.sell(calls, 50)
    vault.sell(puts, 10)
    market.step(SPOT)
    return vault
