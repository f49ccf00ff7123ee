# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title CircuitBreaker
@license AGPL-3.0
@notice Decides when the Vault's shares may be minted. It holds nothing, and reads nothing of the Vault while that is locked.

        Modes. NORMAL, or REDUCE_ONLY: no deposits, sales or listings, everything that reduces risk goes on. REDUCE_ONLY is
        latched by the guardian or by a drawdown of the share price, and in force while `nav_bid` is below initial margin or a
        venue does not answer. Only the governor unlatches.

        Deposits. Not while a share is worth less than a tenth of its first price, 1 USDC: those who come would own nearly all
        for little, and rounding would weigh.
@custom:kill guardian: `set_reduce_only(True)`. Exits, settlement and hedges have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from .interfaces import ICircuitBreaker
from .interfaces import IRiskEngine
from .modules import roles

implements: ICircuitBreaker
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @param kill_drawdown  Fall of the share price that latches REDUCE_ONLY, WAD.
# @param min_deposit    USDC, 6 decimals.
struct Thresholds:
    kill_drawdown: uint256
    min_deposit: uint256


event ThresholdsSet:
    thresholds: Thresholds


event ReduceOnlySet:
    latched: bool


_W: constant(uint256) = 10**18

VAULT: public(immutable(address))
ASSET: immutable(IERC20)
_UNIT: immutable(int256)  # WAD per smallest unit of USDC

thresholds: public(Thresholds)
high_water: public(uint256)  # highest `nav_bid` per share since it was last reset, WAD
latched: public(bool)


@deploy
def __init__(governor: address, vault: address, thresholds: Thresholds):
    roles.__init__(governor)
    VAULT = vault
    ASSET = IERC20(staticcall IERC4626(vault).asset())
    _UNIT = convert(10 ** (18 - convert(staticcall IERC20Detailed(ASSET.address).decimals(), uint256)), int256)
    self._set_thresholds(thresholds)


# ---------------------------------------------------------------- governance


@external
def set_thresholds(thresholds: Thresholds):
    """
    @notice Replace the thresholds. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self._set_thresholds(thresholds)


@external
def set_reduce_only(latched: bool):
    """
    @notice Latch REDUCE_ONLY: guardian or governor. Unlatch: governor; drawdown is then measured from the price at the next
            checkpoint, or it would latch again at once.
    """
    if latched:
        roles._check_guardian()
    else:
        roles._check(roles.Role.GOVERNOR)
    self.latched = latched
    if not latched:
        self.high_water = 0
    log ReduceOnlySet(latched=latched)


# ---------------------------------------------------------------- the Vault's questions


@external
@view
def mode_of(a: IRiskEngine.Assessment) -> ICircuitBreaker.Mode:
    """
    @notice The mode of a vault whose book is assessed like this.
    """
    return self._mode(a)


@external
@view
def accepts_new_risk() -> bool:
    """
    @notice Whether options may be sold and series listed, as far as that does not depend on the book's assessment.
    """
    return not self.latched


@external
@view
def deposit_limit(a: IRiskEngine.Assessment, shares: uint256) -> uint256:
    """
    @notice USDC that could be deposited now: everything or nothing.
    """
    is_open: bool = self._mode(a) == ICircuitBreaker.Mode.NORMAL and not a.unfixed and self._is_sound(a, shares)
    return max_value(uint256) if is_open else 0


@external
def on_deposit(a: IRiskEngine.Assessment, shares: uint256, assets: uint256, payer: address):
    """
    @notice Refuse a deposit that may not be. Vault only.
    """
    self._check_vault()
    assert self._mode(a) == ICircuitBreaker.Mode.NORMAL, "vault: reduce-only"
    assert not a.unfixed, "vault: settle the expired series first"
    assert self._is_sound(a, shares), "vault: share price too low"
    is_all: bool = assets == staticcall ASSET.balanceOf(payer)
    assert assets >= self.thresholds.min_deposit or is_all, "vault: below minimum deposit"
    if staticcall IERC20(VAULT).totalSupply() == 0:
        self.high_water = 0  # what was before is nobody's any more


@external
def observe(a: IRiskEngine.Assessment, shares: uint256):
    """
    @notice Move the high-water mark up, or latch REDUCE_ONLY when the share price is too far below it. Nothing is learned
            while an expired series that has its price is not settled: it is still marked at a spot that no longer matters;
            nor while a venue does not answer: what it holds may be there. Vault only.
    """
    self._check_vault()
    if a.unfixed or a.venue_failed:
        return
    price: uint256 = convert(max(a.nav_bid, 0) + _UNIT, uint256) * _W // shares
    if price > self.high_water:
        self.high_water = price
    elif price * _W < self.high_water * (_W - self.thresholds.kill_drawdown) and not self.latched:
        self.latched = True
        roles._note_tightening()
        log ReduceOnlySet(latched=True)


# ---------------------------------------------------------------- internals


@internal
@view
def _check_vault():
    assert msg.sender == VAULT, "breaker: not the vault"


@internal
def _set_thresholds(thresholds: Thresholds):
    assert thresholds.kill_drawdown <= _W, "breaker: thresholds"
    self.thresholds = thresholds
    log ThresholdsSet(thresholds=thresholds)


@internal
@view
def _mode(a: IRiskEngine.Assessment) -> ICircuitBreaker.Mode:
    if self.latched or a.venue_failed or a.nav_bid < a.initial:
        return ICircuitBreaker.Mode.REDUCE_ONLY
    return ICircuitBreaker.Mode.NORMAL


@internal
@view
def _is_sound(a: IRiskEngine.Assessment, shares: uint256) -> bool:
    """
    @return Whether a share is worth at least a tenth of its first price. `_UNIT` is as many virtual shares as one unit of USDC
            first buys, and what that unit is worth.
    """
    return a.nav_ask >= 0 and (a.nav_ask + _UNIT) * 10 >= convert(shares, int256)
