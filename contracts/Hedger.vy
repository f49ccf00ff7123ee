# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title Hedger
@license AGPL-3.0
@notice Decides which hedges the vault may trade, and what they may cost. It holds nothing: the Vault has the cash and the
        venues, and lends its lock for the time of a call.

        Rebalance. The keeper's: up to eight legs in listed venues, each within its own limit price and `leg_slippage` of the
        oracle price; what they leave must satisfy the RiskEngine. `sequence` lets one of two keepers win. Legs of zero that
        raise the health of their venues trade nothing, and stand whatever else is in breach.

        Towards neutral and away. Legs are measured in their order, at the net delta that those before them have left: what
        brings it closer to zero goes towards neutral, the rest away. Both are sums along a path, so that neither order nor
        splitting gains anything: away = (sum |legs| - |delta before| + |delta after|) / 2.

        Budgets, shares of NAV that refill. Towards neutral a leg loses what it falls short of the oracle price; away from it,
        of the worse of oracle price and TWAP: a hedge follows a market that has moved, and the TWAP comes behind, but who
        opens a position might profit from a price that is not true yet. Gains are no credit. The loss bucket pays for
        both. Where it is empty, losses towards neutral are paid by the emergency bucket, which refills faster below
        maintenance margin. The turnover bucket rations what is traded away from neutral.
@custom:kill Revoke KEEPER: guardian or governor. Positions stay as they are, and the Vault's exits go on.
"""

from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from .interfaces import IOptionBook
from .interfaces import IRiskEngine
from .interfaces import IVault
from .interfaces import IVenue
from .modules import leaky_bucket
from .modules import roles

initializes: roles

exports: (roles.roles_of, roles.grant_role, roles.revoke_role)


# @notice One trade of a rebalance.
# @param venue         Index in the Vault's `venues`.
# @param pool          Index of the venue's pool.
# @param delta_change  Units of the underlying, WAD: positive buys. Zero only restores a venue's collateral.
# @param limit_price   Worst average price, USDC per unit in WAD.
struct Leg:
    venue: uint256
    pool: uint256
    delta_change: int256
    limit_price: uint256


# @notice Budgets, WAD shares of NAV.
# @param loss_capacity, loss_per_day            Losses of legs.
# @param turnover_capacity, turnover_per_day    Turnover away from neutral.
# @param emergency_capacity, emergency_per_day  Losses of legs towards neutral once the loss bucket is empty.
# @param distress_per_day                       Refill of the emergency bucket while `nav_bid` is below maintenance margin.
# @param leg_slippage                           Largest loss of one leg against the oracle price, share of its notional.
struct Budgets:
    loss_capacity: uint256
    loss_per_day: uint256
    turnover_capacity: uint256
    turnover_per_day: uint256
    emergency_capacity: uint256
    emergency_per_day: uint256
    distress_per_day: uint256
    leg_slippage: uint256


# @notice What legs have cost so far, USDC in WAD.
struct Charge:
    lost_towards: uint256
    lost_away: uint256
    turnover: uint256


event BudgetsSet:
    budgets: Budgets


event Rebalanced:
    sequence: indexed(uint256)
    decision_hash: indexed(bytes32)
    loss: uint256
    turnover: uint256
    nav_before: int256
    nav_after: int256


event LegTraded:
    sequence: indexed(uint256)
    venue: indexed(uint256)
    units: int256
    usdc: int256
    loss: uint256


_W: constant(uint256) = 10**18
_MAX_DEADLINE: constant(uint256) = 120

VAULT: public(immutable(IVault))
OPTION_BOOK: public(immutable(IOptionBook))
RISK: public(immutable(IRiskEngine))
_DUST: immutable(int256)  # rounding of venues, USDC in WAD

budgets: public(Budgets)
sequence: public(uint256)
_losses: leaky_bucket.Bucket
_turnover: leaky_bucket.Bucket
_emergency: leaky_bucket.Bucket


@deploy
def __init__(governor: address, vault: IVault, option_book: IOptionBook, risk: IRiskEngine, budgets: Budgets):
    roles.__init__(governor)
    VAULT = vault
    OPTION_BOOK = option_book
    RISK = risk
    decimals: uint256 = convert(staticcall IERC20Detailed(staticcall IERC4626(vault.address).asset()).decimals(), uint256)
    _DUST = 4 * convert(10 ** (18 - decimals), int256)
    self._set_budgets(budgets)


@external
def set_budgets(budgets: Budgets):
    """
    @notice Replace the budgets. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self._set_budgets(budgets)


@external
def rebalance(legs: DynArray[Leg, 8], sequence: uint256, deadline: uint256, decision_hash: bytes32):
    """
    @notice Trade the hedges. Keeper only.
    @param sequence Must be the Hedger's: of two keepers the second is refused.
    @param deadline At most 120 s ahead.
    @param decision_hash Of the keeper's record of why.
    """
    roles._check(roles.Role.KEEPER)
    assert sequence == self.sequence, "rebalance: sequence"
    assert block.timestamp <= deadline, "rebalance: expired"
    assert deadline - block.timestamp <= _MAX_DEADLINE, "rebalance: deadline too far"
    self.sequence = sequence + 1

    extcall VAULT.acquire()
    venues: DynArray[IRiskEngine.Listed, 8] = staticcall VAULT.all_venues()
    options: Bytes[3264] = staticcall RISK.option_state(staticcall OPTION_BOOK.live_book())
    before: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    delta: int256[2] = before.delta
    charge: Charge = empty(Charge)
    restores: bool = self._are_zero(legs)
    for leg: Leg in legs:
        u: uint256 = venues[leg.venue].underlying
        venue: IVenue = venues[leg.venue].venue
        was: uint256 = self._health(venue, before.spot[u]) if restores else 0
        units: int256 = 0
        cost: Charge = empty(Charge)
        units, cost = self._trade(leg, before.spot[u], before.twap[u], delta[u], sequence)
        delta[u] += units
        charge.lost_towards += cost.lost_towards
        charge.lost_away += cost.lost_away
        charge.turnover += cost.turnover
        restores = restores and self._health(venue, before.spot[u]) > was
    after: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    if not restores:
        assert staticcall RISK.check_rebalance(before, after)
    self._spend(charge, before)
    extcall VAULT.observe(after)
    extcall VAULT.release()
    log Rebalanced(
        sequence=sequence,
        decision_hash=decision_hash,
        loss=charge.lost_towards + charge.lost_away,
        turnover=charge.turnover,
        nav_before=before.nav_bid,
        nav_after=after.nav_bid,
    )


@external
@view
def loss_budget() -> uint256:
    """
    @notice What legs may still lose, WAD share of NAV.
    """
    return leaky_bucket._available(self._losses, self.budgets.loss_capacity, self.budgets.loss_per_day)


@external
@view
def turnover_budget() -> uint256:
    """
    @notice What may still be traded away from neutral, WAD share of NAV.
    """
    return leaky_bucket._available(self._turnover, self.budgets.turnover_capacity, self.budgets.turnover_per_day)


@external
@view
def emergency_budget() -> uint256:
    """
    @notice What legs towards neutral may lose once the loss bucket is empty, WAD share of NAV. Below maintenance margin it
            may be more: the refill is faster.
    """
    return leaky_bucket._available(self._emergency, self.budgets.emergency_capacity, self.budgets.emergency_per_day)


@internal
def _set_budgets(budgets: Budgets):
    assert budgets.leg_slippage <= _W, "rebalance: budgets"
    self.budgets = budgets
    log BudgetsSet(budgets=budgets)


@internal
@pure
def _are_zero(legs: DynArray[Leg, 8]) -> bool:
    """
    @return Whether there are legs, and none trades.
    """
    for leg: Leg in legs:
        if leg.delta_change != 0:
            return False
    return len(legs) > 0


@internal
@view
def _health(venue: IVenue, spot: uint256) -> uint256:
    return (staticcall venue.state(spot)).health


@internal
def _trade(leg: Leg, spot: uint256, twap: uint256, delta: int256, sequence: uint256) -> (int256, Charge):
    """
    @notice Do one leg.
    @param delta Net delta of its underlying before it, WAD.
    @return Units bought, and what it costs.
    """
    units: int256 = 0
    usdc: int256 = 0
    shortfall: int256 = 0
    units, usdc, shortfall = extcall VAULT.hedge(leg.venue, leg.pool, leg.delta_change, leg.limit_price, spot)
    size: uint256 = convert(abs(units), uint256)
    allowed: uint256 = size * spot // _W * self.budgets.leg_slippage // _W
    assert shortfall <= convert(allowed, int256) + _DUST, "rebalance: slippage"

    cost: Charge = empty(Charge)
    if size > 0:  # else it is rounding
        towards: uint256 = self._towards(delta, units)
        away: uint256 = size - towards
        part: int256 = shortfall * convert(towards, int256) // convert(size, int256)
        cost.lost_towards = convert(max(part, 0), uint256)
        edge: uint256 = 0
        if twap > 0:
            edge = self._usdc(away, spot - min(spot, twap) if units > 0 else twap - min(spot, twap))
        cost.lost_away = convert(max(shortfall - part + convert(edge, int256), 0), uint256)
        cost.turnover = self._usdc(away, spot)
    log LegTraded(
        sequence=sequence, venue=leg.venue, units=units, usdc=usdc, loss=cost.lost_towards + cost.lost_away
    )
    return units, cost


@internal
@pure
def _towards(delta: int256, units: int256) -> uint256:
    """
    @return What part of buying `units` brings a net delta closer to zero, units.
    """
    if (units > 0) == (delta > 0):
        return 0
    return convert(min(abs(units), abs(delta)), uint256)


@internal
@pure
def _usdc(units: uint256, price: uint256) -> uint256:
    return (units * price + _W - 1) // _W


@internal
def _spend(charge: Charge, a: IRiskEngine.Assessment):
    """
    @notice Take what legs cost from the buckets; of losses those away from neutral first, which only the loss bucket pays.
    """
    b: Budgets = self.budgets
    turnover: uint256 = self._share(charge.turnover, a.nav_bid)
    assert turnover <= leaky_bucket._available(self._turnover, b.turnover_capacity, b.turnover_per_day), "rebalance: turnover"
    self._turnover = leaky_bucket._spend(self._turnover, turnover, b.turnover_capacity, b.turnover_per_day)
    away: uint256 = self._share(charge.lost_away, a.nav_bid)
    towards: uint256 = self._share(charge.lost_towards, a.nav_bid)
    available: uint256 = leaky_bucket._available(self._losses, b.loss_capacity, b.loss_per_day)
    emergency: uint256 = min(towards, away + towards - min(away + towards, available))
    self._losses = leaky_bucket._spend(self._losses, away + towards - emergency, b.loss_capacity, b.loss_per_day)
    if emergency > 0:
        refill: uint256 = b.distress_per_day if a.nav_bid < a.maintenance else b.emergency_per_day
        self._emergency = leaky_bucket._spend(self._emergency, emergency, b.emergency_capacity, refill)


@internal
@pure
def _share(amount: uint256, nav: int256) -> uint256:
    """
    @return `amount` as a share of NAV, rounded up.
    """
    if amount == 0:
        return 0
    assert nav > 0, "rebalance: no NAV to lose"
    return amount * _W // convert(nav, uint256) + 1
