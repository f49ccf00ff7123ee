# pragma version 0.4.3
# pragma optimize codesize
# pragma nonreentrancy on
"""
@title Vault
@license AGPL-3.0
@notice Keel's vault: pooled USDC that sells options and holds their hedges. Shares are ERC-20 and ERC-4626.

        Share price. NAV = idle USDC + venues + options - owed, each by the Vault's own accounts: a gift moves nothing. Options
        have two sides: deposits mint at `nav_ask`, redemptions burn at `nav_bid`, totalAssets and convertTo* are the middle.
        Shares have 18 decimals and first cost 1 USDC. Virtual shares (as many as one unit of USDC first buys, 1e12) and a virtual
        unit of USDC make inflating an empty vault a loss. The asset is called USDC throughout; its decimals are read, not assumed.

        Exits. The RedemptionQueue is paid from free idle USDC (what is owed to option holders is not free) as long as `nav_bid`
        is at least at initial margin after it. Who redeems at once is paid from what the queue's closed epochs leave of that,
        within the CircuitBreaker's limits. No role can stop either. While NAV cannot be computed, or an expiry stays without
        a fixing, the CircuitBreaker pays shares at a discount from the last NAV that was known.

        Hedging. The Vault has the cash, the Hedger decides: `hedge` sends a venue what a trade needs, and measures what the
        venue did with it. What may be traded and lost is the Hedger's to know.

        Lending. One venue may lend idle USDC. What it can give back now is as free as idle, and is recalled by whatever idle
        cannot pay: exits, premiums, hedges, owed payouts. While it does not answer, idle is all there is.

        Venues. Each keeps its index for good. An empty one is retired; one that does not answer counts nothing, and can be
        written off.

        Fees. Management and performance are owed in shares (modules/fees.vy) and dilute every price from the second they are
        earned; minting them, at most every 30 days, moves none. Performance is charged over a high-water mark of `nav_bid` per
        share, which starts anew when an empty vault is deposited into.

        Modes. When shares may be minted and burned is the CircuitBreaker's to decide; it is asked before each is.

        One lock. It covers the Vault and its components: OptionBook, Hedger and BuybackAuction take it for the time of a fill,
        a settlement, a rebalance or a bid, and whoever calls any other function in between, views of value included, is refused.
@custom:kill guardian of the CircuitBreaker: `set_reduce_only(True)`. Exits, settlement and hedges have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from snekmate.auth import ownable
from snekmate.tokens import erc20
from .interfaces import ICircuitBreaker
from .interfaces import ILending
from .interfaces import IOptionBook
from .interfaces import IRiskEngine
from .interfaces import IVault
from .interfaces import IVenue
from .modules import fees
from .modules import roles

implements: IERC4626
implements: IVault
initializes: fees
initializes: roles
initializes: ownable
initializes: erc20[ownable := ownable]

exports: (
    fees.terms,
    fees.accrual,
    roles.roles_of,
    roles.tightened_at,
    roles.grant_role,
    roles.revoke_role,
    roles.hand_over,
    erc20.name,
    erc20.symbol,
    erc20.decimals,
    erc20.totalSupply,
    erc20.balanceOf,
    erc20.allowance,
    erc20.transfer,
    erc20.approve,
    erc20.transferFrom,
    erc20.permit,
    erc20.nonces,
    erc20.DOMAIN_SEPARATOR,
    erc20.eip712Domain,
)


flag Side:
    BID
    MID
    ASK


event VenueListed:
    index: indexed(uint256)
    venue: indexed(address)
    underlying: uint256


event VenueRetired:
    index: indexed(uint256)
    venue: indexed(address)
    failed: bool


_W: constant(uint256) = 10**18
_MAX_VENUES: constant(uint256) = 8
_DUST: constant(int256) = 10  # units of USDC: what rounding leaves in a venue that was emptied
_RECALL_GAS: constant(uint256) = 500_000  # a venue that needs more to recall or to take in does not answer
_MIN_GAS: constant(uint256) = 530_000  # leaves 63/64 (EIP-150) above it, and enough to go on

ASSET: immutable(IERC20)
_UNIT: immutable(int256)  # WAD per smallest unit of USDC
_VIRTUAL_SHARES: immutable(uint256)  # as many as one unit of USDC buys first
RISK: public(immutable(IRiskEngine))

option_book: public(IOptionBook)
redemption_queue: public(address)
hedger: public(address)
auction: public(address)
breaker: public(ICircuitBreaker)
venues: public(DynArray[IRiskEngine.Listed, _MAX_VENUES])
lending: public(ILending)  # the venue that lends, if there is one

idle: public(uint256)  # USDC that is neither in a venue nor a gift
owed: public(uint256)  # USDC of `idle` that fixings have promised to option holders
_holder: transient(address)


@deploy
def __init__(governor: address, asset: IERC20, risk: IRiskEngine):
    roles.__init__(governor)
    ownable.__init__()
    erc20.__init__("Keel USDC", "kUSDC", 18, "Keel USDC", "1")
    ownable._transfer_ownership(empty(address))
    ASSET = asset
    decimals: uint256 = convert(staticcall IERC20Detailed(asset.address).decimals(), uint256)
    assert decimals <= 18, "vault: asset decimals"
    _UNIT = convert(10 ** (18 - decimals), int256)
    _VIRTUAL_SHARES = 10 ** (18 - decimals)
    RISK = risk


# ---------------------------------------------------------------- governance


@external
def wire(
    option_book: IOptionBook, redemption_queue: address, hedger: address, auction: address, breaker: ICircuitBreaker
):
    """
    @notice Name the components. Governor only, once.
    """
    roles._check(roles.Role.GOVERNOR)
    assert self.option_book == empty(IOptionBook), "vault: already wired"
    self.option_book = option_book
    self.redemption_queue = redemption_queue
    self.hedger = hedger
    self.auction = auction
    self.breaker = breaker


@external
def list_venue(venue: IVenue, underlying: uint256):
    """
    @notice Add a venue, at an index that was vacated once there are no others. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    index: uint256 = len(self.venues)
    for i: uint256 in range(len(self.venues), bound=_MAX_VENUES):
        listed: IVenue = self.venues[i].venue
        assert listed != venue, "vault: venue already listed"
        if listed == empty(IVenue) and len(self.venues) == _MAX_VENUES:
            index = i
    entry: IRiskEngine.Listed = IRiskEngine.Listed(venue=venue, underlying=underlying)
    a: IRiskEngine.Assessment = self._assess([], [entry], 0)
    assert a.spot[underlying] > 0, "vault: underlying without a price"
    assert not a.venue_failed, "vault: no venue of this underlying"
    if index == len(self.venues):
        self.venues.append(entry)
    else:
        self.venues[index] = entry
    log VenueListed(index=index, venue=venue.address, underlying=underlying)


@external
def retire_venue(index: uint256, failed: bool):
    """
    @notice Vacate the index of an empty venue, or of one that has failed, does not answer, and is written off. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    listed: IRiskEngine.Listed = self.venues[index]
    a: IRiskEngine.Assessment = self._assess([], [listed], 0)
    assert listed.venue != empty(IVenue) and a.venue_failed == failed, "vault: another state"
    assert a.gross == 0 and a.nav_mid < _DUST * _UNIT, "vault: venue not empty"
    self.venues[index].venue = empty(IVenue)
    if self.lending.address == listed.venue.address:
        self.lending = empty(ILending)
    log VenueRetired(index=index, venue=listed.venue.address, failed=failed)


@external
def set_lending(index: uint256):
    """
    @notice Name the venue that lends. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self.lending = ILending(self.venues[index].venue.address)


@external
def set_fees(terms: fees.Terms):
    """
    @notice Replace the fees; what is owed by the old ones stays owed. Governor only. Shares minted to the Vault or the queue
            would be lost.
    """
    roles._check(roles.Role.GOVERNOR)
    assert terms.recipient not in [self, self.redemption_queue], "fees: recipient"
    a: IRiskEngine.Assessment = self._open_for_exits()
    fees._set_terms(terms, erc20.totalSupply, _VIRTUAL_SHARES, self._nav_wad(a))


@external
def crystallise():
    """
    @notice Mint the fees that are owed to their recipient, 30 days after the last time. Anyone.
    """
    fees._check_period()
    a: IRiskEngine.Assessment = self._open_for_exits()
    minted: uint256 = fees._settle_fees(erc20.totalSupply, _VIRTUAL_SHARES, self._nav_wad(a))
    if minted > 0:
        erc20._mint(fees.terms.recipient, minted)


@external
def checkpoint():
    """
    @notice Record the share price; a drawdown beyond the kill level latches REDUCE_ONLY. Anyone.
    """
    self._observe(self._now())


# ---------------------------------------------------------------- ERC-4626


@external
def deposit(assets: uint256, receiver: address) -> uint256:
    """
    @notice Pay `assets` USDC for shares at `nav_ask`.
    """
    a: IRiskEngine.Assessment = self._now()
    shares: uint256 = self._to_shares(a, Side.ASK, assets, False)
    self._deposit(a, assets, shares, receiver)
    return shares


@external
def mint(shares: uint256, receiver: address) -> uint256:
    """
    @notice Pay for exactly `shares` at `nav_ask`.
    """
    a: IRiskEngine.Assessment = self._now()
    assets: uint256 = self._to_assets(a, Side.ASK, shares, True)
    self._deposit(a, assets, shares, receiver)
    return assets


@external
def withdraw(assets: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Burn shares at `nav_bid` for exactly `assets` USDC.
    """
    a: IRiskEngine.Assessment = self._open_for_exits()
    shares: uint256 = self._to_shares(a, Side.BID, assets, True)
    self._exit(a, assets, shares, receiver, owner)
    return shares


@external
def redeem(shares: uint256, receiver: address, owner: address) -> uint256:
    """
    @notice Burn exactly `shares` at `nav_bid`.
    """
    a: IRiskEngine.Assessment = self._open_for_exits()
    assets: uint256 = self._to_assets(a, Side.BID, shares, False)
    self._exit(a, assets, shares, receiver, owner)
    return assets


@external
@view
def asset() -> address:
    return ASSET.address


@external
@view
def totalAssets() -> uint256:
    """
    @notice NAV with options at mid, USDC.
    """
    return self._floor(self._now().nav_mid)


@external
@view
def convertToShares(assets: uint256) -> uint256:
    return self._to_shares(self._now(), Side.MID, assets, False)


@external
@view
def convertToAssets(shares: uint256) -> uint256:
    return self._to_assets(self._now(), Side.MID, shares, False)


@external
@view
def previewDeposit(assets: uint256) -> uint256:
    return self._to_shares(self._now(), Side.ASK, assets, False)


@external
@view
def previewMint(shares: uint256) -> uint256:
    return self._to_assets(self._now(), Side.ASK, shares, True)


@external
@view
def previewWithdraw(assets: uint256) -> uint256:
    return self._to_shares(self._now(), Side.BID, assets, True)


@external
@view
def previewRedeem(shares: uint256) -> uint256:
    return self._to_assets(self._now(), Side.BID, shares, False)


@external
@view
def effective_supply() -> uint256:
    """
    @notice The supply and the fee shares that are owed and not minted: what every price divides by, but for the virtual shares.
    """
    return self._shares(self._now()) - _VIRTUAL_SHARES


@external
@view
def maxDeposit(receiver: address) -> uint256:
    """
    @notice USDC that can be deposited now; never reverts.
    """
    return self._max_deposit()[0]


@external
@view
def maxMint(receiver: address) -> uint256:
    """
    @notice Shares that can be minted now; never reverts.
    """
    return self._max_deposit()[1]


@external
@view
def maxWithdraw(owner: address) -> uint256:
    """
    @notice USDC that `owner` could withdraw now; zero while NAV cannot be computed.
    """
    return self._max_exit(owner)[0]


@external
@view
def maxRedeem(owner: address) -> uint256:
    """
    @notice Shares that `owner` could redeem now; zero while NAV cannot be computed.
    """
    return self._max_exit(owner)[1]


# ---------------------------------------------------------------- views


@external
@view
def assessment() -> IRiskEngine.Assessment:
    """
    @notice The book as the contracts see it now.
    """
    return self._now()


@external
@view
def mode() -> ICircuitBreaker.Mode:
    """
    @notice NORMAL, REDUCE_ONLY, or FROZEN while NAV cannot be computed; never reverts but while the lock is held.
    """
    self._require_unlocked()
    success: bool = False
    a: IRiskEngine.Assessment = empty(IRiskEngine.Assessment)
    success, a = self._try_assess()
    if not success:
        return ICircuitBreaker.Mode.FROZEN
    return staticcall self.breaker.mode_of(a, self._shares(a))


@external
@view
def cash() -> int256:
    """
    @notice Idle USDC less what is owed, WAD.
    """
    return self._cash()


@external
@view
def all_venues() -> DynArray[IRiskEngine.Listed, 8]:
    """
    @notice The listed venues in index order.
    """
    return self.venues


# ---------------------------------------------------------------- components


@external
def acquire():
    """
    @notice Take the lock. OptionBook, Hedger and BuybackAuction only.
    """
    assert msg.sender in [self.option_book.address, self.hedger, self.auction], "vault: not a component"
    self._require_unlocked()
    self._holder = msg.sender


@external
def release():
    """
    @notice Give the lock back. Its holder only.
    """
    self._require_holder()
    self._holder = empty(address)


@external
def on_fill(
    book_before: DynArray[uint256, 32],
    book_after: DynArray[uint256, 32],
    slot: uint256,
    is_sale: bool,
    premium: uint256,
    taker: address,
) -> (int256, bool):
    """
    @notice Account for a fill, pay for a purchase, and refuse what it may not leave behind. Lock holder only.
    @return `nav_bid` before it; whether it made the underlying's |gamma| or |vega| smaller.
    """
    self._require_holder()
    before: IRiskEngine.Assessment = self._assess_book(book_before)
    self._require_fixed(before.unfixed)
    if is_sale:
        extcall self.breaker.on_sale(before, self._shares(before))
        self._take_in(premium)
    else:
        self._require_free(premium)
        self._pay(taker, premium)
    after: IRiskEngine.Assessment = self._assess_book(book_after)
    assert staticcall RISK.check_fill(before, after, book_after, self.venues, slot, is_sale)
    u: uint256 = slot >> 248  # modules/series.vy
    return before.nav_bid, abs(after.gamma[u]) < abs(before.gamma[u]) or abs(after.vega[u]) < abs(before.vega[u])


@external
def hedge(
    index: uint256, pool: uint256, delta_change: int256, limit_price: uint256, spot: uint256
) -> (int256, int256, int256):
    """
    @notice Trade in a venue and measure it by what it did to the venue's equity and the Vault's cash. Lock holder only.
    @param spot Oracle price, WAD.
    @return Units bought; USDC received, WAD, negative when paid; loss against the oracle price, WAD, negative when gained.
    """
    self._require_holder()
    venue: IVenue = self.venues[index].venue
    was: IVenue.VenueState = staticcall venue.state(spot)
    sent: uint256 = staticcall venue.funding(delta_change, limit_price)
    self._require_free(sent)
    self._pay(venue.address, sent)
    balance: uint256 = staticcall ASSET.balanceOf(self)
    returned: uint256 = extcall venue.trade(pool, delta_change, limit_price)
    assert staticcall ASSET.balanceOf(self) >= balance + returned, "vault: venue kept USDC"
    self.idle += returned
    now: IVenue.VenueState = staticcall venue.state(spot)

    units: int256 = now.exposure - was.exposure
    assert abs(units) <= abs(delta_change) + 10**12, "vault: venue traded too much"
    usdc: int256 = (convert(returned, int256) - convert(sent, int256)) * _UNIT
    return units, usdc, was.equity - now.equity - usdc


@external
def observe(a: IRiskEngine.Assessment):
    """
    @notice Record the share price of the book as the lock's holder leaves it. Lock holder only.
    """
    self._require_holder()
    self._observe(a)


@external
def pay_out(receiver: address, amount: uint256):
    """
    @notice Pay USDC that is not owed, for a bounty or a buyback. Lock holder only.
    """
    self._require_holder()
    self._require_free(amount)
    self._pay(receiver, amount)


@external
def lend(amount: uint256):
    """
    @notice Lend USDC that is not owed. Lock holder only: how much may be lent is the Hedger's to know.
    """
    self._require_holder()
    assert self.idle >= self.owed + amount, "vault: not enough idle cash"
    self._pay(self.lending.address, amount)
    extcall self.lending.lend(amount)


@external
def recall(amount: uint256) -> uint256:
    """
    @notice Recall as much of `amount` as the lending venue has. Lock holder only.
    @return USDC that came.
    """
    self._require_holder()
    return self._recall(amount)


@external
def book_owed(amount: uint256):
    """
    @notice Add what a fixing promises to option holders. Lock holder only.
    """
    self._require_holder()
    self.owed += amount


@external
def pay_owed(receiver: address) -> uint256:
    """
    @notice Move as much owed USDC as idle allows. Lock holder only.
    """
    self._require_holder()
    self._gather(0)
    amount: uint256 = min(self.owed, self.idle)
    self.owed -= amount
    self._pay(receiver, amount)
    return amount


@external
def take_in(amount: uint256):
    """
    @notice Count USDC that has been sent here. Lock holder only.
    """
    self._require_holder()
    self._take_in(amount)


@external
def take_in_kind(underlying: uint256, amount: uint256) -> IVenue:
    """
    @notice Have a venue that can hold the underlying count units that are about to be sent to it. Lock holder only.
    @param amount Smallest units of the token.
    @return The venue, empty when none can. One that fails does not stand in the way of the next.
    """
    self._require_holder()
    for listed: IRiskEngine.Listed in self.venues:
        if listed.underlying == underlying:
            success: bool = False
            takes: Bytes[32] = b""
            success, takes = raw_call(
                listed.venue.address,
                abi_encode(amount, method_id=method_id("take_in(uint256)")),
                max_outsize=32,
                gas=_RECALL_GAS,
                revert_on_failure=False,
            )
            if success and len(takes) == 32 and convert(takes, uint256) == 1:
                return listed.venue
    return empty(IVenue)


@external
def settle_queue(shares: uint256) -> (uint256, uint256):
    """
    @notice Burn as many of the RedemptionQueue's `shares` at `nav_bid` as idle cash and margin allow to pay for, none when there
            is no cash. RedemptionQueue only.
    @return Shares burned and USDC paid.
    """
    assert msg.sender == self.redemption_queue, "vault: not a component"
    a: IRiskEngine.Assessment = self._open_for_exits()
    self._observe(a)
    self._gather(self._to_assets(a, Side.BID, shares, False))
    paid: uint256[2] = self._payable(a, shares, self._queue_limit(a, self._idle_free()), True)
    if paid[0] == 0 or paid[1] == 0:
        return 0, 0
    self._withdraw(self._nav_wad(a), paid[0], paid[1], msg.sender, msg.sender)
    return paid[1], paid[0]


@external
def burn_waiting(shares: uint256):
    """
    @notice Burn `shares` of the RedemptionQueue for nothing. RedemptionQueue only.
    """
    assert msg.sender == self.redemption_queue, "vault: not a component"
    self._withdraw(0, 0, shares, msg.sender, msg.sender)


@external
def pay_frozen(shares: uint256, assets: uint256, receiver: address, owner: address):
    """
    @notice Burn `shares` of `owner` for `assets` while the CircuitBreaker is frozen; of a performance fee nothing is set aside.
            CircuitBreaker only.
    """
    assert msg.sender == self.breaker.address, "vault: not a component"
    self._require_unlocked()
    self._withdraw(0, assets, shares, receiver, owner)


@external
@view
@reentrant
def accepts_new_risk() -> bool:
    """
    @notice Whether series may be listed, and options bought that reduce no risk.
    """
    return staticcall self.breaker.accepts_new_risk()


# ---------------------------------------------------------------- internals


@internal
@view
def _require_unlocked():
    assert self._holder == empty(address), "vault: locked"


@internal
@pure
def _require_fixed(unfixed: bool):
    assert not unfixed, "vault: settle the expired series first"


@internal
@view
def _require_holder():
    assert msg.sender == self._holder, "vault: not the lock's holder"


@internal
@view
def _now() -> IRiskEngine.Assessment:
    self._require_unlocked()
    return self._assess_book(staticcall self.option_book.live_book())


@internal
@view
def _assess_book(book: DynArray[uint256, 32]) -> IRiskEngine.Assessment:
    return self._assess(book, self.venues, self._cash())


@internal
@view
def _assess(
    book: DynArray[uint256, 32], venues: DynArray[IRiskEngine.Listed, _MAX_VENUES], cash: int256
) -> IRiskEngine.Assessment:
    return staticcall RISK.assess(book, venues, cash)


@internal
@view
def _cash() -> int256:
    """
    @return Idle USDC less what is owed, WAD.
    """
    return (convert(self.idle, int256) - convert(self.owed, int256)) * _UNIT


@internal
@view
def _idle_free() -> uint256:
    """
    @return Idle USDC that is not owed to option holders.
    """
    return self.idle - min(self.idle, self.owed)


@internal
@view
def _free() -> uint256:
    """
    @return USDC, idle or to be had from the lending venue at once, that is not owed to option holders.
    """
    if self.lending == empty(ILending):
        return self._idle_free()
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        self.lending.address,
        method_id("withdrawable()"),
        max_outsize=32,
        gas=_RECALL_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    cash: uint256 = self.idle
    if success and len(response) == 32:
        cash += min(convert(response, uint256), 2**128)  # more would overflow
    return cash - min(cash, self.owed)


@internal
def _gather(amount: uint256):
    """
    @notice Recall what idle misses of `amount` and of what is owed.
    """
    needed: uint256 = amount + self.owed
    if needed > self.idle and self.lending != empty(ILending):
        self._recall(needed - self.idle)


@internal
def _recall(amount: uint256) -> uint256:
    """
    @notice Have the lending venue send as much of `amount` as it can; nothing when it does not answer.
    """
    assert msg.gas >= _MIN_GAS, "vault: too little gas"
    balance: uint256 = staticcall ASSET.balanceOf(self)
    if not raw_call(
        self.lending.address,
        abi_encode(amount, method_id=method_id("recall(uint256)")),
        gas=_RECALL_GAS,
        revert_on_failure=False,
    ):
        return 0
    came: uint256 = staticcall ASSET.balanceOf(self) - balance
    self.idle += came
    return came


@internal
def _require_free(amount: uint256):
    """
    @notice Have `amount` idle beyond what is owed.
    """
    self._gather(amount)
    assert amount <= self._idle_free(), "vault: not enough idle cash"


@internal
def _pay(receiver: address, amount: uint256):
    self.idle -= amount
    assert extcall ASSET.transfer(receiver, amount, default_return_value=True), "vault: transfer"


@internal
def _observe(a: IRiskEngine.Assessment):
    extcall self.breaker.observe(a, self._shares(a))


@internal
@view
def _open_for_exits() -> IRiskEngine.Assessment:
    a: IRiskEngine.Assessment = self._now()
    self._require_fixed(a.unfixed)
    return a


@internal
def _take_in(amount: uint256):
    """
    @notice Count what a transfer has brought, and refuse a token that kept a part of it.
    """
    self.idle += amount
    assert staticcall ASSET.balanceOf(self) >= self.idle, "vault: assets missing"


@internal
def _deposit(a: IRiskEngine.Assessment, assets: uint256, shares: uint256, receiver: address):
    extcall self.breaker.on_deposit(a, self._shares(a), assets, msg.sender)
    assert shares > 0, "vault: zero shares"
    assert extcall ASSET.transferFrom(msg.sender, self, assets, default_return_value=True), "vault: transfer"
    supply: uint256 = erc20.totalSupply
    unit: uint256 = convert(_UNIT, uint256)
    fees._on_entry(supply, _VIRTUAL_SHARES, shares, assets * unit, self._nav_at(a, Side.ASK) * unit)
    self._take_in(assets)
    erc20._mint(receiver, shares)
    log IERC4626.Deposit(sender=msg.sender, owner=receiver, assets=assets, shares=shares)


@internal
def _exit(a: IRiskEngine.Assessment, assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @notice Pay at once, within the CircuitBreaker's limits.
    """
    extcall self.breaker.on_exit(a, self._shares(a), self._free(), assets)
    if msg.sender != owner:
        erc20._spend_allowance(owner, msg.sender, shares)
    self._withdraw(self._nav_wad(a), assets, shares, receiver, owner)


@internal
def _withdraw(nav: uint256, assets: uint256, shares: uint256, receiver: address, owner: address):
    """
    @param nav Of which fees are taken, WAD.
    """
    self._require_free(assets)
    fees._on_exit(erc20.totalSupply, _VIRTUAL_SHARES, shares, nav)
    erc20._burn(owner, shares)
    self._pay(receiver, assets)
    log IERC4626.Withdraw(sender=msg.sender, receiver=receiver, owner=owner, assets=assets, shares=shares)


@internal
@view
def _try_assess() -> (bool, IRiskEngine.Assessment):
    """
    @notice The assessment, or False when an oracle or a venue does not answer or the lock is held.
    """
    success: bool = False
    response: Bytes[704] = b""
    success, response = raw_call(
        self, method_id("assessment()"), max_outsize=704, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) < 704:
        return False, empty(IRiskEngine.Assessment)
    return True, abi_decode(response, IRiskEngine.Assessment)


@internal
@view
def _max_deposit() -> uint256[2]:
    """
    @return USDC that can be deposited, and shares that can be minted.
    """
    success: bool = False
    a: IRiskEngine.Assessment = empty(IRiskEngine.Assessment)
    success, a = self._try_assess()
    if not success:
        return [0, 0]
    limit: uint256 = staticcall self.breaker.deposit_limit(a, self._shares(a))
    if limit == max_value(uint256):
        return [limit, limit]
    return [limit, self._to_shares(a, Side.ASK, limit, False)]


@internal
@view
def _max_exit(owner: address) -> uint256[2]:
    """
    @return USDC and shares that `owner` could take out now.
    """
    success: bool = False
    a: IRiskEngine.Assessment = empty(IRiskEngine.Assessment)
    success, a = self._try_assess()
    if not success or a.unfixed:
        return [0, 0]
    shares: uint256 = erc20.balanceOf[owner]
    if owner == self.redemption_queue:
        return self._payable(a, shares, self._queue_limit(a, self._free()), True)
    limit: uint256 = staticcall self.breaker.exit_limit(a, self._shares(a), self._free())
    return self._payable(a, shares, limit, False)


@internal
@view
def _queue_limit(a: IRiskEngine.Assessment, free: uint256) -> uint256:
    """
    @return USDC that `free` cash and margin allow to pay to the RedemptionQueue.
    """
    return min(free, self._floor(a.nav_bid - a.initial))


@internal
@view
def _payable(a: IRiskEngine.Assessment, shares: uint256, limit: uint256, round_up: bool) -> uint256[2]:
    """
    @return What is paid for `shares` out of no more than `limit` USDC, and how many of them that pays for.
    """
    assets: uint256 = self._to_assets(a, Side.BID, shares, False)
    paid: uint256 = shares
    if assets > limit:
        assets = limit
        paid = self._to_shares(a, Side.BID, limit, round_up)
    if self._to_assets(a, Side.BID, paid, False) == 0:
        paid = 0  # shares that are worth nothing cannot be redeemed
    return [assets, paid]


@internal
@view
def _nav_wad(a: IRiskEngine.Assessment) -> uint256:
    """
    @return `nav_bid`, at least zero, and the virtual unit, WAD.
    """
    return convert(max(a.nav_bid, 0) + _UNIT, uint256)


@internal
@view
def _shares(a: IRiskEngine.Assessment) -> uint256:
    """
    @return What NAV is divided by: the supply, the virtual shares, and the fees that are owed.
    """
    return fees._effective(erc20.totalSupply, _VIRTUAL_SHARES, self._nav_wad(a))


@internal
@view
def _to_shares(a: IRiskEngine.Assessment, side: Side, assets: uint256, round_up: bool) -> uint256:
    return self._mul_div(assets, self._shares(a), self._nav_at(a, side), round_up)


@internal
@view
def _to_assets(a: IRiskEngine.Assessment, side: Side, shares: uint256, round_up: bool) -> uint256:
    return self._mul_div(shares, self._nav_at(a, side), self._shares(a), round_up)


@internal
@view
def _nav_at(a: IRiskEngine.Assessment, side: Side) -> uint256:
    """
    @return NAV of a side and the virtual unit, USDC, rounded so that nobody who trades there gains.
    """
    if side == Side.ASK:
        return self._ceil(a.nav_ask) + 1
    return self._floor(a.nav_mid if side == Side.MID else a.nav_bid) + 1


@internal
@pure
def _mul_div(x: uint256, y: uint256, denominator: uint256, round_up: bool) -> uint256:
    return (x * y + (denominator - 1 if round_up else 0)) // denominator


@internal
@view
def _floor(amount: int256) -> uint256:
    """
    @return WAD as USDC rounded down, zero when negative.
    """
    return convert(max(amount, 0) // _UNIT, uint256)


@internal
@view
def _ceil(amount: int256) -> uint256:
    """
    @return WAD as USDC rounded up, zero when negative.
    """
    return convert((max(amount, 0) + _UNIT - 1) // _UNIT, uint256)
