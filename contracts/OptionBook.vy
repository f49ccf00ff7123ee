# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title OptionBook
@license AGPL-3.0
@notice The vault's options: which series live, who trades them at what price. What they pay is the ClearingHouse's.

        Series. European calls and puts on a grid of strikes, expiring on a Friday at 08:00 UTC, at most 32 live: the keeper may
        fill 28, the governor all. While just those 28 are taken, anyone can delist a series that nobody has written.

        Quotes. A key with the QUOTER role signs (EIP-712; EOA or ERC-1271) what the vault would trade. Takers fill: they buy, or
        sell back what they hold; makers write new options to the vault against full collateral in the ClearingHouse. Fills
        of both kinds add up per quote to its size. A signer cancels by ranges of nonces or all below a floor.

        Positions. The vault's is what makers have written to it less what it has written, and nothing else is at risk: holders'
        tokens are the latter, makers' options are entries that nobody can trade on.

        Prices. Whoever holds the quoter's key, a sale is never below the ask mark and a purchase never above the bid mark. Only a
        purchase that reduces the underlying's |gamma| or |vega| may cost up to the middle, and what is above the bid drains
        the Hedger's loss bucket. Spot must be near the quote's, the surface fresh, the strike within 2.5 standard
        deviations, the expiry more than an hour away. The vega traded has a budget, and the Vault checks margin, gap
        and bands after each fill.

        Settlement. At expiry anyone proves the fixing: what holders get is a debt of the Vault at once, and what makers pay reaches
        it in the same call. Units that no venue can hold then stay in the ClearingHouse: nothing is sold or deposited until
        somebody has placed them.
@custom:kill Revoke QUOTER and KEEPER: no fills, no listings. Settlement, funding and claims have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator
from snekmate.utils import math
from snekmate.utils import signature_checker
from .interfaces import IClearingHouse
from .interfaces import IHedger
from .interfaces import IOptionBook
from .interfaces import IOptionPricer
from .interfaces import IOptionToken
from .interfaces import IPriceOracle
from .interfaces import IVault
from .interfaces import IVenue
from .modules import leaky_bucket
from .modules import roles
from .modules import series

implements: IOptionBook
initializes: roles
initializes: eip712_domain_separator

exports: (
    roles.roles_of,
    roles.tightened_at,
    roles.grant_role,
    roles.revoke_role,
    roles.hand_over,
    eip712_domain_separator.eip712Domain,
)


# @notice An offer of the vault.
# @param series          Identifier.
# @param vault_sells     True when the taker buys.
# @param price           USDC per unit, WAD.
# @param size            Largest total size, units in WAD.
# @param taker           Who may fill; empty = anyone.
# @param deadline        Last second.
# @param nonce           At least the signer's `nonce_floor`, and not cancelled.
# @param reference_spot  Oracle price it was made at, WAD.
# @param spot_tolerance  Largest relative move from it, WAD.
struct Quote:
    series: uint256
    vault_sells: bool
    price: uint256
    size: uint256
    taker: address
    deadline: uint256
    nonce: uint256
    reference_spot: uint256
    spot_tolerance: uint256


# @notice What the grid and the minimum fill are for one underlying: USDC and units, WAD.
struct Listing:
    strike_step: uint256
    min_fill: uint256


# @notice Units written on a live series, by the vault to holders and by makers to the vault, WAD.
struct Written:
    vault: uint128
    maker: uint128


# @notice Vega that may be traded, WAD shares of NAV: size * spot * sqrt(T) * 0.4 per 1.0 of volatility, of every fill.
struct Budgets:
    vega_capacity: uint256
    vega_per_day: uint256


event BudgetsSet:
    budgets: Budgets


event SeriesListed:
    series: indexed(uint256)
    underlying: uint256
    is_call: bool
    expiry: uint256
    strike: uint256


event SeriesDelisted:
    series: indexed(uint256)


event Filled:
    series: indexed(uint256)
    taker: indexed(address)
    quote_hash: indexed(bytes32)
    vault_sells: bool
    written: bool
    size: uint256
    premium: uint256


event BoughtBack:
    series: indexed(uint256)
    seller: indexed(address)
    written: bool
    size: uint256


event Unplaced:
    underlying: indexed(uint256)
    units: uint256


event NonceFloorRaised:
    signer: indexed(address)
    nonce_floor: uint256


event NoncesCancelled:
    signer: indexed(address)
    first: uint256
    last: uint256


_W: constant(uint256) = 10**18
_MAX_SERIES: constant(uint256) = 32
_KEEPER_SERIES: constant(uint256) = 28
_WEEK: constant(uint256) = 7 * 86400
_FRIDAY_0800: constant(uint256) = 86400 + 8 * 3600  # the epoch began on a Thursday
_MIN_TENOR: constant(uint256) = 86400
_MAX_TENOR: constant(uint256) = 60 * 86400
_LAST_FILL: constant(uint256) = 3600
_MAX_QUOTE_LIFE: constant(uint256) = 60
_MAX_SPOT_TOLERANCE: constant(uint256) = 25 * 10**14
_MAX_SURFACE_AGE: constant(uint256) = 7200
_MAX_DEVIATIONS: constant(uint256) = 25 * 10**17
_YEAR: constant(uint256) = 365 * 86400
_VEGA: constant(uint256) = 4 * 10**17  # of an option at the money, as a share of spot * sqrt(T): 1 / sqrt(2 pi)
_MAX_WORDS: constant(uint256) = 64  # of 256 nonces each that one call cancels
_QUOTE_TYPE_HASH: constant(bytes32) = keccak256(
    "Quote(uint256 series,bool vaultSells,uint256 price,uint256 size,address taker,uint256 deadline,uint256 nonce,uint256 referenceSpot,uint256 spotTolerance)"
)

VAULT: public(immutable(IVault))
PRICER: public(immutable(IOptionPricer))
PRICE_ORACLE: public(immutable(IPriceOracle))
USDC: public(immutable(IERC20))
_USDC_UNIT: immutable(uint256)  # WAD * WAD per smallest unit of USDC

token: public(IOptionToken)
clearing_house: public(IClearingHouse)
hedger: public(IHedger)
auction: public(address)
listings: public(DynArray[Listing, 2])
budgets: public(Budgets)
written: public(HashMap[uint256, Written])
filled: public(HashMap[bytes32, uint256])
unplaced: public(reentrant(uint256[2]))  # by underlying, units that makers have lost and no venue could hold, its token's
nonce_floor: public(HashMap[address, uint256])

_cancelled: HashMap[address, HashMap[uint256, uint256]]  # by signer and nonce // 256, a bit per nonce
_vega: leaky_bucket.Bucket
_live: DynArray[uint256, 32]


@deploy
def __init__(
    governor: address,
    vault: IVault,
    pricer: IOptionPricer,
    price_oracle: IPriceOracle,
    usdc: IERC20,
    listings: DynArray[Listing, 2],
    budgets: Budgets,
):
    roles.__init__(governor)
    eip712_domain_separator.__init__("Keel OptionBook", "1")
    VAULT = vault
    PRICER = pricer
    PRICE_ORACLE = price_oracle
    USDC = usdc
    _USDC_UNIT = 10 ** (36 - convert(staticcall IERC20Detailed(usdc.address).decimals(), uint256))
    for listing: Listing in listings:
        assert listing.strike_step > 0 and listing.min_fill > 0, "book: listing"
        self.listings.append(listing)
    self._set_budgets(budgets)


# ---------------------------------------------------------------- governance


@external
def wire(token: IOptionToken, clearing_house: IClearingHouse, hedger: IHedger, auction: address):
    """
    @notice Name the contracts that this one works with. Governor only, once.
    """
    roles._check(roles.Role.GOVERNOR)
    assert self.token == empty(IOptionToken), "book: already wired"
    self.token = token
    self.clearing_house = clearing_house
    self.hedger = hedger
    self.auction = auction


@external
def set_budgets(budgets: Budgets):
    """
    @notice Replace the budgets. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self._set_budgets(budgets)


@external
def tighten_budgets(budgets: Budgets):
    """
    @notice Lower the budgets at once. Guardian or governor.
    """
    roles._check_guardian()
    was: Budgets = self.budgets
    assert budgets.vega_capacity <= was.vega_capacity and budgets.vega_per_day <= was.vega_per_day, "book: not tighter"
    self._set_budgets(budgets)


# ---------------------------------------------------------------- series


@external
def list_series(underlying: uint256, is_call: bool, expiry: uint256, strike: uint256) -> uint256:
    """
    @notice Open a series. Keeper or governor.
    @param strike USDC, WAD.
    @return Identifier of the series.
    """
    slots: uint256 = _MAX_SERIES
    if not roles._has(msg.sender, roles.Role.GOVERNOR):
        roles._check(roles.Role.KEEPER)
        slots = _KEEPER_SERIES
    assert staticcall VAULT.accepts_new_risk(), "book: vault is reduce-only"
    assert len(self._live) < slots, "book: no free slot"
    assert expiry % _WEEK == _FRIDAY_0800, "book: expiry off the grid"
    assert expiry > block.timestamp and expiry - block.timestamp <= _MAX_TENOR, "book: tenor"
    assert strike >= _W and strike % self.listings[underlying].strike_step == 0, "book: strike off the grid"
    ln_strike: uint256 = convert(math._wad_ln(convert(strike, int256)), uint256)
    id: uint256 = series._pack(underlying, is_call, expiry, strike, ln_strike)
    for slot: uint256 in self._live:
        assert series._id(slot) != id, "book: already listed"
    self._live.append(id)
    log SeriesListed(series=id, underlying=underlying, is_call=is_call, expiry=expiry, strike=strike)
    return id


@external
def delist_series(id: uint256):
    """
    @notice Close a live series of which nothing is written. Keeper or governor; anyone once it has expired, or while the
            keeper's slots are taken and none of the governor's.
    """
    i: uint256 = self._index(self._live, id)
    written: Written = self.written[id]
    assert written.vault == 0 and written.maker == 0, "book: series has a position"
    if len(self._live) != _KEEPER_SERIES and series._expiry(id) > block.timestamp:
        if not roles._has(msg.sender, roles.Role.GOVERNOR):
            roles._check(roles.Role.KEEPER)
    self._remove(i)
    log SeriesDelisted(series=id)


# ---------------------------------------------------------------- trades


@external
def fill(quote: Quote, size: uint256, signer: address, signature: Bytes[65]):
    """
    @notice Trade with the vault. When it sells, the premium is taken from the caller's allowance and option tokens are minted
            to the caller; when it buys, the caller's tokens are burned and the premium is paid.
    @param size Units, WAD, a multiple of 1e-9.
    @param signer Holder of QUOTER who signed.
    """
    self._trade(quote, size, signer, signature, False)
    if quote.vault_sells:
        extcall self.token.mint(msg.sender, quote.series, size)  # calls the taker: the Vault stays locked
    extcall VAULT.release()


@external
def write(quote: Quote, size: uint256, signer: address, signature: Bytes[65]):
    """
    @notice Write options to the vault, which buys: the full collateral is taken from the caller's allowance to the ClearingHouse
            (strike * size USDC for a put, `size` units of the underlying for a call), and the premium is paid.
    @param size Units, WAD, a multiple of 1e-9.
    @param signer Holder of QUOTER who signed.
    """
    assert not quote.vault_sells, "write: the vault sells"
    self._trade(quote, size, signer, signature, True)
    extcall VAULT.release()


@external
def buy_back(id: uint256, size: uint256, seller: address, writes: bool):
    """
    @notice Take options off the vault's short position, from the seller's tokens or written anew by him against collateral.
            The auction only, which holds the Vault's lock, pays, and checks what is left.
    @param size Units, WAD, a multiple of 1e-9.
    """
    assert msg.sender == self.auction, "book: only auction"
    i: uint256 = self._index(self._live, id)
    slot: uint256 = self._live[i]
    position: int256 = series._position(slot)
    assert series._expiry(id) > block.timestamp, "book: expired"
    assert convert(size, int256) <= -position, "book: more than short"
    self._take(id, size, seller, writes)
    self._live[i] = series._with_position(slot, position + convert(size, int256))
    log BoughtBack(series=id, seller=seller, written=writes, size=size)


@external
def raise_nonce_floor(nonce: uint256):
    """
    @notice Cancel all quotes that the caller signed with a lower nonce.
    """
    assert nonce > self.nonce_floor[msg.sender], "quote: floor only rises"
    self.nonce_floor[msg.sender] = nonce
    log NonceFloorRaised(signer=msg.sender, nonce_floor=nonce)


@external
def cancel_nonces(first: uint256, last: uint256):
    """
    @notice Cancel all quotes that the caller signed with nonces from `first` to `last`.
    """
    assert first <= last and (last >> 8) - (first >> 8) < _MAX_WORDS, "quote: range of nonces"
    for i: uint256 in range((last >> 8) - (first >> 8) + 1, bound=_MAX_WORDS):
        word: uint256 = (first >> 8) + i
        mask: uint256 = max_value(uint256)
        if word == first >> 8:
            mask = mask << (first & 255)
        if word == last >> 8:
            mask = mask & (max_value(uint256) >> (255 - (last & 255)))
        self._cancelled[msg.sender][word] |= mask
    log NoncesCancelled(signer=msg.sender, first=first, last=last)


# ---------------------------------------------------------------- settlement


@external
def settle(underlying: uint256, expiry: uint256, round_id: uint80, usdc_round_id: uint80):
    """
    @notice Fix an expiry and hand its series over to the ClearingHouse. Anyone; the proof is PriceOracle.fix's.
    """
    extcall VAULT.acquire()
    fixing: uint256 = extcall PRICE_ORACLE.fix(underlying, expiry, round_id, usdc_round_id)
    total: IClearingHouse.Due = empty(IClearingHouse.Due)
    found: bool = False
    i: uint256 = 0
    for _: uint256 in range(_MAX_SERIES):
        if i >= len(self._live):
            break
        slot: uint256 = self._live[i]
        if series._underlying(slot) != underlying or series._expiry(slot) != expiry:
            i += 1
            continue
        found = True
        id: uint256 = series._id(slot)
        written: Written = self.written[id]
        due: IClearingHouse.Due = extcall self.clearing_house.settle(
            id, fixing, convert(written.vault, uint256), convert(written.maker, uint256)
        )
        total.owed += due.owed
        total.usdc += due.usdc
        total.units += due.units
        self.written[id] = empty(Written)
        self._remove(i)
    assert found, "book: nothing to settle"
    extcall VAULT.book_owed(total.owed)
    if total.usdc > 0:
        extcall self.clearing_house.pay_vault(total.usdc)
        extcall VAULT.take_in(total.usdc)
    if total.units > 0:
        self._place(underlying, total.units)
    extcall VAULT.release()


@external
def place(underlying: uint256):
    """
    @notice Deliver the units of makers that no venue could hold, now that one can. Anyone.
    """
    extcall VAULT.acquire()
    units: uint256 = self.unplaced[underlying]
    assert units > 0, "book: nothing to place"
    self.unplaced[underlying] = 0
    self._place(underlying, units)
    extcall VAULT.release()


@external
def draw() -> (uint256, uint256):
    """
    @notice Move idle USDC that the Vault owes to holders to the ClearingHouse. ClearingHouse only.
    @return What was moved, and what had been owed.
    """
    assert msg.sender == self.clearing_house.address, "book: only clearing house"
    extcall VAULT.acquire()
    owed: uint256 = staticcall VAULT.owed()
    amount: uint256 = extcall VAULT.pay_owed(msg.sender)
    extcall VAULT.release()
    return amount, owed


# ---------------------------------------------------------------- views


@external
@view
def live_book() -> DynArray[uint256, 32]:
    """
    @notice The live series with the vault's positions, packed.
    """
    return self._live


@external
@view
def vega_budget() -> uint256:
    """
    @notice Vega that may still be traded, WAD share of NAV.
    """
    return leaky_bucket._available(self._vega, self.budgets.vega_capacity, self.budgets.vega_per_day)


@external
@view
def is_cancelled(signer: address, nonce: uint256) -> bool:
    """
    @notice Whether a signer's quotes with this nonce are void.
    """
    return self._is_cancelled(signer, nonce)


@external
@view
def series_id(underlying: uint256, is_call: bool, expiry: uint256, strike: uint256) -> uint256:
    """
    @notice Identifier of a series, listed or not.
    """
    ln_strike: uint256 = convert(math._wad_ln(convert(strike, int256)), uint256)
    return series._pack(underlying, is_call, expiry, strike, ln_strike)


@external
@view
def hash_quote(quote: Quote) -> bytes32:
    """
    @notice EIP-712 digest that the quoter signs.
    """
    return self._hash_quote(quote)


# ---------------------------------------------------------------- internals


@internal
def _place(underlying: uint256, units: uint256):
    """
    @notice Have units that makers have lost delivered to a venue, or remember them: no missing venue stops a settlement.
    """
    venue: IVenue = extcall VAULT.take_in_kind(underlying, units)
    if venue == empty(IVenue):
        self.unplaced[underlying] += units
        log Unplaced(underlying=underlying, units=units)
    else:
        extcall self.clearing_house.deliver_to(venue, underlying, units)


@internal
def _set_budgets(budgets: Budgets):
    self.budgets = budgets
    log BudgetsSet(budgets=budgets)


@internal
def _trade(quote: Quote, size: uint256, signer: address, signature: Bytes[65], writes: bool):
    """
    @notice Everything of a fill but handing out what was sold, which calls the taker and comes last.
    @param writes Whether the caller, who sells, writes anew.
    """
    extcall VAULT.acquire()
    quote_hash: bytes32 = self._check_quote(quote, size, signer, signature)
    self.filled[quote_hash] += size
    book: DynArray[uint256, 32] = self._live
    i: uint256 = self._index(book, quote.series)
    spot: uint256 = 0
    above_bid: uint256 = 0
    spot, above_bid = self._check_market(quote)

    change: int256 = convert(size, int256)
    premium: uint256 = 0
    if quote.vault_sells:
        premium = (quote.price * size + _USDC_UNIT - 1) // _USDC_UNIT
        assert extcall USDC.transferFrom(msg.sender, VAULT.address, premium, default_return_value=True), "book: transfer"
        written: Written = self.written[quote.series]
        written.vault += convert(size, uint128)
        self.written[quote.series] = written
        change = -change
    else:
        premium = quote.price * size // _USDC_UNIT
        self._take(quote.series, size, msg.sender, writes)

    after: DynArray[uint256, 32] = book
    after[i] = series._with_position(book[i], series._position(book[i]) + change)
    self._live[i] = after[i]
    log Filled(
        series=quote.series,
        taker=msg.sender,
        quote_hash=quote_hash,
        vault_sells=quote.vault_sells,
        written=writes,
        size=size,
        premium=premium,
    )
    nav: int256 = 0
    reduces: bool = False
    nav, reduces = extcall VAULT.on_fill(book, after, quote.series, quote.vault_sells, premium, msg.sender)
    self._spend_vega(quote.series, size, spot, nav)
    if not quote.vault_sells and not reduces:
        assert above_bid == 0, "fill: above the bid mark"
        assert staticcall VAULT.accepts_new_risk(), "book: vault is reduce-only"
    if above_bid > 0:
        extcall self.hedger.book_loss((above_bid * size + _W - 1) // _W, nav)


@internal
def _take(id: uint256, size: uint256, seller: address, writes: bool):
    """
    @notice What the vault buys: tokens that cease to be, or an option that the seller writes.
    """
    written: Written = self.written[id]
    if writes:
        extcall self.clearing_house.lock(id, seller, size)
        written.maker += convert(size, uint128)
    else:
        extcall self.token.burn(seller, id, size)
        written.vault -= convert(size, uint128)
    self.written[id] = written


@internal
def _spend_vega(id: uint256, size: uint256, spot: uint256, nav: int256):
    """
    @param nav Before the fill, WAD.
    """
    assert nav > 0, "fill: no NAV"
    root: uint256 = isqrt((series._expiry(id) - block.timestamp) * 10**36 // _YEAR)
    vega: uint256 = size * spot // _W * root // _W * _VEGA // _W
    share: uint256 = vega * _W // convert(nav, uint256) + 1
    b: Budgets = self.budgets
    assert share <= leaky_bucket._available(self._vega, b.vega_capacity, b.vega_per_day), "fill: vega traded"
    self._vega = leaky_bucket._spend(self._vega, share, b.vega_capacity, b.vega_per_day)


@internal
@view
def _is_cancelled(signer: address, nonce: uint256) -> bool:
    return nonce < self.nonce_floor[signer] or (self._cancelled[signer][nonce >> 8] >> (nonce & 255)) & 1 == 1


@internal
@view
def _hash_quote(quote: Quote) -> bytes32:
    return eip712_domain_separator._hash_typed_data_v4(keccak256(abi_encode(_QUOTE_TYPE_HASH, quote)))


@internal
@view
def _check_quote(quote: Quote, size: uint256, signer: address, signature: Bytes[65]) -> bytes32:
    quote_hash: bytes32 = self._hash_quote(quote)
    assert roles._has(signer, roles.Role.QUOTER), "quote: signer is not a quoter"
    assert signature_checker._is_valid_signature_now(signer, quote_hash, signature), "quote: signature"
    assert block.timestamp <= quote.deadline, "quote: expired"
    assert quote.deadline - block.timestamp <= _MAX_QUOTE_LIFE, "quote: lives too long"
    assert quote.taker == empty(address) or quote.taker == msg.sender, "quote: for another taker"
    assert not self._is_cancelled(signer, quote.nonce), "quote: cancelled"
    assert size > 0 and self.filled[quote_hash] + size <= quote.size, "quote: size exceeded"
    assert size >= self.listings[series._underlying(quote.series)].min_fill, "quote: below minimum fill"
    return quote_hash


@internal
@view
def _check_market(quote: Quote) -> (uint256, uint256):
    """
    @return Spot, and how far a purchase's price is above the bid mark, USDC per unit, WAD.
    """
    expiry: uint256 = series._expiry(quote.series)
    assert expiry > block.timestamp + _LAST_FILL, "fill: last hour"
    marks: IOptionPricer.Marks = staticcall PRICER.marks(quote.series)
    assert block.timestamp - marks.posted_at <= _MAX_SURFACE_AGE, "fill: surface too old"
    assert marks.deviations <= _MAX_DEVIATIONS, "fill: too far from the money"
    move: uint256 = max(marks.spot, quote.reference_spot) - min(marks.spot, quote.reference_spot)
    tolerance: uint256 = min(quote.spot_tolerance, _MAX_SPOT_TOLERANCE)
    assert move * _W <= quote.reference_spot * tolerance, "fill: spot moved"
    if quote.vault_sells:
        assert staticcall VAULT.accepts_new_risk(), "book: vault is reduce-only"
        assert expiry - block.timestamp >= _MIN_TENOR, "fill: tenor too short"
        assert quote.price >= marks.ask, "fill: below the ask mark"
        return marks.spot, 0
    assert quote.price <= max(marks.bid, marks.mid), "fill: above the middle"
    return marks.spot, quote.price - min(marks.bid, quote.price)


@internal
@pure
def _index(book: DynArray[uint256, 32], id: uint256) -> uint256:
    i: uint256 = 0
    for slot: uint256 in book:
        if series._id(slot) == id:
            return i
        i += 1
    raise "book: series not listed"


@internal
def _remove(i: uint256):
    self._live[i] = self._live[len(self._live) - 1]
    self._live.pop()
