"""A Safe of two owners out of three is the governor: the published Safe 1.4.1, with real signatures.

A deployer sets the vault up, hands it over, and has nothing left. What the owners sign is what `keel governance
--for-safe` prints.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.logs import DISCARD

from keeper.chain.address_book import MAINNET
from keeper.chain.deployments import Deployment
from keeper.chain.sender import Sender
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.operations import governance
from keeper.operations.contracts import bind
from keeper.operations.deploy import deploy, verify
from keeper.operations.parameters import Parameters
from keeper.operations.roles import Keys, Role, governed
from keeper.operations.seed import SEED
from keeper.simulation.chain.addresses import SAFE_CONTRACTS
from keeper.simulation.chain.placement import published
from keeper.simulation.driver import MarketDriver

_PACKAGE = "@safe-global/safe-contracts@1.4.1"
_BUILD = "build/artifacts/contracts"
_ZERO = "0x" + "00" * 20
HOUR = 3_600


def account_of(role: str) -> LocalAccount:
    account: LocalAccount = Account.from_key(Web3.keccak(text=f"safe tests: {role}"))
    return account


OWNERS = sorted((account_of(f"owner {i}") for i in range(3)), key=lambda owner: int(owner.address, 16))
KEYS = [account_of(role).address for role in ("guardian", "keeper", "quoter", "vol_poster")]


@dataclass
class Safe:
    """A deployed Safe; anyone may relay what its owners have signed."""

    contract: Any
    relayer: Sender

    @classmethod
    def create(cls, relayer: Sender, threshold: int) -> "Safe":
        at = relayer.w3.eth.contract
        safe_abi = published(_PACKAGE, f"{_BUILD}/Safe.sol/Safe.json").abi
        factory_abi = published(_PACKAGE, f"{_BUILD}/proxies/SafeProxyFactory.sol/SafeProxyFactory.json").abi
        singleton = at(address=SAFE_CONTRACTS["Safe"], abi=safe_abi)
        owners = [owner.address for owner in OWNERS]
        handler = SAFE_CONTRACTS["CompatibilityFallbackHandler"]
        setup = singleton.encode_abi("setup", [owners, threshold, _ZERO, b"", handler, _ZERO, 0, _ZERO])
        factory = at(address=SAFE_CONTRACTS["SafeProxyFactory"], abi=factory_abi)
        receipt = relayer.send(factory.functions.createProxyWithNonce(singleton.address, setup, 1), "Safe")
        (created,) = factory.events.ProxyCreation().process_receipt(receipt, errors=DISCARD)
        return cls(at(address=created["args"]["proxy"], abi=safe_abi), relayer)

    @property
    def address(self) -> str:
        return str(self.contract.address)

    def execute(self, call: governance.Call, *signers: LocalAccount) -> None:
        """Make a call as the Safe. Raises KeelError with Safe's own reason, GS.., where the signatures do not do."""
        fields = (call.to, 0, call.data, 0, 0, 0, 0, _ZERO, _ZERO)
        digest = self.contract.functions.getTransactionHash(*fields, self.contract.functions.nonce().call()).call()
        signatures = b"".join(signer.unsafe_sign_hash(digest).signature for signer in signers)
        self.relayer.send(self.contract.functions.execTransaction(*fields, signatures), "Safe")


@dataclass
class World:
    w3: Web3
    market: MarketDriver
    safe: Safe
    deployment: Deployment

    def read(self, name: str, function: str, *args: Any) -> Any:
        return bind(self.w3, self.deployment, name).functions[function](*args).call()

    def call(self, name: str, function: str, *args: str) -> governance.Call:
        return governance.call_of(self.deployment, name, function, args)

    def wrapped(self, action: str, call: governance.Call) -> governance.Call:
        return governance.wrapped(self.deployment, action, call)

    def wait(self, seconds: int) -> None:
        self.market.warp(seconds)


@pytest.fixture
def world(fork) -> World:
    market = MarketDriver(fork.w3)
    deployer = Sender(fork.w3, account_of("deployer"))
    market.fund_eth(deployer.address, 100 * WAD)
    for _ in range(3):
        market.step({"ETH": 3_000, "BTC": 90_000}, timestamp=market.timestamp() + 150)
    safe = Safe.create(deployer, threshold=2)
    market.fund_usdc(deployer.address, SEED)
    deployment = deploy(deployer, MAINNET, Keys(*KEYS, governor=safe.address))
    return World(fork.w3, market, safe, deployment)


def test_a_safe_governs_from_the_hand_over_on(world):
    """The deployer keeps no role; every contract's governor is the Governance, and the Safe owns it."""
    verify(world.safe.relayer, world.deployment)

    assert world.deployment.roles["governor"] == world.safe.address
    assert world.read("Governance", "owner") == world.safe.address
    assert world.read("Vault", "terms")[0] == world.safe.address  # fees are paid to it
    for name in governed():
        assert world.read(name, "roles_of", account_of("deployer").address) == 0
        assert world.read(name, "roles_of", world.safe.address) == Role.GUARDIAN


def test_two_owners_loosen_after_48_hours(world):
    """Invariant 41: increases wait for the timelock."""
    call = world.call("CircuitBreaker", "set_thresholds", _thresholds(world, 0.25))
    world.safe.execute(world.wrapped("submit", call), *OWNERS[:2])
    world.wait(48 * HOUR - 60)

    with pytest.raises(KeelError, match="GS013"):  # Safe's for a call that failed: it is too early
        world.safe.execute(world.wrapped("accept", call), *OWNERS[1:])
    world.wait(60)
    world.safe.execute(world.wrapped("accept", call), *OWNERS[1:])

    assert world.read("CircuitBreaker", "thresholds")[0] == WAD // 4


def test_two_owners_tighten_and_stop_at_once(world):
    """Invariant 41: risk reductions are instant."""
    world.safe.execute(world.call("CircuitBreaker", "set_reduce_only", "true"), OWNERS[0], OWNERS[2])
    world.safe.execute(world.call("Hedger", "revoke_role", "keeper", "KEEPER"), OWNERS[0], OWNERS[2])
    rationed = list(Parameters().budgets())
    rationed[:2] = [0, 0]
    world.safe.execute(world.call("Hedger", "tighten_budgets", str(rationed)), OWNERS[0], OWNERS[2])

    assert world.read("CircuitBreaker", "latched")
    assert world.read("Hedger", "roles_of", world.deployment.roles["keeper"]) == 0
    assert list(world.read("Hedger", "budgets")) == rationed


def test_one_owner_can_do_nothing(world):
    call = world.call("CircuitBreaker", "set_reduce_only", "true")

    with pytest.raises(KeelError, match="GS020"):  # Safe's for too few signatures
        world.safe.execute(call, OWNERS[0])
    with pytest.raises(KeelError, match="GS026"):  # and for the same owner twice
        world.safe.execute(call, OWNERS[0], OWNERS[0])
    submission = world.wrapped("submit", call)
    with pytest.raises(KeelError, match="The owner of the Governance is"):
        governance.send(Sender(world.w3, OWNERS[0]), world.deployment, submission, "submit")

    assert not world.read("CircuitBreaker", "latched")


def test_a_signed_transaction_of_the_safe_is_not_sent_twice(world):
    """Attack A17: the Safe's nonce; the Governance has one of its own kind, `already pending`."""
    call = world.call("CircuitBreaker", "set_thresholds", _thresholds(world, 0.25))
    submission = world.wrapped("submit", call)
    world.safe.execute(submission, *OWNERS[:2])

    with pytest.raises(KeelError, match="GS013"):
        world.safe.execute(submission, *OWNERS[:2])

    (pending,) = governance.pending(world.w3, world.deployment)
    assert pending.state == "waits"


def test_a_guardian_revokes_what_two_stolen_owners_have_announced(world):
    call = world.call("Vault", "hand_over", account_of("thief").address)
    world.safe.execute(world.wrapped("submit", call), *OWNERS[:2])
    (pending,) = governance.pending(world.w3, world.deployment)
    world.market.fund_eth(account_of("guardian").address, WAD)
    guardian = Sender(world.w3, account_of("guardian"))

    governance.send(guardian, world.deployment, governance.revocation(world.deployment, pending.id), "revoke")

    world.wait(7 * 24 * HOUR)
    with pytest.raises(KeelError, match="GS013"):
        world.safe.execute(world.wrapped("accept", call), *OWNERS[:2])
    assert world.read("Vault", "roles_of", world.deployment.address("Governance")) == Role.GOVERNOR


def _thresholds(world: World, kill_drawdown: float) -> str:
    """The breaker's thresholds with another kill level, as typed."""
    return str([int(kill_drawdown * WAD), *world.read("CircuitBreaker", "thresholds")[1:]])
