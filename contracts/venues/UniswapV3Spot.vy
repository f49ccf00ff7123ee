# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title UniswapV3Spot
@license AGPL-3.0
@notice A long spot hedge: holds WETH or WBTC and trades it against USDC in listed Uniswap v3 pools. It obeys only the Vault.

        Trades. Straight with a pool, within a limit price; what is paid is paid in the pool's callback, to that pool alone. No USDC
        stays here between calls, and nobody is approved.

        Accounting. What the Vault has bought here and not sold. Tokens sent here by others count for nothing.
@custom:kill The Vault sells the position with rebalance legs; with nothing held the contract is empty.
"""

from ethereum.ercs import IERC20
from ..interfaces import IUniswapV3Pool
from ..interfaces import IVenue
from ..modules import uniswap_v3

implements: IVenue
initializes: uniswap_v3

exports: (uniswap_v3.USDC, uniswap_v3.TOKEN, uniswap_v3.pools)


VAULT: public(immutable(address))
UNDERLYING: public(immutable(uint256))

held: public(uint256)  # smallest units of the token that the Vault bought and has not sold


@deploy
def __init__(
    vault: address,
    underlying: uint256,
    usdc: IERC20,
    token: IERC20,
    token_decimals: uint256,
    pools: DynArray[IUniswapV3Pool, 4],
):
    assert len(pools) > 0, "venue: no pool"
    uniswap_v3.__init__(usdc, token, token_decimals, pools)
    VAULT = vault
    UNDERLYING = underlying


@external
@view
def state(spot: uint256) -> IVenue.VenueState:
    """
    @notice Exposure and value at a spot price in USDC, WAD.
    @custom:reverts While tokens are missing: then nobody knows what the venue has, and nothing is minted or sold on it.
    """
    assert staticcall uniswap_v3.TOKEN.balanceOf(self) >= self.held, "venue: tokens missing"
    units: uint256 = uniswap_v3._to_units(self.held)
    equity: int256 = convert(units * spot // 10**18, int256)
    return IVenue.VenueState(
        underlying=UNDERLYING,
        exposure=convert(units, int256),
        equity=equity,
        stressed_down=equity // 2,
        stressed_up=equity * 3 // 2,
        health=max_value(uint256),
    )


@external
@view
def funding(delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice USDC that the Vault sends ahead of `trade`: the highest cost of a purchase, nothing for a sale.
    """
    return self._funding(delta_change, limit_price)


@external
def trade(pool: uint256, delta_change: int256, limit_price: uint256) -> uint256:
    """
    @notice Buy or sell exactly |delta_change| units in one pool. Vault only.
    @return USDC sent back to the Vault: what a purchase left over, or what a sale brought.
    """
    assert msg.sender == VAULT, "venue: only vault"
    amount: uint256 = uniswap_v3._to_token(convert(abs(delta_change), uint256))
    assert amount > 0, "venue: nothing to trade"
    spare: uint256 = 0
    if delta_change > 0:
        spare = self._funding(delta_change, limit_price) - uniswap_v3._buy(pool, amount, limit_price)
        self.held += amount
    else:
        assert amount <= self.held, "venue: more than held"
        self.held -= amount
        spare = uniswap_v3._sell(pool, amount, limit_price)
    assert extcall uniswap_v3.USDC.transfer(VAULT, spare, default_return_value=True), "venue: transfer"
    return spare


@external
def take_in(amount: uint256) -> bool:
    """
    @notice Count units that the Vault is paid in kind and that are on their way here. Vault only.
    @return True: this is a venue that can hold them.
    """
    assert msg.sender == VAULT, "venue: only vault"
    self.held += amount
    return True


@external
@reentrant
def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[64]):
    """
    @notice Pay the pool that this contract is swapping in.
    """
    token: IERC20 = empty(IERC20)
    amount: uint256 = 0
    token, amount = uniswap_v3._owed(amount0, amount1)
    assert extcall token.transfer(msg.sender, amount, default_return_value=True), "venue: transfer"


@internal
@view
def _funding(delta_change: int256, limit_price: uint256) -> uint256:
    if delta_change <= 0:
        return 0
    return uniswap_v3._cost(uniswap_v3._to_token(convert(delta_change, uint256)), limit_price)
