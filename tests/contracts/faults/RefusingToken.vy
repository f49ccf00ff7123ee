# pragma version 0.4.3
"""
@title RefusingToken
@notice Stands in for a token's code: transfers by one caller, or from one owner, return False instead of reverting.
"""

REFUSED: immutable(address)


@deploy
def __init__(refused: address):
    REFUSED = refused


@external
@view
def balanceOf(owner: address) -> uint256:
    return 10**30


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


@external
def transfer(to: address, amount: uint256) -> bool:
    return msg.sender != REFUSED


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return owner != REFUSED
