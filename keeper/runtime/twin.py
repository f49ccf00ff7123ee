"""The kill switch's twin on chain: the guardian latches REDUCE_ONLY, which stops deposits, sales and listings.

The keeper's own key cannot do it, and need not: a guardian can only reduce risk. Only the governor unlatches.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from keeper.chain.abi import function
from keeper.chain.artifacts import artifact
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.chain.sender import Sender

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

AGAIN_AFTER: Final = 60  # seconds of chain time, while what was sent has not been mined
_LOG = logging.getLogger(__name__)


class GuardianTwin:
    """Sends with the guardian's key, and does not wait for the block: the hedge must not."""

    def __init__(self, connection: Connection, deployment: Deployment, account: LocalAccount) -> None:
        self._connection, self._deployment, self._account = connection, deployment, account
        self._tried_at = -AGAIN_AFTER

    def stop(self, block: Header) -> None:
        """Latch REDUCE_ONLY unless it is latched. What goes wrong is told in the log, and tried again in a minute."""
        if block.timestamp < self._tried_at + AGAIN_AFTER:
            return
        try:
            breaker = self._deployment.address("CircuitBreaker")
            batch = Batch()
            latched = batch.add("CircuitBreaker", breaker, function("CircuitBreaker", "latched"))
            batch.run(self._connection, block)
            if latched.value:
                return
            self._tried_at = block.timestamp
            sender = Sender(self._connection.w3, self._account)
            contract = sender.w3.eth.contract(address=breaker, abi=artifact("CircuitBreaker").abi)
            digest = sender.submit(contract.functions.set_reduce_only(True), "the guardian stops new business")
            _LOG.error("block %d: the guardian stops new business on chain: %s", block.number, digest)
        except Exception as error:  # the keeper's own stop stands, whatever happens to its twin
            _LOG.error("block %d: the guardian could not stop new business on chain: %s", block.number, error)
