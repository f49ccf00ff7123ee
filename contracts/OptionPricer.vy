# pragma version 0.4.3
# pragma optimize gas
# pragma nonreentrancy on
"""
@title OptionPricer
@license AGPL-3.0
@notice What options are worth, their Greeks, and their profit and loss in the scenarios of the risk engine. View only.

        Marks. Options are marked with Black-76 on the posted eSSVI surface: `mid` as it is now, `bid` and `ask` at the volatility
        less and plus the slice's half-spread, and at the worst surface of the trailing window: volatility and carry are shifted
        in parallel by how far they have come from the worse side within it (IVolOracle.Window). Forward = spot * exp(carry * T),
        discount factor 1. An expired series is worth its intrinsic value at spot until its fixing. A surface that is older than two
        hours is reported as stale, and its window is wider by what it may have moved since.

        Prices. An underlying without positions need not have a price: it is reported as zero.

        Scenarios. Twelve spot shocks by three volatilities: volatility down, flat and up by 1 - 0.3 m, 1 and 1 + 0.6 m with
        m = (30 d / max(T, 1 d))^p, p = 0.3 up to 30 days and 0.13 beyond (Derive PMRM). Each series keeps its own volatility
        when spot moves (sticky strike).
@custom:kill Holds no funds and no settings. Stop the Vault that uses it.
"""

from snekmate.utils import math
from .interfaces import IOptionPricer
from .interfaces import IPriceOracle
from .interfaces import IVolOracle
from .modules import black76
from .modules import essvi
from .modules import normal
from .modules import scenarios
from .modules import series

implements: IOptionPricer
initializes: normal
initializes: black76[normal := normal]


# @dev What the worst surfaces of the window differ by from the present one, half-spread included, WAD: volatility `above` and
#      `below` it, and logarithms of forwards `over` and `under` it.
struct Worst:
    above: int256
    below: int256
    over: int256
    under: int256


# @dev Terms that all series of one expiry share: `ln_growth` = b * T; `up`, `down` the volatility shocks; all WAD.
struct Terms:
    posted: IVolOracle.Slice
    worst: Worst
    growth: int256
    ln_growth: int256
    sqrt_tenor: int256
    up: int256
    down: int256


# @dev One series at a spot: forward, strike, sigma, sqrt(T) in WAD, x = ln(F/K) in Q64.
struct Point:
    forward: int256
    strike: int256
    x: int256
    sigma: int256
    sqrt_tenor: int256


# @dev A series under one spot shock: forward, ln(F/K) in Q64, and the call's value that P&L is measured from.
struct Shock:
    forward: int256
    x: int256
    before: int256


_W: constant(int256) = 10**18
_YEAR: constant(uint256) = 365 * 86400
_MIN_SIGMA: constant(int256) = 10**16
# Below it no unsafe_* here can overflow: strikes are below 2**104, sizes below 2**117.
_MAX_FORWARD: constant(int256) = 2**128
_MARK_SHIFT: constant(uint256) = 5 * 10**15
_FRESH: constant(uint256) = 2 * 3600

PRICE_ORACLE: public(immutable(IPriceOracle))
VOL_ORACLE: public(immutable(IVolOracle))
UNDERLYINGS: public(immutable(uint256))


@deploy
def __init__(price_oracle: IPriceOracle, vol_oracle: IVolOracle, underlyings: uint256, normal_table: uint256[256]):
    assert underlyings > 0 and underlyings <= scenarios.MAX_UNDERLYINGS, "pricer: number of underlyings"
    normal.__init__(normal_table)
    PRICE_ORACLE = price_oracle
    VOL_ORACLE = vol_oracle
    UNDERLYINGS = underlyings


@external
@view
def option_risk(book: DynArray[uint256, 32]) -> DynArray[IOptionPricer.OptionRisk, 2]:
    """
    @notice Value, Greeks and scenario P&L of the options, one entry per underlying.
    @param book Packed series with the vault's positions (modules/series.vy).
    """
    risks: DynArray[IOptionPricer.OptionRisk, 2] = []
    ln_spots: int256[2] = empty(int256[2])
    updated_at: uint256[2] = empty(uint256[2])
    needed: bool[2] = [False, False]
    for slot: uint256 in book:
        if series._position(slot) != 0:
            needed[series._underlying(slot)] = True
    for u: uint256 in range(UNDERLYINGS, bound=scenarios.MAX_UNDERLYINGS):
        reading: IPriceOracle.Reading = staticcall PRICE_ORACLE.read(u) if needed[u] else self._try_read(u)
        risk: IOptionPricer.OptionRisk = empty(IOptionPricer.OptionRisk)
        risk.spot = reading.price
        risk.twap = reading.twap
        risk.doubt = reading.doubt
        updated_at[u] = reading.updated_at
        ln_spots[u] = math._wad_ln(convert(reading.price, int256))
        risks.append(risk)

    terms: Terms = empty(Terms)
    terms_of: uint256 = 0  # underlying and expiry of `terms`, as in the slot
    for slot: uint256 in book:
        position: int256 = series._position(slot)
        if position == 0:
            continue
        u: uint256 = series._underlying(slot)
        expiry: uint256 = series._expiry(slot)
        spot: int256 = convert(risks[u].spot, int256)
        if expiry <= block.timestamp and updated_at[u] >= expiry:
            risks[u].unfixed = True
        key: uint256 = (u << 32) | expiry
        if key != terms_of:
            terms = self._terms(u, expiry)
            terms_of = key
            if expiry > block.timestamp and block.timestamp - terms.posted.posted_at > _FRESH:
                risks[u].stale = True
        p: Point = self._point(slot, spot, ln_spots[u], terms)
        risks[u] = self._with_series(risks[u], p, terms, position, series._is_call(slot))

    for u: uint256 in range(UNDERLYINGS, bound=scenarios.MAX_UNDERLYINGS):
        for c: uint256 in range(scenarios.CELLS):
            risks[u].pnl[c] = risks[u].pnl[c] // _W
    return risks


@external
@view
def marks(slot: uint256) -> IOptionPricer.Marks:
    """
    @notice Bounds on the price of a fill: bid and ask marks at the worse of spot +-0.5 %.
    @param slot A series, with or without a position.
    """
    u: uint256 = series._underlying(slot)
    spot: uint256 = (staticcall PRICE_ORACLE.read(u)).price
    terms: Terms = self._terms(u, series._expiry(slot))
    is_call: bool = series._is_call(slot)
    at_spot: Point = self._point(slot, convert(spot, int256), math._wad_ln(convert(spot, int256)), terms)
    m: IOptionPricer.Marks = empty(IOptionPricer.Marks)
    m.spot = spot
    m.posted_at = terms.posted.posted_at
    m.mid = convert(self._value(at_spot, at_spot.sigma, is_call), uint256)
    deviation: uint256 = convert(at_spot.sigma * at_spot.sqrt_tenor // _W, uint256)
    m.deviations = (convert(abs(at_spot.x), uint256) * 10**18 >> 64) * 10**18 // max(deviation, 1)
    m.bid = max_value(uint256)
    for shifted: uint256 in [spot - spot * _MARK_SHIFT // 10**18, spot + spot * _MARK_SHIFT // 10**18]:
        p: Point = self._point(slot, convert(shifted, int256), math._wad_ln(convert(shifted, int256)), terms)
        p.sigma = at_spot.sigma
        m.bid = min(m.bid, convert(self._lowest(p, terms.worst, is_call), uint256))
        m.ask = max(m.ask, convert(self._highest(p, terms.worst, is_call), uint256))
    return m


@external
@view
def lowest(slot: uint256) -> uint256:
    """
    @notice What one unit of a series is worth at spot on the cheapest surface of the trailing window, half-spread included: the
            window is of bid volatilities, and a post that widens the spread raises the middle without moving them.
    """
    u: uint256 = series._underlying(slot)
    spot: int256 = convert((staticcall PRICE_ORACLE.read(u)).price, int256)
    terms: Terms = self._terms(u, series._expiry(slot))
    p: Point = self._point(slot, spot, math._wad_ln(spot), terms)
    return convert(self._lowest(p, terms.worst, series._is_call(slot)), uint256)


@internal
@view
def _try_read(underlying: uint256) -> IPriceOracle.Reading:
    """
    @return The reading of an underlying, zeros where there is none. Whoever needs the price must refuse a zero.
    """
    success: bool = False
    response: Bytes[128] = b""
    success, response = raw_call(
        PRICE_ORACLE.address,
        abi_encode(underlying, method_id=method_id("read(uint256)")),
        max_outsize=128,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(response) < 128:
        return empty(IPriceOracle.Reading)
    return abi_decode(response, IPriceOracle.Reading)


@internal
@view
def _terms(underlying: uint256, expiry: uint256) -> Terms:
    t: Terms = empty(Terms)
    window: IVolOracle.Window = empty(IVolOracle.Window)
    t.posted, window = staticcall VOL_ORACLE.posted(underlying, expiry)
    t.worst.above = convert(t.posted.half_spread + window.down, int256)
    t.worst.below = convert(t.posted.half_spread + window.up, int256)
    t.growth = _W
    t.up = _W
    t.down = _W
    if expiry <= block.timestamp:
        return t
    to_expiry: uint256 = expiry - block.timestamp
    tenor: int256 = convert(to_expiry * 10**18 // _YEAR, int256)
    t.sqrt_tenor = convert(isqrt(to_expiry * 10**36 // _YEAR), int256)
    t.ln_growth = t.posted.carry * tenor // _W
    t.growth = math._wad_exp(t.ln_growth)
    t.worst.over = convert(window.carry_down, int256) * tenor // _W
    t.worst.under = convert(window.carry_up, int256) * tenor // _W
    power: int256 = 3 * 10**17 if to_expiry <= 30 * 86400 else 13 * 10**16
    ratio: int256 = convert(30 * 86400 * 10**18 // max(to_expiry, 86400), int256)
    m: int256 = math._wad_exp(power * math._wad_ln(ratio) // _W)
    t.up = _W + 6 * m // 10
    t.down = _W - 3 * m // 10
    return t


@internal
@view
def _point(slot: uint256, spot: int256, ln_spot: int256, terms: Terms) -> Point:
    x: int256 = ln_spot + terms.ln_growth - series._ln_strike(slot)
    forward: int256 = spot * terms.growth // _W
    assert forward < _MAX_FORWARD, "pricer: forward too large"
    return Point(
        forward=forward,
        strike=convert(series._strike(slot), int256),
        x=(x << 64) // _W,
        sigma=essvi._vol(terms.posted, series._expiry(slot), -x),
        sqrt_tenor=terms.sqrt_tenor,
    )


@internal
@view
def _value(p: Point, sigma: int256, is_call: bool) -> int256:
    s: int256 = (max(sigma, _MIN_SIGMA) * p.sqrt_tenor << 64) // (_W * _W)
    call: int256 = black76._call(p.forward, p.strike, p.x, s)
    return call if is_call else call - p.forward + p.strike


@internal
@view
def _highest(p: Point, worst: Worst, is_call: bool) -> int256:
    """
    @return The price at the dearest surface of the window.
    """
    return self._value(self._drifted(p, worst.over if is_call else -worst.under), p.sigma + worst.above, is_call)


@internal
@view
def _lowest(p: Point, worst: Worst, is_call: bool) -> int256:
    """
    @return The price at the cheapest surface of the window.
    """
    return self._value(self._drifted(p, -worst.under if is_call else worst.over), p.sigma - worst.below, is_call)


@internal
@pure
def _drifted(p: Point, rise: int256) -> Point:
    """
    @notice The series at a forward whose logarithm is higher by a small `rise`: of e^rise three terms of the series do.
    """
    drifted: Point = p
    drifted.forward += p.forward * (rise + rise * rise // (2 * _W)) // _W
    drifted.x += (rise << 64) // _W
    return drifted


@internal
@view
def _with_series(
    risk: IOptionPricer.OptionRisk, p: Point, terms: Terms, position: int256, is_call: bool
) -> IOptionPricer.OptionRisk:
    """
    @notice `risk` with one more series in it; the scenario cells are left multiplied by 1e18.
    """
    r: IOptionPricer.OptionRisk = risk
    spot: int256 = convert(r.spot, int256)
    highest: int256 = self._highest(p, terms.worst, is_call)
    lowest: int256 = self._lowest(p, terms.worst, is_call)
    s: int256 = (p.sigma * p.sqrt_tenor << 64) // (_W * _W)
    mid_call: int256 = black76._call(p.forward, p.strike, p.x, s)

    r.bid += position * (highest if position < 0 else lowest) // _W
    r.ask += position * (lowest if position < 0 else highest) // _W
    r.mid += position * (mid_call if is_call else mid_call - p.forward + p.strike) // _W

    d1: int256 = black76._d1(p.x, s)
    unit_delta: int256 = terms.growth * (normal._cdf(d1) if is_call else normal._cdf(d1) - 2**80) >> 80
    r.delta += position * unit_delta // _W
    if s > 0:
        pdf: int256 = normal._pdf(d1)
        r.gamma += position * (terms.growth * pdf // spot * 2**64 // s) // _W
        r.vega += position * (p.forward * pdf // _W * p.sqrt_tenor // _W) // _W
    if position < 0:
        r.short_notional -= position * spot // _W

    # What a spot shock changes, once; a shock of volatility then changes s alone. Sizes and prices are bounded (_point),
    # so nothing here can overflow.
    multipliers: int256[12] = scenarios.MULTIPLIER  # indexed as constants, the whole list would be built every time
    ln_multipliers: int256[12] = scenarios.LN_MULTIPLIER
    shocks: Shock[12] = empty(Shock[12])
    for j: uint256 in range(scenarios.SPOT_SHOCKS):
        forward: int256 = unsafe_div(unsafe_mul(p.forward, multipliers[j]), _W)
        shocks[j] = Shock(
            forward=forward,
            x=unsafe_add(p.x, ln_multipliers[j]),
            before=mid_call if is_call else unsafe_add(mid_call, unsafe_sub(forward, p.forward)),
        )
    cell: uint256 = 0
    for vol_shock: int256 in [terms.down, _W, terms.up]:
        shocked: int256 = max(s * vol_shock // _W, black76.MIN_S)
        inverse: int256 = 2**128 // shocked
        half_s: int256 = shocked >> 1
        for shock: Shock in shocks:
            price: int256 = black76._call_at(shock.forward, p.strike, unsafe_mul(shock.x, inverse) >> 64, half_s)
            r.pnl[cell] = unsafe_add(r.pnl[cell], unsafe_mul(position, unsafe_sub(price, shock.before)))
            cell = unsafe_add(cell, 1)
    return r
