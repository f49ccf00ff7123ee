# pragma version 0.4.3
"""
@title timelocked
@notice Calls that wait. One exact call (a target and all its bytes) is announced, made once its delay has passed, and void two
        weeks later. Delays go by the selector: however the rest of a call is encoded, it cannot come sooner.

        Void. A call that has waited since before its target was last tightened (`tightened_at`, modules/roles.vy) must be
        announced anew: what was no loosening when people read it might have become one.

        Abdication. A function of a target that has been given up cannot be called any more, by nobody, for good; nor can its
        target be handed over to another governor who could.
"""

event Submitted:
    id: indexed(bytes32)
    target: indexed(address)
    data: Bytes[2048]
    ready_at: uint256


event Accepted:
    id: indexed(bytes32)


event Revoked:
    id: indexed(bytes32)


event Abdicated:
    target: indexed(address)
    selector: indexed(bytes4)


_WINDOW: constant(uint256) = 14 * 86400  # for which a call that has waited can be made
_HAND_OVER: constant(bytes4) = method_id("hand_over(address)", output_type=bytes4)

ready_at: public(HashMap[bytes32, uint256])  # by call, 0 = not pending
abdicated: public(HashMap[address, HashMap[bytes4, bool]])


@deploy
def __init__():
    pass


@external
@pure
def id_of(target: address, data: Bytes[2048]) -> bytes32:
    """
    @notice Identifier of a call.
    """
    return self._id(target, data)


@internal
@pure
def _id(target: address, data: Bytes[2048]) -> bytes32:
    return keccak256(abi_encode(target, data))


@internal
@pure
def _selector(data: Bytes[2048]) -> bytes4:
    assert len(data) >= 4, "timelock: no selector"
    return convert(slice(data, 0, 4), bytes4)


@internal
def _submit(target: address, data: Bytes[2048], delay: uint256) -> bytes32:
    """
    @notice Announce a call, which can be made after `delay` seconds.
    """
    assert not self.abdicated[target][self._selector(data)], "timelock: abdicated"
    id: bytes32 = self._id(target, data)
    ready_at: uint256 = self.ready_at[id]
    assert ready_at == 0 or block.timestamp > ready_at + _WINDOW, "timelock: already pending"
    self.ready_at[id] = block.timestamp + delay
    log Submitted(id=id, target=target, data=data, ready_at=block.timestamp + delay)
    return id


@internal
def _accept(target: address, data: Bytes[2048], delay: uint256):
    """
    @notice Make a call that has waited for its `delay`. It stays pending when it reverts, and its reason is passed on.
    """
    id: bytes32 = self._id(target, data)
    ready_at: uint256 = self.ready_at[id]
    assert ready_at != 0, "timelock: not pending"
    assert block.timestamp >= ready_at, "timelock: too early"
    assert block.timestamp <= ready_at + _WINDOW, "timelock: expired"
    assert not self.abdicated[target][self._selector(data)], "timelock: abdicated"
    assert self._tightened_at(target) <= ready_at - delay, "timelock: tightened since"
    assert target.is_contract, "timelock: target has no code"
    self.ready_at[id] = 0  # before the call, so that nothing in it can make it again
    log Accepted(id=id)
    raw_call(target, data)


@internal
def _revoke(id: bytes32):
    assert self.ready_at[id] != 0, "timelock: not pending"
    self.ready_at[id] = 0
    log Revoked(id=id)


@internal
def _abdicate(target: address, selector: bytes4):
    self.abdicated[target][selector] = True
    self.abdicated[target][_HAND_OVER] = True
    log Abdicated(target=target, selector=selector)


@internal
@view
def _tightened_at(target: address) -> uint256:
    """
    @notice When something of `target` was last tightened at once; 0 for contracts that know no such thing.
    """
    ok: bool = False
    answer: Bytes[32] = b""
    ok, answer = raw_call(
        target, method_id("tightened_at()"), max_outsize=32, is_static_call=True, revert_on_failure=False
    )
    if not ok or len(answer) < 32:
        return 0
    return convert(answer, uint256)
