# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title AaveV3Short
@license AGPL-3.0
@notice A short hedge: supplies USDC to Aave v3, borrows WETH or WBTC and sells it in listed Uniswap v3 pools; buying back goes
        the other way. Both happen inside the swap's callback, so that no cash is needed up front.

        Collateral. A sale, and a trade of zero, bring the health factor to its target: `funding` says what is missing. What
        is spare, and Aave can pay out, goes back to the Vault. A purchase is paid from the collateral as far as that does
        not lower health and Aave has the USDC, and with the Vault's cash beyond that; it supplies nothing. No trade may end
        below the health floor, unless it started lower and helps.

        When Aave refuses. USDC frozen or at its supply cap, the token frozen, not for loan or at its borrow cap: nothing is
        sold, everything is bought back. USDC paused or lent out: bought back with the Vault's cash, the collateral waits. The
        token paused: neither.

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
from ..modules import aave_v3
from ..modules import uniswap_v3

implements: IVenue
initializes: aave_v3
initializes: uniswap_v3

exports: (
    aave_v3.AAVE,
    aave_v3.COLLATERAL_TOKEN,
    aave_v3.supplied,
    uniswap_v3.USDC,
    uniswap_v3.TOKEN,
    uniswap_v3.pools,
)


event Disowned:
    asset: indexed(address)


_WAD: constant(uint256) = 10**18
_SAFE: constant(uint256) = 1_001 * 10**15  # health that Aave lets collateral out at, and its rounding
_VARIABLE_RATE: constant(uint256) = 2

VAULT: public(immutable(address))
UNDERLYING: public(immutable(uint256))
AAVE_ORACLE: public(immutable(IAaveV3Oracle))
DEBT_TOKEN: public(immutable(IAaveV3Token))
HEALTH_FLOOR: public(immutable(uint256))
HEALTH_TARGET: public(immutable(uint256))

_cash: transient(uint256)  # USDC that the Vault has sent for the trade under way and that is not used yet


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
    aave_v3.__init__(usdc, aave, collateral_token)
    assert staticcall debt_token.UNDERLYING_ASSET_ADDRESS() == token.address, "venue: wrong debt token"
    assert staticcall debt_token.POOL() == aave.address, "venue: wrong debt token"
    assert health_floor > _WAD and health_target >= health_floor, "venue: health"
    uniswap_v3.__init__(usdc, token, token_decimals, pools)
    VAULT = vault
    UNDERLYING = underlying
    AAVE_ORACLE = aave_oracle
    DEBT_TOKEN = debt_token
    HEALTH_FLOOR = health_floor
    HEALTH_TARGET = health_target


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    """
    @notice Exposure and value at a spot price in USDC, WAD.
    """
    collateral: uint256 = aave_v3._value()
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
def short_margin() -> uint256:
    """
    @notice Own funds that a short of 1 USDC ties up at the health floor, WAD: the collateral less the sale's proceeds. The
            RiskEngine asks.
    """
    return HEALTH_FLOOR * aave_v3.BASIS // self._threshold() - _WAD


@external
@view
def funding(delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice USDC that the Vault sends ahead of `trade`: what the health target will miss when a sale brings `limit_price`, or
            what a purchase costs at `limit_price` beyond the collateral that may pay for it.
    """
    return self._funding(delta_change, limit_price)


@external
def trade(pool: uint256, delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice Borrow and sell (delta_change < 0) or buy back and repay (> 0), then release spare collateral. Vault only. Buying
            back more than the debt buys back the debt.
    @return USDC sent back to the Vault.
    """
    assert msg.sender == VAULT, "venue: only vault"
    before: uint256 = self._health(aave_v3._value(), self._debt(), self._aave_price())
    self._cash = self._funding(delta_change, limit_price)
    amount: uint256 = uniswap_v3._to_token(convert(abs(delta_change), uint256))
    if delta_change > 0:
        uniswap_v3._buy(pool, min(amount, self._debt()), limit_price)
    elif delta_change < 0:
        uniswap_v3._sell(pool, amount, limit_price)
    elif self._cash > 0:
        self._supply_cash(0)

    spare: uint256 = self._release()
    after: uint256 = self._health(aave_v3._value(), self._debt(), self._aave_price())
    assert after >= min(before, HEALTH_FLOOR), "venue: health below floor"
    return spare


@external
@reentrant
def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[64]):
    """
    @notice In the middle of a sale: supply what it brought, borrow what it sold. In the middle of a purchase: repay what it
            bought, and pay for it with cash, then from the collateral.
    """
    token: IERC20 = empty(IERC20)
    amount: uint256 = 0
    token, amount = uniswap_v3._owed(amount0, amount1)
    received: uint256 = convert(-min(amount0, amount1), uint256)
    if token == uniswap_v3.TOKEN:
        self._supply_cash(received)
        extcall aave_v3.AAVE.borrow(token.address, amount, _VARIABLE_RATE, 0, self)
        assert extcall token.transfer(msg.sender, amount, default_return_value=True), "venue: transfer"
        return
    aave: IAaveV3Pool = aave_v3.AAVE
    extcall uniswap_v3.TOKEN.approve(aave.address, received, default_return_value=True)
    assert extcall aave.repay(uniswap_v3.TOKEN.address, received, _VARIABLE_RATE, self) == received, "venue: repay"
    cash: uint256 = min(amount, self._cash)
    if cash > 0:
        self._cash -= cash
        assert extcall token.transfer(msg.sender, cash, default_return_value=True), "venue: transfer"
    if amount > cash:
        aave_v3._withdraw(amount - cash, msg.sender)


@external
def disown(asset: address):
    """
    @notice Stop a gift of another asset's aTokens from being collateral at Aave. Anyone. The venue never counts such a gift,
            but Aave refuses to let USDC out while a collateral with a loan-to-value of zero is there.
    """
    assert asset != uniswap_v3.USDC.address, "venue: own collateral"
    extcall aave_v3.AAVE.setUserUseReserveAsCollateral(asset, False)
    log Disowned(asset=asset)


@internal
def _supply_cash(received: uint256):
    """
    @notice Supply what a sale has brought together with the cash that was sent for it.
    """
    aave_v3._supply(received + self._cash)
    self._cash = 0


@internal
def _release() -> uint256:
    """
    @notice Send what is left of the cash and what of the collateral is beyond the health target to the Vault.
    @return USDC sent.
    """
    cash: uint256 = self._cash
    if cash > 0:
        self._cash = 0
        assert extcall uniswap_v3.USDC.transfer(VAULT, cash, default_return_value=True), "venue: transfer"
    collateral: uint256 = aave_v3._value()
    required: uint256 = self._required(self._debt(), HEALTH_TARGET)
    spare: uint256 = min(collateral - min(collateral, required), aave_v3._available())
    if spare > 0:
        aave_v3._withdraw(spare, VAULT)
    return cash + spare


@internal
@view
def _funding(delta_change: int256, limit_price: uint256) -> uint256:
    debt: uint256 = self._debt()
    amount: uint256 = uniswap_v3._to_token(convert(abs(delta_change), uint256))
    if delta_change > 0:
        amount = min(amount, debt)
        cost: uint256 = uniswap_v3._cost(amount, limit_price)
        return cost - min(cost, self._usable(amount, debt))
    needs: uint256 = self._required(debt + amount, HEALTH_TARGET)
    has: uint256 = aave_v3._value() + uniswap_v3._proceeds(amount, limit_price)
    missing: uint256 = needs - min(needs, has)
    return missing if missing >= aave_v3.LEAST else 0


@internal
@view
def _usable(amount: uint256, debt: uint256) -> uint256:
    """
    @return USDC of the collateral that may pay for buying back `amount` of `debt`: health does not fall, and Aave has it.
    """
    collateral: uint256 = aave_v3._value()
    rest: uint256 = debt - amount
    keep: uint256 = 0
    if rest > 0:  # two units more than the rest, since Aave rounds what is repaid down
        keep = max(self._required(rest, _SAFE), collateral * min(rest + 2, debt) // debt + 2)
    return min(collateral - min(collateral, keep), aave_v3._available())


@internal
@view
def _required(debt: uint256, health: uint256) -> uint256:
    """
    @return Collateral in USDC that gives `debt` this health at Aave's prices.
    """
    if debt == 0:
        return 0
    return uniswap_v3._cost(debt, self._aave_price()) * health // _WAD * aave_v3.BASIS // self._threshold() + 1


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
    bonus: uint256 = (aave_v3._configuration() >> 32) & (2**16 - 1)
    return self._equity(collateral, debt, spot * bonus // aave_v3.BASIS)


@internal
@view
def _health(collateral: uint256, debt: uint256, spot: uint256) -> uint256:
    if debt == 0:
        return max_value(uint256)
    return collateral * self._threshold() * _WAD // aave_v3.BASIS // uniswap_v3._cost(debt, spot)


@internal
@view
def _threshold() -> uint256:
    """
    @return Liquidation threshold of USDC in basis points.
    """
    return (aave_v3._configuration() >> 16) & (2**16 - 1)


@internal
@view
def _aave_price() -> uint256:
    """
    @return Price of the token in USDC by Aave's oracle, WAD.
    """
    token_price: uint256 = staticcall AAVE_ORACLE.getAssetPrice(uniswap_v3.TOKEN.address)
    return token_price * _WAD // staticcall AAVE_ORACLE.getAssetPrice(uniswap_v3.USDC.address)
