"""`keel deploy`, `deposit`, `redeem`, `queue`, `derisk`, `auction`: one-off actions with settings, a key and a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keeper.chain.address_book import address_book
from keeper.chain.deployments import Deployment, checked_address
from keeper.chain.rpc import bounded
from keeper.chain.sender import Sender
from keeper.config import Settings
from keeper.domain.times import utc_second
from keeper.domain.units import USDC, WAD, to_usdc, to_wad
from keeper.errors import ConfigError, KeelError, ManifestError, RpcUnavailableError
from keeper.operations import liquidation, queue, vault
from keeper.operations.contracts import bind
from keeper.operations.deploy import deploy
from keeper.operations.parameters import load_parameters
from keeper.operations.roles import Keys
from keeper.operations.session import connect, manifest_of, open_session, unlock

if TYPE_CHECKING:
    from web3.types import TxReceipt

Ask = Callable[[str], str] | None
_MOST: Final = 10**9  # USDC or shares: more than there is, and few enough digits for Decimal's arithmetic


@dataclass(frozen=True, slots=True)
class Flow:
    """A deposit or a redemption: USDC and shares that went either way, in whole units; its block and hash."""

    assets: Decimal
    shares: Decimal
    block: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Queued:
    """Shares that went into the queue or back, when the epoch that takes requests now closes, its block and hash."""

    shares: Decimal
    closes_at: str
    block: int
    transaction: str


def deploy_vault(
    settings: Settings, keys: Keys, parameters: Path, progress: Callable[[str], None], ask: Ask = None
) -> tuple[Deployment, Path]:
    """Deploy with the configured key, or go on with a deployment that was interrupted.

    Args:
        parameters: The reviewed file of parameters.

    Returns:
        The deployment, verified, and where its manifest is.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    given_keys = {name: address for name, address in asdict(keys).items() if name != "governor" or address}
    checked = Keys(**{name: _account(name, address) for name, address in given_keys.items()})
    given = load_parameters(parameters)
    connection = connect(settings)
    addresses = address_book(connection.chain_id)
    path = manifest_of(settings, connection.chain_id)
    sender = Sender(connection.w3, unlock(settings, ask))
    with node_may_go("What was sent is in the log beside the manifest.", "Deploy again to go on."):
        return deploy(sender, addresses, checked, given, progress, path), path


def deposit(settings: Settings, amount: Decimal, ask: Ask = None) -> Flow:
    """Deposit ``amount`` USDC of the configured key.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    assets = to_usdc(positive(amount, decimals=6))
    with acting(settings, ask) as (sender, deployment):
        receipt = vault.deposit(sender, deployment, assets)
        return _flow(sender, deployment, receipt, "Vault", "Deposit")


def redeem(settings: Settings, amount: Decimal | None, ask: Ask = None) -> Flow:
    """Redeem ``amount`` shares of the configured key, or all that it has.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = vault.redeem(sender, deployment, _shares(sender, deployment, amount))
        return _flow(sender, deployment, receipt, "Vault", "Withdraw")


def redeem_frozen(settings: Settings, amount: Decimal | None, ask: Ask = None) -> Flow:
    """Redeem while the vault is frozen: ``amount`` shares of the configured key, or all that it has.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = vault.redeem_frozen(sender, deployment, _shares(sender, deployment, amount))
        return _flow(sender, deployment, receipt, "CircuitBreaker", "FrozenExit")


def request_redeem(settings: Settings, amount: Decimal | None, ask: Ask = None) -> Queued:
    """Queue ``amount`` shares of the configured key, or all that it has.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = queue.request_redeem(sender, deployment, _shares(sender, deployment, amount))
        return _queued(sender, deployment, receipt, "RedeemRequest")


def cancel_request(settings: Settings, ask: Ask = None) -> Queued:
    """Take back what the configured key has queued in the epoch that still takes requests.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = queue.cancel_request(sender, deployment)
        return _queued(sender, deployment, receipt, "RedeemRequestCancelled")


def claim_redemption(settings: Settings, ask: Ask = None) -> Flow:
    """Claim what the queue has for the configured key.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = queue.claim_redemption(sender, deployment)
        return _flow(sender, deployment, receipt, "RedemptionQueue", "Withdraw")


def settle_queue(settings: Settings, ask: Ask = None) -> Flow:
    """Settle the queue's next epoch, paid for by the configured key: shares and USDC are those of all who wait.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = queue.settle_epoch(sender, deployment)
        return _flow(sender, deployment, receipt, "RedemptionQueue", "EpochSettled")


def record_breach(settings: Settings, ask: Ask = None) -> str:
    """Record a breach, confirm it, or strike it, as the configured key. Returns what to tell.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = liquidation.record_breach(sender, deployment)
        safety = liquidation.read_safety(sender.w3, deployment)
        told = "; ".join(f"{name}: {text}" for name, text in liquidation.facts(safety))
    return f"{told}, block {receipt['blockNumber']}: {receipt['transactionHash'].to_0x_hex()}"


def de_risk(settings: Settings, ask: Ask = None) -> str:
    """Take a step towards the limits as the configured key. Returns what to tell.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = liquidation.de_risk(sender, connect(settings), deployment)
        args = event_of(sender, deployment, receipt, "Hedger", "DeRisked")
    moved, bounty = args["moved"] / WAD, args["bounty"] / USDC
    where = f"block {receipt['blockNumber']}: {receipt['transactionHash'].to_0x_hex()}"
    return f"{moved:,.2f} USDC of hedges moved, {bounty:,.6f} USDC of bounty in {where}"


def open_auction(settings: Settings, for_queue: bool, ask: Ask = None) -> str:
    """Open the buyback auction as the configured key, ``for_queue`` as a rescue of who waits. Returns what to tell.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    with acting(settings, ask) as (sender, deployment):
        receipt = (liquidation.open_rescue if for_queue else liquidation.open_auction)(sender, deployment)
    return f"The auction is open since block {receipt['blockNumber']}: {receipt['transactionHash'].to_0x_hex()}"


def bid(settings: Settings, label: str, size: Decimal, least: Decimal, writes: bool, ask: Ask = None) -> str:
    """Sell options of the configured key in the auction, or write new ones. Returns what to tell.

    Raises:
        KeelError: the vault is not short of such a series; or of the kind of whatever stands in the way.
    """
    units = to_wad(positive(size, decimals=9))
    if least != 0:  # anything will do
        positive(least, decimals=6)
    with acting(settings, ask) as (sender, deployment):
        series = liquidation.short_series(sender.w3, deployment, label)
        connection = connect(settings)
        receipt = liquidation.bid(sender, connection, deployment, series, units, writes=writes, least=to_usdc(least))
        paid = event_of(sender, deployment, receipt, "BuybackAuction", "BidTaken")["price"] / USDC
    where = f"block {receipt['blockNumber']}: {receipt['transactionHash'].to_0x_hex()}"
    return f"{size:,f} {label} for {paid:,.6f} USDC in {where}"


def _shares(sender: Sender, deployment: Deployment, amount: Decimal | None) -> int:
    return vault.require_shares(sender, deployment, 1) if amount is None else to_wad(positive(amount, decimals=18))


def _flow(sender: Sender, deployment: Deployment, receipt: TxReceipt, name: str, event: str) -> Flow:
    args = event_of(sender, deployment, receipt, name, event)
    assets, shares = Decimal(args["assets"]) / USDC, Decimal(args["shares"]) / WAD
    return Flow(assets, shares, receipt["blockNumber"], receipt["transactionHash"].to_0x_hex())


def _queued(sender: Sender, deployment: Deployment, receipt: TxReceipt, event: str) -> Queued:
    args = event_of(sender, deployment, receipt, "RedemptionQueue", event)
    closes_at = queue.read_queue(sender.w3, deployment).closes_at
    return Queued(
        Decimal(args["shares"]) / WAD,
        utc_second(closes_at),
        receipt["blockNumber"],
        receipt["transactionHash"].to_0x_hex(),
    )


def event_of(sender: Sender, deployment: Deployment, receipt: TxReceipt, name: str, event: str) -> Any:
    from web3.logs import DISCARD

    contract = bind(sender.w3, deployment, name)
    logs = contract.events[event]().process_receipt(receipt, errors=DISCARD)
    [log] = [log for log in logs if log["address"] == contract.address]
    return log["args"]


def positive(amount: Decimal, decimals: int) -> Decimal:
    if not amount.is_finite() or not 0 < amount < _MOST or amount != round(amount, decimals):
        raise ConfigError(
            f"{amount} is not a positive amount below a billion with at most {decimals} decimals.",
            kept="Nothing was sent.",
        )
    return amount


def _account(name: str, address: str) -> str:
    try:
        checked = str(checked_address(address))
    except ValueError:
        checked = ""
    if not checked or int(checked, 16) == 0:
        raise ConfigError(
            f"The {name.replace('_', ' ')} is {address!r}, not an address.",
            kept="Nothing was sent.",
            todo="Copy it again: its capitals are a checksum.",
        )
    return checked


@contextmanager
def acting(settings: Settings, ask: Ask) -> Iterator[tuple[Sender, Deployment]]:
    """The configured key's sender, and the deployment."""
    session = open_session(settings)
    sender = Sender(session.connection.w3, session.account(ask))
    with node_may_go():
        yield sender, session.deployment


@contextmanager
def node_may_go(
    kept: str = "What was sent before may have been mined.", todo: str = "See `keel status` before you try again."
) -> Iterator[None]:
    """What a node does in the middle of an action, in words; web3's own are not for people."""
    from web3.exceptions import BadFunctionCallOutput, ContractLogicError, Web3RPCError

    try:
        yield
    except RpcUnavailableError as error:
        raise RpcUnavailableError(error.what, kept=kept, todo=f"{error.todo} {todo}") from None
    except ContractLogicError as error:
        raise KeelError(f"The contract refuses: {bounded(error.message or str(error))}.", todo=todo) from None
    except Web3RPCError as error:
        reason = (error.rpc_response or {}).get("error", {}).get("message", "no reason given")
        raise RpcUnavailableError(f"The node refuses: {bounded(reason)}.", todo=todo) from None
    except BadFunctionCallOutput:
        raise ManifestError(
            "The contracts of the manifest are not on the node's chain.",
            kept="Nothing was sent.",
            todo="Check `deployment` and `rpc_url` in keel.toml; a fork that was started anew has lost them.",
        ) from None
