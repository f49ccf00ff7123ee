"""What depositors do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper.domain.units import USDC
from keeper.errors import ConfigError, KeelError
from keeper.operations.contracts import bind, missing_prices, usdc_of

if TYPE_CHECKING:
    from web3 import Web3
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
    least = bind(sender.w3, deployment, "CircuitBreaker").functions.thresholds().call()[1]
    if assets < min(least, has):
        raise KeelError(
            f"{assets / USDC:,.2f} USDC are fewer than the vault takes, {least / USDC:,.2f} or all that you have.",
            kept="Nothing was sent.",
            todo="Deposit more.",
        )
    if vault.functions.maxDeposit(sender.address).call() < assets:
        require_prices(sender.w3, deployment)
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
    require_shares(sender, deployment, shares)
    vault = bind(sender.w3, deployment, "Vault")
    allowed = vault.functions.maxRedeem(sender.address).call()
    if allowed < shares:
        require_prices(sender.w3, deployment)
        raise KeelError(
            f"{in_whole(allowed)} shares can be redeemed now, not {in_whole(shares)}:"
            " the rest of the vault's cash is in hedges or needed as margin.",
            kept="Nothing was sent.",
            todo=("Redeem less now, or queue" if allowed else "Queue")
            + " them with `keel redeem --queue`: they are paid after an epoch's close, as cash allows.",
        )
    return sender.send(vault.functions.redeem(shares, sender.address, sender.address), "redeem")


def in_whole(shares: int) -> str:
    """Shares for people, rounded down: so many can be typed in."""
    return f"{shares // 10**12 / 10**6:,.6f}"


def require_shares(sender: Sender, deployment: Deployment, shares: int) -> int:
    """How many shares the sender has, WAD.

    Raises:
        KeelError: fewer than ``shares``, or none.
    """
    has: int = bind(sender.w3, deployment, "Vault").functions.balanceOf(sender.address).call()
    if has < max(shares, 1):
        raise ConfigError(
            f"{sender.address} has {in_whole(has)} shares.",
            kept="Nothing was sent.",
            todo="Is it the right account? Shares that wait in the queue are in `keel queue status`.",
        )
    return has


def require_prices(w3: Web3, deployment: Deployment) -> None:
    """
    Raises:
        KeelError: the oracle does not price every underlying, so that nobody knows what a share is worth.
    """
    missing = missing_prices(w3, deployment)
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
