"""What anyone does when the vault is in breach: record it, take a step of `de_risk`, sell in the buyback auction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from keeper.chain.rpc import bounded
from keeper.domain.decision import Leg
from keeper.domain.option_risk import OptionRisk
from keeper.domain.series import Position, Series
from keeper.domain.times import utc_second
from keeper.domain.units import DAY, WAD
from keeper.errors import KeelError
from keeper.hedging.emergency import slippage, step, towards
from keeper.market.reader import read_snapshot
from keeper.operations.contracts import bind
from keeper.operations.options import give_collateral

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import BlockIdentifier, TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Connection
    from keeper.chain.sender import Sender

_NOTHING: Final = "Nothing was sent."
_NEVER: Final = 2**256 - 1
_PARTS: Final = (1, 2, 4, 8, 16)  # of the largest step: the largest that the emergency budget and cash can pay for
RESCUE_AFTER: Final = 7 * DAY
_ENOUGH: Final = 0.9  # of a step of de_risk: somebody's dust is no reason to wait


@dataclass(frozen=True, slots=True)
class Safety:
    """The dead-man switch and the auction; times in seconds UTC, None for what is not so.

    Attributes:
        limits_hold: None while that cannot be told: a stale oracle, a venue that does not answer.
        opens_at: From when anyone may take a step.
        step_budget: What part of the largest step may be taken now; it refills in a minute.
        auction_since: Since when the auction is open; ``premium`` is the share of the highest one that it pays.
        for_queue: Whether it is a rescue of the redemption queue, and no liquidation.
        cost_budget: What bids may still cost, share of NAV or maintenance margin; in a rescue, of what waits.
    """

    time: int
    limits_hold: bool | None
    heartbeat_at: int
    breach_since: int | None
    distressed_since: int | None
    opens_at: int | None
    step_budget: float
    auction_since: int | None
    for_queue: bool
    premium: float
    cost_budget: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read_safety(w3: Web3, deployment: Deployment, block: BlockIdentifier = "latest") -> Safety:
    """It after a block."""
    from web3.exceptions import ContractLogicError

    hedger, auction = (bind(w3, deployment, name).functions for name in ("Hedger", "BuybackAuction"))
    since, distressed, _ = hedger.breach().call(block_identifier=block)
    opens_at = hedger.opens_at().call(block_identifier=block)
    is_open = auction.is_open().call(block_identifier=block)
    try:
        holds = hedger.limits_hold().call(block_identifier=block)
    except ContractLogicError:
        holds = None
    return Safety(
        time=w3.eth.get_block(block)["timestamp"],
        limits_hold=holds,
        heartbeat_at=hedger.heartbeat_at().call(block_identifier=block),
        breach_since=since or None,
        distressed_since=distressed or None,
        opens_at=None if opens_at == _NEVER else opens_at,
        step_budget=hedger.step_budget().call(block_identifier=block) / WAD,
        auction_since=auction.opened_at().call(block_identifier=block) if is_open else None,
        for_queue=is_open and auction.for_queue().call(block_identifier=block),
        premium=auction.premium().call(block_identifier=block) / WAD,
        cost_budget=auction.cost_budget().call(block_identifier=block) / WAD,
    )


def facts(safety: Safety) -> list[tuple[str, str]]:
    """In words."""
    age = (safety.time - safety.heartbeat_at) // 60
    told = [("heartbeat", f"{utc_second(safety.heartbeat_at)}, {age} minutes ago")]
    if safety.breach_since is None:
        now = {True: "every limit holds", False: "in breach, not recorded", None: "cannot be told now"}
        told.append(("limits", now[safety.limits_hold]))
    else:
        opens = f"anyone may de-risk from {utc_second(safety.opens_at or 0)}"
        told.append(("limits", f"in breach since {utc_second(safety.breach_since)}; {opens}"))
    if safety.distressed_since is not None:
        told.append(("equity", f"below maintenance margin since {utc_second(safety.distressed_since)}"))
    if safety.auction_since is not None:
        pays = f"pays {safety.premium:.0%} of its highest premium; {safety.cost_budget:.2%} may still be spent"
        kind = "open for the redemption queue" if safety.for_queue else "open"
        told.append(("auction", f"{kind} since {utc_second(safety.auction_since)}, {pays}"))
    return told


def record_breach(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Record a breach or confirm it; strike the record of one that is over.

    Raises:
        KeelError: there is nothing to record, or the transaction was refused.
    """
    safety = read_safety(sender.w3, deployment)
    hedger = bind(sender.w3, deployment, "Hedger").functions
    if safety.limits_hold and safety.breach_since is not None:
        return sender.send(hedger.clear_breach(), "clear breach")
    if safety.limits_hold:
        raise KeelError("Every limit holds.", kept=_NOTHING, todo="See `keel status`.")
    return sender.send(hedger.record_breach(), "record breach")


def de_risk(sender: Sender, connection: Connection, deployment: Deployment) -> TxReceipt:
    """Take the largest step towards the limits that is allowed now.

    Raises:
        KeelError: the breach has not lasted, the last step was less than a minute ago, no trade of hedges would help,
            or the transaction was refused.
    """
    from web3.exceptions import ContractLogicError

    safety = read_safety(sender.w3, deployment)
    if safety.opens_at is None or safety.time < safety.opens_at:
        raise KeelError(
            "Nobody may act in the keeper's place now.",
            kept=_NOTHING,
            todo="Record the breach with `keel derisk --record` and confirm it every ten minutes."
            if safety.opens_at is None
            else f"Confirm the breach every ten minutes until {utc_second(safety.opens_at)}.",
        )
    if safety.step_budget < _ENOUGH:
        raise KeelError("The last step was less than a minute ago.", kept=_NOTHING, todo="Try again in a minute.")
    snapshot = read_snapshot(connection, deployment, sender.address)
    allowed = slippage(safety.time - safety.opens_at)
    hedger = bind(sender.w3, deployment, "Hedger").functions
    refused = ""
    for parts in _PARTS:
        legs = step(snapshot, allowed, parts)
        if not legs:
            break
        call = hedger.de_risk([_as_tuple(leg) for leg in legs])
        try:
            call.call({"from": sender.address}, block_identifier="pending")
        except ContractLogicError as error:
            refused = f" The contract says: {bounded(error.message or str(error))}."
            continue
        return sender.send(call, "de-risk")
    raise KeelError(
        f"No trade of hedges brings the vault closer to its limits.{refused}",
        kept=_NOTHING,
        todo="Below maintenance margin see `keel auction`.",
    )


def open_auction(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Open the buyback auction.

    Raises:
        KeelError: it is open, the vault has not been below maintenance margin for five minutes, or the transaction was
            refused.
    """
    if read_safety(sender.w3, deployment).auction_since is not None:
        raise KeelError("The auction is open already.", kept=_NOTHING, todo="Bid with `keel auction bid`.")
    return sender.send(bind(sender.w3, deployment, "BuybackAuction").functions.open(), "open auction")


def open_rescue(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Open the auction for a redemption queue that was not paid for seven days.

    Raises:
        KeelError: it is open, nobody has waited that long, the queue can be paid, or the transaction was refused.
    """
    if read_safety(sender.w3, deployment).auction_since is not None:
        raise KeelError("The auction is open already.", kept=_NOTHING, todo="Bid with `keel auction bid`.")
    due_since = bind(sender.w3, deployment, "RedemptionQueue").functions.due_since().call()
    latest = sender.w3.eth.get_block("latest")["timestamp"]
    if due_since == 0 or latest < due_since + RESCUE_AFTER:
        opens = f"It may be opened from {utc_second(due_since + RESCUE_AFTER)}." if due_since else "Nobody waits."
        raise KeelError("No shares of a closed epoch have waited for seven days.", kept=_NOTHING, todo=opens)
    return sender.send(bind(sender.w3, deployment, "BuybackAuction").functions.open_rescue(), "open rescue")


def short_series(w3: Web3, deployment: Deployment, label: str) -> Series:
    """The series of a label that the vault is short of.

    Raises:
        KeelError: there is none.
    """
    book = bind(w3, deployment, "OptionBook").functions.live_book().call()
    short = [position.series for position in map(Position.from_slot, book) if position.size_wad < 0]
    found = [series for series in short if series.label == label.upper()]
    if not found:
        labels = ", ".join(series.label for series in short) or "nothing"
        raise KeelError(f"The vault is not short of {label}.", kept=_NOTHING, todo=f"It is short of {labels}.")
    return found[0]


def bid(
    sender: Sender,
    connection: Connection,
    deployment: Deployment,
    series: Series,
    size: int,
    *,
    writes: bool = False,
    least: int = 0,
) -> TxReceipt:
    """Sell the vault ``size`` units (WAD) of a series back, and trade its hedges accordingly.

    Args:
        writes: Write new options against collateral; else the sender's tokens are burned.
        least: Lowest payment accepted, smallest units of USDC.

    Raises:
        KeelError: the auction is closed, the sender has less collateral than that takes, or a transaction was refused.
    """
    safety = read_safety(sender.w3, deployment)
    if safety.auction_since is None:
        raise KeelError(
            "The auction is closed.",
            kept=_NOTHING,
            todo="Five minutes after a breach below maintenance margin was recorded, open it with `keel auction open`.",
        )
    snapshot = read_snapshot(connection, deployment, sender.address)
    one = series.id | 10**9  # a position of one unit
    risks = bind(sender.w3, deployment, "OptionPricer").functions.option_risk([one]).call()
    unit = OptionRisk(*risks[series.underlying]).delta
    before = snapshot.assessment.delta[series.underlying]
    change = unit * size // WAD
    closer = min(abs(change), abs(before)) if before * change < 0 else 0
    beyond = (abs(change) - closer) * 101 // 100  # rounding must leave no limit worse; the auction allows more
    units = -beyond if change > 0 else beyond
    legs = towards(snapshot, series.underlying, units, slippage(safety.time - safety.auction_since))
    if writes:
        give_collateral(sender, deployment, series, size)
    auction = bind(sender.w3, deployment, "BuybackAuction").functions
    return sender.send(auction.bid(series.id, size, writes, [_as_tuple(leg) for leg in legs], least), "bid")


def _as_tuple(leg: Leg) -> tuple[int, int, int, int]:
    return leg.venue, leg.pool, leg.delta_change, leg.limit_price
