# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title CircuitBreaker
@license AGPL-3.0
@notice Decides when the Vault's shares may be minted and burned. It holds nothing.

        Modes. NORMAL. REDUCE_ONLY: no deposits, sales or listings, everything that reduces risk goes on, and so do exits. It is
        latched by the guardian or by a drawdown of the share price, and in force while `nav_bid` is below initial margin, a
        venue does not answer, units of makers have no venue to be in, or shares of an epoch of the RedemptionQueue that closed
        48 hours ago are not paid. Only the governor unlatches. Series may be listed while it is neither latched nor due to the
        queue: a series that nobody may buy is worth nothing. FROZEN: NAV cannot be computed. Nothing is minted, sold or
        hedged; claims and payouts go on.

        Deposits. Not while a share is worth less than a tenth of its first price, 1 USDC: those who come would own nearly all
        for little, and rounding would weigh. Not while the surface of an option in the book is older than two hours: nobody knows
        what shares are worth, and exits are paid at the worst that it may be. While an option or venue position is open, deposits of a day are limited to a
        share of NAV, and so are instant exits: who comes before a gain or goes before a loss that the marks do not know
        yet takes it from few. Both refill with time.

        Instant exits. From free cash less what the queue's shares of closed epochs are worth: nobody overtakes them. What is
        paid must leave initial margin for them, too, and a distance from it. What cannot be paid at once goes through
        the queue, which has none of these limits. No role can close exits: what slows them down has floors.

        Frozen exits. A holder may burn shares for the lesser of 90 % of the last known `nav_bid` per share, and his part of free
        cash, what the lending venue can give back included, less the last known initial margin and what the queue's closed
        epochs were worth. Enough gas for the whole assessment is asked for first: nobody feigns a failure by starving it.
        The same goes on two hours after an expiry that is not settled: a round in time would be there, anyone could have
        proved it, and every other exit is closed, for three days at worst. Then NAV is known but for the fixing, and no
        more is paid than 90 % of it, either: who leaves first takes nothing from who stays.
@custom:kill guardian: `set_reduce_only(True)`. Exits, settlement and hedges have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from .interfaces import ICircuitBreaker
from .interfaces import IOptionBook
from .interfaces import IRedemptionQueue
from .interfaces import IRiskEngine
from .interfaces import IVault
from .modules import leaky_bucket
from .modules import roles
from .modules import series

implements: ICircuitBreaker
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @param kill_drawdown                      Fall of the share price that latches REDUCE_ONLY, WAD.
# @param min_deposit                        USDC, 6 decimals.
# @param max_utilisation                    Largest initial margin that an instant exit may leave, WAD share of `nav_bid`.
# @param deposit_capacity, deposit_per_day  Deposits while an option or venue position is open, WAD shares of NAV.
# @param exit_capacity, exit_per_day        Instant exits, the same.
struct Thresholds:
    kill_drawdown: uint256
    min_deposit: uint256
    max_utilisation: uint256
    deposit_capacity: uint256
    deposit_per_day: uint256
    exit_capacity: uint256
    exit_per_day: uint256


# @notice What was known when NAV could last be computed.
# @param price    `nav_bid` per share, WAD.
# @param initial  Initial margin, USDC in WAD.
# @param time     When.
struct LastGood:
    price: uint256
    initial: uint256
    time: uint256


event ThresholdsSet:
    thresholds: Thresholds


event ReduceOnlySet:
    latched: bool


event FrozenExit:
    owner: indexed(address)
    receiver: indexed(address)
    shares: uint256
    assets: uint256


_W: constant(uint256) = 10**18
_OVERDUE: constant(uint256) = 48 * 3600
_LATE: constant(uint256) = 2 * 3600  # after an expiry; a round that fixes it in time is there by then (PriceOracle)
_FROZEN_PRICE: constant(uint256) = 90 * 10**16
_FROZEN_GAS: constant(uint256) = 8_000_000  # the largest book, all venues burning what they get, needs less
_LENDING_GAS: constant(uint256) = 500_000  # a lending venue that needs more does not answer
_MIN_EXIT_FLOW: constant(uint256) = 10**16
_MAX_FLOW: constant(uint256) = 1000 * 10**18  # products with NAV stay far below an overflow, which would close exits
_MIN_UTILISATION: constant(uint256) = 50 * 10**16
_MAX_112: constant(uint256) = 2**112 - 1

VAULT: public(immutable(IVault))
OPTION_BOOK: public(immutable(IOptionBook))
QUEUE: public(immutable(IRedemptionQueue))
ASSET: immutable(IERC20)
_UNIT: immutable(uint256)  # WAD per smallest unit of USDC, and as many virtual shares as that unit first buys

thresholds: public(Thresholds)
high_water: public(uint256)  # highest `nav_bid` per share since it was last reset, WAD
latched: public(bool)
_deposits: leaky_bucket.Bucket
_exits: leaky_bucket.Bucket
_last_good: uint256  # price 112 | initial 112 | time 32


@deploy
def __init__(
    governor: address, vault: IVault, option_book: IOptionBook, queue: IRedemptionQueue, thresholds: Thresholds
):
    roles.__init__(governor)
    VAULT = vault
    OPTION_BOOK = option_book
    QUEUE = queue
    ASSET = IERC20(staticcall IERC4626(vault.address).asset())
    _UNIT = 10 ** (18 - convert(staticcall IERC20Detailed(ASSET.address).decimals(), uint256))
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
def tighten_thresholds(thresholds: Thresholds):
    """
    @notice Replace the thresholds by none that is looser. Guardian or governor. What slows exits down must stay as it is.
    """
    roles._check_guardian()
    now: Thresholds = self.thresholds
    assert thresholds.kill_drawdown <= now.kill_drawdown, "breaker: looser"
    assert thresholds.min_deposit >= now.min_deposit, "breaker: looser"
    assert thresholds.deposit_capacity <= now.deposit_capacity, "breaker: looser"
    assert thresholds.deposit_per_day <= now.deposit_per_day, "breaker: looser"
    assert thresholds.max_utilisation == now.max_utilisation, "breaker: exits"
    assert thresholds.exit_capacity == now.exit_capacity, "breaker: exits"
    assert thresholds.exit_per_day == now.exit_per_day, "breaker: exits"
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
@reentrant
def mode_of(a: IRiskEngine.Assessment, shares: uint256) -> ICircuitBreaker.Mode:
    """
    @notice The mode of a vault whose book is assessed like this.
    """
    return self._mode(a, shares)


@external
@view
def accepts_new_risk() -> bool:
    """
    @notice Whether series may be listed, and options bought that reduce no risk.
    """
    return not (self.latched or self._is_overdue())


@external
@view
def deposit_limit(a: IRiskEngine.Assessment, shares: uint256) -> uint256:
    """
    @notice USDC that can be deposited now; zero where that would be below the minimum.
    """
    if self._mode(a, shares) != ICircuitBreaker.Mode.NORMAL or a.unfixed or a.stale or not self._is_sound(a, shares):
        return 0
    if not self._is_exposed(a):
        return max_value(uint256)
    limit: uint256 = self._flow_limit(self._deposits_left(), a)
    return limit if limit >= self.thresholds.min_deposit else 0


@external
@view
def exit_limit(a: IRiskEngine.Assessment, shares: uint256, free: uint256) -> uint256:
    """
    @notice USDC that can be paid at once for shares now.
    @param free USDC, idle or to be had from the lending venue at once, that is not owed.
    """
    limit: uint256 = min(self._before_queue(a, shares, free), self._to_usdc(self._utilisation_room(a)))
    if self._is_exposed(a):
        limit = min(limit, self._flow_limit(self._exits_left(), a))
    return limit


@external
def on_deposit(a: IRiskEngine.Assessment, shares: uint256, assets: uint256, payer: address):
    """
    @notice Refuse a deposit that may not be, or count it. Vault only.
    """
    self._check_vault()
    if staticcall IERC20(VAULT.address).totalSupply() == 0:
        self.high_water = 0  # what was before is nobody's any more
    self._require_normal(a, shares)
    assert not a.unfixed, "vault: settle the expired series first"
    assert not a.stale, "vault: surface too old"
    assert self._is_sound(a, shares), "vault: share price too low"
    is_all: bool = assets == staticcall ASSET.balanceOf(payer)
    assert assets >= self.thresholds.min_deposit or is_all, "vault: below minimum deposit"
    if self._is_exposed(a):
        assert assets <= self._flow_limit(self._deposits_left(), a), "breaker: deposits of a day"
        t: Thresholds = self.thresholds
        self._deposits = leaky_bucket._spend(
            self._deposits, self._share(assets, a), t.deposit_capacity, t.deposit_per_day
        )


@external
def on_sale(a: IRiskEngine.Assessment, shares: uint256):
    """
    @notice Refuse a sale of options in another mode than NORMAL. Vault only.
    """
    self._check_vault()
    self._require_normal(a, shares)


@external
def on_exit(a: IRiskEngine.Assessment, shares: uint256, free: uint256, assets: uint256):
    """
    @notice Refuse to pay `assets` at once, or count it. Vault only.
    """
    self._check_vault()
    self._observe(a, shares)
    assert assets > 0, "vault: zero assets"
    assert assets <= free, "vault: not enough idle cash"
    assert assets <= self._to_usdc(a.nav_bid - a.initial), "margin: below initial"
    assert assets <= self._before_queue(a, shares, free), "breaker: the queue comes first"
    assert assets <= self._to_usdc(self._utilisation_room(a)), "breaker: utilisation"
    if self._is_exposed(a):
        assert assets <= self._flow_limit(self._exits_left(), a), "breaker: exits of a day"
        t: Thresholds = self.thresholds
        self._exits = leaky_bucket._spend(self._exits, self._share(assets, a), t.exit_capacity, t.exit_per_day)


@external
def observe(a: IRiskEngine.Assessment, shares: uint256):
    """
    @notice Move the high-water mark up, or latch REDUCE_ONLY when the share price is too far below it, and remember it for
            frozen exits. Vault only.
    """
    self._check_vault()
    self._observe(a, shares)


# ---------------------------------------------------------------- exits while NAV cannot be computed


@external
def exit_frozen(shares: uint256, receiver: address) -> uint256:
    """
    @notice Burn the caller's shares at a discount from the last known price; only while NAV cannot be computed, or from two hours
            after an expiry that is not settled.
    @return USDC paid.
    """
    assert self._is_frozen(), "breaker: not frozen"
    assets: uint256 = self._frozen_worth(shares)
    assert assets > 0, "vault: zero assets"
    extcall VAULT.pay_frozen(shares, assets, receiver, msg.sender)
    log FrozenExit(owner=msg.sender, receiver=receiver, shares=shares, assets=assets)
    return assets


@external
@view
def preview_exit_frozen(shares: uint256) -> uint256:
    """
    @notice USDC that `exit_frozen` would pay if it were open now.
    """
    return self._frozen_worth(shares)


@external
@view
def is_frozen() -> bool:
    """
    @notice Whether frozen exits are open.
    """
    return self._is_frozen()


# ---------------------------------------------------------------- views


@external
@view
def last_good() -> LastGood:
    """
    @notice What was known when NAV was last computed in a transaction.
    """
    return self._last()


@external
@view
def deposit_budget() -> uint256:
    """
    @notice What may still be deposited while an option or venue position is open, WAD share of NAV.
    """
    return self._deposits_left()


@external
@view
def exit_budget() -> uint256:
    """
    @notice What may still be paid at once while an option or venue position is open, WAD share of NAV.
    """
    return self._exits_left()


# ---------------------------------------------------------------- internals


@internal
@view
def _check_vault():
    assert msg.sender == VAULT.address, "breaker: not the vault"


@internal
def _set_thresholds(thresholds: Thresholds):
    assert thresholds.kill_drawdown <= _W, "breaker: thresholds"
    assert thresholds.max_utilisation >= _MIN_UTILISATION, "breaker: thresholds"
    assert thresholds.max_utilisation <= _W, "breaker: thresholds"
    assert min(thresholds.exit_capacity, thresholds.exit_per_day) >= _MIN_EXIT_FLOW, "breaker: thresholds"
    assert max(thresholds.exit_capacity, thresholds.exit_per_day) <= _MAX_FLOW, "breaker: thresholds"
    assert max(thresholds.deposit_capacity, thresholds.deposit_per_day) <= _MAX_FLOW, "breaker: thresholds"
    self.thresholds = thresholds
    log ThresholdsSet(thresholds=thresholds)


@internal
@view
def _mode(a: IRiskEngine.Assessment, shares: uint256) -> ICircuitBreaker.Mode:
    if self.latched or a.venue_failed or a.nav_bid < a.initial or self._is_overdue() or self._is_unplaced():
        return ICircuitBreaker.Mode.REDUCE_ONLY
    if not a.unfixed and self._has_fallen(self._price(a, shares)):
        return ICircuitBreaker.Mode.REDUCE_ONLY
    return ICircuitBreaker.Mode.NORMAL


@internal
@view
def _is_overdue() -> bool:
    """
    @return Whether shares wait in the queue that should long have been paid.
    """
    since: uint256 = staticcall QUEUE.due_since()
    return since > 0 and block.timestamp > since + _OVERDUE


@internal
@view
def _is_unplaced() -> bool:
    """
    @return Whether makers have lost units that no venue holds: NAV does not count them, and rises once one does.
    """
    return staticcall OPTION_BOOK.unplaced(0) > 0 or staticcall OPTION_BOOK.unplaced(1) > 0


@internal
@view
def _is_late() -> bool:
    """
    @return Whether an expiry has long been without its fixing.
    """
    for slot: uint256 in staticcall OPTION_BOOK.live_book():
        if series._position(slot) != 0 and block.timestamp > series._expiry(slot) + _LATE:
            return True
    return False


@internal
@view
def _is_frozen() -> bool:
    assert msg.gas >= _FROZEN_GAS, "breaker: too little gas"
    return self._is_late() or staticcall VAULT.mode() == ICircuitBreaker.Mode.FROZEN


@internal
def _require_normal(a: IRiskEngine.Assessment, shares: uint256):
    self._observe(a, shares)
    assert self._mode(a, shares) == ICircuitBreaker.Mode.NORMAL, "vault: reduce-only"


@internal
@view
def _is_sound(a: IRiskEngine.Assessment, shares: uint256) -> bool:
    """
    @return Whether a share is worth at least a tenth of its first price.
    """
    return a.nav_ask >= 0 and (convert(a.nav_ask, uint256) + _UNIT) * 10 >= shares


@internal
@view
def _price(a: IRiskEngine.Assessment, shares: uint256) -> uint256:
    """
    @return `nav_bid` per share, WAD.
    """
    return (convert(max(a.nav_bid, 0), uint256) + _UNIT) * _W // shares


@internal
@view
def _has_fallen(price: uint256) -> bool:
    """
    @return Whether a share price lies beyond the kill level.
    """
    return price * _W < self.high_water * (_W - self.thresholds.kill_drawdown)


@internal
def _observe(a: IRiskEngine.Assessment, shares: uint256):
    """
    @dev Nothing is learned while an expired series that has its price is not settled: it is still marked at a spot that no
         longer matters; nor while a venue does not answer: what it holds may be there.
    """
    if a.unfixed or a.venue_failed:
        return
    price: uint256 = self._price(a, shares)
    if price > self.high_water:
        self.high_water = price
    elif self._has_fallen(price) and not self.latched:
        self.latched = True
        roles._note_tightening()
        log ReduceOnlySet(latched=True)
    initial: uint256 = convert(max(a.initial, 0), uint256)
    self._last_good = min(price, _MAX_112) << 144 | min(initial, _MAX_112) << 32 | block.timestamp


@internal
@view
def _last() -> LastGood:
    packed: uint256 = self._last_good
    return LastGood(price=packed >> 144, initial=packed >> 32 & _MAX_112, time=packed & (2**32 - 1))


@internal
@view
def _is_exposed(a: IRiskEngine.Assessment) -> bool:
    """
    @return Whether NAV depends on marks that can be wrong: of an option, or of what a venue holds or owes.
    """
    if a.gross > 0:
        return True
    for slot: uint256 in staticcall OPTION_BOOK.live_book():
        if series._position(slot) != 0:
            return True
    return False


@internal
@view
def _before_queue(a: IRiskEngine.Assessment, shares: uint256, free: uint256) -> uint256:
    """
    @return USDC that free cash and initial margin allow, less the worth of the queue's closed epochs.
    """
    limit: uint256 = min(free, self._to_usdc(a.nav_bid - a.initial))
    due: uint256 = staticcall QUEUE.shares_due()
    worth: uint256 = (due * (self._to_usdc(a.nav_bid) + 1) + shares - 1) // shares
    return limit - min(limit, worth)


@internal
@view
def _utilisation_room(a: IRiskEngine.Assessment) -> int256:
    """
    @return What `nav_bid` has above the least that initial margin needs, WAD.
    """
    return a.nav_bid - a.initial * convert(_W, int256) // convert(self.thresholds.max_utilisation, int256)


@internal
@view
def _deposits_left() -> uint256:
    return leaky_bucket._available(self._deposits, self.thresholds.deposit_capacity, self.thresholds.deposit_per_day)


@internal
@view
def _exits_left() -> uint256:
    return leaky_bucket._available(self._exits, self.thresholds.exit_capacity, self.thresholds.exit_per_day)


@internal
@view
def _flow_limit(left: uint256, a: IRiskEngine.Assessment) -> uint256:
    """
    @return USDC of a share of NAV.
    """
    return convert(max(a.nav_bid, 0), uint256) * left // _W // _UNIT


@internal
@view
def _share(assets: uint256, a: IRiskEngine.Assessment) -> uint256:
    """
    @return `assets` as a share of NAV, rounded up: at most what `_flow_limit` was made of.
    """
    nav: uint256 = convert(a.nav_bid, uint256)
    return (assets * _UNIT * _W + nav - 1) // nav


@internal
@view
def _frozen_worth(shares: uint256) -> uint256:
    """
    @return USDC for `shares`: at the last known price, or the present one where it is known and lower, less a discount, and no
            more than their part of the cash.
    """
    good: LastGood = self._last()
    supply: uint256 = staticcall IERC20(VAULT.address).totalSupply() + _UNIT
    kept: uint256 = good.initial + staticcall QUEUE.shares_due() * good.price // _W
    cash: uint256 = self._cash()
    part: uint256 = (cash - min(cash, kept)) * shares // supply
    worth: uint256 = shares * good.price // _W
    if self._is_late() and staticcall VAULT.mode() != ICircuitBreaker.Mode.FROZEN:
        worth = min(worth, staticcall IERC4626(VAULT.address).previewRedeem(shares) * _UNIT)
    return min(part, worth * _FROZEN_PRICE // _W) // _UNIT


@internal
@view
def _cash() -> uint256:
    """
    @return USDC, idle or to be had from the lending venue at once, that is not owed to option holders, WAD.
    """
    cash: int256 = staticcall VAULT.cash()
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        staticcall VAULT.lending(),
        method_id("withdrawable()"),
        max_outsize=32,
        gas=_LENDING_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if success and len(response) == 32:
        cash += convert(min(convert(response, uint256), 2**128) * _UNIT, int256)  # more would overflow
    return convert(max(cash, 0), uint256)


@internal
@view
def _to_usdc(amount: int256) -> uint256:
    """
    @return WAD as USDC rounded down, zero when negative.
    """
    return convert(max(amount, 0), uint256) // _UNIT
