"""The first deposit of every vault: shares that nobody can redeem, so that it is never empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eth_utils.address import to_checksum_address

from keeper.domain.units import USDC, WAD, to_usdc
from keeper.errors import KeelError
from keeper.operations.contracts import ERC20_ABI

if TYPE_CHECKING:
    from collections.abc import Callable

    from web3 import Web3

    from keeper.operations.parameters import Parameters

NOBODY: Final = "0x000000000000000000000000000000000000dEaD"
SEED: Final = 100 * USDC
_LEAST_SHARES: Final = 99 * WAD  # what rounding leaves of 100 USDC at the first price, and more


def seed_of(parameters: Parameters) -> int:
    """What the deployer deposits for nobody, in smallest units of USDC: as much as the vault takes at least."""
    return max(SEED, to_usdc(parameters.min_deposit))


def require_seed(w3: Web3, usdc: str, account: str, amount: int) -> None:
    """Raises KeelError when ``account`` has less USDC than the first deposit."""
    has = w3.eth.contract(address=to_checksum_address(usdc), abi=ERC20_ABI).functions.balanceOf(account).call()
    if has < amount:
        raise KeelError(
            f"{account} has {has / USDC:,.2f} USDC; a new vault's first deposit, which nobody can redeem, is"
            f" {amount / USDC:,.2f}.",
            kept="Nothing was sent.",
            todo=f"Send USDC ({usdc}) to that account, and deploy again.",
        )


def missing_seed(read: Callable[..., Any]) -> list[str]:
    """What is wrong with the shares that nobody can redeem, if they are fewer than the first deposit bought.

    Args:
        read: A view of a contract: its name, the function's, arguments.
    """
    has = read("Vault", "balanceOf", NOBODY)
    if has >= _LEAST_SHARES:
        return []
    return [f"Vault: {has / WAD:,.2f} shares of nobody ({NOBODY}) instead of {SEED // USDC} at least"]
