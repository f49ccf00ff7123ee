"""The keeper's loop: newest block, duties, snapshot, decision, journal, act. One block at a time, never two."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from keeper.chain.deployments import Deployment
from keeper.chain.rpc import Connection, Header
from keeper.domain.decision import Action, Brief, Decision
from keeper.domain.policy import Policy
from keeper.domain.snapshot import Snapshot
from keeper.errors import JournalError, LeaseError, RpcError, RpcUnavailableError, SnapshotError
from keeper.execution.ceiling import duty_ceiling, fee_ceiling
from keeper.execution.executor import Executor, Signer, rebalance_call
from keeper.execution.journal import Journal
from keeper.execution.lease import Lease
from keeper.execution.records import MINED_RESULTS, Intent, Kind, Outcome, Record, Result
from keeper.hedging.brief import answer, brief_of, failed, withheld
from keeper.hedging.decide import decide as decide_hedge
from keeper.market.history import History
from keeper.market.reader import read_snapshot
from keeper.runtime.desk import Desk
from keeper.runtime.guard import Guard
from keeper.runtime.heartbeat import heartbeat
from keeper.runtime.lending import lending, recalling
from keeper.runtime.poster import Poster
from keeper.runtime.redemptions import redemptions
from keeper.runtime.settlement import Duty, settlement
from keeper.runtime.signals import ended_by_signals
from keeper.runtime.watch import Watch

Service = Callable[[Connection, Deployment, Header], Iterable[Duty]]

SERVICES: Final[tuple[Service, ...]] = (
    settlement,
    redemptions,
    heartbeat,
    lending,
)  # in this order: a series must be fixed before its vault pays
_RETRY_DUTY: Final = 60  # seconds of chain time before a duty that did not succeed is tried again
_MAX_DUTIES: Final = 8  # per block
_OF_AN_EXPIRY: Final = frozenset({Kind.SETTLE, Kind.FUND})
_LOG = logging.getLogger(__name__)


class Keeper:
    """Keeps one vault hedged.

    Args:
        account: Signs; it must hold the KEEPER role. In a dry run only its address is used.
        decide: `keeper.hedging.decide.decide`, or another pure function of the same kind.
        dry_run: Decide and record, but send nothing.
        poll_seconds: Between looks for a new block.
        wait_seconds: For a receipt, before a transaction counts as in flight.
        services: What else is due at a block.
        guard: Asked before anything is sent. None for who stops the keeper by other means.
        watch: Told of everything that happens. None where nobody looks.
        relay: Where transactions are sent first, out of sight. None sends them to the nodes.
        lease: Without it the keeper stands by, and writes nothing to the journal. None for who is alone.
        desk: Quotes on what the keeper sees. None where nobody is quoted to.
        poster: Posts the surface, with a key of its own. None where somebody else does.

    Raises:
        WrongChainError: the node serves another chain than the deployment's.
        RpcUnavailableError: no answer.
    """

    def __init__(
        self,
        connection: Connection,
        deployment: Deployment,
        account: Signer,
        policy: Policy,
        journal: Journal,
        decide: Callable[..., Decision] = decide_hedge,
        *,
        dry_run: bool = False,
        poll_seconds: float = 1.0,
        wait_seconds: float = 60.0,
        services: Sequence[Service] = SERVICES,
        guard: Guard | None = None,
        watch: Watch | None = None,
        relay: Connection | None = None,
        lease: Lease | None = None,
        desk: Desk | None = None,
        poster: Poster | None = None,
    ) -> None:
        connection.require_chain(deployment.chain_id)
        self._connection, self._deployment, self._account = connection, deployment, account
        self._policy, self._journal, self._decide = policy, journal, decide
        self._dry_run, self._poll_seconds, self._services = dry_run, poll_seconds, tuple(services)
        self._guard, self._watch, self._lease, self._desk, self._poster = guard, watch, lease, desk, poster
        if lease is not None:
            journal.fenced_by(lease)
        journal.adopt(account.address)
        self._stopped = threading.Event()
        self._executor = Executor(
            connection,
            account,
            journal,
            vault=deployment.address("Vault"),
            relay=relay,
            wait_seconds=wait_seconds,
            poll_seconds=min(poll_seconds, 1.0),
            sleep=self._wait,
        )
        self._history = History(deployment)
        self._seen = ""
        self._open: tuple[Intent, ...] = ()  # after the last block
        self._is_withheld = False  # by the last review: duties wait, too, until one lets the keeper act
        self._duty_told: dict[tuple[Kind, str, bool], tuple[str, int]] = {}

    # ------------------------------------------------------------------ following the head

    def run(self, *, once: bool = False) -> None:
        """Follow the head until `stop()`, SIGTERM or SIGINT; with `once`, deal with the newest block only.

        A node that does not answer is asked again; with `once` it is an error.

        Raises:
            JournalError: the keeper does nothing that it cannot record.
            LeaseError, RpcError, RpcUnavailableError: only with `once`.
        """
        with ended_by_signals(self.stop):
            while not self._stopped.is_set():
                self._show_life()
                try:
                    self.tick()
                    if once and self._lease is not None and not self._lease.is_held:
                        raise self._lease.lost()
                except LeaseError as error:
                    if once:
                        raise
                    _LOG.warning("%s", error)  # from the next round on it stands by
                    self._lose()
                except (RpcUnavailableError, RpcError) as error:
                    if once:
                        raise
                    _LOG.warning("%s", error)
                    if self._watch is not None:
                        self._watch.node_failed(str(error))
                if once:
                    return
                self._stopped.wait(self._poll_seconds)

    def stop(self) -> None:
        """End `run` after the current block. Safe from signal handlers and other threads."""
        self._stopped.set()

    def tick(self) -> Record | None:
        """Deal with the newest block. Returns its hedging decision; None when it has been dealt with before, or when
        another machine keeps the vault.

        Raises:
            LeaseError: another machine has taken over meanwhile. What was not written is not done.
            JournalError, RpcError, RpcUnavailableError
        """
        if self._lease is not None and not self._lease.acquire():
            self._stand_by(self._lease)
            return None
        # Before looking at the chain, so that what has ended by now is in the block that is decided on.
        paused = bool(self._guard and self._guard.paused())
        in_flight = self._executor.reconcile(sends=not paused) if not self._dry_run else ()
        block = self._connection.header()
        if block.hash == self._seen:
            return None
        if self._watch is not None:
            self._watch.begins(block)
        if self._guard is not None:
            self._guard.tell_twin(block)
        self._tell_ended(in_flight, block)
        in_flight = in_flight or self._executor.beyond(block)
        if not in_flight and not paused and not self._is_withheld:
            block, in_flight = self._do_duties(block)
            in_flight = in_flight or self._executor.beyond(block)
        record = self._hedge(block, in_flight)
        self._seen = block.hash
        self._open = self._journal.open_intents(self._account.address)
        if self._watch is not None:
            guard = self._guard
            vitals, blind, standing = (guard.vitals, guard.blind, guard.standing()) if guard else (None, "", ())
            self._watch.done(block, record, record.snapshot, vitals, standing, self._open, blind)
        if self._poster is not None:
            self._post(self._poster, block, sends=not paused and not self._is_withheld)
        return record

    def _post(self, poster: Poster, block: Header, *, sends: bool) -> None:
        """Last, so that no hedge waits for a post."""
        try:
            for intent, outcome in poster.follow(block, sends=sends):
                self._tell(intent, outcome, block, trips=False)
        except (RpcUnavailableError, RpcError) as error:
            _LOG.warning("block %d: the surface is not posted: %s", block.number, error.what)
        except JournalError:
            raise
        except Exception:
            _LOG.exception("block %d: the poster failed", block.number)
            self._count_error(block, trips=False)

    def _stand_by(self, lease: Lease) -> None:
        """Look at the chain, so that it is known whether that can be done, and forget what was."""
        self._seen, self._open = "", ()
        self._lose()
        block = self._connection.header()
        if self._watch is not None:
            holder = lease.holder()
            self._watch.stands_by(block, holder.machine if holder else "")

    def _wait(self, seconds: float) -> bool:
        """Between looks for a receipt. True ends that: the keeper shall stop, or another machine has taken over."""
        self._show_life()
        if self._stopped.wait(seconds):
            return True
        if self._lease is None or self._lease.renew():
            return False
        self._lose()
        return True

    def _lose(self) -> None:
        if self._desk is not None:
            self._desk.lose()

    def _show_life(self) -> None:
        if self._watch is not None:
            self._watch.came_round()

    # ------------------------------------------------------------------ hedging

    def _hedge(self, block: Header, in_flight: Sequence[Intent]) -> Record:
        snapshot: Snapshot | None = None
        brief: Brief | None = None
        wanted: Decision | None = None
        if in_flight:
            waiting = ", ".join(f"{intent.call.purpose} ({intent.attempts[-1].tx_hash})" for intent in in_flight)
            decision = _plain(block, Action.REFUSE, f"not decided again while it is not known how this ends: {waiting}")
        else:
            try:
                snapshot = read_snapshot(
                    self._connection, self._deployment, self._account.address, block.hash, self._history
                )
                brief = self._brief(snapshot)
                wanted = self._decided(snapshot, brief, block)
                decision = self._allowed(wanted, snapshot, block)
            except SnapshotError as error:
                decision = _plain(block, Action.REFUSE, error.what)
        _LOG.info("block %d: %s: %s", block.number, decision.action, decision.reason)
        self._tell_desk(snapshot, wanted, decision)
        if snapshot is None or decision.action is not Action.TRADE or self._dry_run:
            timestamp = block.timestamp if snapshot is None else snapshot.timestamp
            return self._journal.record_decision(
                decision, self._policy, snapshot, timestamp=timestamp, brief=brief, wanted=wanted
            )
        call = rebalance_call(self._deployment, decision, self._policy, snapshot, brief)
        record, intent = self._journal.record_action(
            decision,
            self._policy,
            snapshot,
            call,
            account=self._account.address,
            timestamp=snapshot.timestamp,
            brief=brief,
            fee_ceiling=fee_ceiling(decision, self._policy, snapshot),
        )
        self._tell(intent, self._executor.execute(intent), block)
        return record

    def _brief(self, snapshot: Snapshot) -> Brief:
        offers, vega_budget = self._desk.offers(snapshot) if self._desk is not None else ((), 0)
        return brief_of(
            snapshot,
            unwinding=self._guard is not None and self._guard.unwinding(),
            offers=offers,
            vega_budget_wad=vega_budget,
            last_rebalance=self._journal.last_rebalance(),
        )

    def _tell_desk(self, snapshot: Snapshot | None, wanted: Decision | None, decision: Decision) -> None:
        """Whatever keeps the keeper from acting keeps the desk from signing; what is only withheld can be looked at."""
        if self._desk is None:
            return
        if snapshot is None or wanted is None or wanted.action is Action.REFUSE:
            self._desk.unseen(decision.reason)
        else:
            self._desk.see(snapshot, decision.fills, decision.reason if decision.action is Action.REFUSE else "")

    def _allowed(self, decision: Decision, snapshot: Snapshot, block: Header) -> Decision:
        """The decision, or a refusal where orders or the kill switch say that nothing is sent."""
        refusal = self._guard.review(block, snapshot).refusal if self._guard else ""
        self._is_withheld = bool(refusal)
        return withheld(decision, refusal) if refusal else decision

    def _decided(self, snapshot: Snapshot, brief: Brief, block: Header) -> Decision:
        try:
            return answer(snapshot, self._policy, brief, self._decide)
        except Exception as error:
            self._count_error(block)
            # The next block may be fine, and settlement must go on; the record says that someone should look.
            _LOG.exception("block %d: no decision", block.number)
            return failed(snapshot, error)

    # ------------------------------------------------------------------ duties

    def _do_duties(self, block: Header) -> tuple[Header, tuple[Intent, ...]]:
        """Do what is due, one after the other, each on the state that the one before left: all that an expiry needs,
        and of everything else one at most, since each takes a block and the hedge comes after it.

        Returns the newest block, and what is in flight.
        """
        for _ in range(_MAX_DUTIES):
            if self._stopped.is_set() or (self._guard is not None and self._guard.paused()):
                return block, ()
            duty = self._next_duty(block)
            if duty is None:
                return block, ()
            decision = _plain(block, duty.action, duty.reason)
            self._duty_told[self._key_of(duty)] = (duty.reason, block.timestamp)
            _LOG.info("block %d: %s: %s", block.number, duty.kind, duty.reason)
            if duty.call is None or self._dry_run:
                self._journal.record_decision(decision, self._policy, None, timestamp=block.timestamp, kind=duty.kind)
                continue
            _, intent = self._journal.record_action(
                decision,
                self._policy,
                None,
                duty.call,
                account=self._account.address,
                timestamp=block.timestamp,
                kind=duty.kind,
                fee_ceiling=duty_ceiling(duty.kind),
            )
            outcome = self._executor.execute(intent)
            self._tell(intent, outcome, block)
            self._show_life()
            if outcome is None:
                return block, self._journal.open_intents(self._account.address)
            if outcome.result is Result.CONFIRMED:
                del self._duty_told[self._key_of(duty)]
            block = self._connection.header()
            if self._watch is not None:
                self._watch.now_at(block)
            if (outcome.result in MINED_RESULTS and duty.kind not in _OF_AN_EXPIRY) or self._executor.beyond(block):
                return block, ()
        return block, ()

    def _next_duty(self, block: Header) -> Duty | None:
        unwinding = self._guard is not None and self._guard.unwinding()
        for service in self._services:
            for duty in self._due(recalling if unwinding and service is lending else service, block):
                reason, told_at = self._duty_told.get(self._key_of(duty), ("", -_RETRY_DUTY))
                if block.timestamp >= told_at + _RETRY_DUTY if self._acts(duty) else duty.reason != reason:
                    return duty
        return None

    def _acts(self, duty: Duty) -> bool:
        return duty.call is not None and not self._dry_run

    def _key_of(self, duty: Duty) -> tuple[Kind, str, bool]:
        """What was tried waits for a minute, whatever its reason says by now; what only waits is told once a reason."""
        return duty.kind, duty.subject, self._acts(duty)

    def _due(self, service: Service, block: Header) -> Iterator[Duty]:
        """What a service finds. One that fails keeps neither the others nor the hedge from being done."""
        try:
            yield from service(self._connection, self._deployment, block)
        except (RpcUnavailableError, RpcError, SnapshotError) as error:
            _LOG.warning("block %d: %s", block.number, error.what)
            self._show_life()  # no answer may have taken half a minute
        except Exception:
            _LOG.exception("block %d: a service failed", block.number)
            self._count_error(block)

    def _count_error(self, block: Header, *, trips: bool = True) -> None:
        """Without ``trips`` the kill switch does not count it: the hedge goes on whatever becomes of the surface."""
        if self._guard is not None and trips:
            self._guard.count_error(block)
        if self._watch is not None:
            self._watch.counted_error()

    def _tell_ended(self, in_flight: Sequence[Intent], block: Header) -> None:
        """What was open after the last block and has ended since."""
        still = {intent.id for intent in in_flight}
        for was_open in self._open:
            for intent, outcome in self._journal.transactions_of(was_open.decision_id):
                if intent.id == was_open.id and intent.id not in still:
                    self._tell(intent, outcome, block)

    def _tell(self, intent: Intent, outcome: Outcome | None, block: Header, *, trips: bool = True) -> None:
        purpose = intent.call.purpose
        if outcome is None:
            _LOG.warning("%s: sent, not seen mined yet", purpose)
            return
        if self._watch is not None:
            self._watch.ended(intent, outcome.result, outcome.detail)
        if outcome.result is Result.CONFIRMED:
            _LOG.info("%s: mined in block %s, %s gas", purpose, outcome.block_number, outcome.gas_used)
        else:
            _LOG.warning("%s: %s: %s", purpose, outcome.result, outcome.detail)
            if outcome.result is Result.FAILED:
                self._count_error(block, trips=trips)


def _plain(block: Header, action: Action, reason: str) -> Decision:
    return Decision(block.number, block.hash, action, reason)
