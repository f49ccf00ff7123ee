# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title AaveV3Short
@license AGPL-3.0
@notice A short hedge: supplies USDC to Aave v3, borrows WETH or WBTC and sells it in listed Uniswap v3 pools; buying back goes
        the other way. Both happen inside the swap's callback, so that no cash is needed up front.

        Collateral. Every trade brings the health factor to its target: `funding` says what is missing, what is spare goes back to
        the Vault. A trade of zero does only that. No trade may end below the health floor, unless it started lower and helps.

        Accounting. Collateral is the smaller of what the aToken says and what the Vault supplied with its interest: a gift
        counts for nothing. Debt is what Aave says. Equity is never below zero: Aave has no recourse to the Vault.
@custom:kill The Vault buys the debt back with rebalance legs; the last one returns all collateral.
"""

from ethereum.ercs import IERC20
from ..interfaces import IAaveV3Oracle
from ..interfaces import IAaveV3Pool
from ..interfaces import IAaveV3Token
from ..interfaces import IUniswapV3Pool
from ..interfaces import IVenue
from ..modules import uniswap_v3

implements: IVenue
initializes: uniswap_v3

exports: (uniswap_v3.USDC, uniswap_v3.TOKEN, uniswap_v3.pools)


event Disowned:
    asset: indexed(address)


_WAD: constant(uint256) = 10**18
_BASIS: constant(uint256) = 10**4
_VARIABLE_RATE: constant(uint256) = 2

VAULT: public(immutable(address))
UNDERLYING: public(immutable(uint256))
AAVE: public(immutable(IAaveV3Pool))
AAVE_ORACLE: public(immutable(IAaveV3Oracle))
COLLATERAL_TOKEN: public(immutable(IAaveV3Token))
DEBT_TOKEN: public(immutable(IAaveV3Token))
HEALTH_FLOOR: public(immutable(uint256))
HEALTH_TARGET: public(immutable(uint256))

supplied: public(uint256)  # scaled balance of the aToken that the Vault's own money bought


@deploy
def __init__(
    vault: address,
    underlying: uint256,
    usdc: IERC20,
    token: IERC20,
    token_decimals: uint256,
    pools: DynArray[IUniswapV3Pool, 4],
    aave: IAaveV3Pool,
    aave_oracle: IAaveV3Oracle,
    collateral_token: IAaveV3Token,
    debt_token: IAaveV3Token,
    health_floor: uint256,
    health_target: uint256,
):
    assert len(pools) > 0, "venue: no pool"
    assert staticcall collateral_token.UNDERLYING_ASSET_ADDRESS() == usdc.address, "venue: wrong aToken"
    assert staticcall debt_token.UNDERLYING_ASSET_ADDRESS() == token.address, "venue: wrong debt token"
    assert staticcall collateral_token.POOL() == aave.address, "venue: wrong aToken"
    assert staticcall debt_token.POOL() == aave.address, "venue: wrong debt token"
    assert health_floor > _WAD and health_target >= health_floor, "venue: health"
    uniswap_v3.__init__(usdc, token, token_decimals, pools)
    VAULT = vault
    UNDERLYING = underlying
    AAVE = aave
    AAVE_ORACLE = aave_oracle
    COLLATERAL_TOKEN = collateral_token
    DEBT_TOKEN = debt_token
    HEALTH_FLOOR = health_floor
    HEALTH_TARGET = health_target


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    """
    @notice Exposure and value at a spot price in USDC, WAD.
    """
    collateral: uint256 = self._collateral()
    debt: uint256 = self._debt()
    return IVenue.VenueState(
        underlying=UNDERLYING,
        exposure=-convert(uniswap_v3._to_units(debt), int256),
        equity=self._equity(collateral, debt, spot),
        stressed_down=self._stressed(collateral, debt, spot // 2),
        stressed_up=self._stressed(collateral, debt, spot * 3 // 2),
        health=self._health(collateral, debt, spot),
    )


@external
@view
def funding(delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice USDC that the Vault sends ahead of `trade`: what the health target will miss when the swap gives `limit_price`.
    """
    return self._funding(delta_change, limit_price)


@external
def trade(pool: uint256, delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice Borrow and sell (delta_change < 0) or buy back and repay (> 0), then bring health to its target. Vault only. Buying
            back more than the debt buys back the debt.
    @return USDC sent back to the Vault.
    """
    assert msg.sender == VAULT, "venue: only vault"
    before: uint256 = self._health(self._collateral(), self._debt(), self._aave_price())
    added: uint256 = self._funding(delta_change, limit_price)
    if added > 0:
        self._supply(added)
    amount: uint256 = uniswap_v3._to_token(convert(abs(delta_change), uint256))
    if delta_change > 0:
        uniswap_v3._buy(pool, min(amount, self._debt()), limit_price)
    elif delta_change < 0:
        uniswap_v3._sell(pool, amount, limit_price)

    spare: uint256 = self._release()
    after: uint256 = self._health(self._collateral(), self._debt(), self._aave_price())
    assert after >= min(before, HEALTH_FLOOR), "venue: health below floor"
    return spare


@external
@reentrant
def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[64]):
    """
    @notice In the middle of a sale: supply what it brought, borrow what it sold. In the middle of a purchase: repay what it
            bought, withdraw what it costs.
    """
    token: IERC20 = empty(IERC20)
    amount: uint256 = 0
    token, amount = uniswap_v3._owed(amount0, amount1)
    received: uint256 = convert(-min(amount0, amount1), uint256)
    if token == uniswap_v3.TOKEN:
        self._supply(received)
        extcall AAVE.borrow(token.address, amount, _VARIABLE_RATE, 0, self)
        assert extcall token.transfer(msg.sender, amount, default_return_value=True), "venue: transfer"
    else:
        extcall uniswap_v3.TOKEN.approve(AAVE.address, received, default_return_value=True)
        assert extcall AAVE.repay(uniswap_v3.TOKEN.address, received, _VARIABLE_RATE, self) == received, "venue: repay"
        self._withdraw(amount, msg.sender)


@external
def disown(asset: address):
    """
    @notice Stop a gift of another asset's aTokens from being collateral at Aave. Anyone. The venue never counts such a gift,
            but Aave refuses to let USDC out while a collateral with a loan-to-value of zero is there.
    """
    assert asset != uniswap_v3.USDC.address, "venue: own collateral"
    extcall AAVE.setUserUseReserveAsCollateral(asset, False)
    log Disowned(asset=asset)


@internal
def _supply(amount: uint256):
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    extcall uniswap_v3.USDC.approve(AAVE.address, amount, default_return_value=True)
    extcall AAVE.supply(uniswap_v3.USDC.address, amount, self, 0)
    # The smaller of the two: after a liquidation less is there than was supplied, and a gift must not fill the difference.
    self.supplied = min(self.supplied, scaled) + staticcall COLLATERAL_TOKEN.scaledBalanceOf(self) - scaled


@internal
def _withdraw(amount: uint256, to: address):
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    assert extcall AAVE.withdraw(uniswap_v3.USDC.address, amount, to) == amount, "venue: withdraw"
    burned: uint256 = scaled - staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    supplied: uint256 = min(self.supplied, scaled)
    self.supplied = supplied - min(burned, supplied)


@internal
def _release() -> uint256:
    """
    @notice Send collateral beyond the health target to the Vault.
    """
    collateral: uint256 = self._collateral()
    required: uint256 = self._required(self._debt())
    if collateral <= required:
        return 0
    spare: uint256 = collateral - required
    self._withdraw(spare, VAULT)
    return spare


@internal
@view
def _funding(delta_change: int256, limit_price: uint256) -> uint256:
    debt: uint256 = self._debt()
    amount: uint256 = uniswap_v3._to_token(convert(abs(delta_change), uint256))
    has: uint256 = self._collateral()
    needs: uint256 = 0
    if delta_change > 0:
        amount = min(amount, debt)
        needs = self._required(debt - amount) + uniswap_v3._cost(amount, limit_price)
    else:
        needs = self._required(debt + amount)
        has += uniswap_v3._proceeds(amount, limit_price)
    return needs - min(needs, has)


@internal
@view
def _required(debt: uint256) -> uint256:
    """
    @return Collateral in USDC that gives `debt` the target health at Aave's prices.
    """
    return uniswap_v3._cost(debt, self._aave_price()) * HEALTH_TARGET // _WAD * _BASIS // self._threshold() + 1 if debt > 0 else 0


@internal
@view
def _collateral() -> uint256:
    actual: uint256 = staticcall COLLATERAL_TOKEN.balanceOf(self)
    scaled: uint256 = staticcall COLLATERAL_TOKEN.scaledBalanceOf(self)
    return actual * self.supplied // scaled if scaled > self.supplied else actual


@internal
@view
def _debt() -> uint256:
    return staticcall DEBT_TOKEN.balanceOf(self)


@internal
@view
def _equity(collateral: uint256, debt: uint256, spot: uint256) -> int256:
    owed: uint256 = uniswap_v3._to_units(debt) * spot // _WAD
    value: uint256 = collateral * 10**12
    return convert(value - min(value, owed), int256)


@internal
@view
def _stressed(collateral: uint256, debt: uint256, spot: uint256) -> int256:
    """
    @notice Equity at a stressed spot; below a health of 1 the liquidation bonus on the whole debt is lost too.
    """
    if self._health(collateral, debt, spot) >= _WAD:
        return self._equity(collateral, debt, spot)
    bonus: uint256 = (staticcall AAVE.getConfiguration(uniswap_v3.USDC.address) >> 32) & (2**16 - 1)
    return self._equity(collateral, debt, spot * bonus // _BASIS)


@internal
@view
def _health(collateral: uint256, debt: uint256, spot: uint256) -> uint256:
    if debt == 0:
        return max_value(uint256)
    return collateral * self._threshold() * _WAD // _BASIS // uniswap_v3._cost(debt, spot)


@internal
@view
def _threshold() -> uint256:
    """
    @return Liquidation threshold of USDC in basis points.
    """
    return (staticcall AAVE.getConfiguration(uniswap_v3.USDC.address) >> 16) & (2**16 - 1)


@internal
@view
def _aave_price() -> uint256:
    """
    @return Price of the token in USDC by Aave's oracle, WAD.
    """
    token_price: uint256 = staticcall AAVE_ORACLE.getAssetPrice(uniswap_v3.TOKEN.address)
    return token_price * _WAD // staticcall AAVE_ORACLE.getAssetPrice(uniswap_v3.USDC.address)
