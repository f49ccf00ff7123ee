# pragma version 0.4.3
"""
@title uniswap_v3
@notice Swaps of one token against USDC straight in listed Uniswap v3 pools: no router, no approval. The importing contract
        pays the pool in its own `uniswapV3SwapCallback`, which asks `_owed` what and whom.
"""

from ethereum.ercs import IERC20
from ..interfaces import IUniswapV3Pool

_MIN_SQRT_PRICE: constant(uint160) = 4295128740
_MAX_SQRT_PRICE: constant(uint160) = 1461446703485210103287273052203988822378723970341

USDC: public(immutable(IERC20))
TOKEN: public(immutable(IERC20))
_UNIT: immutable(uint256)  # WAD per smallest unit of the token

pools: public(DynArray[IUniswapV3Pool, 4])
_active: transient(address)
_most: transient(uint256)  # what the swap under way may cost, smallest units of what it pays with


@deploy
def __init__(usdc: IERC20, token: IERC20, token_decimals: uint256, pools: DynArray[IUniswapV3Pool, 4]):
    assert token_decimals <= 18, "venue: token decimals"
    USDC = usdc
    TOKEN = token
    _UNIT = 10 ** (18 - token_decimals)
    for pool: IUniswapV3Pool in pools:
        token0: address = staticcall pool.token0()
        token1: address = staticcall pool.token1()
        expected: address[2] = [usdc.address, token.address] if self._usdc_is_token0() else [token.address, usdc.address]
        assert token0 == expected[0] and token1 == expected[1], "venue: wrong pool"
        self.pools.append(pool)


@internal
def _buy(pool: uint256, amount: uint256, limit_price: uint256) -> uint256:
    """
    @notice Buy exactly `amount` of the token.
    @param amount In the token's smallest unit.
    @param limit_price Highest average price, USDC per unit in WAD.
    @return USDC paid.
    """
    paid: uint256 = 0
    bought: uint256 = 0
    paid, bought = self._swap(pool, True, -convert(amount, int256), self._cost(amount, limit_price))
    assert bought == amount, "venue: not enough depth"
    return paid


@internal
def _sell(pool: uint256, amount: uint256, limit_price: uint256) -> uint256:
    """
    @notice Sell exactly `amount` of the token.
    @param amount In the token's smallest unit.
    @param limit_price Lowest average price, USDC per unit in WAD.
    @return USDC received.
    """
    received: uint256 = 0
    sold: uint256 = 0
    received, sold = self._swap(pool, False, convert(amount, int256), amount)
    assert sold == amount, "venue: not enough depth"
    assert received >= self._proceeds(amount, limit_price), "venue: limit price"
    return received


@internal
def _swap(pool: uint256, usdc_in: bool, amount_specified: int256, most: uint256) -> (uint256, uint256):
    """
    @return Amounts of USDC and of the token that changed hands.
    """
    venue: IUniswapV3Pool = self.pools[pool]
    usdc_is_token0: bool = self._usdc_is_token0()
    zero_for_one: bool = usdc_is_token0 == usdc_in
    self._active = venue.address
    self._most = most
    amount0: int256 = 0
    amount1: int256 = 0
    amount0, amount1 = extcall venue.swap(
        self, zero_for_one, amount_specified, _MIN_SQRT_PRICE if zero_for_one else _MAX_SQRT_PRICE, b""
    )
    self._active = empty(address)  # when nothing was swapped, no callback has done it
    usdc_amount: int256 = amount0 if usdc_is_token0 else amount1
    token_amount: int256 = amount1 if usdc_is_token0 else amount0
    return convert(abs(usdc_amount), uint256), convert(abs(token_amount), uint256)


@internal
def _owed(amount0: int256, amount1: int256) -> (IERC20, uint256):
    """
    @notice What a swap callback asks for, once per swap: the token and its amount.
    @custom:reverts When the caller is not the pool of the swap under way, or asks for more than the limit price allows.
    """
    assert msg.sender == self._active, "venue: not the pool"
    self._active = empty(address)
    pays_usdc: bool = self._usdc_is_token0() == (amount0 > 0)
    amount: uint256 = convert(max(amount0, amount1), uint256)
    assert amount <= self._most, "venue: limit price"
    return USDC if pays_usdc else TOKEN, amount


@internal
@view
def _usdc_is_token0() -> bool:
    return convert(USDC.address, uint160) < convert(TOKEN.address, uint160)


@internal
@view
def _to_token(units: uint256) -> uint256:
    """
    @return Units in WAD as the token's smallest units, rounded down.
    """
    return units // _UNIT


@internal
@view
def _to_units(amount: uint256) -> uint256:
    """
    @return Smallest units of the token as units in WAD.
    """
    return amount * _UNIT


@internal
@view
def _cost(amount: uint256, price: uint256) -> uint256:
    """
    @return USDC (6 decimals) that `amount` of the token costs at `price`, rounded up.
    """
    return (self._to_units(amount) * price + 10**30 - 1) // 10**30


@internal
@view
def _proceeds(amount: uint256, price: uint256) -> uint256:
    """
    @return USDC (6 decimals) that `amount` of the token brings at `price`, rounded down.
    """
    return self._to_units(amount) * price // 10**30
