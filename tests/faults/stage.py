"""A keeper on the rig: three nodes with faults, one chain whose blocks come when a test says so, one journal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import stamina

from keeper.chain.abi import function
from keeper.chain.endpoints import Endpoints
from keeper.chain.rpc import Connection
from keeper.domain.decision import Action
from keeper.domain.policy import Policy
from keeper.errors import RpcError, RpcUnavailableError
from keeper.execution.journal import Journal
from keeper.execution.records import Intent, Outcome, Result
from keeper.runtime.lending import lending
from keeper.runtime.loop import SERVICES, Keeper
from tests.faults.rig import Chain, Faults, Node, decoded
from tests.keeper.vault_on_fork import VaultOnFork

GWEI = 10**9
POLICY = Policy()
_SERVICES = tuple(service for service in SERVICES if service is not lending)  # which depends on the base fee
_QUIET = 60  # blocks without a fault until everything has come to an end


class _Here(Executor):
    """Does at once what others would do in a thread."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class InTurn(Endpoints):
    """Asks the nodes one after the other, so that nothing depends on which of them is faster."""

    def __init__(self, urls: list[str], clock: Callable[[], float]) -> None:
        super().__init__(urls, timeout=60.0, clock=clock)
        self._threads.shutdown()
        self._threads = _Here()  # type: ignore[assignment]


def hasty() -> AbstractContextManager[None]:
    """What is tried three times is so without waiting in between."""
    return stamina.set_testing(True, attempts=3)


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
        self.first_nonce, self.first_balance = self.used_nonces(), self.balance()
        self.first_block = self.chain.head
        self.restart()

    def restart(self) -> None:
        """As after a kill: nothing is left but the journal."""
        faulty = [node.faults for node in self.nodes]
        for node in self.nodes:
            node.faults = Faults()  # a start that fails is tried again by the operator's supervisor
        connection = InTurn([node.url for node in self.nodes], self._time)
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
        return float(self.chain.timestamp)

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
            self.calm()
            record = self.tick()
            if record is not None and self.is_over(record.decision.action):
                return
        raise AssertionError(f"still not at rest after {_QUIET} blocks: {record}, {self.journal.open_intents()}")

    def calm(self) -> None:
        """A block."""
        self.chain.mine(GWEI)

    def is_over(self, action: Action) -> bool:
        """Whether nothing is open, and nothing more is wanted."""
        return action is Action.HOLD and not self.journal.open_intents() and not self.chain.pool

    # ------------------------------------------------------------------ what is looked at in the end

    def used_nonces(self, block: str = "latest") -> int:
        return int(self.chain.rpc.call("eth_getTransactionCount", self.vault.keeper.address, block), 16)

    def balance(self) -> int:
        return int(self.chain.rpc.call("eth_getBalance", self.vault.keeper.address, "latest"), 16)

    def on_chain(self) -> dict[str, dict[str, Any]]:
        """Receipts of the keeper's transactions by hash, in order."""
        rpc, sender, found = self.chain.rpc, self.vault.keeper.address.lower(), {}
        for number in range(self.first_block + 1, self.chain.head + 1):
            for one in rpc.call("eth_getBlockByNumber", hex(number), True)["transactions"]:
                if one["from"] == sender:
                    found[one["hash"]] = rpc.call("eth_getTransactionReceipt", one["hash"])
        return found

    def transactions(self) -> list[tuple[Intent, Outcome | None]]:
        """All that the journal has."""
        return [each for record in self.journal.decisions() for each in self.journal.transactions_of(record.id)]

    def check(self) -> None:
        """The invariants: journal equals chain, nonces have no gap, nothing is done twice, nothing is spent but for the
        keeper's transactions and on none of them more than it might cost, and delta is inside its band."""
        known, on_chain = self.transactions(), self.on_chain()
        fillers = {one.tx_hash for intent, _ in known for one in intent.attempts if one.nonce != intent.nonce}
        mined = [(intent, end) for intent, end in known if end is not None and end.block_number is not None]
        assert sorted(end.tx_hash for _, end in mined) == sorted(set(on_chain) - fillers)
        for intent, end in mined:
            receipt = on_chain[end.tx_hash]
            assert end.block_hash == receipt["blockHash"]
            assert (end.result is Result.FAILED) == (receipt["status"] == "0x0")
            assert end.gas_used * end.gas_price == _cost(receipt) <= intent.fee_ceiling
        assert self.first_balance - self.balance() == sum(map(_cost, on_chain.values()))
        assert len(on_chain) == self.used_nonces() - self.first_nonce
        assert self.used_nonces() == self.used_nonces("pending")
        for intent, _ in known:
            self._check_bids(intent)
        confirmed = [(intent.decision_id, intent.call.data) for intent, end in mined if end.result is Result.CONFIRMED]
        rebalances = [data for _, data in confirmed if data[:4] == function("Hedger", "rebalance").selector]
        assert len(set(confirmed)) == len(confirmed)
        assert len(set(rebalances)) == len(rebalances) == self.vault.read("Hedger", "sequence")
        self.check_delta()

    def _check_bids(self, intent: Intent) -> None:
        """No transaction might have cost more than it may, and nodes take each in place of the one before it."""
        for nonce in {one.nonce for one in intent.attempts}:
            bids = [one for one in intent.attempts if one.nonce == nonce]
            for old, new in itertools.pairwise(bids):
                assert 10 * new.max_fee >= 11 * old.max_fee
                assert 10 * new.priority_fee >= 11 * old.priority_fee
        for one in intent.attempts:
            assert decoded("0x" + one.raw.hex()).cost <= intent.fee_ceiling

    def is_hedged(self) -> bool:
        """Whether every delta is inside its band."""
        assessment, limits = self.vault.read("Vault", "assessment"), self.vault.read("RiskEngine", "limits")
        pairs = zip(assessment[10], assessment[8], strict=True)
        return all(abs(delta) * spot <= limits[0] * assessment[0] for delta, spot in pairs)

    def check_delta(self) -> None:
        assert self.is_hedged()


def _cost(receipt: dict[str, Any]) -> int:
    return int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)


@contextmanager
def stage(vault: VaultOnFork, journal: Journal, *, seed: int = 0, relay: bool = False) -> Iterator[Stage]:
    """Three nodes, and a fourth that is the relay where one is wanted."""
    chain = Chain(vault.market.rpc)
    nodes = [Node(chain, seed=seed + i) for i in range(3)]
    private = Node(chain) if relay else None
    try:
        with hasty():
            yield Stage(vault, journal, chain, nodes, Connection(private.url) if private else None)
    finally:
        for node in [*nodes, *([private] if private else [])]:
            node.stop()
