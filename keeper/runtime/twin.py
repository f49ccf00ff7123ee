"""The kill switch's twin on chain: the guardian latches REDUCE_ONLY, which stops deposits, sales and listings.

The keeper's own key cannot do it, and need not: a guardian can only reduce risk. Only the governor unlatches.
"""

from __future__ import annotations

import logging
from typing import Final

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.execution.ceiling import duty_ceiling
from keeper.execution.executor import Executor, Signer
from keeper.execution.journal import Journal
from keeper.execution.records import Call, Kind, Outcome

AGAIN_AFTER: Final = 60  # seconds of chain time, where nothing could be sent
_PURPOSE: Final = "the guardian stops new business"
_LOG = logging.getLogger(__name__)


class GuardianTwin:
    """Acts with the guardian's key, once, over the keeper's journal: what a crash leaves open is taken up again, and
    what is not mined is replaced at higher fees. It does not wait for a block: the hedge must not.

    Args:
        policy: Is recorded with the decision.
    """

    def __init__(
        self, connection: Connection, deployment: Deployment, account: Signer, policy: Policy, journal: Journal
    ) -> None:
        self._connection, self._account, self._policy, self._journal = connection, account, policy, journal
        self._breaker = deployment.address("CircuitBreaker")
        self._executor = Executor(connection, account, journal, wait_seconds=0.0)
        self._tried_at = -AGAIN_AFTER

    def follow(self, *, stops: bool, block: Header) -> None:
        """Move on what is open; with `stops`, latch REDUCE_ONLY unless it is latched. What goes wrong is told in the
        log, and tried again: at the next block, or in a minute where nothing could be sent."""
        try:
            if self._executor.reconcile() or not stops or self._is_latched(block):
                return
            if block.timestamp >= self._tried_at + AGAIN_AFTER:
                self._tried_at = block.timestamp
                self._stop(block)
        except Exception as error:  # the keeper's own stop stands, whatever happens to its twin
            _LOG.error("block %d: the guardian could not stop new business on chain: %s", block.number, error)

    def _is_latched(self, block: Header) -> bool:
        batch = Batch()
        latched = batch.add("CircuitBreaker", self._breaker, function("CircuitBreaker", "latched"))
        batch.run(self._connection, block)
        return bool(latched.value)

    def _stop(self, block: Header) -> None:
        call = Call(_PURPOSE, self._breaker, function("CircuitBreaker", "set_reduce_only").encode(True))
        decision = Decision(block.number, block.hash, Action.TRADE, "the kill switch has tripped: no new business")
        _, intent = self._journal.record_action(
            decision,
            self._policy,
            None,
            call,
            account=self._account.address,
            timestamp=block.timestamp,
            kind=Kind.STOP,
            fee_ceiling=duty_ceiling(Kind.STOP),
        )
        outcome = self._executor.execute(intent)
        _LOG.error("block %d: %s on chain: %s", block.number, _PURPOSE, _told(outcome))


def _told(outcome: Outcome | None) -> str:
    return "sent" if outcome is None else f"{outcome.result} {outcome.detail}".strip()
