"""`keel queue status`: who waits for USDC, and since when."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from keeper.chain.deployments import checked_address
from keeper.config import Settings
from keeper.domain.times import utc_second
from keeper.domain.units import DAY, USDC, WAD
from keeper.errors import ConfigError
from keeper.operations.gates import OVERDUE
from keeper.operations.people import node_may_go
from keeper.operations.queue import read_queue, read_request
from keeper.operations.session import open_session

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import BlockIdentifier

    from keeper.chain.deployments import Deployment

_RESCUE: Final = 7 * DAY  # BuybackAuction's


@dataclass(frozen=True, slots=True)
class Mine:
    """What one account has in the queue: shares, and USDC that it can claim."""

    account: str
    pending: float
    cancellable: float
    claimable: float
    claimable_usdc: float


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Shares and USDC in whole units. ``next_close`` is of the epoch that is settled next, None when nobody waits.

    ``overdue_at`` is when shares that are not paid stop new business, ``rescue_at`` when anyone may have options bought
    back for them (`keel auction open`); None where none of a closed epoch wait.
    """

    epoch: int
    closes_at: str
    pending: float
    claimable_usdc: float
    next_close: str | None
    can_settle: bool
    overdue_at: str | None
    rescue_at: str | None
    mine: Mine | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read(settings: Settings, account: str | None = None) -> QueueStatus:
    """The queue at the newest block, and what ``account`` has there.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    try:
        address = None if account is None else checked_address(account)
    except ValueError as error:
        raise ConfigError(f"{error}.", todo="Copy it again: its capitals are a checksum.") from None
    session = open_session(settings)
    w3 = session.connection.w3
    with node_may_go():
        status = at_block(w3, session.deployment, "latest")
        if address is None:
            return status
        request = read_request(w3, session.deployment, address)
    mine = Mine(
        address, request.pending / WAD, request.cancellable / WAD, request.claimable / WAD, request.assets / USDC
    )
    return replace(status, mine=mine)


def at_block(w3: Web3, deployment: Deployment, block: BlockIdentifier) -> QueueStatus:
    """The queue after a block. Raises what web3 does."""
    state = read_queue(w3, deployment, block)
    return QueueStatus(
        state.epoch,
        utc_second(state.closes_at),
        state.pending / WAD,
        state.reserved / USDC,
        None if state.next_close is None else utc_second(state.next_close),
        state.can_settle,
        None if state.due_since is None else utc_second(state.due_since + OVERDUE),
        None if state.due_since is None else utc_second(state.due_since + _RESCUE),
    )


def render(status: QueueStatus) -> Table:
    """For a terminal."""
    table = Table(title="Redemption queue", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, text in facts(status):
        table.add_row(name, text)
    return table


def facts(status: QueueStatus) -> list[tuple[str, str]]:
    """In words."""
    told = [
        ("epoch", f"{status.epoch}, takes requests until {status.closes_at}"),
        ("waiting", f"{status.pending:,.6f} shares" + _when(status)),
        ("claimable", f"{status.claimable_usdc:,.6f} USDC"),
    ]
    if status.mine is not None:
        mine = status.mine
        told += [
            (mine.account, f"{mine.pending:,.6f} shares wait, {mine.cancellable:,.6f} can be cancelled"),
            ("", f"{mine.claimable_usdc:,.6f} USDC to claim, for {mine.claimable:,.6f} shares"),
        ]
    return told


def _when(status: QueueStatus) -> str:
    if status.next_close is None:
        return ""
    told = f", of the close at {status.next_close}" + (": can be settled now" if status.can_settle else "")
    if status.overdue_at is not None:
        told += f"; unpaid at {status.overdue_at} they stop deposits and sales"
        told += f", at {status.rescue_at} anyone may have options bought back for them"
    return told
