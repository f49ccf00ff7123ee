# pragma version 0.4.3
"""
@title HostileAsset
@notice An ERC-20 that can be told to misbehave: keep a fee of what it moves, answer nothing, or call back in mid-transfer.
        Anyone mints.
"""

decimals: public(uint8)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])

fee_bp: public(uint256)
silent: public(bool)
target: public(address)
data: public(Bytes[2048])
calls: public(uint256)
succeeded: public(bool)
response: public(Bytes[1024])


@deploy
def __init__(decimals: uint8):
    self.decimals = decimals


@external
def mint(to: address, amount: uint256):
    self.balanceOf[to] += amount


@external
def charge(fee_bp: uint256):
    """
    @notice From now on the receiver gets less by so many basis points.
    """
    self.fee_bp = fee_bp


@external
def fall_silent():
    """
    @notice From now on transfers return nothing, as some old tokens do.
    """
    self.silent = True


@external
def plan(target: address, data: Bytes[2048]):
    """
    @notice What to call during the next transfers; nothing when `target` is empty.
    """
    self.target = target
    self.data = data


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@raw_return
def transfer(to: address, amount: uint256) -> Bytes[32]:
    return self._answer(msg.sender, to, amount)


@external
@raw_return
def transferFrom(owner: address, to: address, amount: uint256) -> Bytes[32]:
    self.allowance[owner][msg.sender] -= amount
    return self._answer(owner, to, amount)


@internal
def _answer(owner: address, to: address, amount: uint256) -> Bytes[32]:
    self._move(owner, to, amount)
    if self.silent:
        return b""
    return abi_encode(True)


@internal
def _move(owner: address, to: address, amount: uint256):
    self.balanceOf[owner] -= amount
    self.balanceOf[to] += amount - amount * self.fee_bp // 10_000
    if self.target != empty(address):
        self.calls += 1
        self.succeeded, self.response = raw_call(self.target, self.data, max_outsize=1024, revert_on_failure=False)
