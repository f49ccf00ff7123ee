"""What governs Aave and what others do there: pausing, freezing, caps, lending all USDC out, liquidating, gifts."""

from typing import Any, Final

import boa
from eth_utils import to_checksum_address

from keeper.simulation.chain import addresses
from tests.contracts.chain import USDC, WAD, Market

FROZEN, PAUSED = 57, 60
BORROW_CAP, SUPPLY_CAP = 80, 116
_CAP_BITS: Final = 36
_VARIABLE: Final = 2


def configure(market: Market, asset: Any, start: int, value: int, bits: int = 1) -> None:
    """Write a field of a reserve's configuration, as Aave's configurator does."""
    (word,) = market.aave.getConfiguration(asset)
    provider = boa.env.raw_call(market.aave.ADDRESSES_PROVIDER(), data=boa.eval('method_id("getPoolConfigurator()")'))
    mask = (1 << bits) - 1
    market.aave.setConfiguration(
        asset, (word & ~(mask << start) | value << start,), sender=to_checksum_address(provider.output[-20:])
    )


def cap(market: Market, asset: Any, start: int, whole_tokens: int = 1) -> None:
    """A cap that is reached already."""
    configure(market, asset, start, whole_tokens, _CAP_BITS)


def approve_weth(market: Market, who: str, amount: int) -> None:
    """New WETH for `who`, approved to Aave."""
    market.wrap(who, amount)
    approve = boa.eval('method_id("approve(address,uint256)")') + bytes(12) + bytes.fromhex(market.aave.address[2:])
    boa.env.raw_call(market.weth.address, sender=who, data=approve + amount.to_bytes(32))


def give_atokens(market: Market, venue: Any, amount: int, giver: str) -> None:
    """USDC supplied for a venue by somebody else."""
    market.mint(giver, amount)
    market.usdc.approve(market.aave, amount, sender=giver)
    market.aave.supply(market.usdc, amount, venue, 0, sender=giver)


def lend_out(market: Market, who: str, left: int = 0) -> None:
    """Somebody borrows Aave's USDC but for `left`, against as much WETH as it takes."""
    for start in (BORROW_CAP, SUPPLY_CAP):
        cap(market, market.usdc if start == BORROW_CAP else market.weth, start, 0)
    amount = market.usdc.balanceOf(addresses.AAVE_USDC) - left
    weth = amount * WAD // (1_000 * USDC)
    approve_weth(market, who, weth)
    market.aave.supply(market.weth, weth, who, 0, sender=who)
    market.aave.borrow(market.usdc, amount, _VARIABLE, 0, who, sender=who)


def liquidate(market: Market, venue: Any, amount: int, liquidator: str) -> None:
    """Aave's liquidation of a short of WETH: `amount` WETH repaid, its worth in USDC and the bonus taken."""
    approve_weth(market, liquidator, amount)
    market.aave.liquidationCall(market.usdc, market.weth, venue, amount, False, sender=liquidator)
