"""A keeper on the rig: three nodes with faults, one chain whose blocks come when a test says so, one journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keeper.chain.abi import function
from keeper.chain.endpoints import Endpoints
from keeper.chain.rpc import Connection
from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.errors import RpcError, RpcUnavailableError
from keeper.execution.journal import Journal
from keeper.execution.records import Intent, Outcome
from keeper.runtime.lending import lending
from keeper.runtime.loop import SERVICES, Keeper
from tests.faults.rig import Chain, Faults, Node
from tests.keeper.vault_on_fork import VaultOnFork

GWEI = 10**9
POLICY = Policy()
_SERVICES = tuple(service for service in SERVICES if service is not lending)  # which depends on the base fee
_QUIET = 60  # blocks without a fault until everything has come to an end


@dataclass
class Stage:
    """What a test plays on. ``keeper`` is a process that `restart` ends and starts again on the same journal."""

    vault: VaultOnFork
    journal: Journal
    chain: Chain
    nodes: list[Node]
    relay: Connection | None = None
    keeper: Keeper = field(init=False)
    errors: int = 0

    def __post_init__(self) -> None:
        self.first_nonce = self.used_nonces()
        self.first_block = self.chain.head
        self.restart()

    def restart(self) -> None:
        """As after a kill: nothing is left but the journal."""
        faulty = [node.faults for node in self.nodes]
        for node in self.nodes:
            node.faults = Faults()  # a start that fails is tried again by the operator's supervisor
        connection = Endpoints([node.url for node in self.nodes], timeout=20.0, clock=self._time)
        self.keeper = Keeper(
            connection,
            self.vault.deployment,
            self.vault.keeper,
            POLICY,
            self.journal,
            wait_seconds=0,
            poll_seconds=0.001,
            services=_SERVICES,
            relay=self.relay,
        )
        for node, faults in zip(self.nodes, faulty, strict=True):
            node.faults = faults

    def _time(self) -> float:
        """The chain's: bans end with blocks, on every machine alike."""
        return float(int(self.chain.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16))

    def tick(self) -> Any:
        """One look at the chain, as the loop does it. Returns the decision's record; None without one."""
        try:
            return self.keeper.tick()
        except (RpcUnavailableError, RpcError):
            self.errors += 1
            return None

    def play(self, blocks: int, *, base_fee: int = GWEI) -> None:
        """Blocks, each with a look at it."""
        for _ in range(blocks):
            self.chain.mine(base_fee)
            self.tick()

    def come_to_rest(self) -> None:
        """No more faults; until nothing is open and the keeper holds."""
        for node in self.nodes:
            node.faults = Faults()
        for _ in range(_QUIET):
            self.chain.mine(GWEI)
            record = self.tick()
            is_quiet = record is not None and record.decision.action is Action.HOLD
            if is_quiet and not self.journal.open_intents() and not self.chain.pool:
                return
        raise AssertionError(f"still open after {_QUIET} blocks: {self.journal.open_intents()}")

    # ------------------------------------------------------------------ what is looked at in the end

    def used_nonces(self) -> int:
        return self.vault.w3.eth.get_transaction_count(self.vault.keeper.address)

    def on_chain(self) -> list[str]:
        """Hashes of the keeper's transactions, in order."""
        found = []
        for number in range(self.first_block + 1, self.chain.head + 1):
            block = self.vault.w3.eth.get_block(number, full_transactions=True)
            found += [
                one["hash"].to_0x_hex() for one in block["transactions"] if one["from"] == self.vault.keeper.address
            ]
        return found

    def transactions(self) -> list[tuple[Intent, Outcome | None]]:
        """All that the journal has."""
        return [each for record in self.journal.decisions() for each in self.journal.transactions_of(record.id)]

    def check(self) -> None:
        """The invariants: journal equals chain, nonces have no gap, nothing is done twice, a transaction cost no more
        than it might, and delta is inside its band."""
        known = self.transactions()
        fillers = {one.tx_hash for intent, _ in known for one in intent.attempts if one.nonce != intent.nonce}
        mined = [outcome.tx_hash for _, outcome in known if outcome is not None and outcome.block_number is not None]
        on_chain = self.on_chain()
        assert sorted(mined) == sorted(set(on_chain) - fillers)
        assert len(on_chain) == self.used_nonces() - self.first_nonce
        assert self.used_nonces() == self.vault.w3.eth.get_transaction_count(self.vault.keeper.address, "pending")
        confirmed = [
            intent.call.data for intent, outcome in known if outcome is not None and outcome.result == "confirmed"
        ]
        rebalances = [data for data in confirmed if data[:4] == function("Hedger", "rebalance").selector]
        assert len(set(rebalances)) == len(rebalances) == self.vault.read("Hedger", "sequence")
        for intent, outcome in known:
            if outcome is not None and outcome.gas_used is not None and outcome.gas_price is not None:
                assert outcome.gas_used * outcome.gas_price <= intent.fee_ceiling
        assessment = self.vault.read("Vault", "assessment")
        limits = self.vault.read("RiskEngine", "limits")
        for delta, spot in zip(assessment[10], assessment[8], strict=True):
            assert abs(delta) * spot <= limits[0] * assessment[0]


@contextmanager
def stage(vault: VaultOnFork, journal: Journal, *, seed: int = 0, relay: bool = False) -> Iterator[Stage]:
    """Three nodes, and a fourth that is the relay where one is wanted."""
    chain = Chain(vault.market.rpc)
    nodes = [Node(chain, seed=seed + i) for i in range(3)]
    private = Node(chain) if relay else None
    try:
        yield Stage(vault, journal, chain, nodes, Connection(private.url) if private else None)
    finally:
        for node in [*nodes, *([private] if private else [])]:
            node.stop()
