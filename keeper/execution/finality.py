"""What is in a block stays under watch until it is final: a reorganisation may take the block away."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from keeper.chain.rpc import Connection, Header
from keeper.errors import RpcUnavailableError
from keeper.execution.journal import Journal
from keeper.execution.records import Attempt, Intent, Outcome, Result
from keeper.execution.states import State

FINAL_DEPTH: Final = 64  # blocks: two epochs
CAUGHT_UP: Final = "Wait until it has caught up. If the chain was started anew, start a new journal, too."
_LOG = logging.getLogger(__name__)


class Finality:
    """Looks at every new head whether what an account has mined, by the journal, is still there, and what else is."""

    def __init__(self, connection: Connection, journal: Journal, account: str) -> None:
        self._connection, self._journal, self._account = connection, journal, account
        self._seen = ""  # hash of the newest head that was looked at
        self._stands: set[str] = set()  # hashes of blocks that are on its branch

    def look(self, head: Header) -> None:
        """Un-confirm what is not in its block any more, and leave alone what is deep enough. Looks once at each head.

        Raises:
            RpcUnavailableError: no answer, or the node does not have the blocks yet.
        """
        if head.hash == self._seen:
            return
        if self._seen != head.parent_hash:
            self._stands.clear()
        self._look_for_what_is_gone(head)
        for intent, outcome in self._journal.mined_intents(self._account):
            if (outcome.block_number or 0) + FINAL_DEPTH <= head.number:
                self._journal.record_state(intent, State.FINAL)
        self._look_among(self._journal.given_up(head.number - FINAL_DEPTH, self._account))
        self._seen = head.hash

    def look_who_used(self, nonces: range) -> None:
        """Whether what was given up longer ago than `look` looks has used one of these nonces.

        Raises:
            RpcUnavailableError: no answer.
        """
        self._look_among(self._journal.given_up_with(nonces, self._account))

    def _look_among(self, given_up: Iterable[Intent]) -> None:
        for intent in given_up:
            found = mined(self._connection, intent)
            if found is not None:
                _LOG.warning("%s was given up and is mined nevertheless", intent.call.purpose)
                self._journal.record_outcome(intent, found)

    def _look_for_what_is_gone(self, head: Header) -> None:
        for intent, outcome in self._journal.mined_intents(self._account):
            number, block_hash = outcome.block_number or 0, outcome.block_hash or ""
            if block_hash in self._stands:
                continue  # on the same branch it cannot have gone
            if number > head.number:
                raise RpcUnavailableError(
                    f"The node at {self._connection.label} is behind: its newest block is {head.number}, and"
                    f" {intent.call.purpose} was mined in block {number}.",
                    kept="Nothing was decided or sent.",
                    todo=CAUGHT_UP,
                )
            block = self._connection.request("eth_getBlockByNumber", hex(number), False)
            if block is not None and block["hash"] == block_hash:
                self._stands.add(block_hash)
                continue
            what = f"a reorganisation took block {number} away"
            _LOG.warning("%s: %s", intent.call.purpose, what)
            again = mined(self._connection, intent)
            if again is None:
                self._journal.record_state(intent, State.UNCONFIRMED, what)
            else:
                self._journal.record_outcome(intent, again)


def mined(connection: Connection, intent: Intent) -> Outcome | None:
    """How an intent ended by a transaction with its nonce that is in a block; None where there is none.

    Raises:
        RpcUnavailableError: no answer.
    """
    for attempt in intent.own_attempts:
        receipt = connection.request("eth_getTransactionReceipt", attempt.tx_hash)
        if receipt is not None:
            return _outcome(attempt, receipt)
    return None


def _outcome(attempt: Attempt, receipt: dict[str, Any]) -> Outcome:
    if attempt.is_empty:
        result, detail = Result.CANCELLED, "an empty transaction took its nonce: the call would have failed"
    elif int(receipt["status"], 16) == 1:
        result, detail = Result.CONFIRMED, ""
    else:
        result, detail = Result.FAILED, "the chain moved between the simulation and the block: only gas was spent"
    return Outcome(
        result=result,
        detail=detail,
        tx_hash=attempt.tx_hash,
        block_number=int(receipt["blockNumber"], 16),
        block_hash=receipt["blockHash"],
        gas_used=int(receipt["gasUsed"], 16),
        gas_price=int(receipt["effectiveGasPrice"], 16),
    )
