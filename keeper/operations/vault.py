"""What depositors do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper.domain.snapshot import Mode
from keeper.domain.units import USDC
from keeper.errors import ConfigError, KeelError
from keeper.operations.contracts import bind, missing_prices, usdc_of
from keeper.operations.gates import closed_reason, exit_reason, gates_of

if TYPE_CHECKING:
    from web3 import Web3
    from web3.types import TxReceipt

    from keeper.chain.deployments import Deployment
    from keeper.chain.sender import Sender
    from keeper.operations.gates import Gates


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
        gates = gates_of(sender.w3, deployment)
        if gates.mode is Mode.FROZEN:
            require_prices(sender.w3, deployment)
        raise _no_deposit(gates, assets)
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
        gates = gates_of(sender.w3, deployment)
        if gates.mode is Mode.FROZEN:
            require_prices(sender.w3, deployment)
        why = closed_reason(gates) or exit_reason(gates)
        raise KeelError(
            f"{in_whole(allowed)} shares can be redeemed now, not {in_whole(shares)}: {why}.",
            kept="Nothing was sent.",
            todo=("Redeem less now, or queue" if allowed else "Queue")
            + " them with `keel redeem --queue`: they are paid after an epoch's close, as cash allows.",
        )
    return sender.send(vault.functions.redeem(shares, sender.address, sender.address), "redeem")


def redeem_frozen(sender: Sender, deployment: Deployment, shares: int) -> TxReceipt:
    """Redeem ``shares`` (WAD) of the sender at 90 % of their last known price at most, while NAV cannot be computed or
    an expiry has waited for its fixing for two hours.

    Raises:
        KeelError: neither is so, there is no cash for them, or the transaction was refused.
    """
    require_shares(sender, deployment, shares)
    breaker = bind(sender.w3, deployment, "CircuitBreaker").functions
    if not breaker.is_frozen().call():
        raise KeelError(
            "The vault knows what a share is worth: nobody has to leave at a discount.",
            kept="Nothing was sent.",
            todo="Redeem without --frozen, or queue with --queue.",
        )
    if not breaker.preview_exit_frozen(shares).call():
        raise KeelError(
            "There is no cash for frozen exits: what is idle is owed, kept as margin, or the queue's.",
            kept="Nothing was sent.",
            todo="Queue the shares with `keel redeem --queue`: they are paid once prices are back.",
        )
    return sender.send(breaker.exit_frozen(shares, sender.address), "redeem while frozen")


def _no_deposit(gates: Gates, assets: int) -> KeelError:
    """Why no ``assets`` can be deposited, where NAV is known."""
    if gates.deposits:
        flow = gates.deposit_flow
        return KeelError(
            f"{gates.deposits:,.2f} USDC can be deposited now, not {assets / USDC:,.2f}: they are what is left of a"
            f" day's deposits, {flow.capacity:.0%} of NAV; {flow.per_day:.0%} a day come back.",
            kept="Nothing was sent.",
            todo="Deposit less, or the rest later.",
        )
    why = closed_reason(gates)
    if not why and gates.mode is not Mode.NORMAL:
        why = f"it is {gates.mode}, {'; '.join(gates.because)}"
    elif not why and gates.surface_too_old:
        why = "a volatility surface is older than two hours"
    return KeelError(
        f"The vault takes no deposits now: {why or 'nothing is left of a day, or a share is worth too little'}.",
        kept="Nothing was sent.",
        todo="See `keel status`, and try again later.",
    )


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
            todo="Try again after the feed's next round. `keel redeem --frozen` does not wait, at a discount.",
        )


def allow(sender: Sender, deployment: Deployment, spender: str, amount: int) -> None:
    """Let ``spender`` take ``amount`` USDC of the sender, unless it may already."""
    usdc = usdc_of(sender.w3, deployment)
    if usdc.functions.allowance(sender.address, spender).call() < amount:
        sender.send(usdc.functions.approve(spender, amount), "approve USDC")
