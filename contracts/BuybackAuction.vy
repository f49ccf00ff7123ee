# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title BuybackAuction
@license AGPL-3.0
@notice Buys short options back at a price that rises with time: in a liquidation until equity is 1.25 times maintenance margin;
        in a rescue of the RedemptionQueue until its pool can be paid. It holds nothing and has no settings; for the time of a
        bid it takes the Vault's lock.

        Opening. Anyone, once equity at middle marks on the present surface has been below maintenance margin for five minutes by
        the Hedger's record, and is so now. It ends at the target, or after an hour: then it is opened anew.

        Rescue. Anyone opens it once shares have waited in the queue's pool for seven days after their close and cannot be
        paid whole, and only above maintenance margin: below it all holders bear what it costs. What is missing is their worth at
        `nav_bid`, less cash or what equity has above initial margin, whichever is less. Each bid must make it smaller, by a
        quarter at most, and what it costs in equity, at the middle or at `nav_bid`, is burned from the pool's shares at
        `nav_bid`: no other share is worth less than before. It costs the pool at most a tenth of its worth, and a tenth a day.

        Bids. Each buys back a part of one series, from the bidder's tokens or written by him against full collateral, and
        unwinds in the same call what hedged it: bought back alone, the hedge that is left would be a bet. Legs go towards
        neutral only, and are no larger than the delta that was bought back. In a liquidation equity / maintenance margin must
        rise. No limit may end farther from its band, and a bid takes at most a quarter of the shortfall.

        Price. The mark on the lowest surface of the trailing window, so that nobody is paid for moving it, and a premium: it
        rises over 15 minutes to the smaller of 15 % of that mark and 30 % of the margin that the bid releases. A bid sets the
        clock back, by half when it takes all it may: the next one is paid less, and to cut a bid in pieces brings less than
        to make it.

        Budget. What bids of a liquidation cost, premiums and unwinding together, comes from a bucket of its own. With no
        equity left nothing is bought: the first would be paid in full, and the others from what remains.
@custom:kill Nothing to stop: it is open only below maintenance margin or for a queue that is not paid, and holds no funds.
"""

from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from .interfaces import IHedger
from .interfaces import IOptionBook
from .interfaces import IOptionPricer
from .interfaces import IRedemptionQueue
from .interfaces import IRiskEngine
from .interfaces import IVault
from .modules import leaky_bucket
from .modules import legs as hedges
from .modules import series


event Opened:
    for_queue: bool
    shortfall: int256


event Closed:
    pass


# @notice A bid that was taken.
# @param price     USDC paid.
# @param released  Maintenance margin that it released, USDC in WAD.
# @param cost      What equity lost by it, USDC in WAD.
event BidTaken:
    bidder: indexed(address)
    series: indexed(uint256)
    size: uint256
    price: uint256
    released: int256
    cost: uint256


_W: constant(uint256) = 10**18
_WAD: constant(int256) = 10**18
_SUSTAINED: constant(uint256) = 300  # seconds below maintenance margin before it opens
_LASTS: constant(uint256) = 3600
_RISES: constant(uint256) = 900
_TARGET: constant(int256) = 125 * 10**16
_OF_MARK: constant(uint256) = 15 * 10**16
_OF_RELEASED: constant(uint256) = 30 * 10**16
_PART: constant(int256) = 4  # of the shortfall a bid takes at most the fourth part,
_LEAST: constant(int256) = 200  # or half a per cent of maintenance margin, so that it comes to an end
_WAITED: constant(uint256) = 7 * 86400  # seconds that shares wait before a rescue
_OVERSHOOT: constant(uint256) = 20  # of a leg a twentieth part may go past neutral, which moves while a bid waits
_DUST: constant(uint256) = 10**12  # units, WAD, by which legs may be rounded
_CAPACITY: constant(uint256) = 10**17
_PER_DAY: constant(uint256) = 10**17

VAULT: public(immutable(IVault))
OPTION_BOOK: public(immutable(IOptionBook))
HEDGER: public(immutable(IHedger))
RISK: public(immutable(IRiskEngine))
PRICER: public(immutable(IOptionPricer))
_UNIT: immutable(uint256)  # WAD per smallest unit of USDC

opened_at: public(uint256)  # zero when closed
for_queue: public(bool)  # whether it is a rescue
clock: public(uint256)  # since when the premium has risen
shortfall: public(int256)  # to the target at the opening, USDC in WAD
_costs: leaky_bucket.Bucket
_costs_of_pool: leaky_bucket.Bucket


@deploy
def __init__(vault: IVault, option_book: IOptionBook, hedger: IHedger, risk: IRiskEngine, pricer: IOptionPricer):
    VAULT = vault
    OPTION_BOOK = option_book
    HEDGER = hedger
    RISK = risk
    PRICER = pricer
    decimals: uint256 = convert(staticcall IERC20Detailed(staticcall IERC4626(vault.address).asset()).decimals(), uint256)
    _UNIT = 10 ** (18 - decimals)


@external
def open():
    """
    @notice Open the auction. Anyone, after five minutes below maintenance margin.
    """
    assert not self._is_open() or self.for_queue, "auction: open already"
    since: uint256 = staticcall HEDGER.distressed_since()
    assert since > 0 and block.timestamp >= since + _SUSTAINED, "auction: not for five minutes"
    a: IRiskEngine.Assessment = staticcall VAULT.assessment()
    self._require_known(a)
    assert a.nav_mid < a.maintenance, "auction: above maintenance"
    self._open(False, self._shortfall(a, 0))


@external
def open_rescue():
    """
    @notice Open a rescue of the RedemptionQueue. Anyone, seven days after the close of an epoch whose shares cannot be paid.
    """
    assert not self._is_open(), "auction: open already"
    a: IRiskEngine.Assessment = staticcall VAULT.assessment()
    self._require_known(a)
    missing: int256 = self._shortfall(a, self._share_price(a))
    assert missing > 0, "auction: target reached"
    self._open(True, missing)


@external
def close():
    """
    @notice Close it once the target is reached without a bid. Anyone.
    """
    assert self._is_open(), "auction: closed"
    a: IRiskEngine.Assessment = staticcall VAULT.assessment()
    self._require_known(a)
    assert self.for_queue or self._shortfall(a, 0) <= 0, "auction: below target"
    assert not self.for_queue or self._is_paid(self._queue()), "auction: below target"
    self._close()


@external
def bid(id: uint256, size: uint256, writes: bool, legs: DynArray[hedges.Leg, 8], least: uint256) -> uint256:
    """
    @notice Sell the vault back what it has written, and trade its hedges accordingly. Anyone, while the auction is open.
    @param id A series that the vault is short of.
    @param size Units, WAD, a multiple of 1e-9.
    @param writes True to write options to the vault against full collateral; else the bidder's tokens are burned.
    @param legs Trades of hedges in the series' underlying, together no more than the delta that is bought back and a twentieth;
           a twentieth of each may go past neutral.
    @param least Lowest payment that the bidder accepts, USDC.
    @return USDC paid to the bidder.
    """
    assert self._is_open(), "auction: closed"
    before: IRiskEngine.Assessment = staticcall VAULT.assessment()
    self._require_known(before)
    share: uint256 = self._share_price(before) if self.for_queue else 0
    extcall VAULT.acquire()
    venues: DynArray[IRiskEngine.Listed, 8] = staticcall VAULT.all_venues()
    missing: int256 = self._shortfall(before, share)
    assert missing > 0, "auction: target reached"

    extcall OPTION_BOOK.buy_back(id, size, msg.sender, writes)
    options: Bytes[3328] = staticcall RISK.option_state(staticcall OPTION_BOOK.live_book())
    self._unwind(legs, id, venues, before, staticcall RISK.assess_with(options, venues, staticcall VAULT.cash()))
    after: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    released: int256 = before.maintenance - after.maintenance
    price: uint256 = self._price(id, size, released)
    assert price >= least, "auction: price below the least"
    extcall VAULT.pay_out(msg.sender, price)
    after = self._less(after, convert(price * _UNIT, int256))
    cost: uint256 = self._charge(before, after, share)
    left: int256 = self._shortfall(after, share)
    self._check(before, after, missing, left)

    extcall VAULT.observe(after)
    extcall VAULT.release()
    log BidTaken(bidder=msg.sender, series=id, size=size, price=price, released=released, cost=cost)
    if left <= 0:
        self._close()
    return price


@external
@view
def is_open() -> bool:
    """
    @notice Whether bids are taken.
    """
    return self._is_open()


@external
@view
def premium() -> uint256:
    """
    @notice How much of the highest premium is paid now, WAD.
    """
    return self._elapsed() * _W // _RISES


@external
@view
def cost_budget() -> uint256:
    """
    @notice What bids may still cost, WAD share of NAV, or of maintenance margin where that is more; in a rescue, of the pool.
    """
    return leaky_bucket._available(self._costs_of_pool if self.for_queue else self._costs, _CAPACITY, _PER_DAY)


@internal
@view
def _is_open() -> bool:
    return self.opened_at > 0 and block.timestamp < self.opened_at + _LASTS


@internal
def _open(for_queue: bool, shortfall: int256):
    self.opened_at = block.timestamp
    self.clock = block.timestamp
    self.for_queue = for_queue
    self.shortfall = shortfall
    log Opened(for_queue=for_queue, shortfall=shortfall)


@internal
def _close():
    self.opened_at = 0
    log Closed()


@internal
@pure
def _require_known(a: IRiskEngine.Assessment):
    assert not a.venue_failed, "risk: a venue does not answer"
    assert not a.unfixed, "vault: settle the expired series first"


@internal
@view
def _queue() -> IRedemptionQueue:
    return IRedemptionQueue(staticcall VAULT.redemption_queue())


@internal
@view
def _is_paid(queue: IRedemptionQueue) -> bool:
    """
    @return Whether the whole pool of the queue can be paid, with what is lent.
    """
    return staticcall IERC4626(VAULT.address).maxRedeem(queue.address) >= staticcall queue.pooled()


@internal
@view
def _share_price(a: IRiskEngine.Assessment) -> uint256:
    """
    @notice Refuse a rescue that may not be. The Vault must not be locked.
    @return `nav_bid` per share, WAD.
    """
    queue: IRedemptionQueue = self._queue()
    since: uint256 = staticcall queue.due_since()
    assert since > 0 and block.timestamp >= since + _WAITED, "auction: not for seven days"
    assert not self._is_paid(queue), "auction: the queue can be paid"
    assert a.nav_mid >= a.maintenance and a.nav_bid > 0, "auction: below maintenance"
    return (convert(a.nav_bid, uint256) + _UNIT) * _W // (staticcall VAULT.effective_supply() + _UNIT)


@internal
@view
def _pool_worth(share: uint256) -> int256:
    return convert((staticcall self._queue().pooled()) * share // _W, int256)


@internal
@view
def _shortfall(a: IRiskEngine.Assessment, share: uint256) -> int256:
    """
    @param share Price of a share in a rescue; zero in a liquidation.
    @return What equity lacks to the target, USDC in WAD; or what cash or margin lack to pay the pool.
    """
    target: int256 = a.maintenance * _TARGET // _WAD
    if share == 0:
        return target - a.nav_mid
    return self._pool_worth(share) - min(staticcall VAULT.cash(), a.nav_bid - target)


@internal
@view
def _elapsed() -> uint256:
    return min(block.timestamp - self.clock, _RISES) if self._is_open() else 0


@internal
@pure
def _less(a: IRiskEngine.Assessment, amount: int256) -> IRiskEngine.Assessment:
    """
    @return The assessment after so much cash has left, WAD: margins do not depend on cash.
    """
    less: IRiskEngine.Assessment = a
    less.nav_bid -= amount
    less.nav_mid -= amount
    less.nav_ask -= amount
    less.gap_headroom -= amount
    return less


@internal
def _unwind(
    legs: DynArray[hedges.Leg, 8],
    id: uint256,
    venues: DynArray[IRiskEngine.Listed, 8],
    before: IRiskEngine.Assessment,
    a: IRiskEngine.Assessment,
):
    """
    @notice Trade the hedges of a series' underlying towards neutral, no more than what its options had hedged.
    @param before, a The book before and after the options were bought back.
    """
    u: uint256 = series._underlying(id)
    delta: int256 = a.delta[u]
    room: uint256 = convert(abs(delta - before.delta[u]), uint256)
    room += room // _OVERSHOOT + _DUST
    slippage: uint256 = hedges._slippage(block.timestamp - self.opened_at)
    for leg: hedges.Leg in legs:
        assert venues[leg.venue].underlying == u, "auction: other underlying"
        units: int256 = 0
        cost: hedges.Charge = empty(hedges.Charge)
        units, cost = hedges._trade(VAULT, leg, a.spot[u], 0, delta, slippage, hedges.NO_SEQUENCE)
        size: uint256 = convert(abs(units), uint256)
        away: uint256 = size - hedges._towards(delta, units)
        assert away * _OVERSHOOT <= size, "auction: away from neutral"
        assert size <= room, "auction: more than its hedge"
        room -= size
        delta += units


@internal
@view
def _price(id: uint256, size: uint256, released: int256) -> uint256:
    """
    @return What is paid for so much of a series now, USDC.
    """
    assert released > 0, "auction: releases no margin"
    mark: uint256 = (staticcall PRICER.lowest(id)) * size // _W
    highest: uint256 = min(mark * _OF_MARK // _W, convert(released, uint256) * _OF_RELEASED // _W)
    return (mark + highest * self._elapsed() // _RISES) // _UNIT


@internal
def _charge(before: IRiskEngine.Assessment, after: IRiskEngine.Assessment, share: uint256) -> uint256:
    """
    @notice Charge what a bid cost to its bucket; in a rescue, to the shares that wait.
    @return It, USDC in WAD.
    """
    lost: int256 = max(before.nav_mid - after.nav_mid, 0)
    if share == 0:
        cost: uint256 = convert(lost, uint256)
        self._costs = leaky_bucket._spend(self._costs, hedges._share(cost, hedges._base(before)), _CAPACITY, _PER_DAY)
        return cost
    cost: uint256 = convert(max(lost, before.nav_bid - after.nav_bid), uint256)
    part: uint256 = hedges._share(cost, self._pool_worth(share))
    self._costs_of_pool = leaky_bucket._spend(self._costs_of_pool, part, _CAPACITY, _PER_DAY)
    extcall self._queue().bear((cost * _W + share - 1) // share)
    return cost


@internal
def _check(before: IRiskEngine.Assessment, after: IRiskEngine.Assessment, missing: int256, left: int256):
    """
    @notice Refuse what a bid may not leave behind, and set the clock back.
    @param missing, left The shortfall before and after it.
    """
    assert not after.venue_failed, "risk: a venue does not answer"
    allowed: int256 = max(self.shortfall, missing) // _PART
    if self.for_queue:
        assert left < missing, "auction: nothing for the queue"
    else:
        allowed = max(allowed, hedges._base(before) // _LEAST)
        assert before.nav_mid > 0, "auction: no equity"
        assert after.nav_mid * before.maintenance > before.nav_mid * after.maintenance, "auction: health does not rise"
    nav: int256 = max(before.nav_mid, before.maintenance)
    was: int256[9] = staticcall RISK.breaches(before, nav)
    now: int256[9] = staticcall RISK.breaches(after, nav)
    for i: uint256 in range(9):
        assert now[i] <= was[i], "auction: a limit worse"

    taken: int256 = missing - left
    assert taken <= allowed, "auction: too much at once"
    elapsed: uint256 = self._elapsed()
    self.clock = block.timestamp - elapsed + elapsed * convert(taken, uint256) // convert(2 * allowed, uint256)
