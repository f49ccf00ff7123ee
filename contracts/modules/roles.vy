# pragma version 0.4.3
"""
@title roles
@notice Who may do what. There is one governor, who grants and can hand over; governor and guardians revoke, at once.
"""

# GOVERNOR    sets limits and lists venues, feeds and keys: the Governance, whose calls wait
# GUARDIAN    can only reduce risk: stop new business, tighten limits, revoke keys
# KEEPER      rebalances and lists series inside every limit
# QUOTER      signs option quotes
# VOL_POSTER  posts the volatility surface inside its speed limit
flag Role:
    GOVERNOR
    GUARDIAN
    KEEPER
    QUOTER
    VOL_POSTER


event RoleGranted:
    account: indexed(address)
    role: Role


event RoleRevoked:
    account: indexed(address)
    role: Role


roles_of: public(HashMap[address, Role])
tightened_at: public(uint256)  # when something was last tightened at once: what the Governance has waiting since before is void


@deploy
def __init__(governor: address):
    assert governor != empty(address), "roles: zero governor"
    self.roles_of[governor] = Role.GOVERNOR
    log RoleGranted(account=governor, role=Role.GOVERNOR)


@internal
@view
def _check(role: Role):
    assert role in self.roles_of[msg.sender], "roles: not allowed"


@internal
def _check_guardian():
    """
    @notice The caller may tighten at once: guardian or governor. Whoever calls this tightens.
    """
    self._check(Role.GUARDIAN | Role.GOVERNOR)
    self._note_tightening()


@internal
def _note_tightening():
    """
    @notice Something becomes tighter now. A call that would loosen it and waits already must wait anew.
    """
    self.tightened_at = block.timestamp


@internal
@view
def _has(account: address, role: Role) -> bool:
    return role in self.roles_of[account]


@external
def grant_role(account: address, role: Role):
    """
    @notice Give `account` a role. Governor only.
    """
    self._check(Role.GOVERNOR)
    assert role not in Role.GOVERNOR, "roles: governor is handed over"
    self.roles_of[account] |= role
    log RoleGranted(account=account, role=role)


@external
def revoke_role(account: address, role: Role):
    """
    @notice Take a role from `account`, any but the governor's. Guardian or governor.
    """
    self._check_guardian()
    assert role not in Role.GOVERNOR, "roles: governor is handed over"
    self.roles_of[account] &= ~role
    log RoleRevoked(account=account, role=role)


@external
def hand_over(governor: address):
    """
    @notice Make `governor` the governor, and stop being it. Governor only.
    """
    self._check(Role.GOVERNOR)
    assert governor != empty(address), "roles: zero governor"
    self.roles_of[msg.sender] &= ~Role.GOVERNOR
    self.roles_of[governor] |= Role.GOVERNOR
    log RoleRevoked(account=msg.sender, role=Role.GOVERNOR)
    log RoleGranted(account=governor, role=Role.GOVERNOR)
