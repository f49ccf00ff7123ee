# pragma version 0.4.3
"""
@title FlashBorrower
@notice Borrows USDC of Aave for the time of one transaction, makes the calls that it was given, and pays the loan back.
"""

from ethereum.ercs import IERC20


interface IPool:
    def flashLoanSimple(receiver: address, asset: address, amount: uint256, params: Bytes[32], referral: uint16): nonpayable


struct Step:
    target: address
    data: Bytes[1024]


AAVE: immutable(IPool)
USDC: immutable(IERC20)
steps: DynArray[Step, 8]


@deploy
def __init__(aave: IPool, usdc: IERC20):
    AAVE = aave
    USDC = usdc


@external
def borrow(amount: uint256, steps: DynArray[Step, 8]):
    """
    @notice All of it, or a revert with the reason of the step that failed.
    """
    self.steps = steps
    extcall AAVE.flashLoanSimple(self, USDC.address, amount, b"", 0)


@external
def executeOperation(asset: address, amount: uint256, premium: uint256, initiator: address, params: Bytes[32]) -> bool:
    """
    @notice Called by Aave with the loan.
    """
    for step: Step in self.steps:
        raw_call(step.target, step.data)
    assert extcall USDC.approve(AAVE.address, amount + premium)
    return True


@external
def onERC1155Received(operator: address, owner: address, id: uint256, amount: uint256, data: Bytes[32]) -> bytes4:
    return method_id("onERC1155Received(address,address,uint256,uint256,bytes)", output_type=bytes4)
