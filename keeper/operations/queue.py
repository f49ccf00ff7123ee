"""What depositors do in the redemption queue: ask, cancel, claim; and what anyone may: settle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keeper.domain.times import utc_second
from keeper.domain.units import WAD
from keeper.errors import KeelError
from keeper.operations.contracts import bind
from keeper.operations.vault import in_whole, require_prices, require_shares

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import BlockIdentifier, TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender

MIN_REQUEST: Final = 100 * WAD  # shares, unless it is all that an account has
_NOTHING = "Nothing was sent."


@dataclass(frozen=True, slots=True)
class Request:
    """What an account has in the queue.

    Attributes:
        cancellable: Shares of an epoch that still takes requests, or all that wait while frozen exits are open, WAD.
        pending: Shares that wait to be paid, those included.
        claimable: Shares that were paid and not claimed.
        assets: USDC for them, smallest units.
    """

    cancellable: int
    pending: int
    claimable: int
    assets: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue as a whole.

    Attributes:
        epoch: Number of the epoch that takes requests now; ``closes_at`` is when it closes, seconds UTC.
        pending: Shares that wait to be paid, WAD.
        reserved: USDC that was paid and not claimed, smallest units.
        next_close: When the epoch that is settled next closes or has closed; None when nobody waits.
        can_settle: Whether it can be settled at the newest block.
        due_since: Close of the oldest epoch whose shares were not paid; None without any.
    """

    epoch: int
    closes_at: int
    pending: int
    reserved: int
    next_close: int | None
    can_settle: bool
    due_since: int | None


def read_queue(w3: Web3, deployment: Deployment, block: BlockIdentifier = "latest") -> QueueState:
    """The queue after a block."""
    queue = bind(w3, deployment, "RedemptionQueue").functions
    epoch = queue.epoch().call(block_identifier=block)
    _, closes_at, joins, shares = queue.next_settlement().call(block_identifier=block)
    return QueueState(
        epoch=epoch,
        closes_at=queue.epoch_closes_at(epoch).call(block_identifier=block),
        pending=queue.total_pending().call(block_identifier=block),
        reserved=queue.reserved().call(block_identifier=block),
        next_close=closes_at if joins or shares else None,
        can_settle=queue.can_settle().call(block_identifier=block),
        due_since=queue.due_since().call(block_identifier=block) or None,
    )


def read_request(w3: Web3, deployment: Deployment, account: str) -> Request:
    """What ``account`` has in the queue at the newest block."""
    queue = bind(w3, deployment, "RedemptionQueue").functions
    epoch, waiting, shares, _, filled, assets = queue.request_of(account).call()
    cancellable = waiting if epoch == queue.epoch().call() else 0
    if not cancellable and bind(w3, deployment, "CircuitBreaker").functions.is_frozen().call():
        cancellable = waiting + shares
    return Request(
        cancellable=cancellable,
        pending=waiting + shares,
        claimable=filled,
        assets=assets,
    )


def request_redeem(sender: Sender, deployment: Deployment, shares: int) -> TxReceipt:
    """Queue ``shares`` (WAD) of the sender, with an approval of exactly that.

    Raises:
        KeelError: the sender has less, it is below the minimum, an earlier request is not settled yet, or a
            transaction was refused.
    """
    vault, queue = bind(sender.w3, deployment, "Vault"), bind(sender.w3, deployment, "RedemptionQueue")
    has = require_shares(sender, deployment, shares)
    if shares < min(MIN_REQUEST, has):
        raise KeelError(
            f"{in_whole(shares)} shares are fewer than the queue takes, {MIN_REQUEST / WAD:,.0f} or all that you have.",
            kept=_NOTHING,
            todo="Queue more, or redeem these at once with `keel redeem`.",
        )
    epoch, waiting, *_ = queue.functions.request_of(sender.address).call()
    if waiting and epoch != queue.functions.epoch().call():
        raise KeelError(
            f"Your request of epoch {epoch} is not settled yet; a new one can be added after that.",
            kept=f"{_NOTHING} The {in_whole(waiting)} shares of that request wait.",
            todo="Settle it with `keel queue settle` if the keeper does not, and ask again.",
        )
    if vault.functions.allowance(sender.address, queue.address).call() != shares:
        sender.send(vault.functions.approve(queue.address, shares), "approve shares")
    call = queue.functions.requestRedeem(shares, sender.address, sender.address)
    return sender.send(call, "request redemption")


def cancel_request(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Take back the sender's shares of the epoch that still takes requests, or all that wait while the vault is frozen.

    Raises:
        KeelError: there are none, or the transaction was refused.
    """
    request = read_request(sender.w3, deployment, sender.address)
    if not request.cancellable:
        waits = f"{in_whole(request.pending)} shares wait to be paid, and their epoch has closed."
        raise KeelError(
            f"{sender.address} has no request that can be cancelled.",
            kept=f"{_NOTHING} {waits}" if request.pending else _NOTHING,
            todo="It can be until its epoch closes, or while the vault is frozen; see `keel queue status`.",
        )
    queue = bind(sender.w3, deployment, "RedemptionQueue").functions
    return sender.send(queue.cancel(sender.address, sender.address), "cancel request")


def claim_redemption(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Claim all USDC that the queue has for the sender.

    Raises:
        KeelError: there is none, or the transaction was refused.
    """
    request = read_request(sender.w3, deployment, sender.address)
    if not request.claimable or not request.assets:
        raise KeelError(
            f"The queue has no USDC for {sender.address} yet.",
            kept=f"{_NOTHING} {in_whole(request.pending)} shares wait to be paid.",
            todo="See `keel queue status` for when." if request.pending else "Ask with `keel redeem --queue` first.",
        )
    queue = bind(sender.w3, deployment, "RedemptionQueue").functions
    return sender.send(queue.redeem(request.claimable, sender.address, sender.address), "claim redemption")


def settle_epoch(sender: Sender, deployment: Deployment) -> TxReceipt:
    """Settle the queue's next epoch; anyone may.

    Raises:
        KeelError: it cannot be settled now, or the transaction was refused.
    """
    state = read_queue(sender.w3, deployment)
    if not state.can_settle:
        raise _unsettled(sender, deployment, state)
    queue = bind(sender.w3, deployment, "RedemptionQueue").functions
    return sender.send(queue.settle_epoch(), "settle the queue")


def _unsettled(sender: Sender, deployment: Deployment, state: QueueState) -> KeelError:
    if state.next_close is None:
        return KeelError("Nobody waits in the queue.", kept=_NOTHING)
    latest = sender.w3.eth.get_block("latest")["timestamp"]
    if latest < state.next_close:
        return KeelError(
            f"The epoch closes at {utc_second(state.next_close)}; the newest block is of {utc_second(latest)}.",
            kept=_NOTHING,
            todo="Settle it after that.",
        )
    require_prices(sender.w3, deployment)
    return KeelError(
        f"The epoch that closed at {utc_second(state.next_close)} waits for a newer round of every price feed, for the"
        " settlement of an expired series, or for cash.",
        kept=f"{_NOTHING} {in_whole(state.pending)} shares wait.",
        todo="Try again later: a feed has a round within the hour, as a rule.",
    )
