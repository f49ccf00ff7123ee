# pragma version 0.4.3
"""
@title fees
@notice A vault's management and performance fee, owed in shares.

        What is owed dilutes from the second it is earned, in every price, and is minted at most every 30 days: minting moves no
        price. Management is a share of the supply a year. Performance is a share of what `nav_bid` per share, after management,
        exceeds the mark by; until it is minted it falls again with the price. Minting raises the mark to the price after the fee,
        and nothing lowers it.

        The mark is per share and one for all. Who enters above it raises it to the average of itself and of what he paid, weighted
        by shares: what was owed before him is owed still and he adds nothing. Who enters below it is carried free up to it. Who
        leaves has his part of the fee set aside: it no longer falls with the price.

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
# @param crystallised_at  When fees were last minted, or the first deposit into an empty vault was made.
# @param mark             Asset per share above which performance is charged.
struct Accrual:
    owed: uint256
    accrued_at: uint256
    crystallised_at: uint256
    mark: uint256


event FeesSet:
    terms: Terms


event FeesCrystallised:
    recipient: indexed(address)
    shares: uint256
    mark: uint256


_FEE_WAD: constant(uint256) = 10**18
_FEE_YEAR: constant(uint256) = 365 * 86400
_PERIOD: constant(uint256) = 30 * 86400
_MAX_MANAGEMENT: constant(uint256) = 2 * 10**16
_MAX_PERFORMANCE: constant(uint256) = 20 * 10**16

terms: public(Terms)
accrual: public(Accrual)


@internal
def _set_terms(terms: Terms):
    assert terms.management <= _MAX_MANAGEMENT and terms.performance <= _MAX_PERFORMANCE, "fees: above the cap"
    assert terms.recipient != empty(address) or terms.management + terms.performance == 0, "fees: no recipient"
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
    accrual: Accrual = self.accrual
    if supply == 0:
        accrual.mark = self._ratio((nav + paid) * _FEE_WAD, before + shares)
        accrual.crystallised_at = block.timestamp
    elif paid * _FEE_WAD > accrual.mark * shares:
        accrual.mark = self._ratio(accrual.mark * before + paid * _FEE_WAD, before + shares)
    accrual.owed = before - supply - virtual
    accrual.accrued_at = block.timestamp
    self.accrual = accrual


@internal
def _on_exit(supply: uint256, virtual: uint256, shares: uint256, nav: uint256):
    """
    @notice Before `shares` are burned and paid for at `nav`. What is set aside of their fee enters at that price.
    """
    before: uint256 = self._diluted(supply, virtual)
    performance: uint256 = self._performance(supply, before, nav)
    accrual: Accrual = self.accrual
    aside: uint256 = performance * shares // before
    if aside > 0:
        worth: uint256 = nav * _FEE_WAD // (before + performance) * aside
        rest: uint256 = before - shares
        accrual.mark = self._ratio(accrual.mark * rest + worth, rest + aside)
    accrual.owed = before - supply - virtual + aside
    accrual.accrued_at = block.timestamp
    self.accrual = accrual


@internal
def _settle_fees(supply: uint256, virtual: uint256, nav: uint256) -> uint256:
    """
    @return Shares to mint to the recipient; from here on nothing is owed.
    """
    before: uint256 = self._diluted(supply, virtual)
    after: uint256 = before + self._performance(supply, before, nav)
    mark: uint256 = max(self.accrual.mark, self._ratio(nav * _FEE_WAD, after))
    self.accrual = Accrual(owed=0, accrued_at=block.timestamp, crystallised_at=block.timestamp, mark=mark)
    minted: uint256 = after - supply - virtual
    log FeesCrystallised(recipient=self.terms.recipient, shares=minted, mark=mark)
    return minted


@internal
@view
def _check_period():
    assert block.timestamp >= self.accrual.crystallised_at + _PERIOD, "fees: not yet 30 days"


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
