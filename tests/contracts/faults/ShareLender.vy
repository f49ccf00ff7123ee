# pragma version 0.4.3
"""
@title ShareLender
@notice Lends USDC against shares at what the Vault says that they are worth: the kind of contract that read-only reentrancy
        robs.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626

VAULT: immutable(IERC4626)
USDC: immutable(IERC20)


@deploy
def __init__(vault: IERC4626, usdc: IERC20):
    VAULT = vault
    USDC = usdc


@external
def borrow(shares: uint256) -> uint256:
    """
    @notice Nine tenths of the value of the caller's shares.
    """
    loan: uint256 = staticcall VAULT.convertToAssets(shares) * 9 // 10
    assert extcall IERC20(VAULT.address).transferFrom(msg.sender, self, shares)
    assert extcall USDC.transfer(msg.sender, loan)
    return loan
