# pragma version 0.4.3
# pragma optimize gas
"""
@title Governance
@license AGPL-3.0
@notice The governor of every contract of a vault. Its owner, a Safe, decides; everybody can read what was decided before it
        happens, and leave.

        Calls. The owner submits one exact call and accepts it once its delay has passed: 48 hours; 7 days for what adds or
        removes venues, hands a contract over to another governor or gives a function up; none for revoking a key. Delays are
        constants. Two weeks after it was ready a call is void, and a tightening of its target voids what waits already.

        Guardians. Each can revoke a pending call at once. The owner drops one at once; adding one waits. That they can stop
        the vault and tighten its limits is a role of their own in each contract, and the owner holds it too.

        Owner. Changed by a call of the Governance to itself, as is everything else about it that loosens.

        Limits. It holds nothing and takes no ether. Whoever owns it can do nothing within 48 hours but stop, tighten and
        revoke. A Governance without owner leaves the vault as it is: exits, settlement and liquidation need no governor.
@custom:kill Nothing to stop. Abdicating a function of a contract ends what the Governance can do with it.
"""

from .modules import timelocked

initializes: timelocked

exports: (timelocked.ready_at, timelocked.abdicated, timelocked.id_of)


event OwnerSet:
    owner: indexed(address)


event GuardianSet:
    guardian: indexed(address)
    is_guardian: bool


_DELAY: constant(uint256) = 2 * 86400
_LONG_DELAY: constant(uint256) = 7 * 86400
_AT_ONCE: constant(bytes4[1]) = [method_id("revoke_role(address,uint256)", output_type=bytes4)]
_LONG: constant(bytes4[4]) = [
    method_id("list_venue(address,uint256)", output_type=bytes4),
    method_id("retire_venue(uint256,bool)", output_type=bytes4),
    method_id("hand_over(address)", output_type=bytes4),  # to one without delays
    method_id("abdicate(address,bytes4)", output_type=bytes4),
]

owner: public(address)
is_guardian: public(HashMap[address, bool])


@deploy
def __init__(owner: address, guardians: DynArray[address, 8]):
    timelocked.__init__()
    self._set_owner(owner)
    for guardian: address in guardians:
        self._set_guardian(guardian, True)


@external
def submit(target: address, data: Bytes[2048]) -> bytes32:
    """
    @notice Announce a call. Owner only.
    @return Its identifier.
    """
    self._check_owner()
    return timelocked._submit(target, data, self._delay(timelocked._selector(data)))


@external
def accept(target: address, data: Bytes[2048]):
    """
    @notice Make a call that has waited. Owner only.
    """
    self._check_owner()
    timelocked._accept(target, data, self._delay(timelocked._selector(data)))


@external
def revoke(id: bytes32):
    """
    @notice Drop a pending call. Owner or guardian.
    """
    if not self.is_guardian[msg.sender]:
        self._check_owner()
    timelocked._revoke(id)


@external
def drop_guardian(guardian: address):
    """
    @notice Take a guardian's right to revoke calls. Owner only, at once.
    """
    self._check_owner()
    self._set_guardian(guardian, False)


@external
@pure
def delay_of(selector: bytes4) -> uint256:
    """
    @notice How long a call of this function waits, seconds.
    """
    return self._delay(selector)


# ---------------------------------------------------------------- by calls that have waited


@external
def add_guardian(guardian: address):
    """
    @notice Let `guardian` revoke pending calls. By the Governance itself.
    """
    assert msg.sender == self, "governance: not by itself"
    self._set_guardian(guardian, True)


@external
def set_owner(owner: address):
    """
    @notice Put another owner in place of this one. By the Governance itself.
    """
    assert msg.sender == self, "governance: not by itself"
    self._set_owner(owner)


@external
def abdicate(target: address, selector: bytes4):
    """
    @notice Give up a function of `target` for good, and with it handing `target` over. By the Governance itself.
    """
    assert msg.sender == self, "governance: not by itself"
    timelocked._abdicate(target, selector)


@internal
@view
def _check_owner():
    assert msg.sender == self.owner, "governance: not the owner"


@internal
@pure
def _delay(selector: bytes4) -> uint256:
    if selector in _AT_ONCE:
        return 0
    return _LONG_DELAY if selector in _LONG else _DELAY


@internal
def _set_owner(owner: address):
    assert owner != empty(address), "governance: zero owner"
    self.owner = owner
    log OwnerSet(owner=owner)


@internal
def _set_guardian(guardian: address, is_guardian: bool):
    assert guardian != empty(address), "governance: zero guardian"
    self.is_guardian[guardian] = is_guardian
    log GuardianSet(guardian=guardian, is_guardian=is_guardian)
