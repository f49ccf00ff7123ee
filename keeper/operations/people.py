"""`keel deploy`, `keel deposit`, `keel redeem`: a person's one-off actions with settings, a key and a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from eth_utils.address import is_address, to_checksum_address
from requests import RequestException

from keeper.chain.address_book import address_book
from keeper.chain.deployments import Deployment
from keeper.chain.sender import Sender
from keeper.config import Settings
from keeper.domain.units import USDC, WAD, to_usdc, to_wad
from keeper.errors import ConfigError, RpcUnavailableError
from keeper.operations import vault
from keeper.operations.contracts import bind
from keeper.operations.deploy import Keys, deploy
from keeper.operations.parameters import load_parameters
from keeper.operations.session import connect, manifest_of, open_session, unlock

if TYPE_CHECKING:
    from web3.types import TxReceipt

Ask = Callable[[str], str] | None


@dataclass(frozen=True, slots=True)
class Flow:
    """A deposit or a redemption: USDC and shares that went either way, in whole units; its block and hash."""

    assets: Decimal
    shares: Decimal
    block: int
    transaction: str


def deploy_vault(
    settings: Settings, keys: Keys, parameters: Path, progress: Callable[[str], None], ask: Ask = None
) -> tuple[Deployment, Path]:
    """Deploy with the configured key as governor, or go on with a deployment that was interrupted.

    Args:
        parameters: The reviewed file of parameters.

    Returns:
        The deployment, verified, and where its manifest is.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    checked = Keys(**{name: _account(name, address) for name, address in asdict(keys).items()})
    given = load_parameters(parameters)
    connection = connect(settings)
    addresses = address_book(connection.chain_id)
    path = manifest_of(settings, connection.chain_id)
    sender = Sender(connection.w3, unlock(settings, ask))
    with _node_may_go():
        return deploy(sender, addresses, checked, given, progress, path), path


def deposit(settings: Settings, amount: Decimal, ask: Ask = None) -> Flow:
    """Deposit ``amount`` USDC of the configured key.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    assets = to_usdc(_positive(amount, decimals=6))
    sender = Sender(session.connection.w3, session.account(ask))
    with _node_may_go():
        receipt = vault.deposit(sender, session.deployment, assets)
        return _flow(sender, session.deployment, receipt, "Deposit")


def redeem(settings: Settings, amount: Decimal | None, ask: Ask = None) -> Flow:
    """Redeem ``amount`` shares of the configured key, or all that it has.

    Raises:
        KeelError: of the kind of whatever stands in the way.
    """
    session = open_session(settings)
    shares = None if amount is None else to_wad(_positive(amount, decimals=18))
    sender = Sender(session.connection.w3, session.account(ask))
    with _node_may_go():
        has = bind(sender.w3, session.deployment, "Vault").functions.balanceOf(sender.address).call()
        if has < (shares or 1):
            raise ConfigError(f"{sender.address} has {has / WAD:,.6f} shares.", kept="Nothing was sent.")
        receipt = vault.redeem(sender, session.deployment, shares or has)
        return _flow(sender, session.deployment, receipt, "Withdraw")


def _flow(sender: Sender, deployment: Deployment, receipt: TxReceipt, event: str) -> Flow:
    from web3.logs import DISCARD

    [log] = bind(sender.w3, deployment, "Vault").events[event]().process_receipt(receipt, errors=DISCARD)
    assets, shares = Decimal(log["args"]["assets"]) / USDC, Decimal(log["args"]["shares"]) / WAD
    return Flow(assets, shares, receipt["blockNumber"], receipt["transactionHash"].to_0x_hex())


def _positive(amount: Decimal, decimals: int) -> Decimal:
    if not amount.is_finite() or amount <= 0 or amount != round(amount, decimals):
        raise ConfigError(
            f"{amount} is not a positive amount with at most {decimals} decimals.", kept="Nothing was sent."
        )
    return amount


def _account(name: str, address: str) -> str:
    if not is_address(address) or int(address, 16) == 0:
        raise ConfigError(
            f"The {name.replace('_', ' ')} is {address!r}, not an address.",
            kept="Nothing was sent.",
            todo="Copy it again: its capitals are a checksum.",
        )
    return str(to_checksum_address(address))


@contextmanager
def _node_may_go() -> Iterator[None]:
    """Not chained: what requests says holds the node's URL."""
    try:
        yield
    except RequestException:
        raise RpcUnavailableError(
            "The node went away in the middle.",
            kept="What was sent before may have been mined. A deployment is in its log beside the manifest.",
            todo="Deploy again to go on; for anything else see `keel status` first.",
        ) from None
