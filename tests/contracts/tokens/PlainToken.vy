# pragma version 0.4.3
"""
@title PlainToken
@notice An ERC-20 without peculiarities and with any number of decimals, to be a vault's asset. Its deployer mints.
"""

from snekmate.auth import ownable
from snekmate.tokens import erc20

initializes: ownable
initializes: erc20[ownable := ownable]

exports: (
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.approve,
    erc20.transferFrom,
    erc20.mint,
)


@deploy
def __init__(decimals: uint8):
    ownable.__init__()
    erc20.__init__("Plain token", "PLAIN", decimals, "Plain token", "1")
