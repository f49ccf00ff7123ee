# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title RedemptionQueue
@license AGPL-3.0
@notice Asynchronous redemption (ERC-7540) of the Vault's shares, for what its free idle cash cannot pay at once. An ERC-7575
        entry point: `share()` is the Vault, and deposits are made there.

        Requests. Shares are handed over during an epoch of 24 hours that closes at 09:00 UTC, an hour after option expiries, when
        their margin is free. Until the close they can be taken back; after it they wait, but while the CircuitBreaker's frozen
        exits are open: then nothing is settled, and who waits may take his shares there. They stay in supply and carry the
        vault's gains and losses until they are paid. All requests of a controller are one (request id 0), and nobody makes
        one for him but himself and his operators: he could make none of his own while it waits.

        Settlement. Anyone, once an epoch has closed and every underlying has a Chainlink round since: its requests join the
        pool, the Vault prices the pool at `nav_bid` and pays what free idle cash and initial margin allow, and everyone in the pool
        is paid in the same proportion. With no cash the requests join all the same. What remains is settled again after
        every later close, and at once where less than a tenth of the pool was paid and a tenth or all can be. Nobody who
        redeems at once is paid out of what the shares of closed epochs are worth. An expired series that is not fixed yet
        blocks settlement, REDUCE_ONLY does not. Whoever settles chooses the block, and with it the oracle round since the
        close; the first who gains by an earlier one can choose that.

        Rescue. After seven days anyone may have the vault buy options back until the pool can be paid (BuybackAuction). What that
        costs is borne by the pool: so many of its shares are burned for nothing, of everybody in the same proportion. They
        count as paid.

        Claims. What is paid lies here, no longer the vault's, and never expires. A claim asks neither Vault nor oracle.

        Accounts. A product (share of the pool that is left, ONE at first) and a sum (USDC per share, times the product) are
        all a settlement writes, however many wait: shares that joined at product P0 and sum S0 are worth
        shares * product / P0 now, and have brought shares * (sum - S0) / P0. An era ends when the product is used up; what it
        leaves of a share is carried into the next. Rounding is against the claimant.
@custom:kill Nothing stops claims. Requests and settlement end with the Vault's exits.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC4626
from .interfaces import ICircuitBreaker
from .interfaces import IPriceOracle
from .interfaces import IRedemptionQueue
from .interfaces import IVault

implements: IRedemptionQueue


# @notice Where the pool stands, or stood when shares joined it; of an era that has ended, where it ended.
struct Point:
    era: uint256
    product: uint256
    sum: uint256


# @notice The request of a controller.
# @param epoch, waiting    Epoch of the shares that have not joined the pool, and how many.
# @param shares, joined    Shares in the pool, as they were at the point `joined`.
# @param filled, assets    Shares that were paid and not claimed, and the USDC for them.
struct Request:
    epoch: uint256
    waiting: uint256
    shares: uint256
    joined: Point
    filled: uint256
    assets: uint256


# @notice What `settle_epoch` will do next.
# @param epoch, closes_at  Epoch that must have closed, and when it does.
# @param joins             Whether its requests join the pool; else what remains in the pool is settled again.
# @param shares            Shares to pay, zero when nobody waits or who joins has taken his back.
struct Settlement:
    epoch: uint256
    closes_at: uint256
    joins: bool
    shares: uint256


event RedeemRequest:
    controller: indexed(address)
    owner: indexed(address)
    requestId: indexed(uint256)
    sender: address
    shares: uint256


event RedeemRequestCancelled:
    controller: indexed(address)
    receiver: indexed(address)
    sender: address
    shares: uint256


event OperatorSet:
    controller: indexed(address)
    operator: indexed(address)
    approved: bool


event CostBorne:
    shares: uint256
    remaining: uint256


event EpochSettled:
    epoch: indexed(uint256)
    joined: uint256
    shares: uint256
    assets: uint256
    remaining: uint256


_ONE: constant(uint256) = 10**36
_FLOOR: constant(uint256) = 10**27  # below it a product has too few digits left
_MAX_ERAS: constant(uint256) = 8  # each but the first divides shares by 1e9: none are left after five
_EPOCH: constant(uint256) = 86400
_CLOSE: constant(uint256) = 9 * 3600
_MIN_REQUEST: constant(uint256) = 100 * 10**18  # shares; a share first costs 1 USDC
_LEAST_DUE: constant(uint256) = 10**15  # fewer shares may be worth less than a unit of USDC, which nobody can be paid
_DUST: constant(uint256) = 10  # a payment of less than this part of the pool does not use up an epoch

VAULT: public(immutable(IVault))
PRICE_ORACLE: public(immutable(IPriceOracle))
UNDERLYINGS: public(immutable(uint256))
GENESIS: public(immutable(uint256))
ASSET: immutable(IERC20)

isOperator: public(HashMap[address, HashMap[address, bool]])

total_pending: public(uint256)  # shares that wait here
reserved: public(uint256)  # USDC that is paid and not claimed
pooled: public(uint256)  # shares in the pool
point: public(Point)
requested: public(HashMap[uint256, uint256])  # shares by epoch
_entries: HashMap[uint256, Point]  # the pool when an epoch joined it; product 0 before
_eras: HashMap[uint256, Point]  # eras that have ended
_requests: HashMap[address, Request]
_epochs: HashMap[uint256, uint256]  # epochs with requests, in order: those from _head to _tail have not joined
_head: uint256
_tail: uint256
_first_unpaid: uint256  # after every earlier epoch's close the pool has been paid a tenth or more
_first_untouched: uint256  # after every earlier epoch's close it has been paid something
_pooled_since: uint256  # close of the first epoch that joined the pool since it was as good as empty


@deploy
def __init__(vault: IVault, price_oracle: IPriceOracle, underlyings: uint256):
    VAULT = vault
    PRICE_ORACLE = price_oracle
    UNDERLYINGS = underlyings
    ASSET = IERC20(staticcall IERC4626(vault.address).asset())
    GENESIS = (block.timestamp - _CLOSE) // _EPOCH * _EPOCH + _CLOSE
    self.point.product = _ONE


# ---------------------------------------------------------------- requests


@external
def setOperator(operator: address, approved: bool) -> bool:
    """
    @notice Let `operator` request, cancel and claim for the caller, or no longer.
    """
    self.isOperator[msg.sender][operator] = approved
    log OperatorSet(controller=msg.sender, operator=operator, approved=approved)
    return True


@external
def requestRedeem(shares: uint256, controller: address, owner: address) -> uint256:
    """
    @notice Queue `shares` of `owner`, who has approved this contract; `controller` will cancel or claim. The caller acts for
            both. At least 100 shares, or all that an owner has for himself.
    @return 0, the id of every request.
    """
    self._check_operator(owner)
    self._check_operator(controller)
    is_all: bool = owner == controller and shares == staticcall IERC20(VAULT.address).balanceOf(owner)
    assert shares >= _MIN_REQUEST or (shares > 0 and is_all), "queue: below minimum request"
    epoch: uint256 = self._epoch()
    request: Request = self._current(controller)
    assert request.waiting == 0 or request.epoch == epoch, "queue: settle the earlier request first"
    request.epoch = epoch
    request.waiting += shares
    self._requests[controller] = request
    if self.requested[epoch] == 0:
        self._epochs[self._tail] = epoch
        self._tail += 1
    self.requested[epoch] += shares
    self.total_pending += shares
    assert extcall IERC20(VAULT.address).transferFrom(owner, self, shares), "queue: transfer"
    log RedeemRequest(controller=controller, owner=owner, requestId=0, sender=msg.sender, shares=shares)
    return 0


@external
def cancel(controller: address, receiver: address) -> uint256:
    """
    @notice Take back the shares of an epoch that has not closed, or all that wait while frozen exits are open. Controller or its
            operator.
    @return Shares.
    """
    self._check_operator(controller)
    request: Request = self._current(controller)
    shares: uint256 = request.waiting
    if shares == 0 or request.epoch != self._epoch():
        breaker: ICircuitBreaker = ICircuitBreaker(staticcall VAULT.breaker())
        assert staticcall breaker.is_frozen(), "queue: nothing to cancel"
        shares += request.shares
        self.pooled -= request.shares
        request.shares = 0
    assert shares > 0, "queue: nothing to cancel"
    if request.waiting > 0:
        left: uint256 = self.requested[request.epoch] - request.waiting
        self.requested[request.epoch] = left
        if left == 0 and self._epochs[self._tail - 1] == request.epoch:
            self._tail -= 1  # another than the last stays, and joins the pool with nothing
        request.waiting = 0
    self._requests[controller] = request
    self.total_pending -= shares
    assert extcall IERC20(VAULT.address).transfer(receiver, shares), "queue: transfer"
    log RedeemRequestCancelled(controller=controller, receiver=receiver, sender=msg.sender, shares=shares)
    return shares


# ---------------------------------------------------------------- settlement


@external
def settle_epoch() -> (uint256, uint256):
    """
    @notice Pay the pool after an epoch's close. Anyone.
    @return Shares paid and USDC.
    """
    next: Settlement = self._next()
    assert next.shares > 0 or next.joins, "queue: nobody waits"
    assert block.timestamp >= next.closes_at, "queue: epoch not closed"
    assert self._has_rounds_since(next.closes_at), "queue: no oracle round since the close"
    point: Point = self.point
    if next.joins:
        self._entries[next.epoch] = point
        self._head += 1
        if self.pooled < _LEAST_DUE:
            self._pooled_since = next.closes_at
    shares: uint256 = 0
    assets: uint256 = 0
    shares, assets = extcall VAULT.settle_queue(next.shares)
    assert next.joins or self._is_worth_it(next, shares), "queue: no cash to pay with"
    if shares > 0:
        self._first_untouched = next.epoch + 1
        if not self._is_dust(next, shares):
            self._first_unpaid = next.epoch + 1
        point.sum += point.product * assets // next.shares
        self._reduce(point, next.shares, shares)
        self.reserved += assets
        assert staticcall ASSET.balanceOf(self) >= self.reserved, "queue: assets missing"
    joined: uint256 = next.shares - self.pooled
    self.pooled = next.shares - shares
    log EpochSettled(
        epoch=next.epoch, joined=joined, shares=shares, assets=assets, remaining=next.shares - shares
    )
    return shares, assets


@external
def bear(shares: uint256):
    """
    @notice Burn shares of the pool for nothing: what a rescue has cost. BuybackAuction only.
    """
    assert msg.sender == staticcall VAULT.auction(), "queue: not the auction"
    pooled: uint256 = self.pooled
    self._reduce(self.point, pooled, shares)
    self.pooled = pooled - shares
    extcall VAULT.burn_waiting(shares)
    log CostBorne(shares=shares, remaining=pooled - shares)


@external
@view
def next_settlement() -> Settlement:
    """
    @notice What `settle_epoch` will settle next and when; nothing `joins` and `shares` is zero when nobody waits.
    """
    return self._next()


@external
@view
def can_settle() -> bool:
    """
    @notice Whether `settle_epoch` would go through now; never reverts.
    """
    next: Settlement = self._next()
    if (next.shares == 0 and not next.joins) or block.timestamp < next.closes_at:
        return False
    success: bool = False
    response: Bytes[640] = b""
    success, response = raw_call(
        VAULT.address, method_id("assessment()"), max_outsize=640, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) < 640 or convert(slice(response, 608, 32), uint256) != 0:
        return False  # no NAV, or an expired series is not fixed
    if not self._has_rounds_since(next.closes_at):
        return False
    if next.joins:
        return True
    vault: IERC4626 = IERC4626(VAULT.address)  # its limit counts shares that were given to this contract, too
    can_pay: uint256 = min(staticcall vault.maxRedeem(self), next.shares)
    return self._is_worth_it(next, can_pay) and staticcall vault.previewRedeem(next.shares) > 0


@external
@view
@reentrant
def shares_due() -> uint256:
    """
    @notice Shares of closed epochs that were not paid: what they are worth comes before everybody's who redeems at once.
    """
    return self.total_pending - self.requested[self._epoch()]


@external
@view
@reentrant
def due_since() -> uint256:
    """
    @notice Close of the oldest epoch with shares that were not paid; zero without any. Of the pool less than a thousandth of
            a share is none: it could never be paid, and one wei would stop the vault's business.
    """
    if self.pooled >= _LEAST_DUE:
        return self._pooled_since
    if self._head < self._tail:
        closed_at: uint256 = self._closes_at(self._epochs[self._head])
        if closed_at <= block.timestamp:
            return closed_at
    return 0


@external
@view
def epoch() -> uint256:
    """
    @notice Number of the epoch that takes requests now.
    """
    return self._epoch()


@external
@view
def epoch_closes_at(epoch: uint256) -> uint256:
    """
    @notice When an epoch closes.
    """
    return self._closes_at(epoch)


# ---------------------------------------------------------------- claims


@external
def redeem(shares: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Claim the USDC of `shares` that were paid. Controller or its operator.
    """
    request: Request = self._current(controller)
    assert shares > 0 and shares <= request.filled, "queue: more than claimable"
    assets: uint256 = request.assets * shares // request.filled
    self._claim(request, shares, assets, receiver, controller)
    return assets


@external
def withdraw(assets: uint256, receiver: address, controller: address) -> uint256:
    """
    @notice Claim `assets` USDC of shares that were paid. Controller or its operator.
    @return Shares claimed.
    """
    request: Request = self._current(controller)
    assert assets > 0 and assets <= request.assets, "queue: more than claimable"
    shares: uint256 = (assets * request.filled + request.assets - 1) // request.assets
    self._claim(request, shares, assets, receiver, controller)
    return shares


@external
@view
def pendingRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares that wait to be paid.
    """
    request: Request = self._current(controller)
    return request.waiting + request.shares if requestId == 0 else 0


@external
@view
def claimableRedeemRequest(requestId: uint256, controller: address) -> uint256:
    """
    @notice Shares that were paid and not claimed.
    """
    return self._current(controller).filled if requestId == 0 else 0


@external
@view
def request_of(controller: address) -> Request:
    """
    @notice The request of a controller, up to date.
    """
    return self._current(controller)


@external
@view
def maxRedeem(controller: address) -> uint256:
    """
    @notice Shares that can be claimed.
    """
    return self._current(controller).filled


@external
@view
def maxWithdraw(controller: address) -> uint256:
    """
    @notice USDC that can be claimed.
    """
    return self._current(controller).assets


# ---------------------------------------------------------------- the rest of ERC-7575


@external
@view
def share() -> address:
    """
    @notice The Vault.
    """
    return VAULT.address


@external
@view
def asset() -> address:
    return ASSET.address


@external
@view
def totalAssets() -> uint256:
    return staticcall IERC4626(VAULT.address).totalAssets()


@external
@view
def convertToShares(assets: uint256) -> uint256:
    return staticcall IERC4626(VAULT.address).convertToShares(assets)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    return staticcall IERC4626(VAULT.address).convertToAssets(shares)


@external
@pure
def maxDeposit(receiver: address) -> uint256:
    """
    @notice 0: deposits are made in the Vault.
    """
    return 0


@external
@pure
def maxMint(receiver: address) -> uint256:
    """
    @notice 0: deposits are made in the Vault.
    """
    return 0


@external
@pure
def previewDeposit(assets: uint256) -> uint256:
    raise "queue: deposit in the vault"


@external
@pure
def previewMint(shares: uint256) -> uint256:
    raise "queue: deposit in the vault"


@external
@pure
def deposit(assets: uint256, receiver: address) -> uint256:
    raise "queue: deposit in the vault"


@external
@pure
def mint(shares: uint256, receiver: address) -> uint256:
    raise "queue: deposit in the vault"


@external
@pure
def previewRedeem(shares: uint256) -> uint256:
    raise "queue: no price before settlement"


@external
@pure
def previewWithdraw(assets: uint256) -> uint256:
    raise "queue: no price before settlement"


@external
@pure
def supportsInterface(interface_id: bytes4) -> bool:
    """
    @notice ERC-165, ERC-7575, and ERC-7540's operators and asynchronous redemption.
    """
    return interface_id in [0x01ffc9a7, 0x2f0a18c5, 0xe3bc4e65, 0x620ee8e4]


# ---------------------------------------------------------------- internals


@internal
@view
def _check_operator(controller: address):
    assert msg.sender == controller or self.isOperator[controller][msg.sender], "queue: not allowed"


@internal
@view
def _epoch() -> uint256:
    return (block.timestamp - GENESIS) // _EPOCH


@internal
@view
def _closes_at(epoch: uint256) -> uint256:
    return GENESIS + (epoch + 1) * _EPOCH


@internal
@view
def _next() -> Settlement:
    """
    @notice The first epoch that has not joined; or, when the pool has not been paid since the last close, that close.
    """
    rolled: uint256 = max(self._first_unpaid, max(self._epoch(), 1) - 1)
    pooled: uint256 = self.pooled
    if self._head < self._tail:
        first: uint256 = self._epochs[self._head]
        if pooled == 0 or first <= rolled:
            return Settlement(
                epoch=first, closes_at=self._closes_at(first), joins=True, shares=pooled + self.requested[first]
            )
    return Settlement(epoch=rolled, closes_at=self._closes_at(rolled), joins=False, shares=pooled)


@internal
def _reduce(point: Point, pool: uint256, shares: uint256):
    """
    @notice Take `shares` out of a pool of so many.
    @param point Where the pool stands, with what they bring.
    """
    now: Point = point
    now.product = now.product * (pool - shares) // pool
    if now.product < _FLOOR:
        self._eras[now.era] = now
        now = Point(era=now.era + 1, product=_ONE, sum=0)
    self.point = now
    self.total_pending -= shares


@internal
@pure
def _is_dust(next: Settlement, paid: uint256) -> bool:
    return paid * _DUST < next.shares


@internal
@view
def _is_worth_it(next: Settlement, paid: uint256) -> bool:
    """
    @return Whether what remained in the pool is settled for a payment: any is good for the first after a close.
    """
    return paid > 0 and (next.epoch >= self._first_untouched or not self._is_dust(next, paid))


@internal
@view
def _has_rounds_since(time: uint256) -> bool:
    """
    @notice Whether every price that there is has a round since a close. One that is not there stops the Vault's assessment if
            anything depends on it; starving it of gas leaves too little for that.
    """
    for underlying: uint256 in range(UNDERLYINGS, bound=2):
        success: bool = False
        response: Bytes[128] = b""
        success, response = raw_call(
            PRICE_ORACLE.address,
            abi_encode(underlying, method_id=method_id("read(uint256)")),
            max_outsize=128,
            is_static_call=True,
            revert_on_failure=False,
        )
        if success and len(response) == 128 and abi_decode(response, IPriceOracle.Reading).updated_at < time:
            return False
    return True


@internal
@view
def _current(controller: address) -> Request:
    """
    @notice The request of a controller as all settlements until now leave it.
    """
    request: Request = self._requests[controller]
    left: uint256 = 0
    assets: uint256 = 0
    if request.shares > 0:
        left, assets = self._follow(request.shares, request.joined)
        request.filled += request.shares - left
        request.assets += assets
        request.shares = left
    request.joined = self.point
    if request.waiting > 0:
        entry: Point = self._entries[request.epoch]
        if entry.product > 0:
            left, assets = self._follow(request.waiting, entry)
            request.filled += request.waiting - left
            request.assets += assets
            request.shares += left
            request.waiting = 0
    return request


@internal
@view
def _follow(shares: uint256, joined: Point) -> (uint256, uint256):
    """
    @return What is left of shares that joined the pool at a point, and the USDC that the others brought.
    """
    left: uint256 = shares
    assets: uint256 = 0
    start: Point = joined
    now: uint256 = self.point.era
    for _: uint256 in range(_MAX_ERAS):
        end: Point = self.point if start.era == now else self._eras[start.era]
        assets += left * (end.sum - start.sum) // start.product
        left = left * end.product // start.product
        if start.era == now or left == 0:
            break
        start = Point(era=start.era + 1, product=_ONE, sum=0)
    return left, assets


@internal
def _claim(request: Request, shares: uint256, assets: uint256, receiver: address, controller: address):
    self._check_operator(controller)
    claimed: Request = request
    claimed.filled -= shares
    claimed.assets -= assets
    self._requests[controller] = claimed
    self.reserved -= assets
    assert extcall ASSET.transfer(receiver, assets, default_return_value=True), "queue: transfer"
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=controller, assets=assets, shares=shares)
