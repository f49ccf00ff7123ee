"""The vol poster: the surface follows its market while the keeper runs, and the hedge does not wait for it.

The lookout finds what is to be posted; the loop takes it when it has dealt with a block, and makes the call with the
poster's key. One post is open at most; the next one is planned on what the chain says after it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action, Decision
from keeper.domain.policy import Policy
from keeper.domain.units import MINUTE
from keeper.execution.ceiling import duty_ceiling
from keeper.execution.executor import Executor, Signer
from keeper.execution.journal import Journal
from keeper.execution.records import Intent, Kind, Outcome, Result
from keeper.market.posting import PATIENCE
from keeper.runtime.lookout import Lookout, Post

LOOK_EVERY: Final = MINUTE  # of chain time, while nothing is to be posted
AGAIN_AFTER: Final = MINUTE  # of chain time, after a post that did not succeed
_FRESH: Final = PATIENCE // 2  # what is planned is accepted for that long yet
_LOG = logging.getLogger(__name__)


class Poster:
    """Posts what the lookout finds. For the loop's thread.

    Args:
        account: Must hold VOL_POSTER, and have its nonces to itself. None for a dry run: what would be posted is
            recorded, and nothing is sent.
        policy: Is recorded with what is decided.
        relay: As the executor's.
    """

    def __init__(
        self,
        connection: Connection,
        account: Signer | None,
        policy: Policy,
        journal: Journal,
        lookout: Lookout,
        *,
        relay: Connection | None = None,
    ) -> None:
        self._account, self._policy, self._journal, self._lookout = account, policy, journal, lookout
        self._executor = None
        if account is not None:
            self._executor = Executor(connection, account, journal, relay=relay, wait_seconds=0.0)
        self._open: tuple[Intent, ...] = ()
        self._look_at = self._act_at = 0  # chain times before which nothing is looked at, or posted
        self._troubles: dict[int, str] = {}

    def follow(self, block: Header, *, sends: bool) -> Iterator[tuple[Intent, Outcome]]:
        """After a block was dealt with: move on what is open, post what is ready, or ask for another look. Yields the
        posts that have ended, and how.

        Args:
            sends: Without it nothing is posted, and it is only looked what became of what was.

        Raises:
            JournalError, LeaseError, RpcError, RpcUnavailableError
        """
        if self._executor is not None:
            was_open, self._open = self._open, self._executor.reconcile(sends=sends)
            for intent in was_open:
                outcome = self._journal.outcome_of(intent)
                if outcome is not None:
                    self._see_end(outcome, block)
                    yield intent, outcome
        if self._open or not sends:
            return
        found = self._lookout.take()
        if found is None:
            if block.timestamp >= self._look_at:
                self._ask(block)
            return
        self._tell_troubles(found, block)
        ready = [one for one in found if one.call is not None]
        if not ready or block.timestamp < self._act_at:
            return
        post = min(ready, key=lambda one: one.since)
        if block.timestamp > post.planned_at + _FRESH:
            self._ask(block)
            return
        ended = self._post(post, block)
        if ended is not None:
            yield ended

    def _ask(self, block: Header) -> None:
        self._look_at = block.timestamp + LOOK_EVERY
        self._lookout.ask(block)

    def _post(self, post: Post, block: Header) -> tuple[Intent, Outcome] | None:
        """Its end, where it has ended at once."""
        _LOG.info("block %d: %s", block.number, post.reason)
        decision = Decision(block.number, block.hash, Action.TRADE, post.reason)
        if self._executor is None or self._account is None or post.call is None:
            self._journal.record_decision(decision, self._policy, None, timestamp=post.planned_at, kind=Kind.POST)
            return None
        _, intent = self._journal.record_action(
            decision,
            self._policy,
            None,
            post.call,
            account=self._account.address,
            timestamp=post.planned_at,
            kind=Kind.POST,
            fee_ceiling=duty_ceiling(Kind.POST),
        )
        outcome = self._executor.execute(intent)
        if outcome is None:
            self._open = (intent,)
            return None
        self._see_end(outcome, block)
        return intent, outcome

    def _see_end(self, outcome: Outcome, block: Header) -> None:
        if outcome.result is Result.CONFIRMED:
            self._look_at = block.timestamp  # the next slice may be waiting
        else:
            self._act_at = block.timestamp + AGAIN_AFTER

    def _tell_troubles(self, found: Sequence[Post], block: Header) -> None:
        """What keeps a market from being followed, once for as long as it lasts."""
        for one in found:
            if one.trouble and self._troubles.get(one.underlying) != one.trouble:
                _LOG.warning("block %d: %s", block.number, one.reason)
                decision = Decision(block.number, block.hash, Action.HOLD, one.reason)
                self._journal.record_decision(decision, self._policy, None, timestamp=block.timestamp, kind=Kind.POST)
            self._troubles[one.underlying] = one.trouble
