# pragma version 0.4.3
"""
@title aave_v3
@notice USDC that the importing contract has supplied to Aave v3 for the Vault.

        What is there counts as the smaller of what the aToken says and what was supplied with its interest: a gift counts
        for nothing, and what a liquidation took is gone.
"""

from ethereum.ercs import IERC20
from ..interfaces import IAaveV3Pool
from ..interfaces import IAaveV3Token

BASIS: constant(uint256) = 10**4
LEAST: constant(uint256) = 10  # USDC units: Aave takes no amount that is worth less than one of its own units
_IS_ACTIVE: constant(uint256) = 1 << 56
_IS_PAUSED: constant(uint256) = 1 << 60

AAVE: public(immutable(IAaveV3Pool))
COLLATERAL_TOKEN: public(immutable(IAaveV3Token))
_USDC: immutable(IERC20)

supplied: public(uint256)  # scaled balance of the aToken that the Vault's own money bought


@deploy
def __init__(usdc: IERC20, aave: IAaveV3Pool, collateral_token: IAaveV3Token):
    assert staticcall collateral_token.UNDERLYING_ASSET_ADDRESS() == usdc.address, "venue: wrong aToken"
    assert staticcall collateral_token.POOL() == aave.address, "venue: wrong aToken"
    AAVE = aave
    COLLATERAL_TOKEN = collateral_token
    _USDC = usdc


@internal
def _supply(amount: uint256):
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    extcall _USDC.approve(AAVE.address, amount, default_return_value=True)
    extcall AAVE.supply(_USDC.address, amount, self, 0)
    # The smaller of the two: after a liquidation less is there than was supplied, and a gift must not fill the difference.
    self.supplied = min(self.supplied, scaled) + staticcall COLLATERAL_TOKEN.scaledBalanceOf(self) - scaled


@internal
def _withdraw(amount: uint256, to: address):
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    assert extcall AAVE.withdraw(_USDC.address, amount, to) == amount, "venue: withdraw"
    burned: uint256 = scaled - staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    supplied: uint256 = min(self.supplied, scaled)
    self.supplied = supplied - min(burned, supplied)


@internal
@view
def _value() -> uint256:
    """
    @return The Vault's USDC at Aave with its interest.
    """
    actual: uint256 = staticcall COLLATERAL_TOKEN.balanceOf(self)
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    return actual * self.supplied // scaled if scaled > self.supplied else actual


@internal
@view
def _available() -> uint256:
    """
    @return USDC that Aave has and pays out: nothing while the reserve is paused. A frozen one pays out.
    """
    flags: uint256 = self._configuration() & (_IS_ACTIVE | _IS_PAUSED)
    return staticcall AAVE.getVirtualUnderlyingBalance(_USDC.address) if flags == _IS_ACTIVE else 0


@internal
@view
def _configuration() -> uint256:
    """
    @return USDC's configuration word.
    """
    return staticcall AAVE.getConfiguration(_USDC.address)
