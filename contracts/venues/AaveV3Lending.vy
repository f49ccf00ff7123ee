# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title AaveV3Lending
@license AGPL-3.0
@notice Lends the Vault's idle USDC to Aave v3. It trades nothing, owes nothing and obeys only the Vault.

        Value. What was lent with its interest, whether Aave can pay it out or not; a gift counts for nothing. Aave rounds
        against who lends and who recalls: each call may cost up to two units of USDC.

        Liquidity. Aave pays out what it has not lent on: that much of the value is `withdrawable`, and as good as idle. While
        USDC is paused there nothing is. A frozen reserve takes no more USDC and pays out as before.
@custom:kill The Vault recalls everything; with nothing lent the contract is empty, and the governor retires it.
"""

from ethereum.ercs import IERC20
from ..interfaces import IAaveV3Pool
from ..interfaces import IAaveV3Token
from ..interfaces import ILending
from ..interfaces import IVenue
from ..modules import aave_v3

implements: ILending
initializes: aave_v3

exports: (aave_v3.AAVE, aave_v3.COLLATERAL_TOKEN, aave_v3.supplied)

event Lent:
    amount: uint256


event Recalled:
    amount: uint256


VAULT: public(immutable(address))
USDC: public(immutable(IERC20))
UNDERLYING: public(constant(uint256)) = 0  # a venue has one; nothing here depends on it


@deploy
def __init__(vault: address, usdc: IERC20, aave: IAaveV3Pool, collateral_token: IAaveV3Token):
    aave_v3.__init__(usdc, aave, collateral_token)
    assert aave_v3._available() > 0, "venue: Aave without USDC"
    VAULT = vault
    USDC = usdc


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    """
    @notice What is lent: no spot price moves it.
    """
    equity: int256 = convert(aave_v3._value() * 10**12, int256)
    return IVenue.VenueState(
        underlying=UNDERLYING,
        exposure=0,
        equity=equity,
        stressed_down=equity,
        stressed_up=equity,
        health=max_value(uint256),
    )


@external
def lend(amount: uint256):
    """
    @notice Lend USDC that the Vault has sent here before the call. Vault only.
    """
    assert msg.sender == VAULT, "venue: only vault"
    aave_v3._supply(amount)
    log Lent(amount=amount)


@external
def recall(amount: uint256) -> uint256:
    """
    @notice Send the Vault as much of `amount` as Aave pays out. Vault only.
    @return USDC sent.
    """
    assert msg.sender == VAULT, "venue: only vault"
    sent: uint256 = min(amount, self._withdrawable())
    if sent > 0:
        aave_v3._withdraw(sent, VAULT)
        log Recalled(amount=sent)
    return sent


@external
@view
def withdrawable() -> uint256:
    """
    @notice USDC that `recall` could send now.
    """
    return self._withdrawable()


@internal
@view
def _withdrawable() -> uint256:
    return min(aave_v3._value(), aave_v3._available())
