# pragma version 0.4.3
"""
@title fees
@notice A vault's management and performance fee, owed in shares.

        What is owed dilutes from the second it is earned, in every price, and is minted at most every 30 days: minting moves no
        price. Management is a share of the supply a year. Performance is a share of what `nav_bid` per share, after management,
        exceeds the mark by; until it is minted it falls again with the price. Minting raises the mark to the price after the fee.

        The mark is per share and one for all. Who enters above it raises it to the average of itself and of what he paid, weighted
        by shares: what was owed before him is owed still and he adds nothing. Who enters below it is carried free up to it. Who
        leaves has his part of the fee set aside: it no longer falls with the price.

        Come and gone. Shares that leave are first those that came lately: what came is remembered, and fades in
        about a day: it shrinks by the part of a day since the last entry or exit, of which there may be many.
        They leave as they came, the mark goes back by as much as they had raised it, and nothing is set aside: else whoever
        enters and leaves at once would set aside the fee of all others. The last holder leaves nobody: his is set aside.

        New terms mint nothing. A higher performance fee takes nothing of gains before it: the mark rises so that what is owed
        stays as it was.

        Shares include the virtual ones, NAV the virtual unit of the asset. All in WAD, rounded against the recipient.
"""


# @param recipient    Whom shares are minted to.
# @param management   Share of the supply a year.
# @param performance  Share of the gain over the mark.
struct Terms:
    recipient: address
    management: uint256
    performance: uint256


# @param owed             Shares set aside: management until `accrued_at`, performance of those who left.
# @param accrued_at       When management was last added.
# @param crystallised_at  When fees were last minted, or before that the first deposit was made.
# @param mark             Asset per share above which performance is charged.
# @param entered          Shares that came lately, at `accrued_at`.
struct Accrual:
    owed: uint256
    accrued_at: uint256
    crystallised_at: uint256
    mark: uint256
    entered: uint256


event FeesSet:
    terms: Terms


event FeesCrystallised:
    recipient: indexed(address)
    shares: uint256
    mark: uint256


_FEE_WAD: constant(uint256) = 10**18
_FEE_YEAR: constant(uint256) = 365 * 86400
_PERIOD: constant(uint256) = 30 * 86400
_LATELY: constant(uint256) = 86400
_MAX_MANAGEMENT: constant(uint256) = 2 * 10**16
_MAX_PERFORMANCE: constant(uint256) = 20 * 10**16

terms: public(Terms)
accrual: public(Accrual)


@internal
def _set_terms(terms: Terms, supply: uint256, virtual: uint256, nav: uint256):
    assert terms.management <= _MAX_MANAGEMENT and terms.performance <= _MAX_PERFORMANCE, "fees: above the cap"
    assert terms.recipient != empty(address), "fees: no recipient"
    before: uint256 = self._diluted(supply, virtual)
    accrual: Accrual = self._accrued(before - supply - virtual)
    base: uint256 = self._ratio(accrual.mark * before, _FEE_WAD)
    if supply > 0 and nav > base and terms.performance > self.terms.performance:
        gain: uint256 = (nav - base) * self.terms.performance // terms.performance
        accrual.mark = self._ratio((nav - gain) * _FEE_WAD, before)
    self.accrual = accrual
    self.terms = terms
    log FeesSet(terms=terms)


@internal
@view
def _effective(supply: uint256, virtual: uint256, nav: uint256) -> uint256:
    """
    @return Shares that NAV is divided by: the supply, the virtual shares, and what minting the fees now would add.
    """
    shares: uint256 = self._diluted(supply, virtual)
    return shares + self._performance(supply, shares, nav)


@internal
def _on_entry(supply: uint256, virtual: uint256, shares: uint256, paid: uint256, nav: uint256):
    """
    @notice Before `shares` are minted for `paid` at `nav`. An empty vault starts anew, at the price after the entry: what was paid
            for a share can be far more when it was for a few, and nothing would lower the mark again.
    """
    before: uint256 = self._diluted(supply, virtual)
    accrual: Accrual = self._accrued(before - supply - virtual)
    if supply == 0:
        accrual.mark = self._ratio((nav + paid) * _FEE_WAD, before + shares)
        if accrual.crystallised_at == 0:
            accrual.crystallised_at = block.timestamp
    elif paid * _FEE_WAD > accrual.mark * shares:
        accrual.mark = self._ratio(accrual.mark * before + paid * _FEE_WAD, before + shares)
    accrual.entered += shares
    self.accrual = accrual


@internal
def _on_exit(supply: uint256, virtual: uint256, shares: uint256, nav: uint256):
    """
    @notice Before `shares` are burned and paid for at `nav`. What is set aside of their fee enters at that price.
    """
    before: uint256 = self._diluted(supply, virtual)
    performance: uint256 = self._performance(supply, before, nav)
    accrual: Accrual = self._accrued(before - supply - virtual)
    lately: uint256 = min(shares, accrual.entered) if shares < supply else 0
    accrual.entered -= lately
    if performance > 0:
        price: uint256 = nav * _FEE_WAD // (before + performance)
        rest: uint256 = before - lately
        marked: uint256 = accrual.mark * before
        accrual.mark = self._ratio(marked - min(marked, price * lately), rest)
        aside: uint256 = performance * (shares - lately) // rest
        rest -= shares - lately
        accrual.mark = self._ratio(accrual.mark * rest + price * aside, rest + aside)
        accrual.owed += aside
    self.accrual = accrual


@internal
def _settle_fees(supply: uint256, virtual: uint256, nav: uint256) -> uint256:
    """
    @return Shares to mint to the recipient; from here on nothing is owed.
    """
    before: uint256 = self._diluted(supply, virtual)
    after: uint256 = before + self._performance(supply, before, nav)
    mark: uint256 = max(self.accrual.mark, self._ratio(nav * _FEE_WAD, after))
    accrual: Accrual = self._accrued(0)
    accrual.crystallised_at = block.timestamp
    accrual.mark = mark
    self.accrual = accrual
    minted: uint256 = after - supply - virtual
    log FeesCrystallised(recipient=self.terms.recipient, shares=minted, mark=mark)
    return minted


@internal
@view
def _check_period():
    assert block.timestamp >= self.accrual.crystallised_at + _PERIOD, "fees: not yet 30 days"


@internal
@view
def _accrued(owed: uint256) -> Accrual:
    """
    @return The accounts brought up to now, with what is owed.
    """
    accrual: Accrual = self.accrual
    elapsed: uint256 = min(block.timestamp - accrual.accrued_at, _LATELY)
    accrual.entered -= accrual.entered * elapsed // _LATELY
    accrual.accrued_at = block.timestamp
    accrual.owed = owed
    return accrual


@internal
@view
def _diluted(supply: uint256, virtual: uint256) -> uint256:
    """
    @return Supply, virtual shares and what is owed before performance.
    """
    elapsed: uint256 = block.timestamp - self.accrual.accrued_at
    management: uint256 = supply * self.terms.management // _FEE_WAD * elapsed // _FEE_YEAR
    return supply + virtual + self.accrual.owed + management


@internal
@view
def _performance(supply: uint256, shares: uint256, nav: uint256) -> uint256:
    """
    @return Shares owed for the gain of `shares` over the mark; none when all holders have left.
    """
    base: uint256 = self._ratio(self.accrual.mark * shares, _FEE_WAD)
    if supply == 0 or nav <= base:
        return 0
    fee: uint256 = (nav - base) * self.terms.performance // _FEE_WAD
    return shares * fee // (nav - fee)


@internal
@pure
def _ratio(x: uint256, y: uint256) -> uint256:
    return (x + y - 1) // y
