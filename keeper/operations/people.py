"""`keel deploy`, `keel deposit`, `keel redeem`: a person's one-off actions with settings, a key and a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keeper.chain.address_book import address_book
from keeper.chain.deployments import Deployment, checked_address
from keeper.chain.rpc import bounded
from keeper.chain.sender import Sender
from keeper.config import Settings
from keeper.domain.units import USDC, WAD, to_usdc, to_wad
from keeper.errors import ConfigError, KeelError, ManifestError, RpcUnavailableError
from keeper.operations import vault
from keeper.operations.contracts import bind
from keeper.operations.deploy import Keys, deploy
from keeper.operations.parameters import load_parameters
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
    with _node_may_go("What was sent is in the log beside the manifest.", "Deploy again to go on."):
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
def _node_may_go(
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
