# pragma version 0.4.3
"""
@title LyingAave
@notice Stands in for the Aave pool's code: it takes what it is given and says that it did nothing.
"""


@external
@view
def getConfiguration(asset: address) -> uint256:
    return (7800 << 16) | (10450 << 32) | (1 << 56)


@external
@view
def getVirtualUnderlyingBalance(asset: address) -> uint256:
    return 10**18


@external
@view
def getReserveNormalizedIncome(asset: address) -> uint256:
    return 10**27


@external
@view
def getReserveNormalizedVariableDebt(asset: address) -> uint256:
    return 10**27


@external
def repay(asset: address, amount: uint256, interest_rate_mode: uint256, on_behalf_of: address) -> uint256:
    return 0


@external
def withdraw(asset: address, amount: uint256, to: address) -> uint256:
    return 0
