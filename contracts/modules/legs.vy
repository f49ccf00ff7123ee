# pragma version 0.4.3
"""
@title legs
@notice Trades of the vault's hedges, as the Hedger and the BuybackAuction do them: the Vault's lock must be held.
        Legs are measured in their order, at the net delta that those before them have left: what brings it closer to zero
        goes towards neutral, the rest away.
"""

from ..interfaces import IRiskEngine
from ..interfaces import IVault


# @notice One trade.
# @param venue         Index in the Vault's `venues`.
# @param pool          Index of the venue's pool.
# @param delta_change  Units of the underlying, WAD: positive buys. Zero only restores a venue's collateral.
# @param limit_price   Worst average price, USDC per unit in WAD.
struct Leg:
    venue: uint256
    pool: uint256
    delta_change: int256
    limit_price: uint256


# @notice What legs have cost so far, USDC in WAD; `hedged` was traded towards neutral, `turnover` away from it.
struct Charge:
    lost_towards: uint256
    lost_away: uint256
    hedged: uint256
    turnover: uint256


# @notice A leg as it was traded.
# @param sequence  Of the rebalance; NO_SEQUENCE for a leg of somebody else's than the keeper.
event LegTraded:
    sequence: indexed(uint256)
    venue: indexed(uint256)
    units: int256
    usdc: int256
    loss: uint256


NO_SEQUENCE: constant(uint256) = max_value(uint256)
DE_RISK_HEALTH: constant(uint256) = 13 * 10**17  # of a venue; below it others than the keeper may act
_START_SLIPPAGE: constant(uint256) = 5 * 10**15  # of legs that are not the keeper's
_SLIPPAGE_GROWTH: constant(uint256) = 25 * 10**15
_SLIPPAGE_TIME: constant(uint256) = 1800
_W: constant(uint256) = 10**18
_DUST: constant(int256) = 4 * 10**12  # rounding of venues, USDC


@internal
def _trade(
    vault: IVault, leg: Leg, spot: uint256, twap: uint256, delta: int256, slippage: uint256, sequence: uint256
) -> (int256, Charge):
    """
    @notice Do one leg.
    @param delta Net delta of its underlying before it, WAD.
    @param slippage Largest loss against the oracle price, share of its notional.
    @return Units bought, and what it costs.
    """
    units: int256 = 0
    usdc: int256 = 0
    shortfall: int256 = 0
    units, usdc, shortfall = extcall vault.hedge(leg.venue, leg.pool, leg.delta_change, leg.limit_price, spot)
    size: uint256 = convert(abs(units), uint256)
    allowed: uint256 = size * spot // _W * slippage // _W
    assert shortfall <= convert(allowed, int256) + _DUST, "hedge: slippage"

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
        cost.hedged = self._usdc(towards, spot)
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
def _price(a: IRiskEngine.Assessment, u: uint256) -> uint256:
    """
    @return Spot of an underlying: without one there are no legs.
    """
    assert a.spot[u] > 0, "risk: no price"
    return a.spot[u]


@internal
@pure
def _usdc(units: uint256, price: uint256) -> uint256:
    return (units * price + _W - 1) // _W


@internal
@pure
def _slippage(elapsed: uint256) -> uint256:
    """
    @return What a leg that is not the keeper's may lose of its notional, `elapsed` seconds after it became possible.
    """
    return _START_SLIPPAGE + _SLIPPAGE_GROWTH * min(elapsed, _SLIPPAGE_TIME) // _SLIPPAGE_TIME


@internal
@pure
def _share(amount: uint256, base: int256) -> uint256:
    """
    @return `amount` as a share of what budgets are shares of, rounded up.
    """
    if amount == 0:
        return 0  # of nothing, too
    return amount * _W // convert(base, uint256) + 1


@internal
@pure
def _base(a: IRiskEngine.Assessment) -> int256:
    """
    @return What budgets are shares of: NAV, or maintenance margin where that is more, so that a vault that has lost its
            NAV can still be brought towards neutral.
    """
    return max(a.nav_bid, a.maintenance)
