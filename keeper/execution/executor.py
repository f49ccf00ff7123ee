"""From an intended call to a final transaction: simulate, record the intent, sign, record the attempt, send, follow.

The states are those of keeper.execution.states, the journal has them, and one rule, `_advance`, moves an open intent,
at the start of the keeper as at any other time:

    mined                     its outcome is recorded, and looked at again until it is final
    nonce used elsewhere      superseded
    with a node               waited for; replaced with higher fees when it waits too long, by an empty transaction when
                              it would fail by now or may not cost what it takes
    with no node              sent again as it is; given up when it would fail by now
    behind a gap of nonces    the gap is filled with empty transactions

An intent that is open blocks all further ones of its account: what it may do is not decided again before its end is
known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.abi import function
from keeper.chain.gas import fees, suggested_priority_fee
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Brief, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.errors import AccountError, RpcError, RpcUnavailableError
from keeper.execution.finality import CAUGHT_UP, Finality, mined
from keeper.execution.journal import Journal
from keeper.execution.records import Attempt, Call, Intent, Kind, Outcome, Result, decision_hash
from keeper.execution.rehearsal import Rehearsal, objection, reason_of, rehearse
from keeper.execution.states import OPEN, State
from keeper.market.posting import PATIENCE

if TYPE_CHECKING:
    from keeper.chain.deployments import Deployment

REPLACE_AFTER: Final = 3  # blocks that a transaction may wait for
MAX_ATTEMPTS: Final = 24  # of one intent: at an eighth more each, fees have risen fifteenfold
_MAX_DEADLINE: Final = 120  # seconds, Vault._MAX_DEADLINE
_EMPTY_GAS: Final = 21_000
_TOO_LOW: Final = ("underpriced", "less than block base fee", "fee too low")
_NONCE_USED: Final = ("nonce too low", "nonce is too low")
_LOG = logging.getLogger(__name__)


class Signer(Protocol):
    """An account that signs, as eth_account's LocalAccount does."""

    @property
    def address(self) -> Any:
        """Checksummed."""

    def sign_transaction(self, transaction_dict: Any) -> Any:
        """Signed, with `raw_transaction`. Raises AccountError where that is not to be had: then nothing is sent."""


def rebalance_call(
    deployment: Deployment, decision: Decision, policy: Policy, snapshot: Snapshot, brief: Brief | None = None
) -> Call:
    """`Hedger.rebalance` with the decision's legs, its hash, and a deadline counted from the snapshot's time."""
    legs = [(leg.venue, leg.pool, leg.delta_change, leg.limit_price) for leg in decision.legs]
    sequence = snapshot.vault.sequence
    deadline = snapshot.timestamp + min(policy.deadline_seconds, _MAX_DEADLINE)
    digest = bytes.fromhex(decision_hash(decision, policy, snapshot, brief).removeprefix("0x"))
    data = function("Hedger", "rebalance").encode(legs, sequence, deadline, digest)
    return Call(f"rebalance {sequence}", deployment.address("Hedger"), data)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A transaction to sign: ``fees`` are most per gas and for the proposer, wei."""

    nonce: int
    call: Call | None  # None: an empty one
    gas: int
    fees: tuple[int, int]


class Executor:
    """Makes calls from one account, one at a time.

    Args:
        vault: What a rebalance leaves there is looked at before it is signed; it is not where this is empty.
        relay: Where a transaction is sent first, so that nobody sees it before its block; one that it refuses, or that
            waits too long there, is sent to the nodes.
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
        vault: str = "",
        relay: Connection | None = None,
        wait_seconds: float = 60.0,
        poll_seconds: float = 1.0,
        sleep: Callable[[float], bool | None] = time.sleep,
    ) -> None:
        self._connection, self._account, self._journal, self._vault = connection, account, journal, vault
        self._relay = relay
        self._wait_seconds, self._poll_seconds, self._sleep = wait_seconds, poll_seconds, sleep
        self._finality = Finality(connection, journal, account.address)
        self._too_low: set[str] = set()  # hashes of what a node refused for its fees: sent again it would be again

    def execute(self, intent: Intent) -> Outcome | None:
        """Make the call of a recorded intent, if it would succeed now. None: perhaps sent, not seen mined yet.

        Raises:
            JournalError: nothing is done that cannot be recorded.
            RpcUnavailableError: no answer before anything was signed, or the node is behind what was mined.
        """
        head = self._connection.header()
        found = self._rehearse(intent, head)
        if found.refusal:
            return self._end(intent, Outcome(Result.REFUSED, found.refusal))
        chosen = fees(head.base_fee, found.gas, intent.fee_ceiling)
        if chosen is None:
            return self._end(intent, Outcome(Result.REFUSED, _too_dear(intent, found.gas, head)))
        try:
            intent = self._sign(intent, _Draft(self._next_nonce(), intent.call, found.gas, chosen), head)
        except AccountError as error:
            return self._end(intent, Outcome(Result.UNSIGNED, error.what))
        return self._follow(self._send(intent, head))

    def reconcile(self, *, sends: bool = True) -> tuple[Intent, ...]:
        """Move on what a crash, a lost reply or a reorganisation left open. Returns the intents that are still open.

        Args:
            sends: Without it the keeper only looks what became of them.

        Raises:
            JournalError, RpcError, RpcUnavailableError: as `execute` does.
        """
        head = self._connection.header()
        self._finality.look(head)
        for intent in sorted(self._journal.open_intents(self._account.address), key=_by_nonce):
            if not intent.attempts:
                self._end(intent, Outcome(Result.ABANDONED, "nothing was signed"))
                continue
            moved = self._advance(intent, head, sends=sends)
            if moved is not intent and sends:  # it was sent again or found: its block may come at once
                self._follow(moved)
        return self._journal.open_intents(self._account.address)

    def beyond(self, head: Header) -> tuple[Intent, ...]:
        """What was seen mined in a block that this head does not have, yet or any more: who decided on it would do the
        same again."""
        mined_ones = self._journal.mined_intents(self._account.address)
        return tuple(intent for intent, outcome in mined_ones if (outcome.block_number or 0) > head.number)

    # ------------------------------------------------------------------ what is open

    def _follow(self, intent: Intent) -> Outcome | None:
        """Wait for its end, and move it on at every new block meanwhile. Where the node is silent nobody waits: it is
        looked for before anything else is done."""
        if intent.state is State.AMBIGUOUS:
            return None
        give_up, seen = time.monotonic() + self._wait_seconds, ""
        while intent.state in OPEN:
            try:
                outcome = mined(self._connection, intent)
                if outcome is not None:
                    return self._end(intent, outcome)
                head = self._connection.header()
                if (seen and head.hash != seen) or self._needs_more(intent.own_attempts[-1], head):
                    intent = self._advance(intent, head)
                seen = head.hash
            except RpcUnavailableError:
                return None
            if intent.state in OPEN and (time.monotonic() >= give_up or self._sleep(self._poll_seconds)):
                return None
        return self._journal.outcome_of(intent)

    def _advance(self, intent: Intent, head: Header, *, sends: bool = True) -> Intent:
        """Move an open intent on by what the chain says."""
        # The nonce first: a transaction mined between the two looks is then found by the second one.
        used = self._used_nonces()
        outcome = mined(self._connection, intent)
        if outcome is not None:
            return self._journal.record_outcome(intent, outcome)
        if used > intent.nonce:
            lost = Outcome(Result.SUPERSEDED, f"another transaction used nonce {intent.nonce}")
            return self._journal.record_outcome(intent, lost)
        if not sends:
            return intent
        last = intent.own_attempts[-1]
        if intent.state is State.SENT and self._is_private(intent, head):
            return intent  # no node shows it, whether the relay has it or not
        if any(self._connection.knows(one.tx_hash) for one in reversed(intent.own_attempts)):
            intent = self._journal.record_state(intent, State.SENT, "a node has it")
            if used < intent.nonce and not self._is_ours(used):
                return self._fill_gap(intent, used, head)
            return self._replace(intent, head) if _is_due(last, head) else intent
        if intent.state not in (State.SIGNED, State.REPLACED, State.AMBIGUOUS):
            intent = self._journal.record_state(intent, State.DROPPED, "no node knows it")
        if last.is_empty:
            return self._replace(intent, head) if self._needs_more(last, head) else self._send(intent, head)
        found = self._rehearse(intent, head)
        if found.refusal:
            # Should it turn up after all, it reverts like this simulation, or the next transaction has its nonce.
            detail = f"no node knows it, and now: {found.refusal}"
            return self._journal.record_outcome(intent, Outcome(Result.ABANDONED, detail))
        if not self._needs_more(last, head):
            return self._send(intent, head)
        is_tried = len(intent.attempts) >= MAX_ATTEMPTS
        if not is_tried and self._outbid(intent, found.gas, head) is not None:
            return self._replace(intent, head)
        why = f"none took {MAX_ATTEMPTS} of them" if is_tried else _too_dear(intent, found.gas, head)
        detail = f"no node knows it, and {why}"
        return self._journal.record_outcome(intent, Outcome(Result.ABANDONED, detail))

    def _replace(self, intent: Intent, head: Header) -> Intent:
        """Sign and send the call again with the same nonce and higher fees. An empty transaction where it would fail
        now, or waits for a base fee that it may not pay: it must not hold up what comes after it.

        Where that would cost too much, too, nothing changes.
        """
        last = intent.own_attempts[-1]
        if len(intent.attempts) >= MAX_ATTEMPTS:
            return intent
        gas, call, why = _EMPTY_GAS, None, ""
        if not last.is_empty:
            found = self._rehearse(intent, head)
            why = found.refusal
            if not why and self._outbid(intent, found.gas, head) is not None:
                gas, call = found.gas, intent.call
            elif not why and head.base_fee <= last.max_fee:
                return intent  # the next block may have it as it is
            else:
                why = why or _too_dear(intent, found.gas, head)
        chosen = self._outbid(intent, gas, head)
        if chosen is None:
            return intent
        try:
            return self._send(self._sign(intent, _Draft(intent.nonce, call, gas, chosen), head, why), head)
        except AccountError as error:
            _LOG.error("%s: no replacement is signed: %s", intent.call.purpose, error.what)
            return intent

    def _outbid(self, intent: Intent, gas: int, head: Header) -> tuple[int, int] | None:
        """Fees of a transaction in place of its newest one; None where they are more than it may cost.

        The first one offered proposers the usual. Where that did not do, they are offered what nodes suggest at once.
        """
        last, suggested = intent.own_attempts[-1], suggested_priority_fee(self._connection)
        return fees(head.base_fee, gas, intent.fee_ceiling, (last.max_fee, last.priority_fee), suggested)

    def _fill_gap(self, intent: Intent, nonce: int, head: Header) -> Intent:
        """Take a lower nonce that nothing of ours has, with an empty transaction: else the intent's is never mined."""
        fillers = [one for one in intent.attempts if one.nonce == nonce]
        if fillers and not _is_due(fillers[-1], head):
            if not self._connection.knows(fillers[-1].tx_hash):
                self._hand_over(fillers[-1])
            return intent
        replaced = (fillers[-1].max_fee, fillers[-1].priority_fee) if fillers else None
        chosen = fees(head.base_fee, _EMPTY_GAS, intent.fee_ceiling, replaced)
        if chosen is None or len(intent.attempts) >= MAX_ATTEMPTS:
            return intent
        try:
            intent = self._sign(intent, _Draft(nonce, None, _EMPTY_GAS, chosen), head)
        except AccountError as error:
            _LOG.error("nonce %d: nothing is signed to fill the gap: %s", nonce, error.what)
            return intent
        self._hand_over(intent.attempts[-1])
        return intent

    def _needs_more(self, attempt: Attempt, head: Header) -> bool:
        """Whether its fees were too low, and there is a newer block to take better ones from."""
        is_too_low = attempt.tx_hash in self._too_low or head.base_fee > attempt.max_fee
        return is_too_low and head.number > attempt.block_number

    def _is_ours(self, nonce: int) -> bool:
        """Whether an open intent will see to it."""
        return any(one.attempts and one.nonce == nonce for one in self._journal.open_intents(self._account.address))

    def _end(self, intent: Intent, outcome: Outcome) -> Outcome:
        self._journal.record_outcome(intent, outcome)
        return outcome

    # ------------------------------------------------------------------ transactions

    def _rehearse(self, intent: Intent, head: Header) -> Rehearsal:
        """The call now; a rebalance must do what was decided, too."""
        record = self._journal.record_of(intent)
        if record.kind is Kind.POST and head.timestamp > record.timestamp + PATIENCE:
            return Rehearsal(refusal="the market has moved on since it was planned")
        is_hedge = record.kind is Kind.HEDGE and record.snapshot is not None
        found = rehearse(self._connection, self._account.address, intent.call, head, self._vault if is_hedge else "")
        if found.after is None or record.snapshot is None:
            return found
        return Rehearsal(found.gas, objection(record.decision, record.snapshot, found.after), found.after)

    def _next_nonce(self) -> int:
        """The chain's count of what is mined: what is pending beyond is not the keeper's to queue behind.

        Raises:
            RpcUnavailableError: the node does not know of transactions that were seen mined.
        """
        used, seen = self._used_nonces(), self._journal.next_nonce(self._account.address)
        if used < seen:
            raise RpcUnavailableError(
                f"The node at {self._connection.label} counts {used} transactions of {self._account.address}, of {seen}"
                " seen mined.",
                kept="Nothing was signed.",
                todo=CAUGHT_UP,
            )
        if used > seen:
            self._finality.look_who_used(range(seen, used))
            seen = self._journal.next_nonce(self._account.address)
        if used > seen > 0:
            _LOG.warning("nonces %d to %d of %s were used elsewhere", seen, used - 1, self._account.address)
        return used

    def _used_nonces(self) -> int:
        return int(self._connection.request("eth_getTransactionCount", self._account.address, "latest"), 16)

    def _sign(self, intent: Intent, draft: _Draft, head: Header, why: str = "") -> Intent:
        """Signed and stored. Raises AccountError: the signer does not sign."""
        max_fee, priority_fee = draft.fees
        target, data = (self._account.address, b"") if draft.call is None else (draft.call.target, draft.call.data)
        transaction = {
            "type": 2,
            "chainId": self._connection.chain_id,
            "nonce": draft.nonce,
            "to": to_checksum_address(target),
            "data": data,
            "value": 0,
            "gas": draft.gas,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": priority_fee,
        }
        raw = bytes(self._account.sign_transaction(transaction).raw_transaction)
        attempt = Attempt(
            nonce=draft.nonce,
            tx_hash="0x" + keccak(raw).hex(),
            raw=raw,
            max_fee=max_fee,
            priority_fee=priority_fee,
            block_number=head.number,
            is_empty=draft.call is None,
        )
        return self._journal.record_attempt(intent, attempt, why)

    def _send(self, intent: Intent, head: Header) -> Intent:
        """Send its newest transaction. The same bytes have the same nonce: sending them twice cannot act twice."""
        attempt = intent.own_attempts[-1]
        try:
            refusal = self._hand_over(attempt, private=self._is_private(intent, head))
        except RpcUnavailableError:
            return self._journal.record_state(intent, State.AMBIGUOUS, "the reply was lost")
        if not refusal:
            return self._journal.record_state(intent, State.SENT)
        if any(phrase in refusal.lower() for phrase in _NONCE_USED):
            return intent  # it has just been mined, or another has: the next look tells
        if any(phrase in refusal.lower() for phrase in _TOO_LOW):
            self._too_low.add(attempt.tx_hash)
            return intent
        if intent.state is State.SIGNED:  # no node ever had it
            return self._journal.record_outcome(intent, Outcome(Result.REFUSED, refusal, attempt.tx_hash))
        _LOG.warning("%s: the node refuses what it may have had before: %s", intent.call.purpose, refusal)
        return intent

    def _is_private(self, intent: Intent, head: Header) -> bool:
        """Whether it is still the relay's alone: the first transaction, for as long as one may wait."""
        return self._relay is not None and len(intent.attempts) == 1 and not _is_due(intent.attempts[0], head)

    def _hand_over(self, attempt: Attempt, *, private: bool = False) -> str:
        """Give it to the relay first, or to the node alone. Returns why neither takes it, or nothing: a relay that
        refuses everything, as one does when its key has lapsed, must not keep the vault from being hedged."""
        refusal = ""
        for to in (self._relay if private else None, self._connection):
            if to is None:
                continue
            try:
                to.send_raw(attempt.raw)
                return ""
            except RpcError as error:
                refusal = reason_of(error)
                if to is self._relay:
                    _LOG.warning("the relay refuses a transaction, and the nodes get it: %s", refusal)
        return refusal


def _by_nonce(intent: Intent) -> int:
    return intent.nonce if intent.attempts else -1


def _is_due(attempt: Attempt, head: Header) -> bool:
    """Whether it has waited for long enough, or cannot be mined at this base fee."""
    return head.number >= attempt.block_number + REPLACE_AFTER or head.base_fee > attempt.max_fee


def _too_dear(intent: Intent, gas: int, head: Header) -> str:
    base_fee, ceiling = head.base_fee / 1e9, intent.fee_ceiling / 1e18
    return f"{gas:,} gas at a base fee of {base_fee:.2f} gwei cost more than the {ceiling:.4f} ether that it may"
