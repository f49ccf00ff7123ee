"""`keel status`: the vault now, as the contracts and the keeper see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eth_typing import HexStr
from rich.console import Group
from rich.table import Table

from keeper.config import Settings
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot
from keeper.domain.times import utc_second
from keeper.domain.units import MAX_UINT256, USDC, WAD
from keeper.execution.database import exists
from keeper.execution.journal import Journal
from keeper.market.reader import read_snapshot
from keeper.operations.contracts import bind
from keeper.operations.liquidation import Safety, read_safety
from keeper.operations.liquidation import facts as facts_of_safety
from keeper.operations.people import node_may_go
from keeper.operations.queue_status import QueueStatus, at_block
from keeper.operations.queue_status import facts as facts_of_queue
from keeper.operations.session import open_session

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.deployments import Deployment


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
    """Rates a year and of gains, shares of 1; what is owed and not minted yet, in shares and at their price in USDC."""

    management: float
    performance: float
    owed_shares: float
    owed_usdc: float


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision in the live journal."""

    block_number: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """Amounts in USDC; ``*_budget`` are shares of NAV, ``keeper_ether`` in ether."""

    chain_id: int
    block_number: int
    time: str
    vault: str
    mode: str
    nav_bid: float
    nav_mid: float
    nav_ask: float
    share_price: float
    idle: float
    owed: float
    fees: FeeLine
    queue: QueueStatus
    safety: Safety
    maintenance_margin: float
    initial_margin: float
    gap_headroom: float
    loss_budget: float
    turnover_budget: float
    hedging_budget: float
    emergency_budget: float
    oracle_doubt: bool
    keeper: str
    keeper_ether: float
    exposures: tuple[Exposure, ...]
    venues: tuple[VenueLine, ...]
    positions: tuple[tuple[str, float], ...]
    last_decision: LastDecision | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read_status(settings: Settings) -> Status:
    """Read it from the node and the journal.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    keeper = session.keeper_address()
    snapshot = read_snapshot(session.connection, session.deployment, keeper)
    told = _last_decision(settings.journal_url)
    with node_may_go():
        w3, block = session.connection.w3, HexStr(snapshot.block_hash)
        rates, queue = _fees_and_queue(w3, session.deployment, block)
        safety = read_safety(w3, session.deployment, block)
    return _status(snapshot, session.deployment.address("Vault"), keeper, told, rates, queue, safety)


def _fees_and_queue(w3: Web3, deployment: Deployment, block: HexStr) -> tuple[tuple[int, int], QueueStatus]:
    """The rates of management and performance, WAD, and the queue after a block."""
    _, management, performance = bind(w3, deployment, "Vault").functions.terms().call(block_identifier=block)
    return (management, performance), at_block(w3, deployment, block)


def _last_decision(journal_url: str) -> LastDecision | None:
    if not exists(journal_url):
        return None
    journal = Journal(journal_url)
    try:
        last = journal.last_decision()
    finally:
        journal.close()
    return None if last is None else LastDecision(last.block_number, last.decision.action, last.decision.reason)


def _status(
    snapshot: Snapshot,
    vault: str,
    keeper: str,
    last: LastDecision | None,
    rates: tuple[int, int],
    queue: QueueStatus,
    safety: Safety,
) -> Status:
    chain, account = snapshot.assessment, snapshot.vault
    # The share price of ERC-4626 with its virtual shares, USDC per share.
    share_price = (chain.nav_mid / WAD + 1 / USDC) / (account.effective_supply + 10**12) * WAD
    fee_shares = (account.effective_supply - account.total_supply) / WAD
    return Status(
        chain_id=snapshot.chain_id,
        block_number=snapshot.block_number,
        time=utc_second(snapshot.timestamp),
        vault=vault,
        mode=account.mode,
        nav_bid=chain.nav_bid / WAD,
        nav_mid=chain.nav_mid / WAD,
        nav_ask=chain.nav_ask / WAD,
        share_price=share_price,
        idle=account.idle / USDC,
        owed=account.owed / USDC,
        fees=FeeLine(rates[0] / WAD, rates[1] / WAD, fee_shares, fee_shares * share_price),
        queue=queue,
        safety=safety,
        maintenance_margin=chain.maintenance / WAD,
        initial_margin=chain.initial / WAD,
        gap_headroom=chain.gap_headroom / WAD,
        loss_budget=account.loss_budget / WAD,
        turnover_budget=account.turnover_budget / WAD,
        hedging_budget=account.hedging_budget / WAD,
        emergency_budget=account.emergency_budget / WAD,
        oracle_doubt=chain.doubt,
        keeper=keeper,
        keeper_ether=snapshot.keeper_balance_wei / WAD,
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
        positions=tuple((position.series.label, position.size_wad / WAD) for position in snapshot.book),
        last_decision=last,
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
    facts.add_column(style="bold")
    facts.add_column()
    doubt = ", oracle in doubt" if status.oracle_doubt else ""
    for name, text in (
        ("block", f"{status.block_number}, {status.time}, chain {status.chain_id}"),
        ("mode", f"{status.mode}{doubt}"),
        ("NAV", f"{status.nav_bid:,.2f} bid, {status.nav_mid:,.2f} mid, {status.nav_ask:,.2f} ask (USDC)"),
        ("share", f"{status.share_price:.6f} USDC, net of fees"),
        ("fees", _fees(status.fees)),
        ("cash", f"{status.idle:,.2f} USDC idle, {status.owed:,.2f} owed"),
        *((f"queue: {name}", text) for name, text in facts_of_queue(status.queue)),
        ("margin", f"{status.maintenance_margin:,.2f} maintenance, {status.initial_margin:,.2f} initial"),
        ("gap headroom", f"{status.gap_headroom:,.2f} USDC after the worst move of 50 %"),
        ("budgets", _budgets(status)),
        *facts_of_safety(status.safety),
        ("keeper", f"{status.keeper}, {status.keeper_ether:.4f} ether"),
        ("last decision", _last(status.last_decision)),
    ):
        facts.add_row(name, text)

    exposures = Table("underlying", "price", "delta", "band", "gamma", "vega", title="Exposure", title_justify="left")
    for e in status.exposures:
        numbers = (f"{e.price:,.2f}", f"{e.delta:+,.3f}", f"±{e.band:,.3f}", f"{e.gamma:+.5f}", f"{e.vega:+,.0f}")
        exposures.add_row(e.underlying, *numbers)

    venues = Table("venue", "underlying", "exposure", "equity", "health", title="Hedges", title_justify="left")
    for v in status.venues:
        health = "-" if v.health is None else f"{v.health:.3f}"
        venues.add_row(v.kind, v.underlying, f"{v.exposure:+,.4f}", f"{v.equity:,.2f}", health)

    options = Table("series", "size", title="Options", title_justify="left")
    for label, size in status.positions:
        options.add_row(label, f"{size:+,.4f}")
    return Group(facts, exposures, venues, options)


def _budgets(status: Status) -> str:
    losses = f"{status.loss_budget * 1e4:.2f} bp of NAV for losses, {status.emergency_budget * 1e4:.2f} for emergencies"
    return (
        f"{losses}; {status.turnover_budget:.2%} for trades away from neutral, {status.hedging_budget:.2%} towards it"
    )


def _fees(fees: FeeLine) -> str:
    rates = f"{fees.management:.2%} a year, {fees.performance:.2%} of gains"
    return f"{rates}; {fees.owed_shares:,.6f} shares owed, {fees.owed_usdc:,.2f} USDC"


def _last(decision: LastDecision | None) -> str:
    return "none yet" if decision is None else f"block {decision.block_number}: {decision.action}: {decision.reason}"
