"""`keel explain`: why the keeper did what it did at a block or by a transaction, or what it would do now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper.config import Settings
from keeper.domain.decision import Decision
from keeper.domain.policy import Policy
from keeper.domain.safety import Order
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.times import utc_second
from keeper.domain.units import WAD
from keeper.errors import JournalError, KeelError
from keeper.execution.database import dry_run_url, parse_url
from keeper.execution.journal import Journal
from keeper.execution.migrate import exists
from keeper.execution.orders import Entry, Orders
from keeper.execution.records import BESIDE, Intent, Kind, Outcome, Record, decision_hash
from keeper.hedging.brief import answer, brief_of, failed, withheld
from keeper.market.history import History
from keeper.market.reader import read_snapshot
from keeper.operations.session import open_session
from keeper.runtime.loop import SERVICES


@dataclass(frozen=True, slots=True)
class Transaction:
    """What became of a call; ``result`` is "in flight" while that is not known."""

    purpose: str
    result: str
    detail: str
    tx_hash: str | None
    block_number: int | None
    gas_used: int | None


@dataclass(frozen=True, slots=True)
class Duty:
    """What else was due at the block: settling, funding, redemptions, heartbeat, lending, and beside the hedge posts of
    the surface and the guardian's stop."""

    kind: str
    action: str
    reason: str
    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with all that it saw; ``snapshot`` is None when the chain could not be read, and for duties.

    Where the keeper settled something it decides on the block after that; ``decision`` is then the next one's. Where an
    order or the kill switch withheld a decision, ``wanted`` is what was decided.
    """

    decision: Decision
    decision_hash: str
    timestamp: int
    policy: Policy
    snapshot: Snapshot | None
    transactions: tuple[Transaction, ...] = ()
    duties: tuple[Duty, ...] = ()
    wanted: Decision | None = None
    kind: Kind = Kind.HEDGE

    def to_json(self) -> dict[str, Any]:
        """Plain values; integers are as on chain."""
        return asdict(self)


def explain_block(settings: Settings, block_number: int, *, dry_run: bool = False) -> Explanation:
    """What was recorded at a block. Needs the journal, not the node.

    Raises:
        KeelError: nothing was recorded there; says which blocks are near.
    """
    with journal_of(settings, dry_run=dry_run) as journal:
        entries = journal.decisions(block_number, block_number)
        duties = tuple(
            Duty(entry.kind, entry.decision.action, entry.decision.reason, _transactions(journal, entry))
            for entry in entries
            if entry.kind is not Kind.HEDGE
        )
        _, after = journal.nearest_blocks(block_number)
        record = journal.decision_at(block_number)
        if record is None and duties and after is not None:
            record = journal.decision_at(after)
        if record is None:
            raise nothing_at(journal, block_number)
        return _explained(journal, record, duties)


def explain_transaction(settings: Settings, tx_hash: str, *, dry_run: bool = False) -> Explanation:
    """The decision that a transaction was signed for. Needs the journal, not the node.

    Raises:
        KeelError: the keeper has not signed it.
    """
    with journal_of(settings, dry_run=dry_run) as journal:
        record = journal.record_of_transaction(tx_hash.lower())
        if record is None:
            raise KeelError(
                f"The journal {journal.label} has no transaction {tx_hash}.",
                todo="It has those that the keeper signed: is it another account's, or another journal's?",
            )
        return _explained(journal, record)


@contextmanager
def journal_of(settings: Settings, *, dry_run: bool) -> Iterator[Journal]:
    """The configured journal, or that of dry runs, which must be there.

    Raises:
        JournalError
    """
    url = dry_run_url(settings.journal_url) if dry_run else settings.journal_url
    if not exists(url):
        label = parse_url(url).render_as_string(hide_password=True)
        raise JournalError(f"There is no journal {label} yet.", todo="Start `keel run` first, or set `journal_url`.")
    with closing(Journal(url)) as journal:
        yield journal


def nothing_at(journal: Journal, block_number: int) -> KeelError:
    """The error where there is no hedging decision on a block; says which blocks are near."""
    near = " and ".join(str(block) for block in journal.nearest_blocks(block_number) if block is not None)
    return KeelError(
        f"The journal {journal.label} has no decision on block {block_number}.",
        todo=f"The nearest ones are on {near}." if near else "Start `keel run` first: it has none at all.",
    )


def explain_now(settings: Settings) -> Explanation:
    """What the keeper would do at the newest block, orders that stand included. Nothing is recorded or sent.

    Whether the kill switch would trip now only the keeper tells, which has seen the blocks before.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    block = session.connection.header()
    due = tuple(
        Duty(duty.kind, duty.action, duty.reason, ())
        for service in SERVICES
        for duty in service(session.connection, session.deployment, block)
    )
    history = History(session.deployment)
    snapshot = read_snapshot(session.connection, session.deployment, session.keeper_address(), block.hash, history)
    policy, (orders, last_rebalance) = settings.policy, _journalled(settings)
    unwinding = any(one.order is Order.UNWIND for one in orders)
    brief = brief_of(snapshot, unwinding=unwinding, last_rebalance=last_rebalance)
    try:
        decision = answer(snapshot, policy, brief)
    except Exception as error:  # as the loop does
        decision = failed(snapshot, error)
    refusal = "; ".join(f"{one.cause}: {one.reason}" for one in orders if one.order is Order.PAUSE)
    wanted, decision = (decision, withheld(decision, refusal)) if refusal else (None, decision)
    digest = decision_hash(decision, policy, snapshot, brief)
    return Explanation(decision, digest, snapshot.timestamp, policy, snapshot, duties=due, wanted=wanted)


def _journalled(settings: Settings) -> tuple[tuple[Entry, ...], tuple[int, int] | None]:
    """Orders that stand, and the last rebalance."""
    if not exists(settings.journal_url):
        return (), None
    with closing(Orders(settings.journal_url)) as orders, closing(Journal(settings.journal_url)) as journal:
        return orders.standing(), journal.last_rebalance()


def _explained(journal: Journal, record: Record, duties: tuple[Duty, ...] = ()) -> Explanation:
    return Explanation(
        decision=record.decision,
        decision_hash=record.decision_hash,
        timestamp=record.timestamp,
        policy=record.policy,
        snapshot=record.snapshot,
        transactions=_transactions(journal, record),
        duties=duties,
        wanted=record.wanted,
        kind=record.kind,
    )


def render(explanation: Explanation) -> Group:
    """For a terminal."""
    decision = explanation.decision
    when = utc_second(explanation.timestamp)
    what = decision.action if explanation.kind is Kind.HEDGE else f"{explanation.kind}, {decision.action}"
    parts: list[RenderableType] = [
        *(Text(line) for duty in explanation.duties if duty.kind not in BESIDE for line in _duty_lines("First", duty)),
        Text(f"Block {decision.block_number}, {when}: {what}", style="bold"),
        Text(f"{decision.reason}\n"),
    ]
    if explanation.wanted is not None:
        parts.append(Text("What follows was decided and is not carried out."))
        decision = explanation.wanted
    if decision.deltas:
        parts.append(_deltas(decision))
    if decision.legs:
        parts.append(_legs(decision, explanation.snapshot))
        costs = decision.costs
        parts.append(
            Text(
                f"Costs {costs.total:,.2f} USDC: fee {costs.fee:,.2f}, impact {costs.impact:,.2f}, "
                f"gas {costs.gas:,.2f}, carry {costs.carry:,.2f}. "
                f"Risk {decision.risk_before:,.2f} before, {decision.risk_after:,.2f} after."
            )
        )
    for fill in decision.fills:
        side = "sell" if fill.offer.vault_sells else "buy"
        what = f"{side} {fill.size_wad / WAD:,.9g} {fill.offer.series.label} at {fill.offer.price_wad / WAD:,.2f} USDC"
        parts.append(Text(f"Worth taking of what makers offer, if it is filled: {what}."))
    if decision.binding:
        limits = ", ".join(f"{name} ({price:.3g})" for name, price in decision.binding)
        parts.append(Text(f"Limits that bind, with their shadow prices: {limits}."))
    for transaction in explanation.transactions:
        parts.append(Text(_line(transaction)))
    for duty in explanation.duties:
        if duty.kind in BESIDE:
            parts += [Text(line) for line in _duty_lines("Beside it", duty)]
    parts.append(Text(f"Decision hash {explanation.decision_hash}", style="dim"))
    return Group(*parts)


def _deltas(decision: Decision) -> Table:
    table = Table("underlying", "delta before", "delta after", "band", title="Delta", title_justify="left")
    for change in decision.deltas:
        numbers = (f"{change.before:+,.4f}", f"{change.after:+,.4f}", f"±{change.band:,.4f}")
        table.add_row(UNDERLYINGS[change.underlying], *numbers)
    return table


def _legs(decision: Decision, snapshot: Snapshot | None) -> Table:
    table = Table("venue", "pool", "underlying", "change", "limit price", title="Trades", title_justify="left")
    for leg in decision.legs:
        kind, pool, underlying = f"number {leg.venue}", f"number {leg.pool}", "?"
        if snapshot is not None:
            venue = snapshot.venue(leg.venue)
            kind, underlying = str(venue.kind), UNDERLYINGS[venue.state.underlying]
            pool = f"{venue.pools[leg.pool].fee_pips / 10_000:g} %" if leg.pool < len(venue.pools) else pool
        numbers = (f"{leg.delta_change / WAD:+,.6f}", f"{leg.limit_price / WAD:,.2f}")
        table.add_row(kind, pool, underlying, *numbers)
    return table


def _transactions(journal: Journal, record: Record) -> tuple[Transaction, ...]:
    return tuple(_transaction(*entry) for entry in journal.transactions_of(record.id))


def _transaction(intent: Intent, outcome: Outcome | None) -> Transaction:
    if outcome is None:
        last = intent.attempts[-1].tx_hash if intent.attempts else None
        detail = f"{intent.state}, its end is not known yet"
        return Transaction(intent.call.purpose, "in flight", detail, last, None, None)
    return Transaction(
        intent.call.purpose,
        outcome.result,
        outcome.detail,
        outcome.tx_hash,
        outcome.block_number,
        outcome.gas_used,
    )


def _duty_lines(when: str, duty: Duty) -> list[str]:
    return [f"{when}, {duty.kind}: {duty.reason}", *(_line(transaction) for transaction in duty.transactions)]


def _line(transaction: Transaction) -> str:
    what = f"Transaction {transaction.purpose}: {transaction.result}"
    if transaction.block_number is not None:
        what += f" in block {transaction.block_number}, {transaction.gas_used:,} gas, {transaction.tx_hash}"
    return f"{what}: {transaction.detail}" if transaction.detail else what
