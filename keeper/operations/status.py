"""`keel status`: the vault now, as the contracts and the keeper see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from rich.console import Group
from rich.table import Table

from keeper.config import Settings
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.snapshot import Mode, Snapshot
from keeper.domain.times import utc_second
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.errors import KeelError, SnapshotError
from keeper.execution.journal import Journal
from keeper.execution.migrate import exists
from keeper.execution.orders import Orders
from keeper.market.reader import read_snapshot
from keeper.operations import governance
from keeper.operations.contracts import bind
from keeper.operations.gates import Gates, read_gates
from keeper.operations.gates import facts as facts_of_gates
from keeper.operations.liquidation import Safety, read_safety
from keeper.operations.liquidation import facts as facts_of_safety
from keeper.operations.people import node_may_go
from keeper.operations.queue_status import QueueStatus, at_block
from keeper.operations.queue_status import facts as facts_of_queue
from keeper.operations.session import Session, open_session
from keeper.operations.standing import in_words


@dataclass(frozen=True, slots=True)
class Exposure:
    """One underlying: price in USDC, delta and the target band in units, gamma and vega as the contracts have them."""

    underlying: str
    price: float
    delta: float
    band: float
    gamma: float
    vega: float


@dataclass(frozen=True, slots=True)
class VenueLine:
    """One venue: exposure in units, equity in USDC; ``health`` is None for an unlevered one."""

    kind: str
    underlying: str
    exposure: float
    equity: float
    health: float | None


@dataclass(frozen=True, slots=True)
class FeeLine:
    """Rates a year and of gains, shares of 1; what is owed and not minted yet, in shares and at their price in USDC.

    What is owed depends on NAV: None while that is not known.
    """

    management: float
    performance: float
    owed_shares: float | None
    owed_usdc: float | None


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision in the live journal."""

    block_number: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Valued:
    """What needs every price and every venue. Amounts in USDC; ``*_budget`` are shares of NAV."""

    nav_bid: float
    nav_mid: float
    nav_ask: float
    share_price: float
    maintenance_margin: float
    initial_margin: float
    gap_headroom: float
    loss_budget: float
    turnover_budget: float
    hedging_budget: float
    emergency_budget: float
    oracle_doubt: bool
    exposures: tuple[Exposure, ...]
    venues: tuple[VenueLine, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The vault after a block; ``keeper_ether`` in ether, ``positions`` as series and units.

    ``orders`` are those that stand, in words. ``valued`` is None while a price is stale or a venue does not answer, and
    ``blind`` says what it is. ``pending`` is the number of calls that wait in the Governance, None where the node does
    not list them.
    """

    chain_id: int
    block_number: int
    time: str
    vault: str
    mode: str
    people: Gates
    fees: FeeLine
    queue: QueueStatus
    safety: Safety
    pending: int | None
    keeper: str
    keeper_ether: float
    positions: tuple[tuple[str, float], ...]
    last_decision: LastDecision | None
    orders: tuple[str, ...]
    valued: Valued | None
    blind: str

    def to_json(self) -> dict[str, Any]:
        """Plain values; those of ``valued`` beside the others, each None where they are not known."""
        plain = asdict(self)
        valued = plain.pop("valued") or dict.fromkeys(field.name for field in fields(Valued))
        return plain | {"idle": self.people.idle, "owed": self.people.owed} | valued


def read_status(settings: Settings) -> Status:
    """Read it from the node and the journal.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    connection, deployment, keeper = session.connection, session.deployment, session.keeper_address()
    block, snapshot, blind = connection.header(), None, ""
    gates = read_gates(connection, deployment, block)
    try:
        snapshot = read_snapshot(connection, deployment, keeper, block.hash)
    except SnapshotError as error:
        blind = error.what
    told = _last_decision(settings.journal_url)
    with node_may_go():
        w3, at = connection.w3, HexStr(block.hash)
        _, management, performance = bind(w3, deployment, "Vault").functions.terms().call(block_identifier=at)
        book = bind(w3, deployment, "OptionBook").functions.live_book().call(block_identifier=at)
        queue, safety = at_block(w3, deployment, at), read_safety(w3, deployment, at)
        ether = w3.eth.get_balance(to_checksum_address(keeper), at)
    valued = None if snapshot is None else _valued(snapshot)
    fee_shares = None
    if snapshot is not None:
        fee_shares = (snapshot.vault.effective_supply - snapshot.vault.total_supply) / WAD
    worth = None if valued is None or fee_shares is None else fee_shares * valued.share_price
    return Status(
        chain_id=connection.chain_id,
        block_number=block.number,
        time=utc_second(gates.time),
        vault=deployment.address("Vault"),
        mode=gates.mode,
        people=gates,
        fees=FeeLine(management / WAD, performance / WAD, fee_shares, worth),
        queue=queue,
        safety=safety,
        pending=_pending(session),
        keeper=keeper,
        keeper_ether=ether / WAD,
        positions=tuple((one.series.label, one.size_wad / WAD) for one in map(Position.from_slot, book)),
        last_decision=told,
        orders=_orders(settings.journal_url),
        valued=valued,
        blind=blind,
    )


def _last_decision(journal_url: str) -> LastDecision | None:
    if not exists(journal_url):
        return None
    journal = Journal(journal_url)
    try:
        last = journal.last_decision()
    finally:
        journal.close()
    return None if last is None else LastDecision(last.block_number, last.decision.action, last.decision.reason)


def _orders(journal_url: str) -> tuple[str, ...]:
    """Those that stand, in words."""
    if not exists(journal_url):
        return ()
    orders = Orders(journal_url)
    try:
        return tuple(in_words(entry) for entry in orders.standing())
    finally:
        orders.close()


def _pending(session: Session) -> int | None:
    """Not every node lists events that far back: the rest of the status must not depend on it."""
    try:
        with node_may_go():
            return len(governance.pending(session.connection.w3, session.deployment))
    except KeelError:
        return None


def _valued(snapshot: Snapshot) -> Valued:
    chain, account = snapshot.assessment, snapshot.vault
    return Valued(
        nav_bid=chain.nav_bid / WAD,
        nav_mid=chain.nav_mid / WAD,
        nav_ask=chain.nav_ask / WAD,
        # The share price of ERC-4626 with its virtual shares, USDC per share.
        share_price=(chain.nav_mid / WAD + 1 / USDC) / (account.effective_supply + 10**12) * WAD,
        maintenance_margin=chain.maintenance / WAD,
        initial_margin=chain.initial / WAD,
        gap_headroom=chain.gap_headroom / WAD,
        loss_budget=account.loss_budget / WAD,
        turnover_budget=account.turnover_budget / WAD,
        hedging_budget=account.hedging_budget / WAD,
        emergency_budget=account.emergency_budget / WAD,
        oracle_doubt=chain.doubt,
        exposures=tuple(_exposure(snapshot, u) for u in range(len(snapshot.readings))),
        venues=tuple(
            VenueLine(
                kind=venue.kind,
                underlying=UNDERLYINGS[venue.state.underlying],
                exposure=venue.state.exposure / WAD,
                equity=venue.state.equity / WAD,
                health=None if venue.state.health == MAX_UINT256 else venue.state.health / WAD,
            )
            for venue in snapshot.venues
        ),
    )


def _exposure(snapshot: Snapshot, u: int) -> Exposure:
    chain = snapshot.assessment
    price = chain.spot[u] / WAD
    nav = max(chain.nav_bid, 0) / WAD
    band = nav * (snapshot.limits.delta_target / WAD) / price if price else 0.0
    return Exposure(UNDERLYINGS[u], price, chain.delta[u] / WAD, band, chain.gamma[u] / WAD, chain.vega[u] / WAD)


def render(status: Status) -> Group:
    """For a terminal."""
    facts = Table(title=f"Vault {status.vault}", show_header=False, title_justify="left")
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    people, valued = status.people, status.valued
    lent = f" (and {people.withdrawable:,.2f} lent)" if people.withdrawable else ""
    pending = "cannot be listed by this node" if status.pending is None else f"{status.pending} pending calls"
    for name, text in (
        ("block", f"{status.block_number}, {status.time}, chain {status.chain_id}"),
        *_value_facts(status, valued),
        ("fees", _fees(status.fees)),
        ("cash", f"{people.idle:,.2f} USDC idle{lent}, {people.owed:,.2f} owed"),
        *facts_of_gates(people),
        *((f"queue: {name}", text) for name, text in facts_of_queue(status.queue)),
        *([] if valued is None else _margin_facts(valued)),
        *facts_of_safety(status.safety),
        ("governance", pending + (": see `keel governance pending`" if status.pending else "")),
        ("keeper", f"{status.keeper}, {status.keeper_ether:.4f} ether"),
        ("last decision", _last(status.last_decision)),
        *(("order", order) for order in status.orders),
    ):
        facts.add_row(name, text)

    options = Table("series", "size", title="Options", title_justify="left")
    for label, size in status.positions:
        options.add_row(label, f"{size:+,.4f}")
    return Group(facts, *([] if valued is None else _tables(valued)), options)


def _value_facts(status: Status, valued: Valued | None) -> list[tuple[str, str]]:
    if valued is None:
        return [("NAV", "not known: see mode" if status.people.mode is Mode.FROZEN else f"not known. {status.blind}")]
    doubt = "; an oracle is in doubt" if valued.oracle_doubt else ""
    return [
        ("NAV", f"{valued.nav_bid:,.2f} bid, {valued.nav_mid:,.2f} mid, {valued.nav_ask:,.2f} ask (USDC){doubt}"),
        ("share", f"{valued.share_price:.6f} USDC, net of fees"),
    ]


def _margin_facts(valued: Valued) -> list[tuple[str, str]]:
    return [
        ("margin", f"{valued.maintenance_margin:,.2f} maintenance, {valued.initial_margin:,.2f} initial"),
        ("gap headroom", f"{valued.gap_headroom:,.2f} USDC after the worst move of 50 %"),
        ("budgets", _budgets(valued)),
    ]


def _tables(valued: Valued) -> list[Table]:
    exposures = Table("underlying", "price", "delta", "band", "gamma", "vega", title="Exposure", title_justify="left")
    for e in valued.exposures:
        numbers = (f"{e.price:,.2f}", f"{e.delta:+,.3f}", f"±{e.band:,.3f}", f"{e.gamma:+.5f}", f"{e.vega:+,.0f}")
        exposures.add_row(e.underlying, *numbers)

    venues = Table("venue", "underlying", "exposure", "equity", "health", title="Hedges", title_justify="left")
    for v in valued.venues:
        health = "-" if v.health is None else f"{v.health:.3f}"
        venues.add_row(v.kind, v.underlying, f"{v.exposure:+,.4f}", f"{v.equity:,.2f}", health)
    return [exposures, venues]


def _budgets(valued: Valued) -> str:
    losses = f"{valued.loss_budget * 1e4:.2f} bp of NAV for losses, {valued.emergency_budget * 1e4:.2f} for emergencies"
    return (
        f"{losses}; {valued.turnover_budget:.2%} for trades away from neutral, {valued.hedging_budget:.2%} towards it"
    )


def _fees(fees: FeeLine) -> str:
    rates = f"{fees.management:.2%} a year, {fees.performance:.2%} of gains"
    if fees.owed_shares is None:
        return rates
    return f"{rates}; {fees.owed_shares:,.6f} shares owed, {fees.owed_usdc:,.2f} USDC"


def _last(decision: LastDecision | None) -> str:
    return "none yet" if decision is None else f"block {decision.block_number}: {decision.action}: {decision.reason}"
