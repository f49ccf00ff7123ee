"""Sepolia rehearsed: Aave's test tokens and faucet, Uniswap without a pool for them, one vault's life by the commands.

The chain is built from Sepolia's address book by the builder of the mainnet snapshot, with chain id 11155111. Aave's
oracle there says 4,000 USD for ETH, for ever; Chainlink says 3,000.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from click.testing import CliRunner
from web3 import Web3

from keeper.chain.address_book import SEPOLIA
from keeper.chain.deployments import load
from keeper.chain.sender import Sender
from keeper.cli import cli
from keeper.domain.series import next_expiry
from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.operations.contracts import ERC20_ABI, bind
from keeper.operations.deploy import deploy, verify
from keeper.operations.options import list_series, post_vol
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys
from keeper.simulation.chain import sepolia
from keeper.simulation.contract_calls import call_data, read
from keeper.simulation.fork import start_snapshot
from keeper.simulation.rpc import Rpc
from tests.keeper.interruption import AFTER_BROADCAST, interrupted_at_every_transaction
from tests.keeper.vault_on_fork import PASSPHRASE, account_of, write_key

ETH = 0
PRICE = 3_000
AAVE_PRICE = 4_000
# 15 for the pool; 13 contracts, 2 wires, 3 venues created and listed, lending named, fees, a slice, 18 roles, 3 for the
# first deposit, 7 contracts handed over
TRANSACTIONS = 67
TWAP_WINDOW = 300  # seconds
ROLES = ("guardian", "keeper", "quoter", "vol_poster")
KEYS = Keys(*(account_of(role).address for role in ROLES))
POOL = SEPOLIA.markets[0].pools[0]
SLOT0 = "(uint160,int24,uint16,uint16,uint16,uint8,bool)"


@dataclass(frozen=True)
class Rehearsal:
    url: str
    rpc: Rpc
    w3: Web3

    def sender(self, role: str) -> Sender:
        return Sender(self.w3, account_of(role))

    def faucet(self, role: str, usdc: int) -> None:
        """Aave's faucet gives at most 10,000 USDC at a time."""
        for _ in range(usdc // 10_000):
            self.send(role, SEPOLIA.own_pool.faucet, "mint(address,address,uint256)", SEPOLIA.usdc, 10_000 * USDC)

    def send(self, role: str, to: str, function: str, token: str, amount: int) -> None:
        account = account_of(role)
        transaction: Any = {
            "from": account.address,
            "to": to,
            "data": call_data(function, token, account.address, amount),
            "gas": 300_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "nonce": self.w3.eth.get_transaction_count(account.address),
            "chainId": SEPOLIA.chain_id,
            "value": 0,
        }
        digest = self.w3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction)
        assert self.w3.eth.wait_for_transaction_receipt(digest)["status"] == 1

    def pass_time(self, seconds: int) -> None:
        now = self.w3.eth.get_block("latest")["timestamp"]
        self.rpc.call("evm_setNextBlockTimestamp", now + seconds)
        self.rpc.call("evm_mine")

    def pool_price(self) -> float:
        return 1e12 / (read(self.rpc, POOL, "slot0()", SLOT0)[0] / 2**96) ** 2


@pytest.fixture(scope="module")
def chain():
    with start_snapshot(sepolia.SEPOLIA) as anvil:
        anvil.rpc.call("anvil_setBlockTimestampInterval", 1)  # else the clock of this machine counts
        yield Rehearsal(anvil.url, anvil.rpc, anvil.w3)


@pytest.fixture
def rehearsal(chain):
    snapshot = chain.rpc.call("evm_snapshot")
    for role in (*ROLES, "deployer", "depositor", "taker"):
        chain.rpc.call("anvil_setBalance", account_of(role).address, hex(WAD))
    yield chain
    assert chain.rpc.call("evm_revert", snapshot)


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "deployments" / "11155111.json"


@pytest.fixture
def begin(rehearsal, manifest):
    def run(node=None, progress=lambda _: None):
        w3 = Web3(node) if node else rehearsal.w3
        return deploy(Sender(w3, account_of("deployer")), SEPOLIA, KEYS, Parameters(), progress, manifest)

    return run


def sent_by_deployer(rehearsal):
    return rehearsal.w3.eth.get_transaction_count(account_of("deployer").address, "pending")


def test_interrupted_at_every_transaction_it_ends_in_the_same_wiring(rehearsal, begin, manifest):
    state = rehearsal.rpc.call("evm_snapshot")
    undisturbed = begin()
    liquidity = read(rehearsal.rpc, POOL, "liquidity()", "uint128")
    rehearsal.rpc.call("evm_revert", state)
    manifest.unlink()

    resumed = interrupted_at_every_transaction(
        begin, rehearsal.url, lambda: sent_by_deployer(rehearsal), TRANSACTIONS, AFTER_BROADCAST
    )

    assert sent_by_deployer(rehearsal) == TRANSACTIONS
    assert replace(resumed, block=undisturbed.block) == undisturbed
    assert read(rehearsal.rpc, POOL, "liquidity()", "uint128") == liquidity
    verify(rehearsal.sender("stranger"), load(manifest, SEPOLIA.chain_id))


def test_the_pool_is_of_aave_s_tokens_at_chainlink_s_price_and_in_the_manifest(rehearsal, begin, manifest):
    begin()

    recorded = load(manifest, SEPOLIA.chain_id).contracts["UniswapV3Pool-ETH"]
    assert recorded.address == POOL
    assert recorded.args == (SEPOLIA.uniswap_factory, SEPOLIA.usdc, SEPOLIA.markets[0].token, 500)
    assert rehearsal.pool_price() == pytest.approx(PRICE, rel=1e-6)
    assert read(rehearsal.rpc, POOL, "slot0()", SLOT0)[4] >= TWAP_WINDOW // 12
    assert read(rehearsal.rpc, SEPOLIA.usdc, "balanceOf(address)", "uint256", POOL) == pytest.approx(50_000e6, rel=0.01)


def test_it_says_what_is_not_ready_and_a_five_minute_wait_makes_it_so(rehearsal, begin):
    said = []

    deployment = begin(progress=said.append)

    oracle = bind(rehearsal.w3, deployment, "PriceOracle").functions
    assert any("no five-minute TWAP yet" in line and "wait until 00:0" in line for line in said)
    assert any("Aave's oracle says 4,000.00 USD for ETH, Chainlink 3,000.00 USDC" in line for line in said)
    assert oracle.read(ETH).call()[3]  # in doubt
    rehearsal.pass_time(TWAP_WINDOW)
    assert not oracle.read(ETH).call()[3]


def test_a_second_deployment_trades_the_pool_that_is_there_to_the_price(rehearsal, begin, manifest):
    begin()
    manifest.unlink()
    _move_the_pool(rehearsal, dollars=20_000)
    assert rehearsal.pool_price() > 1.02 * PRICE

    begin()

    assert rehearsal.pool_price() == pytest.approx(PRICE, rel=0.005)


def test_a_pool_that_holds_too_much_at_another_price_stops_it(rehearsal, begin, manifest):
    for _ in range(2):
        begin()
        manifest.unlink()
    _move_the_pool(rehearsal, dollars=200_000)

    with pytest.raises(KeelError, match=rf"The pool {POOL} holds too much at another price than Chainlink's 3,000\.00"):
        begin()


def _move_the_pool(rehearsal, dollars):
    """Somebody buys ETH."""
    trader, router = account_of("taker"), SEPOLIA.own_pool.router
    rehearsal.faucet("taker", dollars)
    usdc = rehearsal.w3.eth.contract(address=SEPOLIA.usdc, abi=ERC20_ABI)
    rehearsal.sender("taker").send(usdc.functions.approve(router, dollars * USDC), "approve")
    swap = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
    order = (SEPOLIA.usdc, SEPOLIA.markets[0].token, 500, trader.address, dollars * USDC, 0, 0)
    rehearsal.rpc.call("anvil_impersonateAccount", trader.address)
    transaction = {"from": trader.address, "to": router, "data": call_data(swap, order), "gas": hex(1_000_000)}
    digest = rehearsal.rpc.call("eth_sendTransaction", transaction)
    assert rehearsal.w3.eth.wait_for_transaction_receipt(digest)["status"] == 1


@pytest.fixture
def keel(rehearsal, tmp_path, monkeypatch):
    """`keel(command, ...)` on the rehearsal; `by` is who signs."""
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("KEEL_RPC_URL", rehearsal.url)
    for role in ("deployer", "depositor", "keeper", "quoter", "taker"):
        write_key(tmp_path / f"{role}.json", role)
    (tmp_path / "keel.toml").write_text(
        f'deployment = "{tmp_path}/manifest.json"\njournal_url = "sqlite:///{tmp_path}/keel.sqlite"\n'
        f'keystore = "{tmp_path}/keeper.json"\n'
    )

    def run(*args, by=None):
        account = ["--account", str(tmp_path / f"{by}.json")] if by else []
        shown = CliRunner().invoke(cli, [*args, *account, "--config", str(tmp_path / "keel.toml")])
        assert shown.exit_code == 0, shown.output
        return shown.output

    return run


def test_a_vault_lives_on_sepolia_by_the_commands(rehearsal, keel, tmp_path):
    """Deploy, deposit, post a surface, sell a put, hedge it by a short at Aave, redeem, status."""
    roles = [word for role in ROLES for word in (f"--{role.replace('_', '-')}", account_of(role).address)]
    shown = keel("deploy", *roles, by="deployer")
    assert "no five-minute TWAP yet" in shown
    deployment = load(tmp_path / "manifest.json", SEPOLIA.chain_id)
    rehearsal.pass_time(TWAP_WINDOW)

    rehearsal.faucet("depositor", 50_000)
    assert "50,000.000000 USDC for 50,000.00" in keel("deposit", "50000", by="depositor")

    expiry = next_expiry(rehearsal.w3.eth.get_block("latest")["timestamp"] + 86_400)
    post_vol(rehearsal.sender("vol_poster"), deployment, ETH, expiry, 0.6)
    series = list_series(rehearsal.sender("keeper"), deployment, ETH, False, expiry, 2_900)
    rehearsal.faucet("taker", 10_000)
    (tmp_path / "quote.json").write_text(keel("options", "quote", series.label, "2", by="quoter"))
    assert "2 options bought for " in keel("options", "fill", str(tmp_path / "quote.json"), by="taker")
    before = json.loads(keel("status", "--json"))

    keel("run", "--once")

    after = json.loads(keel("status", "--json"))
    _, short = (bind(rehearsal.w3, deployment, name).functions for name in ("UniswapV3Spot-ETH", "AaveV3Short-ETH"))
    exposure, health = (short.state(PRICE * WAD).call()[place] for place in (1, 5))
    assert exposure < 0
    assert health * PRICE == pytest.approx(1.8 * AAVE_PRICE * WAD, rel=0.01)  # the target, at Aave's price
    assert after["nav_mid"] == pytest.approx(before["nav_mid"], rel=0.005)

    assert "1,000.000000 shares for" in keel("redeem", "1000", by="depositor")
    assert "NAV" in keel("status")
