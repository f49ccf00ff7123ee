# pragma version 0.4.3
"""
@title HostileReceiver
@notice A taker whose ERC-1155 hook makes one call back into the protocol and records how it went.
"""

target: public(address)
data: public(Bytes[2048])
calls: public(uint256)
succeeded: public(bool)
response: public(Bytes[1024])
refuses: public(bool)


@external
def plan(target: address, data: Bytes[2048]):
    """
    @notice What to call from the hook; nothing when `target` is empty.
    """
    self.target = target
    self.data = data


@external
def refuse():
    """
    @notice From now on the hook refuses tokens.
    """
    self.refuses = True


@external
def perform(target: address, data: Bytes[2048]):
    """
    @notice Make a call as this contract, and revert as it does.
    """
    raw_call(target, data)


@external
def onERC1155Received(operator: address, owner: address, id: uint256, amount: uint256, data: Bytes[1024]) -> bytes4:
    self.calls += 1
    if self.target != empty(address):
        self.succeeded, self.response = raw_call(
            self.target, self.data, max_outsize=1024, revert_on_failure=False
        )
    if self.refuses:
        return 0xdeadbeef
    return 0xf23a6e61


@external
@view
def supportsInterface(interface_id: bytes4) -> bool:
    return True
