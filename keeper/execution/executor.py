"""From an intended call to a mined transaction: simulate, record the intent, sign, record the attempt, send, wait.

States of an intent, by what the journal holds:

    planned    no attempt              nothing was ever signed: dropped at the next start
    in flight  attempts, no outcome    may be anywhere: looked up by hash and nonce; sent again as it is, or given up
    ended      an outcome              see keeper.execution.records.Result

An intent in flight blocks all further ones: what it may do is not decided again before its end is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.abi import function, revert_reason
from keeper.chain.gas import bids, gas_limit
from keeper.chain.rpc import Connection
from keeper.domain.decision import Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.errors import RpcError, RpcUnavailableError
from keeper.execution.journal import Journal
from keeper.execution.records import Attempt, Call, Intent, Outcome, Result, decision_hash

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment

_MAX_DEADLINE: Final = 120  # seconds, Vault._MAX_DEADLINE
_ALREADY_THERE: Final = ("already known", "already imported", "known transaction")


class Signer(Protocol):
    """An account that signs, as eth_account's LocalAccount does."""

    @property
    def address(self) -> Any:
        """Checksummed."""

    def sign_transaction(self, transaction_dict: Any) -> Any:
        """Signed, with `raw_transaction`."""


def rebalance_call(deployment: Deployment, decision: Decision, policy: Policy, snapshot: Snapshot) -> Call:
    """`Hedger.rebalance` with the decision's legs, its hash, and a deadline counted from the snapshot's time."""
    legs = [(leg.venue, leg.pool, leg.delta_change, leg.limit_price) for leg in decision.legs]
    sequence = snapshot.vault.sequence
    deadline = snapshot.timestamp + min(policy.deadline_seconds, _MAX_DEADLINE)
    digest = bytes.fromhex(decision_hash(decision, policy, snapshot).removeprefix("0x"))
    data = function("Hedger", "rebalance").encode(legs, sequence, deadline, digest)
    return Call(f"rebalance {sequence}", deployment.address("Hedger"), data)


class Executor:
    """Makes calls from one account, one at a time.

    Args:
        wait_seconds: How long to wait for a receipt before the call counts as in flight.
        poll_seconds: Between looks for it.
        sleep: Waits so many seconds; True when the waiting shall end, as `threading.Event.wait` says it.
    """

    def __init__(
        self,
        connection: Connection,
        account: Signer,
        journal: Journal,
        *,
        wait_seconds: float = 60.0,
        poll_seconds: float = 1.0,
        sleep: Callable[[float], bool | None] = time.sleep,
    ) -> None:
        self._connection, self._account, self._journal = connection, account, journal
        self._wait_seconds, self._poll_seconds, self._sleep = wait_seconds, poll_seconds, sleep

    def execute(self, intent: Intent) -> Outcome | None:
        """Make the call of a recorded intent, if it would succeed now. None: perhaps sent, not seen mined yet.

        Raises:
            JournalError: nothing is done that cannot be recorded.
            RpcUnavailableError: no answer before anything was signed.
        """
        refusal = self.simulate(intent.call)
        if refusal is not None:
            return self._end(intent, Outcome(Result.REFUSED, refusal))
        try:
            transaction = self._transaction(intent.call)
        except RpcError as error:
            return self._end(intent, Outcome(Result.REFUSED, _reason(error)))
        intent = self._journal.record_attempt(intent, self._sign(transaction))
        return self._send(intent)

    def simulate(self, call: Call) -> str | None:
        """Why the call would revert in the next block, or None."""
        try:
            self._connection.request("eth_call", self._as_params(call), "pending")
        except RpcError as error:
            return _reason(error)
        return None

    def reconcile(self) -> tuple[Intent, ...]:
        """Settle what a crash or a lost reply left open. Returns the intents that are still in flight."""
        in_flight = []
        for intent in self._journal.open_intents():
            if not intent.attempts:
                self._end(intent, Outcome(Result.ABANDONED, "nothing was signed"))
            elif self._reconcile(intent) is None:
                in_flight.append(intent)
        return tuple(in_flight)

    # ------------------------------------------------------------------ one intent

    def _reconcile(self, intent: Intent) -> Outcome | None:
        # The nonce first: a transaction mined between the two looks is then found by the second one.
        used = self._nonce("latest")
        outcome = self._mined(intent)
        if outcome is not None:
            return self._end(intent, outcome)
        attempt = intent.attempts[-1]
        if used > attempt.nonce:
            return self._end(intent, Outcome(Result.SUPERSEDED, f"another transaction used nonce {attempt.nonce}"))
        if self._connection.request("eth_getTransactionByHash", attempt.tx_hash) is not None:
            return None
        refusal = self.simulate(intent.call)
        if refusal is not None:
            # Should it turn up after all, it reverts like this simulation, or the next transaction has its nonce.
            return self._end(intent, Outcome(Result.ABANDONED, f"no node knows it, and now: {refusal}"))
        return self._send(intent)

    def _send(self, intent: Intent) -> Outcome | None:
        """Send the last attempt. The same bytes have the same nonce: sending them twice cannot act twice."""
        try:
            self._connection.send_raw(intent.attempts[-1].raw)
        except RpcUnavailableError:
            return None  # it may have arrived: reconciled before anything else is done
        except RpcError as error:
            if not any(phrase in error.message.lower() for phrase in _ALREADY_THERE):
                # "nonce too low" can mean that it has just been mined.
                refusal = Outcome(Result.REFUSED, _reason(error), intent.attempts[-1].tx_hash)
                return self._end(intent, self._mined(intent) or refusal)
        return self._wait(intent)

    def _wait(self, intent: Intent) -> Outcome | None:
        give_up = time.monotonic() + self._wait_seconds
        while True:
            try:
                outcome = self._mined(intent)
            except RpcUnavailableError:
                return None
            if outcome is not None:
                return self._end(intent, outcome)
            if time.monotonic() >= give_up or self._sleep(self._poll_seconds):
                return None

    def _mined(self, intent: Intent) -> Outcome | None:
        for attempt in intent.attempts:
            receipt = self._connection.request("eth_getTransactionReceipt", attempt.tx_hash)
            if receipt is not None:
                return _outcome(attempt, receipt)
        return None

    def _end(self, intent: Intent, outcome: Outcome) -> Outcome:
        self._journal.record_outcome(intent, outcome)
        return outcome

    # ------------------------------------------------------------------ transactions

    def _as_params(self, call: Call) -> dict[str, str]:
        return {"from": self._account.address, "to": call.target, "data": "0x" + call.data.hex()}

    def _nonce(self, block: str) -> int:
        return int(self._connection.request("eth_getTransactionCount", self._account.address, block), 16)

    def _transaction(self, call: Call) -> dict[str, Any]:
        estimate = int(self._connection.request("eth_estimateGas", self._as_params(call), "pending"), 16)
        max_fee, priority_fee = bids(self._connection.header().base_fee)
        return {
            "type": 2,
            "chainId": self._connection.chain_id,
            # Nothing of ours is in flight, so what is pending beyond `latest` is not the keeper's to queue behind.
            "nonce": self._nonce("latest"),
            "to": to_checksum_address(call.target),
            "data": call.data,
            "value": 0,
            "gas": gas_limit(estimate),
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": priority_fee,
        }

    def _sign(self, transaction: dict[str, Any]) -> Attempt:
        raw = bytes(self._account.sign_transaction(transaction).raw_transaction)
        return Attempt(
            nonce=transaction["nonce"],
            tx_hash="0x" + keccak(raw).hex(),
            raw=raw,
            max_fee=transaction["maxFeePerGas"],
            priority_fee=transaction["maxPriorityFeePerGas"],
        )


def _outcome(attempt: Attempt, receipt: dict[str, Any]) -> Outcome:
    success = int(receipt["status"], 16) == 1
    return Outcome(
        result=Result.CONFIRMED if success else Result.FAILED,
        detail="" if success else "the chain moved between the simulation and the block: only gas was spent",
        tx_hash=attempt.tx_hash,
        block_number=int(receipt["blockNumber"], 16),
        block_hash=receipt["blockHash"],
        gas_used=int(receipt["gasUsed"], 16),
        gas_price=int(receipt["effectiveGasPrice"], 16),
    )


def _reason(error: RpcError) -> str:
    """The contract's reason if there is one, else the node's."""
    if len(error.data) > 2:
        return revert_reason(bytes.fromhex(error.data.removeprefix("0x")))
    return error.message
