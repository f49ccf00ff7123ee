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

        Towards neutral nothing is rationed, but what the hedging bucket does not cover counts as losing half a per cent more:
        that far the oracle price may be from the market, and hide what a leg really loses. Delta to hedge is easily made, by
        trades of options or posts of the surface. Below maintenance margin this does not count.

        Breach. A limit is in breach when it is exceeded at middle marks on the present surface, without oracle doubt, or when
        a venue's health is below 1.3. Bands are shares of NAV, or of maintenance margin where that is more. Anyone records
        a breach, confirms it, and clears it when it is over (modules/dead_man.vy). Nothing is told while a venue does not
        answer or an expired series is not settled.

        Lending. The keeper lends idle USDC in the Vault's lending venue, but for what is owed and the liquidity buffer: a share of
        NAV, and the intrinsic value of the shorts that expire in 48 hours.

        De-risk. Once a breach has lasted, anyone may trade in the keeper's place: a step of at most a quarter of the excess or
        half a per cent of NAV. A whole one takes a minute, a part its part: with dust nobody holds others up. A leg must go
        towards neutral, in an underlying whose delta is in breach or while margin is; or shrink a venue's position while
        leverage or that venue's health is in breach, for its health by as much as it takes; or trade nothing and restore the
        collateral of an unhealthy venue. No limit may end farther from its band, one must end closer. What legs may lose
        grows from 0.5 % to 3 % in half an hour. Losses and the bounty, 5 bp of what was moved where that is at least half a
        per cent of NAV, come from the emergency bucket.
@custom:kill Revoke KEEPER: guardian or governor. Positions stay as they are, and the Vault's exits go on; de_risk stays open.
"""

from ethereum.ercs import IERC20Detailed
from ethereum.ercs import IERC4626
from .interfaces import IHedger
from .interfaces import IOptionBook
from .interfaces import IRiskEngine
from .interfaces import IVault
from .interfaces import IVenue
from .modules import dead_man
from .modules import leaky_bucket
from .modules import legs as hedges
from .modules import roles

implements: IHedger
initializes: dead_man
initializes: roles

exports: (
    roles.roles_of,
    roles.tightened_at,
    roles.grant_role,
    roles.revoke_role,
    roles.hand_over,
    dead_man.heartbeat_at,
)


# @notice Budgets, WAD shares of NAV, or of maintenance margin where that is more.
# @param loss_capacity, loss_per_day            Losses of legs.
# @param turnover_capacity, turnover_per_day    Turnover away from neutral.
# @param hedging_capacity, hedging_per_day      Turnover towards neutral that costs what it costs by the oracle price.
# @param emergency_capacity, emergency_per_day  Losses of legs towards neutral once the loss bucket is empty; de_risk.
# @param distress_per_day                       Its refill while `nav_bid` is below maintenance margin, from when the record says so.
# @param leg_slippage                           Largest loss of one leg against the oracle price, share of its notional.
struct Budgets:
    loss_capacity: uint256
    loss_per_day: uint256
    turnover_capacity: uint256
    turnover_per_day: uint256
    hedging_capacity: uint256
    hedging_per_day: uint256
    emergency_capacity: uint256
    emergency_per_day: uint256
    distress_per_day: uint256
    leg_slippage: uint256


event BudgetsSet:
    budgets: Budgets


event Rebalanced:
    sequence: indexed(uint256)
    decision_hash: indexed(bytes32)
    loss: uint256
    turnover: uint256
    nav_before: int256
    nav_after: int256


# @param moved, loss  USDC in WAD.
# @param bounty       USDC paid to the caller.
event DeRisked:
    caller: indexed(address)
    moved: uint256
    loss: uint256
    bounty: uint256


event Heartbeat:
    keeper: indexed(address)


_W: constant(uint256) = 10**18
_MAX_DEADLINE: constant(uint256) = 120
_STEPS_PER_DAY: constant(uint256) = 1440 * 10**18  # of de_risk, one a minute
_STEPS: constant(int256) = 4  # of an excess one takes at most the fourth part
_LEAST: constant(int256) = 200  # half a per cent: what one may move in any case, and what is worth a bounty
_BOUNTY: constant(uint256) = 2000  # 5 bp
_HIDDEN: constant(uint256) = 200  # half a per cent: what Chainlink's price may be from the market before it is renewed
_MARGIN: constant(uint256) = 0  # in RiskEngine.breaches
_GAP: constant(uint256) = 1
_LEVERAGE: constant(uint256) = 2
_DELTA: constant(uint256) = 3  # of the first underlying
_PER_UNDERLYING: constant(uint256) = 3

VAULT: public(immutable(IVault))
OPTION_BOOK: public(immutable(IOptionBook))
RISK: public(immutable(IRiskEngine))
_UNIT: immutable(uint256)  # WAD per smallest unit of USDC

budgets: public(Budgets)
sequence: public(uint256)
_losses: leaky_bucket.Bucket
_turnover: leaky_bucket.Bucket
_hedging: leaky_bucket.Bucket
_emergency: leaky_bucket.Bucket
_steps: leaky_bucket.Bucket


@deploy
def __init__(governor: address, vault: IVault, option_book: IOptionBook, risk: IRiskEngine, budgets: Budgets):
    roles.__init__(governor)
    dead_man.__init__()
    VAULT = vault
    OPTION_BOOK = option_book
    RISK = risk
    decimals: uint256 = convert(staticcall IERC20Detailed(staticcall IERC4626(vault.address).asset()).decimals(), uint256)
    _UNIT = 10 ** (18 - decimals)
    self._set_budgets(budgets)


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
    @notice Lower budgets of the keeper's at once. Guardian or governor. The emergency budget and that of hedging stay as they
            are: they are for nothing but moves towards neutral. So does what a leg may lose: none loses nothing.
    """
    roles._check_guardian()
    b: Budgets = self.budgets
    lower: bool = budgets.loss_capacity <= b.loss_capacity and budgets.loss_per_day <= b.loss_per_day
    lower = lower and budgets.turnover_capacity <= b.turnover_capacity
    lower = lower and budgets.turnover_per_day <= b.turnover_per_day
    kept: bool = budgets.hedging_capacity == b.hedging_capacity and budgets.hedging_per_day == b.hedging_per_day
    kept = kept and budgets.emergency_capacity == b.emergency_capacity
    kept = kept and budgets.emergency_per_day == b.emergency_per_day
    kept = kept and budgets.distress_per_day == b.distress_per_day and budgets.leg_slippage == b.leg_slippage
    assert lower and kept, "rebalance: not tighter"
    self._set_budgets(budgets)


# ---------------------------------------------------------------- the keeper


@external
def rebalance(legs: DynArray[hedges.Leg, 8], sequence: uint256, deadline: uint256, decision_hash: bytes32):
    """
    @notice Trade the hedges. Keeper only. It is a heartbeat, too, when every limit holds after it.
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
    options: Bytes[3328] = staticcall RISK.option_state(staticcall OPTION_BOOK.live_book())
    before: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    delta: int256[2] = before.delta
    charge: hedges.Charge = empty(hedges.Charge)
    restores: bool = self._are_zero(legs)
    slippage: uint256 = self.budgets.leg_slippage
    for leg: hedges.Leg in legs:
        u: uint256 = venues[leg.venue].underlying
        spot: uint256 = hedges._price(before, u)
        venue: IVenue = venues[leg.venue].venue
        was: uint256 = self._health(venue, spot) if restores else 0
        units: int256 = 0
        cost: hedges.Charge = empty(hedges.Charge)
        units, cost = hedges._trade(VAULT, leg, spot, before.twap[u], delta[u], slippage, sequence)
        delta[u] += units
        charge.lost_towards += cost.lost_towards
        charge.lost_away += cost.lost_away
        charge.hedged += cost.hedged
        charge.turnover += cost.turnover
        restores = restores and self._health(venue, spot) > was
    after: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    if not restores:
        assert staticcall RISK.check_rebalance(before, after)
    charge.lost_towards += self._hidden(charge.hedged, before)
    self._spend(charge, before)
    extcall VAULT.observe(after)
    extcall VAULT.release()
    self._look(after, venues, True)
    log Rebalanced(
        sequence=sequence,
        decision_hash=decision_hash,
        loss=charge.lost_towards + charge.lost_away,
        turnover=charge.turnover,
        nav_before=before.nav_bid,
        nav_after=after.nav_bid,
    )


@external
def book_loss(amount: uint256, nav: int256):
    """
    @notice Charge what a purchase of options cost above the bid mark to the loss bucket. OptionBook only.
    @param amount USDC, WAD.
    """
    assert msg.sender == OPTION_BOOK.address, "hedger: only option book"
    b: Budgets = self.budgets
    share: uint256 = hedges._share(amount, nav)
    self._losses = leaky_bucket._spend(self._losses, share, b.loss_capacity, b.loss_per_day)


@external
def heartbeat():
    """
    @notice Show that the keeper lives while every limit holds. Keeper only.
    """
    roles._check(roles.Role.KEEPER)
    assert self._look(staticcall VAULT.assessment(), staticcall VAULT.all_venues(), True), "heartbeat: in breach"


# ---------------------------------------------------------------- anyone


@external
def record_breach():
    """
    @notice Record that a limit is in breach, or confirm it: at least every ten minutes. Anyone.
    """
    a: IRiskEngine.Assessment = staticcall VAULT.assessment()
    self._require_known(a)
    assert not self._look(a, staticcall VAULT.all_venues(), False), "breach: every limit holds"


@external
def clear_breach():
    """
    @notice Strike the record once every limit holds. Anyone.
    """
    a: IRiskEngine.Assessment = staticcall VAULT.assessment()
    assert self._look(a, staticcall VAULT.all_venues(), False), "breach: not over"


@external
def de_risk(legs: DynArray[hedges.Leg, 8]):
    """
    @notice Bring the book closer to its limits, once a breach has lasted. Anyone, within `step_budget`.
    """
    opened_at: uint256 = dead_man._opens_at()
    assert block.timestamp >= opened_at, "derisk: not open"
    slippage: uint256 = hedges._slippage(block.timestamp - opened_at)

    extcall VAULT.acquire()
    venues: DynArray[IRiskEngine.Listed, 8] = staticcall VAULT.all_venues()
    options: Bytes[3328] = staticcall RISK.option_state(staticcall OPTION_BOOK.live_book())
    before: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    self._require_known(before)
    was: int256[9] = staticcall RISK.breaches(before, max(before.nav_mid, before.maintenance))
    delta: int256[2] = before.delta
    moved: uint256 = 0
    rationed: uint256 = 0
    loss: uint256 = 0
    heals: bool = False
    for leg: hedges.Leg in legs:
        u: uint256 = venues[leg.venue].underlying
        spot: uint256 = hedges._price(before, u)
        venue: IVenue = venues[leg.venue].venue
        state: IVenue.VenueState = staticcall venue.state(spot)
        is_ill: bool = state.health < hedges.DE_RISK_HEALTH
        assert leg.delta_change != 0 or is_ill, "derisk: venue is healthy"
        units: int256 = 0
        cost: hedges.Charge = empty(hedges.Charge)
        units, cost = hedges._trade(VAULT, leg, spot, 0, delta[u], slippage, hedges.NO_SEQUENCE)
        size: uint256 = convert(abs(units), uint256)
        if leg.delta_change != 0:
            neutral: bool = self._may_neutralise(was, u) and hedges._towards(delta[u], units) == size
            shrink: bool = (is_ill or was[_LEVERAGE] > 0) and hedges._towards(state.exposure, units) == size
            assert neutral or shrink, "derisk: wrong way"
            moved += hedges._usdc(size, spot)
            if not (is_ill and shrink):  # a venue that repays comes to its target at once
                rationed += hedges._usdc(size, spot)
        if is_ill:
            assert self._health(venue, spot) > state.health, "derisk: health"
            heals = True
        delta[u] += units
        loss += cost.lost_towards + cost.lost_away
    allowed: int256 = max(self._excess(before, was) // _STEPS, hedges._base(before) // _LEAST)
    assert convert(rationed, int256) <= allowed, "derisk: too much at once"
    share: uint256 = rationed * _W // convert(max(allowed, 1), uint256)
    assert share <= self._step_budget(), "derisk: a step a minute"
    self._steps = leaky_bucket._spend(self._steps, share, _W, _STEPS_PER_DAY)
    loss += self._hidden(moved, before)
    bounty: uint256 = self._pay_bounty(moved, loss, before)

    after: IRiskEngine.Assessment = staticcall RISK.assess_with(options, venues, staticcall VAULT.cash())
    assert not after.venue_failed, "risk: a venue does not answer"
    # Breaches are measured at middle marks; at bid marks only a venue that is about to be liquidated may end business.
    assert heals or before.nav_bid < before.initial or after.nav_bid >= after.initial, "derisk: margin"
    now: int256[9] = staticcall RISK.breaches(after, max(before.nav_mid, before.maintenance))
    for i: uint256 in range(9):
        assert now[i] <= was[i], "derisk: a limit worse"
        heals = heals or now[i] < was[i]
    assert heals, "derisk: nothing better"
    extcall VAULT.observe(after)
    extcall VAULT.release()
    self._look(after, venues, False)
    log DeRisked(caller=msg.sender, moved=moved, loss=loss, bounty=bounty)


# ---------------------------------------------------------------- views


@external
@view
def limits_hold() -> bool:
    """
    @notice Whether every limit holds now; False, too, while that cannot be told.
    """
    return self._holds(staticcall VAULT.assessment(), staticcall VAULT.all_venues())


@external
@view
def breach() -> dead_man.Breach:
    """
    @notice The breach that is on record.
    """
    return dead_man._current()


@external
@view
def opens_at() -> uint256:
    """
    @notice From when `de_risk` is open; the end of time while no breach is recorded.
    """
    return dead_man._opens_at()


@external
@view
def step_budget() -> uint256:
    """
    @notice What part of the largest step `de_risk` may take now, WAD.
    """
    return self._step_budget()


@external
@view
def distressed_since() -> uint256:
    """
    @notice Since when equity has been below maintenance margin by the record, zero when it is not.
    """
    return dead_man._current().distressed


@external
def lend(amount: uint256):
    """
    @notice Lend idle USDC beyond what is owed and the liquidity buffer. Keeper only.
    """
    roles._check(roles.Role.KEEPER)
    extcall VAULT.acquire()
    extcall VAULT.lend(amount)
    book: DynArray[uint256, 32] = staticcall OPTION_BOOK.live_book()
    a: IRiskEngine.Assessment = staticcall RISK.assess(book, staticcall VAULT.all_venues(), staticcall VAULT.cash())
    assert staticcall VAULT.cash() >= staticcall RISK.liquidity_buffer(book, a), "lend: below the buffer"
    extcall VAULT.release()


@external
def recall(amount: uint256) -> uint256:
    """
    @notice Recall as much of `amount` as the lending venue has. Keeper only; what has to be paid is recalled without it.
    @return USDC that came.
    """
    roles._check(roles.Role.KEEPER)
    extcall VAULT.acquire()
    came: uint256 = extcall VAULT.recall(amount)
    extcall VAULT.release()
    return came


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
def hedging_budget() -> uint256:
    """
    @notice What may still be traded towards neutral without counting as losing half a per cent more, WAD share of NAV.
    """
    return leaky_bucket._available(self._hedging, self.budgets.hedging_capacity, self.budgets.hedging_per_day)


@external
@view
def emergency_budget() -> uint256:
    """
    @notice What legs towards neutral may lose once the loss bucket is empty, WAD share of NAV. Below maintenance margin it
            may be more: the refill is faster.
    """
    return leaky_bucket._available(self._emergency, self.budgets.emergency_capacity, self.budgets.emergency_per_day)


# ---------------------------------------------------------------- internals


@internal
def _set_budgets(budgets: Budgets):
    assert budgets.leg_slippage <= _W, "rebalance: budgets"
    self.budgets = budgets
    log BudgetsSet(budgets=budgets)


@internal
@pure
def _are_zero(legs: DynArray[hedges.Leg, 8]) -> bool:
    """
    @return Whether there are legs, and none trades.
    """
    for leg: hedges.Leg in legs:
        if leg.delta_change != 0:
            return False
    return len(legs) > 0


@internal
@view
def _health(venue: IVenue, spot: uint256) -> uint256:
    if venue == empty(IVenue):
        return max_value(uint256)  # its index was vacated
    return (staticcall venue.state(spot)).health


@internal
@pure
def _require_known(a: IRiskEngine.Assessment):
    assert not a.venue_failed, "risk: a venue does not answer"
    assert not a.unfixed, "vault: settle the expired series first"


@internal
@view
def _holds(a: IRiskEngine.Assessment, venues: DynArray[IRiskEngine.Listed, 8]) -> bool:
    """
    @return Whether every limit holds; False when that cannot be told.
    """
    if a.venue_failed or a.unfixed:
        return False
    for excess: int256 in staticcall RISK.breaches(a, max(a.nav_mid, a.maintenance)):
        if excess > 0:
            return False
    for listed: IRiskEngine.Listed in venues:
        spot: uint256 = a.spot[listed.underlying]
        if spot > 0 and self._health(listed.venue, spot) < hedges.DE_RISK_HEALTH:  # without a price there is only dust
            return False
    return True


@internal
def _look(a: IRiskEngine.Assessment, venues: DynArray[IRiskEngine.Listed, 8], beats: bool) -> bool:
    """
    @notice Record what is the case, where that can be told.
    @param beats Whether it is a heartbeat when every limit holds.
    @return Whether every limit holds.
    """
    holds: bool = self._holds(a, venues)
    if a.venue_failed or a.unfixed:
        return holds
    if holds and beats:
        dead_man._beat()
        log Heartbeat(keeper=msg.sender)
    else:
        dead_man._record(not holds, a.nav_mid < a.maintenance)
    return holds


@internal
@pure
def _may_neutralise(was: int256[9], u: uint256) -> bool:
    """
    @return Whether delta of an underlying may be traded away: it is in breach, or a margin is.
    """
    return was[_MARGIN] > 0 or was[_GAP] > 0 or was[_DELTA + _PER_UNDERLYING * u] > 0


@internal
@pure
def _excess(a: IRiskEngine.Assessment, was: int256[9]) -> int256:
    """
    @return The largest excess that trades can take away, USDC in WAD: of leverage, of a delta over its band, or, while a margin
            is in breach, the whole of a delta.
    """
    excess: int256 = was[_LEVERAGE]
    for u: uint256 in range(2):
        excess = max(excess, was[_DELTA + _PER_UNDERLYING * u])
        if was[_MARGIN] > 0 or was[_GAP] > 0:
            excess = max(excess, abs(a.delta[u]) * convert(a.spot[u], int256) // convert(_W, int256))
    return excess


@internal
def _pay_bounty(moved: uint256, loss: uint256, a: IRiskEngine.Assessment) -> uint256:
    """
    @notice Charge a step to the emergency bucket, and pay who made it from what is left there and of free cash.
    """
    base: int256 = hedges._base(a)
    refill: uint256 = self.budgets.emergency_per_day
    capacity: uint256 = self.budgets.emergency_capacity
    self._emergency = leaky_bucket._spend(self._refilled(a), hedges._share(loss, base), capacity, refill)
    if convert(moved, int256) < base // _LEAST or moved == 0:
        return 0
    left: uint256 = leaky_bucket._available(self._emergency, capacity, refill)
    free: uint256 = convert(max(staticcall VAULT.cash(), 0), uint256)
    bounty: uint256 = min(min(moved // _BOUNTY, left * convert(base, uint256) // _W), free) // _UNIT
    self._emergency = leaky_bucket._spend(
        self._emergency, min(hedges._share(bounty * _UNIT, base), left), capacity, refill
    )
    extcall VAULT.pay_out(msg.sender, bounty)
    return bounty


@internal
@view
def _step_budget() -> uint256:
    return leaky_bucket._available(self._steps, _W, _STEPS_PER_DAY)


@internal
@view
def _refilled(a: IRiskEngine.Assessment) -> leaky_bucket.Bucket:
    """
    @return The emergency bucket with what distress has added to its refill: since it was recorded, not since the last loss.
    """
    bucket: leaky_bucket.Bucket = self._emergency
    since: uint256 = dead_man._current().distressed
    if since > 0 and a.nav_bid < a.maintenance:
        b: Budgets = self.budgets
        faster: uint256 = b.distress_per_day - min(b.distress_per_day, b.emergency_per_day)
        added: uint256 = faster * (block.timestamp - max(since, bucket.updated_at)) // 86400
        bucket.spent -= min(bucket.spent, added)
    return bucket


@internal
def _hidden(hedged: uint256, a: IRiskEngine.Assessment) -> uint256:
    """
    @notice Take trades towards neutral from their bucket.
    @return What those beyond it count as losing, USDC in WAD.
    """
    b: Budgets = self.budgets
    share: uint256 = hedges._share(hedged, hedges._base(a))
    free: uint256 = min(share, leaky_bucket._available(self._hedging, b.hedging_capacity, b.hedging_per_day))
    self._hedging = leaky_bucket._spend(self._hedging, free, b.hedging_capacity, b.hedging_per_day)
    if share == free or a.nav_bid < a.maintenance:
        return 0
    return hedged * (share - free) // share // _HIDDEN


@internal
def _spend(charge: hedges.Charge, a: IRiskEngine.Assessment):
    """
    @notice Take what legs cost from the buckets; of losses those away from neutral first, which only the loss bucket pays.
    """
    b: Budgets = self.budgets
    base: int256 = hedges._base(a)
    turnover: uint256 = hedges._share(charge.turnover, base)
    assert turnover <= leaky_bucket._available(self._turnover, b.turnover_capacity, b.turnover_per_day), "rebalance: turnover"
    self._turnover = leaky_bucket._spend(self._turnover, turnover, b.turnover_capacity, b.turnover_per_day)
    away: uint256 = hedges._share(charge.lost_away, base)
    towards: uint256 = hedges._share(charge.lost_towards, base)
    available: uint256 = leaky_bucket._available(self._losses, b.loss_capacity, b.loss_per_day)
    emergency: uint256 = min(towards, away + towards - min(away + towards, available))
    self._losses = leaky_bucket._spend(self._losses, away + towards - emergency, b.loss_capacity, b.loss_per_day)
    if emergency > 0:
        self._emergency = leaky_bucket._spend(self._refilled(a), emergency, b.emergency_capacity, b.emergency_per_day)
