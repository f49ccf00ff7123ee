# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title OptionBook
@license AGPL-3.0
@notice The vault's options: which series live, who trades them at what price, what they pay.

        Series. European calls and puts on a grid of strikes, expiring on a Friday at 08:00 UTC, at most 32 live: the keeper may
        fill 28, the governor all. Once those 28 are taken, anyone can delist a series without position.

        Trades. A taker fills a quote signed by a key with the QUOTER role (EIP-712; EOA or ERC-1271). Whoever holds that key, a
        sale is never below the ask mark and a purchase never above the bid mark, spot must be near the quote's, the surface
        fresh, and the Vault checks margin, gap and bands after it. Fills accumulate per quote up to its size.

        Settlement. At expiry anyone proves the fixing; the payout becomes a debt of the Vault at once, `fund` moves the cash
        here, holders claim. A fixing never changes and a token is paid once.
@custom:kill Revoke QUOTER and KEEPER: no fills, no listings. Settlement, funding and claims have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from snekmate.utils import ecdsa
from snekmate.utils import eip712_domain_separator
from snekmate.utils import math
from snekmate.utils import signature_checker
from .interfaces import IOptionBook
from .interfaces import IOptionPricer
from .interfaces import IOptionToken
from .interfaces import IPriceOracle
from .interfaces import IVault
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
# @param nonce           At least the signer's `nonce_floor`.
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


# @notice Units written on a series and still open, WAD.
struct Written:
    vault: uint128
    maker: uint128


# @param payout USDC per unit, WAD.
struct Settlement:
    done: bool
    payout: uint248


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
    size: uint256
    premium: uint256


event NonceFloorRaised:
    signer: indexed(address)
    nonce_floor: uint256


event Settled:
    series: indexed(uint256)
    fixing: uint256
    payout: uint256
    owed: uint256


event Funded:
    amount: uint256


event Claimed:
    series: indexed(uint256)
    holder: indexed(address)
    size: uint256
    amount: uint256


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
_QUOTE_TYPE_HASH: constant(bytes32) = keccak256(
    "Quote(uint256 series,bool vaultSells,uint256 price,uint256 size,address taker,uint256 deadline,uint256 nonce,uint256 referenceSpot,uint256 spotTolerance)"
)

VAULT: public(immutable(IVault))
PRICER: public(immutable(IOptionPricer))
PRICE_ORACLE: public(immutable(IPriceOracle))
USDC: public(immutable(IERC20))
_USDC_UNIT: immutable(uint256)  # WAD * WAD per smallest unit of USDC

token: public(IOptionToken)
listings: public(DynArray[Listing, 2])
written: public(HashMap[uint256, Written])
settlement: public(HashMap[uint256, Settlement])
filled: public(HashMap[bytes32, uint256])
nonce_floor: public(HashMap[address, uint256])
funded: public(uint256)

_live: DynArray[uint256, 32]


@deploy
def __init__(
    governor: address,
    vault: IVault,
    pricer: IOptionPricer,
    price_oracle: IPriceOracle,
    usdc: IERC20,
    listings: DynArray[Listing, 2],
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


@external
def wire(token: IOptionToken):
    """
    @notice Name the token contract. Governor only, once.
    """
    roles._check(roles.Role.GOVERNOR)
    assert self.token == empty(IOptionToken), "book: already wired"
    self.token = token


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
    @notice Close a live series in which the vault has no position. Keeper or governor; anyone once it has expired or the
            keeper's slots are taken.
    """
    i: uint256 = self._index(self._live, id)
    assert series._position(self._live[i]) == 0, "book: series has a position"
    if len(self._live) < _KEEPER_SERIES and series._expiry(id) > block.timestamp:
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
    extcall VAULT.acquire()
    quote_hash: bytes32 = self._check_quote(quote, size, signer, signature)
    self.filled[quote_hash] += size
    book: DynArray[uint256, 32] = self._live
    i: uint256 = self._index(book, quote.series)
    self._check_market(quote)

    change: int256 = convert(size, int256)
    premium: uint256 = 0
    written: Written = self.written[quote.series]
    if quote.vault_sells:
        premium = (quote.price * size + _USDC_UNIT - 1) // _USDC_UNIT
        assert extcall USDC.transferFrom(msg.sender, VAULT.address, premium, default_return_value=True), "book: transfer"
        written.vault += convert(size, uint128)
        change = -change
    else:
        premium = quote.price * size // _USDC_UNIT
        extcall self.token.burn(msg.sender, quote.series, size)
        written.vault -= convert(size, uint128)
    self.written[quote.series] = written

    after: DynArray[uint256, 32] = book
    after[i] = series._with_position(book[i], series._position(book[i]) + change)
    self._live[i] = after[i]
    log Filled(
        series=quote.series,
        taker=msg.sender,
        quote_hash=quote_hash,
        vault_sells=quote.vault_sells,
        size=size,
        premium=premium,
    )
    extcall VAULT.on_fill(book, after, quote.series, quote.vault_sells, premium, msg.sender)
    extcall VAULT.release()
    if quote.vault_sells:
        extcall self.token.mint(msg.sender, quote.series, size)


@external
def raise_nonce_floor(nonce: uint256):
    """
    @notice Cancel all quotes that the caller signed with a lower nonce.
    """
    assert nonce > self.nonce_floor[msg.sender], "quote: floor only rises"
    self.nonce_floor[msg.sender] = nonce
    log NonceFloorRaised(signer=msg.sender, nonce_floor=nonce)


# ---------------------------------------------------------------- settlement


@external
def settle(underlying: uint256, expiry: uint256, round_id: uint80, usdc_round_id: uint80):
    """
    @notice Fix an expiry and book what its series pay. Anyone; the proof is PriceOracle.fix's.
    """
    extcall VAULT.acquire()
    fixing: uint256 = extcall PRICE_ORACLE.fix(underlying, expiry, round_id, usdc_round_id)
    total: uint256 = 0
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
        payout: uint256 = self._payout(slot, fixing)
        owed: uint256 = (convert(self.written[id].vault, uint256) * payout + _USDC_UNIT - 1) // _USDC_UNIT
        self.settlement[id] = Settlement(done=True, payout=convert(payout, uint248))
        total += owed
        self._remove(i)
        log Settled(series=id, fixing=fixing, payout=payout, owed=owed)
    assert found, "book: nothing to settle"
    extcall VAULT.book_owed(total)
    extcall VAULT.release()


@external
def fund():
    """
    @notice Move idle USDC that the Vault owes to holders here. Anyone.
    """
    extcall VAULT.acquire()
    self._fund()
    extcall VAULT.release()


@external
def claim(id: uint256) -> uint256:
    """
    @notice Burn the caller's tokens of a settled series and pay them out, funding them first when needed.
    @return USDC paid.
    """
    assert self.settlement[id].done, "claim: not settled"
    size: uint256 = staticcall self.token.balanceOf(msg.sender, id)
    assert size > 0, "claim: nothing held"
    amount: uint256 = size * convert(self.settlement[id].payout, uint256) // _USDC_UNIT
    if self.funded < amount:
        extcall VAULT.acquire()
        self._fund()
        extcall VAULT.release()
    assert self.funded >= amount, "claim: vault has not funded it yet"
    self.funded -= amount
    written: Written = self.written[id]
    written.vault -= convert(size, uint128)
    self.written[id] = written
    extcall self.token.burn(msg.sender, id, size)
    assert extcall USDC.transfer(msg.sender, amount, default_return_value=True), "book: transfer"
    log Claimed(series=id, holder=msg.sender, size=size, amount=amount)
    return amount


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
    assert quote.nonce >= self.nonce_floor[signer], "quote: cancelled"
    assert size > 0 and self.filled[quote_hash] + size <= quote.size, "quote: size exceeded"
    assert size >= self.listings[series._underlying(quote.series)].min_fill, "quote: below minimum fill"
    return quote_hash


@internal
@view
def _check_market(quote: Quote):
    expiry: uint256 = series._expiry(quote.series)
    assert expiry > block.timestamp + _LAST_FILL, "fill: last hour"
    marks: IOptionPricer.Marks = staticcall PRICER.marks(quote.series)
    assert block.timestamp - marks.posted_at <= _MAX_SURFACE_AGE, "fill: surface too old"
    move: uint256 = max(marks.spot, quote.reference_spot) - min(marks.spot, quote.reference_spot)
    tolerance: uint256 = min(quote.spot_tolerance, _MAX_SPOT_TOLERANCE)
    assert move * _W <= quote.reference_spot * tolerance, "fill: spot moved"
    if quote.vault_sells:
        assert staticcall VAULT.accepts_new_risk(), "book: vault is reduce-only"
        assert expiry - block.timestamp >= _MIN_TENOR, "fill: tenor too short"
        assert quote.price >= marks.ask, "fill: below the ask mark"
    else:
        assert quote.price <= marks.bid, "fill: above the bid mark"


@internal
def _fund():
    amount: uint256 = extcall VAULT.pay_owed()
    self.funded += amount
    log Funded(amount=amount)


@internal
@pure
def _payout(slot: uint256, fixing: uint256) -> uint256:
    strike: uint256 = series._strike(slot)
    if series._is_call(slot):
        return fixing - min(fixing, strike)
    return strike - min(fixing, strike)


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
