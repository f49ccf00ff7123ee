"""What depositors do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper.domain.units import USDC, WAD
from keeper.errors import KeelError
from keeper.operations.contracts import bind, missing_prices, usdc_of

if TYPE_CHECKING:
    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender


def deposit(sender: Sender, deployment: Deployment, assets: int) -> TxReceipt:
    """Deposit ``assets`` (smallest units of USDC) for the sender, with an approval of exactly that.

    Raises:
        KeelError: the sender has less USDC, the vault takes no deposits now, or a transaction was refused.
    """
    vault, usdc = bind(sender.w3, deployment, "Vault"), usdc_of(sender.w3, deployment)
    has = usdc.functions.balanceOf(sender.address).call()
    if has < assets:
        raise KeelError(
            f"{sender.address} has {has / USDC:,.2f} USDC, less than the {assets / USDC:,.2f} to deposit.",
            kept="Nothing was sent.",
            todo="Deposit less, or send USDC there first.",
        )
    if vault.functions.maxDeposit(sender.address).call() < assets:
        _require_prices(sender, deployment)
        raise KeelError(
            "The vault takes no deposits now: it is reduce-only, or waits for a settlement.",
            kept="Nothing was sent.",
            todo="See `keel status`, and try again later.",
        )
    allow(sender, deployment, vault.address, assets)
    return sender.send(vault.functions.deposit(assets, sender.address), "deposit")


def redeem(sender: Sender, deployment: Deployment, shares: int) -> TxReceipt:
    """Redeem ``shares`` (WAD) of the sender for USDC.

    Raises:
        KeelError: idle cash or initial margin do not allow it now, an underlying has no price, or the transaction was
            refused.
    """
    vault = bind(sender.w3, deployment, "Vault")
    allowed = vault.functions.maxRedeem(sender.address).call()
    if allowed < shares:
        _require_prices(sender, deployment)
        raise KeelError(
            f"{allowed / WAD:,.6f} shares can be redeemed now, not {shares / WAD:,.6f}:"
            " the rest of the vault's cash is in hedges or needed as margin.",
            kept="Nothing was sent.",
            todo="Redeem less now and the rest later.",
        )
    return sender.send(vault.functions.redeem(shares, sender.address, sender.address), "redeem")


def _require_prices(sender: Sender, deployment: Deployment) -> None:
    missing = missing_prices(sender.w3, deployment)
    if missing:
        raise KeelError(
            f"The vault cannot say what a share is worth: its oracle has no price of {missing}.",
            kept="Nothing was sent.",
            todo="Try again after the feed's next round: every deposit and redemption waits for it.",
        )


def allow(sender: Sender, deployment: Deployment, spender: str, amount: int) -> None:
    """Let ``spender`` take ``amount`` USDC of the sender, unless it may already."""
    usdc = usdc_of(sender.w3, deployment)
    if usdc.functions.allowance(sender.address, spender).call() < amount:
        sender.send(usdc.functions.approve(spender, amount), "approve USDC")
