# pragma version 0.4.3
"""
@title HostilePool
@notice A pool of USDC and WETH that trades at 3,000 without a fee, and can be told to cheat whoever swaps in it.
"""

from ethereum.ercs import IERC20


interface ISwapper:
    def uniswapV3SwapCallback(amount0: int256, amount1: int256, data: Bytes[64]): nonpayable


interface IAccomplice:
    def call_back(swapper: address, amount0: int256, amount1: int256): nonpayable


_USDC_PER_WEI: constant(int256) = 333_333_333  # wei per unit of USDC at 3,000

token0: public(address)  # USDC
token1: public(address)  # WETH
keeps: public(bool)
callbacks: public(uint256)
times: public(int256)
asks_for_the_other: public(bool)
accomplice: public(address)


@deploy
def __init__(usdc: address, weth: address):
    self.token0 = usdc
    self.token1 = weth
    self.callbacks = 1
    self.times = 1


@external
def keep():
    """
    @notice From now on nothing of what was bought is paid out.
    """
    self.keeps = True


@external
def call_twice():
    """
    @notice From now on payment is asked for twice.
    """
    self.callbacks = 2


@external
def ask_more():
    """
    @notice From now on twice the price is asked for.
    """
    self.times = 2


@external
def ask_for_the_other():
    """
    @notice From now on payment is asked for in what was bought.
    """
    self.asks_for_the_other = True


@external
def have_asked_by(accomplice: address):
    """
    @notice From now on another contract asks for the payment.
    """
    self.accomplice = accomplice


@external
def call_back(swapper: address, amount0: int256, amount1: int256):
    extcall ISwapper(swapper).uniswapV3SwapCallback(amount0, amount1, b"")


@external
def swap(
    recipient: address, zero_for_one: bool, amount_specified: int256, sqrt_price_limit: uint160, data: Bytes[64]
) -> (int256, int256):
    amount1: int256 = amount_specified
    amount0: int256 = -amount_specified // _USDC_PER_WEI
    if not self.keeps:
        token: address = self.token1 if amount1 < 0 else self.token0
        extcall IERC20(token).transfer(recipient, convert(-min(amount0, amount1), uint256))
    asked0: int256 = amount0 * self.times
    asked1: int256 = amount1
    if self.asks_for_the_other:
        asked0 = -amount0
        asked1 = -amount1
    if self.accomplice != empty(address):
        extcall IAccomplice(self.accomplice).call_back(msg.sender, asked0, asked1)
        return amount0, amount1
    for _: uint256 in range(self.callbacks, bound=2):
        extcall ISwapper(msg.sender).uniswapV3SwapCallback(asked0, asked1, b"")
    return amount0, amount1
