# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title RiskEngine
@license AGPL-3.0
@notice What the vault's book as a whole is worth, how much it can lose, and what a trade may leave behind. It is handed
        the book and reads oracles and venues, never the Vault.

        Margin. Maintenance margin per underlying is the worst loss of options and venues together over 33 scenarios: spot 0,
        +-5, +-10, +-15, +-20 % and the damped extremes -50 % (half counts) and +100 % (35 % counts), each with volatility down,
        flat and up; plus 2 % of spot times the short size of each series. Nothing offsets across underlyings. Initial margin is
        1.25 times that, and 1.5 times more for an underlying whose oracle is in doubt. An underlying without positions and
        without exposure needs no price.

        Venues. One that does not answer counts nothing, and is flagged: exits, settlement and payouts go on at what is left,
        while nothing is minted and no option sold. No caller can silence a venue by starving it of gas.

        Gap solvency. nav_bid must survive spot -50 % and +50 % at once, undamped, nothing rehedged, venues at stressed equity.

        Checks. What a trade leaves is measured as excess over each limit, at the NAV before the trade. No excess may grow, and
        a rebalance of a book in breach must shrink one excess by a tenth. A sale of options must end with no excess of
        margin, gap or notional at all. A sale of puts must also leave the means to hedge them: shorting their whole notional
        at the venues' health floor may not tie up more than NAV less the liquidity buffer.
@custom:kill Holds no funds. Stop the Vault that uses it: its guardian sets REDUCE_ONLY.
"""

from .interfaces import IOptionPricer
from .interfaces import IRiskEngine
from .interfaces import IVenue
from .modules import roles
from .modules import scenarios
from .modules import series

implements: IRiskEngine
initializes: roles

exports: (roles.roles_of, roles.tightened_at, roles.grant_role, roles.revoke_role, roles.hand_over)


# @notice What the governor may set; WAD shares of NAV.
# @param delta_target, delta_hard                           Bands of |delta| * spot for rebalances and for fills.
# @param gamma_band                                         Delta per 1 % move of spot.
# @param vega_band                                          Vega per 1.0 of volatility.
# @param notional_total, notional_expiry, notional_series   Short option notional at spot.
# @param gross_leverage                                     Gross venue exposure.
# @param liquidity_buffer                                   Not for hedges, beside the intrinsic value that expires in 48 h.
struct Limits:
    delta_target: uint256
    delta_hard: uint256
    gamma_band: uint256
    vega_band: uint256
    notional_total: uint256
    notional_expiry: uint256
    notional_series: uint256
    gross_leverage: uint256
    liquidity_buffer: uint256


event LimitsSet:
    limits: Limits


_W: constant(int256) = 10**18
_CONTINGENCY: constant(int256) = 2 * 10**16
_INITIAL: constant(int256) = 125 * 10**16
_DOUBT: constant(int256) = 150 * 10**16
_MOST: constant(int256) = 10**36  # of units, or USDC in WAD, in one venue
_DUST: constant(int256) = 10**12  # units; an exposure that needs no price
_NO_SHORT: constant(uint256) = 10**24  # the short margin of a venue that cannot short
_SOON: constant(uint256) = 48 * 3600
_VENUE_GAS: constant(uint256) = 400_000  # a venue that needs more does not answer
_MIN_GAS: constant(uint256) = 430_000  # leaves 63/64 (EIP-150) above it, and enough to go on

PRICER: public(immutable(IOptionPricer))

limits: public(Limits)


@deploy
def __init__(governor: address, pricer: IOptionPricer, limits: Limits):
    roles.__init__(governor)
    PRICER = pricer
    self._set_limits(limits)


@external
def set_limits(limits: Limits):
    """
    @notice Replace the limits. Governor only.
    """
    roles._check(roles.Role.GOVERNOR)
    self._set_limits(limits)


@external
def tighten_limits(limits: Limits):
    """
    @notice Make limits of fills smaller and the buffer larger, none of them the other way, at once. Guardian or governor. What
            hedges are measured by stays as it is: leverage of nothing would stop them, and a band of nothing would be in
            breach for ever.
    """
    roles._check_guardian()
    now: Limits = self.limits
    assert limits.delta_target == now.delta_target and limits.gross_leverage == now.gross_leverage, "risk: hedges"
    assert limits.gamma_band == now.gamma_band and limits.vega_band == now.vega_band, "risk: hedges"
    assert limits.delta_hard <= now.delta_hard, "risk: loosens"
    assert limits.notional_total <= now.notional_total, "risk: loosens"
    assert limits.notional_expiry <= now.notional_expiry, "risk: loosens"
    assert limits.notional_series <= now.notional_series, "risk: loosens"
    assert limits.liquidity_buffer >= now.liquidity_buffer, "risk: loosens"
    self._set_limits(limits)


@external
@view
def assess(
    book: DynArray[uint256, 32], venues: DynArray[IRiskEngine.Listed, 8], cash: int256
) -> IRiskEngine.Assessment:
    """
    @notice NAV, margins, gap headroom and exposures of options, venues and cash together.
    @param book Packed series with the vault's positions (modules/series.vy).
    @param cash USDC in WAD, liabilities deducted.
    """
    return self._assess(staticcall PRICER.option_risk(book), venues, cash)


@external
@view
def option_state(book: DynArray[uint256, 32]) -> Bytes[3328]:
    """
    @notice The options' part of an assessment, encoded: a rebalance computes it once and assesses twice.
    """
    return abi_encode(staticcall PRICER.option_risk(book))


@external
@view
def assess_with(
    option_state: Bytes[3328], venues: DynArray[IRiskEngine.Listed, 8], cash: int256
) -> IRiskEngine.Assessment:
    """
    @notice `assess` with the options' part as `option_state` gave it in this transaction.
    """
    return self._assess(abi_decode(option_state, DynArray[IOptionPricer.OptionRisk, 2]), venues, cash)


@external
@view
def check_fill(
    before: IRiskEngine.Assessment,
    after: IRiskEngine.Assessment,
    book: DynArray[uint256, 32],
    venues: DynArray[IRiskEngine.Listed, 8],
    slot: uint256,
    is_sale: bool,
) -> bool:
    """
    @notice True, or a revert when a fill of one series may not stand.
    @param book The book after the fill.
    @param slot The series filled.
    @param is_sale True when the vault sold.
    """
    self._check_no_worse(before, after, self.limits.delta_hard)
    u: uint256 = series._underlying(slot)
    if not is_sale:
        is_reduced: bool = after.venue_failed or after.nav_bid < after.initial  # as the CircuitBreaker's mode
        assert not is_reduced or self._reduces(before, after, u), "risk: reduces nothing"
        return True
    assert not after.venue_failed, "risk: a venue does not answer"
    assert after.nav_bid >= after.initial, "margin: below initial"
    assert after.gap_headroom >= 0, "margin: gap insolvent"
    spot: int256 = convert(after.spot[u], int256)
    of_expiry: int256 = 0
    of_series: int256 = 0
    for other: uint256 in book:
        if series._underlying(other) == u and series._expiry(other) == series._expiry(slot):
            short_notional: int256 = max(-series._position(other), 0) * spot // _W
            of_expiry += short_notional
            if series._id(other) == series._id(slot):
                of_series = short_notional
    nav: int256 = before.nav_bid
    assert after.short_notional <= self._share(self.limits.notional_total, nav), "risk: total notional"
    assert of_expiry <= self._share(self.limits.notional_expiry, nav), "risk: expiry notional"
    assert of_series <= self._share(self.limits.notional_series, nav), "risk: series notional"
    if not series._is_call(slot):
        spare: int256 = after.nav_bid - self._buffer(book, after)
        assert self._short_capital(book, venues, after) <= spare, "risk: hedge capacity"
    return True


@external
@view
def check_rebalance(before: IRiskEngine.Assessment, after: IRiskEngine.Assessment) -> bool:
    """
    @notice True, or a revert unless a rebalance leaves every limit kept or closer, and of breached ones at least one a tenth
            closer.
    """
    assert after.venue_failed == before.venue_failed, "risk: a venue does not answer"
    assert self._check_no_worse(before, after, self.limits.delta_target), "risk: no breach improves"
    return True


@external
@view
def liquidity_buffer(book: DynArray[uint256, 32], a: IRiskEngine.Assessment) -> int256:
    """
    @notice USDC in WAD that stays idle for exits and payouts when the rest is lent.
    """
    return self._buffer(book, a)


@external
@view
def breaches(a: IRiskEngine.Assessment, nav: int256) -> int256[9]:
    """
    @notice How far each limit is exceeded for those who may act in the keeper's place, zero inside it: options at middle
            marks on the present surface, margin without oracle doubt. Order: margin, gap, leverage, then delta, gamma,
            vega per underlying.
    @param nav NAV that the bands are shares of.
    """
    at_mid: IRiskEngine.Assessment = a
    at_mid.nav_bid = a.nav_mid
    at_mid.initial = a.maintenance * _INITIAL // _W
    at_mid.gap_headroom += a.nav_mid - a.nav_bid
    return self._excesses(at_mid, nav, self.limits.delta_target)


@internal
@view
def _assess(
    options: DynArray[IOptionPricer.OptionRisk, 2], venues: DynArray[IRiskEngine.Listed, 8], cash: int256
) -> IRiskEngine.Assessment:
    a: IRiskEngine.Assessment = empty(IRiskEngine.Assessment)
    a.nav_mid = cash
    units: int256[2] = empty(int256[2])
    gap_down: int256[2] = empty(int256[2])
    gap_up: int256[2] = empty(int256[2])
    for listed: IRiskEngine.Listed in venues:
        if listed.venue == empty(IVenue):
            continue  # its index was vacated
        u: uint256 = listed.underlying
        answers: bool = False
        venue: IVenue.VenueState = empty(IVenue.VenueState)
        # Without a price any will do for what has no exposure.
        answers, venue = self._venue_state(listed, options[u].spot if options[u].spot > 0 else 10**18)
        assert options[u].spot > 0 or abs(venue.exposure) <= _DUST, "risk: no price"
        a.venue_failed = a.venue_failed or not answers
        a.nav_mid += venue.equity
        units[u] += venue.exposure
        gap_down[u] += venue.stressed_down - venue.equity
        gap_up[u] += venue.stressed_up - venue.equity
        a.gross += abs(venue.exposure) * convert(options[u].spot, int256) // _W
    a.nav_bid = a.nav_mid
    a.nav_ask = a.nav_mid

    gap_loss: int256 = 0
    for u: uint256 in range(len(options), bound=scenarios.MAX_UNDERLYINGS):
        o: IOptionPricer.OptionRisk = options[u]
        a.nav_bid += o.bid
        a.nav_mid += o.mid
        a.nav_ask += o.ask
        a.short_notional += o.short_notional
        a.spot[u] = o.spot
        a.twap[u] = o.twap
        a.delta[u] = o.delta + units[u]
        a.gamma[u] = o.gamma
        a.vega[u] = o.vega
        a.unfixed = a.unfixed or o.unfixed
        a.stale = a.stale or o.stale

        worst: int256 = 0
        worst_gap: int256 = 0
        unit_value: int256 = units[u] * convert(o.spot, int256) // _W
        for v: uint256 in range(scenarios.VOLS):
            for j: uint256 in range(scenarios.ONE_AND_A_HALF):
                pnl: int256 = o.pnl[v * scenarios.SPOT_SHOCKS + j] + unit_value * (scenarios.MULTIPLIER[j] - _W) // _W
                if j == scenarios.HALF:
                    pnl = pnl // 2
                elif j == scenarios.DOUBLE:
                    pnl = pnl * 35 // 100
                worst = min(worst, pnl)
            worst_gap = min(worst_gap, o.pnl[v * scenarios.SPOT_SHOCKS + scenarios.HALF] + gap_down[u])
            worst_gap = min(worst_gap, o.pnl[v * scenarios.SPOT_SHOCKS + scenarios.ONE_AND_A_HALF] + gap_up[u])
        maintenance: int256 = o.short_notional * _CONTINGENCY // _W - worst
        initial: int256 = maintenance * _INITIAL // _W
        if o.doubt and maintenance > 0:
            a.doubt = True
            initial = initial * _DOUBT // _W
        a.maintenance += maintenance
        a.initial += initial
        gap_loss -= worst_gap

    a.gap_headroom = a.nav_bid - gap_loss
    return a


@internal
@view
def _venue_state(listed: IRiskEngine.Listed, spot: uint256) -> (bool, IVenue.VenueState):
    """
    @return Whether the venue answers, and what; else nothing. What no venue can be worth is no answer.
    """
    assert msg.gas >= _MIN_GAS, "risk: too little gas"
    success: bool = False
    response: Bytes[192] = b""
    success, response = raw_call(
        listed.venue.address,
        abi_encode(spot, method_id=method_id("state(uint256)")),
        max_outsize=192,
        gas=_VENUE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 192:
        return False, empty(IVenue.VenueState)
    state: IVenue.VenueState = abi_decode(response, IVenue.VenueState)
    is_sane: bool = state.underlying == listed.underlying and self._is_small(state.exposure)
    for equity: int256 in [state.equity, state.stressed_down, state.stressed_up]:
        is_sane = is_sane and equity >= 0 and self._is_small(equity)
    return is_sane, state if is_sane else empty(IVenue.VenueState)


@internal
@pure
def _is_small(amount: int256) -> bool:
    """
    @return Whether sums and products of an amount stay within their types.
    """
    return amount >= -_MOST and amount <= _MOST


@internal
def _set_limits(limits: Limits):
    assert limits.delta_target > 0 and limits.delta_target <= limits.delta_hard, "risk: delta bands"
    self.limits = limits
    log LimitsSet(limits=limits)


@internal
@pure
def _share(limit: uint256, nav: int256) -> int256:
    return convert(limit, int256) * max(nav, 0) // _W


@internal
@view
def _short_capital(
    book: DynArray[uint256, 32], venues: DynArray[IRiskEngine.Listed, 8], a: IRiskEngine.Assessment
) -> int256:
    """
    @return Own funds that shorting the notional of every short put ties up in the venue that asks for the least, USDC in WAD.
    """
    margins: uint256[2] = [_NO_SHORT, _NO_SHORT]
    for listed: IRiskEngine.Listed in venues:
        margins[listed.underlying] = min(margins[listed.underlying], self._short_margin(listed.venue))
    capital: int256 = 0
    for slot: uint256 in book:
        if not series._is_call(slot):
            u: uint256 = series._underlying(slot)
            notional: int256 = max(-series._position(slot), 0) * convert(a.spot[u], int256) // _W
            capital += notional * convert(margins[u], int256) // _W
    return capital


@internal
@view
def _short_margin(venue: IVenue) -> uint256:
    """
    @return Own funds that a short of 1 USDC ties up at the venue's health floor, WAD. A venue without such a view cannot short.
    """
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        venue.address, method_id("short_margin()"), max_outsize=32, is_static_call=True, revert_on_failure=False
    )
    if not success or len(response) < 32:
        return _NO_SHORT
    return convert(response, uint256)


@internal
@view
def _buffer(book: DynArray[uint256, 32], a: IRiskEngine.Assessment) -> int256:
    """
    @return The liquidity buffer: a share of NAV, and the intrinsic value of the shorts that expire in 48 hours, USDC in WAD.
    """
    buffer: int256 = self._share(self.limits.liquidity_buffer, a.nav_bid)
    for slot: uint256 in book:
        position: int256 = series._position(slot)
        if position < 0 and series._expiry(slot) <= block.timestamp + _SOON:
            above: int256 = convert(a.spot[series._underlying(slot)], int256) - convert(series._strike(slot), int256)
            buffer -= position * max(above if series._is_call(slot) else -above, 0) // _W
    return buffer


@internal
@view
def _excesses(a: IRiskEngine.Assessment, nav: int256, delta_band: uint256) -> int256[9]:
    """
    @notice How far each limit is exceeded, zero inside it: margin, gap, leverage, then delta, gamma, vega per underlying.
    @param nav NAV that the bands are shares of.
    """
    e: int256[9] = empty(int256[9])
    limits: Limits = self.limits
    e[0] = max(a.initial - a.nav_bid, 0)
    e[1] = max(-a.gap_headroom, 0)
    e[2] = max(a.gross - self._share(limits.gross_leverage, nav), 0)
    for u: uint256 in range(scenarios.MAX_UNDERLYINGS):
        spot: int256 = convert(a.spot[u], int256)
        e[3 + 3 * u] = max(abs(a.delta[u]) * spot // _W - self._share(delta_band, nav), 0)
        e[4 + 3 * u] = max(abs(a.gamma[u]) * spot // _W * spot // _W // 100 - self._share(limits.gamma_band, nav), 0)
        e[5 + 3 * u] = max(abs(a.vega[u]) - self._share(limits.vega_band, nav), 0)
    return e


@internal
@view
def _check_no_worse(before: IRiskEngine.Assessment, after: IRiskEngine.Assessment, delta_band: uint256) -> bool:
    """
    @notice Revert where an excess over a limit grew.
    @return True when nothing was in breach, or one breach shrank by a tenth of its excess.
    """
    was: int256[9] = self._excesses(before, before.nav_bid, delta_band)
    now: int256[9] = self._excesses(after, before.nav_bid, delta_band)
    breached: bool = False
    improved: bool = False
    for i: uint256 in range(9):
        assert now[i] <= was[i], self._reason(i)
        if was[i] > 0:
            breached = True
            improved = improved or now[i] * 10 <= was[i] * 9
    return improved or not breached


@internal
@pure
def _reduces(before: IRiskEngine.Assessment, after: IRiskEngine.Assessment, u: uint256) -> bool:
    """
    @return Whether |gamma| or |vega| of an underlying is smaller.
    """
    return abs(after.gamma[u]) < abs(before.gamma[u]) or abs(after.vega[u]) < abs(before.vega[u])


@internal
@pure
def _reason(i: uint256) -> String[24]:
    if i == 0:
        return "margin: below initial"
    if i == 1:
        return "margin: gap insolvent"
    if i == 2:
        return "risk: gross leverage"
    if i % 3 == 0:
        return "risk: delta band"
    if i % 3 == 1:
        return "risk: gamma band"
    return "risk: vega band"
