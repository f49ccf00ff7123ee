# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title ClearingHouse
@license AGPL-3.0
@notice Holds the money that belongs to holders of expired options and to makers, and nothing of the vault's.

        Payouts. A fixing makes what holders get a debt of the Vault. `fund` moves the cash here, as much of it as there is, and
        shares it among all series that are not funded yet in proportion to what they still lack. Each holder gets his part
        of what his series has been funded with, and the rest when more comes: who claims first gains nothing. What is here
        is never taken back.

        Shortfall. When the vault owes more than it has and every venue has been empty for seven days, anyone can have that
        recorded. It changes nobody's claim: recoveries still top everyone up.

        Makers. An option written to the vault is backed in full from the first second: strike * size USDC for a put, `size` units
        for a call. At the fixing what it pays goes to the vault in kind, and the maker takes the rest back whenever he likes.
        Units that a token would not let through wait here for their venue, which is flagged until they are there. Units that
        no venue can hold wait here, too, until one can (OptionBook).

        Rounding is against whoever is paid: holders and makers lose less than a unit per claim and series.
@custom:kill Nothing to stop: funding, claims and the return of collateral have no switch.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed
from .interfaces import IClearingHouse
from .interfaces import IOptionToken
from .interfaces import IRiskEngine
from .interfaces import IVault
from .interfaces import IVenue
from .modules import series

implements: IClearingHouse


interface IOptionBook:
    def draw() -> (uint256, uint256): nonpayable
    def token() -> IOptionToken: view


# @notice What a series pays, and how far it is funded.
# @param done             Whether it is settled.
# @param fixing           Price at expiry, USDC, WAD.
# @param payout           USDC per unit, WAD.
# @param round, unfunded  What they were when it was settled.
struct Settlement:
    done: bool
    fixing: uint256
    payout: uint256
    round: uint256
    unfunded: uint256


# @notice What a holder is entitled to in a series for the tokens that he has given up, and what he got of it, USDC.
struct Claim:
    amount: uint256
    paid: uint256


# @notice Units that a token did not let through.
struct Parcel:
    token: IERC20
    amount: uint256


# @notice What a maker has written, units in WAD, and the collateral that he gave, smallest units of its token.
struct Written:
    size: uint256
    collateral: uint256


event Settled:
    series: indexed(uint256)
    fixing: uint256
    payout: uint256
    owed: uint256
    from_makers: uint256


event Funded:
    amount: uint256
    still_owed: uint256


event Claimed:
    series: indexed(uint256)
    holder: indexed(address)
    size: uint256
    amount: uint256


event CollateralLocked:
    series: indexed(uint256)
    maker: indexed(address)
    size: uint256
    amount: uint256


event CollateralReturned:
    series: indexed(uint256)
    maker: indexed(address)
    amount: uint256


event Undelivered:
    venue: indexed(address)
    amount: uint256


event Delivered:
    venue: indexed(address)
    amount: uint256


event ShortfallDeclared:
    owed: uint256


_W: constant(uint256) = 10**18
_ALL: constant(uint256) = 2**180  # debts that together stay below 2**70 units of USDC leave room to multiply
_EMPTY_FOR: constant(uint256) = 7 * 86400
_TRANSFER_GAS: constant(uint256) = 200_000  # far more than a token needs

BOOK: public(immutable(IOptionBook))
VAULT: public(immutable(IVault))
USDC: public(immutable(IERC20))
_USDC_UNIT: immutable(uint256)  # WAD * WAD per smallest unit of USDC

tokens: public(DynArray[IERC20, 2])  # by underlying
settlement: public(HashMap[uint256, Settlement])
claims: public(HashMap[uint256, HashMap[address, Claim]])
written: public(HashMap[uint256, HashMap[address, Written]])
escrow: public(HashMap[address, uint256])  # by token, what is makers'
undelivered: public(HashMap[address, Parcel])  # by venue, what is its
funded: public(uint256)  # USDC that is holders'

# What part of a debt booked at the beginning of a round still lacks cash, times _ALL. Each funding makes it smaller, by
# the same factor for every debt; one that pays them all begins the next round.
unfunded: public(uint256)
round: public(uint256)
short_since: public(uint256)  # when all venues were first seen empty with debts left, zero when they are not
shortfall: public(uint256)  # USDC that was lacking when it was declared, zero once everybody is paid
_units: DynArray[uint256, 2]  # by underlying, WAD per smallest unit of its token


@deploy
def __init__(book: IOptionBook, vault: IVault, usdc: IERC20, tokens: DynArray[IERC20, 2]):
    BOOK = book
    VAULT = vault
    USDC = usdc
    _USDC_UNIT = 10 ** (36 - convert(staticcall IERC20Detailed(usdc.address).decimals(), uint256))
    for token: IERC20 in tokens:
        self.tokens.append(token)
        self._units.append(10 ** (18 - convert(staticcall IERC20Detailed(token.address).decimals(), uint256)))
    self.unfunded = _ALL


# ---------------------------------------------------------------- holders


@external
def fund() -> uint256:
    """
    @notice Move idle USDC that the Vault owes to holders here. Anyone.
    @return USDC moved.
    """
    return self._fund()


@external
def claim(id: uint256) -> uint256:
    """
    @notice Burn the caller's tokens of a settled series and pay what of its payout is funded, all as a rule. Call again for the
            rest once more has come.
    @return USDC paid.
    """
    settled: Settlement = self.settlement[id]
    assert settled.done, "claim: not settled"
    mine: Claim = self.claims[id][msg.sender]
    token: IOptionToken = staticcall BOOK.token()
    size: uint256 = staticcall token.balanceOf(msg.sender, id)
    assert size > 0 or mine.amount > mine.paid, "claim: nothing held"
    mine.amount += size * settled.payout // _USDC_UNIT
    if settled.round == self.round:
        self._fund()
    amount: uint256 = self._funded_part(settled, mine.amount) - mine.paid
    assert amount > 0 or mine.amount == 0, "claim: vault has not funded it yet"
    mine.paid += amount
    self.claims[id][msg.sender] = mine
    self.funded -= amount
    extcall token.burn(msg.sender, id, size)
    self._pay(USDC, msg.sender, amount)
    log Claimed(series=id, holder=msg.sender, size=size, amount=amount)
    return amount


@external
def declare_shortfall() -> bool:
    """
    @notice Have it recorded that the vault cannot pay what it owes: nothing idle, and every venue empty for seven days. The
            first call notes that they are. Anyone.
    @return Whether it is recorded now.
    """
    assert self.shortfall == 0, "shortfall: declared"
    self._fund()
    owed: uint256 = staticcall VAULT.owed()
    assert owed > 0, "shortfall: nothing is lacking"
    for listed: IRiskEngine.Listed in staticcall VAULT.all_venues():
        if listed.venue == empty(IVenue):
            continue  # its index was vacated
        venue: IVenue.VenueState = staticcall listed.venue.state(_W)
        if venue.exposure != 0 or venue.equity > convert(_W, int256):
            self.short_since = 0
            return False
    if self.short_since == 0:
        self.short_since = block.timestamp
    if block.timestamp < self.short_since + _EMPTY_FOR:
        return False
    self.shortfall = owed
    log ShortfallDeclared(owed=owed)
    return True


# ---------------------------------------------------------------- makers


@external
def take_back(id: uint256) -> uint256:
    """
    @notice Return what the caller's options of a settled series leave of his collateral.
    @return Smallest units of the token.
    """
    settled: Settlement = self.settlement[id]
    assert settled.done, "collateral: not settled"
    mine: Written = self.written[id][msg.sender]
    assert mine.size > 0, "collateral: nothing written"
    self.written[id][msg.sender] = empty(Written)
    amount: uint256 = mine.collateral - self._payoff(id, settled, mine.size, True)
    token: IERC20 = self._token(id)
    self.escrow[token.address] -= amount
    self._pay(token, msg.sender, amount)
    log CollateralReturned(series=id, maker=msg.sender, amount=amount)
    return amount


@external
def deliver(venue: IVenue):
    """
    @notice Send the units that could not be delivered to the venue they are for. Anyone.
    """
    parcel: Parcel = self.undelivered[venue.address]
    assert parcel.amount > 0, "collateral: nothing to deliver"
    self.undelivered[venue.address] = empty(Parcel)
    self._pay(parcel.token, venue.address, parcel.amount)
    log Delivered(venue=venue.address, amount=parcel.amount)


# ---------------------------------------------------------------- OptionBook


@external
def lock(id: uint256, maker: address, size: uint256):
    """
    @notice Take the collateral of options that a maker writes. OptionBook only.
    """
    self._check_book()
    amount: uint256 = self._collateral(id, size)
    token: IERC20 = self._token(id)
    before: uint256 = staticcall token.balanceOf(self)
    assert extcall token.transferFrom(maker, self, amount, default_return_value=True), "collateral: transfer"
    assert staticcall token.balanceOf(self) == before + amount, "collateral: transfer"
    self.escrow[token.address] += amount
    mine: Written = self.written[id][maker]
    self.written[id][maker] = Written(size=mine.size + size, collateral=mine.collateral + amount)
    log CollateralLocked(series=id, maker=maker, size=size, amount=amount)


@external
def settle(id: uint256, fixing: uint256, vault_written: uint256, maker_written: uint256) -> IClearingHouse.Due:
    """
    @notice Record what a series pays, and let go of what its makers have lost. OptionBook only, once per series.
    """
    self._check_book()
    settled: Settlement = Settlement(
        done=True, fixing=fixing, payout=self._payout(id, fixing), round=self.round, unfunded=self.unfunded
    )
    self.settlement[id] = settled
    lost: uint256 = self._payoff(id, settled, maker_written, False)
    self.escrow[self._token(id).address] -= lost
    due: IClearingHouse.Due = empty(IClearingHouse.Due)
    due.owed = (vault_written * settled.payout + _USDC_UNIT - 1) // _USDC_UNIT
    if series._is_call(id):
        due.units = lost
    else:
        due.usdc = lost
    log Settled(series=id, fixing=fixing, payout=settled.payout, owed=due.owed, from_makers=lost)
    return due


@external
def pay_vault(amount: uint256):
    """
    @notice Send the Vault what makers of puts have lost. OptionBook only.
    """
    self._check_book()
    self._pay(USDC, VAULT.address, amount)


@external
def deliver_to(venue: IVenue, underlying: uint256, amount: uint256):
    """
    @notice Send a venue what makers of calls have lost. OptionBook only. A token that refuses does not stop the settlement.
    """
    self._check_book()
    assert msg.gas > _TRANSFER_GAS, "collateral: not enough gas"  # or a call that is starved would pass for a refusal
    token: IERC20 = self.tokens[underlying]
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        token.address,
        abi_encode(venue.address, amount, method_id=method_id("transfer(address,uint256)")),
        max_outsize=32,
        revert_on_failure=False,
    )
    if not success or (len(response) > 0 and convert(response, uint256) == 0):
        self.undelivered[venue.address] = Parcel(token=token, amount=self.undelivered[venue.address].amount + amount)
        log Undelivered(venue=venue.address, amount=amount)


# ---------------------------------------------------------------- views


@external
@view
def claimable(id: uint256, holder: address) -> uint256:
    """
    @notice USDC of a settled series that is here for a holder, his tokens included.
    """
    settled: Settlement = self.settlement[id]
    if not settled.done:
        return 0
    mine: Claim = self.claims[id][holder]
    held: uint256 = staticcall (staticcall BOOK.token()).balanceOf(holder, id)
    return self._funded_part(settled, mine.amount + held * settled.payout // _USDC_UNIT) - mine.paid


@external
@view
def collateral_of(id: uint256, size: uint256) -> uint256:
    """
    @notice What writing `size` units of a series takes, smallest units of its token.
    """
    return self._collateral(id, size)


# ---------------------------------------------------------------- internals


@internal
@view
def _check_book():
    assert msg.sender == BOOK.address, "clearing: only option book"


@internal
def _fund() -> uint256:
    amount: uint256 = 0
    owed: uint256 = 0
    amount, owed = extcall BOOK.draw()
    if amount == 0:
        return 0
    self.funded += amount
    assert staticcall USDC.balanceOf(self) >= self.funded + self.escrow[USDC.address], "clearing: assets missing"
    self.short_since = 0
    if amount == owed:
        self.round += 1
        self.unfunded = _ALL
        self.shortfall = 0
    else:
        self.unfunded = (self.unfunded * (owed - amount) + owed - 1) // owed
    log Funded(amount=amount, still_owed=owed - amount)
    return amount


@internal
@view
def _funded_part(settled: Settlement, amount: uint256) -> uint256:
    """
    @return What of a claim of `amount` USDC is funded.
    """
    if settled.round < self.round:
        return amount
    return amount * (settled.unfunded - self.unfunded) // settled.unfunded


@internal
@view
def _token(id: uint256) -> IERC20:
    """
    @return What options of a series are backed with.
    """
    return self.tokens[series._underlying(id)] if series._is_call(id) else USDC


@internal
@view
def _collateral(id: uint256, size: uint256) -> uint256:
    if series._is_call(id):
        return self._ceil(size, self._units[series._underlying(id)])
    return self._ceil(series._strike(id) * size, _USDC_UNIT)


@internal
@pure
def _payout(id: uint256, fixing: uint256) -> uint256:
    """
    @return USDC per unit, WAD.
    """
    strike: uint256 = series._strike(id)
    if series._is_call(id):
        return fixing - min(fixing, strike)
    return strike - min(fixing, strike)


@internal
@view
def _payoff(id: uint256, settled: Settlement, size: uint256, round_up: bool) -> uint256:
    """
    @return What `size` units pay in kind, smallest units of the token: for a call what the payout buys at the fixing.
    """
    paid: uint256 = size * settled.payout
    unit: uint256 = _USDC_UNIT
    if series._is_call(id):
        unit = settled.fixing * self._units[series._underlying(id)]
    return self._ceil(paid, unit) if round_up else paid // unit


@internal
@pure
def _ceil(amount: uint256, unit: uint256) -> uint256:
    return (amount + unit - 1) // unit


@internal
def _pay(token: IERC20, receiver: address, amount: uint256):
    assert extcall token.transfer(receiver, amount, default_return_value=True), "clearing: transfer"
