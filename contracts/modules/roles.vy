# pragma version 0.4.3
"""
@title roles
@notice Who may do what. The governor grants; the governor and the guardian revoke, at once.
"""

# GOVERNOR    sets limits and lists venues, feeds and keys
# GUARDIAN    can only reduce risk: stop new business, revoke keys
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
@view
def _has(account: address, role: Role) -> bool:
    return role in self.roles_of[account]


@external
def grant_role(account: address, role: Role):
    """
    @notice Give `account` a role. Governor only.
    """
    self._check(Role.GOVERNOR)
    self.roles_of[account] |= role
    log RoleGranted(account=account, role=role)


@external
def revoke_role(account: address, role: Role):
    """
    @notice Take a role from `account`. Governor, or guardian for every role but the governor's.
    """
    if Role.GOVERNOR not in self.roles_of[msg.sender]:
        self._check(Role.GUARDIAN)
        assert role not in Role.GOVERNOR, "roles: guardian cannot revoke governor"
    self.roles_of[account] &= ~role
    log RoleRevoked(account=account, role=role)
